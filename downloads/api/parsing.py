"""How bodies are read: JSON, said to be JSON. A form of another web site cannot say that without asking first."""

import json
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.parser import Parser


class JsonParser(Parser):
    """Reads a body strictly."""

    def parse_body(self, request: HttpRequest) -> Any:  # noqa: ANN401  whatever JSON holds
        """The JSON value.

        Raises:
            HttpError: 400 with a sentence, which the API answers as VALIDATION_ERROR.
        """
        if request.content_type != "application/json":
            raise HttpError(400, "Send the body as JSON, with the header Content-Type: application/json.")
        try:
            return json.loads(request.body)
        except RequestDataTooBig:
            raise HttpError(400, "The body is too large.") from None
        except (ValueError, RecursionError):
            raise HttpError(400, "The body is not valid JSON.") from None
