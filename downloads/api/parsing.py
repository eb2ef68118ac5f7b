"""How bodies are read: JSON, said to be JSON. A form of another web site cannot say that without asking first."""

import json
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from ninja.parser import Parser


class BadBody(ValueError):
    """The body cannot be read. `str()` is one sentence; ninja wraps this into an error of its own, as its cause."""


class JsonParser(Parser):
    """Reads a body strictly: UTF-8, no key twice, no NaN, no text that no database could hold."""

    def parse_body(self, request: HttpRequest) -> Any:  # noqa: ANN401  whatever JSON holds
        """The JSON value.

        Raises:
            BadBody: with the cure.
        """
        if request.content_type != "application/json":
            raise BadBody("Send the body as JSON, with the header Content-Type: application/json.")
        try:
            text = request.body.decode()
            value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        except RequestDataTooBig:
            raise BadBody("The body is too large.") from None
        except BadBody:
            raise
        except (ValueError, RecursionError):
            raise BadBody("The body is not valid JSON in UTF-8.") from None
        if request.method in ("PATCH", "PUT") and not isinstance(
            value, dict
        ):  # pydantic would take a list for no change at all
            raise BadBody("The body must be a JSON object.")
        if "\\u" in text:
            _check_escapes(value)
        return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadBody("The body names a field twice.")
    return value


def _refuse_constant(_name: str) -> NoReturn:
    raise BadBody("The body is not valid JSON: it has a number that is none.")


def _check_escapes(value: Any) -> None:  # noqa: ANN401  whatever JSON holds
    """Refuse what only an escape can smuggle in: half of a surrogate pair, and NUL."""
    try:
        plain = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadBody("The body has a character in it that is none (half of a surrogate pair).") from None
    if b"\\u0000" in plain:
        raise BadBody("The body has a NUL character in it.")
