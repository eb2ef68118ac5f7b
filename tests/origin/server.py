"""The tests' own web server, on 127.0.0.1.

Routes:
    /direct/          video.mp4 small.mp4 audio.mp3 audio.m4a vp9.webm av1.mp4
    /direct/big.bin   not media: ?size=N bytes (1000000) that `big_bytes` can tell at every position
    /hls/             plain/index.m3u8 aes/index.m3u8 (its key: aes/key.bin) multi/master.m3u8 split/master.m3u8
                      numbered/index.m3u8 (encrypted, without an IV) ranges/index.m3u8 (parts of one file)
    /dash/            manifest.mpd
    /live/            plain/index.m3u8 aes/index.m3u8 split.m3u8 (picture/index.m3u8 and sound/index.m3u8): a broadcast
                      in segments of about a second, which begins with the first request for one of its playlists, for
                      each `id` anew
    /companions/      picture.jpg (.png .webp .gif) huge.png words.vtt (.srt .ttml) audio.opus (.ogg .flac)
                      hls/master.m3u8 (/hls/multi with subtitles)
    /sponsors/WHAT/   a SponsorBlock server that knows one video, VIDEO_ID: `sponsor,3,5;intro,8,9` are its parts
    /page/            described.html (JSON-LD with everything) video.html hls.html hidden.html (yt-dlp alone misses it)
                      playlist.html feed.rss none.html titled.html?title=TEXT&author=TEXT
    /shape/NAME.html  a page for each form in which sites write where their video is: see the folder shapes
    /redirect/CODE    ?to=URL
    /loop             redirects to itself
    /status/CODE      ?retry_after=N
    /hang             takes the request and never answers
    /drip             ?size=N bytes (1000000) announced, one a second sent

A test may have the origin serve texts of its own as well: `Origin.serve`.

Parameters of /direct/, /hls/, /dash/, /live/, /companions/, /page/, /shape/ and /drip:
    need_cookie=1     403 without the cookie `pass=open`, for whatever is asked
    type=TEXT         another Content-Type for this very request
    lasts=N           of /live/: the broadcast ends after N segments; without it, it never ends
    speed=S           of /live/: S segments a second (1)
    window=N          of /live/: how many segments its playlists show (6); 0 for all from the first on
    and the behaviour:
    delay=S           seconds before the first byte of the answer
    rate=N            bytes a second of each file, over all its connections together, sent evenly
    each=N            bytes a second for each connection, sent evenly
    cut=N             closes the connection after N bytes of each body that has more; cut_times=K: the first K times
    status=CODE       this instead of the file; times=K: the first K times; retry_after=N adds the header
    skip=K            leaves the first K requests alone before `cut_times` and `times` begin: yt-dlp asks for a file
                      at a bare address twice, to look at it and to download it
    norange=1         ignores Range, and does not offer it
    nolength=1        chunked, without Content-Length
    noetag=1, etag=X  without an ETag, or with this one; weak=1: a weak one
    modified=TEXT     this as Last-Modified; empty: without
    id=ANY            K times of one id do not count for another; they are counted for each path
    on=WHAT           see below

A manifest or a page passes these on (all but `type`) to every link in it, playlists of variants and keys included. Its
behaviour is meant for what the links lead to in the end, so the manifests themselves are served at once. With
`on=manifest` it is the other way round: only manifests and pages behave so. Any other `on=TEXT` aims at each path that
contains the text, be it a manifest or not: `on=seg003`, `on=key.bin`, `on=master`.
"""

import json
import re
import select
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tests.origin import live
from tests.origin.behaviour import Behaviour, is_aimed_at
from tests.origin.content import Content, big_file, find, marked

CHUNK = 65_536
SEND_BUFFER = 65_536  # small: what waits in the kernel counts as sent, though the client may never fetch it
TICKS_PER_SECOND = 50
BODILESS = (204, 304)


@dataclass(kw_only=True)
class Record:
    """One request. `range` is what was asked: (500, None) for "500-", (None, 500) for the last 500, None for none."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    range: tuple[int | None, int | None] | None
    status: int | None = None  # None until the answer begins
    bytes_sent: int = 0  # of the body, as handed to the kernel


class Origin:
    """Serve the media folder from a thread of this process, inside a `with`."""

    def __init__(self, media: Path, *, port: int = 0):
        self.media = Path(media)
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._counts = Counter()
        self._served: dict[str, Content] = {}
        self._broadcasts: dict[str, float] = {}
        self._free_at: dict[tuple[str, ...], float] = {}
        self._server = _Server(self, port)
        self.port = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="origin", daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    def url(self, path: str, **query) -> str:
        return f"{self.base}{path}?{urlencode(query)}" if query else f"{self.base}{path}"

    def serve(self, path: str, body: str | bytes, **query) -> str:
        """Answer this path with this body, under the type of its suffix (without one, of a page); give its URL.

        Nothing in the body is replaced, and the query's parameters are not passed on to the links in it.
        """
        data = body.encode() if isinstance(body, str) else body
        self._served[path] = Content.of(data, Path(path).suffix or ".html", document=True)
        return self.url(path, **query)

    def served(self, path: str) -> Content | None:
        return self._served.get(path)

    @property
    def requests(self) -> list[Record]:
        """A snapshot, oldest first. Whatever a client has received by now is counted in it."""
        with self._lock:
            return [replace(record) for record in self._records]

    def requests_for(self, path_prefix: str) -> list[Record]:
        return [record for record in self.requests if record.path.startswith(path_prefix)]

    def bytes_sent(self, path_prefix: str = "/") -> int:
        return sum(record.bytes_sent for record in self.requests_for(path_prefix))

    def reset(self) -> None:
        """Forget every request, every count of `times` and `cut_times`, and every broadcast."""
        with self._lock:
            self._records.clear()
            self._counts.clear()
            self._broadcasts.clear()

    def add(self, record: Record) -> None:
        with self._lock:
            self._records.append(record)

    def count(self, *key: str) -> int:
        """Count one more of this key, and return how many that makes."""
        with self._lock:
            self._counts[key] += 1
            return self._counts[key]

    def wait_on_line(self, seconds: float, *key: str) -> float:
        """Take so many seconds of the line of this key, and return how long it is until they are over."""
        now = time.monotonic()
        with self._lock:
            self._free_at[key] = max(self._free_at.get(key, now), now) + seconds
            return self._free_at[key] - now

    def begin_broadcast(self, name: str, *, seconds_ago: float = 0) -> float:
        """Let the broadcast of this `id` have begun, unless it has already, and return its age in seconds."""
        now = time.monotonic()
        with self._lock:
            return now - self._broadcasts.setdefault(name, now - seconds_ago)

    def hang_up(self) -> None:
        """Cut every connection of this moment."""
        self._server.hang_up()

    def send(self, connection: socket.socket, data: bytes, record: Record) -> None:
        """Send all of it, and count each byte before anybody can look."""
        left = memoryview(data)
        writable = select.poll()
        writable.register(connection, select.POLLOUT)
        while left:
            writable.poll()
            with self._lock, suppress(BlockingIOError):
                sent = connection.send(left, socket.MSG_DONTWAIT)
                record.bytes_sent += sent
                left = left[sent:]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, origin, port):
        self.origin = origin
        self._connections = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request, client_address):
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self):
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urlsplit(self.path)
        self.route = unquote(url.path)
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.origin = self.server.origin
        self.record = self._open_record()
        kind, _, rest = self.route.lstrip("/").partition("/")
        served = self.origin.served(self.route)
        if served:
            self._answer_with(served, Behaviour())
            return
        answer = getattr(self, f"answer_{kind}", self.answer_missing)
        answer(rest)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass

    def answer_direct(self, _):
        content = find(self.origin.media, self.route, self.query, f"http://{self.headers.get('Host', '127.0.0.1')}")
        if content is None:
            self.answer_missing()
            return
        aimed = is_aimed_at(self.route, self.query, document=content.document)
        self._answer_with(content, Behaviour.asked_by(self.query) if aimed else Behaviour())

    answer_hls = answer_dash = answer_page = answer_shape = answer_companions = answer_direct

    def answer_sponsors(self, rest):
        self._answer_json(marked(rest.partition("/")[0]))

    def answer_live(self, _):
        recorded = self.origin.media / self.route.lstrip("/")
        if recorded.name != "index.m3u8" or not recorded.is_file():
            self.answer_direct(_)
            return
        content = live.playlist(recorded, self.query, self.origin.begin_broadcast(self.query.get("id", "")))
        aimed = is_aimed_at(self.route, self.query, document=True)
        self._answer_with(content, Behaviour.asked_by(self.query) if aimed else Behaviour())

    def answer_drip(self, _):
        size = int(self.query.get("size", 1_000_000))
        self.query.setdefault("type", "video/mp4")
        self._answer_with(big_file(size), replace(Behaviour.asked_by(self.query), rate=1))

    def answer_redirect(self, code):
        self._answer_briefly(int(code), Location=self.query["to"])

    def answer_loop(self, _):
        self._answer_briefly(302, Location="/loop")

    def answer_status(self, code):
        self._answer_briefly(int(code), **_retry_after(self.query.get("retry_after", "")))

    def answer_hang(self, _):
        self.connection.recv(1)  # returns when the client goes away or the origin hangs up
        self.close_connection = True

    def answer_missing(self, _=""):
        self._answer_briefly(404)

    def _open_record(self):
        asked = _asked_range(self.headers.get("Range", ""))
        headers = dict(self.headers.items())
        record = Record(method=self.command, path=self.route, query=self.query, headers=headers, range=asked)
        self.origin.add(record)
        return record

    def _answer_with(self, content, behaviour):
        if "need_cookie" in self.query and not self._has_cookie():
            self._answer_briefly(403)
            return
        self._pause(behaviour.delay)
        if behaviour.status and self._is_turn("status", behaviour.skip, behaviour.times):
            self._answer_briefly(behaviour.status, **_retry_after(behaviour.retry_after))
            return
        self._answer_range_of(content, behaviour)

    def _answer_range_of(self, content, behaviour):
        headers = self._headers_of(content, behaviour)
        if not self._wants_part(headers):
            self._answer_body(200, headers, content, range(content.size), behaviour)
            return
        span = _span(self.record.range, content.size)
        if not span:
            self._answer_briefly(416, **headers, **{"Content-Range": f"bytes */{content.size}"})
            return
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{content.size}"
        self._answer_body(206, headers, content, span, behaviour)

    def _headers_of(self, content, behaviour):
        headers = {"Content-Type": self.query.get("type", content.type)}
        if behaviour.modified:
            headers["Last-Modified"] = behaviour.modified
        if not behaviour.noetag:
            etag = f'"{behaviour.etag}"' if behaviour.etag else content.etag
            headers["ETag"] = f"W/{etag}" if behaviour.weak else etag
        if not behaviour.norange:
            headers["Accept-Ranges"] = "bytes"
        return headers

    def _wants_part(self, headers):
        if self.record.range is None or "Accept-Ranges" not in headers:
            return False
        condition = self.headers.get("If-Range")
        return condition is None or condition in (headers.get("ETag"), headers.get("Last-Modified"))

    def _answer_body(self, status, headers, content, span, behaviour):
        chunked = behaviour.nolength and self.request_version != "HTTP/1.0"
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif behaviour.nolength:
            self.close_connection = True
        else:
            headers["Content-Length"] = str(len(span))
        # Counted before the client hears anything: its next request may be here before this one's body
        cut = self.command != "HEAD" and self._is_cut(len(span), behaviour)
        self._answer_head(status, headers)
        if self.command != "HEAD":
            self._send_body(content, span, behaviour, chunked=chunked, cut=cut)

    def _send_body(self, content, span, behaviour, *, chunked, cut):
        stop = span.start + behaviour.cut if cut else span.stop
        rate = behaviour.rate or behaviour.each
        step = min(CHUNK, max(1, rate // TICKS_PER_SECOND)) if rate else CHUNK
        began = time.monotonic()
        for position in range(span.start, stop, step):
            upto = min(position + step, stop)
            if behaviour.rate:
                self._pause(self.origin.wait_on_line((upto - position) / rate, self.route, self.query.get("id", "")))
            elif behaviour.each:
                self._pause(began + (upto - span.start) / rate - time.monotonic())
            self._send_piece(content.read(position, upto), chunked=chunked)
        if cut:
            self.close_connection = True
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send_piece(self, piece, *, chunked):
        if chunked:
            self.wfile.write(b"%x\r\n" % len(piece))
        self.origin.send(self.connection, piece, self.record)
        if chunked:
            self.wfile.write(b"\r\n")

    def _is_cut(self, length, behaviour):
        if behaviour.cut is None or behaviour.cut >= length:
            return False
        return self._is_turn("cut", behaviour.skip, behaviour.cut_times)

    def _is_turn(self, what, skip, times):
        turn = self.origin.count(what, self.route, self.query.get("id", ""))
        return skip < turn <= skip + times

    def _answer_briefly(self, status, **headers):
        body = b"" if status in BODILESS else f"{status}\n".encode()
        headers = {"Content-Type": "text/plain", **headers}
        if status not in BODILESS:
            headers["Content-Length"] = str(len(body))
        self._answer_head(status, headers)
        if self.command != "HEAD":
            self.origin.send(self.connection, body, self.record)

    def _answer_json(self, value):
        body = json.dumps(value).encode()
        self._answer_head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.origin.send(self.connection, body, self.record)

    def _answer_head(self, status, headers):
        self.record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _has_cookie(self):
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("pass")
        return cookie is not None and cookie.value == "open"

    def _pause(self, seconds):
        if seconds > 0 and self.origin.stopping.wait(seconds):
            raise ConnectionAbortedError


class Listener:
    """Take TCP connections on a port of this machine and count them, inside a `with`. Each gets a tiny HTTP 200."""

    def __init__(self, host="127.0.0.1"):
        self._socket = socket.create_server((host, 0))
        self._socket.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        self._lock = threading.Lock()
        self._connections = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self.host, self.port = self._socket.getsockname()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        self._accept_all()
        self._socket.close()

    def url(self, path: str = "/") -> str:
        return f"http://{self.host}:{self.port}{path}"

    @property
    def connections(self) -> int:
        """How many have connected so far, those that wait in the kernel included."""
        self._accept_all()
        return self._connections

    def _listen(self):
        while not self._stopping.is_set():
            select.select([self._socket], [], [], 0.02)
            self._accept_all()

    def _accept_all(self):
        with self._lock, suppress(OSError):  # nobody waits, or the socket is closed by now
            while True:
                connection, _ = self._socket.accept()
                self._connections += 1
                threading.Thread(target=_answer_tiny, args=(connection,), daemon=True).start()


def _answer_tiny(connection):
    with connection, suppress(OSError):
        connection.settimeout(5)
        connection.recv(CHUNK)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")


def _retry_after(seconds):
    return {"Retry-After": seconds} if seconds else {}


def _asked_range(header):
    """Return the one range of the header as (first, last), or None for any header that a server is to ignore."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = (int(number) if number else None for number in match.groups())
    backwards = first is not None and last is not None and last < first
    return None if backwards else (first, last)


def _span(asked, size):
    first, last = asked
    if first is None:
        return range(max(0, size - last), size)
    return range(first, size if last is None else min(last + 1, size))
