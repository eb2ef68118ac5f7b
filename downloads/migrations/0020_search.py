"""The index of searches, and what keeps it in step.

SQLite drops the triggers of a table that a migration makes anew, as Django does there for most changes of a column:
such a migration of tasks ends with `make_triggers`, and `tests/test_tallies.py` says so if it does not.
"""

import sqlite3

from django.db import migrations

SEARCHED = ("title", "url", "uploader")
# Without positions and texts, which would make it many times larger. The vocabulary finds texts shorter than a piece:
# it lists the pieces that begin with them.
TABLES = (
    "CREATE TABLE downloads_searchedtask (number integer PRIMARY KEY, task_id varchar(12) NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE downloads_search USING fts5("
    "title, url, uploader, tokenize = 'trigram', content = '', detail = none, columnsize = 0)",
    "CREATE VIRTUAL TABLE downloads_searchterm USING fts5vocab(downloads_search, instance)",
)


def padded(row):
    """Two more characters, so that a piece begins at each of the others; `printf` ends a text where LIKE does, at NUL."""
    return ", ".join(f"printf('%s' || char(10, 10), {row}.{column})" for column in SEARCHED)


NUMBER = "SELECT number FROM downloads_searchedtask WHERE task_id ="
PUT = f"INSERT INTO downloads_search (rowid, title, url, uploader) VALUES (({NUMBER} NEW.id), {padded('NEW')});"
TAKE = (
    "INSERT INTO downloads_search (downloads_search, rowid, title, url, uploader) "
    f"VALUES ('delete', ({NUMBER} OLD.id), {padded('OLD')});"
)
TRIGGERS = {
    "downloads_search_insert": (
        f"AFTER INSERT ON downloads_task BEGIN INSERT INTO downloads_searchedtask (task_id) VALUES (NEW.id); {PUT} END"
    ),
    "downloads_search_update": (
        "AFTER UPDATE OF title, url, uploader ON downloads_task "
        "WHEN OLD.title <> NEW.title OR OLD.url <> NEW.url OR OLD.uploader <> NEW.uploader "
        f"BEGIN {TAKE} {PUT} END"
    ),
    "downloads_search_delete": (
        f"AFTER DELETE ON downloads_task BEGIN {TAKE} DELETE FROM downloads_searchedtask WHERE task_id = OLD.id; END"
    ),
}
FILL = (
    "INSERT INTO downloads_searchedtask (task_id) SELECT id FROM downloads_task ORDER BY created_at, id",
    f"INSERT INTO downloads_search (rowid, title, url, uploader) SELECT number, {padded('t')} "
    "FROM downloads_searchedtask CROSS JOIN downloads_task AS t ON t.id = task_id ORDER BY number",
)

# Upper case as Django's `icontains` has it, and with one way to sort, whatever the database's own is. Not by `substr`,
# which counts a text's characters anew from its beginning: a link of 8,000 took half a second.
PIECES = """
CREATE OR REPLACE FUNCTION downloads_pieces(title text, url text, uploader text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
    SELECT array_agg(piece)
    FROM unnest(ARRAY[upper(title), upper(url), upper(uploader)]) AS part,
        LATERAL (
            SELECT letter, lead(letter) OVER next AS second, lead(letter, 2) OVER next AS third
            FROM unnest(string_to_array(part, NULL)) WITH ORDINALITY AS letters(letter, place)
            WINDOW next AS (ORDER BY place)
        ) AS letters,
        LATERAL (VALUES (letter), (letter || second), (letter || second || third)) AS pieces(piece)
    WHERE piece IS NOT NULL
$$
"""
INDEX = (
    "CREATE INDEX task_pieces ON downloads_task USING gin ((downloads_pieces(title, url, uploader)) COLLATE \"C\")"
)
# So that PostgreSQL knows how many rows a text is in, and does not sort those of a frequent one
STATISTICS = "CREATE STATISTICS task_upper_{0} ON (upper({0}::text)) FROM downloads_task"


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for column in SEARCHED:
            schema_editor.execute(STATISTICS.format(column), params=None)
        schema_editor.execute(PIECES, params=None)
        schema_editor.execute(INDEX, params=None)
        return
    if sqlite3.sqlite_version_info < (3, 34):
        raise RuntimeError(
            f"SQLite 3.34 or newer is needed, and this Python has {sqlite3.sqlite_version}: "
            "take another one, or PostgreSQL by DATABASE_URL."
        )
    for statement in (*TABLES, *FILL):
        schema_editor.execute(statement, params=None)
    make_triggers(apps, schema_editor)


def make_triggers(apps, schema_editor):
    """Make those that are not there, as after `downloads_task` was made anew."""
    if schema_editor.connection.vendor == "sqlite":
        for name, what in TRIGGERS.items():
            schema_editor.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {what}", params=None)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for column in SEARCHED:
            schema_editor.execute(f"DROP STATISTICS task_upper_{column}")
        schema_editor.execute("DROP INDEX task_pieces")
        schema_editor.execute("DROP FUNCTION downloads_pieces")
        return
    for name in TRIGGERS:
        schema_editor.execute(f"DROP TRIGGER {name}")
    for table in ("searchterm", "search", "searchedtask"):
        schema_editor.execute(f"DROP TABLE downloads_{table}")


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0019_playlists_apart'),
    ]

    operations = [
        migrations.RunPython(make, drop),
    ]
