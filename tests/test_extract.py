"""Looking first: what a site offers, in bounded time and number, and kept for the download after it."""

import hashlib
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service import Service

JPEG = b"\xff\xd8\xff"
SPECIFIED = {
    "url": str,
    "title": str,
    "duration": int,
    "thumbnail": str,
    "description": str,
    "uploader": str,
    "formats": list,
}
SPECIFIED_OF_A_FORMAT = {
    "format_id": str,
    "url": str,
    "ext": str,
    "quality": str,
    "filesize": int,
    "width": int,
    "height": int,
    "fps": int,
}


def extract(service, url, **fields):
    return service.http.post("/api/downloads/extract", json={"url": url, **fields})


def test_the_answer_has_every_specified_field_under_its_type(service, origin):
    info = extract(service, origin.url("/hls/multi/master.m3u8"), post_processing="none", cookies="").json()
    assert {field: type(info[field]) for field in SPECIFIED} == SPECIFIED
    assert {field: type(info["formats"][0][field]) for field in SPECIFIED_OF_A_FORMAT} == SPECIFIED_OF_A_FORMAT


def test_formats_say_what_they_are(service, origin):
    info = extract(service, origin.url("/hls/multi/master.m3u8"), quality="480p").json()
    assert {each["quality"] for each in info["formats"]} == {"180p", "360p", "720p"}
    assert info["duration"] == 12
    chosen = [each for each in info["formats"] if each["format_id"] in info["selected_formats"]]
    assert [(each["height"], each["protocol"]) for each in chosen] == [(360, "m3u8_native")]
    assert chosen[0]["video_codec"].startswith("avc1")
    assert chosen[0]["audio_codec"].startswith("mp4a")
    assert chosen[0]["bitrate"] > 0
    assert info["is_live"] is False


def test_a_playlist_is_described_by_its_entries(service, origin):
    info = extract(service, origin.url("/page/feed.rss")).json()
    assert (info["is_playlist"], info["total_entries"], len(info["entries"])) == (True, 3, 3)
    assert info["formats"] == []


def test_the_picture_comes_with_the_answer_where_it_is_asked_for(service, origin):
    url = origin.url("/page/described.html")
    info = extract(service, url, picture=True).json()
    kind, _, encoded = info["picture_url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert b64decode(encoded).startswith(JPEG)
    assert extract(service, url).json()["picture_url"] == ""


@pytest.mark.parametrize("picture", ["http://169.254.169.254/picture.jpg", "/direct/small.mp4"])
def test_a_look_without_a_picture_is_as_good(service, origin, picture):
    url = origin.url("/page/titled.html", title="A film", picture=picture)
    info = extract(service, url, picture=True).json()
    assert (info["title"], info["picture_url"]) == ("A film", "")
    assert info["thumbnail"].endswith(picture)


def test_a_download_after_it_does_not_ask_the_site_again(service, origin):
    url = origin.url("/hls/multi/master.m3u8")
    assert extract(service, url).status_code == 200
    asked = len(origin.requests_for("/hls/multi/master.m3u8"))
    assert service.wait_for(service.download(url))["status"] == "completed"
    assert len(origin.requests_for("/hls/multi/master.m3u8")) == asked


def test_a_link_that_has_expired_meanwhile_is_looked_up_anew(service, origin, media):
    url = origin.url("/direct/small.mp4", status=403, skip=1, times=1)
    assert extract(service, url).status_code == 200
    task = service.wait_for(task_id := service.download(url))
    assert (task["status"], task["failures"]) == ("completed", 0)
    original = next(Path(media).rglob("small.mp4")).read_bytes()
    assert hashlib.sha256(service.file(task_id).read_bytes()).digest() == hashlib.sha256(original).digest()


def test_what_was_looked_up_with_cookies_is_not_used_without_them(service, origin):
    url = origin.url("/hls/aes/index.m3u8", need_cookie=1)
    assert extract(service, url, cookies="pass=open").status_code == 200
    assert service.wait_for(service.download(url))["status"] == "failed"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/page/none.html", 400, "UNSUPPORTED_SITE"),
        ("/status/404", 500, "EXTRACTION_FAILED"),
        ("/status/403", 500, "EXTRACTION_FAILED"),
        ("/status/503", 500, "EXTRACTION_FAILED"),
    ],
)
def test_a_site_without_a_video_is_an_error_with_its_code(service, origin, path, status, code):
    answer = extract(service, origin.url(path))
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("url", ["not a url", "file:///etc/passwd", "http://10.0.0.1/"])
def test_what_cannot_be_a_video_is_not_asked_for(service, url):
    answer = extract(service, url)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_URL")


def test_nothing_is_left_of_a_look_up(service, origin):
    extract(service, origin.url("/direct/small.mp4"))
    assert not list((service.data / "work").glob("look-up-*"))
    assert not service.children()


@pytest.fixture
def hurried(tmp_path):
    """A service with one place for look-ups, and little time for each."""
    service = Service(tmp_path / "data", DOWNIE_MAX_CONCURRENT_EXTRACTS="1", DOWNIE_EXTRACT_TIME_LIMIT="2").start()
    yield service
    service.stop()


def test_a_site_that_does_not_answer_is_given_up_and_nobody_else_waits(hurried, origin):
    with ThreadPoolExecutor() as pool:
        pending = pool.submit(extract, hurried, origin.url("/hang"))
        others = [hurried.http.get("/api/health").elapsed.total_seconds() for _ in range(20)]
        answer = pending.result()
    assert (answer.status_code, answer.json()["error_code"]) == (500, "EXTRACTION_FAILED")
    assert 2 <= answer.elapsed.total_seconds() < 15
    assert max(others) < 1.8  # none of them waited for the whole look-up
    assert not hurried.children()


def test_more_look_ups_than_there_is_room_for_are_told_to_come_again(hurried, origin):
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: extract(hurried, origin.url("/hang")), range(24)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 7
    assert {answer.json()["error_code"] for answer in refused} == {"RATE_LIMITED"}
    assert {answer.headers["Retry-After"] for answer in refused} == {"2"}
