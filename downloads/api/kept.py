"""Answers that are kept while nothing is written: whoever asks for the same list again costs no query.

On PostgreSQL, which does not tell, each answer is made anew.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse

from downloads import writes

MOST = 8  # answers
LONGEST = 128 * 1024  # bytes of one

View = Callable[..., HttpResponse]


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
        version = writes.version()
        if version is None:
            return view(request, *args, **kwargs)
        key = version, request.get_full_path()
        response = answers.find(key)
        if response is None:
            response = view(request, *args, **kwargs)
            answers.keep(key, response)
        return response

    return answered
