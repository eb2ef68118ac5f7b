"""The other form of every answer: `{"success", "data", "message", "timestamp"}`, for whoever asks for it."""

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from downloads.api.errors import STATUSES, error_response, timestamp
from downloads.api.examples import VALUES, error_example, example_of

MEDIA_TYPE = "application/vnd.downie.envelope+json"
PARAMETER = "envelope"
ENVELOPED_ERROR = "EnvelopedError"
WORDS = {"true": True, "1": True, "false": False, "0": False}
NEVER = frozenset({"/api/openapi.json", "/api/docs", "/api/redoc"})
# What can be answered at every address, because it is decided before the endpoint is asked
ANYWHERE = {
    400: ("Error", "The request cannot be understood, or is for another host."),
    401: ("Error", "A key or a login is needed."),
    403: ("Error", "The key has not the scope, or the request comes from another web site."),
    413: ("Error", "The body is too large."),
    422: ("InvalidInput", "The input is not valid."),
    429: ("Error", "Too many requests; `Retry-After` says how many seconds to wait."),
}
DONE = "Operation successful"
NOT_SO = "Not everything is as it should be; the data says what."
SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key. None is needed as long as none has been made; then only this machine may ask.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    "login": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "The login of an administrator, with Django's CSRF token in X-CSRFToken on what changes things.",
    },
}

GetResponse = Callable[[HttpRequest], HttpResponseBase]
Json = dict[str, Any]


def envelope(get_response: GetResponse) -> GetResponse:
    """Wrap what is JSON under /api; outside of all other middleware, so that their errors are wrapped as well."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith("/api/") or request.path_info in NEVER:
            return get_response(request)
        word = request.GET.get(PARAMETER, "false").lower()
        if word not in WORDS:
            sentence = "envelope must be true or false."
            fields = [{"field": PARAMETER, "message": sentence}]
            return error_response("VALIDATION_ERROR", sentence, status=422, errors=fields)
        response = get_response(request)
        patch_vary_headers(response, ["Accept"])
        is_wanted = WORDS[word] or request.get_preferred_type(["application/json", MEDIA_TYPE]) == MEDIA_TYPE
        return _wrapped(response) if is_wanted and _is_json(response) else response

    return middleware


def _is_json(response: HttpResponseBase) -> bool:
    """Whether this is an answer of the API, and no file that happens to be JSON."""
    kind = response.headers.get("Content-Type", "")
    return kind.startswith("application/json") and "Content-Disposition" not in response.headers


def _wrapped(response: HttpResponseBase) -> HttpResponseBase:
    if not isinstance(response, HttpResponse):
        return response
    body = json.loads(response.content)
    wrapped = _wrap(body, is_good=response.status_code < 400)  # noqa: PLR2004
    response.content = json.dumps(wrapped).encode()
    response.headers["Content-Type"] = MEDIA_TYPE
    if "Content-Length" in response.headers:
        response.headers["Content-Length"] = str(len(response.content))
    return response


def _wrap(body: Any, *, is_good: bool) -> Json:  # noqa: ANN401  whatever an endpoint answers
    """One of three: an error, an answer, or a report that says no (which is no error: it was asked for)."""
    if isinstance(body, dict) and "error_code" in body and not is_good:
        return _error(body)
    message = body.get("message") if isinstance(body, dict) else None
    return {
        "success": is_good,
        "data": body,
        "message": message or (DONE if is_good else NOT_SO),
        "timestamp": timestamp(),
    }


def _error(body: Json) -> Json:
    rest = {name: value for name, value in body.items() if name not in ("detail", "timestamp")}
    return {"success": False, "data": None, "message": body["detail"], "timestamp": body["timestamp"], **rest}


class EnvelopedApi(NinjaAPI):
    """An API whose document says that each answer comes in this form as well."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:  # noqa: ANN401  as in ninja
        """Build the document: both forms of each answer, and the parameter that chooses."""
        document = super().get_openapi_schema(**options)
        shapes = document["components"]["schemas"]
        shapes[ENVELOPED_ERROR] = _error_schema()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _describe(operation)
                _give_examples(operation, method, path, shapes)
        for shape in shapes.values():
            if "enum" in shape:
                shape.setdefault("examples", shape["enum"][:1])
        document["components"]["securitySchemes"] = SECURITY
        document["security"] = [{}, *({name: []} for name in SECURITY)]
        return document


def _give_examples(operation: Json, method: str, path: str, shapes: Json) -> None:
    """Show what each answer looks like, in both forms."""
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if "application/json" not in content:
            continue
        inner = content["application/json"]["schema"]
        plain = error_example(method, path, int(status)) if _is_error(inner) else example_of(inner, shapes)
        content["application/json"]["example"] = plain
        wrapped = _wrap(plain, is_good=int(status) < 400)  # noqa: PLR2004
        content[MEDIA_TYPE]["example"] = wrapped | {"timestamp": VALUES["timestamp"]}


def _describe(operation: Json) -> None:
    parameters = operation.setdefault("parameters", [])
    if any(parameter["name"] == PARAMETER for parameter in parameters):
        return  # one operation under two methods is one object
    parameters.append(
        {
            "in": "query",
            "name": PARAMETER,
            "required": False,
            "schema": {"type": "boolean", "default": False},
            "description": f"Wrap the answer; the same as `Accept: {MEDIA_TYPE}`.",
        }
    )
    for status, (shape, description) in ANYWHERE.items():
        content = {"application/json": {"schema": _named(shape)}}
        operation["responses"].setdefault(status, {"description": description, "content": content})
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if "application/json" in content and MEDIA_TYPE not in content:
            inner = content["application/json"]["schema"]
            is_good = int(status) < 400  # noqa: PLR2004
            wrapped = _named(ENVELOPED_ERROR) if _is_error(inner) else _schema(inner, is_good=is_good)
            response["content"] = content | {MEDIA_TYPE: {"schema": wrapped}}


def _named(shape: str) -> Json:
    return {"$ref": f"#/components/schemas/{shape}"}


def _is_error(schema: Json) -> bool:
    return schema in (_named("Error"), _named("InvalidInput"))


def _schema(data: Json, *, is_good: bool) -> Json:
    fields: Json = {
        "success": {"const": is_good},
        "data": data,
        "message": {"type": "string", "examples": [DONE]},
        "timestamp": {"type": "string", "examples": ["2025-01-30T10:00:00Z"]},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _error_schema() -> Json:
    schema = _schema({"type": "null"}, is_good=False)
    schema["properties"]["error_code"] = {"type": "string", "enum": sorted(STATUSES), "examples": ["TASK_NOT_FOUND"]}
    schema["required"].append("error_code")
    return schema
