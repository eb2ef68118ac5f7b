"""Leaving parts out of a file, in the same run of ffmpeg that makes it: packets are dropped and those behind moved up.

Sound is copied all the same, since each of its packets (about 0.02 s) stands for itself. Pictures can only be copied
where a part begins and ends at key frames; elsewhere they are encoded. Both follow the same clock, so that they stay
together to within one packet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from downloads.engine.ffmpeg import Toolbox, key_frames
from downloads.engine.timeline import Span

EXACT_ENOUGH: Final = 0.25  # seconds between where a part is to end and the key frame where it ends instead
_ROUNDING: Final = 0.0005  # seconds: a frame right at an edge is behind it, whatever its time base makes of the number
_FOREVER: Final = 1e9  # seconds


@dataclass(frozen=True)
class Cut:
    """The parts that go: in seconds of the file, in order, apart, not empty. `duration` is that of the uncut file.

    `at_key_frames` says that the picture can be copied.
    """

    parts: tuple[Span, ...]
    duration: float
    at_key_frames: bool

    @property
    def remaining(self) -> float:
        """Seconds that the cut file lasts."""
        return self.duration - sum(end - start for start, end in self.parts)

    @property
    def of_packets(self) -> str:
        """Bitstream filters for a stream that is copied."""
        shift = self._before("PTS*TB")
        return f"noise=drop='{self._inside('pts*tb')}',setts=pts='PTS-({shift})/TB':dts='DTS-({shift})/TB'"

    @property
    def of_frames(self) -> list[str]:
        """Filters for a picture that is encoded."""
        return [f"select='not({self._inside('t')})'", f"setpts='PTS-({self._before('T')})/TB'"]

    @property
    def of_samples(self) -> list[str]:
        """Filters for sound that is encoded."""
        return [f"aselect='not({self._inside('t')})'", f"asetpts='PTS-({self._before('T')})/TB'"]

    def _inside(self, time: str) -> str:
        """An expression of ffmpeg's that is not 0 within the parts. All that goes into it are numbers of ours."""
        return "+".join(f"gte({time},{start:.6f})*lt({time},{end:.6f})" for start, end in map(self._edges, self.parts))

    def _before(self, time: str) -> str:
        """An expression for how many seconds go before a moment."""
        return "+".join(f"gte({time},{self._edges(part)[1]:.6f})*{part[1] - part[0]:.6f}" for part in self.parts)

    def _edges(self, part: Span) -> Span:
        start, end = part
        at_once = start <= 0
        to_the_end = end >= self.duration
        return (-_FOREVER if at_once else start - _ROUNDING, _FOREVER if to_the_end else end - _ROUNDING)


def cut_of(toolbox: Toolbox, path: Path, parts: Sequence[Span], duration: float, *, has_picture: bool) -> Cut:
    """How to leave these parts (in order, apart) out of the file: at key frames if all of them are near enough to some.

    Raises:
        NotMedia: the file's key frames cannot be read.
    """
    if has_picture:
        edges = {edge for part in parts for edge in part if 0 < edge < duration}
        frames = key_frames(toolbox, path, sorted(edges), EXACT_ENOUGH)
        nearest = {edge: frame for edge in edges if (frame := _nearest(frames, edge)) is not None}
        snapped = tuple((nearest.get(start, start), nearest.get(end, end)) for start, end in parts)
        if len(nearest) == len(edges) and all(start < end for start, end in snapped):
            return Cut(snapped, duration, at_key_frames=True)
    return Cut(tuple(parts), duration, at_key_frames=False)


def _nearest(frames: Iterable[float], edge: float) -> float | None:
    near = [frame for frame in frames if abs(frame - edge) <= EXACT_ENOUGH]
    return min(near, key=lambda frame: abs(frame - edge), default=None)
