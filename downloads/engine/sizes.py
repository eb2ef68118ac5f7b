"""How much a download may weigh: chosen for it, refused before the first byte, and stopped at the byte too many."""

import resource
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from downloads.engine.errors import Phase, Reason
from downloads.engine.lookup import Wrong

Format = dict[str, Any]
Selector = Callable[[Mapping[str, Any]], Iterable[Format]]

_KBIT: Final = 125  # bytes
_SLACK: Final = 16 * 1024 * 1024  # bytes that one file may have beyond the limit, before the system stops it


def lighter(select: Selector, limit: int, duration: float) -> Selector:
    """Choose as `select` does, but leave out what makes the choice heavier than `limit` bytes, the heaviest first.

    Sizes that the site gives count, else its rates times the `duration` in seconds (0 where unknown); what has neither
    weighs nothing here. Where all there is is too heavy, the last that was tried is chosen.
    """

    def choose(context: Mapping[str, Any]) -> Iterable[Format]:
        left = list(context["formats"])
        chosen = last = list(select(context))
        while chosen and sum(map(weight, parts_of(chosen[-1]))) > limit:
            last = chosen
            heaviest = max(parts_of(chosen[-1]), key=weight)["format_id"]
            left = [each for each in left if each["format_id"] != heaviest]
            chosen = list(select({**context, "formats": left})) if left else []
        return chosen or last

    def weight(part: Format) -> float:
        return (
            _size(part.get("filesize"))
            or _size(part.get("filesize_approx"))
            or _size(part.get("tbr")) * _KBIT * (duration)
        )

    return choose


def parts_of(chosen: Format) -> list[Format]:
    """The formats that are put together for this choice."""
    return chosen.get("requested_formats") or [chosen]


def refuse_if_heavier(chosen: Format, limit: int) -> None:
    """Refuse what is certain to be too heavy: by the sizes that the site gives, not by estimates.

    Raises:
        Wrong: with the reason FILE_TOO_LARGE.
    """
    known = sum(_size(part.get("filesize")) for part in parts_of(chosen))
    if known > limit:
        raise too_large(known, limit)


class Scale:
    """Weighs what comes. Its `on_download` is one of yt-dlp's `progress_hooks`, called from several threads."""

    def __init__(self, limit: int) -> None:
        """Allow this many bytes over all formats together."""
        self._limit = limit
        self._bytes: dict[object, float] = {}

    def on_download(self, hook: Mapping[str, Any]) -> None:
        """Take one hook; a length that the server announces counts as come.

        Raises:
            Wrong: with the reason FILE_TOO_LARGE.
        """
        come = max(_size(hook.get("downloaded_bytes")), _size(hook.get("total_bytes")))
        self._bytes[hook["info_dict"].get("format_id")] = come
        total = sum(self._bytes.copy().values())
        if total > self._limit:
            raise too_large(total, self._limit)


class Room:
    """Keeps some of the disk free, since the database is on it."""

    def __init__(self, folder: Path, floor: int) -> None:
        """Watch the disk that this folder is on; `floor` is in bytes."""
        self._folder = folder
        self._floor = floor

    def check(self) -> None:
        """Look, as often as bytes come.

        Raises:
            Wrong: with the reason NO_SPACE.
        """
        free = shutil.disk_usage(self._folder).free
        if free < self._floor:
            raise Wrong(Reason.NO_SPACE, Phase.DOWNLOAD, f"{free} bytes are free, and {self._floor} stay free")


def limit_files(limit: int) -> None:
    """Let the system stop this process and its programs at a file beyond the limit: the last resort, for good."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    allowed = limit + _SLACK
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed if hard == resource.RLIM_INFINITY else min(allowed, hard), hard))


def too_large(size: float, limit: int, phase: Phase = Phase.DOWNLOAD) -> Wrong:
    """What to raise about this many bytes."""
    return Wrong(Reason.FILE_TOO_LARGE, phase, f"{size:.0f} bytes or more, and {limit} are allowed")


def _size(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0
