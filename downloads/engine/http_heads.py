"""Heads of HTTP/1.1 messages as a proxy reads them, and as it hands them on: nothing that is meant for itself."""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from dataclasses import dataclass
from typing import Final, Self

HEAD_LIMIT: Final = 64 * 1024  # bytes

_END: Final = re.compile(rb"\r?\n\r?\n")
_FIELD: Final = re.compile(rb"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*)")
_REQUEST_LINE: Final = re.compile(rb"(?P<method>[A-Z]{1,20}) (?P<target>[^\x00-\x20\x7f]+) HTTP/1\.[01]")
_AUTHORITY: Final = (
    r"(?:\[(?P<literal>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)\]|(?P<name>[^\s/?#@:\[\]\\%]+))(?::(?P<port>[0-9]{1,5}))?"
)
_CONNECT: Final = re.compile(_AUTHORITY.encode())
_ABSOLUTE: Final = re.compile(rb"(?i:http)://(?P<authority>" + _AUTHORITY.encode() + rb")(?P<path>[/?][^#]*)?(?:#.*)?")
_STATUS: Final = re.compile(rb"\S+ +(?P<code>[0-9]{3})")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_LARGEST_PORT: Final = 65535

# What is said between two neighbours and no further (RFC 9110, 7.6.1). `Transfer-Encoding` stays: bodies are handed on
# as they come. `Expect` goes, so that no neighbour waits for an interim answer.
_OF_THE_CONNECTION: Final = frozenset({b"connection", b"keep-alive", b"te", b"upgrade", b"expect", b"proxy-connection"})
_OF_THE_PROXY: Final = b"proxy-"

_Header = tuple[bytes, bytes]


class BadHead(ValueError):
    """What came is no head of an HTTP/1.1 message that can be handed on."""


def end_of_head(data: bytes | bytearray) -> int | None:
    """Where the head at the beginning of `data` ends, its empty line included; None while that has not come."""
    found = _END.search(data, 0, HEAD_LIMIT)
    return found.end() if found else None


@dataclass(frozen=True)
class Request:
    """What a client asks a proxy for: a tunnel (`CONNECT`) to `host` and `port`, or a resource there.

    `host` is empty where the proxy itself is asked. `length` is that of the body, in bytes.
    """

    method: str
    host: str
    port: int
    path: bytes
    token: str
    length: int
    onward: bytes
    """The head for the server, of a request for a resource."""

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Read it.

        Raises:
            BadHead: it is none, or asks for what this proxy does not do.
        """
        first, *lines = head.rstrip(b"\r\n").replace(b"\r\n", b"\n").split(b"\n")
        line = _REQUEST_LINE.fullmatch(first)
        if line is None:
            raise BadHead("no request line")
        fields = [_field(each) for each in lines]
        length = _length(fields)
        if line["target"].startswith(b"/"):
            return cls(line["method"].decode(), "", 0, line["target"], _token(fields), length, b"")
        if line["method"] == b"CONNECT":
            place = _CONNECT.fullmatch(line["target"])
            if place is None or not place["port"]:
                raise BadHead("no host and port")
            return cls("CONNECT", *_host_and_port(place), b"", _token(fields), length, b"")
        place = _ABSOLUTE.fullmatch(line["target"])
        if place is None:
            raise BadHead("no http address")
        path = _path(place["path"] or b"")
        request_line = b"%s %s HTTP/1.1" % (line["method"], path)
        onward = _joined(request_line, [(b"Host", place["authority"]), *_kept(fields, without=frozenset({b"host"}))])
        return cls(line["method"].decode(), *_host_and_port(place), path, _token(fields), length, onward)


def status_of(head: bytes) -> int:
    """The status of an answer.

    Raises:
        BadHead: it is none.
    """
    found = _STATUS.match(head)
    if found is None:
        raise BadHead("no status line")
    return int(found["code"])


def answer_onward(head: bytes) -> bytes:
    """The head of an answer for the client, who learns that this connection ends with it."""
    first, *lines = head.rstrip(b"\r\n").replace(b"\r\n", b"\n").split(b"\n")
    fields = [(found["name"], found["value"]) for found in map(_FIELD.fullmatch, lines) if found]
    return _joined(first, _kept(fields))


def _field(line: bytes) -> _Header:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise BadHead("no header field")
    return found["name"], found["value"].rstrip(b" \t")


def _kept(fields: list[_Header], without: frozenset[bytes] = frozenset()) -> list[_Header]:
    named = b",".join(value for name, value in fields if name.lower() == b"connection")
    gone = {name.strip().lower() for name in named.split(b",")} | _OF_THE_CONNECTION | without
    return [
        (name, value)
        for name, value in fields
        if name.lower() not in gone and not name.lower().startswith(_OF_THE_PROXY)
    ]


def _joined(first: bytes, fields: list[_Header]) -> bytes:
    lines = [first, *(b"%s: %s" % field for field in fields), b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _length(fields: list[_Header]) -> int:
    """The length of the body; one whose length is not said beforehand is not taken."""
    if any(name.lower() == b"transfer-encoding" for name, _ in fields):
        raise BadHead("a body of unknown length")
    lengths = {value for name, value in fields if name.lower() == b"content-length"} or {b"0"}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise BadHead("no length")
    return int(length)


def _host_and_port(place: re.Match[bytes]) -> tuple[str, int]:
    try:
        host = (place["literal"] or place["name"]).decode("ascii")
    except UnicodeDecodeError:
        raise BadHead("no ASCII host") from None
    port = int(place["port"] or 80)
    if not 0 < port <= _LARGEST_PORT:
        raise BadHead("no port")
    return host, port


def _path(text: bytes) -> bytes:
    return text if text.startswith(b"/") else b"/" + text


def _token(fields: list[_Header]) -> str:
    """The user name in `Proxy-Authorization`; empty where there is none."""
    given = next((value for name, value in fields if name.lower() == b"proxy-authorization"), b"")
    scheme, _, credentials = given.partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        return b64decode(credentials.strip(), validate=True).decode("ascii").partition(":")[0]
    except (NoBase64, UnicodeDecodeError):
        return ""
