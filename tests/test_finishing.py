"""The last steps as a whole: all wishes at once, interrupted, repeated, and when the last run of ffmpeg fails."""

import os
import signal
import time

import pytest

from downloads.engine import messages
from downloads.engine.embedding import Extras, embed
from downloads.engine.ffmpeg import FfmpegFailed, NotMedia, Toolbox
from tests.jobs import heard, video

WORDS = "1\n00:00:01,000 --> 00:00:01,800\nword 1\n"
EVERYTHING = {
    "metadata": True,
    "chapters": True,
    "thumbnail": "embed",
    "subtitles": {"languages": ["en"]},
    "sponsorblock": "mark",
}


@pytest.fixture
def described(origin):
    """A video of which the site says everything."""

    def make(path="/direct/video.mp4", **query):
        return video(
            origin.url(path, **query),
            subtitles={"en": [{"data": WORDS, "ext": "srt"}]},
            thumbnails=[{"url": origin.url("/companions/picture.png")}],
            chapters=[{"start_time": 0, "end_time": 12, "title": "One"}],
        )

    return make


def test_everything_at_once_is_one_file_whose_streams_are_copied(jobs, origin, described, media):
    api = origin.url("/sponsors/sponsor,3,5")
    outcome = jobs.run(origin.url("/x"), looked_up=described(), sponsorblock_api=api, **EVERYTHING)
    kinds = [stream.codec for stream in outcome.media.streams if stream.kind != "data"]
    assert kinds == ["h264", "aac", "mov_text", "mjpeg"]
    assert [part["tags"]["title"] for part in outcome.described()["chapters"]] == ["One", "Sponsor", "One"]
    assert (outcome.media.is_fast_start, outcome.done.notes, outcome.side_files) == (True, (), {})
    original = media / "direct" / "video.mp4"
    assert [outcome.packets(kind) for kind in ("v:0", "a")] == [jobs.packets_of(original, k) for k in ("v:0", "a")]


def test_a_second_attempt_on_the_same_folder_gives_the_same_file(jobs, origin, described):
    first = jobs.run(origin.url("/x"), looked_up=described(), **EVERYTHING)
    before = first.file.read_bytes()
    second = jobs.run(origin.url("/x"), looked_up=described(), folder=str(first.folder), **EVERYTHING)
    assert (second.file.read_bytes() == before, len(origin.requests_for("/direct/"))) == (True, 1)


def test_a_child_that_is_killed_while_it_finishes_leaves_a_folder_to_go_on_from(jobs, origin, described):
    """The picture is encoded for a cut between key frames, which takes long enough to be hit."""
    wishes = {**EVERYTHING, "sponsorblock": "cut", "sponsorblock_api": origin.url("/sponsors/sponsor,3.5,5.5")}
    child, folder = jobs.start(origin.url("/x"), looked_up=described(), **wishes)
    deadline = time.monotonic() + 20
    while not list(folder.glob("processing.*")) and time.monotonic() < deadline:
        child.events(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.stop()
    assert [*folder.glob("processed.*"), *folder.glob("finished.*")] == []

    outcome = jobs.run(origin.url("/x"), looked_up=described(), folder=str(folder), **wishes)
    assert outcome.media.duration == pytest.approx(10.0, abs=0.1)
    assert list(folder.glob("*ing.*")) == []


def test_a_download_after_a_look_up_for_another_quality_tells_how_far_it_is(jobs, origin, described):
    url = origin.url("/direct/video.mp4", rate=3_000_000)
    formats = [
        {"format_id": "v", "url": url, "ext": "mp4", "acodec": "none", "vcodec": "avc1", "height": 360},
        {
            "format_id": "a",
            "url": origin.url("/direct/audio.m4a"),
            "ext": "m4a",
            "vcodec": "none",
            "acodec": "mp4a.40.2",
        },
    ]
    kept = described() | {"formats": formats, "format_id": "elsewhere"}
    outcome = jobs.run(origin.url("/x"), looked_up=kept)
    readings = outcome.said(messages.Progress)
    assert readings[-1].downloaded_bytes > 3_000_000
    assert any(2 < reading.percentage < 90 for reading in readings)


def test_a_child_that_is_asked_to_stop_stops_while_companions_hang(jobs, origin):
    url = origin.url("/direct/video.mp4", rate=100_000)
    child, _ = jobs.start(url, looked_up=video(url, thumbnails=[{"url": origin.url("/hang")}]))
    next(event for event in heard(child) if isinstance(event, messages.Progress))
    began = time.monotonic()
    child.stop()
    assert time.monotonic() - began < 10


# ---- The last run by itself


@pytest.fixture
def source(jobs, media, tmp_path):
    path = tmp_path / "media.mp4"
    path.write_bytes((media / "direct" / "small.mp4").read_bytes())
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_that_is_interrupted_leaves_nothing_behind(jobs, source):
    def interrupt(_fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(source, Extras(tags={"title": "x"}), jobs.toolbox, on_progress=interrupt)
    assert names_in(source.parent) == ["media.mp4"]


def program(folder, script):
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_run_that_fails_leaves_nothing_behind(jobs, source):
    broken = Toolbox(program(source.parent, "exit 1"), jobs.toolbox.ffprobe, source.parent)
    with pytest.raises(FfmpegFailed):
        embed(source, Extras(tags={"title": "x"}), broken, on_progress=lambda _: None)
    assert names_in(source.parent) == ["media.mp4", "program"]


def test_a_run_that_loses_a_stream_is_none(jobs, source):
    script = f'for last; do :; done; {jobs.toolbox.ffmpeg} -v error -i "{source}" -map 0:v -c copy -y "$last"'
    losing = Toolbox(program(source.parent, script), jobs.toolbox.ffprobe, source.parent)
    with pytest.raises(NotMedia, match="has not the streams"):
        embed(source, Extras(tags={"title": "x"}), losing, on_progress=lambda _: None)
    assert names_in(source.parent) == ["media.mp4", "program"]


FAILING = 'case "$*" in *finishing*) echo broken >&2; exit 1;; esac; exec {} "$@"'


def test_what_cannot_be_put_in_goes_beside_and_that_is_said(jobs, origin, described, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    program(tools, FAILING.format(jobs.toolbox.ffmpeg)).rename(tools / "ffmpeg")
    (tools / "ffprobe").symlink_to(jobs.toolbox.ffprobe)
    outcome = jobs.run(origin.url("/x"), looked_up=described(), tools=str(tools), **EVERYTHING)
    assert (outcome.done.name, set(outcome.side_files)) == ("media.mp4", {".en.srt", ".jpg"})
    assert outcome.done.notes[-1].startswith("Without what was to go into the file: ")


def test_a_full_disk_while_finishing_is_said_to_be_one(jobs, origin, described, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    script = FAILING.replace("broken", "No space left on device").format(jobs.toolbox.ffmpeg)
    program(tools, script).rename(tools / "ffmpeg")
    (tools / "ffprobe").symlink_to(jobs.toolbox.ffprobe)
    failure = jobs.run(origin.url("/x"), looked_up=described(), tools=str(tools), **EVERYTHING).failure
    assert (failure.reason, failure.retryable) == ("no_space", True)
