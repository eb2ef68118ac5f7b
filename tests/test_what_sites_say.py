"""What extractors say in the words of their sites: each saying gets its reason, its code and its sentence at the API.

The sites themselves cannot be had here. So the service gets a yt-dlp with one more extractor, the way in which updates
come, and that one says what the extractors of real sites say, by the same helpers of yt-dlp.
"""

import shutil
import time
from pathlib import Path

import pytest
import yt_dlp

from downloads.engine.errors import SENTENCES, Reason
from tests.releases import LATER, put_release
from tests.service import Service, wait_until

EXTRACTOR = """
import time
from .common import InfoExtractor
from ..utils import ExtractorError, UserNotLive

SAYINGS = {
    "age": "Sign in to confirm your age. This video may be inappropriate for some users.",
    "members": "Join this channel to get access to members-only content like this video, and other exclusive perks.",
    "private": "This video is private. If you have been granted access, sign in.",
    "password": "This video is protected by a password, use the --video-password option",
    "removed": "Video unavailable. This video has been removed by the uploader",
    "bot": "Sign in to confirm you're not a bot. Use --cookies-from-browser or --cookies for the authentication.",
    "limited": "The current session has been rate-limited by YouTube for up to an hour. Too many requests",
    "soon": "This live event will begin in 3 hours.",
    "nothing": "There's no video in this tweet",
    "gone": "This live stream recording is not available; the broadcast has ended",
}

DASH = {"format_id": "0", "url": "http://127.0.0.1:9/live.mpd", "protocol": "http_dash_segments", "ext": "mp4"}
STORYBOARD = {"format_id": "sb", "url": "http://127.0.0.1:9/1.jpg", "ext": "mhtml", "vcodec": "none", "acodec": "none"}
STREAMS = {
    "live": {"is_live": True, "formats": [DASH]},
    "storyboard": {"formats": [STORYBOARD]},
}


class SayingIE(InfoExtractor):
    _VALID_URL = r"http://127[.]0[.]0[.]1:[0-9]+/saying/(?P<id>[a-z]+)"

    def _real_extract(self, url):
        name = self._match_id(url)
        if name == "login":
            self.raise_login_required()
        if name == "geo":
            self.raise_geo_restricted(countries=["CH"])
        if name == "drm":
            self.report_drm(name)
        if name == "offline":
            raise UserNotLive(video_id=name)
        if name == "changed":
            self._search_regex("never", "", "player")
        if name == "upcoming":
            self.raise_no_formats("Premieres in 15 minutes", expected=True)
            begins = time.time() + 900
            return {"id": name, "title": "A premiere", "live_status": "is_upcoming", "release_timestamp": begins}
        if name in STREAMS:
            return {"id": name, "title": name, **STREAMS[name]}
        raise ExtractorError(SAYINGS[name], expected=True)
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service whose yt-dlp has the extractor that says things."""
    service = Service(tmp_path_factory.mktemp("sayings") / "data")
    updates = service.data / "engine"
    folder = put_release(updates, LATER)
    package = folder / "yt_dlp"
    package.unlink()
    shutil.copytree(Path(yt_dlp.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    extractors = package / "extractor"
    (extractors / "lazy_extractors.py").unlink()
    (extractors / "saying.py").write_text(EXTRACTOR)
    listed = extractors / "_extractors.py"
    listed.write_text("from .saying import SayingIE\n" + listed.read_text())
    (updates / "current").write_text(f"{LATER}\n")
    yield service.start()
    service.stop()


def say(service, name):
    return service.download(f"http://127.0.0.1:{service.port}/saying/{name}")


@pytest.mark.parametrize(
    ("name", "reason", "code"),
    [
        ("login", "login_needed", "EXTRACTION_FAILED"),
        ("age", "age_restricted", "EXTRACTION_FAILED"),
        ("geo", "geo_blocked", "EXTRACTION_FAILED"),
        ("members", "members_only", "EXTRACTION_FAILED"),
        ("private", "private", "EXTRACTION_FAILED"),
        ("password", "password_protected", "EXTRACTION_FAILED"),
        ("removed", "removed", "EXTRACTION_FAILED"),
        ("gone", "removed", "EXTRACTION_FAILED"),
        ("bot", "bot_check", "EXTRACTION_FAILED"),
        ("soon", "not_live_yet", "EXTRACTION_FAILED"),
        ("offline", "not_live_yet", "EXTRACTION_FAILED"),
        ("nothing", "not_a_video", "EXTRACTION_FAILED"),
        ("drm", "drm", "UNSUPPORTED_SITE"),
        ("changed", "extractor_broken", "EXTRACTION_FAILED"),
        ("storyboard", "format_unavailable", "EXTRACTION_FAILED"),
        ("live", "live", "UNSUPPORTED_SITE"),
    ],
)
def test_a_saying_has_its_reason_and_a_sentence_in_two_languages(service, name, reason, code):
    task = service.wait_for(say(service, name), "failed")
    assert (task["error_reason"], task["error_code"]) == (reason, code)
    assert task["error_message"] == SENTENCES[Reason(reason)]
    page = service.http.get("/", headers={"Accept-Language": "zh-CN"}).text
    assert task["id"] in page
    assert SENTENCES[Reason(reason)] not in page.partition("<script")[0]


def test_a_site_that_has_had_enough_is_asked_again_later(service):
    task_id = say(service, "limited")
    task = wait_until(lambda: (task := service.task(task_id))["next_attempt_at"] and task)
    assert (task["status"], task["error_reason"], task["failures"]) == ("queued", "rate_limited", 1)


def test_an_announced_broadcast_is_waited_for_and_that_counts_as_no_failure(service):
    task_id = say(service, "upcoming")
    task = wait_until(lambda: (task := service.task(task_id))["next_attempt_at"] and task)
    assert (task["status"], task["error_reason"], task["failures"]) == ("queued", "upcoming", 0)
    assert 880 < task["next_attempt_at"] - time.time() < 910
