"""Where a request comes from: our own pages and programs may act, a page of another web site may not, unless opened."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})  # `none`: the user typed the address or opened a bookmark


def request_is_ours(request: HttpRequest) -> bool:
    """Whether this request may change anything: safe methods always, others unless a foreign page sent them."""
    origin = request.headers.get("Origin")
    if request.method in SAFE_METHODS or _is_opened(origin):
        return True
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in OWN_SITES:
        return False
    return _is_same(origin, request.get_host())


def host_is_ours(host: str | None) -> bool:
    """Whether we are known under this name; a foreign one that leads here belongs to a hostile page (DNS rebinding)."""
    domain, _port = split_domain_port(host or "")
    return validate_host(domain, settings.ALLOWED_HOSTS)


def handshake_is_ours(origin: str | None, host: str | None) -> bool:
    """Whether a WebSocket may be opened: programs send no `Origin`, our pages send our own."""
    return host_is_ours(host) and (_is_opened(origin) or _is_same(origin, host or ""))


def _is_opened(origin: str | None) -> bool:
    return origin in settings.CORS_ALLOWED_ORIGINS


def _is_same(origin: str | None, host: str) -> bool:
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()
