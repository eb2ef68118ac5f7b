"""A worker inside this process: the places for downloads, Dramatiq's threads, the fork server, and the sweep."""

import logging

import dramatiq

from downloads import actors, broker
from downloads.recovery import Sweeper

STOP_LIMIT = 10.0  # seconds; a child is stopped within 1 s
WAKE_EVERY = 250  # milliseconds; how soon an idle thread sees that it shall end
WEBHOOK_THREADS = 4
MESSAGES_STOP_LIMIT = 1_000  # milliseconds; what is cut off then is sent again

logger = logging.getLogger(__name__)


class Worker:
    """Takes as many downloads at once as it is told."""

    def __init__(self, concurrency: int | None = None) -> None:
        """Make it; `start` starts it. Without a number it takes as many as all together may, also when that changes."""
        self._bells = _consumer(broker.broker, threads=1)
        self._webhooks = _consumer(broker.webhook_broker, threads=WEBHOOK_THREADS)
        self._sweeper = Sweeper(concurrency)

    def start(self) -> None:
        """Start the engine, the threads and the sweep.

        Raises:
            ToolMissing: there is no ffmpeg or ffprobe.
            EngineUnavailable: the fork server does not start.
        """
        actors.engine().warm_up()
        actors.places.open(self._sweeper.concurrency)
        self._bells.start()
        self._webhooks.start()
        self._sweeper.start()

    def stop(self) -> None:
        """Stop every child, put the tasks back, and return when no process of a task is left."""
        actors.stopping.set()
        self._sweeper.stop()
        if not actors.places.close(STOP_LIMIT):
            logger.warning("A download does not let itself be stopped; its process ends with this one")
        self._bells.stop(timeout=MESSAGES_STOP_LIMIT)
        self._webhooks.stop(timeout=MESSAGES_STOP_LIMIT)
        actors.engine().close()


def _consumer(source: dramatiq.Broker, *, threads: int) -> dramatiq.Worker:
    """Dramatiq's own, which fetches no more messages than it has threads: what it cannot do yet is left to others."""
    consumer = dramatiq.Worker(source, worker_timeout=WAKE_EVERY, worker_threads=threads)
    consumer.queue_prefetch = threads
    return consumer
