"""Every kind of media that there is so far arrives whole, in the form that was asked for."""

import hashlib
from pathlib import Path

import pytest

from downloads.engine.ffmpeg import prepare_toolbox, probe
from tests.service import wait_until


@pytest.fixture(scope="module")
def toolbox(tmp_path_factory):
    return prepare_toolbox(tmp_path_factory.mktemp("tools"))


@pytest.fixture
def download(service, toolbox):
    """Download a link; what ffprobe says about the result."""

    def run(url, **fields):
        task_id = service.download(url, **fields)
        task = service.wait_for(task_id)
        assert task["status"] == "completed", task
        return probe(toolbox, service.file(task_id), timeout=30)

    return run


def codecs(media):
    return sorted(stream.codec for stream in media.streams)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/direct/video.mp4", ["aac", "h264"]),
        ("/direct/vp9.webm", ["opus", "vp9"]),
        ("/direct/audio.mp3", ["mp3"]),
        ("/page/video.html", ["aac", "h264"]),
        ("/page/hls.html", ["aac", "h264"]),
        ("/hls/plain/index.m3u8", ["aac", "h264"]),
        ("/hls/aes/index.m3u8", ["aac", "h264"]),
        ("/hls/split/master.m3u8", ["aac", "h264"]),
        ("/dash/manifest.mpd", ["aac", "h264"]),
        ("/redirect/302?to=/direct/video.mp4", ["aac", "h264"]),
    ],
)
def test_what_a_site_offers_arrives_with_its_streams(origin, download, path, expected):
    assert codecs(download(origin.url(path))) == expected


def test_a_direct_file_is_byte_identical(service, origin, media):
    task_id = service.download(origin.url("/direct/video.mp4"))
    service.wait_for(task_id)
    original = next(Path(media).rglob("video.mp4"))
    assert hashlib.sha256(service.file(task_id).read_bytes()).digest() == hashlib.sha256(original.read_bytes()).digest()


@pytest.mark.parametrize(("quality", "height"), [("best", 720), ("720p", 720), ("480p", 360), ("worst", 180)])
def test_a_quality_gives_the_best_height_at_or_below_it(origin, download, quality, height):
    assert download(origin.url("/hls/multi/master.m3u8"), quality=quality).videos[0].height == height


def test_audio_is_cut_out_without_encoding(origin, download):
    media = download(origin.url("/direct/video.mp4"), post_processing="audio")
    assert [stream.codec for stream in media.audios] == ["aac"]
    assert (media.videos, media.extension) == ((), "m4a")


def test_mp4_is_made_of_what_is_no_mp4(origin, download):
    media = download(origin.url("/direct/vp9.webm"), post_processing="mp4")
    assert media.extension == "mp4"
    assert codecs(media) == ["opus", "vp9"]
    assert media.is_fast_start


def test_permute_gives_what_plays_everywhere(origin, download):
    media = download(origin.url("/direct/vp9.webm"), post_processing="permute")
    assert codecs(media) == ["aac", "h264"]
    assert media.videos[0].pix_fmt == "yuv420p"
    assert media.is_fast_start


def test_cookies_reach_the_site_and_its_key(origin, download):
    media = download(origin.url("/hls/aes/index.m3u8", need_cookie=1), cookies="pass=open")
    assert codecs(media) == ["aac", "h264"]


def test_without_the_cookies_the_site_refuses(service, origin):
    task_id = service.download(origin.url("/hls/aes/index.m3u8", need_cookie=1))
    assert service.wait_for(task_id)["error_code"] == "EXTRACTION_FAILED"


def test_what_the_look_up_found_is_shown(service, origin):
    task_id = service.download(origin.url("/page/video.html"))
    task = service.wait_for(task_id)
    assert task["title"].startswith("A page with a video")
    assert task["site"].startswith("127.0.0.1")


def test_a_custom_name_is_kept_with_the_real_extension(service, origin):
    task_id = service.download(origin.url("/direct/vp9.webm"), custom_filename="My holiday.mp4")
    service.wait_for(task_id)
    assert service.file(task_id).name == "My holiday.webm"


def test_what_is_no_media_fails_its_proof(service, origin):
    task_id = service.download(origin.url("/direct/big.bin", size=50_000, type="video/mp4"))
    wait_until(lambda: service.task(task_id)["error_reason"] == "incomplete", limit=30)
    assert service.wait_for(task_id)["status"] == "failed"
