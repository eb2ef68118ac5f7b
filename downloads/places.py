"""Where downloads run: up to as many threads as this process takes downloads at once, while there is work for them."""

import logging
import threading
import time
from collections.abc import Callable

from django.db import connection

logger = logging.getLogger(__name__)


class Places:
    """Runs `work` in threads of its own, never in more than there are places. Without places it runs nothing."""

    def __init__(self, work: Callable[[], bool]) -> None:
        """`work` does one piece of it, however long that takes; it returns False when there is nothing to do."""
        self._work = work
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._lenders: set[threading.Thread] = set()  # those of them that would let others have their place
        self._most = 0  # how many of these may
        self._count = 0
        self._woken = False  # while all places were taken

    def open(self, count: int) -> None:
        """Have so many places from now on."""
        self._count = count

    def wake(self, wanted: int = 1) -> None:
        """Have up to so many more threads look for work; those that are busy look when they are done."""
        with self._lock:
            room = self._count - self._taken()
            self._woken = self._woken or wanted > room
            for _ in range(min(wanted, room)):
                thread = threading.Thread(target=self._run, name="download", daemon=True)
                self._threads.add(thread)
                thread.start()

    def lend(self, most: int) -> None:
        """Let another have the place of this thread until its work is done, as soon as less than so many are lent."""
        with self._lock:
            self._most = most
            self._lenders.add(threading.current_thread())
            if len(self._lenders) > most:
                return
        self.wake()

    def close(self, limit: float) -> bool:
        """Begin nothing more; whether all threads have ended within so many seconds. Who holds them up is not told."""
        deadline = time.monotonic() + limit
        with self._lock:
            self._count = 0
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in threads)

    def _run(self) -> None:
        try:
            while self._count and (self._work() or not self._is_over()) and self._has_place():
                pass
        except Exception:
            logger.exception("A download ended with an error of the service's own; the sweep goes on with its task")
        finally:
            connection.close()
            with self._lock:
                self._threads.discard(threading.current_thread())
                self._lenders.discard(threading.current_thread())

    def _taken(self) -> int:
        return len(self._threads) - min(len(self._lenders), self._most)

    def _has_place(self) -> bool:
        """Take the place back after the work; where somebody else has it now, that one goes on."""
        with self._lock:
            self._lenders.discard(threading.current_thread())
            if self._taken() <= self._count:
                return True
            self._threads.discard(threading.current_thread())  # now: or else two that end at once would both leave
            return False

    def _is_over(self) -> bool:
        """Leave, unless somebody woke us since we began to look: that may have been too late for our look."""
        with self._lock:
            if self._woken and self._count:
                self._woken = False
                return False
            self._threads.discard(threading.current_thread())
            return True
