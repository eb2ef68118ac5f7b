"""What was asked of the tasks that this process runs: looked at for all of them together."""

import threading
import time
from uuid import UUID

from downloads import writes
from downloads.models import LeaseLost, Task
from downloads.states import Stop

FRESH = 0.05  # seconds for which one look is good for everybody


class Stops:
    """One query answers every run that asks within a moment, or before anything is written. For any thread."""

    def __init__(self) -> None:
        """Look for nobody yet."""
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._rows: dict[str, tuple[UUID | None, str]] = {}
        self._looked_at = 0.0
        self._version: tuple[str, int] | None = None

    def hold(self, task_id: str) -> None:
        """Look for this task, too, from now on: it has just been claimed."""
        with self._lock:
            self._held.add(task_id)
            self._looked_at, self._version = 0.0, None

    def let_go(self, task_id: str) -> None:
        """Look for it no more."""
        with self._lock:
            self._held.discard(task_id)

    def asked(self, task_id: str, lease: UUID) -> Stop:
        """What somebody asked of this task since it was claimed under this lease.

        Raises:
            LeaseLost: another worker holds the task by now, or it is gone.
        """
        with self._lock:
            if time.monotonic() - self._looked_at > FRESH:
                self._look()
            held, stop = self._rows.get(task_id, (None, ""))
        if held != lease:
            raise LeaseLost(task_id)
        return Stop(stop)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        version = writes.version()
        if version is None or version != self._version:
            found = Task.objects.filter(pk__in=self._held).values_list("pk", "lease", "stop")
            self._rows = {pk: (held, stop) for pk, held, stop in found}
            self._version = version


stops = Stops()
