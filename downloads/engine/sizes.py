"""How much a download may weigh: chosen for it, refused before the first byte, and stopped at the byte too many."""

import resource
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from downloads.engine.errors import Phase, Reason
from downloads.engine.lookup import Wrong

Format = dict[str, Any]
Selector = Callable[[Mapping[str, Any]], Iterable[Format]]

_KBIT: Final = 125  # bytes
MOST: Final = 2**60  # bytes: who announces more is not believed, and sums of these are still numbers of the database
_SECTOR: Final = 512  # bytes, in which the system counts what a file takes
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

    def __init__(self, folder: Path, floor: int, spoken_for: int = 0) -> None:
        """Watch the disk of this folder: `floor` bytes of it stay free, and `spoken_for` are others' to fill."""
        self._folder = folder
        self._floor = floor
        self._spoken_for = spoken_for
        self._announced: set[object] = set()

    def refuse_what_cannot_fit(self, chosen: Format, *, is_copied: bool) -> None:
        """Refuse by the sizes that the site gives, not by estimates, less what is in the folder already.

        Where several formats become one file, or a file `is_copied` into another, both are there for a while.

        Raises:
            Wrong: with the reason NO_SPACE, or DISK_TOO_SMALL where no freeing of space would help.
        """
        parts = parts_of(chosen)
        known = int(sum(_size(part.get("filesize")) for part in parts))
        copies = known if is_copied or len(parts) > 1 else 0
        self._refuse_unless_fits(max(known - _bytes_in(self._folder), 0) + copies)

    def on_download(self, hook: Mapping[str, Any]) -> None:
        """Take one of yt-dlp's `progress_hooks`: look, as often as bytes come; a length that is announced counts, too.

        Raises:
            Wrong: as above, and with the reason NO_SPACE when too little is left.
        """
        total, name = _size(hook.get("total_bytes")), hook["info_dict"].get("format_id")
        left = int(max(total - _size(hook.get("downloaded_bytes")), 0))
        if total and name not in self._announced:
            self._announced.add(name)
            self._refuse_unless_fits(left)
        self.check(left)

    def check(self, left: int = 0) -> None:
        """Look how much room there is; `left` is how many bytes are still to come, as far as that is known.

        Raises:
            Wrong: with the reason NO_SPACE.
        """
        free = shutil.disk_usage(self._folder).free
        if free < self._floor:
            detail = f"{free} bytes are free, and {self._floor} stay free"
            figures = {"needed_bytes": left, "usable_bytes": 0} if left else {}
            raise Wrong(Reason.NO_SPACE, Phase.DOWNLOAD, detail, **figures)

    def _refuse_unless_fits(self, needed: int) -> None:
        disk = shutil.disk_usage(self._folder)
        usable = max(disk.free - self._floor - self._spoken_for, 0)
        if needed <= usable:
            return
        detail = (
            f"{needed} bytes are needed, and {usable} can be used: {disk.free} are free, of which {self._floor} stay "
            f"free and {self._spoken_for} are for other downloads"
        )
        reason = Reason.DISK_TOO_SMALL if needed > disk.total - self._floor else Reason.NO_SPACE
        raise Wrong(reason, Phase.DOWNLOAD, detail, needed_bytes=needed, usable_bytes=usable)


def _bytes_in(folder: Path) -> int:
    """What its files take of the disk: one that comes in parts has gaps, which take nothing."""
    found = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # what is fetched beside the video comes and goes meanwhile
            known = file.stat()
            found += min(known.st_size, known.st_blocks * _SECTOR) if file.is_file() else 0
    return found


def limit_files(limit: int) -> None:
    """Let the system stop this process and its programs at a file beyond the limit: the last resort, for good."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    allowed = limit + _SLACK
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed if hard == resource.RLIM_INFINITY else min(allowed, hard), hard))


def too_large(size: float, limit: int, phase: Phase = Phase.DOWNLOAD) -> Wrong:
    """What to raise about this many bytes."""
    return Wrong(Reason.FILE_TOO_LARGE, phase, f"{size:.0f} bytes or more, and {limit} are allowed")


def _size(value: object) -> float:
    return float(min(value, MOST)) if isinstance(value, int | float) and value > 0 else 0.0
