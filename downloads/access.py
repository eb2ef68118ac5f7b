"""Who may ask: whoever has a key that is good for it, whoever is logged in, and, while there are no keys, everybody.

Everybody means this machine: without keys a request from elsewhere is refused, whatever address the service listens
on, unless DOWNIE_ALLOW_ANONYMOUS says otherwise. So neither the end nor the deletion of the last key opens anything to
the network, and the end of a key opens nothing at all, since an expired key still counts as one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.http import HttpRequest, parse_cookie
from django.utils.translation import gettext_noop
from ninja.utils import check_csrf

from downloads.models import ApiKey, FeedTicket, Scope
from downloads.origins import SAFE_METHODS, handshake_is_ours, host_is_ours
from downloads.writes import until_written

HEALTH = "/api/health"
TICKET = "/api/downloads/ws-ticket"
ADDING = re.compile(r"/api/downloads/(add|extract|batch/add|batch/start|start/[^/]*)")

# Where a request remembers what was found out about it; no header can have such a name
_KEY = "downloads.key"
_FREE = "downloads.free"


class Denied(Exception):
    """The request may not pass. `str()` is one sentence; `code` is UNAUTHORIZED or FORBIDDEN."""

    def __init__(self, code: str, sentence: str) -> None:
        """Take the API's word for it, and the sentence."""
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Caller:
    """Who opened a socket: by a key, by a login, by a ticket of either; nobody in particular if all are None."""

    key: int | None = None
    user: int | None = None
    session: str | None = None


# Requests


def is_api(path: str) -> bool:
    """Whether programs ask at this address, without the prefix, and want errors as the API says them."""
    return path.startswith("/api/") or path in ("/api", "/metrics")


def key_of(request: HttpRequest) -> ApiKey | None:
    """The usable key that came with this request."""
    if _KEY not in request.META:
        text = presented_key(request.headers)
        request.META[_KEY] = ApiKey.objects.find(text) if text else None
    key: ApiKey | None = request.META[_KEY]
    return key


def is_free(request: HttpRequest) -> bool:
    """Whether nobody has to say who they are, as far as this request goes."""
    if _FREE not in request.META:
        request.META[_FREE] = everybody_may(address_of(request))
    return bool(request.META[_FREE])


def address_of(request: HttpRequest) -> str:
    """The client's address; empty where there is none, as on a Unix socket."""
    return request.META.get("REMOTE_ADDR") or ""


def admit(request: HttpRequest) -> None:
    """Let a request to the API pass. A key that comes with it is what counts, whoever is logged in beside it.

    Raises:
        Denied: with the cure.
    """
    if key := key_of(request):
        _admit_key(key, scope_of(request))
    elif is_free(request):
        return
    elif presented_key(request.headers):
        raise Denied("UNAUTHORIZED", "This API key is not known here: it may have expired or been revoked.")
    elif not request.user.is_authenticated:
        raise Denied(
            "UNAUTHORIZED",
            gettext_noop(
                "This needs an API key, sent as Authorization: Bearer or as X-API-Key; "
                "manage.py apikey create makes one."
            ),
        )
    elif request.method not in SAFE_METHODS and check_csrf(request):
        raise Denied(
            "FORBIDDEN",
            gettext_noop("With a login instead of an API key this needs Django's CSRF token in X-CSRFToken."),
        )


def scope_of(request: HttpRequest) -> Scope:
    """What a key has to be good for to do this."""
    if request.method in SAFE_METHODS or request.path_info == TICKET:
        return Scope.READ
    return Scope.ADD if ADDING.fullmatch(request.path_info) else Scope.MANAGE


def _admit_key(key: ApiKey, scope: Scope) -> None:
    if not key.allows(scope):
        raise Denied("FORBIDDEN", f'This API key is not good for this: it lacks the scope "{scope}".')
    key.note_use()


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The text of a key in these headers, which are looked up in lower case."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


# Sockets


def admit_socket(scope: Mapping[str, Any]) -> Caller | None:
    """Who opens this WebSocket; None if they may not. A ticket is used up by this.

    A key in a header and a ticket are known to nobody but their owner, so they pass from any page.
    """
    headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
    host = headers.get("host")
    if not host_is_ours(host):
        return None
    if caller := _by_key(headers) or _by_ticket(scope["query_string"]):
        return caller
    if not handshake_is_ours(headers.get("origin"), host):
        return None
    return _by_session(headers) or (Caller() if everybody_may(address_of_socket(scope)) else None)


def is_welcome(caller: Caller, address: str) -> bool:
    """Whether a caller who was admitted would be so again."""
    if caller.key is not None:
        return ApiKey.objects.usable().filter(pk=caller.key, may_read=True).exists()
    if caller.session is not None:
        return _user_of(caller.session) == caller.user
    if caller.user is not None:
        return get_user_model().objects.filter(pk=caller.user, is_active=True).exists()
    return everybody_may(address)


def address_of_socket(scope: Mapping[str, Any]) -> str:
    """The client's address; empty where there is none, as on a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _by_key(headers: Mapping[str, str]) -> Caller | None:
    text = presented_key(headers)
    key = ApiKey.objects.find(text) if text else None
    if key is None or not key.allows(Scope.READ):
        return None
    key.note_use()
    return Caller(key=key.pk)


def _by_ticket(query: bytes) -> Caller | None:
    texts = parse_qs(query.decode("latin1")).get("ticket")
    ticket = FeedTicket.objects.redeem(texts[0]) if texts else None
    if ticket is None:
        return None
    caller = Caller(key=ticket.key_id, user=ticket.user_id)
    return caller if caller != Caller() and is_welcome(caller, "") else None


def _by_session(headers: Mapping[str, str]) -> Caller | None:
    session = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    user = _user_of(session) if session else None
    return None if user is None else Caller(user=user, session=session)


def _user_of(session: str) -> int | None:
    """The id of the user who is logged in with this session."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session)
    return get_user(request).pk


# Everybody


def everybody_may(address: str) -> bool:
    """Whether a client at this address needs neither key nor login: there are no keys, and it is on this machine."""
    return (settings.ALLOW_ANONYMOUS or is_loopback(address)) and not _there_are_keys()


@until_written
def _there_are_keys() -> bool:
    return ApiKey.objects.configured().exists()


def is_loopback(address: str) -> bool:
    """Whether this is an address of a machine itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return ((isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed).is_loopback
