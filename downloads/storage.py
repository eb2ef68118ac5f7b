"""The working folder of each task, and how much room there is."""

import contextlib
import errno
import fcntl
import functools
import secrets
import shutil
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from downloads.engine.folders import FolderBusy, folder_lock
from downloads.library import is_remote

TRASH = ".trash-"
SOON_SHORT = 5 * 1024**3  # bytes that shall be free when all that runs is here; below that people are warned
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Room:
    """How much is free where files go, in bytes, and whether that is soon too little."""

    free_bytes: int
    is_short: bool


def room(bytes_to_come: int) -> Room:
    """How much room there is, when so many bytes are still on their way."""
    free = _free()
    return Room(free, free - bytes_to_come < SOON_SHORT)


def usable(bytes_to_come: int = 0) -> int:
    """How many bytes a new download may take, when those that run here will take so many still.

    Below 0 there is less than the floor, and nothing new may begin. The work folder and the library count alike, since
    a file has to get through both.
    """
    left: int = _free() - settings.FREE_SPACE_FLOOR
    return left if left < 0 else max(left - bytes_to_come, 0)


def machine() -> str:
    """Which machine this is: the name of its data folder, made on the first start.

    Machines that share a data folder are one machine by that, and two data folders on one machine are two.
    """
    return _name_of(settings.DATA_DIR)


@functools.cache
def _name_of(folder: Path) -> str:
    with (folder / "machine").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several processes may start at once
        file.seek(0)
        name = file.read()
        if not name:
            name = f"{socket.gethostname()}-{secrets.token_hex(3)}"
            file.write(name)
        return name


def _free() -> int:
    work = settings.WORK_DIR if settings.WORK_DIR.exists() else settings.DATA_DIR
    folders = [work] if is_remote() else [work, settings.LIBRARY_DIR]
    return min(shutil.disk_usage(folder).free for folder in folders)


def work_folder(task_id: str) -> Path:
    """Where the partial files of a task are; it need not exist."""
    folder: Path = settings.WORK_DIR / task_id
    return folder


def discard(task_id: str) -> bool:
    """Throw away what a task has in its working folder; False when a process still holds that."""
    return discard_all([task_id])


def discard_all(task_ids: Collection[str]) -> bool:
    """Do that for many; False when a process still holds one of the folders."""
    are_free = [_discard_folder(task_id) for task_id in task_ids]
    return all(are_free)


def _discard_folder(task_id: str) -> bool:
    folder = work_folder(task_id)
    if not folder.exists():
        return True
    trash = folder.with_name(f"{TRASH}{task_id}-{secrets.token_hex(4)}")
    try:
        with folder_lock(folder, limit=1.0):
            folder.rename(trash)
    except FolderBusy:
        return False
    shutil.rmtree(trash, ignore_errors=True)
    return True


def is_held(task_id: str) -> bool:
    """Whether a process of this task is still alive."""
    if not work_folder(task_id).exists():
        return False
    try:
        with folder_lock(work_folder(task_id), limit=0):
            return False
    except FolderBusy:
        return True


def leftovers() -> Iterator[str]:
    """The ids of all tasks that have a working folder; trash that a crash left is emptied on the way."""
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(settings.WORK_DIR.iterdir()):
            if folder.name.startswith(TRASH):
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir():
                yield folder.name
