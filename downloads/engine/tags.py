"""What a file is to say of itself: tags and chapters, and the text in which ffmpeg takes both."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from downloads.engine.filenames import clean_text
from downloads.engine.sponsors import Segment
from downloads.engine.timeline import Timeline

MAX_CHAPTERS: Final = 1000

_MAX_TEXT = 500  # characters of a tag
_MAX_DESCRIPTION = 5000
_SPECIAL: Final = re.compile(r"([=;#\\\n])")
# Line breaks stay; whatever else cannot be printed goes.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# ffmpeg's names, and where they are in yt-dlp's result, the most fitting first
_SOURCES: Final = {
    "title": ("track", "title"),
    "artist": ("artist", "artists", "creator", "creators", "uploader", "channel"),
    "album": ("album",),
    "album_artist": ("album_artist", "album_artists"),
    "track": ("track_number",),
    "disc": ("disc_number",),
    "genre": ("genre", "genres"),
}


@dataclass(frozen=True)
class Chapter:
    """A named part of the file, in seconds."""

    start: float
    end: float
    title: str


def tags(info: Mapping[str, Any], *, with_description: bool) -> dict[str, str]:
    """Title, artist, album, track, date as far as they are known, and the page's address as a comment.

    Of a bare file's address the query is left out: it can be as good as a password.
    """
    found = {tag: _first(info, names) for tag, names in _SOURCES.items()}
    page = _page(info)
    # Of a bare file yt-dlp gives the day on which the server got it.
    found |= {"date": "" if is_bare(info) else _date(info), "comment": page, "purl": page}
    if with_description:
        found["description"] = found["synopsis"] = _lines(info.get("description"))
    return {tag: text for tag, text in found.items() if text}


def is_bare(info: Mapping[str, Any]) -> bool:
    """Whether there is no page around the file, so that its title is no more than its name."""
    return bool(info.get("direct")) and info.get("url") == info.get("webpage_url")


def _first(info: Mapping[str, Any], names: Iterable[str]) -> str:
    return next(filter(None, (_text(info.get(name)) for name in names)), "")


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_text, value[:20])))
    return clean_text(str(value), _MAX_TEXT) if isinstance(value, str | int | float) else ""


def _lines(value: object) -> str:
    text = value[:_MAX_DESCRIPTION] if isinstance(value, str) else ""
    return _CONTROL.sub("", text.replace("\r\n", "\n")).strip()


def _page(info: Mapping[str, Any]) -> str:
    address = _text(info.get("webpage_url"))
    return urlunsplit(urlsplit(address)._replace(query="", fragment="")) if is_bare(info) else address


def _date(info: Mapping[str, Any]) -> str:
    """2026-12-31 of yt-dlp's 20261231, or the year alone."""
    for name in ("release_date", "upload_date"):
        if match := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", str(info.get(name) or "")):
            return "-".join(match.groups())
    year = info.get("release_year")
    return str(year) if isinstance(year, int) else ""


def chapters(info: Mapping[str, Any], timeline: Timeline, marked: Sequence[Segment] = ()) -> tuple[Chapter, ...]:
    """The site's chapters on the file's timeline, with the marked parts as chapters of their own between them.

    Where parts are marked and the site has no chapters, the rest bears the video's title.
    """
    own = [Segment(*span, title) for span, title in _of_site(info)]
    if marked and not own:
        own = [Segment(0.0, math.inf, clean_text(str(info.get("title") or ""), _MAX_TEXT))]
    found = []
    for start, end, title in _side_by_side(own, marked):
        span = timeline.span(start, end)
        if span:
            found.append(Chapter(*span, title))
    return tuple(found[:MAX_CHAPTERS])


def _of_site(info: Mapping[str, Any]) -> Iterable[tuple[tuple[float, float], str]]:
    listed = info.get("chapters")
    for each in listed[:MAX_CHAPTERS] if isinstance(listed, list) else ():
        start, end = each.get("start_time"), each.get("end_time")
        if isinstance(start, int | float) and isinstance(end, int | float) and 0 <= start < end:
            yield (float(start), float(end)), _text(each.get("title"))


def _side_by_side(own: Sequence[Segment], marked: Sequence[Segment]) -> Iterable[tuple[float, float, str]]:
    """Parts that do not overlap: at every moment the shortest marked part counts, or else the site's chapter."""
    ranked = [*sorted(marked, key=lambda segment: segment.end - segment.start), *own]
    edges = sorted({edge for segment in ranked for edge in (segment.start, segment.end)})
    pieces: list[tuple[float, float, Segment]] = []
    for start, end in pairwise(edges):
        here = next((segment for segment in ranked if segment.start <= start and end <= segment.end), None)
        if here and pieces and pieces[-1][2] is here and pieces[-1][1] == start:
            pieces[-1] = (pieces[-1][0], end, here)
        elif here:
            pieces.append((start, end, here))
    return [(start, end, segment.title) for start, end, segment in pieces]


def as_ffmetadata(found: Mapping[str, str], parts: Sequence[Chapter]) -> str:
    """ffmetadata, ffmpeg's own format: a backslash makes plain text of `=`, `;`, `#`, itself and a line break."""
    lines = [";FFMETADATA1", *(f"{tag}={_escaped(text)}" for tag, text in found.items())]
    for part in parts:
        times = (f"START={round(part.start * 1000)}", f"END={round(part.end * 1000)}")
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", *times, f"title={_escaped(part.title)}"]
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
