"""What holds for every request."""

from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from downloads.api.errors import error_response
from downloads.origins import request_is_ours

GetResponse = Callable[[HttpRequest], HttpResponseBase]

# What Django answers by itself under /api, said as the API says it
SENTENCES = {
    400: ("BAD_REQUEST", "This request cannot be understood."),
    403: ("FORBIDDEN", "This request is not allowed."),
    404: ("NOT_FOUND", "There is nothing at this address; /api/docs lists what there is."),
    405: ("METHOD_NOT_ALLOWED", "This address does not take this method; /api/docs lists what it takes."),
    413: ("VALIDATION_ERROR", "The body is too large."),
    500: ("INTERNAL_ERROR", "Something went wrong inside; the service's log says what."),
}


def known_host(get_response: GetResponse) -> GetResponse:
    """Refuse names that are not ours: a foreign one that leads here belongs to a hostile page (DNS rebinding)."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        try:
            request.get_host()
        except DisallowedHost:
            sentence = "This service is not known under this name; an administrator can add it to DOWNIE_ALLOWED_HOSTS."
            return _refusal(request, "BAD_REQUEST", sentence, status=400)
        return get_response(request)

    return middleware


def same_origin(get_response: GetResponse) -> GetResponse:
    """Refuse whatever a page of another site makes the user's browser send."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request_is_ours(request):
            return get_response(request)
        sentence = "This request comes from another web site, which may not act here."
        return _refusal(request, "FORBIDDEN_ORIGIN", sentence, status=403)

    return middleware


def _refusal(request: HttpRequest, code: str, sentence: str, *, status: int) -> HttpResponseBase:
    if request.path.startswith("/api/"):
        return error_response(code, sentence, status=status)
    return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")


def json_errors(get_response: GetResponse) -> GetResponse:
    """Give every error under /api the API's shape, also those that no endpoint made."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        is_page = not response.headers.get("Content-Type", "").startswith("application/json")
        if request.path.startswith("/api/") and response.status_code in SENTENCES and is_page:
            code, sentence = SENTENCES[response.status_code]
            answer = error_response(code, sentence, status=response.status_code)
            if "Allow" in response.headers:
                answer.headers["Allow"] = response.headers["Allow"]
            return answer
        return response

    return middleware
