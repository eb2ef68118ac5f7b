"""How long a video lasts, read from a few bytes of it. Free of yt-dlp and of the network; any bytes may come."""

import re
import struct
from typing import Final, NamedTuple

_SEGMENT: Final = re.compile(r"^#EXTINF:\s{0,10}([0-9]{1,9}(?:\.[0-9]{1,9})?)", re.MULTILINE)

_BOX: Final = struct.Struct(">I4s")
_LARGE_SIZE: Final = struct.Struct(">Q")
_BOX_LIMIT: Final = 64  # boxes before `moov`
# Version, then (ISO/IEC 14496-12, 8.2.2) times of creation and change, time scale, duration
_SHORT_HEADER: Final = struct.Struct(">B3x4x4xII")
_LONG_HEADER: Final = struct.Struct(">B3x8x8xIQ")
_NAMES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"pdin", b"styp", b"sidx"})


class Mp4Head(NamedTuple):
    """What the beginning of a file says, if it is an MP4."""

    duration: float | None = None
    """Seconds; None where it is not in these bytes, or not in the file's header at all (fragmented files)."""
    header_at: int | None = None
    """The byte at which the header has to be, where it comes after these bytes."""


def playlist_duration(playlist: str) -> float | None:
    """Sum up the segments of an HLS playlist, in seconds; None where there are none."""
    return sum(float(found[1]) for found in _SEGMENT.finditer(playlist)) or None


def mp4_head(data: bytes) -> Mp4Head:
    """Read the boxes of an MP4 from its first bytes on, or from those at `header_at`."""
    position = 0
    for _ in range(_BOX_LIMIT):
        if position + _BOX.size > len(data):
            break
        size, name = _BOX.unpack_from(data, position)
        if name not in _NAMES:
            return Mp4Head()
        if name == b"moov":
            return Mp4Head(duration=_movie_duration(data[position + _BOX.size :]))
        if size == 1 and position + _BOX.size + _LARGE_SIZE.size <= len(data):
            (size,) = _LARGE_SIZE.unpack_from(data, position + _BOX.size)
        if size < _BOX.size:  # 0: up to the end of the file
            return Mp4Head()
        position += size
    return Mp4Head(header_at=position if position >= len(data) > 0 else None)


def _movie_duration(data: bytes) -> float | None:
    """Read the movie header, which is the first box of `moov`."""
    if len(data) < _BOX.size or _BOX.unpack_from(data)[1] != b"mvhd":
        return None
    header = _LONG_HEADER if data[_BOX.size : _BOX.size + 1] == b"\x01" else _SHORT_HEADER
    if len(data) < _BOX.size + header.size:
        return None
    _, scale, duration = header.unpack_from(data, _BOX.size)
    return duration / scale if scale and duration else None
