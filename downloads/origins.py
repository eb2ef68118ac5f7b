"""Who is asking: our own pages and programs may act, a page of another web site in the user's browser may not."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})  # `none`: the user typed the address or opened a bookmark


def request_is_ours(request: HttpRequest) -> bool:
    """Whether this request may change anything: safe methods always, others unless a foreign page sent them."""
    if request.method in SAFE_METHODS:
        return True
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in OWN_SITES:
        return False
    return _is_same(request.headers.get("Origin"), request.get_host())


def handshake_is_ours(origin: bytes | None, host: bytes | None) -> bool:
    """Whether a WebSocket may be opened: programs send no `Origin`, our pages send our own."""
    name = (host or b"").decode("latin1")
    domain, _port = split_domain_port(name)
    return validate_host(domain, settings.ALLOWED_HOSTS) and _is_same(
        None if origin is None else origin.decode("latin1"), name
    )


def _is_same(origin: str | None, host: str) -> bool:
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()
