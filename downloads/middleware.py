"""What holds for every request."""

from collections.abc import Callable, Sequence

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_noop

from downloads import access, limits
from downloads.access import Denied
from downloads.api.errors import error_response
from downloads.limits import Count, Policy
from downloads.origins import SAFE_METHODS, request_is_ours

GetResponse = Callable[[HttpRequest], HttpResponseBase]

# What Django answers by itself under /api, said as the API says it
SENTENCES = {
    400: ("BAD_REQUEST", "This request cannot be understood."),
    403: ("FORBIDDEN", "This request is not allowed."),
    404: ("NOT_FOUND", "There is nothing at this address; /api/docs lists what there is."),
    405: ("METHOD_NOT_ALLOWED", "This address does not take this method; /api/docs lists what it takes."),
    413: ("VALIDATION_ERROR", "The body is too large."),
    500: ("INTERNAL_ERROR", gettext_noop("Something went wrong inside; the service's log says what.")),
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
    """Refuse whatever a page of another site makes the user's browser send. No such page knows an API key."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request_is_ours(request) or access.key_of(request):
            return get_response(request)
        sentence = "This request comes from another web site, which may not act here."
        return _refusal(request, "FORBIDDEN_ORIGIN", sentence, status=403)

    return middleware


def rate_limited(get_response: GetResponse) -> GetResponse:
    """Count what each client asks, by its key or else its address, and refuse what is too much."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info == access.HEALTH:
            return get_response(request)
        key = access.key_of(request)
        if key is None and access.is_loopback(access.address_of(request)) and access.is_free(request):
            return get_response(request)
        client = f"key {key.public_id}" if key else _client(request)
        counts = limits.count(client, limits.policies_for(request.method, request.path_info))
        is_within = all(each.is_within for each in counts)
        response = get_response(request) if is_within else _too_much(request, "requests")
        return _with_counts(response, counts)

    return middleware


def logins_limited(get_response: GetResponse) -> GetResponse:
    """Refuse to look at passwords from where too many wrong ones have come."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST" or request.path != reverse("admin:login"):
            return get_response(request)
        policy = Policy.of("logins", limits.FAILED_LOGINS)
        if exceeded := limits.failures_of(_client(request), policy):
            return _too_much(request, "wrong passwords", exceeded)
        response = get_response(request)
        if not request.user.is_authenticated:
            limits.failure_of(_client(request), policy)
        return response

    return middleware


def access_checked(get_response: GetResponse) -> GetResponse:
    """Refuse whoever may not ask; pages lead to the login instead. The admin looks after itself."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info == access.HEALTH:
            return get_response(request)
        if not access.is_api(request.path_info):
            if request.path.startswith(reverse("admin:index")):
                return get_response(request)
            may_pass = access.is_free(request) or request.user.is_authenticated
            return get_response(request) if may_pass else _to_login(request)
        try:
            access.admit(request)
        except Denied as denied:
            return _denial(request, denied)
        return get_response(request)

    return middleware


def _denial(request: HttpRequest, denied: Denied) -> HttpResponseBase:
    if denied.code == "FORBIDDEN":
        return _refusal(request, denied.code, str(denied), status=403)
    policy = Policy.of("keys", limits.FAILED_KEYS)
    if exceeded := limits.failure_of(_client(request), policy):
        return _too_much(request, "requests without a valid API key", exceeded)
    response = _refusal(request, denied.code, str(denied), status=401)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _to_login(request: HttpRequest) -> HttpResponseBase:
    return redirect_to_login(
        request.get_full_path() if request.method in SAFE_METHODS else reverse("home"), reverse("admin:login")
    )


def _too_much(request: HttpRequest, what: str, *counts: Count) -> HttpResponseBase:
    sentence = f"These are too many {what}; Retry-After says how many seconds to wait."
    return _with_counts(_refusal(request, "RATE_LIMITED", sentence, status=429), counts)


def _with_counts(response: HttpResponseBase, counts: Sequence[Count]) -> HttpResponseBase:
    for name, value in limits.headers_of(counts).items():
        response.headers[name] = value
    return response


def _client(request: HttpRequest) -> str:
    return limits.client_at(access.address_of(request))


def _refusal(request: HttpRequest, code: str, sentence: str, *, status: int) -> HttpResponseBase:
    if access.is_api(request.path_info):
        return error_response(code, sentence, status=status)
    return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")


def json_errors(get_response: GetResponse) -> GetResponse:
    """Give every error under /api the API's shape, also those that no endpoint made."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        is_page = not response.headers.get("Content-Type", "").startswith("application/json")
        if request.path_info.startswith("/api/") and response.status_code in SENTENCES and is_page:
            code, sentence = SENTENCES[response.status_code]
            answer = error_response(code, sentence, status=response.status_code)
            for name, value in response.headers.items():
                if not name.startswith("Content-"):  # those are of the page that this replaces
                    answer.headers[name] = value
            return answer
        return response

    return middleware
