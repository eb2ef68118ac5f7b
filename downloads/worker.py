"""A worker inside this process: Dramatiq's threads, the fork server, and the sweep that mends what was lost."""

import dramatiq
from django.conf import settings

from downloads import actors, broker
from downloads.recovery import Sweeper

STOP_LIMIT = 10_000  # milliseconds; a child is stopped within 1 s


class Worker:
    """As many threads as there may be downloads at once."""

    def __init__(self) -> None:
        """Make it; `start` starts it."""
        self._threads = dramatiq.Worker(
            broker.broker, queues={broker.QUEUE}, worker_threads=settings.MAX_CONCURRENT_DOWNLOADS
        )
        self._sweeper = Sweeper()

    def start(self) -> None:
        """Start the engine, the threads and the sweep.

        Raises:
            ToolMissing: there is no ffmpeg or ffprobe.
            EngineUnavailable: the fork server does not start.
        """
        actors.engine().warm_up()
        self._threads.start()
        self._sweeper.start()

    def stop(self) -> None:
        """Stop every child, put the tasks back, and return when no process of a task is left."""
        actors.stopping.set()
        self._sweeper.stop()
        self._threads.stop(timeout=STOP_LIMIT)
        actors.engine().close()
