"""What a process does with its installation before it works: it takes the data folder, and migrates the database."""

import fcntl
from typing import IO

from django.conf import settings
from django.core.management import call_command
from django.db import connection

MIGRATIONS = 7_002  # the number of a lock in PostgreSQL


class AlreadyRunning(Exception):
    """Another service has this data folder. `str()` is one sentence for people."""


def lock_data_folder() -> IO[str]:
    """Take the data folder; it is ours until the file is closed or the process ends.

    With many processes all of them share it, but not with a service that is one process.

    Raises:
        AlreadyRunning: somebody else has it.
    """
    path = settings.DATA_DIR / "service.lock"
    file = path.open("w")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if settings.SCALED else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunning(
            f"Another Downie Enhanced is running on the data folder {settings.DATA_DIR}: stop it first, "
            "or give this one a folder of its own in DOWNIE_DATA_DIR."
        ) from None
    return file


def migrate() -> None:
    """Bring the database up to date; of several processes that start at once one does it, and the others wait."""
    if connection.vendor != "postgresql":
        call_command("migrate", verbosity=0)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATIONS])
        try:
            call_command("migrate", verbosity=0)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATIONS])
