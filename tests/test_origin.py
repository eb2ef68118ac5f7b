import http.client
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import httpx
import pytest

from tests.origin import Listener, Origin, big_bytes, make_media, media_folder
from tests.origin import media as media_module


@pytest.fixture(scope="session")
def media():
    return make_media(media_folder())


@pytest.fixture
def origin(media):
    with Origin(media) as origin:
        yield origin


@pytest.fixture
def client(origin):
    with httpx.Client(base_url=origin.base, trust_env=False) as client:
        yield client


def test_a_file_arrives_whole_with_its_length_its_type_and_its_tag(client, media):
    answer = client.get("/direct/video.mp4")

    assert answer.content == (media / "direct/video.mp4").read_bytes()
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"]


def test_head_says_what_get_would_and_sends_no_body(client, origin):
    answer = client.head("/direct/big.bin?size=5000000")

    assert answer.headers["Content-Length"] == "5000000"
    assert origin.bytes_sent() == 0


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=10-19", 10, 20),
        ("bytes=2999990-", 2_999_990, 3_000_000),
        ("bytes=2999990-9999999", 2_999_990, 3_000_000),
        ("bytes=-5", 2_999_995, 3_000_000),
    ],
)
def test_a_range_is_answered_with_exactly_that_part(client, asked, first, end):
    answer = client.get("/direct/big.bin?size=3000000", headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/3000000"
    assert answer.content == big_bytes(first, end)


def test_a_range_behind_the_end_is_refused_with_the_size(client):
    answer = client.get("/direct/big.bin?size=1000", headers={"Range": "bytes=1000-"})

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */1000"


def test_a_range_is_ignored_on_request(client):
    answer = client.get("/direct/big.bin?size=1000&norange=1", headers={"Range": "bytes=900-"})

    assert answer.status_code == 200
    assert len(answer.content) == 1000


def test_a_part_of_another_version_is_not_given(client):
    same = client.get("/direct/big.bin?etag=new", headers={"Range": "bytes=10-", "If-Range": '"new"'})
    changed = client.get("/direct/big.bin?etag=new", headers={"Range": "bytes=10-", "If-Range": '"old"'})

    assert same.status_code == 206
    assert changed.status_code == 200


def test_a_body_without_a_length_arrives_whole(client):
    answer = client.get("/direct/big.bin?size=200000&nolength=1")

    assert "Content-Length" not in answer.headers
    assert answer.content == big_bytes(0, 200_000)


def test_a_rate_is_kept(client):
    began = time.monotonic()
    client.get("/direct/big.bin?size=200000&rate=500000")

    assert 0.4 <= time.monotonic() - began < 5


def test_a_delay_comes_before_the_answer(client):
    began = time.monotonic()
    client.get("/direct/small.mp4?delay=0.2")

    assert time.monotonic() - began > 0.2


def test_a_cut_body_ends_after_exactly_so_many_bytes_and_can_be_resumed(client, origin):
    url = origin.url("/direct/big.bin", size=1_000_000, cut=300_000, cut_times=1)

    with urlopen(url) as answer, pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    rest = client.get(url, headers={"Range": f"bytes={len(cut.value.partial)}-"})

    assert len(cut.value.partial) == 300_000
    assert cut.value.partial + rest.content == big_bytes(0, 1_000_000)


def test_a_failure_passes_after_so_many_requests_of_one_test(client):
    failing = "/direct/small.mp4?status=503&times=1&retry_after=7"

    first = client.get(f"{failing}&id=one")
    second = client.get(f"{failing}&id=one")
    other = client.get(f"{failing}&id=other")

    assert (first.status_code, second.status_code, other.status_code) == (503, 200, 503)
    assert first.headers["Retry-After"] == "7"


def test_a_failure_can_begin_after_some_requests(client):
    url = "/direct/small.mp4?status=403&skip=1"

    assert client.get(url).status_code == 200
    assert client.get(url).status_code == 403


def test_manifests_pass_the_behaviour_on_and_are_served_at_once(client):
    master = client.get("/hls/multi/master.m3u8?status=404&id=a%26b")
    encrypted = client.get("/hls/aes/index.m3u8?status=404")
    dash = client.get("/dash/manifest.mpd?status=404&id=x")

    assert "\n720/index.m3u8?status=404&id=a%26b\n" in master.text
    assert 'URI="key.bin?status=404"' in encrypted.text
    assert "\nseg000.ts?status=404\n" in encrypted.text
    assert 'media="seg-$RepresentationID$-$Number%03d$.m4s?status=404&amp;id=x"' in dash.text


def test_a_behaviour_can_be_aimed_at_the_manifest_or_at_one_segment(client):
    assert client.get("/hls/plain/index.m3u8?status=404&on=manifest").status_code == 404
    assert client.get("/hls/plain/seg003.ts?status=404&on=manifest").status_code == 200
    assert client.get("/hls/plain/seg003.ts?status=404&on=seg003").status_code == 404
    assert client.get("/hls/plain/seg004.ts?status=404&on=seg003").status_code == 200


def test_a_guarded_stream_needs_the_cookie(client):
    guarded = "/hls/aes/key.bin?need_cookie=1"

    assert client.get(guarded).status_code == 403
    assert client.get(guarded, headers={"Cookie": "other=1; pass=open"}).status_code == 200


def test_a_redirect_leads_to_where_it_is_told(client, origin):
    target = origin.url("/direct/small.mp4")

    answer = client.get("/redirect/307", params={"to": target})

    assert (answer.status_code, answer.headers["Location"]) == (307, target)


def test_every_request_is_recorded_until_the_origin_forgets(client, origin):
    client.get("/direct/big.bin?size=1000", headers={"Range": "bytes=900-"})

    [record] = origin.requests_for("/direct/")

    assert (record.method, record.path, record.query) == ("GET", "/direct/big.bin", {"size": "1000"})
    assert (record.status, record.range, record.bytes_sent) == (206, (900, None), 100)
    assert record.headers["Range"] == "bytes=900-"
    assert origin.bytes_sent("/direct/") == 100
    origin.reset()
    assert origin.requests == []


def test_a_client_that_goes_away_makes_no_noise(origin, capfd):
    with socket.create_connection(("127.0.0.1", origin.port)) as rude:
        rude.sendall(b"GET /direct/big.bin?size=1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        rude.recv(1000)
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.1)

    assert origin.bytes_sent() < 1_000_000_000
    assert capfd.readouterr().err == ""


def test_the_origin_closes_at_once_though_a_request_hangs(media):
    with ThreadPoolExecutor() as pool:
        with Origin(media) as origin:
            hanging = pool.submit(httpx.get, origin.url("/hang"), trust_env=False)
            time.sleep(0.1)
            began = time.monotonic()

        assert isinstance(hanging.exception(timeout=10), httpx.TransportError)
    assert time.monotonic() - began < 10


def test_a_listener_counts_every_connection():
    with Listener() as listener:
        assert listener.connections == 0
        socket.create_connection(("127.0.0.1", listener.port)).close()
        assert httpx.get(listener.url(), trust_env=False).status_code == 200

        assert listener.connections == 2


def test_media_that_are_complete_are_not_made_again(media, monkeypatch):
    monkeypatch.setattr(media_module, "_make_whole", None)

    assert make_media(media) == media
