"""The address policy holds whatever way a link takes: a listener on a forbidden address hears nothing of it.

Each way is gone twice. With the address allowed the listener hears of it, so that the way is known to lead there; with
the address forbidden it hears nothing. Ways that lead nowhere even then are only gone the second time.
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from deno import find_deno_bin
from yt_dlp.extractor.youtube.jsc._builtin.deno import DenoJCP

from downloads.engine import messages
from downloads.engine.choices import Choices, Place, Subtitles
from downloads.engine.formats import PostProcessing, Quality
from tests.lure import local_ways, lure, ways
from tests.origin import Listener
from tests.service import PROJECT

OURS, FORBIDDEN = "127.0.0.1", "127.0.0.2"
AT_ONCE = 6
NOTATIONS = [
    "127.0.0.2",
    "127.2",
    "127.0.2",
    "2130706434",
    "0x7f000002",
    "0x7F.2",
    "0x7f.0.0.0x2",
    "0177.0.0.2",
    "0177.2",
    "017700000002",
    "127.0.0.02",
    "127.000.000.002",
    "127.0.0.2.",
    "１２７.0.0.2",
    "127。0。0。2",
    "①②⑦.0.0.2",
    "[::ffff:127.0.0.2]",
    "[::ffff:7f00:2]",
    "[0:0:0:0:0:FFFF:7F00:0002]",
    "[::127.0.0.2]",
    "[64:ff9b::7f00:2]",
    "[64:ff9b:1::7f00:2]",
    "[2002:7f00:2::]",
    "[2001:0:7f00:2::80ff:fffd]",
    "[fe80::7f00:2%25lo]",
    "%31%32%37.0.0.2",
    "127.0.0.2%00.example.com",
    "127.0.0.2%2f@example.com",
    "example.com@127.0.0.2",
    "127.0.0.1@127.0.0.2",
]
# What the C library reads as that address, so that a connection would be made
UNDERSTOOD = {*NOTATIONS[:16], *NOTATIONS[16:19], "example.com@127.0.0.2", "127.0.0.1@127.0.0.2"} - {
    "127.0.0.2.",
    "１２７.0.0.2",
    "127。0。0。2",
    "①②⑦.0.0.2",
}
REDIRECTS = ["/301/v.mp4", "/302/v.mp4", "/303/v.mp4", "/307/v.mp4", "/308/v.mp4", "/twice/v.mp4", "/header/"]
# What is looked at, and not followed by anybody
DEAD_ENDS = {"/header/", "/page/embed.html", "/page/object.html", "/page/embed-url.html", "/hls/base-path.m3u8"}


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    file = tmp_path_factory.mktemp("secret") / "secret.ts"
    file.write_bytes(b"a secret of this machine " * 1000)
    return file


@pytest.fixture
def listener():
    with Listener(FORBIDDEN) as listener:
        yield listener


@pytest.fixture
def site(listener, media, secret):
    small = next(Path(media).rglob("small.mp4")).read_bytes()
    with lure(f"http://{FORBIDDEN}:{listener.port}", small=small, local=secret) as address:
        yield address


@pytest.fixture
def go(engine, tools, tmp_path):
    """Let the engine download these links, several at once; what each child said last."""
    numbers = count()

    def one(url, allowed):
        job = messages.Job(
            task_id="0123456789ab",
            url=url,
            quality=Quality.BEST,
            post_processing=PostProcessing.NONE,
            folder=str(tmp_path / f"work-{next(numbers)}"),
            tools=str(tools.folder),
            cache=str(tmp_path / "cache"),
            allowed_networks=allowed,
            choices=Choices(thumbnail=Place.BESIDE, subtitles=Subtitles(languages=("all",), place=Place.BESIDE)),
        )
        child = engine.start(job)
        try:
            return last_word(child)
        finally:
            child.stop()

    def go(urls, *allowed):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda url: one(url, allowed), urls))

    return go


def last_word(child, limit=30):
    heard, deadline = [], time.monotonic() + limit
    while not child.ended and time.monotonic() < deadline:
        heard += child.events(0.2)
        if heard and isinstance(heard[-1], messages.Done | messages.Failed | messages.Listed):
            break
    return heard[-1] if heard else None


def test_there_are_ways_enough(secret):
    assert len(NOTATIONS) + len(REDIRECTS) + len(ways("", "")) + len(local_ways(secret)) > 90


def test_no_notation_of_an_address_gets_past(go, listener):
    go([f"http://{host}:{listener.port}/v.mp4" for host in NOTATIONS], f"{OURS}/32")
    assert listener.connections == 0


def test_no_redirect_gets_past(go, site, listener):
    go([site + path for path in REDIRECTS], f"{OURS}/32")
    assert listener.connections == 0


def test_no_page_manifest_or_feed_gets_past(go, site, listener):
    go([site + path for path in ways("", "")], f"{OURS}/32")
    assert listener.connections == 0


def test_nothing_of_this_machine_comes_out_of_a_playlist(go, site, secret, tmp_path):
    go([site + path for path in local_ways(secret)], f"{OURS}/32")
    made = [file for folder in tmp_path.glob("work-*") for file in folder.rglob("*") if file.is_file()]
    assert not [file for file in made if b"a secret of this machine" in file.read_bytes()]


@pytest.mark.parametrize("host", sorted(UNDERSTOOD))
def test_the_notation_leads_there_where_it_is_allowed(go, listener, host):
    go([f"http://{host}:{listener.port}/v.mp4"], "127.0.0.0/8", "::ffff:127.0.0.0/104")
    assert listener.connections > 0


@pytest.mark.parametrize("path", sorted({*ways("", ""), *REDIRECTS} - DEAD_ENDS - {"/hls/own.m3u8"}))
def test_the_way_leads_there_where_it_is_allowed(go, site, listener, path):
    go([site + path], "127.0.0.0/8")
    assert listener.connections > 0


# Names: what the DNS answers is judged where the connection is made, each time anew

ANSWERS = {
    "a private answer": [["127.0.0.2"]],
    "several answers": [["127.0.0.2", "::ffff:127.0.0.2", "10.0.0.1"]],
    "another answer the second time": [["127.0.0.1"], ["127.0.0.2"]],
    "a mapped answer": [["::ffff:127.0.0.2"]],
}
RESOLVED = """
import contextlib, itertools, json, socket, sys
from ipaddress import ip_network
from downloads.engine import cures
from downloads.engine.network import AddressPolicy, install_guard

url, answers = sys.argv[1], json.loads(sys.argv[2])
turns = itertools.chain(answers, itertools.repeat(answers[-1]))

def resolve(host, port, *rest, **options):
    families = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in next(turns)]
    return [
        (family, socket.SOCK_STREAM, 6, "", (address, int(port)) + ((0, 0) if family == socket.AF_INET6 else ()))
        for family, address in families
    ]

socket.getaddrinfo = resolve
cures.apply()
install_guard(AddressPolicy((ip_network("127.0.0.1/32"),)))
with cures.CappedYoutubeDL({"quiet": True, "noprogress": True, "retries": 0}) as ydl:
    for scheme in ("http", "ws"):
        for _ in range(2):
            with contextlib.suppress(Exception):
                ydl.urlopen(url.replace("http", scheme)).read()
"""


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=list(ANSWERS))
def test_no_answer_of_the_dns_gets_past(listener, answers):
    url = f"http://video.example:{listener.port}/v.mp4"
    subprocess.run([sys.executable, "-c", RESOLVED, url, json.dumps(answers)], cwd=PROJECT, check=True, timeout=30)
    assert listener.connections == 0


def test_the_javascript_runtime_has_no_network(listener):
    command = [find_deno_bin(), "run", *DenoJCP._DENO_BASE_OPTIONS, "-"]
    script = f"await fetch('http://127.0.0.2:{listener.port}/')"
    run = subprocess.run(command, input=script, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode != 0
    assert listener.connections == 0
