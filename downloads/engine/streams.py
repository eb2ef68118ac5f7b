"""Which of the streams on a page is its video. Free of yt-dlp and of the network.

These rules decide, in this order:

1. What does not answer as media is no stream, and a playlist that another one lists as its variant is out.
2. What lasts `SHORT` at most is out where something else lasts `TIMES_LONGER` as long: advertisements and previews. The
   length stands in the manifest or in the header of the file; else the file's size says it.
3. What a player may play goes before what is only linked, and that before what its name calls an advertisement, a
   preview or another video (`candidates.Standing`).
4. HLS goes before DASH, that before video files, and those before audio files; then what is near a player; then what
   comes first on the page.
5. A protected one is the video all the same, and so an error, unless a clear one lasts as long.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from downloads.engine.candidates import Candidate, Kind, Standing

SHORT: Final = 30.0  # seconds; most advertisements last 6, 15 or 30, most previews 5 to 15
TIMES_LONGER: Final = 3
AS_LONG: Final = 0.9
# A file that does not say how long it lasts is taken for one of so many bytes a second: 1 Mbit/s, and 128 kbit/s.
USUAL_RATES: Final = {Kind.VIDEO: 125_000, Kind.AUDIO: 16_000}


@dataclass(frozen=True)
class Stream:
    """A candidate that has answered, as yt-dlp describes it.

    `duration` is in seconds and `size` in bytes, None where they are not known; `protection` says why it cannot be
    downloaded, or nothing; `variants` are the URLs of the playlists that it lists.
    """

    candidate: Candidate
    formats: list[dict[str, Any]]
    subtitles: dict[str, Any] = field(default_factory=dict)
    duration: float | None = None
    size: int | None = None
    is_live: bool = False
    protection: str = ""
    variants: frozenset[str] = frozenset()

    @property
    def length(self) -> float | None:
        """Seconds, measured or else guessed from the size; None where nothing says it."""
        if self.is_live:
            return math.inf
        if self.duration is None and self.size:
            return self.size / USUAL_RATES[self.candidate.kind]
        return self.duration

    @property
    def is_short(self) -> bool:
        """Whether it may be an advertisement or a preview."""
        return self.length is not None and self.length <= SHORT

    def beats(self, candidate: Candidate) -> bool:
        """Tell whether a candidate that ranks behind cannot win: this is played, long, clear and no variant of that."""
        is_whole = bool(self.variants) or candidate.kind is not Kind.HLS
        is_long = self.length is not None and not self.is_short
        return self.candidate.standing is Standing.PLAYED and is_whole and is_long and not self.protection

    def is_preview_of(self, other: "Stream") -> bool:
        """Tell whether it is short and the other one far longer; a protected one counts as long if nobody knows."""
        length = math.inf if other.length is None and other.protection else other.length
        return self.is_short and length is not None and length >= TIMES_LONGER * (self.length or 0)

    def replaces(self, protected: "Stream") -> bool:
        """Tell whether this is clear, and the whole of what is protected there."""
        if self.protection or self.length is None or protected.length is None:
            return False
        return self.length >= AS_LONG * protected.length


def choose(streams: Sequence[Stream]) -> Stream | None:
    """Give the one that is the page's video, by the rules of this module; of equals the first."""
    variants = frozenset(_without_query(variant) for stream in streams for variant in stream.variants)
    whole = [stream for stream in streams if _without_query(stream.candidate.url) not in variants] or streams
    real = [stream for stream in whole if not any(stream.is_preview_of(other) for other in whole)]
    ranked = sorted(real, key=lambda stream: stream.candidate.rank)
    best = ranked[0] if ranked else None
    if best and best.protection:
        return next((stream for stream in ranked if stream.replaces(best)), best)
    return best


def _without_query(url: str) -> str:
    return urlsplit(url)._replace(query="").geturl()
