"""Answers that are kept while nothing is written: whoever asks for the same list again costs no query.

SQLite says for next to nothing whether anybody has written since. PostgreSQL has no such word for it; there each answer
is made anew.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from functools import cache, wraps
from http import HTTPStatus
from threading import Lock
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

MOST = 8  # answers
LONGEST = 128 * 1024  # bytes of one

View = Callable[..., HttpResponse]


class Writes:
    """A connection to SQLite that never writes, so that whatever was written was written by others."""

    def __init__(self, database: str) -> None:
        """Take its path."""
        self._lock = Lock()
        self._connection = sqlite3.connect(database, timeout=20, isolation_level=None, check_same_thread=False)

    def version(self) -> int:
        """Another number after each commit, whoever's it was (https://sqlite.org/pragma.html#pragma_data_version)."""
        with self._lock:
            found: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return found


class Kept:
    """The last answers, each by what it answers."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = Lock()
        self._answers: OrderedDict[Any, tuple[bytes, dict[str, str]]] = OrderedDict()

    def find(self, key: object) -> HttpResponse | None:
        """Give this answer again."""
        with self._lock:
            found = self._answers.get(key)
        return HttpResponse(found[0], headers=found[1]) if found else None

    def keep(self, key: object, response: HttpResponse) -> None:
        """Keep this one, and the oldest no longer."""
        if response.status_code != HTTPStatus.OK or len(response.content) > LONGEST:
            return
        with self._lock:
            self._answers[key] = response.content, dict(response.headers)
            while len(self._answers) > MOST:
                self._answers.popitem(last=False)


def kept_until_written(view: View) -> View:
    """For a view that says what is in the database and in the address, and nothing else.

    Who may ask is not its affair: that is seen to before.
    """
    answers = Kept()

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # noqa: ANN401  whatever it takes
        # What a transaction has written itself, others do not know before its end
        if connection.vendor != "sqlite" or connection.in_atomic_block:
            return view(request, *args, **kwargs)
        # Asked for before the answer is made: what is written meanwhile leads to another number
        database = connection.settings_dict["NAME"]
        key = database, _writes(database).version(), request.get_full_path()
        response = answers.find(key)
        if response is None:
            response = view(request, *args, **kwargs)
            answers.keep(key, response)
        return response

    return answered


@cache
def _writes(database: str) -> Writes:
    return Writes(database)
