"""The lock of a task's working folder: whoever holds it may touch what is inside, and it dies with its holder."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

LOCK_NAME = "lock"


class FolderBusy(Exception):
    """Somebody else holds the folder."""


@contextlib.contextmanager
def folder_lock(folder: Path, limit: float) -> Iterator[None]:
    """Hold the folder while the block runs; it is made where it is missing.

    Raises:
        FolderBusy: somebody else held it for `limit` seconds.
    """
    deadline = time.monotonic() + limit
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOCK_NAME
        try:
            file = path.open("w")
        except FileNotFoundError:
            continue  # thrown away in this moment
        with file:
            if _take(file.fileno(), deadline) and _is_still(path, file.fileno()):
                yield
                return


def _take(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise FolderBusy from None
            time.sleep(0.05)
        else:
            return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the lock that we hold is the one in the folder: its last holder may have thrown the folder away."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
