"""One bar from 0 to 100 for a whole task: lookup, every stream, merge and conversion.

yt-dlp tells of one file at a time, in hooks that are called from several threads. Here they become one `Reading`.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_LOOKED_UP = 2.0  # the bar's percentage when the download begins
_DOWNLOADED = 94.0  # when all bytes are here, and
_DOWNLOADED_BEFORE_CONVERSION = 70.0  # the same where a conversion follows, which can take as long as the download
_MERGE_SHARE = 4.0  # percentage points for yt-dlp's own steps after the download
_LAST = 99.0  # 100 is the caller's to say, when the file is in its place

_INTERVAL = 0.25  # seconds between two readings
_WINDOW = 5.0  # seconds over which the speed is a mean: yt-dlp's blocks come up to 1.3 s apart
_ALMOST = 0.999  # of a file that has not been reported as finished
_GUESSED = 0.95  # the most to believe of a size that was only estimated
_TRUSTED_SHARE = 0.05  # of a file's fragments before their mean size is used for an estimate

_KBIT = 125  # bytes
_ABSURD = 2.0**53  # a site may claim any size; below this, sums of a few fit into the database's columns
_USUAL_DURATION = 600.0  # seconds, and the usual rates, for want of any figure
_USUAL_VIDEO_KBITS, _USUAL_AUDIO_KBITS = 1600.0, 128.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How far it is. Sizes in bytes, `speed` in bytes a second, `eta` in seconds; 0 where unknown.

    `total_bytes` is what is known or estimated of all streams together, and never below `downloaded_bytes`.
    """

    percentage: float
    downloaded_bytes: int
    total_bytes: int
    speed: int
    eta: int


class _Stream:
    """One file of the download: how large it will be, and how much of it is here."""

    def __init__(self, selected: Mapping[str, object], duration: float) -> None:
        rate = _number(selected.get("tbr")) * _KBIT
        self.is_finished = False
        self.bytes = 0
        self.fraction = 0.0
        guess = min(rate * duration, _ABSURD)
        self.total = _number(selected.get("filesize")) or _number(selected.get("filesize_approx")) or guess
        self._is_new = True
        kbits = _USUAL_AUDIO_KBITS if selected.get("vcodec") == "none" else _USUAL_VIDEO_KBITS
        self._usual_size = (rate or kbits * _KBIT) * (duration or _USUAL_DURATION)

    @property
    def weight(self) -> float:
        """The part of the bar that this stream gets, in bytes."""
        return max(self.total or self._usual_size, 1.0)

    def take(self, hook: Mapping[str, object]) -> int:
        """Apply one hook; give the bytes that came over the network since the last one.

        The first one of a stream only says where it begins: what it reports may have been on the disk before.
        """
        total = _number(hook.get("total_bytes"))
        self.is_finished = hook.get("status") == "finished"
        # A file that was there already is reported as finished with nothing but its total.
        now = int(_number(hook.get("downloaded_bytes")) or (total if self.is_finished else self.bytes))
        fresh = 0 if self._is_new else max(now - self.bytes, 0)
        self.bytes, self._is_new = now, False
        self.total = self._known_total(hook, total)
        self.fraction = max(self.fraction, 1.0 if self.is_finished else self._fraction(hook, total))
        return fresh

    def _known_total(self, hook: Mapping[str, object], total: float) -> float:
        if self.is_finished:
            return float(self.bytes)
        if total:
            return total
        share = _share_of_fragments(hook)
        # yt-dlp's own total_bytes_estimate starts up to 1000 times too low, and with several threads 4 times too high.
        return self.bytes / share if share >= _TRUSTED_SHARE else self.total

    def _fraction(self, hook: Mapping[str, object], total: float) -> float:
        if total:
            return min(self.bytes / total, _ALMOST)
        count = _number(hook.get("fragment_count"))
        if count:
            # Whole fragments are a floor, the next one a ceiling; the bytes say where it is between the two.
            floor = min(_share_of_fragments(hook), _ALMOST)
            estimate = _number(hook.get("total_bytes_estimate"))
            inside = self.bytes / estimate if estimate and floor else 0.0
            return min(max(floor, min(inside, floor + 1 / count)), _ALMOST)
        return min(self.bytes / self.total, _GUESSED) if self.total else 0.0


class ProgressMeter:
    """Takes yt-dlp's hooks and the conversion's fractions, and emits readings.

    The percentage never goes back and stays below 100. Readings are emitted at most every 0.25 s, and in any case when
    a file or a step ends. `emit` is called by whichever thread brought the news, one at a time; it must not call back.
    """

    def __init__(
        self,
        info: Mapping[str, object],
        emit: Callable[[Reading], None],
        *,
        converts: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Measure the download of `info`, the selected info dict; `converts` says whether a conversion follows."""
        duration = _number(info.get("duration"))
        self._streams = {_identity(each): _Stream(each, duration) for each in _selected(info)}
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._downloaded_at: Final = _DOWNLOADED_BEFORE_CONVERSION if converts else _DOWNLOADED
        self._merged_at: Final = min(self._downloaded_at + _MERGE_SHARE, _LAST)
        self._percentage = 0.0
        self._emitted_at = -math.inf
        self._fresh_bytes = 0
        self._samples: deque[tuple[float, int]] = deque()

    def on_download(self, hook: Mapping[str, object]) -> None:
        """One of yt-dlp's `progress_hooks`. Files other than the selected formats (subtitles, pictures) are ignored."""
        format_of_file = hook.get("info_dict")
        if not isinstance(format_of_file, Mapping) or hook.get("status") not in ("downloading", "finished"):
            return
        with self._lock:
            stream = self._streams.get(_identity(format_of_file))
            if stream is None:
                return
            self._fresh_bytes += stream.take(hook)
            self._sample()
            self._advance_to(_LOOKED_UP + (self._downloaded_at - _LOOKED_UP) * self._downloaded_fraction())
            self._report(at_once=stream.is_finished, speed=self._speed())

    def on_postprocessor(self, hook: Mapping[str, object]) -> None:
        """One of yt-dlp's `postprocessor_hooks`. The first one says that the download is over.

        How many steps there will be is unknown, so each takes half of what is left of their part of the bar.
        """
        with self._lock:
            self._advance_to(self._downloaded_at)
            if hook.get("status") == "finished":
                self._advance_to((self._percentage + self._merged_at) / 2)
            self._report(at_once=True)

    def on_conversion(self, fraction: float) -> None:
        """How far our own ffmpeg is, 0 to 1."""
        with self._lock:
            part = min(max(fraction, 0.0), 1.0)
            self._advance_to(self._merged_at + (_LAST - self._merged_at) * part)
            self._report(at_once=part == 1.0)

    def _downloaded_fraction(self) -> float:
        streams = self._streams.values()
        return sum(each.weight * each.fraction for each in streams) / sum(each.weight for each in streams)

    def _advance_to(self, percentage: float) -> None:
        self._percentage = min(max(self._percentage, percentage), _LAST)

    def _sample(self) -> None:
        """Remember when how much had come; of what is older than the window, only the newest, to measure from."""
        now = self._clock()
        self._samples.append((now, self._fresh_bytes))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW:  # noqa: PLR2004 - a speed needs two
            self._samples.popleft()

    def _speed(self) -> float:
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began) if ended > began else 0.0

    def _report(self, *, at_once: bool, speed: float = 0.0) -> None:
        now = self._clock()
        if not at_once and now - self._emitted_at < _INTERVAL:
            return
        self._emitted_at = now
        self._emit(self._reading(speed))

    def _reading(self, speed: float) -> Reading:
        streams = self._streams.values()
        downloaded = sum(each.bytes for each in streams)
        total = int(sum(max(each.total, each.bytes) for each in streams)) if any(each.total for each in streams) else 0
        return Reading(
            percentage=round(self._percentage, 1),
            downloaded_bytes=downloaded,
            total_bytes=total,
            speed=int(speed),
            eta=math.ceil((total - downloaded) / speed) if speed >= 1 and total > downloaded else 0,
        )


def _selected(info: Mapping[str, object]) -> Iterable[Mapping[str, object]]:
    formats = info.get("requested_formats")
    if isinstance(formats, list | tuple):
        return [each for each in formats if isinstance(each, Mapping)] or [info]
    return [info]


def _identity(selected: Mapping[str, object]) -> str:
    return str(selected.get("format_id"))


def _share_of_fragments(hook: Mapping[str, object]) -> float:
    """The part of a stream's fragments that are whole. With an initial segment, the index ends at count + 1."""
    count = _number(hook.get("fragment_count"))
    return min(_number(hook.get("fragment_index")) / count, 1.0) if count else 0.0


def _number(value: object) -> float:
    """A figure from yt-dlp, where any may be missing, `None` or nonsense: 0 then."""
    if isinstance(value, int | float) and 0 < value < _ABSURD:
        return float(value)
    return 0.0
