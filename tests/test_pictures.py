"""The picture of a video: for the page, as a cover, beside the file, and never what a hostile site makes of it."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mutagen.oggopus import OggOpus

from downloads.engine import messages
from downloads.engine.ffmpeg import probe
from downloads.engine.pictures import of_video
from tests.jobs import video


@pytest.fixture
def run(jobs, origin):
    """Download two seconds that the site shows this picture for."""

    def run(*shown, path="/direct/small.mp4", **fields):
        url = origin.url(path)
        thumbnails = [{"url": origin.base + each if each.startswith("/") else each} for each in shown]
        return jobs.run(url, looked_up=video(url, duration=None, thumbnails=thumbnails), **fields)

    return run


def size_of(path):
    """Width and height of a JPEG."""
    data = path.read_bytes()
    assert data.startswith(b"\xff\xd8\xff")
    start = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in {0xC0, 0xC2})
    return int.from_bytes(data[start + 7 : start + 9]), int.from_bytes(data[start + 5 : start + 7])


def covers(outcome):
    return [stream.codec for stream in outcome.media.streams if stream.is_attached_picture]


# ---- For the page


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif"])
def test_the_sites_picture_becomes_a_small_jpeg(run, kind):
    outcome = run(f"/companions/picture.{kind}")
    (picture,) = outcome.pictures
    assert (picture.name, size_of(picture)) == ("picture.jpg", (640, 360))
    assert outcome.done.name == "media.mp4"


def test_without_a_picture_of_the_sites_it_is_a_frame_of_the_video(run):
    outcome = run()
    assert size_of(outcome.pictures[0]) == (320, 180)


def test_the_picture_of_a_song_is_its_own_cover(jobs, origin, run, media):
    song = run("/companions/picture.jpg", path="/direct/audio.mp3", post_processing="audio")
    served = media / "companions" / "covered.mp3"
    served.write_bytes(song.file.read_bytes())
    outcome = jobs.run(origin.url("/companions/covered.mp3"))
    assert size_of(outcome.pictures[0]) == (640, 360)


def test_a_song_without_a_cover_has_no_picture(run):
    assert run(path="/direct/audio.mp3").pictures == []


def test_the_best_picture_that_there_is_is_taken(run):
    outcome = run("/companions/picture.png", "/companions/picture.jpg", "/status/404", "/companions/words.vtt")
    assert size_of(outcome.pictures[0]) == (640, 360)


def test_the_picture_comes_while_the_video_does(jobs, origin):
    url = origin.url("/direct/video.mp4", rate=4_000_000)
    info = video(url, thumbnails=[{"url": origin.url("/companions/picture.jpg")}])
    kinds = [type(event) for event in jobs.run(url, looked_up=info).events]
    assert kinds.index(messages.Pictured) < kinds.index(messages.Processing)


HOSTILE = {
    "a video": "/direct/small.mp4",
    "a text": "/companions/words.vtt",
    "nothing": "/status/404",
    "81 million pixels": "/companions/huge.png",
    "more than 10 MB": "/direct/big.bin?size=11000000&type=image/jpeg",
    "at a private address": "http://127.0.0.2/picture.jpg",
    "a redirect to one": "/redirect/302?to=http://127.0.0.2/picture.jpg",
    "no web address": "file:///etc/passwd",
}


@pytest.mark.parametrize("address", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_picture_is_ignored(run, address):
    outcome = run(address)
    assert size_of(outcome.pictures[0]) == (320, 180)  # a frame instead
    assert outcome.media.duration == 2.0


def test_a_refused_picture_does_not_make_another_failure_look_like_a_refusal(jobs):
    playlist = {"format_id": "1", "url": "http://127.0.0.1:9/x.m3u8", "ext": "mp4", "protocol": "m3u8_native"}
    info = video("x", formats=[playlist], thumbnails=[{"url": "http://127.0.0.2/picture.jpg"}])
    assert jobs.run("http://127.0.0.1:9/", looked_up=info).failure.reason == "network"


def test_a_server_that_sends_a_byte_a_second_holds_up_for_no_more_than_seconds(run):
    began = time.monotonic()
    assert run("/drip").pictures
    assert time.monotonic() - began < 15


def test_what_the_quick_ffmpeg_cannot_decode_has_a_picture_all_the_same(jobs, origin, media):
    file = media / "companions" / "av1.mp4"
    arguments = ["-i", media / "direct" / "small.mp4", "-an", "-c:v", "libsvtav1", "-loglevel", "quiet", "-y", file]
    subprocess.run([jobs.toolbox.ffmpeg, *arguments], check=True, stderr=subprocess.DEVNULL)
    outcome = jobs.run(origin.url("/companions/av1.mp4"))
    assert size_of(outcome.pictures[0]) == (320, 180)


@pytest.mark.parametrize("lacking", [{"quick": None}, {"ffmpeg": Path("nowhere")}])
def test_either_ffmpeg_makes_a_picture(jobs, media, tmp_path, lacking):
    toolbox, file = replace(jobs.toolbox, **lacking), media / "direct" / "small.mp4"
    found = of_video(file, probe(toolbox, file, timeout=10), tmp_path, toolbox, with_cover=False)
    assert size_of(found.page) == (320, 180)


# ---- In the file, and beside it


@pytest.mark.parametrize(
    ("path", "fields", "name"),
    [
        ("/direct/small.mp4", {}, "finished.mp4"),
        ("/direct/small.mp4", {"container": "mkv"}, "finished.mkv"),
        ("/direct/small.mp4", {"post_processing": "audio"}, "finished.m4a"),
        ("/direct/audio.mp3", {}, "finished.mp3"),
        ("/companions/audio.flac", {}, "finished.flac"),
        ("/companions/audio.opus", {}, "finished.opus"),
        ("/companions/audio.ogg", {}, "finished.ogg"),
    ],
)
def test_a_cover_is_embedded_in_the_way_of_the_container(run, path, fields, name):
    outcome = run("/companions/picture.png", path=path, thumbnail="embed", **fields)
    assert (outcome.done.name, covers(outcome), outcome.side_files) == (name, ["mjpeg"], {})
    assert (outcome.media.is_fast_start, outcome.done.notes) == (name.endswith(("mp4", "m4a")), ())


@pytest.mark.parametrize(("path", "stream"), [("/direct/small.mp4", "v:0"), ("/direct/audio.mp3", "a")])
def test_a_cover_changes_no_packet(run, jobs, media, path, stream):
    outcome = run("/companions/picture.png", path=path, thumbnail="embed")
    assert outcome.packets(stream) == jobs.packets_of(media / path.lstrip("/"), stream)


@pytest.mark.parametrize(
    ("path", "fields"),
    [("/direct/vp9.webm", {}), ("/direct/small.mp4", {"post_processing": "audio", "audio_format": "wav"})],
)
def test_what_holds_no_cover_has_it_beside(run, path, fields):
    outcome = run("/companions/picture.png", path=path, thumbnail="embed", **fields)
    assert covers(outcome) == []
    assert size_of(outcome.side_files[".jpg"]) == (1280, 720)


def test_a_picture_beside_the_file_leaves_the_file_alone(run, media):
    outcome = run("/companions/picture.webp", thumbnail="beside")
    assert size_of(outcome.side_files[".jpg"]) == (1280, 720)
    assert outcome.file.read_bytes() == (media / "direct" / "small.mp4").read_bytes()


@pytest.mark.parametrize("extension", ["mp3", "opus", "flac", "m4a"])
def test_a_cover_that_is_there_stays_and_gets_no_company(jobs, origin, run, media, extension):
    source = {"mp3": "/direct/audio.mp3", "m4a": "/direct/audio.m4a"}.get(extension, f"/companions/audio.{extension}")
    song = run("/companions/picture.jpg", path=source, thumbnail="embed")
    served = media / "companions" / f"covered.{extension}"
    served.write_bytes(song.file.read_bytes())
    outcome = jobs.run(origin.url(f"/companions/covered.{extension}"), metadata=True, thumbnail="embed")
    assert covers(outcome) == ["mjpeg"]


def test_an_opus_file_has_its_cover_where_players_look_for_it(run):
    outcome = run("/companions/picture.jpg", path="/companions/audio.opus", thumbnail="embed")
    assert len(OggOpus(outcome.file)["metadata_block_picture"]) == 1
