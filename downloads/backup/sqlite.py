"""The rows in SQLite: a file, copied by SQLite itself from one consistent state while others write."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from django.db import connection, connections

from downloads.backup.errors import BackupProblem

FILE = "db.sqlite3"


def dump(folder: Path) -> None:
    """Put all rows into files in this folder."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(folder / FILE)])


def load(folder: Path, applied: set[tuple[str, str]]) -> None:  # noqa: ARG001  the file has its tables in it
    """Put the file in the place of the database; what was there before stays beside it as `….before-restore`.

    Raises:
        BackupProblem: the file is damaged; nothing was changed.
    """
    place = Path(connection.settings_dict["NAME"])
    draft = place.with_name(f"{place.name}.restoring")
    shutil.copyfile(folder / FILE, draft)
    try:
        with closing(sqlite3.connect(draft)) as copy:
            [[verdict]] = copy.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        draft.unlink()
        raise BackupProblem(f"The database in the backup is damaged: {verdict}")
    connections.close_all()
    with closing(sqlite3.connect(place)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that all of it is in its one file
        [[tables]] = old.execute("SELECT count(*) FROM sqlite_master").fetchall()
    if tables:
        place.replace(place.with_name(f"{place.name}.before-restore"))
    for leftover in (f"{place.name}-wal", f"{place.name}-shm"):
        place.with_name(leftover).unlink(missing_ok=True)
    draft.replace(place)
