import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloads.engine.network import MAX_URL_LENGTH, AddressPolicy, AddressRefused, BadUrl, Guard, normalise_url

PUBLIC = AddressPolicy(())
WITH_LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))
WITH_LAN = AddressPolicy((ip_network("192.168.0.0/16"), ip_network("fd00::/8"), ip_network("fe80::/10")))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com/watch?v=1#t=5", "https://example.com/watch?v=1#t=5"),
        ("  https://example.com/v\n", "https://example.com/v"),
        ("\ufeffhttps://example.com/v\u200b", "https://example.com/v"),
        ("example.com/v", "https://example.com/v"),
        ("example.com", "https://example.com"),
        ("example.com:8080/v", "https://example.com:8080/v"),
        ("//example.com/v", "https://example.com/v"),
        ("HTTP://EXAMPLE.com/V", "http://example.com/V"),
        ("https://example.com:443/v", "https://example.com/v"),
        ("http://example.com:443/v", "http://example.com:443/v"),
        ("https://example.com:/v", "https://example.com/v"),
        ("https://example.com./v", "https://example.com/v"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/ä"),
        ("视频.中国/v", "https://xn--cy2a840a.xn--fiqs8s/v"),
        ("https://r3---sn-4g5e.googlevideo.com/v", "https://r3---sn-4g5e.googlevideo.com/v"),
        ("https://a_b.example.com/v", "https://a_b.example.com/v"),
        ("https://example.com/@user:name/v", "https://example.com/@user:name/v"),
        ("http://intranet/v", "http://intranet/v"),
        ("http://134744072/v", "http://8.8.8.8/v"),
        ("http://8.8.2056/", "http://8.8.8.8/"),
        ("http://0x8.010.8.8/", "http://8.8.8.8/"),
        ("http://[2606:4700:4700:0:0:0:0:1111]:8080/", "http://[2606:4700:4700::1111]:8080/"),
        ("[2606:4700:4700::1111]/v", "https://[2606:4700:4700::1111]/v"),
        ("http://[::ffff:8.8.8.8]/", "http://[::ffff:808:808]/"),
    ],
)
def test_what_people_paste_becomes_one_url(text, url):
    assert normalise_url(text, PUBLIC) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "cats",
        "javascript:alert(1)",
        "javascript://example.com/%0aalert(1)",
        "file:///etc/passwd",
        "file://example.com/v",
        "ftp://example.com/v",
        "ytsearch:cats",
        "ytsearch:9",
        "tel:123",
        "mailto:a@b",
        "mailto:a@b.example",
        "data:text/html,x",
        "http:example.com",
        "http:/example.com/v",
        "http://",
        "http:///v",
        "https://?v=1",
        "http://:80/",
        "http://.",
        "http://a..b/",
        "http://-a.example/",
        "http://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "https://example.com/a\tb",
        "https://example.com/\x00",
        "https://example.com/a\x85b",
        "https://example.com/\u3000v",
        "https://example.com/\ud800",
        "https://example.com/\u202egpj",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "user:secret@example.com/",
        "https://@example.com/",
        "https://example.com\\@evil.example/",
        "https://example.com%2f@evil.example/",
        "https://%31%32%37.0.0.1/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:-1/",
        "https://example.com:80a/",
        "https://example.com:٨٠/",
        "https://" + "a" * 64 + ".com/",
        "https://" + "a." * 130 + "com/",
        "https://" + "ä" * 5_000 + ".com/",
        "https://example.com/" + "v" * MAX_URL_LENGTH,
        "https://example.com/v#__youtubedl_smuggle=%7B%22force_videoid%22%3A%22x%22%7D",
        "https://example.com/v#%5f_youtubedl_smuggle=1",
        "https://i❤.example/",
        "http://[::1",
        "http://x[2606:4700::1]y/",
        "http://[2606:4700::1]y/",
        "http://[2606:4700::1%25eth0]/",
        "http://[v1.fe80]/",
        "http://2606:4700::1/",
        "http://1.2.3.4.5/",
        "http://1.2.3.999/",
        "http://256.1.1.1/",
        "http://4294967296/",
        "http://08.8.8.8/",
        "http://example.0x/",
        "http://example.1/",
        "http://" + "9" * 5_000 + "/",
        "http://1..8/",
    ],
)
def test_what_cannot_be_a_video_is_refused_in_one_sentence(text):
    with pytest.raises(BadUrl, match=r"^[A-Z][^\n]+\.$"):
        normalise_url(text, PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "１２７.０.０.１",
        "127。0。0。1",
        "10.0.0.5",
        "169.254.169.254",
        "192.168.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "localhost",
        "LOCALHOST.",
        "ⓛocalhost",
        "a.localhost",
        "localhost.localdomain",
        "ip6-localhost",
    ],
)
@pytest.mark.parametrize("form", ["http://{}/v", "https://{}:8443/v", "http://{}"])
def test_a_forbidden_address_is_refused_in_any_notation(host, form):
    with pytest.raises(BadUrl, match=r"not on the public internet|leads to the server itself"):
        normalise_url(form.format(host), PUBLIC)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"),
        ("http://localhost/", "http://localhost/"),
        ("localhost:8000/v", "https://localhost:8000/v"),
        ("http://a.localhost/", "http://a.localhost/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
    ],
)
def test_an_allowed_network_may_be_named(text, url):
    assert normalise_url(text, WITH_LOOPBACK) == url


@pytest.mark.parametrize("text", ["http://10.0.0.1/", "http://[::1]/", "http://0.0.0.0/"])
def test_an_allowed_network_opens_no_other(text):
    with pytest.raises(BadUrl):
        normalise_url(text, WITH_LOOPBACK)


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://[", "https://127."]))
def test_any_text_is_either_a_stable_url_or_refused(text, start):
    try:
        url = normalise_url(start + text, PUBLIC)
    except BadUrl:
        return
    assert normalise_url(url, PUBLIC) == url
    assert url.startswith(("http://", "https://"))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "192.31.196.1"],
)
def test_the_public_internet_is_allowed(address):
    assert PUBLIC.allows(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::8.8.8.8",
        "::ffff:10.0.0.1",
        "::ffff:224.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "fe80::1%eth0",
        "2606:4700:4700::1111%eth0",
        "::ffff:8.8.8.8%eth0",
        "127.1",
        "2130706433",
        "example.com",
        "localhost",
        "",
        "8.8.8.8 ",
        "8.8.8.8\x00",
    ],
)
def test_everything_else_is_forbidden(address):
    assert not PUBLIC.allows(address)


@pytest.mark.parametrize("address", ["192.168.7.7", "::ffff:192.168.7.7", "fd00::1", "fe80::1", "fe80::1%eth0"])
def test_an_allowed_network_always_wins(address):
    assert WITH_LAN.allows(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "ff02::1%eth0"])
def test_other_networks_stay_forbidden(address):
    assert not WITH_LAN.allows(address)


GUARDED = """
import asyncio, json, socket, sys, urllib.request
from ipaddress import ip_network
from downloads.engine.network import AddressPolicy, AddressRefused, install_guard

listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))
guard = install_guard(AddressPolicy(tuple(map(ip_network, json.loads(sys.argv[1])))))
pair = socket.socketpair()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
tcp = lambda family=socket.AF_INET: socket.socket(family)
udp = lambda: socket.socket(type=socket.SOCK_DGRAM)

def connected_sendmsg():
    sender = udp()
    sender.connect(datagrams.getsockname())
    sender.sendmsg([b"x"])

async def asynchronously():
    await asyncio.open_connection("127.0.0.1", port)

actions = {
    "connect": lambda: tcp().connect(("127.0.0.1", port)),
    "connect_ex": lambda: tcp().connect_ex(("127.0.0.1", port)),
    "create_connection": lambda: socket.create_connection(("127.0.0.1", port)),
    "mapped": lambda: tcp(socket.AF_INET6).connect(("::ffff:127.0.0.1", port)),
    "asyncio": lambda: asyncio.run(asynchronously()),
    "urllib": lambda: opener.open(f"http://127.0.0.1:{port}/", timeout=0.2),
    "name": lambda: tcp().connect(("localhost", port)),
    "scope": lambda: tcp(socket.AF_INET6).connect(("fe80::1", port, 0, 1)),
    "unix": lambda: tcp(socket.AF_UNIX).connect("/tmp/no-such-socket"),
    "abstract unix": lambda: tcp(socket.AF_UNIX).connect(b"\\0no-such-socket"),
    "sendto": lambda: udp().sendto(b"x", datagrams.getsockname()),
    "sendmsg": lambda: udp().sendmsg([b"x"], [], 0, datagrams.getsockname()),
    "connected sendmsg": connected_sendmsg,
    "bind": lambda: tcp().bind(("127.0.0.1", 0)),
    "pair": lambda: pair[0].sendmsg([b"x"]),
}

def outcome(action):
    try:
        action()
    except BaseException as error:
        chain = [error]
        while chain[-1].__cause__ or chain[-1].__context__ or isinstance(getattr(chain[-1], "reason", None), Exception):
            chain.append(chain[-1].__cause__ or chain[-1].__context__ or chain[-1].reason)
        return "refused" if any(isinstance(e, AddressRefused) for e in chain) else type(error).__name__
    return "passed"

outcomes = {name: outcome(action) for name, action in actions.items()}
for _ in range(50):
    outcome(actions["name"])
print(json.dumps([outcomes, guard.refused]))
"""


def guarded(*networks):
    """Run every kind of connection in a process of its own, since an audit hook cannot be removed."""
    command = [sys.executable, "-c", GUARDED, json.dumps(networks)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout)


@pytest.fixture(scope="module")
def without_networks():
    return guarded()


@pytest.fixture(scope="module")
def with_loopback():
    return guarded("127.0.0.0/8")


@pytest.mark.parametrize(
    "action",
    [
        "connect",
        "connect_ex",
        "create_connection",
        "mapped",
        "asyncio",
        "urllib",
        "name",
        "scope",
        "unix",
        "abstract unix",
        "sendto",
        "sendmsg",
        "connected sendmsg",
    ],
)
def test_the_guard_refuses(without_networks, action):
    assert without_networks[0][action] == "refused"


def test_what_may_fail_without_harm_is_refused_unnoted_in_its_own_thread_alone():
    guard = Guard(AddressPolicy())
    connect = ("socket.connect", (None, ("127.0.0.1", 80)))
    with guard.unnoted(), ThreadPoolExecutor(1) as other:
        with pytest.raises(AddressRefused):
            guard.hook(*connect)
        assert guard.refused == []
        with pytest.raises(AddressRefused):
            other.submit(guard.hook, *connect).result()
    assert len(guard.refused) == 1


@pytest.mark.parametrize("action", ["bind", "pair"])
def test_the_guard_leaves_alone_what_goes_nowhere(without_networks, action):
    assert without_networks[0][action] == "passed"


@pytest.mark.parametrize(
    "action",
    ["connect", "connect_ex", "create_connection", "mapped", "asyncio", "sendto", "sendmsg", "connected sendmsg"],
)
def test_the_guard_lets_an_allowed_network_pass(with_loopback, action):
    assert with_loopback[0][action] == "passed"


@pytest.mark.parametrize("action", ["name", "scope", "unix", "abstract unix"])
def test_an_allowed_network_does_not_open_names_and_unix_sockets(with_loopback, action):
    assert with_loopback[0][action] == "refused"


def test_the_guard_notes_what_it_refused(without_networks):
    refused = without_networks[1]
    assert refused[0] == "address not allowed: '127.0.0.1'"
    assert len(refused) == 20


WITH_EGRESS = """
import socket, sys
from downloads.engine.network import AddressPolicy, AddressRefused, install_guard

proxy, other = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
place, elsewhere = proxy.getsockname(), other.getsockname()
install_guard(AddressPolicy(), place)

def passes(action):
    try:
        action()
    except AddressRefused:
        return False
    return True

tcp = lambda: socket.socket()
udp = lambda: socket.socket(type=socket.SOCK_DGRAM)
print(
    passes(lambda: tcp().connect(place)),
    passes(lambda: tcp().connect(elsewhere)),
    passes(lambda: tcp().connect(("localhost", place[1]))),
    passes(lambda: tcp().connect(("127.0.0.2", place[1]))),
    passes(lambda: udp().sendto(b"x", place)),
)
"""


def test_the_guard_lets_exactly_the_egress_proxy_pass():
    command = [sys.executable, "-c", WITH_EGRESS]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    assert said.split() == ["True", "False", "False", "False", "False"]
