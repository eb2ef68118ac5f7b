"""Video and audio that are put together come at the same time; when one fails, so do both."""

import time

import pytest
from yt_dlp.utils import DownloadError

from downloads.engine.ffmpeg import probe

PATHS = ["/hls/split/master.m3u8", "/dash/manifest.mpd"]
OPTIONS = {"skip_unavailable_fragments": False, "external_downloader": {"default": "native"}, "noprogress": True}
SOUND = ("/audio/", "seg-3-", "init-3")  # in the paths of its fragments


def is_of_the_sound(record):
    return any(name in record.path for name in SOUND)


@pytest.fixture
def fragments(origin):
    """The requests for fragments, in the order in which they came: True for those of the sound."""
    return lambda: [
        is_of_the_sound(record) for record in origin.requests if not record.path.endswith((".m3u8", ".mpd"))
    ]


@pytest.fixture
def fetch(downloader, origin, tools, tmp_path):
    """Download what is put together from two streams; of which kind they are."""

    def fetch(path, most):
        downloader(concurrent_fragment_downloads=most, **OPTIONS).download([origin.url(path, delay=0.3)])
        return {stream.kind for stream in probe(tools, tmp_path / "media.mp4", timeout=10).streams}

    return fetch


@pytest.mark.usefixtures("cured")
@pytest.mark.parametrize(("path", "most"), [(PATHS[0], 1), (PATHS[0], 8), (PATHS[1], 8)])
def test_both_come_at_the_same_time(fetch, fragments, path, most):
    assert fetch(path, most) == {"audio", "video"}

    came = fragments()
    assert came.index(True) < len(came) - came[::-1].index(False) - 1
    assert came.index(False) < len(came) - came[::-1].index(True) - 1


@pytest.mark.usefixtures("cured")
@pytest.mark.parametrize("fails", ["audio/seg003", "720/seg003"])
def test_when_one_fails_the_other_ends_and_its_error_is_told(downloader, origin, tmp_path, fails):
    link = origin.url("/hls/split/master.m3u8", on=fails, status=404)

    with pytest.raises(DownloadError, match="404"):
        downloader(**OPTIONS).download([link])

    requests = len(origin.requests)
    assert not (tmp_path / "media.mp4").exists()  # one of the two may have come whole before the other failed
    time.sleep(0.2)
    assert len(origin.requests) == requests
