"""The library in a folder of this machine."""

import contextlib
import errno
import logging
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage

from downloads.engine.filenames import numbered, side_name
from downloads.library.contract import Finished, Keep, OutsideLibrary, Reserve

COPY_CHUNK = 4 * 1024 * 1024  # bytes
KEEP_EVERY = 2.0  # seconds between two signs of life while bytes are copied, or written to the disk
FOLDER_TRIES = 5
# What a file system answers that has no hard links, or has them not between these two places
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}

logger = logging.getLogger(__name__)


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


def _names_beside(name: str) -> set[str]:
    """Everything that is in the folder of this name, named as it is: from the library's own folder."""
    folder = os.path.dirname(name)  # noqa: PTH120  a name, no path
    with contextlib.suppress(FileNotFoundError):
        return {os.path.join(folder, each) for each in os.listdir(library_path(name).parent)}  # noqa: PTH118, PTH208
    return set()


class LocalLibrary(FileSystemStorage):
    """The folder `LIBRARY_DIR`. Where it is on the file system of the working folders, nothing is copied."""

    @property
    def base_location(self) -> str:
        """The folder, as the settings name it."""
        return str(settings.LIBRARY_DIR)

    @property
    def location(self) -> str:
        """The same, without links."""
        return str(_library())

    def is_stored(self, name: str, size: int) -> bool:
        """See `Library`."""
        try:
            path = library_path(name)
            return path.is_file() and not path.is_symlink() and path.stat().st_size == size
        except (OutsideLibrary, OSError):
            return False

    def is_taken(self, name: str) -> bool:
        """See `Library`."""
        with contextlib.suppress(OutsideLibrary):
            return os.path.lexists(library_path(name))
        return False

    def delete_stored(self, *names: str) -> None:
        """Delete these, and the folders that are empty then; see `Library`."""
        for name in filter(None, names):
            path = library_path(name)
            path.unlink(missing_ok=True)
            _remove_empty_folders(path.parent)

    def store(self, task_id: str, finished: Finished, name: str, reserve: Reserve, keep: Keep) -> str:
        """Put files there by a link or by a copy; see `Library`.

        Their bytes are on the disk before they have a name; that the name is there as well is what `settle` is for.
        Folders are made where they are missing. A folder or a link takes a name, too; whether two names that differ in
        case alone are one is the file system's own opinion.
        """
        sources = [*finished.beside.values(), finished.file]
        drafts: list[Path] = []
        with contextlib.ExitStack() as stack:
            for candidate in numbered(name, lambda: _names_beside(name)):
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

    def settle(self, task_id: str, name: str) -> None:
        """See that the name is on the disk, and that nothing of its making is left beside it."""
        folder = library_path(name).parent
        _remove_drafts(task_id, folder)
        for each in (folder, *folder.parents):
            _sync_folder(each)
            if each == _library():
                return

    def withdraw(self, task_id: str, names: Sequence[str], work_folder: Path) -> None:
        """Take back what has the size and the time of a file in the task's working folder; see `Library`.

        So goes an empty file, which holds a place where there are no hard links.
        """
        own = _marks(work_folder)
        for name in names:
            try:
                path = library_path(name)
                if path.is_file() and not path.is_symlink() and (_mark(path) in own or path.stat().st_size == 0):
                    path.unlink()
                _remove_drafts(task_id, path.parent)
                _remove_empty_folders(path.parent)
            except (OSError, OutsideLibrary) as error:
                logger.warning("%r stays in the library: %s", name, error, extra={"task": task_id})


def _remove_empty_folders(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not empty, or gone
        while folder != _library():
            folder.rmdir()
            folder = folder.parent


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
def _draft(task_id: str, source: Path, folder: Path, keep: Keep) -> Iterator[Path]:
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
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # the latter where it goes while it is made
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


def _copy(source: Path, draft: Path, keep: Keep) -> None:
    told = time.monotonic()
    with source.open("rb") as reader, draft.open("xb") as writer:
        while chunk := reader.read(COPY_CHUNK):
            writer.write(chunk)
            if time.monotonic() - told > KEEP_EVERY:
                keep()
                told = time.monotonic()
    written = source.stat()
    os.utime(draft, ns=(written.st_atime_ns, written.st_mtime_ns))  # by which `withdraw` knows it


def _sync(file: Path, keep: Keep) -> None:
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
