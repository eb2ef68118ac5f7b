"""Parts of a YouTube video that SponsorBlock's users have marked.

The server is asked with the first four digits of a hash of the video's id, and answers for all videos whose hashes
begin so: it does not learn which one is meant.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from yt_dlp.postprocessor.sponsorblock import SponsorBlockPP

from downloads.engine.choices import Sponsors
from downloads.engine.fetching import Fetcher
from downloads.engine.filenames import clean_text

CUT: Final = ("sponsor",)  # yt-dlp's own choice for cutting; for marking it is all there are
_MOST: Final = 500


@dataclass(frozen=True)
class Segment:
    """A marked part, in seconds of the site's video."""

    start: float
    end: float
    title: str


def can_be_asked_for(info: Mapping[str, Any]) -> bool:
    """Whether SponsorBlock knows videos of this site."""
    return info.get("extractor_key") in SponsorBlockPP.EXTRACTORS


def segments(fetcher: Fetcher, wanted: Sponsors, api: str) -> tuple[Segment, ...]:
    """What is marked in this video, in order.

    Raises:
        Exception: the server did not answer, or not with what it should: yt-dlp believes every word of it.
    """
    categories = CUT if wanted is Sponsors.CUT else tuple(SponsorBlockPP.CATEGORIES)
    info = fetcher.info
    asked = {"id": info["id"], "extractor_key": info["extractor_key"], "duration": info.get("duration")}
    _, answer = SponsorBlockPP(fetcher.ydl, categories, api).run(asked)
    found = [_segment(each) for each in answer["sponsorblock_chapters"] if each["category"] in categories]
    return tuple(sorted(filter(_makes_sense, found), key=lambda segment: segment.start)[:_MOST])


def _segment(marked: dict[str, Any]) -> Segment:
    return Segment(float(marked["start_time"]), float(marked["end_time"]), clean_text(str(marked["title"]), 200))


def _makes_sense(segment: Segment) -> bool:
    return 0 <= segment.start < segment.end < math.inf
