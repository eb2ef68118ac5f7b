"""`manage.py restore`: bring back what `manage.py backup` has written."""

import contextlib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

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
            with contextlib.closing(lock_data_folder()):
                contents = archive.restore(file, overwrite=overwrite)
        except (AlreadyRunning, BackupProblem) as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(
            f"Restored what version {contents.version} had on {contents.made_at}. The settings of then are in "
            f"{settings.DATA_DIR / archive.RESTORED_SETTINGS}, for you to compare; nothing reads them."
        )
