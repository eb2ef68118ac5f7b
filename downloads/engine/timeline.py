"""Where a moment of the site's video is in the file: after the beginning of a section, and without what was cut out."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[float, float]
"""From and to, in seconds."""


@dataclass(frozen=True)
class Timeline:
    """The parts of the site's video that are in the file, one behind the other: in order, and apart."""

    kept: tuple[Span, ...]

    @property
    def duration(self) -> float:
        """Seconds of the file."""
        return sum(end - start for start, end in self.kept)

    def at(self, moment: float) -> float:
        """Where this moment of the site's video is in the file; one that is not in it, where the next one is."""
        return sum(min(moment, end) - start for start, end in self.kept if start < moment)

    def span(self, start: float, end: float) -> Span | None:
        """Where this part of the site's video is in the file; `None` where nothing is left of it."""
        inside = (self.at(start), self.at(end))
        return inside if inside[0] < inside[1] else None

    def without(self, cuts: Iterable[Span]) -> "Timeline":
        """The same file less these parts of it (in the file's own seconds)."""
        edges = [0.0, *(edge for cut in joined(cuts, self.duration) for edge in cut), self.duration]
        left = [span for span in list(pairwise(edges))[::2] if span[0] < span[1]]
        return Timeline(tuple(piece for start, end in left for piece in self._source_of(start, end)))

    def _source_of(self, start: float, end: float) -> Iterable[Span]:
        """The parts of the site's video that this part of the file comes from."""
        before = 0.0
        for first, last in self.kept:
            piece = (max(first, first + start - before), min(last, first + end - before))
            if piece[0] < piece[1]:
                yield piece
            before += last - first


def joined(spans: Iterable[Span], duration: float) -> list[Span]:
    """The spans within 0 and `duration`, in order, those that touch put together."""
    result: list[Span] = []
    for start, end in sorted((max(start, 0.0), min(end, duration)) for start, end in spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        elif start < end:
            result.append((start, end))
    return result
