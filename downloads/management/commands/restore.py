"""`manage.py restore`: bring back what `manage.py backup` has written."""

import contextlib
import fcntl
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from downloads.backup import archive
from downloads.backup.errors import BackupProblem
from downloads.installation import AlreadyRunning, lock_data_folder


class Command(BaseCommand):
    """Only while the service does not run."""

    help = "Bring back a backup, also one of an older version; the service must not run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file's name, and whether what is there may go."""
        parser.add_argument("file", type=Path, help="what manage.py backup has written")
        parser.add_argument("--overwrite", action="store_true", help="replace the tasks and settings that are there")

    def handle(self, *_: Any, file: Path, overwrite: bool, **__: Any) -> None:  # noqa: ANN401  Django's interface
        """Bring it back."""
        try:
            with contextlib.closing(lock_data_folder()) as lock:
                _alone(lock)
                contents = archive.restore(file, overwrite=overwrite)
        except (AlreadyRunning, BackupProblem) as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(
            f"Restored what version {contents.version} had on {contents.made_at}. The settings of then are in "
            f"{settings.DATA_DIR / archive.RESTORED_SETTINGS}, for you to compare; nothing reads them."
        )


def _alone(lock: IO[str]) -> None:
    """Hold the data folder alone, also where many processes share it.

    Raises:
        AlreadyRunning: others have it.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning("Web processes or workers run on this data folder: stop them all first.") from None
