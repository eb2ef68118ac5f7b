"""What the commands that run for long have in common: how their process begins and ends."""

import contextlib
import ctypes
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper
from django.db import OperationalError, connection

from downloads import live, recovery
from downloads.engine.ffmpeg import ToolMissing
from downloads.engine.process import EngineUnavailable
from downloads.installation import AlreadyRunning, lock_data_folder, migrate
from downloads.worker import Worker

M_ARENA_MAX = -8  # glibc's malloc.h


def refuse_unless_scaled(command: str) -> None:
    """Say what is missing where one process does everything.

    Raises:
        CommandError: there is no REDIS_URL.
    """
    if not settings.SCALED:
        raise CommandError(
            f"`manage.py {command}` is for many processes: set DATABASE_URL to a postgresql:// address and REDIS_URL, "
            "or start the whole service in one process with: manage.py serve"
        )


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Hold the data folder while the block runs, on a database that is up to date.

    Raises:
        CommandError: somebody else has the folder, or the database does not answer.
    """
    try:
        lock = lock_data_folder()
    except AlreadyRunning as error:
        raise CommandError(str(error)) from None
    _share_one_arena()
    with contextlib.closing(lock):
        try:
            _ask_the_database()
            migrate()
        except OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(f"The database cannot be reached, see DATABASE_URL: {reason}") from None
        yield


def _ask_the_database() -> None:
    """Connect once without the pool, which would not say what is wrong.

    Raises:
        OperationalError: it cannot be reached.
    """
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors:
            driver: Any = import_module("psycopg")  # which nobody needs on SQLite
            driver.connect(**connection.get_connection_params()).close()


def _share_one_arena() -> None:
    """Have all threads take memory from one heap (glibc): each would otherwise keep pieces of a heap of its own.

    2,000 downloads made a service hold 36 MB more, and 8 MB with one heap (`make soak`). Under Python's lock, threads
    rarely wait for it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library has no such thing
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


@contextlib.contextmanager
def working(concurrency: int | None = None) -> Iterator[None]:
    """Take so many downloads at once while the block runs, or as many as all may.

    Raises:
        CommandError: the engine does not start.
    """
    recovery.begin()
    worker = Worker(concurrency)
    try:
        worker.start()
    except (ToolMissing, EngineUnavailable) as error:
        raise CommandError(str(error)) from None
    try:
        yield
    finally:
        worker.stop()


@contextlib.contextmanager
def worker(stdout: OutputWrapper, concurrency: int | None = None) -> Iterator[None]:
    """Do that in a process that is asked to end by a signal, and say so then; a second signal forces.

    Raises:
        CommandError: the engine does not start.
    """
    try:
        with working(concurrency):
            try:
                yield
            finally:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                stdout.write("Stopping: downloads keep their bytes and go on with the next start.")
    finally:
        live.flush()
