"""The pictures of videos that the page shows: small JPEGs that the engine has made, one per task, served by us.

That of a look-up goes with its answer and is kept nowhere.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from django.conf import settings

from downloads.models import Task

MAX_BYTES: Final = 1024 * 1024
JPEG: Final = b"\xff\xd8\xff"


def path_of(task_id: str) -> Path:
    """Where the picture of a task is; it need not exist."""
    path: Path = settings.PICTURES_DIR / f"{task_id}.jpg"
    return path


def made(source: Path) -> bytes | None:
    """The picture that a child has made; None when it is none, or too large.

    Raises:
        OSError: it cannot be read.
    """
    with source.open("rb") as file:
        picture = file.read(MAX_BYTES + 1)
    return picture if len(picture) <= MAX_BYTES and picture.startswith(JPEG) else None


def keep(task_id: str, source: Path) -> bool:
    """Keep a picture that a child has made; False when it is none, or too large, or cannot be kept."""
    try:
        picture = made(source)
        if picture is None:
            return False
        settings.PICTURES_DIR.mkdir(exist_ok=True)
        draft = path_of(task_id).with_suffix(f".{os.getpid()}")
        draft.write_bytes(picture)
        draft.replace(path_of(task_id))
    except OSError:
        return False  # a download without a picture is as good
    return True


def read(task_id: str) -> bytes | None:
    """The picture of a task, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        return path_of(task_id).read_bytes()
    return None


def discard(task_ids: Iterable[str]) -> None:
    """Throw the pictures of these away."""
    for task_id in task_ids:
        path_of(task_id).unlink(missing_ok=True)


def sweep() -> None:
    """Throw away the pictures of tasks that are gone, and what a crash has left."""
    with contextlib.suppress(FileNotFoundError):
        found = {path.stem: path for path in settings.PICTURES_DIR.iterdir()}
        ids = sorted(found)
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            there = set(Task.objects.filter(pk__in=some, has_picture=True).values_list("pk", flat=True))
            for task_id in set(some) - there:
                found[task_id].unlink(missing_ok=True)
