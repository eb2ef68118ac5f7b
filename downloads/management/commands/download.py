"""`manage.py download URL…`: add, run and follow from the terminal."""

import contextlib
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from downloads import operations
from downloads.engine.formats import PostProcessing, Quality
from downloads.installation import AlreadyRunning, lock_data_folder, migrate
from downloads.management import processes, wishes
from downloads.models import Task
from downloads.operations import Wish
from downloads.refusals import Refused
from downloads.states import FINISHED, Status

LOOK_EVERY = 0.25  # seconds
BAD_INPUT, NOT_ALL_COMPLETED, INTERRUPTED = 2, 1, 130


class Command(BaseCommand):
    """Beside a running service this only adds, starts and follows; alone it runs the downloads itself."""

    help = (
        "Download videos. Exit status: 0 all completed, 1 at least one failed or was cancelled, "
        "2 bad input, 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take links, and the same choices as the page."""
        parser.add_argument("urls", nargs="+", metavar="URL")
        parser.add_argument("--preset", default="", help="what is left out is as this preset says")
        parser.add_argument("--quality", choices=list(Quality), type=Quality)
        parser.add_argument("--post-processing", choices=list(PostProcessing), type=PostProcessing)
        wishes.add_arguments(parser)

    def handle(self, *_: Any, urls: list[str], preset: str, **said: Any) -> None:  # noqa: ANN401  Django's interface
        """Do it all."""
        console = Console()
        with self._somebody_who_runs(console):
            tasks = [
                self._add(
                    Wish(
                        url=url,
                        preset=preset,
                        quality=said["quality"],
                        post_processing=said["post_processing"],
                        choices=wishes.choices_of(said),
                    )
                )
                for url in urls
            ]
            for task in tasks:
                operations.start(task.id)
            try:
                ended = self._follow(console, tasks)
            except KeyboardInterrupt:
                raise CommandError(
                    "Interrupted. The downloads keep their bytes and go on in the running service, "
                    "or with its next start.",
                    returncode=INTERRUPTED,
                ) from None
        self._report(console, ended)
        if any(task.status != Status.COMPLETED for task in ended):
            raise SystemExit(NOT_ALL_COMPLETED)

    @contextlib.contextmanager
    def _somebody_who_runs(self, console: Console) -> Iterator[None]:
        """Run a worker for as long as the block lasts, unless a service on the same data folder has one."""
        if settings.SCALED:
            console.print("The workers of this installation do the work.", style="dim")
            yield
            return
        try:
            lock = lock_data_folder()
        except AlreadyRunning:
            console.print("A service is running on this data folder; it does the work.", style="dim")
            yield
            return
        with contextlib.closing(lock):
            migrate()
            with processes.working():
                yield

    def _add(self, wish: Wish) -> Task:
        try:
            return operations.add(wish).task
        except Refused as error:
            raise CommandError(f"{wish.url}: {error}", returncode=BAD_INPUT) from None

    def _follow(self, console: Console, tasks: list[Task]) -> list[Task]:
        """Show a bar for each task until all have ended; the tasks as they are then."""
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f}%"),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            bars = {task.id: progress.add_task(_description(task), total=None) for task in tasks}
            while True:
                current = list(Task.objects.filter(pk__in=bars))
                for task in current:
                    progress.update(
                        bars[task.id],
                        description=_description(task),
                        completed=task.downloaded_bytes,
                        total=task.total_bytes or None,
                    )
                if all(task.status in FINISHED for task in current):
                    return current
                time.sleep(LOOK_EVERY)

    def _report(self, console: Console, tasks: list[Task]) -> None:
        for task in tasks:
            if task.status == Status.COMPLETED:
                console.print(f"[green]✓[/green] {escape(task.file_name or str(task))}")
            else:
                console.print(f"[red]✗[/red] {escape(str(task))}: {escape(task.error_message or task.status)}")


def _description(task: Task) -> str:
    name = str(task)
    return escape(name if len(name) <= 40 else name[:39] + "…")  # noqa: PLR2004  fits beside the bar
