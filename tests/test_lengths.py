"""How long a video lasts, from a few bytes of it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloads.engine.lengths import Mp4Head, mp4_head, playlist_duration


def box(name, *contents):
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def large_box(name, size):
    return struct.pack(">I4sQ", 1, name, size)


FTYP = box(b"ftyp", b"isom", bytes(12))
SHORT_HEADER = box(b"mvhd", struct.pack(">B3xIIII", 0, 0, 0, 1000, 90_500), bytes(80))
LONG_HEADER = box(b"mvhd", struct.pack(">B3xQQIQ", 1, 0, 0, 90_000, 90_000 * 90_000), bytes(80))
FRAGMENTED = box(b"mvhd", struct.pack(">B3xIIII", 0, 0, 0, 1000, 0), bytes(80))


@pytest.mark.parametrize(
    ("data", "duration"),
    [
        (FTYP + box(b"moov", SHORT_HEADER), 90.5),
        (FTYP + box(b"moov", LONG_HEADER), 90_000),
        (FTYP + box(b"free", bytes(100)) + box(b"moov", SHORT_HEADER), 90.5),
        (box(b"moov", SHORT_HEADER), 90.5),
        (FTYP + box(b"moov", FRAGMENTED), None),
        (FTYP + box(b"moov", box(b"trak")), None),
        (FTYP + box(b"moov", SHORT_HEADER[:20]), None),
        (FTYP + box(b"moov"), None),
        (b"<html>", None),
        (b"\x1a\x45\xdf\xa3webm" + bytes(100), None),
        (b"", None),
    ],
)
def test_the_header_of_an_mp4_says_how_long_it_lasts(data, duration):
    assert mp4_head(data) == Mp4Head(duration=duration)


@pytest.mark.parametrize(
    ("data", "header_at"),
    [
        (FTYP + struct.pack(">I4s", 5_000, b"mdat") + bytes(4000), len(FTYP) + 5_000),
        (FTYP + large_box(b"mdat", 5_000_000_000) + bytes(4000), len(FTYP) + 5_000_000_000),
        (FTYP + struct.pack(">I4s", 0, b"mdat") + bytes(4000), None),
        (FTYP + struct.pack(">I4s", 7, b"mdat") + bytes(4000), None),
    ],
)
def test_where_the_header_comes_later_is_said(data, header_at):
    assert mp4_head(data) == Mp4Head(header_at=header_at)


@pytest.mark.parametrize("name", ["video.mp4", "small.mp4", "av1.mp4", "audio.m4a"])
def test_real_files_are_read(media, name):
    expected = {"small.mp4": 2, "av1.mp4": 2}.get(name, 12)
    assert mp4_head((media / "direct" / name).read_bytes()[:4096]).duration == pytest.approx(expected, abs=0.1)


@given(
    st.lists(st.sampled_from([FTYP, SHORT_HEADER, b"moov", b"mvhd", bytes(4), b"\x00\x00\x00\x01", b"\xff"])).map(
        b"".join
    )
)
def test_no_bytes_are_too_odd(data):
    head = mp4_head(data)
    assert head.duration is None or head.duration > 0
    assert head.header_at is None or head.header_at >= len(data)


@pytest.mark.parametrize(
    ("playlist", "duration"),
    [
        ("#EXTM3U\n#EXTINF:4.5,\na.ts\n#EXTINF: 3\r\nb.ts\n", 7.5),
        ("#EXTM3U\n#EXTINF:bad,\na.ts\n", None),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", None),
        ("", None),
    ],
)
def test_the_segments_of_a_playlist_are_summed_up(playlist, duration):
    assert playlist_duration(playlist) == duration
