"""Dramatiq's brokers, from the settings: in this process, Redis or RabbitMQ. Only this module knows the difference.

There are two, because there are two workers: what is to be told never waits for downloads, and Dramatiq allows one
worker for a broker in a process.
"""

from typing import TYPE_CHECKING, cast

import dramatiq
from django.conf import settings
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError

if TYPE_CHECKING:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker
    from dramatiq.brokers.redis import RedisBroker

QUEUE = "downloads"
WEBHOOKS = "webhooks"
# Every dead worker's messages are looked for at once; recovery does not rely on it.
MAINTENANCE_CHANCE = 1_000_000
IS_RABBITMQ = (settings.BROKER_URL or "").startswith("amqp")
IS_REDIS = bool(settings.BROKER_URL) and not IS_RABBITMQ
# What sending and asking raise when the broker is not there
UNREACHABLE: tuple[type[Exception], ...] = (BrokerConnectionError,)

# Their libraries take 10 MiB, for which most installations have no use
if IS_REDIS:
    import redis
    from dramatiq.brokers.redis import RedisBroker

    UNREACHABLE += (redis.RedisError,)
if IS_RABBITMQ:
    import pika
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    UNREACHABLE += (pika.exceptions.AMQPError,)


def make_broker(queue: str) -> "RedisBroker | RabbitmqBroker | StubBroker":
    """Without Dramatiq's Retries and TimeLimit: retries belong to the row."""
    broker = _new_broker()
    broker.declare_queue(queue)
    return broker


def _new_broker() -> "RedisBroker | RabbitmqBroker | StubBroker":
    if IS_RABBITMQ:
        return RabbitmqBroker(url=settings.BROKER_URL, middleware=[])
    if IS_REDIS:
        return RedisBroker(url=settings.BROKER_URL, middleware=[], maintenance_chance=MAINTENANCE_CHANCE)  # type: ignore[no-untyped-call]
    return StubBroker(middleware=[])


broker = make_broker(QUEUE)
webhook_broker = make_broker(WEBHOOKS)
dramatiq.set_broker(broker)


def waiting_messages(queue: str = QUEUE) -> int:
    """How many messages lie in the queue, not counting what workers have fetched already."""
    asked = webhook_broker if queue == WEBHOOKS else broker
    if IS_REDIS and isinstance(asked, RedisBroker):
        return int(asked.do_qsize(queue))
    if IS_RABBITMQ and isinstance(asked, RabbitmqBroker):
        return int(asked.get_queue_message_counts(queue)[0])
    return int(cast("StubBroker", asked).queues[queue].qsize())


def check() -> None:
    """Ask whether messages can be sent; the one in this process always takes them.

    Raises:
        redis.RedisError: Redis does not answer.
        pika.exceptions.AMQPError: RabbitMQ does not.
    """
    if IS_REDIS and isinstance(broker, RedisBroker):
        broker.client.ping()
    elif IS_RABBITMQ and isinstance(broker, RabbitmqBroker):
        pika.BlockingConnection(broker.parameters).close()
