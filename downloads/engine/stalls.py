"""The watchdog: notices from outside that a child does not get on, whatever it still says.

It cannot be in the child: a server that sends a byte now and then triggers neither a time-out nor a hook of yt-dlp, and
a hostile page spins in a regular expression for as long as it likes.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from downloads.engine import messages
from downloads.engine.errors import Failure, Phase, Reason

SLOWEST = 1024  # bytes a second, on average over the limit: what comes more slowly does not come at all
PROCESSING_FACTOR = 2  # of the limit in processing: ffprobe alone may read for 60 s without a sign


class Watchdog:
    """Hears what a child says, and knows how long ago it got on.

    In a look-up nothing is said in between: the limit is for all of it. In a download the child gets on with bytes, in
    processing with each step and percentage, and with each write to a file in the folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        look_up_limit: float,
        stall_limit: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch a child that begins now in this folder; limits in seconds."""
        self._folder = folder
        self._limits = {
            Phase.LOOKUP: look_up_limit,
            Phase.DOWNLOAD: stall_limit,
            Phase.PROCESSING: stall_limit * PROCESSING_FACTOR,
        }
        self._clock = clock
        self._phase = Phase.LOOKUP
        self._got_on_at = clock()
        self._bytes = 0
        self._percentage = 0.0
        self._written_at = 0
        self.step = int(SLOWEST * stall_limit)  # bytes within the limit with which a download gets on

    def hear(self, event: messages.Event) -> None:
        """Take in what the child says."""
        if isinstance(event, messages.Found):
            self._phase = Phase.DOWNLOAD
        elif isinstance(event, messages.Processing):
            self._phase = Phase.PROCESSING
        elif isinstance(event, messages.Progress) and not self._gets_on_with(event):
            return
        self._got_on_at = self._clock()

    def overdue(self) -> Failure | None:
        """Why the child is to be stopped: it has not got on for as long as the limit allows."""
        if self._phase == Phase.PROCESSING and self._has_written():
            self._got_on_at = self._clock()
        limit = self._limits[self._phase]
        if self._clock() - self._got_on_at <= limit:
            return None
        reason = Reason.LOOKUP_TIMED_OUT if self._phase == Phase.LOOKUP else Reason.STALLED
        return Failure(reason=reason, phase=self._phase, detail=f"nothing happened for {limit:.0f} s")

    def _gets_on_with(self, progress: messages.Progress) -> bool:
        if self._phase == Phase.DOWNLOAD:
            gets_on = abs(progress.downloaded_bytes - self._bytes) >= self.step  # fewer, when it is started anew
        else:
            gets_on = progress.percentage > self._percentage
        if gets_on:
            self._bytes, self._percentage = progress.downloaded_bytes, progress.percentage
        return gets_on

    def _has_written(self) -> bool:
        """Whether anything in the folder is newer than when this was last asked."""
        before, self._written_at = self._written_at, _newest(self._folder)
        return self._written_at > before


def _newest(folder: Path) -> int:
    """When the last write to a file in the folder was, in nanoseconds; 0 for none."""
    newest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                newest = max(newest, Path(parent, name).lstat().st_mtime_ns)
    return newest
