"""Where bytes are: the working folder of each task, and the library with its finished files."""

import contextlib
import errno
import fcntl
import functools
import logging
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from downloads.engine.filenames import numbered, side_name
from downloads.engine.folders import FolderBusy, folder_lock

COPY_CHUNK = 4 * 1024 * 1024  # bytes
KEEP_EVERY = 2.0  # seconds between two signs of life while bytes are copied, or written to the disk
FOLDER_TRIES = 5
TRASH = ".trash-"
SOON_SHORT = 5 * 1024**3  # bytes that shall be free when all that runs is here; below that people are warned
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
# What a file system answers that has no hard links, or has them not between these two places
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}

logger = logging.getLogger(__name__)


class OutsideLibrary(ValueError):
    """A name that leads out of the library: it is never followed."""


@dataclass(frozen=True)
class Finished:
    """What a download came to: a file in the working folder, and by their suffixes (`.en.srt`) those that go beside it.

    No two suffixes differ in case alone.
    """

    file: Path
    beside: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Room:
    """How much is free where the library is, in bytes, and whether that is soon too little."""

    free_bytes: int
    is_short: bool


def room(bytes_to_come: int) -> Room:
    """How much room there is, when so many bytes are still on their way."""
    free = shutil.disk_usage(settings.LIBRARY_DIR).free
    return Room(free, free - bytes_to_come < SOON_SHORT)


def usable(bytes_to_come: int = 0) -> int:
    """How many bytes a new download may take, when those that run here will take so many still.

    Below 0 there is less than the floor, and nothing new may begin. The work folder and the library count alike, since
    a file has to get through both.
    """
    work = settings.WORK_DIR if settings.WORK_DIR.exists() else settings.DATA_DIR
    free = min(shutil.disk_usage(folder).free for folder in (work, settings.LIBRARY_DIR))
    left: int = free - settings.FREE_SPACE_FLOOR
    return left if left < 0 else max(left - bytes_to_come, 0)


def machine() -> str:
    """Which machine this is: the name of its work folder, made on the first start.

    Machines that share a work folder are one machine by that, and two work folders on one machine are two.
    """
    return _name_of(settings.WORK_DIR)


@functools.cache
def _name_of(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "machine").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several processes may start at once
        file.seek(0)
        name = file.read()
        if not name:
            name = f"{socket.gethostname()}-{secrets.token_hex(3)}"
            file.write(name)
        return name


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


def library_path(name: str) -> Path:
    """The file's path, proven to lie inside the library, wherever links on the way lead.

    Raises:
        OutsideLibrary: it does not.
    """
    library = _library()
    path = library / name
    if not name or path.name == ".." or not Path(os.path.realpath(path.parent)).is_relative_to(library):
        raise OutsideLibrary(f"{name!r} leads out of the library")
    return path


def _library() -> Path:
    library: Path = settings.LIBRARY_DIR.resolve()
    return library


def is_stored(name: str, size: int) -> bool:
    """Whether a whole file of this size is in the library under this name."""
    try:
        path = library_path(name)
        return path.is_file() and not path.is_symlink() and path.stat().st_size == size
    except (OutsideLibrary, OSError):
        return False


def is_taken(name: str) -> bool:
    """Whether anything is in the library under this name, be it the task's file or not."""
    with contextlib.suppress(OutsideLibrary):
        return os.path.lexists(library_path(name))
    return False


def delete_stored(*names: str) -> None:
    """Delete a finished file and those beside it, and the folders that are empty then; one that is gone is no error.

    Raises:
        OutsideLibrary: a name leads there; what comes after it stays.
        OSError: a file cannot be deleted.
    """
    for name in filter(None, names):
        path = library_path(name)
        path.unlink(missing_ok=True)
        _remove_empty_folders(path.parent)


def _remove_empty_folders(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not empty, or gone
        while folder != _library():
            folder.rmdir()
            folder = folder.parent


def store(
    task_id: str,
    finished: Finished,
    name: str,
    reserve: Callable[[str, Sequence[str]], bool],
    keep: Callable[[], None],
) -> str:
    """Put a file into the library under the first free name, whole or not at all; nothing is ever overwritten.

    Those beside it get their names first, so that a file in its place has them all. Their bytes are on the disk before
    they have a name; that the name is there as well is what `settle` is for.

    Args:
        task_id: whose file it is.
        finished: the files; they stay in the working folder as well.
        name: the name that is wanted, relative to the library, with the folders that it is in; they are made where they
            are missing. Where a name is taken, by a folder or a link too, all get ` (2)` and so on. Whether two names
            that differ in case alone are one is the file system's own opinion.
        reserve: notes the names of the file and of those beside it in the row; False when another task has it.
        keep: called every few seconds as long as it takes.

    Raises:
        OutsideLibrary: the name leads there.
        ValueError: a suffix is none of a file beside another.
        OSError: the library cannot be written to, or is full.
    """
    sources = [*finished.beside.values(), finished.file]
    drafts: list[Path] = []
    with contextlib.ExitStack() as stack:
        for candidate in numbered(name):
            beside = [side_name(candidate, suffix) for suffix in finished.beside]
            targets = [library_path(each) for each in (*beside, candidate)]
            if any(os.path.lexists(target) for target in targets) or not reserve(candidate, beside):
                continue
            folder = targets[-1].parent
            drafts = drafts or [stack.enter_context(_draft(task_id, source, folder, keep)) for source in sources]
            keep()
            if _place(drafts, targets):
                return candidate
    raise AssertionError("there is always a next number")


def settle(task_id: str, name: str) -> None:
    """Make a stored file last: its name is on the disk, and nothing of its making is left beside it."""
    folder = library_path(name).parent
    _remove_drafts(task_id, folder)
    for each in (folder, *folder.parents):
        _sync_folder(each)
        if each == _library():
            return


def withdraw(task_id: str, names: Sequence[str]) -> None:
    """Take back what an attempt has put into the library under these names, which were reserved for it.

    A stranger may have taken a name in the meantime: only a file with the size and the time of one in the task's
    working folder is the task's own, or an empty one, which holds a place where there are no hard links.
    """
    own = _marks(work_folder(task_id))
    for name in names:
        try:
            path = library_path(name)
            if path.is_file() and not path.is_symlink() and (_mark(path) in own or path.stat().st_size == 0):
                path.unlink()
            _remove_drafts(task_id, path.parent)
            _remove_empty_folders(path.parent)
        except (OSError, OutsideLibrary) as error:
            logger.warning("%r stays in the library: %s", name, error, extra={"task": task_id})


def _marks(folder: Path) -> set[tuple[int, int]]:
    with contextlib.suppress(FileNotFoundError):
        return {_mark(file) for file in folder.iterdir() if file.is_file()}
    return set()


def _mark(file: Path) -> tuple[int, int]:
    """By what a file is known, whether it is linked or copied: its size, and when it was written, in nanoseconds."""
    known = file.stat()
    return known.st_size, known.st_mtime_ns


def _remove_drafts(task_id: str, folder: Path) -> None:
    for draft in folder.glob(f".{task_id}-*.part"):
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _draft(task_id: str, source: Path, folder: Path, keep: Callable[[], None]) -> Iterator[Path]:
    """Have the file's bytes on the disk, in the folder where it is to be, under a name that nobody sees."""
    # A name of this attempt's own: a worker that was thought dead may still be writing to its draft.
    draft = folder / f".{task_id}-{secrets.token_hex(4)}.part"
    is_linked = _link_into(folder, source, draft)
    try:
        if not is_linked:
            _copy(source, draft, keep)
        _sync(draft, keep)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _link_into(folder: Path, source: Path, draft: Path) -> bool:
    """As `_link`, and make the folder; somebody may delete its last file in this moment, and so the folder."""
    for _ in range(FOLDER_TRIES - 1):
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # `mkdir` says either when one goes meanwhile
            _make_folders(folder)
            return _link(source, draft)
    _make_folders(folder)
    return _link(source, draft)


def _make_folders(folder: Path) -> None:
    """Make them within the library, but never that itself: its disk may be gone, and it would be made elsewhere."""
    if folder != _library():
        _make_folders(folder.parent)
        folder.mkdir(exist_ok=True)


def _place(drafts: Sequence[Path], targets: Sequence[Path]) -> bool:
    """Give each draft its name; False, and none has it, when somebody else took one in the meantime."""
    for number, (draft, target) in enumerate(zip(drafts, targets, strict=True)):
        if not _name(draft, target):
            for placed, name in zip(drafts[:number], targets, strict=False):
                placed.unlink(missing_ok=True)
                name.replace(placed)
            return False
    return True


def _name(draft: Path, target: Path) -> bool:
    """Give it this name as well, or instead where there are no hard links; False when the name is taken."""
    try:
        if not _link(draft, target):
            target.open("x").close()  # takes the name, so that nothing of others is overwritten
            draft.replace(target)
    except FileExistsError:
        return False
    return True


def _link(source: Path, target: Path) -> bool:
    """Whether there are hard links, and now this one too.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno in NO_LINKS:
            return False
        raise
    return True


def _copy(source: Path, draft: Path, keep: Callable[[], None]) -> None:
    told = time.monotonic()
    with source.open("rb") as reader, draft.open("xb") as writer:
        while chunk := reader.read(COPY_CHUNK):
            writer.write(chunk)
            if time.monotonic() - told > KEEP_EVERY:
                keep()
                told = time.monotonic()
    written = source.stat()
    os.utime(draft, ns=(written.st_atime_ns, written.st_mtime_ns))  # by which `withdraw` knows it


def _sync(file: Path, keep: Callable[[], None]) -> None:
    """Wait until the file's bytes are on the disk: about 0.5 s for each GiB that is not there yet on an SSD."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        syncing = thread.submit(_sync_now, file, os.O_RDONLY)
        while wait([syncing], timeout=KEEP_EVERY).not_done:
            keep()
        syncing.result()


def _sync_folder(folder: Path) -> None:
    try:
        _sync_now(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:  # some file systems know no such thing
        logger.info("A power cut may cost the newest names in %s: %s", folder, error)


def _sync_now(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
