"""Subtitles: which of a site's there are to be, and how each becomes clean SubRip text on the file's own timeline.

What a site calls subtitles may be anything. It is at most 10 MB, decoded here, and read by ffmpeg as one of a few
kinds of subtitles.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from yt_dlp.downloader import get_suitable_downloader
from yt_dlp.utils import ISO639Utils, dfxp2srt

from downloads.engine.choices import ALL_LANGUAGES, LANGUAGE, MAX_LANGUAGES, Subtitles
from downloads.engine.fetching import Fetcher, Unavailable
from downloads.engine.ffmpeg import SUBTITLES, Toolbox, input_arguments, run_briefly
from downloads.engine.filenames import clean_text
from downloads.engine.timeline import Timeline

MAX_BYTES: Final = 10 * 1024 * 1024

_KINDS: Final = ("vtt", "srt", "ass", "ssa", "ttml", "dfxp")
# YouTube's machine-made WebVTT rolls: it shows every line twice. Its TTML does not.
_KINDS_OF_MACHINES: Final = ("ttml", *_KINDS)
_XML: Final = frozenset({"ttml", "dfxp"})
_FRAGMENTED: Final = frozenset({"m3u8", "m3u8_native", "http_dash_segments"})
_LONGEST_TAG = 16  # characters, as in the suffix of a side file
_CONVERSION_LIMIT = 30.0  # seconds
_TIMING: Final = re.compile(
    r"^(?:\d+\n)?(\d+):(\d\d):(\d\d)[,.](\d\d\d) --> (\d+):(\d\d):(\d\d)[,.](\d\d\d)[^\n]*$", re.MULTILINE
)


@dataclass(frozen=True)
class Track:
    """Subtitles that a site offers: in one language (a BCP 47 tag), in one or more kinds."""

    language: str
    name: str
    kinds: tuple[Mapping[str, Any], ...]
    is_automatic: bool

    @property
    def three_letters(self) -> str:
        """The language by ISO 639-2, as containers want it."""
        language = self.language.partition("-")[0].lower()
        return ISO639Utils.short2long(language) or (language if len(language) == 3 else "und")  # noqa: PLR2004


def choose(info: Mapping[str, Any], wanted: Subtitles) -> list[Track]:
    """Which tracks are meant, at most 20.

    A language takes all that people have written in it: `en` the track `en` and then `en-GB`. Only where there is none,
    and if `auto`, it takes the one that machines have made: `en` itself, or else the first `en-…`. `all` takes every
    language, with `auto` in the video's own language first.
    """
    written = _offered(info.get("subtitles"), is_automatic=False)
    machine = _offered(info.get("automatic_captions"), is_automatic=True) if wanted.auto else []
    machine.sort(key=lambda track: not _is_in(track, str(info.get("language") or ALL_LANGUAGES)))
    chosen: dict[str, Track] = {}
    for language in wanted.languages:
        if language == ALL_LANGUAGES:
            tracks = [*written, *machine]
        else:
            tracks = _matching(written, language) or _matching(machine, language)[:1]
        for track in tracks:
            chosen.setdefault(track.language.lower(), track)
    return list(chosen.values())[:MAX_LANGUAGES]


def _offered(listed: object, *, is_automatic: bool) -> list[Track]:
    tracks = []
    for key, kinds in listed.items() if isinstance(listed, dict) else ():
        language = str(key).replace("_", "-")
        usable = [kind for kind in kinds or () if kind.get("ext") in _KINDS and (kind.get("url") or kind.get("data"))]
        if usable and len(language) <= _LONGEST_TAG and re.match(LANGUAGE, language):  # "live_chat" is none
            order = _KINDS_OF_MACHINES if is_automatic else _KINDS
            usable.sort(key=lambda kind: order.index(kind["ext"]))
            name = clean_text(str(usable[0].get("name") or ""), 100)
            tracks.append(Track(language, name, tuple(usable), is_automatic))
    return tracks


def _matching(tracks: list[Track], language: str) -> list[Track]:
    matching = [track for track in tracks if _is_in(track, language)]
    return sorted(matching, key=lambda track: track.language.lower() != language.lower())


def _is_in(track: Track, language: str) -> bool:
    return f"{track.language}-".lower().startswith(f"{language}-".lower())


def fetch_track(fetcher: Fetcher, track: Track, folder: Path, toolbox: Toolbox, limit: float) -> str:
    """The track as SubRip text, on the site's own timeline. Takes at most about `limit` seconds to fetch.

    Raises:
        Unavailable: it is too long, or no subtitles.
        FfmpegFailed: it cannot be understood.
        YoutubeDLError, OSError: it cannot be fetched.
    """
    kind = track.kinds[0]
    raw = folder / f"subtitles-{track.language}"
    raw.unlink(missing_ok=True)
    if isinstance(kind.get("data"), str):
        data = kind["data"].encode(errors="replace")
    elif kind.get("protocol") in _FRAGMENTED:
        data = _put_together(fetcher, kind, raw, limit)
    else:
        headers = kind.get("http_headers") or fetcher.info.get("http_headers") or {}
        data = fetcher.fetch(str(kind["url"]), headers, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise Unavailable(f"it is longer than {MAX_BYTES} bytes")
    if kind["ext"] not in _XML:
        return _converted(_decoded(data), raw, toolbox)
    if b"<!ENTITY" in data:
        raise Unavailable("it defines entities, which subtitles do not need")
    return str(dfxp2srt(data))


def _put_together(fetcher: Fetcher, kind: Mapping[str, Any], path: Path, limit: float) -> bytes:
    """The parts of a playlist, one after the other, so that all of them belong to this thread."""
    once = {"concurrent_fragment_downloads": 1, "continuedl": False, "retries": 1, "fragment_retries": 1}
    params = {**fetcher.ydl.params, **once}
    asked = {"http_headers": fetcher.info.get("http_headers"), **kind}
    downloader = get_suitable_downloader(asked, params)(fetcher.ydl, params)
    downloader.add_progress_hook(_stop_at(MAX_BYTES, time.monotonic() + limit))
    downloader.download(str(path), asked, subtitle=True)
    return path.read_bytes()


def _stop_at(limit: int, deadline: float) -> Callable[[Mapping[str, Any]], None]:
    def hook(progress: Mapping[str, Any]) -> None:
        if (progress.get("downloaded_bytes") or 0) > limit or time.monotonic() > deadline:
            raise Unavailable(f"it is longer than {limit} bytes, or came too slowly")

    return hook


def _decoded(data: bytes) -> str:
    """The text; old subtitles are in the encoding of Western Windows."""
    for encoding in ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Unavailable("it is no text")


def _converted(text: str, raw: Path, toolbox: Toolbox) -> str:
    raw.write_text(text, encoding="utf-8")
    made = raw.with_suffix(".srt")
    arguments = [*input_arguments(raw, SUBTITLES), "-map", "0:s:0", "-c:s", "srt", "-f", "srt", f"file:{made}"]
    run_briefly(toolbox.ffmpeg, arguments, timeout=_CONVERSION_LIMIT)
    return made.read_text(encoding="utf-8", errors="replace")


def moved(text: str, timeline: Timeline) -> str:
    """SubRip text on the timeline of the file; empty where nothing is said in it."""
    cues: list[str] = []
    for start, end, words in _cues(text):
        span = timeline.span(start, end)
        if span and words:
            cues.append(f"{len(cues) + 1}\n{_clock(span[0])} --> {_clock(span[1])}\n{words}\n")
    return "\n".join(cues)


def _cues(text: str) -> Iterator[tuple[float, float, str]]:
    text = text.replace("\r\n", "\n")
    timings = list(_TIMING.finditer(text))
    ends = [*(timing.start() for timing in timings[1:]), len(text)]
    for timing, end in zip(timings, ends, strict=False):  # without any timing there is one end too many
        words = text[timing.end() : end]
        lines = [line for line in words.split("\n") if line.strip()]
        yield _seconds(*timing.groups()[:4]), _seconds(*timing.groups()[4:]), "\n".join(lines)


def _seconds(hours: str, minutes: str, seconds: str, milliseconds: str) -> float:
    return int(hours[:6]) * 3600 + int(minutes) * 60 + int(seconds) + int(milliseconds) / 1000


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"
