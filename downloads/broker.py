"""Dramatiq's brokers, from the settings: in this process, or Redis. Only this module knows the difference.

There are two, because there are two workers: what is to be told never waits for downloads, and Dramatiq allows one
worker for a broker in a process.
"""

import dramatiq
import redis
from django.conf import settings
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError

QUEUE = "downloads"
WEBHOOKS = "webhooks"
# Every dead worker's messages are looked for at once; recovery does not rely on it.
MAINTENANCE_CHANCE = 1_000_000
UNREACHABLE = (redis.RedisError, BrokerConnectionError)  # what sending and asking raise when the broker is not there


def make_broker(queue: str) -> RedisBroker | StubBroker:
    """Without Dramatiq's Retries and TimeLimit: retries belong to the row, and a download takes as long as it takes."""
    broker: RedisBroker | StubBroker = (
        RedisBroker(url=settings.REDIS_URL, middleware=[], maintenance_chance=MAINTENANCE_CHANCE)  # type: ignore[no-untyped-call]
        if settings.REDIS_URL
        else StubBroker(middleware=[])
    )
    broker.declare_queue(queue)
    return broker


broker = make_broker(QUEUE)
webhook_broker = make_broker(WEBHOOKS)
dramatiq.set_broker(broker)


def waiting_messages(queue: str = QUEUE) -> int:
    """How many messages lie in the queue, not counting what workers have fetched already."""
    asked = webhook_broker if queue == WEBHOOKS else broker
    if isinstance(asked, StubBroker):
        return int(asked.queues[queue].qsize())
    return int(asked.do_qsize(queue))


def check() -> None:
    """Ask whether messages can be sent; the one in this process always takes them.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    if isinstance(broker, RedisBroker):
        broker.client.ping()
