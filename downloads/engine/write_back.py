"""A large file is written to the disk while it comes, instead of at its end, when everybody waits for it."""

import os
import threading
from io import FileIO
from pathlib import Path
from typing import Final

STEP: Final = 16 * 1024 * 1024  # bytes: fewer are left until the end


class WriteBack:
    """Has what has come of one file written to the disk, from a thread of its own. For one thread."""

    def __init__(self, path: Path) -> None:
        """Write back the file at this path, which is there."""
        self._path = path
        self._behind = 0
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def grow(self, amount: int) -> None:
        """So many bytes more have come.

        Raises:
            OSError: the disk does not take them. It says so only once.
        """
        self._behind += amount
        if self._behind >= STEP and not (self._thread and self._thread.is_alive()):
            self.end()
            self.begin()

    def begin(self) -> None:
        """Write all that is there, whatever the file is called later.

        Raises:
            OSError: it cannot be opened.
        """
        self._behind = 0
        file = self._path.open("r+b", buffering=0)
        self._thread = threading.Thread(target=self._write, args=(file,), name="write back", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait for what is being written.

        Raises:
            OSError: as above.
        """
        if self._thread:
            self._thread.join()
        if self._error:
            raise self._error

    def _write(self, file: FileIO) -> None:
        try:
            with file:
                os.fsync(file.fileno())
        except OSError as error:
            self._error = error
