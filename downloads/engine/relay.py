"""The only thing that ffmpeg can reach when it reads a stream: a proxy in the same child, which fetches for it.

Left to itself, ffmpeg knows no address policy, shows its arguments with every cookie in them to whoever runs `ps`, and
sends cookies and headers on to each host that a playlist or a redirect names. (It cannot read them from a file: in
ffmpeg 9 `-/headers` is refused, as that is for options of the program and not of a protocol.) So it gets the address of
this relay, in its environment, and what it asks for is fetched by yt-dlp's own means: under the same guard, with the
same cookies for the same hosts, through the same proxy as any other download. What goes wrong is known as the exception
that it was.

ffmpeg speaks plain HTTP to the relay. An https address is disguised as http with its port spelt out (`https://host/x`
as `http://host:443/x`), inside playlists too, and the relay knows which hosts these are. What is not disguised fails,
since ffmpeg is allowed neither TLS nor tunnels.
"""

import re
import secrets
import sys
import threading
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final, Self
from urllib.parse import unquote, urljoin, urlsplit

from yt_dlp.networking.common import Request, Response
from yt_dlp.networking.exceptions import HTTPError, RequestError

from downloads.engine.classification import classify
from downloads.engine.cures import CappedYoutubeDL
from downloads.engine.errors import Phase, Reason

PAUSES: Final = (0.5, 1.5)  # seconds before the next tries, where one may help
MAX_FAILURES: Final = 20
MAX_HOSTS: Final = 10_000  # that speak TLS; a playlist can name any number
REQUEST_LIMIT: Final = 15.0  # seconds for ffmpeg to say what it wants

_NAME: Final = "relay.invalid"
_PIECE: Final = 16 * 1024  # bytes; small, since a read waits until all of it is there
_BEGINNING: Final = 4096  # bytes, in which a playlist says that it is one
_PLAYLIST: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*#EXTM3U")
_HTTPS: Final = re.compile(r"https://(?P<authority>[^/\s\"'<>?#]+)", re.IGNORECASE)
_WITHOUT_SCHEME: Final = re.compile(r"(?:^|(?<=[\"'>]))//(?P<authority>[^/\s\"'<>?#]+)", re.MULTILINE)
_PORT: Final = re.compile(r":[0-9]+$")
_HANDED_ON: Final = ("Content-Type", "Content-Range", "Accept-Ranges")
_NOT_FOR_EVERYBODY: Final = frozenset({"authorization"})


class Relay:
    """Fetches for one ffmpeg, inside a `with`."""

    def __init__(self, ydl: CappedYoutubeDL, formats: Sequence[Mapping[str, Any]]) -> None:
        """Fetch by the means of this yt-dlp what these formats lead to, each of them an input of ffmpeg."""
        self.failures: list[Exception] = []
        """What could not be fetched, the last ones."""
        self.refusal: Exception | None = None
        """A connection that the address policy does not allow: no other try will change that."""
        self.saw_playlists = False
        self._ydl = ydl
        self._addresses = {f"/{number}": str(each["url"]) for number, each in enumerate(formats)}
        self._headers = {_host(str(each["url"])): _headers(each) for each in reversed(formats)}
        self._headers_elsewhere = {
            name: value for name, value in _headers(formats[0]).items() if name.lower() not in _NOT_FOR_EVERYBODY
        }
        self._tls: set[str] = set()
        self._open: set[str] = set()
        self._held: dict[str, bytes] = {}
        self._closing = threading.Event()
        self._token = secrets.token_urlsafe(32)
        self._login = f"Basic {b64encode(f'{self._token}:'.encode()).decode()}"
        self._server = _Server(self)

    @property
    def url(self) -> str:
        """What ffmpeg is to have as `http_proxy`."""
        return f"http://{self._token}:@127.0.0.1:{self._server.server_address[1]}"

    def address(self, number: int) -> str:
        """What stands for the address of a format: nobody else can learn anything from it."""
        return f"http://{_NAME}/{number}"

    @property
    def is_over(self) -> bool:
        """Whether the stream itself has ended: its playlists say so, or all of it arrived where there are none."""
        return not self._open if self.saw_playlists else not self.failures

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    # For the handler, one thread for each request

    def knows(self, login: str) -> bool:
        """Whether this `Proxy-Authorization` is our ffmpeg's."""
        return compare_digest(login.encode(), self._login.encode())

    def place_of(self, target: str) -> str | None:
        """Where what stands for a format is to be found; None for any other target."""
        parts = urlsplit(target)
        address = self._addresses.get(parts.path) if parts.hostname == _NAME else None
        return self._disguised(address) if address else None

    def real(self, target: str) -> str:
        """The address behind a disguise."""
        authority = urlsplit(target).netloc
        if authority.lower() not in self._tls:
            return target
        rest = target.removeprefix("http://").removeprefix(authority)
        return f"https://{authority.removesuffix(':443')}{rest}"

    def held(self, url: str) -> bytes | None:
        """A playlist that was fetched from elsewhere a moment ago, and was found here."""
        return self._held.pop(url, None)

    def fetch(self, url: str, wanted: str | None) -> Response:
        """Fetch it, as often as that may help.

        Raises:
            RequestError: it is not to be had.
        """
        headers = self._headers.get(_host(url), self._headers_elsewhere) | ({"Range": wanted} if wanted else {})
        for pause in (*PAUSES, None):
            try:
                return self._ydl.urlopen(Request(url, headers=headers))
            except RequestError as error:
                failure = classify(error, Phase.DOWNLOAD)
                if failure.reason is Reason.ADDRESS_FORBIDDEN:
                    self.refusal = error
                if pause is None or not failure.retryable or self._closing.wait(pause):
                    raise
        raise AssertionError("the last try returns or raises")

    def note(self, failure: Exception) -> None:
        """Remember what went wrong."""
        self.failures = [*self.failures[1 - MAX_FAILURES :], failure]

    def disguised_playlist(self, body: bytes, url: str) -> bytes:
        """A playlist for ffmpeg's eyes; what it says of the end of the stream is remembered."""
        text = body.decode(errors="replace")
        self.saw_playlists = True
        if "#EXTINF" in text and "#EXT-X-ENDLIST" not in text:
            self._open.add(_without_query(url))
        else:
            self._open.discard(_without_query(url))
        if url.startswith("https:"):
            text = _WITHOUT_SCHEME.sub(lambda found: f"https://{found['authority']}", text)
        return _HTTPS.sub(lambda found: f"http://{self._disguised_authority(found['authority'])}", text).encode()

    def moved(self, asked: str, found: str, playlist: bytes) -> str | None:
        """Where ffmpeg is to ask instead, so that it reads a playlist's relative addresses as they are meant."""
        if unquote(urljoin(asked, ".")) == unquote(urljoin(found, ".")):
            return None
        self._held = {found: playlist}
        return self._disguised(found)

    def _disguised(self, url: str) -> str:
        return _HTTPS.sub(lambda found: f"http://{self._disguised_authority(found['authority'])}", url, count=1)

    def _disguised_authority(self, authority: str) -> str:
        disguised = authority if _PORT.search(authority) else f"{authority}:443"
        if len(self._tls) < MAX_HOSTS:
            self._tls.add(disguised.lower())
        return disguised


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, relay: Relay) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.relay = relay

    def handle_error(self, *_: object) -> None:
        """Note what no handler expected, such as an address that cannot be read."""
        error = sys.exception()
        if isinstance(error, Exception):
            self.relay.note(error)


class _Handler(BaseHTTPRequestHandler):
    """One request of ffmpeg."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_LIMIT

    def do_GET(self) -> None:
        """Answer it."""
        relay = self.server.relay
        if not relay.knows(self.headers.get("Proxy-Authorization", "")):
            self._say(407, {"Proxy-Authenticate": 'Basic realm="relay"'})
            return
        try:
            self._answer(relay)
        except HTTPError as error:
            relay.note(error)
            error.response.close()
            self._say(error.status)
        except RequestError as error:
            relay.note(error)
            self._say(502)
        except (ConnectionError, TimeoutError):
            pass  # ffmpeg wants it no more

    def _answer(self, relay: Relay) -> None:
        place = relay.place_of(self.path)
        if place is not None:
            self._say(302, {"Location": place})
            return
        url = relay.real(self.path)
        held = relay.held(url)
        if held is not None:
            self._say(200, body=held)
            return
        wanted = self.headers.get("Range")
        with relay.fetch(url, wanted) as response:
            beginning = response.read(_BEGINNING) if wanted in (None, "bytes=0-") else b""
            if _PLAYLIST.match(beginning):
                self._hand_on_playlist(relay, url, response, beginning)
            else:
                self._hand_on(relay, response, beginning)

    def _hand_on_playlist(self, relay: Relay, asked: str, response: Response, beginning: bytes) -> None:
        playlist = relay.disguised_playlist(beginning + response.read(), response.url)
        place = relay.moved(asked, response.url, playlist)
        if place:
            self._say(302, {"Location": place})
        else:
            self._say(200, body=playlist)

    def _hand_on(self, relay: Relay, response: Response, piece: bytes) -> None:
        given = {name: response.get_header(name) for name in _HANDED_ON}
        if not response.get_header("Content-Encoding"):
            given["Content-Length"] = response.get_header("Content-Length")
        self._begin(response.status, {name: value for name, value in given.items() if value})
        try:
            while piece or (piece := response.read(_PIECE)):
                self.wfile.write(piece)
                piece = b""
        except RequestError as error:
            relay.note(error)  # too late for a status: that less came than was announced has to do

    def _say(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self._begin(status, {**(headers or {}), "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.close_connection = True
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: what matters is noted."""


def _headers(form: Mapping[str, Any]) -> dict[str, str]:
    given = {str(name): str(value) for name, value in (form.get("http_headers") or {}).items()}
    without_cookies = {name: value for name, value in given.items() if name.lower() != "cookie"}
    return {**without_cookies, "Accept-Encoding": "identity"}  # so that lengths and ranges are those of the media


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _without_query(url: str) -> str:
    return url.partition("?")[0]
