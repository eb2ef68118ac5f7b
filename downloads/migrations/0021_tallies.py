"""How many tasks there are in each state, without counting them.

In SQLite, which has one writer, a row for each state is changed by every move. PostgreSQL's writers would wait for each
other there: every change is a row of its own, and recovery sums them up from time to time.

What `0020_search` says of triggers on SQLite holds here, too.
"""

from django.db import migrations

TABLE = (
    "CREATE TABLE downloads_tally (status varchar(12) NOT NULL, is_playlist bool NOT NULL, is_item bool NOT NULL, "
    "count bigint NOT NULL, fetched bigint NOT NULL{key})"
)
KEY = "status, is_playlist, is_item"
FETCHED = "CASE WHEN {0}finished_at IS NULL THEN 0 ELSE {0}downloaded_bytes END"
COLUMNS = f"{{0}}status, {{0}}is_playlist, {{0}}playlist_id IS NOT NULL, {{1}}1, {{1}}({FETCHED})"
SUMMED = (
    "INSERT INTO downloads_tally SELECT status, is_playlist, playlist_id IS NOT NULL, {1}count(*), "
    f"{{1}}sum({FETCHED.format('')}) FROM {{0}} GROUP BY 1, 2, 3"
)
FILL = SUMMED.format("downloads_task", "")
IS_OTHER = (
    "OLD.status <> NEW.status OR OLD.is_playlist <> NEW.is_playlist "
    "OR (OLD.playlist_id IS NULL) <> (NEW.playlist_id IS NULL) "
    f"OR {FETCHED.format('OLD.')} <> {FETCHED.format('NEW.')}"
)
MOVES = "UPDATE OF status, is_playlist, playlist_id, finished_at, downloaded_bytes"


def one(row, sign):
    return (
        f"INSERT INTO downloads_tally VALUES ({COLUMNS.format(row, sign)}) ON CONFLICT ({KEY}) "
        "DO UPDATE SET count = count + excluded.count, fetched = fetched + excluded.fetched;"
    )


ON_SQLITE = {
    "downloads_tally_insert": f"AFTER INSERT ON downloads_task BEGIN {one('NEW.', '')} END",
    "downloads_tally_update": (
        f"AFTER {MOVES} ON downloads_task WHEN {IS_OTHER} BEGIN {one('OLD.', '-')} {one('NEW.', '')} END"
    ),
    "downloads_tally_delete": f"AFTER DELETE ON downloads_task BEGIN {one('OLD.', '-')} END",
}
# One row for each state of all that a statement adds or deletes, however many tasks those are
ON_POSTGRESQL = {
    "insert": (
        SUMMED.format("changed", ""),
        "AFTER INSERT ON downloads_task REFERENCING NEW TABLE AS changed FOR EACH STATEMENT",
    ),
    "update": (
        f"INSERT INTO downloads_tally VALUES ({COLUMNS.format('OLD.', '-')}), ({COLUMNS.format('NEW.', '')})",
        f"AFTER {MOVES} ON downloads_task FOR EACH ROW WHEN ({IS_OTHER})",
    ),
    "delete": (
        SUMMED.format("changed", "-"),
        "AFTER DELETE ON downloads_task REFERENCING OLD TABLE AS changed FOR EACH STATEMENT",
    ),
    "truncate": ("DELETE FROM downloads_tally", "AFTER TRUNCATE ON downloads_task FOR EACH STATEMENT"),
}


def make(apps, schema_editor):
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    key = f", PRIMARY KEY ({KEY})" if is_sqlite else ""
    schema_editor.execute(TABLE.format(key=key), params=None)
    if is_sqlite:
        make_triggers(apps, schema_editor)
    else:
        for name, (act, when) in ON_POSTGRESQL.items():
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION downloads_tally_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {act}; RETURN NULL; END $$",
                params=None,
            )
            schema_editor.execute(
                f"CREATE TRIGGER downloads_tally_{name} {when} EXECUTE FUNCTION downloads_tally_{name}()", params=None
            )
    schema_editor.execute(FILL, params=None)  # last, since nobody else writes as long as new triggers are not committed


def make_triggers(apps, schema_editor):
    """Make those that are not there, as after `downloads_task` was made anew."""
    if schema_editor.connection.vendor == "sqlite":
        for name, what in ON_SQLITE.items():
            schema_editor.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {what}", params=None)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        for name in ON_SQLITE:
            schema_editor.execute(f"DROP TRIGGER {name}")
    else:
        for name in ON_POSTGRESQL:
            schema_editor.execute(f"DROP FUNCTION downloads_tally_{name} CASCADE")
    schema_editor.execute("DROP TABLE downloads_tally")


class Migration(migrations.Migration):

    dependencies = [
        ('downloads', '0020_search'),
    ]

    operations = [
        migrations.RunPython(make, drop),
    ]
