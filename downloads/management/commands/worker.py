"""`manage.py worker`: a process that downloads, of as many as there shall be, on as many machines."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from downie_project.version import VERSION
from downloads import actors, live
from downloads.management import processes

MOST = 100  # threads


class Command(BaseCommand):
    """Downloads until SIGTERM or Ctrl-C."""

    help = "Start a process that downloads, beside those that serve the web. Needs REDIS_URL and PostgreSQL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --concurrency."""
        parser.add_argument(
            *("--concurrency", "-c"),
            type=int,
            metavar="N",
            help=f"downloads at once in this process, 1 to {MOST} (default: as many as all workers together may take)",
        )

    def handle(self, *_: Any, concurrency: int | None, **__: Any) -> None:  # noqa: ANN401  Django's interface
        """Recover, download, and stop everything in order."""
        processes.refuse_unless_scaled("worker")
        if concurrency is not None and not 1 <= concurrency <= MOST:
            raise CommandError(f"--concurrency is a whole number from 1 to {MOST}.")
        asked_to_end = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: asked_to_end.set())
        live.start_loop()
        with processes.prepared(), processes.worker(self.stdout, concurrency):
            most = f"{concurrency} downloads at once" if concurrency else "as many downloads at once as all may"
            self.stdout.write(
                f"Downie Enhanced {VERSION}: the worker {actors.worker_name()} takes {most}. Stop it with Ctrl-C."
            )
            asked_to_end.wait()
        self.stdout.write("Stopped.")
