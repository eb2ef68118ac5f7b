"""`manage.py update-engine`: a later yt-dlp, tried before it is used, and the way back."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from downloads.engine import releases, update
from downloads.engine.ffmpeg import ToolMissing, prepare_toolbox

INTERRUPTED = 130


class Command(BaseCommand):
    """A running service takes the new one with its next download; those that run go on with the old one."""

    help = (
        "Fetch the newest yt-dlp with pip into the data folder (the installation stays as it is), check it, and use "
        "it if it passes; otherwise nothing changes. Running services take it with their next download, without a "
        "restart. Exit status: 0 it is in use, or there is nothing newer; 1 it is not; 130 interrupted."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:  # noqa: ANN401  Django's interface
        """Django's own --version makes room for ours."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take at most one of three."""
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--version", default="", metavar="X", help="this version instead of the newest")
        choice.add_argument(
            "--rollback", action="store_true", help="go back to the one before, or to that of the installation"
        )
        choice.add_argument("--check", action="store_true", help="only check the one that is in use")

    def handle(self, *_: Any, version: str, rollback: bool, check: bool, **__: Any) -> None:  # noqa: ANN401  Django's interface
        """Do it."""
        try:
            if rollback:
                self._roll_back()
            elif check:
                self._check()
            else:
                self._update(version)
        except (update.UpdateFailed, ToolMissing) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"The folder {settings.UPDATES_DIR} cannot be used: {error.strerror}.") from None
        except KeyboardInterrupt:
            in_use = releases.choose(settings.UPDATES_DIR).version
            raise CommandError(f"Interrupted: yt-dlp {in_use} is in use.", returncode=INTERRUPTED) from None

    def _update(self, version: str) -> None:
        tools = prepare_toolbox(settings.TOOLS_DIR, settings.FFMPEG_DIR)
        new = update.update(settings.UPDATES_DIR, tools.folder, self.stdout.write, version)
        if new:
            self.stdout.write(f"yt-dlp {new.version} is in use from the next download on.")
        else:
            in_use = releases.choose(settings.UPDATES_DIR).version
            newer = "" if version else ", and pip finds nothing newer"
            self.stdout.write(f"yt-dlp {in_use} is in use already{newer}.")

    def _roll_back(self) -> None:
        now = update.roll_back(settings.UPDATES_DIR)
        self.stdout.write(f"yt-dlp {now.version} is in use from the next download on.")

    def _check(self) -> None:
        tools = prepare_toolbox(settings.TOOLS_DIR, settings.FFMPEG_DIR)
        release = releases.choose(settings.UPDATES_DIR)
        self.stdout.write(f"Checking yt-dlp {release.version} …")
        if not update.check(settings.UPDATES_DIR, tools.folder, self.stdout.write):
            cure = releases.CURE if release.folder else "A later one may: manage.py update-engine"
            raise CommandError(f"yt-dlp {release.version} does not pass the self-check. {cure}")
        self.stdout.write(f"yt-dlp {release.version} passes.")
