"""Requests of the service's own process to addresses that a stranger chose: only where the policy allows.

A name is resolved once, every address that it has is judged, and the connection goes to one of those addresses, so
that a name which means something else a moment later (DNS rebinding) gains nothing. No proxies, no redirects.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from downloads.engine.network import AddressPolicy

CONNECT_LIMIT: Final = 3.0  # seconds for each address
MAX_ADDRESSES: Final = 8
MAX_ANSWER: Final = 64 * 1024  # bytes
_PORTS: Final = {"http": 80, "https": 443}


class Unreachable(Exception):
    """There was no answer. `str()` is one sentence for people."""


class Forbidden(Unreachable):
    """The address policy does not allow this target."""


@dataclass(frozen=True)
class Answer:
    """What was answered: the HTTP status, and the first 64 kB at most of the body."""

    code: int
    body: bytes


def post(url: str, body: bytes, headers: dict[str, str], *, policy: AddressPolicy, limit: float) -> Answer:
    """Send this by POST, and give the answer, which has `limit` seconds until its status is there.

    The look-up of the name is the system's, and may take longer than that.

    Raises:
        Forbidden: a part of what the name stands for may not be reached; nothing was sent.
        Unreachable: no answer; the text says why.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Forbidden("Only http:// and https:// addresses can be told.")
    addresses = resolve(parts.hostname, parts.port or _PORTS[parts.scheme], policy)
    ends_at = time.monotonic() + limit
    connection = _connect(url, addresses, ends_at)
    headers = {"Host": parts.netloc, "Connection": "close", **headers}
    with contextlib.closing(connection), _cut_off(connection, ends_at) as too_late:
        try:
            connection.request(
                "POST",
                parse_url(url).request_uri,
                body=body,
                headers=headers,
                preload_content=False,
                decode_content=False,
            )
            response = connection.getresponse()
        except (OSError, HTTPError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(
                f"There was no answer within {limit:.0f} s." if too_late.is_set() else _sentence(error)
            ) from None
        answer = b""
        with contextlib.suppress(OSError, HTTPError, http.client.HTTPException, ValueError):
            answer = response.read(MAX_ANSWER)
        return Answer(response.status, answer)


def resolve(host: str, port: int, policy: AddressPolicy) -> list[str]:
    """Every address of a host, each of which may be reached.

    Raises:
        Forbidden: one of them may not.
        Unreachable: there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(f"The name {host} is not known.") from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        if not policy.allows(address):
            raise Forbidden(
                f"{host} leads to {address}, which is not on the public internet; an administrator can add its network "
                "to DOWNIE_ALLOWED_NETWORKS."
            )
    return addresses[:MAX_ADDRESSES]


def _connect(url: str, addresses: list[str], ends_at: float) -> HTTPConnection:
    """A connection to the first address that takes one, proven by the host's certificate if it is https."""
    error: Exception = TimeoutError()
    for address in addresses:
        connection = _connection(url, address, min(CONNECT_LIMIT, max(ends_at - time.monotonic(), 0.1)))
        try:
            with _cut_off(connection, ends_at):
                connection.connect()
        except (OSError, HTTPError, ValueError) as failed:
            connection.close()
            error = failed
        else:
            connection.timeout = max(ends_at - time.monotonic(), 0.1)
            if connection.sock:
                connection.sock.settimeout(connection.timeout)
            return connection
    raise Unreachable(_sentence(error))


def _connection(url: str, address: str, timeout: float) -> HTTPConnection:
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    if parts.scheme == "http":
        return HTTPConnection(address, port, timeout=timeout)
    context = ssl.create_default_context()  # the system's, which an administrator can add to
    context.load_verify_locations(certifi.where())
    return HTTPSConnection(
        address,
        port,
        timeout=timeout,
        ssl_context=context,
        server_hostname=parts.hostname,  # what OpenSSL holds the certificate to
    )


@contextlib.contextmanager
def _cut_off(connection: HTTPConnection, ends_at: float) -> Iterator[threading.Event]:
    """Shut the connection when its time is over: a socket's own limit starts anew with every byte that drips in."""
    done, too_late = threading.Event(), threading.Event()

    def watch() -> None:
        while not done.wait(max(ends_at - time.monotonic(), 0.1)):
            if time.monotonic() >= ends_at:
                too_late.set()
                with contextlib.suppress(OSError, AttributeError, TypeError):  # not open yet, or just being wrapped
                    # Not SSLSocket's own, which would go on without encryption.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    thread = threading.Thread(target=watch, name="egress limit", daemon=True)
    thread.start()
    try:
        yield too_late
    finally:
        done.set()
        thread.join()


def _sentence(error: Exception) -> str:
    """What went wrong, for a log."""
    cause = error.__cause__ or error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"Its certificate cannot be trusted: {cause.verify_message}"
        case ssl.SSLError():
            return "It does not speak TLS as it should."
        case ConnectionRefusedError():
            return "It refused the connection."
        case TimeoutError():
            return "It could not be connected to in time."
        case OSError() if cause.strerror:
            return f"It could not be talked to: {cause.strerror}."
        case _:
            return "It closed the connection without an answer that can be read."
