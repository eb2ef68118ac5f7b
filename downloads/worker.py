"""A worker inside this process: Dramatiq's threads, the fork server, and the sweep that mends what was lost."""

import dramatiq
from django.conf import settings

from downloads import actors, broker
from downloads.recovery import Sweeper

STOP_LIMIT = 10_000  # milliseconds; a child is stopped within 1 s
WAKE_EVERY = 250  # milliseconds; how soon an idle thread sees that it shall end
WEBHOOK_THREADS = 4
WEBHOOK_STOP_LIMIT = 1_000  # milliseconds; what is cut off then is sent again


class Worker:
    """As many threads as there may be downloads at once."""

    def __init__(self) -> None:
        """Make it; `start` starts it."""
        self._threads = dramatiq.Worker(
            broker.broker, worker_timeout=WAKE_EVERY, worker_threads=settings.MAX_CONCURRENT_DOWNLOADS
        )
        self._webhooks = dramatiq.Worker(
            broker.webhook_broker, worker_timeout=WAKE_EVERY, worker_threads=WEBHOOK_THREADS
        )
        self._sweeper = Sweeper(settings.MAX_CONCURRENT_DOWNLOADS)

    def start(self) -> None:
        """Start the engine, the threads and the sweep.

        Raises:
            ToolMissing: there is no ffmpeg or ffprobe.
            EngineUnavailable: the fork server does not start.
        """
        actors.engine().warm_up()
        self._threads.start()
        self._webhooks.start()
        self._sweeper.start()

    def stop(self) -> None:
        """Stop every child, put the tasks back, and return when no process of a task is left."""
        actors.stopping.set()
        self._sweeper.stop()
        self._threads.stop(timeout=STOP_LIMIT)
        self._webhooks.stop(timeout=WEBHOOK_STOP_LIMIT)
        actors.engine().close()
