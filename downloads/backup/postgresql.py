"""The rows in PostgreSQL: COPY of each table from one snapshot, and back into tables that our own migrations make.

That needs no pg_dump beside us, whose version would have to be the server's.
"""

from pathlib import Path

from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from psycopg.sql import SQL, Composed, Identifier

from downloads.backup.errors import BackupProblem

CHUNK = 1024 * 1024  # bytes
KEPT_BY_TRIGGERS = {"downloads_tally"}  # which make it again while the rows come back


def dump(folder: Path) -> None:
    """Put all rows into files in this folder: one per table, with its columns in the first line."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in set(_tables()) - KEPT_BY_TRIGGERS:
            columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
            with (folder / table).open("wb") as file, cursor.copy(_copy(table, columns, "TO STDOUT")) as rows:
                file.write(f"{','.join(columns)}\n".encode())
                for piece in rows:
                    file.write(piece)


def load(folder: Path, applied: set[tuple[str, str]]) -> None:
    """Make the tables as they were when these migrations were applied, and fill them; all of it or nothing.

    Raises:
        BackupProblem: others use the database, or it does not take the rows; nothing was changed.
    """
    if _others():
        raise BackupProblem("Other programs use the database: stop every web process and worker, then try again.")
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            for table in _tables():
                cursor.execute(SQL("DROP TABLE {} CASCADE").format(Identifier(table)))
            executor = MigrationExecutor(connection)
            executor.migrate(_last_of(executor, applied))
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # or else rows that migrations have made hold up the next
            cursor.execute(SQL("TRUNCATE {}").format(SQL(", ").join(map(Identifier, _tables()))))
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for file in sorted(folder.iterdir()):
                _fill(file)
    except DatabaseError as error:
        raise BackupProblem(f"The database does not take what is in the backup, and is as it was: {error}") from error


def _fill(source: Path) -> None:
    table = source.name
    with source.open("rb") as file, connection.cursor() as cursor:
        columns = file.readline().decode().strip().split(",")
        with cursor.copy(_copy(table, columns, "FROM STDIN")) as rows:
            while piece := file.read(CHUNK):
                rows.write(piece)
        for sequence in connection.introspection.get_sequences(cursor, table):
            column = Identifier(sequence["column"])
            cursor.execute(
                SQL(
                    "SELECT setval(pg_get_serial_sequence(%s, %s), coalesce(max({}), 1), max({}) IS NOT NULL) FROM {}"
                ).format(column, column, Identifier(table)),
                [f'"{table}"', sequence["column"]],
            )


def _copy(table: str, columns: list[str], where: str) -> Composed:
    names = SQL(", ").join(map(Identifier, columns))
    return SQL("COPY {} ({}) {}").format(Identifier(table), names, SQL(where))


def _tables() -> list[str]:
    """Every table of ours that there is, also those of a version whose models are gone by now."""
    present = connection.introspection.table_names()
    known = {*connection.introspection.django_table_names(), MigrationRecorder.Migration._meta.db_table}  # noqa: SLF001
    return sorted(table for table in present if table in known or table.startswith("downloads_"))


def _last_of(executor: MigrationExecutor, applied: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The last of these migrations of each app: those before it come with it."""
    nodes = executor.loader.graph.node_map
    return [
        key
        for key in sorted(applied)
        if not any(child.key in applied and child.key[0] == key[0] for child in nodes[key].children)
    ]


def _others() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        [count] = cursor.fetchone()
    return int(count)
