"""Where bytes are: the working folder of each task, and the library with its finished files."""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from downloads.engine.filenames import numbered
from downloads.engine.folders import FolderBusy, folder_lock

COPY_CHUNK = 4 * 1024 * 1024  # bytes
KEEP_EVERY = 2.0  # seconds between two signs of life while a file is copied
TRASH = ".trash-"
SOON_SHORT = 5 * 1024**3  # bytes that shall be free when all that runs is here; below that people are warned
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
# What a file system answers that has no hard links, or has them not between these two places
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


class OutsideLibrary(Exception):
    """A name that leads out of the library: it is never followed."""


@dataclass(frozen=True)
class Room:
    """How much is free where the library is, in bytes, and whether that is soon too little."""

    free_bytes: int
    is_short: bool


def room(bytes_to_come: int) -> Room:
    """How much room there is, when so many bytes are still on their way."""
    free = shutil.disk_usage(settings.LIBRARY_DIR).free
    return Room(free, free - bytes_to_come < SOON_SHORT)


def work_folder(task_id: str) -> Path:
    """Where the partial files of a task are; it need not exist."""
    folder: Path = settings.WORK_DIR / task_id
    return folder


def discard(task_id: str) -> bool:
    """Throw away what a task has on disk beside its finished file; False when a process still holds the folder."""
    return discard_all([task_id])


def discard_all(task_ids: Collection[str]) -> bool:
    """Do that for many, with one look into the library; False when a process still holds one of the folders."""
    for draft in settings.LIBRARY_DIR.glob(".*-*.part"):
        if draft.name[1:].partition("-")[0] in task_ids:
            draft.unlink(missing_ok=True)
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


def library_path(name: str) -> Path:
    """The file's path, proven to lie inside the library.

    Raises:
        OutsideLibrary: it does not.
    """
    library = settings.LIBRARY_DIR.resolve()
    path: Path = library / name
    if not name or path.name == ".." or not path.parent.resolve().is_relative_to(library):
        raise OutsideLibrary(name)
    return path


def is_stored(name: str, size: int) -> bool:
    """Whether a whole file of this size is in the library under this name."""
    try:
        path = library_path(name)
        return path.is_file() and not path.is_symlink() and path.stat().st_size == size
    except (OutsideLibrary, OSError):
        return False


def delete_stored(name: str) -> None:
    """Delete a finished file; one that is gone already is no error."""
    if name:
        library_path(name).unlink(missing_ok=True)


def store(task_id: str, source: Path, name: str, reserve: Callable[[str], bool], keep: Callable[[], None]) -> str:
    """Put the file into the library under the first free name, whole or not at all; nothing is ever overwritten.

    Args:
        task_id: whose file it is.
        source: the finished file in the working folder; it stays there as well.
        name: the name that is wanted; a taken one gets ` (2)` and so on.
        reserve: notes the name in the row; False when another task has it.
        keep: called every few seconds while a long copy is made.

    Raises:
        OSError: the library cannot be written to, or is full.
    """
    for candidate in numbered(name):
        target = library_path(candidate)
        if not os.path.lexists(target) and reserve(candidate) and _place(task_id, source, target, keep):
            return candidate
    raise AssertionError("there is always a next number")


def _place(task_id: str, source: Path, target: Path, keep: Callable[[], None]) -> bool:
    """Give the file its final name; False when somebody else took that in the meantime."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
    else:
        return True
    # A name of this attempt's own: a worker that was thought dead may still be writing to its draft.
    draft: Path = settings.LIBRARY_DIR / f".{task_id}-{secrets.token_hex(4)}.part"
    try:
        _copy(source, draft, keep)
        return _rename(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _rename(draft: Path, target: Path) -> bool:
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # No hard links at all: an empty file takes the name first, so that nothing of others is overwritten.
        try:
            target.open("x").close()
        except FileExistsError:
            return False
        draft.replace(target)
    return True


def _copy(source: Path, draft: Path, keep: Callable[[], None]) -> None:
    told = time.monotonic()
    with source.open("rb") as reader, draft.open("xb") as writer:
        while chunk := reader.read(COPY_CHUNK):
            writer.write(chunk)
            if time.monotonic() - told > KEEP_EVERY:
                keep()
                told = time.monotonic()
