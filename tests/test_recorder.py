"""What ffmpeg reads of the network, through the relay: live streams, and sections of videos."""

import itertools
import json
import subprocess
import threading
import time

import pytest
from yt_dlp.networking.exceptions import HTTPError, TransportError

from downloads.engine import recorder as recorder_module
from downloads.engine import relay as relay_module
from downloads.engine.choices import Section
from downloads.engine.cookies import cookie_policy, parse_cookies
from downloads.engine.cures import CappedYoutubeDL
from downloads.engine.errors import Reason
from downloads.engine.ffmpeg import Toolbox, probe
from downloads.engine.lookup import Wrong
from downloads.engine.messages import Found
from downloads.engine.recorder import Recorder, SectionUnreadable, can_read, cut, formats_to_record
from downloads.engine.recording import NothingRecorded, Recording, Wishes
from tests.origin import Listener, Origin
from tests.waiting import wait_until

FOUND = Found(title="A broadcast", media_id="1", site="site.test", uploader="", duration=0, thumbnail="", is_live=True)
PICTURE = {"vcodec": "avc1.42C00D", "acodec": "none"}
SOUND = {"vcodec": "none", "acodec": "mp4a.40.2"}
BOTH = {"vcodec": "avc1.42C00D", "acodec": "mp4a.40.2"}


@pytest.fixture
def ydl():
    with CappedYoutubeDL({"quiet": True, "cachedir": False}) as ydl:
        ydl.cookiejar.set_policy(cookie_policy())
        yield ydl


@pytest.fixture
def recording(tmp_path):
    return Recording(tmp_path)


@pytest.fixture
def record(ydl, tools, recording):
    """Record one part of these formats; what was heard of it."""

    def record(*formats, finish=None, **wishes):
        heard = []
        recorder = Recorder(ydl, formats, tools, heard.append)
        recorder.record(recording, FOUND, Wishes(**wishes), finish or threading.Event())
        return heard

    return record


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(relay_module, "PAUSES", ())


def hls(origin, path="/live/plain/index.m3u8", codecs=BOTH, **query):
    return {
        "url": origin.url(path, **{"window": 40, **query}),
        "protocol": "m3u8_native",
        "ext": "mp4",
        "format_id": "0",
        **codecs,
    }


def joined(recording, tools):
    return recording.join(tools, on_progress=lambda _: None)


def packets(tools, file, stream):
    show = ["-select_streams", stream, "-show_entries", "packet=dts,pts_time", "-of", "json"]
    done = subprocess.run([tools.ffprobe, "-v", "error", *show, file], capture_output=True, check=True)
    return json.loads(done.stdout)["packets"]


def first_time(tools, file, stream):
    return min(float(packet["pts_time"]) for packet in packets(tools, file, stream))


def is_monotonic(tools, file, stream):
    times = [packet["dts"] for packet in packets(tools, file, stream)]
    return all(first < second for first, second in itertools.pairwise(times))


def complaints_about(tools, file):
    """What ffmpeg says when it decodes all of it."""
    command = [tools.ffmpeg, "-v", "error", "-xerror", "-i", file, "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, check=False).stderr


# Live


def test_a_stream_is_recorded_until_it_ends(record, recording, tools, origin):
    heard = record(hls(origin, lasts=16, speed=16))

    assert recording.is_over
    file = joined(recording, tools).file
    media = probe(tools, file, timeout=10)
    assert file.name == "media.mp4"
    assert media.duration == pytest.approx(16, abs=0.3)
    assert media.is_fast_start
    assert (is_monotonic(tools, file, "v"), is_monotonic(tools, file, "a")) == (True, True)
    assert complaints_about(tools, file) == b""
    assert heard == sorted(heard, key=lambda report: (report.seconds, report.bytes))
    assert heard[-1].seconds == pytest.approx(16, abs=0.3)
    assert heard[-1].bytes > 300_000


def test_picture_and_sound_apart_are_recorded_in_step(record, recording, tools, origin):
    query = {"lasts": 12, "speed": 2}  # no faster: what is late by a segment with one of the two begins with the next
    record(
        hls(origin, "/live/picture/index.m3u8", PICTURE, **query), hls(origin, "/live/sound/index.m3u8", SOUND, **query)
    )

    assert recording.is_over
    file = joined(recording, tools).file
    media = probe(tools, file, timeout=10)
    assert [stream.codec for stream in media.streams] == ["h264", "aac"]
    assert media.duration == pytest.approx(12, abs=0.3)
    assert first_time(tools, file, "v") - first_time(tools, file, "a") == pytest.approx(
        0.08, abs=0.03
    )  # as it was sent


def test_an_encrypted_stream_is_recorded(record, recording, tools, origin):
    record(hls(origin, "/live/aes/index.m3u8", lasts=3))

    file = joined(recording, tools).file
    assert probe(tools, file, timeout=10).duration == pytest.approx(3, abs=0.3)
    assert complaints_about(tools, file) == b""


def test_a_stream_of_unknown_codecs_is_kept_in_what_holds_everything(record, recording, tools, origin):
    record(hls(origin, codecs={}, lasts=3))

    assert [part.name for part in recording.parts] == ["live-001.mkv"]
    assert joined(recording, tools).file.name == "media.mp4"


def test_a_stream_that_begins_again_goes_on_in_the_recording(record, recording, tools, origin):
    """The origin's broadcast has a discontinuity after 60 s."""
    record(hls(origin, lasts=66, speed=1e9, window=0))

    file = joined(recording, tools).file
    assert probe(tools, file, timeout=10).duration == pytest.approx(66, abs=1)
    assert is_monotonic(tools, file, "v")


def set_once(condition):
    """An event that is set as soon as this is so."""
    event = threading.Event()
    threading.Thread(target=lambda: wait_until(condition) and event.set(), daemon=True).start()
    return event


def test_a_recording_is_finished_when_that_is_asked_for(monkeypatch, record, recording, tools, origin):
    monkeypatch.setattr(recorder_module, "FINISH_GRACE", 60)  # by itself: nobody has to end it
    finish = set_once(lambda: recording.is_begun)
    began = time.monotonic()
    record(hls(origin, speed=4), finish=finish)

    assert time.monotonic() - began < 30
    assert recording.is_over
    assert complaints_about(tools, joined(recording, tools).file) == b""


def test_a_recording_is_finished_though_the_network_hangs(monkeypatch, record, recording, tools, origin):
    monkeypatch.setattr(recorder_module, "FINISH_GRACE", 0.3)
    finish = set_once(lambda: recording.is_begun and origin.requests_for("/live/plain/seg002"))
    began = time.monotonic()
    record(hls(origin, delay=30, on="seg002"), finish=finish)

    assert time.monotonic() - began < 25
    assert recording.is_over
    assert joined(recording, tools).file.is_file()


def test_a_recording_that_is_finished_before_it_begins_fetches_nothing(record, recording, tools, origin):
    finish = threading.Event()
    finish.set()
    record(hls(origin), finish=finish)

    assert origin.requests == []
    with pytest.raises(NothingRecorded):
        joined(recording, tools)


def test_a_recording_ends_at_so_many_seconds(record, recording, tools, origin):
    record(hls(origin, speed=50), seconds=5)

    assert recording.is_over
    file = joined(recording, tools).file
    assert probe(tools, file, timeout=10).duration == pytest.approx(5, abs=0.3)


def test_a_recording_ends_at_so_many_bytes(record, recording, origin):
    record(hls(origin, speed=50), bytes=150_000)

    assert recording.is_over
    assert 150_000 <= recording.bytes < 200_000


@pytest.mark.parametrize(("from_start", "first"), [(True, "seg000.ts"), (False, "seg010.ts")])
def test_a_recording_begins_at_the_start_or_near_the_live_edge(record, origin, from_start, first):
    origin.begin_broadcast("", seconds_ago=10)

    record(hls(origin), from_start=from_start, seconds=2)

    assert origin.requests_for("/live/plain/seg")[0].path.endswith(first)


def test_a_stream_that_stalls_is_an_error_that_keeps_what_there_is(monkeypatch, record, recording, origin):
    monkeypatch.setattr(recorder_module, "STALL_LIMIT", 5)  # ffmpeg's own start counts as well

    with pytest.raises(Wrong) as stalled:
        record(hls(origin, delay=30, on="seg002"))

    assert stalled.value.failure.reason is Reason.STALLED
    assert (recording.is_begun, recording.is_over) == (True, False)
    assert recording.bytes > 50_000


def test_a_stream_that_breaks_off_is_an_error_that_keeps_what_there_is(record, recording, origin):
    """ffmpeg itself takes this for the end."""
    with pytest.raises(HTTPError, match="404"):
        record(hls(origin, speed=8, status=404, on="index", skip=2))

    assert (recording.is_begun, recording.is_over) == (True, False)
    assert recording.bytes > 50_000


def test_what_is_no_stream_is_an_error(record, recording, origin):
    with pytest.raises(Wrong) as broken:
        record(hls(origin, "/page/none.html"))

    assert broken.value.failure.reason is Reason.INCOMPLETE
    assert not recording.is_begun


def test_a_live_file_without_a_playlist_is_recorded(record, recording, tools, origin):
    file = {"url": origin.url("/direct/vp9.webm", nolength=1, norange=1), "protocol": "http", "ext": "webm"}
    record(file)

    assert recording.is_over
    file = joined(recording, tools).file
    assert file.name == "media.mkv"
    assert probe(tools, file, timeout=10).duration == pytest.approx(4, abs=0.1)


# Parts


@pytest.fixture
def part(recording, tools, media):
    """Add a part that was recorded earlier."""

    def add(name, *source):
        source = source or (media / "direct/video.mp4",)
        path = recording.begin_part(FOUND, name)
        # Into a pipe, so that nothing at its beginning says how long it is: as in one that was never finished
        output = ["-c", "copy", "-f", {"ts": "mpegts", "mkv": "matroska"}[name], "-"]
        done = subprocess.run([tools.ffmpeg, "-v", "error", "-i", *source, *output], check=True, capture_output=True)
        path.write_bytes(done.stdout)
        return path

    return add


@pytest.mark.parametrize("extension", ["ts", "mkv"])
def test_parts_become_one_file_even_if_they_were_cut_off(recording, part, tools, extension):
    first, second, _ = part(extension), part(extension), part(extension)
    for path in (first, second):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    file = joined(recording, tools).file

    assert probe(tools, file, timeout=10).duration == pytest.approx(12 + 2 * 8, abs=1.5)
    assert (is_monotonic(tools, file, "v"), is_monotonic(tools, file, "a")) == (True, True)
    assert recording.parts == []


def test_a_part_with_nothing_in_it_is_left_out(recording, part, tools):
    part("ts")
    recording.begin_part(FOUND, "ts").write_bytes(b"")
    recording.begin_part(FOUND, "ts").write_bytes(b"nonsense")

    assert probe(tools, joined(recording, tools).file, timeout=10).duration == pytest.approx(12, abs=0.1)


def test_a_part_with_other_codecs_stays_beside_the_file(recording, part, tools, media):
    part("ts")
    other = part("mkv", media / "direct/vp9.webm")

    result = joined(recording, tools)

    assert result.others == (other,)
    assert probe(tools, result.file, timeout=10).duration == pytest.approx(12, abs=0.1)


def test_a_joined_recording_stays_joined(recording, part, tools, tmp_path):
    part("ts")
    file = joined(recording, tools).file

    assert joined(Recording(tmp_path), tools).file == file


def test_a_recording_without_a_part_that_can_be_read_begins_anew(recording, tools, tmp_path):
    recording.begin_part(FOUND, "ts").write_bytes(b"nonsense")
    recording.end()

    with pytest.raises(NothingRecorded):
        joined(recording, tools)

    assert not Recording(tmp_path).is_over


def test_a_later_part_counts_on_from_what_there_is(record, recording, part, origin):
    recording.grow(12.0)
    size = part("ts").stat().st_size

    heard = record(hls(origin, speed=8), seconds=16)

    assert heard[0].seconds >= 12
    assert heard[0].bytes >= size
    assert heard[-1].seconds == pytest.approx(16, abs=0.3)
    assert [path.name for path in recording.parts] == ["live-001.ts", "live-002.ts"]
    assert recording.is_over


def test_what_is_known_survives_the_process(recording, part, tmp_path):
    part("ts")
    recording.grow(7.5)
    again = Recording(tmp_path)
    assert (again.found, again.seconds, again.is_over, again.is_begun) == (FOUND, 7.5, False, True)

    recording.end()

    assert Recording(tmp_path).is_over


def test_what_is_known_may_be_damaged(recording, part, tmp_path):
    part("ts")
    (tmp_path / "live.json").write_bytes(b'{"found"')

    again = Recording(tmp_path)

    assert (again.found, again.is_over, again.is_begun) == (None, False, False)


# Which formats


def test_of_a_live_stream_in_dash_the_playlist_is_taken_where_there_is_one(ydl):
    ydl.format_selector = ydl.build_format_selector("bv*+ba/b")
    dash = {**BOTH, "url": "https://a.test/m.mpd", "protocol": "http_dash_segments", "format_id": "d", "ext": "mp4"}
    playlist = {**BOTH, "url": "https://a.test/m.m3u8", "protocol": "m3u8_native", "format_id": "h", "ext": "mp4"}
    info = {**dash, "formats": [playlist, dash]}

    assert [each["format_id"] for each in formats_to_record(ydl, info)] == ["h"]
    assert formats_to_record(ydl, {**playlist, "formats": [playlist, dash]})[0]["format_id"] == "h"
    assert formats_to_record(ydl, {**dash, "formats": [dash]}) == []


@pytest.mark.parametrize("protocol", ["rtmp", "websocket_frag", "http_dash_segments", "file", None, ""])
def test_other_protocols_are_not_read(protocol):
    assert not can_read({}, [{"protocol": "https"}, {"protocol": protocol}])


@pytest.mark.parametrize("own", [{"hls_aes": {"uri": "https://a.test/"}}, {"extra_param_to_segment_url": "a=b"}])
def test_a_playlist_that_takes_more_than_ffmpeg_knows_is_not_read(own):
    assert not can_read({}, [{"protocol": "m3u8_native", **own}])
    assert not can_read(own, [{"protocol": "m3u8_native"}])
    assert can_read({}, [{"protocol": "m3u8_native"}])


# What nobody else may see or reach


@pytest.fixture
def spied(tools, tmp_path):
    """A toolbox whose ffmpeg notes what it is called with."""
    script = tmp_path / "ffmpeg"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\nexec {tools.ffmpeg} "$@"\n')
    script.chmod(0o700)
    return Toolbox(script, tools.ffprobe, tmp_path)


def test_no_secret_is_in_the_arguments_of_ffmpeg(ydl, spied, recording, origin, tmp_path):
    _ = [ydl.cookiejar.set_cookie(cookie) for cookie in parse_cookies("pass=open", origin.base)]
    stream = hls(origin, "/live/aes/index.m3u8", lasts=3, need_cookie=1, token="hush")
    headers = {"Authorization": "Bearer hush", "X-Token": "hush"}
    recorder = Recorder(ydl, [{**stream, "http_headers": headers}], spied, lambda _: None)
    recorder.record(recording, FOUND, Wishes(), threading.Event())

    log = (tmp_path / "log").read_text()
    assert recording.bytes > 50_000
    assert origin.requests[-1].headers["X-Token"] == "hush"
    assert not [secret for secret in ("hush", "pass=", "127.0.0.1", "http_proxy") if secret in log]


class OnlyTheOrigin(CappedYoutubeDL):
    """As the guard does in a child, where it holds for the whole process."""

    base = ""

    def urlopen(self, request):
        if not request.url.startswith(self.base):
            raise TransportError("refused")
        return super().urlopen(request)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/a.ts",
        "https://127.0.0.1:{port}/a.ts",
        "tcp://127.0.0.1:{port}",
        "tls://127.0.0.1:{port}",
        "httpproxy://127.0.0.1:{port}/a:1",
        "rtmp://127.0.0.1:{port}/live",
        "ftp://127.0.0.1:{port}/a.ts",
        "concat:http://127.0.0.1:{port}/a.ts",
        "crypto+tcp://127.0.0.1:{port}",
    ],
)
def test_ffmpeg_connects_to_nothing_but_the_relay(tools, recording, tmp_path, target):
    folder = tmp_path / "media" / "hls"
    folder.mkdir(parents=True)
    with Listener() as listener, Origin(tmp_path / "media") as origin, OnlyTheOrigin({"quiet": True}) as ydl:
        ydl.base = origin.base
        place = target.format(port=listener.port)
        text = f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="{place}"\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n'
        (folder / "index.m3u8").write_text(text)
        with pytest.raises((Wrong, TransportError)):
            Recorder(ydl, [hls(origin, "/hls/index.m3u8")], tools, lambda _: None).record(
                recording, FOUND, Wishes(), threading.Event()
            )

        assert listener.connections == 0


def test_a_playlist_does_not_lead_to_local_files(ydl, tools, recording, media, tmp_path):
    folder = tmp_path / "media" / "hls"
    folder.mkdir(parents=True)
    with Origin(tmp_path / "media") as origin:
        place = f"file://{media}/hls/plain/seg000.ts"
        (folder / "index.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n")
        with pytest.raises(Wrong):
            Recorder(ydl, [hls(origin, "/hls/index.m3u8")], tools, lambda _: None).record(
                recording, FOUND, Wishes(), threading.Event()
            )


def test_a_kind_of_file_that_is_not_on_the_list_is_not_read(record, recording, tools, tmp_path):
    """Raw pictures, for which ffmpeg has a demuxer too."""
    folder = tmp_path / "media" / "direct"
    folder.mkdir(parents=True)
    raw = ["-f", "lavfi", "-i", "testsrc=d=0.2:s=160x120:r=10", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe"]
    subprocess.run([tools.ffmpeg, "-v", "error", *raw, folder / "video.mp4"], check=True)

    with Origin(tmp_path / "media") as origin, pytest.raises(Wrong):
        record(direct(origin, "/direct/video.mp4", "mp4"))

    assert not recording.is_begun


def test_segments_may_be_called_whatever_they_like(record, recording, tools, media, tmp_path):
    folder = tmp_path / "media" / "hls"
    folder.mkdir(parents=True)
    (folder / "picture.bin").write_bytes((media / "hls/plain/seg000.ts").read_bytes())
    (folder / "index.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\npicture.bin\n#EXT-X-ENDLIST\n")
    with Origin(tmp_path / "media") as origin:
        record(hls(origin, "/hls/index.m3u8"))

    assert probe(tools, joined(recording, tools).file, timeout=10).duration == pytest.approx(1, abs=0.1)


# Sections

FROM_5_TO_9 = Section(start=5.3, end=9.1)


@pytest.fixture
def fetch(ydl, tools, tmp_path):
    def fetch(*formats, section=FROM_5_TO_9, length=3.8):
        return Recorder(ydl, formats, tools, lambda _: None).fetch(section, length, tmp_path)

    return fetch


def direct(origin, path, ext, codecs=BOTH, **query):
    return {"url": origin.url(path, **query), "protocol": "http", "ext": ext, "format_id": "0", **codecs}


def first_picture(tools, file, *seek):
    command = [tools.ffmpeg, "-v", "error", *seek, "-i", file, "-map", "0:v", "-frames:v", "1", "-f", "md5", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize("query", [{}, {"norange": 1}])
def test_a_section_of_a_file_begins_and_ends_where_it_is_wanted(fetch, tools, origin, media, query):
    file = fetch(direct(origin, "/direct/video.mp4", "mp4", **query))

    assert file.name == "section.mp4"
    assert probe(tools, file, timeout=10).duration == pytest.approx(3.8, abs=0.1)
    assert first_picture(tools, file) == first_picture(tools, media / "direct/video.mp4", "-ss", "5.3")
    assert (is_monotonic(tools, file, "v"), is_monotonic(tools, file, "a")) == (True, True)


def test_a_section_does_not_cost_the_whole(fetch, origin, media):
    fetch(direct(origin, "/direct/video.mp4", "mp4", rate=3_000_000), section=Section(start=10), length=2)

    assert origin.bytes_sent() < (media / "direct/video.mp4").stat().st_size / 2


@pytest.mark.parametrize("path", ["/hls/plain/index.m3u8", "/hls/aes/index.m3u8"])
def test_a_section_of_a_playlist_is_fetched(fetch, tools, origin, path):
    file = fetch(hls(origin, path))

    assert probe(tools, file, timeout=10).duration == pytest.approx(3.8, abs=0.1)
    assert len(origin.requests_for(path.replace("index.m3u8", "seg"))) < 9  # of 12
    assert complaints_about(tools, file) == b""


def test_a_section_of_picture_and_sound_apart_has_both_in_step(fetch, tools, origin):
    file = fetch(
        hls(origin, "/hls/split/360/index.m3u8", PICTURE), direct(origin, "/direct/audio.m4a", "m4a", codecs=SOUND)
    )

    media = probe(tools, file, timeout=10)
    assert [stream.codec for stream in media.streams] == ["h264", "aac"]
    assert media.duration == pytest.approx(3.8, abs=0.1)


@pytest.mark.parametrize(
    ("path", "ext", "container"),
    [
        ("/direct/vp9.webm", "webm", "webm"),
        ("/direct/audio.mp3", "mp3", "mp3"),
        ("/direct/audio.m4a", "m4a", "m4a"),
        ("/direct/small.mp4", "unknown_video", "mkv"),
    ],
)
def test_a_section_is_kept_in_what_its_source_is_kept_in(fetch, origin, path, ext, container):
    file = fetch(direct(origin, path, ext), section=Section(start=1, end=1.9), length=0.9)

    assert file.name == f"section.{container}"


def test_a_section_without_an_end_goes_to_the_end(fetch, tools, origin):
    file = fetch(direct(origin, "/direct/video.mp4", "mp4"), section=Section(start=9), length=0)

    assert probe(tools, file, timeout=10).duration == pytest.approx(3, abs=0.1)


def test_a_file_that_cannot_be_read_from_its_middle_says_so(fetch, tools, media, tmp_path):
    """Its index is at the end, and there are no ranges."""
    folder = tmp_path / "media" / "direct"
    folder.mkdir(parents=True)
    command = [tools.ffmpeg, "-v", "error", "-i", media / "direct/video.mp4", "-c", "copy", folder / "late.mp4"]
    subprocess.run(command, check=True)

    with Origin(tmp_path / "media") as origin, pytest.raises(SectionUnreadable):
        fetch(direct(origin, "/direct/late.mp4", "mp4", norange=1))


def test_a_section_that_the_server_refuses_is_that_refusal(fetch, origin):
    with pytest.raises(HTTPError, match="403"):
        fetch(direct(origin, "/direct/video.mp4", "mp4", status=403))


def test_a_section_that_arrives_in_part_is_an_error(fetch, origin):
    with pytest.raises(TransportError):
        fetch(direct(origin, "/direct/video.mp4", "mp4", cut=1_000_000, norange=1))


def test_a_section_is_cut_out_of_a_local_file(tools, media, tmp_path):
    whole = tmp_path / "media.mp4"
    whole.write_bytes((media / "direct/video.mp4").read_bytes())

    file = cut(tools, whole, FROM_5_TO_9, 3.8, on_progress=lambda _: None)

    assert (file.name, whole.is_file()) == ("section.mp4", True)
    assert probe(tools, file, timeout=10).duration == pytest.approx(3.8, abs=0.1)
    assert first_picture(tools, file) == first_picture(tools, whole, "-ss", "5.3")
