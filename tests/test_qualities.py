"""Every quality and processing on every kind of source: height, codecs, container, and nothing encoded without need."""

from itertools import product
from pathlib import Path

import pytest

from downloads.engine.ffmpeg import probe
from tests.jobs import packets

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
HLS, SPLIT, DASH = "/hls/multi/master.m3u8", "/hls/split/master.m3u8", "/dash/manifest.mpd"


@pytest.fixture
def download(jobs, origin):
    return lambda path, **fields: jobs.run(origin.url(path), **fields)


@pytest.fixture(scope="module")
def original(jobs, media, tmp_path_factory):
    """A checksum over the packets of the site's own picture of a height."""
    folder = tmp_path_factory.mktemp("original")

    def hash_of(path, height):
        file = folder / f"{Path(path).parent.name}-{height}.mp4"
        if not file.exists():
            raw = file.with_suffix(".raw")
            raw.write_bytes(b"".join(part.read_bytes() for part in parts_of(media, path, height)))
            jobs.run_ffmpeg("-v", "error", "-i", raw, "-map", "0:v", "-c", "copy", file)
        return jobs.packets_of(file, "v:0")

    return hash_of


def parts_of(media, path, height):
    number = {180: 0, 360: 1, 720: 2}[height]
    dash = [*media.glob(f"dash/init-{number}.m4s"), *sorted(media.glob(f"dash/seg-{number}-*.m4s"))]
    return {DASH: dash}.get(path) or sorted((media / path.lstrip("/")).parent.glob(f"{height}/*.ts"))


def streams(outcome):
    return [stream.codec for stream in (*outcome.media.videos, *outcome.media.audios)]


QUALITIES = {
    "auto": 720,
    "best": 720,
    "2160p": 720,
    "1080p": 720,
    "720p": 720,
    "480p": 360,
    "360p": 360,
    "worst": 180,
}


@pytest.mark.parametrize(
    ("path", "quality"),
    [*((HLS, quality) for quality in QUALITIES), *product((SPLIT, DASH), ("auto", "480p", "worst"))],
)
def test_a_quality_gives_its_height_copied(download, original, path, quality):
    outcome = download(path, quality=quality)
    media, height = outcome.media, QUALITIES[quality]
    assert (media.videos[0].height, streams(outcome), media.container) == (height, ["h264", "aac"], MP4)
    assert (media.is_fast_start, media.duration) == (True, pytest.approx(12.0, abs=0.1))
    assert outcome.packets("v:0") == original(path, height)


@pytest.mark.parametrize("path", [HLS, DASH], ids=["hls", "dash"])
@pytest.mark.parametrize(("quality", "post_processing"), [("best", "mp4"), ("480p", "permute"), ("worst", "permute")])
def test_h264_is_copied_for_an_mp4(download, original, path, quality, post_processing):
    outcome = download(path, quality=quality, post_processing=post_processing)
    height = QUALITIES[quality]
    assert (outcome.media.videos[0].height, outcome.media.container, outcome.media.is_fast_start) == (height, MP4, True)
    assert outcome.packets("v:0") == original(path, height)


@pytest.mark.parametrize("path", [HLS, SPLIT, DASH], ids=["hls", "split hls", "dash"])
@pytest.mark.parametrize("quality", ["auto", "worst"])
def test_audio_is_the_source_in_its_own_container(download, path, quality):
    outcome = download(path, quality=quality, post_processing="audio")
    assert (outcome.done.extension, streams(outcome), outcome.media.is_fast_start) == ("m4a", ["aac"], True)
    assert outcome.media.duration == pytest.approx(12.0, abs=0.1)


# A file, what is made of it, and the extension and the streams of the result; those in capitals are encoded.
DIRECT = [
    ("/direct/video.mp4", {}, "mp4 h264 aac"),
    ("/direct/video.mp4", {"post_processing": "audio"}, "m4a aac"),
    ("/direct/video.mp4", {"post_processing": "mp4"}, "mp4 h264 aac"),
    ("/direct/small.mp4", {"post_processing": "permute"}, "mp4 h264 AAC"),  # its sound is mono
    ("/direct/vp9.webm", {}, "webm vp9 opus"),
    ("/direct/vp9.webm", {"post_processing": "audio"}, "opus opus"),
    ("/direct/vp9.webm", {"post_processing": "mp4"}, "mp4 vp9 opus"),
    ("/direct/vp9.webm", {"post_processing": "permute"}, "mp4 H264 AAC"),
    ("/direct/av1.mp4", {}, "mp4 av1 aac"),
    ("/direct/av1.mp4", {"post_processing": "audio"}, "m4a aac"),
    ("/direct/av1.mp4", {"post_processing": "mp4"}, "mp4 av1 aac"),
    ("/direct/av1.mp4", {"post_processing": "permute"}, "mp4 H264 AAC"),
    ("/direct/audio.mp3", {}, "mp3 mp3"),
    ("/direct/audio.mp3", {"post_processing": "audio"}, "mp3 mp3"),
    ("/direct/audio.mp3", {"post_processing": "mp4"}, "mp4 mp3"),
    ("/companions/audio.opus", {"post_processing": "audio"}, "opus opus"),
    ("/companions/audio.ogg", {"post_processing": "audio"}, "ogg vorbis"),
    ("/companions/audio.flac", {"post_processing": "audio"}, "flac flac"),
    ("/direct/small.mp4", {"container": "mp4"}, "mp4 h264 aac"),
    ("/direct/small.mp4", {"container": "mkv"}, "mkv h264 aac"),
    ("/direct/small.mp4", {"container": "webm"}, "webm VP9 OPUS"),
    ("/direct/vp9.webm", {"container": "mp4"}, "mp4 vp9 opus"),
    ("/direct/vp9.webm", {"container": "mkv"}, "mkv vp9 opus"),
    ("/direct/vp9.webm", {"container": "webm"}, "webm vp9 opus"),
    ("/direct/av1.mp4", {"container": "webm"}, "webm av1 OPUS"),
    ("/direct/audio.mp3", {"container": "mkv"}, "mp3 mp3"),
    *(
        (path, {"post_processing": "audio", "audio_format": wanted}, f"{wanted} {codec}")
        for path, wanted, codec in (
            ("/direct/vp9.webm", "opus", "opus"),
            ("/direct/vp9.webm", "m4a", "AAC"),
            ("/direct/vp9.webm", "mp3", "MP3"),
            ("/direct/vp9.webm", "flac", "FLAC"),
            ("/direct/vp9.webm", "wav", "PCM_S16LE"),
            ("/direct/av1.mp4", "m4a", "aac"),
            ("/direct/av1.mp4", "opus", "OPUS"),
            ("/direct/audio.mp3", "mp3", "mp3"),
            ("/companions/audio.flac", "flac", "flac"),
        )
    ),
]


@pytest.mark.parametrize(("path", "fields", "expected"), DIRECT)
def test_a_file_becomes_what_is_wanted_of_it(download, media, path, fields, expected):
    outcome, source = download(path, **fields), media / path.lstrip("/")
    extension, *codecs = expected.split()
    assert (outcome.done.extension, streams(outcome)) == (extension, [codec.lower() for codec in codecs])
    assert outcome.media.duration == pytest.approx(probe(outcome.toolbox, source, timeout=10).duration, abs=0.1)
    assert outcome.media.is_fast_start is (extension in {"mp4", "m4a"})
    assert [codec for codec in codecs if is_copied(source, outcome, codec)] == [
        each for each in codecs if each.islower()
    ]


def is_copied(source, outcome, codec):
    """Whether the packets of the stream with this codec are those of the source's stream of that kind."""
    kind = "v:0" if any(each.codec == codec.lower() for each in outcome.media.videos) else "a:0"
    return packets(outcome.toolbox, source, kind) == outcome.packets(kind)
