"""What an administrator has set for a site, as a child keeps to it: how fast, from where, through what, as whom."""

import http.client
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from yt_dlp.networking._curlcffi import CurlCFFIRH
from yt_dlp.networking.common import Request
from yt_dlp.networking.impersonate import ImpersonateTarget

from downloads.engine import messages
from downloads.engine.cures import CappedYoutubeDL
from downloads.engine.errors import Reason
from downloads.engine.formats import PostProcessing, Quality

SMALL = "/direct/small.mp4"  # 202,386 bytes
HLS = "/hls/multi/master.m3u8"  # twelve fragments; the worst has 657,000 bytes in all


@pytest.fixture
def start(engine, tools, tmp_path):
    """Starts a child on a job; whatever is left of it at the end of the test is stopped."""
    children = []

    def start(url, kind=messages.Job, **fields):
        defaults = {
            "quality": Quality.WORST,
            "post_processing": PostProcessing.NONE,
            "folder": str(tmp_path / "work"),
            "tools": str(tools.folder),
            "cache": str(tmp_path / "cache"),
            "allowed_networks": ("127.0.0.0/8", "::1/128"),
        }
        defaults |= {"task_id": "0123456789ab"} if kind is messages.Job else {}
        children.append(engine.start(kind(url=url, **defaults | fields)))
        return children[-1]

    yield start
    _ = [child.stop() for child in children]


@pytest.fixture
def proxy(origin):
    """A plain proxy in place of ours, to which every name is the origin's."""
    with Proxy(origin) as proxy:
        yield proxy


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, origin):
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.origin = ("127.0.0.1", origin.port)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        self.asked = 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Forwarder(BaseHTTPRequestHandler):
    def do_GET(self):
        self.forward()

    def do_HEAD(self):
        self.forward()

    def do_CONNECT(self):
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.server.origin) as upstream, suppress(OSError):
            threading.Thread(target=pump, args=(self.connection, upstream), daemon=True).start()
            pump(upstream, self.connection)
        self.close_connection = True

    def forward(self):
        self.server.asked += 1
        url = urlsplit(self.path)
        upstream = http.client.HTTPConnection(*self.server.origin)
        upstream.request(self.command, f"{url.path}?{url.query}", headers=dict(self.headers))
        answer = upstream.getresponse()
        self.send_response(answer.status)
        _ = [self.send_header(*header) for header in answer.getheaders()]
        self.end_headers()
        _ = [self.wfile.write(piece) for piece in iter(lambda: answer.read(16_384), b"")]

    def log_message(self, *_):
        pass


def pump(source, sink):
    with suppress(OSError):
        _ = [sink.sendall(piece) for piece in iter(lambda: source.recv(65_536), b"")]
        sink.shutdown(socket.SHUT_WR)


def events_of(child, limit=30):
    """Everything that a child says, each with its time, up to its last word."""
    heard = []
    deadline = time.monotonic() + limit
    while not child.ended and time.monotonic() < deadline:
        heard += [(time.monotonic(), event) for event in child.events(0.2)]
    return heard


def failure_of(child):
    (failure,) = [event.failure for _, event in events_of(child) if isinstance(event, messages.Failed)]
    return failure


def seconds_of_download(child):
    """From what was found to the last byte."""
    times = {type(event): at for at, event in events_of(child)}
    assert messages.Done in times
    return times[messages.Processing] - times[messages.Found]


@pytest.mark.parametrize(
    ("path", "rate", "seconds"), [(SMALL, 200_000, 1.01), (HLS, 600_000, 1.09)], ids=["one file", "fragments"]
)
def test_the_limit_holds_for_all_connections_together(start, origin, path, rate, seconds):
    assert seconds * 0.9 < seconds_of_download(start(origin.url(path), rate_limit=rate)) < seconds * 3


def test_the_limit_holds_for_curl_too(start, origin, proxy):
    child = start(origin.url(SMALL), rate_limit=200_000, impersonate="chrome", egress=proxy.url)
    assert 0.9 < seconds_of_download(child) < 4


def test_curl_does_not_read_ahead_into_memory(origin, proxy, monkeypatch):
    monkeypatch.setattr(CurlCFFIRH, "egress", proxy.url, raising=False)
    url, chrome = origin.url("/direct/big.bin", size=60_000_000), ImpersonateTarget("chrome")
    with (
        CappedYoutubeDL({"quiet": True, "cachedir": False, "ratelimit": 1_000_000}) as ydl,
        ydl.urlopen(Request(url, extensions={"impersonate": chrome})) as response,
    ):
        response.read(1024)
        time.sleep(0.5)
        assert origin.bytes_sent() < 30_000_000  # what the kernel holds counts as sent


def test_pages_are_not_slowed_down(origin):
    began = time.monotonic()
    with CappedYoutubeDL({"quiet": True, "cachedir": False, "ratelimit": 50_000}) as ydl:
        assert len(ydl.urlopen(origin.url("/direct/big.bin", size=1_000_000)).read()) == 1_000_000
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", [messages.Job, messages.LookUpJob])
def test_connections_come_from_the_source_address(start, kind):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        start(f"http://127.0.0.1:{server.getsockname()[1]}/v.mp4", kind, source_address="127.0.0.9")
        connection, (host, _port) = server.accept()
        connection.close()
    assert host == "127.0.0.9"


@pytest.mark.parametrize("kind", [messages.Job, messages.LookUpJob])
@pytest.mark.parametrize("address", ["192.0.2.200", "2001:db8::1", "::1"])  # the last is ours, the site is IPv4
def test_a_source_address_that_cannot_be_is_said_and_nothing_goes_from_another(start, origin, kind, address):
    failure = failure_of(start(origin.url(SMALL), kind, source_address=address))
    assert failure.reason == Reason.SOURCE_ADDRESS
    assert "source address" in failure.sentence
    assert not failure.retryable
    assert origin.requests == []


@pytest.mark.parametrize("path", [SMALL, HLS])
def test_everything_goes_through_the_proxy_where_there_is_one(start, proxy, path):
    url = f"http://known-to-the-proxy-alone.invalid{path}"
    child = start(url, egress=proxy.url, through_egress=True, source_address="127.0.0.9")
    assert isinstance(events_of(child)[-1][1], messages.Done)


def test_without_a_rule_the_proxy_is_not_asked(start, origin, proxy):
    events = events_of(start(origin.url(SMALL), egress=proxy.url))
    assert isinstance(events[-1][1], messages.Done)
    assert proxy.asked == 0


def test_requests_look_like_the_browser_and_go_through_the_proxy(start, origin, proxy):
    child = start(f"http://known-to-the-proxy-alone.invalid{HLS}", impersonate="firefox", egress=proxy.url)
    assert isinstance(events_of(child)[-1][1], messages.Done)
    assert {"Firefox/" in request.headers["User-Agent"] for request in origin.requests} == {True}


@pytest.mark.parametrize("kind", [messages.Job, messages.LookUpJob])
@pytest.mark.parametrize("rule", [{"through_egress": True}, {"impersonate": "chrome"}], ids=str)
def test_nothing_goes_directly_what_should_go_through_the_proxy(start, origin, kind, rule):
    assert failure_of(start(origin.url(SMALL), kind, **rule)).reason == Reason.PROXY
    assert origin.requests == []
