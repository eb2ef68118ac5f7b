"""What every library does, wherever its files are: a Django storage with the verbs of the last step of a download."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class OutsideLibrary(ValueError):
    """A name that leads out of the library: it is never followed."""


class LibraryUnreachable(OSError):
    """The library does not answer, or refuses; `str()` says what it said."""


@dataclass(frozen=True)
class Finished:
    """What a download came to: a file in the working folder, and by their suffixes (`.en.srt`) those that go beside it.

    No two suffixes differ in case alone.
    """

    file: Path
    beside: Mapping[str, Path] = field(default_factory=dict)


class Keep(Protocol):
    """Called every few seconds while files go into the library."""

    def __call__(self, fraction: float | None = None) -> None:
        """Keep the lease; `fraction` (0 to 1) says how much is there, where that takes long. What it raises ends it."""


Reserve = Callable[[str, Sequence[str]], bool]


class Library(Protocol):
    """Where finished files go. Names are relative to it, with `/` between folders.

    Each verb raises `LibraryUnreachable` where the library is elsewhere and cannot be asked.
    """

    def is_stored(self, name: str, size: int) -> bool:
        """Whether a whole file of this size is there under this name."""

    def is_taken(self, name: str) -> bool:
        """Whether anything is there under this name, be it the task's file or not."""

    def delete_stored(self, *names: str) -> None:
        """Delete a finished file and those beside it; one that is gone is no error.

        Raises:
            OutsideLibrary: a name leads there; what comes after it stays.
            OSError: a file cannot be deleted.
        """

    def store(self, task_id: str, finished: Finished, name: str, reserve: Reserve, keep: Keep) -> str:
        """Put a file there under the first free name, whole or not at all; nothing is ever overwritten.

        Those beside it get their names first, so that a file in its place has them all.

        Args:
            task_id: whose file it is.
            finished: the files; they stay in the working folder as well.
            name: the name that is wanted, with the folders that it is in. Where it is taken all get ` (2)` and so on.
            reserve: notes the names of the file and of those beside it in the row; False when another task has it.
            keep: see there.

        Raises:
            OutsideLibrary: the name leads there.
            ValueError: a suffix is none of a file beside another.
            OSError: the library cannot be written to, or is full.
        """

    def settle(self, task_id: str, name: str) -> None:
        """Make a stored file last, and leave nothing of its making."""

    def withdraw(self, task_id: str, names: Sequence[str], work_folder: Path) -> None:
        """Take back what an attempt has put there under these names, which were reserved for it.

        A stranger may have taken a name in the meantime: only what is known to be the task's own goes.
        """


class Bucket(Library, Protocol):
    """A library that is elsewhere."""

    def link(self, name: str, *, method: str, disposition: str, kind: str = "") -> str:
        """An address for everybody at which the file can be fetched for some hours."""

    def check(self) -> None:
        """Ask whether files can be brought there.

        Raises:
            LibraryUnreachable: they cannot.
        """

    def sweep(self, reserved: set[str]) -> None:
        """Throw away what attempts have left that nobody knows of any more; those of these names are still at work."""
