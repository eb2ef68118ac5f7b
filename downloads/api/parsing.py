"""How bodies are read: JSON, said to be JSON. A form of another web site cannot say that without asking first."""

import json
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from ninja.parser import Parser


class BadBody(ValueError):
    """The body cannot be read. `str()` is one sentence; ninja wraps this into an error of its own, as its cause."""


class JsonParser(Parser):
    """Reads a body strictly."""

    def parse_body(self, request: HttpRequest) -> Any:  # noqa: ANN401  whatever JSON holds
        """The JSON value.

        Raises:
            BadBody: with the cure.
        """
        if request.content_type != "application/json":
            raise BadBody("Send the body as JSON, with the header Content-Type: application/json.")
        try:
            return json.loads(request.body)
        except RequestDataTooBig:
            raise BadBody("The body is too large.") from None
        except (ValueError, RecursionError):
            raise BadBody("The body is not valid JSON.") from None
