"""`manage.py backup`: all that an installation needs beside its library, in one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from downloads.backup import archive
from downloads.backup.errors import BackupProblem


class Command(BaseCommand):
    """The service may run meanwhile."""

    help = (
        "Write the database, the pictures, the secret key and the settings to one file; the service may run meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file's name."""
        parser.add_argument("file", type=Path, help="a new file, such as downie.tar.gz; it holds secrets")

    def handle(self, *_: Any, file: Path, **__: Any) -> None:  # noqa: ANN401  Django's interface
        """Make it."""
        try:
            archive.make(file)
        except BackupProblem as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(
            f"The backup is in {file} ({file.stat().st_size:,} bytes). It holds the secret key: keep it where nobody "
            "else can read it. The library is not in it."
        )
