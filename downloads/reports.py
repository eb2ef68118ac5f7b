"""How far the tasks are that this process runs: one transaction a second writes it for all of them."""

import threading
import time
from typing import Final
from uuid import UUID

from downloads import playlists
from downloads.models import Task

WRITE_EVERY: Final = 1.0  # seconds: how old the progress in a row may be


class Reports:
    """What the rows do not say yet. Whoever finds that it is time writes for everybody. For any thread."""

    def __init__(self) -> None:
        """Nothing to write yet."""
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[str, tuple[UUID, Task]] = {}
        self._written_at = 0.0

    def note(self, task: Task, lease: UUID) -> None:
        """Have the row say soon how far this task is, if the lease still holds it then, and renew that."""
        with self._lock:
            self._waiting[task.id] = (lease, task)
        self.write_if_due()

    def forget(self, task_id: str) -> None:
        """Write nothing more of what was noted about this task: its row is about to say more than that."""
        with self._writing, self._lock:
            self._waiting.pop(task_id, None)

    def write_if_due(self) -> None:
        """Write what was noted, unless that was done within the last second or somebody else is about it."""
        if time.monotonic() - self._written_at < WRITE_EVERY or not self._waiting:
            return
        if not self._writing.acquire(blocking=False):
            return
        try:
            with self._lock:
                taken, self._waiting = self._waiting, {}
            self._written_at = time.monotonic()
            Task.objects.renew_all(taken.values())
            for playlist_id in {task.playlist_id for _lease, task in taken.values() if task.playlist_id}:
                playlists.progressed(playlist_id)
        finally:
            self._writing.release()


reports = Reports()
