"""Whether anything has been written since one last looked, for those who would read the same again and again.

SQLite says so for next to nothing. PostgreSQL has no such word for it.
"""

import sqlite3
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import TypeVar

from django.db import connection

Found = TypeVar("Found")


def version() -> tuple[str, int] | None:
    """Another one after each commit, whoever's it was; None where nobody tells.

    Nor inside of a transaction: what that has written itself, others do not know before its end. Whoever keeps what is
    read has to ask before: what is written meanwhile leads to another one then.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return None
    database = connection.settings_dict["NAME"]
    return database, _watch(database).version()


def until_written(find: Callable[[], Found]) -> Callable[[], Found]:
    """What `find` has found in the database, and nowhere else, for as long as nothing was written there."""
    last: tuple[tuple[str, int], Found] | None = None

    def found() -> Found:
        nonlocal last
        known, now = last, version()
        if now is None:
            return find()
        if known is None or known[0] != now:
            last = known = now, find()
        return known[1]

    return found


class _Watch:
    """A connection that never writes, so that whatever was written was written by others."""

    def __init__(self, database: str) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect(database, timeout=20, isolation_level=None, check_same_thread=False)

    def version(self) -> int:
        """https://sqlite.org/pragma.html#pragma_data_version."""
        with self._lock:
            found: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return found


@cache
def _watch(database: str) -> _Watch:
    return _Watch(database)
