"""Dramatiq's broker, from the settings: in this process, or Redis. Only this module knows the difference."""

import dramatiq
from django.conf import settings
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

QUEUE = "downloads"
# Every dead worker's messages are looked for at once; recovery does not rely on it.
MAINTENANCE_CHANCE = 1_000_000


def make_broker() -> RedisBroker | StubBroker:
    """Without Dramatiq's Retries and TimeLimit: retries belong to the row, and a download takes as long as it takes."""
    broker: RedisBroker | StubBroker = (
        RedisBroker(url=settings.REDIS_URL, middleware=[], maintenance_chance=MAINTENANCE_CHANCE)  # type: ignore[no-untyped-call]
        if settings.REDIS_URL
        else StubBroker(middleware=[])
    )
    broker.declare_queue(QUEUE)
    dramatiq.set_broker(broker)
    return broker


broker = make_broker()


def waiting_messages() -> int:
    """How many messages lie in the queue, not counting what workers have fetched already."""
    if isinstance(broker, StubBroker):
        return int(broker.queues[QUEUE].qsize())
    return int(broker.do_qsize(QUEUE))
