"""The way out for native code: what every client gets through it, and what none of them does."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from ipaddress import ip_network

import psutil
import pytest
import requests
from curl_cffi import requests as curl_requests

from downloads.engine import dialling, egress_proxy, messages
from downloads.engine.dialling import Upstream
from downloads.engine.egress import address_of, refused_by
from downloads.engine.egress_proxy import EgressProxy
from downloads.engine.errors import Reason
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.http_heads import BadHead, Request, answer_onward
from downloads.engine.network import AddressPolicy
from downloads.engine.process import Child
from tests.origin import Listener, big_bytes
from tests.proxies import ForeignProxy
from tests.service import PROJECT, wait_until

NOWHERE = AddressPolicy()
TO_THE_ORIGIN = AddressPolicy((ip_network("127.0.0.1/32"),))


@pytest.fixture(scope="module")
def proxy():
    with EgressProxy() as proxy:
        yield proxy


@pytest.fixture
def route(proxy):
    """A way to the origin, and to nothing else."""
    with proxy.open(TO_THE_ORIGIN) as route:
        yield route


@pytest.fixture
def forbidden():
    """A server at an address that the route may not reach."""
    with Listener("127.0.0.2") as listener:
        yield listener


# Every client: each gives the body that it fetched through the proxy, or None


def by_curl(proxy, url):
    return fetched(["curl", "-sfL", "--max-time", "10", "-x", proxy, url])


def by_curl_in_a_tunnel(proxy, url):
    return fetched(["curl", "-sfL", "--max-time", "10", "-p", "-x", proxy, url])


def fetched(command):
    done = subprocess.run(command, capture_output=True, env={"PATH": os.environ["PATH"]}, check=False)
    return done.stdout if done.returncode == 0 else None


def by_requests(proxy, url):
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(url, proxies={"http": proxy, "https": proxy}, timeout=10)
    return answer.content if answer.ok else None


def by_curl_cffi(proxy, url):
    answer = curl_requests.get(url, proxy=proxy, impersonate="chrome", timeout=10)
    return answer.content if answer.ok else None


def login_to(route):
    """The line of a request's head that says whose it is."""
    (field,) = requests.adapters.HTTPAdapter().proxy_headers(route.url).items()
    return "{}: {}\r\n".format(*field)


def by_ffmpeg(tools, proxy, url, *output):
    white_list = "http,https,tcp,tls,crypto,httpproxy"
    command = [tools.ffmpeg, "-v", "error", "-protocol_whitelist", white_list, "-i", url]
    done = subprocess.run([*command, *output], capture_output=True, env={"http_proxy": proxy}, check=False, timeout=20)
    return done.stdout


CLIENTS = [
    pytest.param(by_curl, marks=pytest.mark.skipif(not shutil.which("curl"), reason="no curl")),
    pytest.param(by_curl_in_a_tunnel, marks=pytest.mark.skipif(not shutil.which("curl"), reason="no curl")),
    by_requests,
    by_curl_cffi,
]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_comes_through_as_it_is(client, route, origin, media):
    assert client(route.url, origin.url("/direct/video.mp4")) == (media / "direct/video.mp4").read_bytes()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_whose_length_nobody_said_comes_through(client, route, origin, media):
    url = origin.url("/direct/small.mp4", nolength=1)

    assert client(route.url, url) == (media / "direct/small.mp4").read_bytes()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_forbidden_address_is_refused_without_a_connection(client, route, forbidden):
    assert succeeded(client, route.url, forbidden.url()) is None

    assert forbidden.connections == 0
    assert route.refused == ["address not allowed: '127.0.0.2'"]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_redirect_to_a_forbidden_address_is_refused_without_a_connection(client, route, origin, forbidden):
    assert succeeded(client, route.url, origin.url("/redirect/302", to=forbidden.url())) is None

    assert forbidden.connections == 0
    assert route.refused


def succeeded(client, *arguments):
    """What a client fetched; None too where it has an exception of its own for what it did not."""
    try:
        return client(*arguments)
    except curl_requests.RequestsError:
        return None


def test_ffmpeg_fetches_a_stream_with_its_keys_through_it(tools, route, origin):
    found = by_ffmpeg(tools, route.url, origin.url("/hls/aes/index.m3u8"), "-c", "copy", "-f", "mpegts", "-")

    assert len(found) > 500_000
    assert origin.requests_for("/hls/aes/key.bin")
    assert not [record for record in origin.requests if "Proxy-Authorization" in record.headers]


def test_ffmpeg_is_refused_a_playlist_that_leads_elsewhere(tools, route, origin, forbidden, tmp_path):
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{forbidden.url('/a.ts')}\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(playlist)
    command = ["-protocol_whitelist", "file,http,tcp", "-i", str(tmp_path / "list.m3u8"), "-f", "null", "-"]
    subprocess.run([tools.ffmpeg, "-v", "error", *command], env={"http_proxy": route.url}, check=False, timeout=20)

    assert forbidden.connections == 0
    assert route.refused


# Who may use it


@pytest.mark.parametrize("credentials", ["", "nobody:@", "nobody:nothing@"])
def test_without_a_routes_credentials_nothing_is_fetched(proxy, origin, credentials):
    proxies = {"http": f"http://{credentials}127.0.0.1:{proxy.port}"}

    assert requests.get(origin.url("/direct/small.mp4"), proxies=proxies, timeout=30).status_code == 407
    assert origin.requests == []


def test_a_closed_routes_credentials_are_worth_nothing(proxy, origin):
    with proxy.open(TO_THE_ORIGIN) as route:
        pass

    answer = requests.get(origin.url("/direct/small.mp4"), proxies={"http": route.url}, timeout=30)

    assert answer.status_code == 407
    assert origin.requests == []


def test_each_route_has_its_own_policy_and_its_own_refusals(proxy, route, origin):
    url = origin.url("/direct/small.mp4")
    with proxy.open(NOWHERE) as other:
        assert requests.get(url, proxies={"http": other.url}, timeout=30).status_code == 403
        assert requests.get(url, proxies={"http": route.url}, timeout=30).status_code == 200

        assert other.refused == refused_by(other.url) == ["address not allowed: '127.0.0.1'"]
    assert route.refused == refused_by(route.url) == []


def test_a_refusal_has_a_header_that_says_so(route, forbidden):
    answer = requests.get(forbidden.url(), proxies={"http": route.url}, timeout=30)

    assert (answer.status_code, answer.headers["X-Egress"]) == (403, "refused")


def test_a_host_that_is_not_there_is_no_refusal(route):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    answer = requests.get(url, proxies={"http": route.url}, timeout=30)

    assert (answer.status_code, answer.headers["X-Egress"]) == (502, "unreachable")
    assert route.refused == []


def test_no_more_than_the_first_refusals_are_kept(proxy):
    with proxy.open(NOWHERE) as route:
        _ = [route.refuse(f"10.0.0.{number}") for number in range(100)]

        assert len(route.refused) == 20


def test_of_a_route_that_is_gone_nothing_is_known(proxy):
    with proxy.open(NOWHERE) as route:
        route.refuse("10.0.0.1")

    assert refused_by(route.url) == []
    assert refused_by("http://a:@127.0.0.1:1") == []
    assert refused_by("") == []


def test_the_guard_is_told_the_address_in_the_url(proxy, route):
    assert address_of(route.url) == ("127.0.0.1", proxy.port)
    assert address_of("") is None


# Names


@pytest.fixture
def names(monkeypatch):
    """Names that stand for these addresses, one list after the other; and how often each was looked up."""
    meant, looked_up = {}, []
    real = socket.getaddrinfo

    def look_up(host, port, *rest, **named):
        if host not in meant:
            return real(host, port, *rest, **named)
        looked_up.append(host)
        addresses = meant[host].pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(dialling.socket, "getaddrinfo", look_up)
    return meant, looked_up


def test_a_name_is_looked_up_once_and_means_the_same_until_it_is_connected(names, route, origin, forbidden):
    meant, looked_up = names
    meant["changing.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    url = f"http://changing.test:{origin.port}/direct/small.mp4"

    assert requests.get(url, proxies={"http": route.url}, timeout=30).status_code == 200
    assert looked_up == ["changing.test"]
    assert requests.get(url, proxies={"http": route.url}, timeout=30).status_code == 403


def test_of_several_addresses_only_allowed_ones_are_connected_to(names, route, forbidden):
    names[0]["both.test"] = [["127.0.0.2", "127.0.0.1"]]

    answer = requests.get(f"http://both.test:{forbidden.port}/", proxies={"http": route.url}, timeout=30)

    assert answer.status_code == 502  # nobody listens there at the allowed one
    assert forbidden.connections == 0


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_a_forbidden_address_is_refused_in_any_notation(proxy, origin, host):
    with proxy.open(NOWHERE) as route:
        answer = requests.get(f"http://{host}:{origin.port}/direct/small.mp4", proxies={"http": route.url}, timeout=30)

        assert answer.status_code == 403
        assert route.refused
    assert origin.requests == []


# Through an administrator's proxy


@pytest.fixture(params=["http", "socks5"])
def foreign(request):
    with ForeignProxy(request.param) as foreign:
        yield foreign


@pytest.fixture(params=["http", "socks5"])
def foreign_with_login(request):
    with ForeignProxy(request.param, "user:pass word/é") as foreign:
        yield foreign


@pytest.mark.parametrize("client", [by_requests, by_curl_cffi])
def test_an_administrators_proxy_is_asked_for_the_checked_address(proxy, names, origin, client, foreign_with_login):
    names[0]["site.test"] = [["127.0.0.1"]]
    with proxy.open(TO_THE_ORIGIN, upstream=foreign_with_login.url) as route:
        body = client(route.url, f"http://site.test:{origin.port}/direct/big.bin?size=500000")

    assert body == big_bytes(0, 500_000)
    assert foreign_with_login.asked_for == [("127.0.0.1", origin.port)]
    assert origin.requests[0].headers["Host"] == f"site.test:{origin.port}"
    assert "Proxy-Authorization" not in origin.requests[0].headers


def test_an_administrators_proxy_without_a_login_is_asked_without_one(proxy, origin, foreign):
    with proxy.open(TO_THE_ORIGIN, upstream=foreign.url) as route:
        assert by_requests(route.url, origin.url("/direct/big.bin", size=10)) == big_bytes(0, 10)

    assert foreign.asked_for == [("127.0.0.1", origin.port)]


def test_what_is_forbidden_does_not_reach_an_administrators_proxy(proxy, forbidden, foreign):
    with proxy.open(TO_THE_ORIGIN, upstream=foreign.url) as route:
        assert requests.get(forbidden.url(), proxies={"http": route.url}, timeout=30).status_code == 403

    assert foreign.asked_for == []


def test_an_administrators_proxy_that_does_not_know_us_is_no_refusal(proxy, origin, foreign_with_login):
    with proxy.open(TO_THE_ORIGIN, upstream=foreign_with_login.url.replace("user", "nobody")) as route:
        answer = requests.get(origin.url("/direct/small.mp4"), proxies={"http": route.url}, timeout=30)

        assert answer.status_code == 502
        assert route.refused == []


@pytest.mark.parametrize(
    "url",
    ["", "proxy", "ftp://a:1", "https://a:1", "http://", "http://a:99999", "http://a/b", "http://a?b", "socks5://a:b@"],
)
def test_what_is_no_address_of_a_proxy_is_refused(url):
    with pytest.raises(ValueError, match=r"\S"):
        Upstream.parse(url)


def test_a_connection_comes_from_the_address_that_was_named(proxy):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        proxy.open(TO_THE_ORIGIN, source_address="127.0.0.3") as route,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        client.sendall(f"CONNECT 127.0.0.1:{server.getsockname()[1]} HTTP/1.1\r\n{login_to(route)}\r\n".encode())
        connection, peer = server.accept()
        connection.close()

    assert peer[0] == "127.0.0.3"


def test_what_is_no_address_to_connect_from_is_refused(proxy):
    with pytest.raises(ValueError, match="eth0"):
        proxy.open(NOWHERE, source_address="eth0")


# What is handed on


@pytest.fixture
def connected(proxy, route):
    """A raw connection to the proxy, and a way to say who we are."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as connection:
        yield connection


@pytest.fixture
def authorised(route):
    return login_to(route)


def all_of(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_nothing_that_is_meant_for_the_proxy_reaches_the_server(connected, authorised, origin):
    connected.sendall(
        f"GET {origin.url('/direct/small.mp4')} HTTP/1.1\r\n{authorised}"
        "Host: elsewhere\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"
        "X-Kept: 2\r\n\r\n".encode()
    )

    assert all_of(connected).startswith(b"HTTP/1.1 200 ")
    headers = origin.requests[0].headers
    assert headers == {"Host": f"127.0.0.1:{origin.port}", "X-Kept": "2", "Connection": "close"}


def test_a_second_request_on_a_connection_reaches_nobody(connected, authorised, origin, forbidden):
    """It may be meant for another host, and have that host's cookies in it."""
    first = f"GET {origin.url('/direct/small.mp4')} HTTP/1.1\r\n{authorised}\r\n"
    second = f"GET {forbidden.url()} HTTP/1.1\r\n{authorised}Cookie: secret=1\r\n\r\n"
    connected.sendall((first + second).encode())

    answer = all_of(connected)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert len(origin.requests) == 1
    assert forbidden.connections == 0


def test_a_body_goes_to_the_server_and_no_byte_more(connected, authorised):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        connected.sendall(f"POST {url} HTTP/1.1\r\n{authorised}Content-Length: 300000\r\n\r\n".encode())
        connected.sendall(b"x" * 300_000 + b"more")
        server, _ = listener.accept()
        with server:
            server.settimeout(0.3)
            head, _, body = received(server).partition(b"\r\n\r\n")
            server.sendall(b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.0 201 Made\r\n\r\ndone")

    assert b"Content-Length: 300000" in head
    assert body == b"x" * 300_000
    assert all_of(connected) == b"HTTP/1.0 201 Made\r\nConnection: close\r\n\r\ndone"


def received(connection):
    """What comes until nothing comes for a while."""
    data = b""
    with contextlib.suppress(TimeoutError):
        while piece := connection.recv(65536):
            data += piece
    return data


def test_an_answer_tells_the_client_that_the_connection_ends():
    head = b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\nX-Mine: 1\r\nA: b\r\n\r\n"

    assert answer_onward(head) == b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        "",
        "nonsense",
        "GET http://a/",
        "GET http://a/ HTTP/2",
        "GET http://a/ b HTTP/1.1",
        "get http://a/ HTTP/1.1",
        "GET https://a/ HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET http:///v HTTP/1.1",
        "GET http://user:secret@a/ HTTP/1.1",
        "GET http://a:0/ HTTP/1.1",
        "GET http://a:99999/ HTTP/1.1",
        "GET http://a%2f/ HTTP/1.1",
        "GET http://[a]/ HTTP/1.1",
        "GET http://ä/ HTTP/1.1",
        "CONNECT a HTTP/1.1",
        "CONNECT http://a:1 HTTP/1.1",
        "CONNECT user@a:1 HTTP/1.1",
        "GET http://a/ HTTP/1.1\r\nno field",
        "GET http://a/ HTTP/1.1\r\n continued: 1",
        "GET http://a/ HTTP/1.1\r\nName : 1",
        "GET http://a/ HTTP/1.1\r\nA: b\x00c",
        "GET http://a/ HTTP/1.1\r\nA: b\rc",
        "POST http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked",
        "POST http://a/ HTTP/1.1\r\nContent-Length: -1",
        "POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        "POST http://a/ HTTP/1.1\r\nContent-Length: 1, 1",
    ],
)
def test_a_head_that_another_could_read_in_another_way_is_refused(head):
    with pytest.raises(BadHead):
        Request.parse(f"{head}\r\n\r\n".encode())


def test_a_refused_head_is_answered_with_400(connected, authorised):
    connected.sendall(f"GET ftp://example.com/ HTTP/1.1\r\n{authorised}\r\n".encode())

    assert all_of(connected).startswith(b"HTTP/1.1 400 ")


def test_a_head_without_an_end_is_refused(connected):
    connected.sendall(b"GET http://a/ HTTP/1.1\r\n" + b"A: b\r\n" * 20_000)

    assert all_of(connected).startswith(b"HTTP/1.1 400 ")


# Tunnels


@pytest.fixture
def tunnel(connected, authorised):
    """Ask for a tunnel to a server of the test's own; both ends of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        connected.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n{authorised}\r\nearly".encode())
        server, _ = listener.accept()
        with server:
            server.settimeout(5)
            assert connected.recv(100) == b"HTTP/1.1 200 Connection established\r\n\r\n"
            yield connected, server


def test_what_a_client_says_at_once_arrives(tunnel):
    _client, server = tunnel

    assert server.recv(100) == b"early"


def test_one_half_of_a_connection_may_end_before_the_other(tunnel):
    client, server = tunnel
    client.shutdown(socket.SHUT_WR)
    assert all_of(server) == b"early"

    server.sendall(b"the answer")
    server.shutdown(socket.SHUT_WR)

    assert all_of(client) == b"the answer"


def test_the_servers_half_may_end_first(tunnel):
    client, server = tunnel
    server.shutdown(socket.SHUT_WR)
    assert all_of(client) == b""

    client.sendall(b" and late")
    client.shutdown(socket.SHUT_WR)

    assert all_of(server) == b"early and late"


def test_a_route_that_is_closed_cuts_its_connections(tunnel, route):
    client, server = tunnel
    assert server.recv(100) == b"early"

    route.close()

    assert client.recv(100) == b""
    assert server.recv(100) == b""
    assert route.tasks == set()


def test_a_silent_connection_is_ended(monkeypatch, proxy, route, origin):
    monkeypatch.setattr(egress_proxy, "IDLE_LIMIT", 0.3)
    began = time.monotonic()

    with pytest.raises(requests.ConnectionError):
        requests.get(origin.url("/hang"), proxies={"http": route.url}, timeout=30)

    assert time.monotonic() - began < 15


def test_a_route_has_so_many_connections_and_no_more(monkeypatch, tunnel, route, origin):
    monkeypatch.setattr(egress_proxy, "MAX_CONNECTIONS", 1)

    answer = requests.get(origin.url("/direct/small.mp4"), proxies={"http": route.url}, timeout=30)

    assert (answer.status_code, answer.headers["X-Egress"]) == (503, "full")


def server_waits(origin):
    """Whether nothing more leaves the origin, once something has: the buffers of the system are full."""
    sent = origin.bytes_sent()
    time.sleep(0.5)
    return sent and origin.bytes_sent() == sent


@pytest.mark.parametrize("request_line", ["GET {url}", "CONNECT 127.0.0.1:{port}"])
def test_a_slow_client_costs_no_memory(connected, authorised, origin, request_line):
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    url = origin.url("/direct/big.bin", size=2_000_000_000)
    before = psutil.Process().memory_info().rss
    connected.sendall(f"{request_line} HTTP/1.1\r\n{authorised}\r\n".format(url=url, port=origin.port).encode())
    connected.sendall(f"GET {url} HTTP/1.1\r\n\r\n".encode())
    wait_until(lambda: server_waits(origin), 20)

    assert psutil.Process().memory_info().rss - before < 32_000_000


# The proxy itself


def test_a_closed_proxy_takes_everything_along(origin):
    proxy = EgressProxy()
    route = proxy.open(TO_THE_ORIGIN)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as waiting:
        proxy.close()

        with suppress(ConnectionResetError):  # the system's own answer, where nobody had taken the connection yet
            assert waiting.recv(10) == b""
    route.close()
    proxy.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))


# A child of the engine that impersonates a browser, and may reach nothing by itself

BROWSING = """
import os, socket, sys
from downloads.engine import child

child.prepare()
os._exit(child.main(socket.socket(fileno=int(sys.argv[1]))))
"""


@pytest.fixture
def browse(tools, tmp_path):
    """What a child says of a URL, with this route."""

    def browse(url, route):
        job = messages.Job(
            task_id="0123456789ab",
            url=url,
            quality=Quality.BEST,
            post_processing=PostProcessing.NONE,
            folder=str(tmp_path / "work"),
            tools=str(tools.folder),
            cache=str(tmp_path / "cache"),
            egress=route.url,
            impersonate="chrome",
        )
        ours, its = socket.socketpair()
        command = [sys.executable, "-c", BROWSING, str(its.fileno())]
        with subprocess.Popen(command, pass_fds=[its.fileno()], start_new_session=True, cwd=PROJECT) as process:
            its.close()
            ours.sendall(messages.encode(job))
            child = Child(process.pid, ours)
            events = []
            while not child.ended:
                events += child.events(1)
            process.wait(5)
        ours.close()
        return events

    return browse


def test_a_child_impersonates_a_browser_through_its_route(browse, route, origin):
    events = browse(origin.url("/direct/small.mp4"), route)

    assert isinstance(events[-1], messages.Done)
    assert {"Chrome/" in record.headers["User-Agent"] for record in origin.requests} == {True}


def test_a_child_says_what_its_route_refused(browse, route, forbidden):
    (failed,) = browse(forbidden.url("/video.mp4"), route)

    assert failed.failure.reason is Reason.ADDRESS_FORBIDDEN
    assert failed.failure.detail == "address not allowed: '127.0.0.2'"
    assert forbidden.connections == 0
