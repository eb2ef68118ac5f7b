"""What ffmpeg gets to see of the network, and what it cannot reach."""

import socket
import subprocess
import urllib.parse

import pytest
import requests
from yt_dlp.networking.exceptions import HTTPError, TransportError

from downloads.engine import relay as relay_module
from downloads.engine.cookies import cookie_policy, parse_cookies
from downloads.engine.cures import CappedYoutubeDL
from downloads.engine.relay import Relay
from tests.origin import Listener, big_bytes

SITE = "https://site.test"


class WithASite(CappedYoutubeDL):
    """A yt-dlp for which the origin is `https://site.test` too, since it has no certificate."""

    def __init__(self, origin):
        super().__init__({"quiet": True, "cachedir": False})
        self.origin = origin
        self.asked = []

    def urlopen(self, request):
        self.asked.append(request)
        there = request.url.replace(SITE, self.origin.base)
        response = super().urlopen(request.copy() if there == request.url else moved(request, there))
        response.url = response.url.replace(self.origin.base, SITE) if there != request.url else response.url
        return response


def moved(request, url):
    request = request.copy()
    request.url = url
    return request


@pytest.fixture
def ydl(origin):
    with WithASite(origin) as ydl:
        ydl.cookiejar.set_policy(cookie_policy())
        yield ydl


@pytest.fixture
def serve(ydl):
    """Start a relay for formats, which is closed at the end."""
    relays = []

    def serve(*formats):
        relays.append(Relay(ydl, formats).__enter__())
        return relays[-1]

    yield serve
    _ = [relay.__exit__() for relay in relays]


def ask(relay, url, **headers):
    return requests.get(url, proxies={"http": relay.url}, headers=headers, timeout=10)


def test_the_address_of_a_format_stands_for_it(serve, origin, media):
    relay = serve({"url": origin.url("/direct/small.mp4", token="secret")})

    answer = ask(relay, relay.address(0))

    assert answer.content == (media / "direct/small.mp4").read_bytes()
    assert "secret" not in relay.address(0)


def test_a_range_is_answered_as_the_server_does(serve, origin):
    relay = serve({"url": origin.url("/direct/big.bin")})

    answer = ask(relay, relay.address(0), Range="bytes=500000-500099")

    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == "bytes 500000-500099/1000000"
    assert answer.headers["Content-Length"] == "100"
    assert answer.content == big_bytes(500_000, 500_100)


def test_a_body_whose_length_nobody_said_comes_to_its_end(serve, origin):
    relay = serve({"url": origin.url("/direct/big.bin", nolength=1)})

    assert ask(relay, relay.address(0)).content == big_bytes(0, 1_000_000)


@pytest.mark.parametrize("credentials", ["", "nobody:@"])
def test_nobody_else_is_served(serve, origin, credentials):
    relay = serve({"url": origin.url("/direct/small.mp4")})
    place = urllib.parse.urlsplit(relay.url)
    proxies = {"http": f"http://{credentials}127.0.0.1:{place.port}"}

    assert requests.get(relay.address(0), proxies=proxies, timeout=30).status_code == 407
    assert origin.requests == []


# Cookies and headers


def test_cookies_go_to_their_own_host_only(serve, ydl, origin):
    _ = [ydl.cookiejar.set_cookie(cookie) for cookie in parse_cookies("pass=open", origin.base)]
    elsewhere = f"http://localhost:{origin.port}/direct/small.mp4"
    relay = serve({"url": origin.url("/redirect/302", to=elsewhere)})

    assert ask(relay, relay.address(0)).ok
    assert ask(relay, elsewhere).ok

    assert [record.headers.get("Cookie") for record in origin.requests] == ["pass=open", None, None]


def test_headers_of_a_format_go_along_but_no_cookies_and_passwords_to_others(serve, origin):
    headers = {"Referer": "https://page.test/", "Cookie": "a=b", "Authorization": "Bearer secret"}
    relay = serve({"url": origin.url("/direct/small.mp4"), "http_headers": headers})

    ask(relay, relay.address(0), Cookie="from=ffmpeg", **{"User-Agent": "Lavf"})
    ask(relay, f"http://localhost:{origin.port}/direct/small.mp4")

    own, other = (record.headers for record in origin.requests)
    assert (own["Referer"], other["Referer"]) == ("https://page.test/", "https://page.test/")
    assert (own["Authorization"], other.get("Authorization")) == ("Bearer secret", None)
    assert (own.get("Cookie"), other.get("Cookie")) == (None, None)
    assert "Lavf" not in own["User-Agent"]


# Disguises


def test_an_https_address_is_asked_for_as_http_with_its_port(serve, ydl, media):
    relay = serve({"url": f"{SITE}/direct/small.mp4"})

    answer = ask(relay, relay.address(0))

    assert answer.content == (media / "direct/small.mp4").read_bytes()
    assert answer.url == "http://site.test:443/direct/small.mp4"
    assert [request.url for request in ydl.asked] == [f"{SITE}/direct/small.mp4"]


PLAYLIST = """#EXTM3U
#EXT-X-KEY:METHOD=AES-128,URI="https://keys.test/k?a=https://b.test"
#EXTINF:1,
https://cdn.test/a.ts
#EXTINF:1,
HTTPS://cdn.test:8443/b.ts
#EXTINF:1,
//cdn.test/c.ts
#EXTINF:1,
http://plain.test/d.ts
#EXTINF:1,
e.ts
"""


def test_in_a_playlist_every_https_address_is_disguised(serve):
    relay = serve({"url": f"{SITE}/index.m3u8"})

    seen = relay.disguised_playlist(PLAYLIST.encode(), f"{SITE}/index.m3u8").decode()

    assert "https://" not in seen.lower()
    addresses = [line for line in seen.splitlines() if not line.startswith("#")]
    assert [relay.real(address) for address in addresses[:4]] == [
        "https://cdn.test/a.ts",
        "https://cdn.test:8443/b.ts",
        "https://cdn.test/c.ts",
        "http://plain.test/d.ts",
    ]
    assert 'URI="http://keys.test:443/k?' in seen


@pytest.mark.parametrize("path", ["/hls/aes/index.m3u8", "/hls/multi/master.m3u8"])
def test_ffmpeg_reads_an_https_stream_through_it(tools, serve, ydl, path):
    relay = serve({"url": f"{SITE}{path}"})

    assert len(read_by_ffmpeg(tools, relay)) > 500_000
    assert {urllib.parse.urlsplit(request.url)[:2] for request in ydl.asked} == {("https", "site.test")}


def read_by_ffmpeg(tools, relay):
    white_lists = ["-protocol_whitelist", "http,tcp,crypto", "-f", "hls"]
    command = [tools.ffmpeg, "-v", "error", *white_lists, "-i", relay.address(0), "-c", "copy", "-f", "mpegts", "-"]
    done = subprocess.run(command, env={"http_proxy": relay.url}, capture_output=True, check=False, timeout=20)
    return done.stdout


def test_a_playlists_relative_addresses_are_those_of_where_it_was_found(tools, serve, origin):
    relay = serve({"url": origin.url("/redirect/302", to="/hls/plain/index.m3u8")})

    assert len(read_by_ffmpeg(tools, relay)) > 500_000
    assert len(origin.requests_for("/hls/plain/index.m3u8")) == 1


# What ffmpeg cannot reach


@pytest.mark.parametrize(
    "target",
    [
        "https://127.0.0.1:{port}/a.ts",
        "tcp://127.0.0.1:{port}",
        "rtmp://127.0.0.1:{port}/live",
        "ftp://127.0.0.1:{port}/a.ts",
        "tls://127.0.0.1:{port}",
        "udp://127.0.0.1:{port}",
        "concat:http://127.0.0.1:{port}/a.ts",
        "httpproxy://127.0.0.1:{port}/a:1",
    ],
)
def test_ffmpeg_connects_to_nothing_but_the_relay(tools, serve, tmp_path, target):
    """A playlist from a file, so that its addresses are not even disguised."""
    with Listener() as listener:
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".format(
            port=listener.port
        )
        (tmp_path / "list.m3u8").write_text(playlist)
        relay = serve({"url": listener.url("/none")})
        white_lists = ["-protocol_whitelist", "file,http,tcp,crypto", "-extension_picky", "0", "-f", "hls"]
        command = [tools.ffmpeg, "-v", "error", *white_lists, "-i", tmp_path / "list.m3u8", "-f", "null", "-"]
        subprocess.run(command, env={"http_proxy": relay.url}, check=False, capture_output=True, timeout=20)

        assert listener.connections == 0


# What went wrong


def test_what_a_server_refuses_is_known_as_it_was(serve, origin):
    relay = serve({"url": origin.url("/status/401")})

    assert ask(relay, relay.address(0)).status_code == 401
    (failure,) = relay.failures
    assert isinstance(failure, HTTPError)
    assert failure.status == 401


def test_what_a_server_gives_in_the_end_is_no_failure(monkeypatch, serve, origin):
    monkeypatch.setattr(relay_module, "PAUSES", (0.01, 0.01))
    relay = serve({"url": origin.url("/direct/small.mp4", status=503, times=2)})

    assert ask(relay, relay.address(0)).ok
    assert relay.failures == []
    assert relay.is_over


def test_a_body_that_was_cut_off_is_known(serve, origin):
    relay = serve({"url": origin.url("/direct/big.bin", cut=5000)})

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(relay, relay.address(0))

    assert isinstance(relay.failures[0], TransportError)
    assert not relay.is_over


def test_an_address_that_cannot_be_read_is_known(serve, origin):
    relay = serve({"url": origin.url("/direct/small.mp4")})
    place = urllib.parse.urlsplit(relay.url)
    (login,) = requests.adapters.HTTPAdapter().proxy_headers(relay.url).items()
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall("GET http://[/ HTTP/1.1\r\n{}: {}\r\n\r\n".format(*login).encode())

        assert connection.recv(100) == b""
    assert isinstance(relay.failures[0], ValueError)


@pytest.mark.parametrize(
    ("playlist", "is_over"),
    [
        ("#EXTM3U\n#EXTINF:1,\na.ts\n", False),
        ("#EXTM3U\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n", True),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", True),
    ],
)
def test_a_playlist_says_whether_its_stream_is_over(serve, playlist, is_over):
    relay = serve({"url": f"{SITE}/a"})

    relay.disguised_playlist(playlist.encode(), f"{SITE}/a?session=1")
    assert relay.is_over is is_over

    relay.disguised_playlist(b"#EXTM3U\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n", f"{SITE}/a?session=2")
    assert relay.is_over
