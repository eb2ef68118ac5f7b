"""How fast a task may download: one limit over all of its connections."""

import threading
import time


class Throttle:
    """Lets through `rate` bytes a second in all, however many threads ask; 0 is no limit. It may change meanwhile.

    yt-dlp's own limit holds for each connection, so that eight fragments at once come eight times as fast.
    """

    def __init__(self, rate: int) -> None:
        """Begin with this rate."""
        self.rate = rate
        self._lock = threading.Lock()
        self._paid_until = 0.0

    def pay(self, amount: int) -> None:
        """Wait until so many bytes, which have come, are within the limit."""
        with self._lock:
            if not self.rate:
                return
            self._paid_until = max(self._paid_until, time.monotonic()) + amount / self.rate
            wait = self._paid_until - time.monotonic()
        time.sleep(max(wait, 0))
