"""Playlists that grow with the clock: what a viewer of a broadcast is shown at a moment."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from tests.origin.behaviour import carried
from tests.origin.content import Content

HEAD_START = 3  # segments that are there when the first viewer comes


@dataclass(frozen=True, kw_only=True)
class Broadcast:
    """How the query wants it; the parameters are described in server.py."""

    lasts: float = math.inf
    speed: float = 1.0
    window: int = 6

    @classmethod
    def asked_by(cls, query: dict[str, str]) -> "Broadcast":
        return cls(
            lasts=float(query.get("lasts", math.inf)),
            speed=float(query.get("speed", 1)),
            window=int(query.get("window", 6)),
        )


def playlist(recorded: Path, query: dict[str, str], age: float) -> Content:
    """Show what there is of the broadcast, `age` seconds after its first viewer came.

    `recorded` is a whole playlist with segments of about a second each; the broadcast repeats it for as long as it
    lasts.
    """
    broadcast = Broadcast.asked_by(query)
    text = recorded.read_text()
    segments = re.findall(r"(#EXTINF:[^\n]*\n)([^#\s]+)", text)
    key = "".join(re.findall(r"#EXT-X-KEY:[^\n]*\n", text)[:1]).replace('key.bin"', f'key.bin{carried(query)}"')
    end = min(HEAD_START + int(age * broadcast.speed), broadcast.lasts)
    first = max(0, int(end) - broadcast.window) if broadcast.window else 0
    lines = [
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n",
        f"#EXT-X-MEDIA-SEQUENCE:{first}\n",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{first // len(segments)}\n",
        key,
    ]
    for number in range(first, int(end)):
        length, name = segments[number % len(segments)]
        again = "#EXT-X-DISCONTINUITY\n" if number and number % len(segments) == 0 else ""
        lines.append(f"{again}{length}{name}{carried(query)}\n")
    if end >= broadcast.lasts:
        lines.append("#EXT-X-ENDLIST\n")
    return Content.of("".join(lines).encode(), ".m3u8", document=True)
