"""What there is of a live stream in a task's folder: parts, what is known of them, and the file that they become.

Each attempt records a part of its own. What is known is kept beside them, so that a recording survives the process that
made it, and the end of its stream too: by then a site may know nothing of it any more.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from downloads.engine.ffmpeg import CONTAINERS, Media, NotMedia, Toolbox, input_arguments, probe, run_ffmpeg
from downloads.engine.messages import Found

PROBE_LIMIT: Final = 60.0  # seconds
SAVE_EVERY: Final = 5.0  # seconds of a recording
SECONDS_SHORT: Final = 1.0  # a limit counts as reached so much before it: no frame need begin right there

_IN_MP4: Final = frozenset({"h264", "hevc", "av1", "aac", "mp3", "ac3", "eac3"})
_MUXING_MP4: Final = ("-movflags", "+faststart")
_LIST_WHITE_LISTS: Final = ("-protocol_whitelist", "file", "-format_whitelist", ",".join(("concat", *CONTAINERS)))


class NothingRecorded(Exception):
    """There is no part that can be read."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How much is recorded at most, in seconds and in bytes; 0 for no limit.

    With `from_start` the first part begins with the oldest that the stream's playlist shows, else some seconds before
    the live edge, as all later parts do.
    """

    seconds: float = 0
    bytes: int = 0
    from_start: bool = False


@dataclass(frozen=True)
class Joined:
    """The file, and the parts that could not go into it, since their codecs are others."""

    file: Path
    others: tuple[Path, ...] = ()


class _Known(msgspec.Struct, kw_only=True):
    """What is kept beside the parts; `file` is the name of the joined file, once that is whole."""

    found: Found | None = None
    seconds: float = 0
    is_over: bool = False
    file: str = ""


class Recording:
    """The recording in this folder, be it begun or not."""

    def __init__(self, folder: Path) -> None:
        """Read what is known of it."""
        self._folder = folder
        self._path = folder / "live.json"
        self._known = _Known()
        with suppress(FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            self._known = msgspec.json.decode(self._path.read_bytes(), type=_Known)

    @property
    def found(self) -> Found | None:
        """What the look-up said before it began."""
        return self._known.found

    @property
    def is_over(self) -> bool:
        """Whether all is recorded that is to be recorded."""
        return self._known.is_over and self._known.found is not None

    @property
    def seconds(self) -> float:
        """How long it is; up to `SAVE_EVERY` seconds more may be there after a kill."""
        return self._known.seconds

    @property
    def parts(self) -> list[Path]:
        """All parts, in their order."""
        return sorted(self._folder.glob("live-[0-9]*.*"))

    @property
    def bytes(self) -> int:
        """How large its parts are together."""
        return sum(part.stat().st_size for part in self.parts)

    @property
    def is_begun(self) -> bool:
        """Whether there is anything of it."""
        return self._known.found is not None and bool(self._known.file or self.bytes)

    def begin_part(self, found: Found, extension: str) -> Path:
        """Where the next part goes."""
        self._known.found = found
        self._save()
        number = int(self.parts[-1].stem.removeprefix("live-")) + 1 if self.parts else 1
        return self._folder / f"live-{number:03}.{extension}"

    def grow(self, seconds: float) -> None:
        """Note how long it is by now."""
        due = seconds - self._known.seconds >= SAVE_EVERY
        self._known.seconds = seconds
        if due:
            self._save()

    def end(self) -> None:
        """Note that all is recorded."""
        self._known.is_over = True
        self._save()

    def is_enough(self, wishes: Wishes) -> bool:
        """Whether it is as long or as large as it may become."""
        is_long = bool(wishes.seconds) and self.seconds >= wishes.seconds - SECONDS_SHORT
        return is_long or (bool(wishes.bytes) and self.bytes >= wishes.bytes)

    def join(self, toolbox: Toolbox, on_progress: Callable[[float], None]) -> Joined:
        """One file of all parts, whose place they leave; `on_progress` gets the fraction done, 0 to 1.

        A part with other codecs than most of it stays as it is, beside the file.

        Raises:
            NothingRecorded: no part can be read.
            FfmpegFailed: it cannot be joined.
        """
        if self._known.file:
            return Joined(self._folder / self._known.file, tuple(self.parts))
        takes = self._takes(toolbox)
        if not takes:
            self._path.unlink(missing_ok=True)  # the next attempt begins anew
            raise NothingRecorded
        codecs, parts = max(takes.items(), key=lambda take: sum(part.stat().st_size for part in take[1]))
        extension = "mp4" if _IN_MP4.issuperset(codecs) else "mkv"
        draft = self._folder / f"joining.{extension}"
        draft.unlink(missing_ok=True)
        muxing = _MUXING_MP4 if extension == "mp4" else ()
        tag = ("-tag:v", "hvc1") if "hevc" in codecs else ()  # Apple's players know no other
        arguments = [*self._input(parts), "-map", "0", "-c", "copy", *muxing, *tag, f"file:{draft}"]
        run_ffmpeg(toolbox, arguments, duration=self.seconds or None, on_progress=on_progress)
        self._known.file = draft.replace(self._folder / f"media.{extension}").name
        self._save()
        for part in parts:
            part.unlink()
        return Joined(self._folder / self._known.file, tuple(self.parts))

    def _takes(self, toolbox: Toolbox) -> dict[tuple[str, ...], list[Path]]:
        """The readable parts by their codecs. What cannot be read is thrown away: there is nothing in it."""
        takes: dict[tuple[str, ...], list[Path]] = {}
        for part in self.parts:
            try:
                media = probe(toolbox, part, timeout=PROBE_LIMIT)
            except NotMedia:
                part.unlink()
            else:
                takes.setdefault(_codecs(media), []).append(part)
        return takes

    def _input(self, parts: list[Path]) -> list[str]:
        if len(parts) == 1:
            return input_arguments(parts[0])
        names = self._folder / "live.ffconcat"
        names.write_text("".join(["ffconcat version 1.0\n", *(f"file {part.name}\n" for part in parts)]))
        return [*_LIST_WHITE_LISTS, "-f", "concat", "-i", f"file:{names}"]

    def _save(self) -> None:
        draft = self._path.with_name("live.json.new")
        draft.write_bytes(msgspec.json.encode(self._known))
        draft.replace(self._path)


def _codecs(media: Media) -> tuple[str, ...]:
    return tuple(stream.codec for stream in (*media.videos, *media.audios))
