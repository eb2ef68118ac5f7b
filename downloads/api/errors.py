"""Errors as the API says them: `detail` for people, `error_code` for programs, `timestamp`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from downloads.api.parsing import BadBody
from downloads.refusals import Refused

STATUSES = {
    "BAD_REQUEST": 400,
    "INVALID_URL": 400,
    "UNSUPPORTED_SITE": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "FORBIDDEN_ORIGIN": 403,
    "NOT_FOUND": 404,
    "TASK_NOT_FOUND": 404,
    "FILE_NOT_FOUND": 404,
    "PRESET_NOT_FOUND": 404,
    "WEBHOOK_NOT_FOUND": 404,
    "DELIVERY_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "FILE_NOT_PLAYABLE": 409,
    "TASK_ALREADY_RUNNING": 409,
    "TASK_ALREADY_COMPLETED": 409,
    "TASK_NOT_ACTIVE": 409,
    "TASK_NOT_COMPLETED": 409,
    "TASK_NOT_PAUSABLE": 409,
    "TASK_NOT_PAUSED": 409,
    "TASK_NOT_RETRYABLE": 409,
    "TASK_NOT_EDITABLE": 409,
    "TASK_NOT_LIVE": 409,
    "IDEMPOTENCY_KEY_REUSED": 409,
    "WEBHOOK_INACTIVE": 409,
    "TOO_MANY_PRESETS": 409,
    "TOO_MANY_WEBHOOKS": 409,
    "VALIDATION_ERROR": 422,
    "RATE_LIMITED": 429,
    "EXTRACTION_FAILED": 500,
    "DOWNLOAD_FAILED": 500,
    "PROCESSING_FAILED": 500,
    "INTERNAL_ERROR": 500,
    "LIBRARY_UNREACHABLE": 503,
}


def timestamp() -> str:
    """Now, in ISO 8601 and UTC with `Z`."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def error_response(code: str, detail: str, *, status: int, errors: list[dict[str, str]] | None = None) -> HttpResponse:
    """An error in the API's shape; `errors` names the fields of bad input."""
    body: dict[str, Any] = {"detail": detail, "error_code": code, "timestamp": timestamp()}
    if errors is not None:
        body["errors"] = errors
    return JsonResponse(body, status=status)


def handle_errors(api: NinjaAPI) -> None:
    """Let the API answer every refusal and every piece of bad input in its shape."""

    @api.exception_handler(Refused)
    def refused(_request: HttpRequest, error: Refused) -> HttpResponse:
        fields = [{"field": error.field, "message": str(error)}] if error.code == "VALIDATION_ERROR" else None
        response = error_response(error.code, str(error), status=STATUSES[error.code], errors=fields)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    @api.exception_handler(ValidationError)
    def invalid(_request: HttpRequest, error: ValidationError) -> HttpResponse:
        fields = [_field(item) for item in error.errors]
        return error_response("VALIDATION_ERROR", sentence_of(error.errors[0]), status=422, errors=fields)

    @api.exception_handler(HttpError)
    def unreadable(_request: HttpRequest, error: HttpError) -> HttpResponse:
        if not isinstance(error.__cause__, BadBody):
            raise error
        return error_response("VALIDATION_ERROR", str(error.__cause__), status=422, errors=[])


def sentence_of(item: Mapping[str, Any]) -> str:
    """What pydantic says about one wrong field, as a sentence."""
    wrong = _field(item)
    return f"{wrong['field']}: {wrong['message']}." if wrong["field"] else f"{wrong['message']}."


def _field(item: Mapping[str, Any]) -> dict[str, str]:
    """One wrong field; what was sent is not repeated, since it may be a cookie."""
    place = [str(part) for part in item["loc"] if part not in ("body", "query", "path", "payload")]
    message = str(item["msg"]).removeprefix("Value error, ").rstrip(".")
    return {"field": ".".join(place), "message": message}
