"""The two programs: found and linked, asked what a file is, run and ended."""

import os
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import psutil
import pytest

from downloads.engine import ffmpeg
from downloads.engine.ffmpeg import (
    FfmpegFailed,
    FfmpegStopped,
    NotMedia,
    Toolbox,
    ToolMissing,
    input_arguments,
    prepare_toolbox,
    probe,
    run_ffmpeg,
)

PICTURE = ("-f", "lavfi", "-i", "testsrc=d=0.5:s=160x120:r=10")
SOUND = ("-f", "lavfi", "-i", "sine=d=0.5")
HLS_PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
DASH_MANIFEST = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    '<Representation id="1"><BaseURL>film.ts</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
ENDLESS = ("-re", "-f", "lavfi", "-i", "testsrc=d=3600:s=160x120:r=10", "-f", "null", "-")


@pytest.fixture
def make(tools, tmp_path):
    """Make a file with ffmpeg."""

    def run(name, *arguments):
        path = tmp_path / name
        subprocess.run([tools.ffmpeg, "-v", "error", "-nostdin", *arguments, f"file:{path}"], check=True)
        return path

    return run


@pytest.fixture
def impostor(tmp_path):
    """Make a program out of a shell script, and a toolbox of it."""

    def write(script):
        program = tmp_path / "impostor"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Toolbox(program, program, tmp_path)

    return write


@pytest.fixture
def no_wheels(monkeypatch):
    monkeypatch.setattr(ffmpeg, "_package_folder", lambda _package: None)


class Interrupted(BaseException):
    pass


# ---- Found and linked


@pytest.mark.parametrize("name", ["ffmpeg", "ffprobe"])
def test_the_programs_of_the_wheels_are_linked_and_work(tmp_path, name):
    prepare_toolbox(tmp_path / "new" / "tools")
    done = subprocess.run([tmp_path / "new" / "tools" / name, "-version"], capture_output=True, check=True)
    assert done.stdout.startswith(f"{name} version".encode())


def test_a_link_that_points_nowhere_is_repaired(tmp_path):
    (tmp_path / "ffmpeg").symlink_to(tmp_path / "uninstalled")
    assert prepare_toolbox(tmp_path).ffmpeg.resolve().is_file()


def test_a_file_in_the_place_of_a_link_is_replaced(tmp_path):
    (tmp_path / "ffprobe").write_text("no program")
    assert prepare_toolbox(tmp_path).ffprobe.is_symlink()


def test_a_good_link_is_left_alone(tmp_path):
    before = prepare_toolbox(tmp_path).ffmpeg.lstat()
    assert prepare_toolbox(tmp_path).ffmpeg.lstat().st_ino == before.st_ino


def test_many_may_prepare_the_same_folder_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        boxes = list(pool.map(lambda _: prepare_toolbox(tmp_path), range(64)))
    names = ["ffmpeg", "ffmpeg-quick", "ffprobe"]
    assert set(boxes) == {Toolbox(tmp_path / "ffmpeg", tmp_path / "ffprobe", tmp_path, tmp_path / "ffmpeg-quick")}
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.usefixtures("no_wheels")
def test_without_wheels_the_programs_of_the_system_are_taken(tools, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tools.folder))
    assert prepare_toolbox(tmp_path).ffmpeg.readlink() == tools.ffmpeg


@pytest.mark.usefixtures("no_wheels")
def test_where_there_is_no_program_the_cure_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"ffmpeg was not found: install ffmpeg .*DOWNIE_FFMPEG_DIR"):
        prepare_toolbox(tmp_path)


def test_a_folder_of_the_users_own_is_taken_as_it_is(tools, tmp_path):
    assert prepare_toolbox(tmp_path / "unused", tools.folder) == tools
    assert not (tmp_path / "unused").exists()


def test_a_folder_of_the_users_own_without_the_programs_is_refused(tmp_path):
    with pytest.raises(ToolMissing, match=f"no program ffmpeg in {tmp_path}"):
        prepare_toolbox(tmp_path / "unused", tmp_path)


# ---- Asked what a file is


def test_a_video_is_described(tools, make):
    path = make("film.mp4", *PICTURE, *SOUND, "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2")
    media = probe(tools, path, timeout=10)
    video, audio = media.streams
    assert ("mp4" in media.container, media.extension, media.brand) == (True, "mp4", "isom")
    assert (media.duration, media.size) == (pytest.approx(0.5, abs=0.1), path.stat().st_size)
    assert (video.kind, video.codec, video.tag, video.profile) == ("video", "h264", "avc1", "High")
    assert (video.pix_fmt, video.width, video.height, video.fps) == ("yuv420p", 160, 120, 10.0)
    assert (audio.kind, audio.codec, audio.profile, audio.channels, audio.sample_rate) == (
        "audio",
        "aac",
        "LC",
        2,
        44100,
    )
    assert (video.level > 0, video.bit_rate > 0, audio.bit_rate > 0) == (True, True, True)


def test_a_cover_is_no_video(tools, make):
    cover = make("cover.png", *PICTURE, "-frames:v", "1")
    song = make("song.mp3", *SOUND, "-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy")
    media = probe(tools, song, timeout=10)
    assert ([stream.is_attached_picture for stream in media.streams], media.videos) == ([False, True], ())
    assert media.height == 0


@pytest.mark.parametrize("size", ["160x120", "120x160"])
def test_the_height_is_the_shorter_side(tools, make, size):
    path = make("film.mp4", "-f", "lavfi", "-i", f"testsrc=d=0.5:s={size}:r=10", "-pix_fmt", "yuv420p")
    assert probe(tools, path, timeout=10).height == 120


def test_a_file_without_a_known_duration_says_none(tools, make):
    path = make("raw.h264", *PICTURE, "-c:v", "libx264")
    assert probe(tools, path, timeout=10).duration is None


@pytest.mark.parametrize(
    ("flags", "is_fast_start", "boxes"),
    [
        ("+faststart", True, ("ftyp", "moov", "free", "mdat")),
        ("-faststart", False, ("ftyp", "free", "mdat")),
        ("frag_keyframe+empty_moov", False, ("ftyp", "moov", "moof", "mdat")),
    ],
)
def test_it_is_told_whether_a_video_can_be_played_while_it_loads(tools, make, flags, is_fast_start, boxes):
    media = probe(tools, make("film.mp4", *PICTURE, "-movflags", flags), timeout=10)
    assert (media.is_fast_start, media.boxes) == (is_fast_start, boxes)


@pytest.mark.parametrize(
    "boxes",
    [b"\0\0\0\0ftyp", b"\0\0\0\x01ftyp" + b"\xff" * 8, b"\0\0\0\x04ftyp", b"\0\0\0\x08ftyp" * 9999, b"\0\0", b""],
)
def test_damaged_boxes_come_to_an_end(tmp_path, boxes):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(boxes)
    assert len(ffmpeg._boxes_up_to_media(path)) <= 64


@pytest.mark.parametrize(
    "name", ["-rf.mkv", "a:b.mkv", "pipe:0.mkv", "http:x.mkv", "%03d.mkv", "a b'\"$(x)\n.mkv", "片.mkv"]
)
def test_no_name_of_a_file_is_dangerous(tools, make, tmp_path, monkeypatch, name):
    shutil.copy(make("plain.mkv", *SOUND), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(tools, ffmpeg.Path(name), timeout=10).audios[0].kind == "audio"


@pytest.mark.parametrize("name", ["hostile.mp4", "hostile.m3u8"])
@pytest.mark.parametrize(
    "content",
    [
        HLS_PLAYLIST.format("file:///etc/passwd"),
        HLS_PLAYLIST.format("film.ts"),
        "ffconcat version 1.0\nfile 'file:///etc/passwd'\n",
        "ffconcat version 1.0\nfile film.ts\n",
        DASH_MANIFEST,
        "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "<html>not found</html>",
        "",
    ],
)
def test_a_playlist_that_names_other_files_is_refused_whatever_it_is_called(tools, make, tmp_path, name, content):
    make("film.ts", *PICTURE)
    (tmp_path / name).write_text(content)
    with pytest.raises(NotMedia, match="not a video or audio file"):
        probe(tools, tmp_path / name, timeout=10)


@pytest.mark.parametrize("name", ["hostile.mp4", "hostile.m3u8"])
@pytest.mark.parametrize("content", [HLS_PLAYLIST.format("film.ts"), "ffconcat version 1.0\nfile film.ts\n"])
def test_a_conversion_refuses_a_playlist_too(tools, make, tmp_path, name, content):
    make("film.ts", *PICTURE)
    (tmp_path / name).write_text(content)
    arguments = [*input_arguments(tmp_path / name), "-c", "copy", str(tmp_path / "stolen.mkv")]
    with pytest.raises(FfmpegFailed, match="could not convert"):
        run_ffmpeg(tools, arguments, duration=1, on_progress=lambda _: None)


def test_a_picture_is_refused(tools, make):
    with pytest.raises(NotMedia):
        probe(tools, make("picture.png", *PICTURE, "-frames:v", "1"), timeout=10)


def test_a_file_that_is_not_there_is_refused_with_what_ffprobe_said(tools, tmp_path):
    with pytest.raises(NotMedia) as caught:
        probe(tools, tmp_path / "nothing.mp4", timeout=10)
    assert "No such file" in caught.value.detail


def test_a_container_with_neither_picture_nor_sound_is_refused(tools, make, tmp_path):
    text = tmp_path / "words.srt"
    text.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    with pytest.raises(NotMedia, match="neither video nor audio"):
        probe(tools, make("words.mkv", "-i", str(text)), timeout=10)


def test_an_answer_that_is_none_is_refused(impostor, tmp_path):
    with pytest.raises(NotMedia, match="could not be examined"):
        probe(impostor("echo []"), tmp_path / "x", timeout=10)


def test_a_file_that_keeps_ffprobe_busy_is_refused_in_time(impostor, tmp_path):
    with pytest.raises(NotMedia, match=r"within 0\.2 seconds"):
        probe(impostor("exec sleep 60"), tmp_path / "x", timeout=0.2)


def test_the_programs_see_nothing_of_our_environment(impostor, tmp_path, monkeypatch):
    monkeypatch.setenv("DOWNIE_SECRET_KEY", "secret")
    toolbox = impostor('env > "$(dirname "$0")/seen"; exit 1')
    with pytest.raises(NotMedia):
        probe(toolbox, tmp_path / "x", timeout=10)
    assert "secret" not in (tmp_path / "seen").read_text()


# ---- Run and ended


def test_a_conversion_tells_how_far_it_is(tools, make, tmp_path):
    source = make("film.mkv", *PICTURE)
    told = []
    arguments = [*input_arguments(source), "-c", "copy", f"file:{tmp_path / 'copy.mp4'}"]
    run_ffmpeg(tools, arguments, duration=0.5, on_progress=told.append)
    assert (told[-1], all(0 <= earlier <= later <= 1 for earlier, later in pairwise(told))) == (1.0, True)


def test_progress_comes_about_four_times_a_second(tools):
    told = []
    arguments = ["-re", "-f", "lavfi", "-i", "testsrc=d=1:s=160x120:r=10", "-f", "null", "-"]
    run_ffmpeg(tools, arguments, duration=2, on_progress=told.append)
    assert 3 <= len(told) <= 8


@pytest.mark.parametrize("duration", [None, 0.0])
def test_without_a_duration_only_the_end_is_told(impostor, duration):
    told = []
    script = "echo out_time_us=N/A; echo out_time_us=500000; echo out_time_us=-5"
    run_ffmpeg(impostor(script), [], duration=duration, on_progress=told.append)
    assert told == [1.0]


def test_nonsense_for_a_time_is_passed_over(impostor):
    told = []
    script = "echo out_time_us=N/A; sleep .1; echo out_time_us=-5; sleep .1; printf out_time_; sleep .1; echo us=500000"
    run_ffmpeg(impostor(script), [], duration=1, on_progress=told.append)
    assert told == [0.5, 1.0]


def test_a_failure_says_why(tools, make, tmp_path):
    source = make("film.mkv", *PICTURE)
    with pytest.raises(FfmpegFailed) as caught:
        run_ffmpeg(
            tools, [*input_arguments(source), str(tmp_path / "x.unknown")], duration=1, on_progress=lambda _: None
        )
    assert "output format" in caught.value.detail


def test_ten_million_complaints_are_not_kept(impostor):
    toolbox = impostor("yes complaint | head -c 10000000 >&2; echo the last word >&2; exit 3")
    with pytest.raises(FfmpegFailed) as caught:
        run_ffmpeg(toolbox, [], duration=1, on_progress=lambda _: None)
    assert caught.value.detail == "complaint\n" * 4 + "the last word"


def test_a_silent_failure_says_its_code(impostor):
    with pytest.raises(FfmpegFailed) as caught:
        run_ffmpeg(impostor("exit 3"), [], duration=1, on_progress=lambda _: None)
    assert caught.value.detail == "exit code 3"


@pytest.fixture
def started():
    """The processes that a test has started and that live: others of ours may have come before it."""
    before = psutil.Process().children()
    return lambda: [child for child in psutil.Process().children() if child not in before]


def test_ffmpeg_stays_in_our_process_group(tools, started):
    groups = []

    def look(_fraction):
        groups.extend(os.getpgid(child.pid) for child in started())
        raise Interrupted

    with pytest.raises(Interrupted):
        run_ffmpeg(tools, ENDLESS, duration=10, on_progress=look)
    assert groups == [os.getpgrp()]


def test_whatever_is_raised_meanwhile_ends_ffmpeg(tools, started):
    def interrupt(_fraction):
        raise Interrupted

    with pytest.raises(Interrupted):
        run_ffmpeg(tools, ENDLESS, duration=10, on_progress=interrupt)
    assert started() == []


def test_a_signal_handler_that_raises_ends_ffmpeg(tools, started):
    def interrupt(_number, _frame):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(Interrupted):
        run_ffmpeg(tools, ENDLESS, duration=None, on_progress=lambda _: None)
    signal.signal(signal.SIGALRM, before)
    assert started() == []


def test_an_ffmpeg_that_ignores_term_is_killed_after_a_second(impostor, started):
    def interrupt(_fraction):
        raise Interrupted

    toolbox = impostor("trap '' TERM; echo out_time_us=1; while :; do sleep 0.05; done")
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run_ffmpeg(toolbox, [], duration=1, on_progress=interrupt)
    assert (started(), 0.9 < time.monotonic() - began < 10) == ([], True)


def test_a_conversion_stops_when_it_is_asked_to(tools, started):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(FfmpegStopped):
        run_ffmpeg(tools, ENDLESS, duration=10, on_progress=lambda _: None, stop=stop)
    assert started() == []
