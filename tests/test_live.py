"""Live streams and sections in the engine's own children: from the job to the file, across finishes and kills."""

import os
import signal
import subprocess
import threading
import time

import psutil
import pytest
from yt_dlp.networking.exceptions import TransportError

from downloads.engine import download as download_module
from downloads.engine import lookup as lookup_module
from downloads.engine import messages
from downloads.engine.choices import Choices, Section
from downloads.engine.download import Download
from downloads.engine.egress_proxy import EgressProxy
from downloads.engine.errors import Phase, Reason
from downloads.engine.ffmpeg import prepare_toolbox, probe
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.lookup import LookUp
from downloads.engine.network import AddressPolicy, Guard
from downloads.engine.process import Engine
from downloads.engine.recording import Recording
from tests.origin import Listener, Origin
from tests.service import wait_until

FOUND = messages.Found(title="A", media_id="1", site="site.test", uploader="", duration=0, thumbnail="", is_live=True)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    return prepare_toolbox(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory, tools):
    engine = Engine(tmp_path_factory.mktemp("engine") / "home", tools.folder)
    yield engine
    engine.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def job(folder, tools, tmp_path):
    def make(url, **fields):
        defaults = {
            "task_id": "0123456789ab",
            "quality": Quality.BEST,
            "post_processing": PostProcessing.NONE,
            "folder": str(folder),
            "tools": str(tools.folder),
            "cache": str(tmp_path / "cache"),
            "allowed_networks": ("127.0.0.1/32",),
        }
        return messages.Job(url=url, **defaults | fields)

    return make


@pytest.fixture
def start(engine, job):
    children = []

    def start(url, **fields):
        children.append(engine.start(job(url, **fields)))
        return children[-1]

    yield start
    _ = [child.stop() for child in children]


def events_of(child, limit=20):
    heard = []
    deadline = time.monotonic() + limit
    while not child.ended and time.monotonic() < deadline:
        heard += child.events(0.2)
    return heard


def kinds_of(events):
    return [type(event) for event in events if not isinstance(event, messages.Progress)]


def has_recorded(child, size):
    """Whether the child says that it has this many bytes."""

    def look():
        said = [event for event in child.events(0.1) if isinstance(event, messages.Progress)]
        return said and said[-1].downloaded_bytes >= size

    return wait_until(look, limit=15)


def the_failure(child):
    (failed,) = [event for event in events_of(child) if isinstance(event, messages.Failed)]
    return failed.failure


@pytest.fixture
def measure(tools, folder):
    """How long a finished file is."""

    def measure(done):
        return probe(tools, folder / done.name, timeout=10).duration

    return measure


# Live


def test_a_live_stream_is_recorded_to_its_end(start, measure, folder, origin):
    events = events_of(start(origin.url("/live/plain/index.m3u8", lasts=12, speed=8, window=40)))

    assert kinds_of(events) == [messages.Found, messages.Processing, messages.Done]
    assert events[0].is_live
    assert events[-1].name == "media.mp4"
    assert measure(events[-1]) > 8
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("live-")) == []


def test_a_recording_that_is_finished_is_converted_as_usual(start, measure, origin):
    child = start(origin.url("/live/split.m3u8", speed=4, window=40), post_processing=PostProcessing.AUDIO)
    has_recorded(child, 10_000)

    child.finish()
    events = events_of(child)

    assert kinds_of(events) == [messages.Processing, messages.Done]
    assert events[-1].extension == "m4a"
    assert measure(events[-1]) > 1
    wait_until(child.is_gone)


def test_a_recording_ends_at_its_limit_and_its_bar_goes_with_the_time(start, measure, origin):
    events = events_of(start(origin.url("/live/plain/index.m3u8", speed=4, window=40), live_limit=7))

    assert measure(events[-1]) == pytest.approx(7, abs=0.5)
    bar = [event.percentage for event in events if isinstance(event, messages.Progress)]
    assert bar == sorted(bar)
    assert [percentage for percentage in bar if 10 < percentage < 90]


def test_what_was_recorded_before_a_kill_is_in_the_file(start, measure, tools, folder, origin):
    url = origin.url("/live/plain/index.m3u8", speed=2, window=40)
    first = start(url)
    has_recorded(first, 150_000)
    os.killpg(first.pid, signal.SIGKILL)
    wait_until(first.is_gone)
    recorded = Recording(folder).bytes

    second = start(url)
    has_recorded(second, recorded + 150_000)
    second.finish()
    done = events_of(second)[-1]

    assert recorded > 150_000
    assert done.size > 270_000
    assert measure(done) > 8
    decoded = [tools.ffmpeg, "-v", "error", "-i", folder / done.name, "-f", "null", "-"]
    assert subprocess.run(decoded, check=True, capture_output=True).returncode == 0


def test_a_child_that_is_stopped_leaves_no_ffmpeg_and_a_part_that_can_be_read(start, tools, folder, origin):
    child = start(origin.url("/live/plain/index.m3u8", speed=2, window=40))
    has_recorded(child, 100_000)

    child.stop()

    assert [found for found in psutil.process_iter(["cmdline"]) if str(folder) in str(found.info["cmdline"])] == []
    assert probe(tools, Recording(folder).parts[0], timeout=10).videos


@pytest.fixture
def recorded(folder, tools, media):
    """An earlier attempt has recorded 12 s."""
    folder.mkdir()
    recording = Recording(folder)
    part = recording.begin_part(FOUND, "ts")
    subprocess.run([tools.ffmpeg, "-v", "error", "-i", media / "direct/video.mp4", "-c", "copy", part], check=True)
    recording.grow(12.0)
    return recording


def test_when_a_site_knows_nothing_of_it_any_more_what_was_recorded_is_the_file(recorded, start, measure, origin):
    events = events_of(start(origin.url("/status/404")))

    assert kinds_of(events) == [messages.Found, messages.Processing, messages.Done]
    assert events[0] == FOUND
    assert measure(events[-1]) == pytest.approx(12, abs=0.2)


def test_when_a_site_is_out_of_order_what_was_recorded_waits(recorded, start, origin):
    assert the_failure(start(origin.url("/status/503"))).reason is Reason.SERVER_ERROR
    assert recorded.bytes > 100_000


def test_what_is_to_be_joined_is_joined_without_the_site(recorded, start, measure, origin):
    recorded.end()

    events = events_of(start(origin.url("/live/plain/index.m3u8")))

    assert kinds_of(events) == [messages.Found, messages.Processing, messages.Done]
    assert origin.requests == []


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(("lasts", "longer"), [(5, 12), (20, 20)])
def test_of_what_was_recorded_and_what_the_site_keeps_the_longer_is_taken(start, measure, origin, lasts, longer):
    child = start(origin.url("/live/plain/index.m3u8", lasts=lasts, window=0, speed=1e9))

    assert measure(events_of(child)[-1]) == pytest.approx(longer, abs=0.5)


def test_a_playlist_that_leads_to_a_forbidden_address_is_refused(start, tmp_path):
    pages = tmp_path / "media" / "hls"
    pages.mkdir(parents=True)
    with Listener("127.0.0.2") as listener, Origin(tmp_path / "media") as origin:
        (pages / "index.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{listener.url('/a.ts')}\n")

        assert the_failure(start(origin.url("/hls/index.m3u8"))).reason is Reason.ADDRESS_FORBIDDEN
        assert listener.connections == 0


# Sections


@pytest.mark.parametrize("path", ["/direct/video.mp4", "/hls/multi/master.m3u8", "/hls/split/master.m3u8"])
def test_a_section_is_fetched(start, measure, origin, path):
    choices = Choices(section=Section(start=5.5, end=8))

    events = events_of(start(origin.url(path), choices=choices))

    assert kinds_of(events) == [messages.Found, messages.Processing, messages.Done]
    assert measure(events[-1]) == pytest.approx(2.5, abs=0.1)


def test_a_section_of_what_ffmpeg_does_not_read_is_cut_out_of_the_whole(start, measure, origin):
    choices = Choices(section=Section(start=5.5, end=8))

    done = events_of(start(origin.url("/dash/manifest.mpd"), choices=choices))[-1]

    assert done.name == "section.mp4"
    assert measure(done) == pytest.approx(2.5, abs=0.1)


def test_a_section_goes_to_the_end_and_no_further(start, measure, origin):
    choices = Choices(section=Section(start=9, end=100))

    done = events_of(start(origin.url("/hls/plain/index.m3u8"), choices=choices))[-1]

    assert measure(done) == pytest.approx(3, abs=0.2)


def test_a_section_after_the_end_is_refused(start, origin):
    failure = the_failure(start(origin.url("/hls/plain/index.m3u8"), choices=Choices(section=Section(start=12))))

    assert failure.reason is Reason.SECTION_BEYOND
    assert not failure.retryable


# What sites say, of which the origin has none


@pytest.fixture
def attempt(job, monkeypatch):
    """One attempt in this process, with a site that answers so; what is said."""

    def attempt(answer, **fields):
        said = []
        monkeypatch.setattr(download_module, "look_up", answer)
        Download(job("http://site.test/", **fields), said.append, Guard(AddressPolicy()), threading.Event()).run()
        return said

    return attempt


def test_a_broadcast_that_has_not_begun_is_tried_again_when_it_does(attempt):
    upcoming = {"live_status": "is_upcoming", "release_timestamp": int(time.time()) + 3600}

    (failed,) = attempt(lambda *_: upcoming)

    assert failed.failure.reason is Reason.NOT_LIVE_YET
    assert failed.failure.retry_after == pytest.approx(3600, abs=5)
    assert failed.failure.retryable


@pytest.mark.parametrize("when", [{}, {"release_timestamp": None}, {"release_timestamp": "soon"}])
def test_a_broadcast_that_begins_at_some_time_is_not_tried_again(attempt, when):
    (failed,) = attempt(lambda *_: {"live_status": "is_upcoming", **when})

    assert not failed.failure.retryable


def test_a_live_stream_that_ffmpeg_does_not_read_is_refused(attempt):
    stream = {"is_live": True, "url": "rtmp://site.test/", "protocol": "rtmp", "title": "A", "id": "1", "ext": "flv"}

    *_, failed = attempt(lambda *_: stream)

    assert (failed.failure.reason, failed.failure.phase) == (Reason.LIVE, Phase.LOOKUP)


def raise_as_native_code_does(*_):
    raise TransportError("connection failed")


def test_what_the_egress_proxy_refused_is_said_of_a_download(attempt):
    with EgressProxy() as proxy, proxy.open(AddressPolicy()) as route:
        route.refuse("10.0.0.1")
        (failed,) = attempt(raise_as_native_code_does, egress=route.url)

    assert failed.failure.reason is Reason.ADDRESS_FORBIDDEN
    assert failed.failure.detail == "address not allowed: '10.0.0.1'"


def test_what_the_egress_proxy_refused_is_said_of_a_look_up(job, monkeypatch):
    monkeypatch.setattr(lookup_module, "look_up", raise_as_native_code_does)
    said = []
    with EgressProxy() as proxy, proxy.open(AddressPolicy()) as route:
        route.refuse("10.0.0.1")
        wanted = job("http://site.test/", egress=route.url)
        same = {name: getattr(wanted, name) for name in messages.LookUpJob.__struct_fields__}
        LookUp(messages.LookUpJob(**same), said.append, Guard(AddressPolicy())).run()

    assert said[0].failure.reason is Reason.ADDRESS_FORBIDDEN
