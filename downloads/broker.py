"""Dramatiq's brokers, from the settings: in this process, Redis or RabbitMQ. Only this module knows the difference.

There are two, because there are two workers: what is to be told never waits for downloads, and Dramatiq allows one
worker for a broker in a process.
"""

import dramatiq
import pika
import redis
from django.conf import settings
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError

QUEUE = "downloads"
WEBHOOKS = "webhooks"
# Every dead worker's messages are looked for at once; recovery does not rely on it.
MAINTENANCE_CHANCE = 1_000_000
# What sending and asking raise when the broker is not there
UNREACHABLE = (redis.RedisError, pika.exceptions.AMQPError, BrokerConnectionError)


def make_broker(queue: str) -> RedisBroker | RabbitmqBroker | StubBroker:
    """Without Dramatiq's Retries and TimeLimit: retries belong to the row."""
    broker = _broker_at(settings.BROKER_URL)
    broker.declare_queue(queue)
    return broker


def _broker_at(url: str | None) -> RedisBroker | RabbitmqBroker | StubBroker:
    if url is None:
        return StubBroker(middleware=[])
    if url.startswith("amqp"):
        return RabbitmqBroker(url=url, middleware=[])
    return RedisBroker(url=url, middleware=[], maintenance_chance=MAINTENANCE_CHANCE)  # type: ignore[no-untyped-call]


broker = make_broker(QUEUE)
webhook_broker = make_broker(WEBHOOKS)
dramatiq.set_broker(broker)


def waiting_messages(queue: str = QUEUE) -> int:
    """How many messages lie in the queue, not counting what workers have fetched already."""
    asked = webhook_broker if queue == WEBHOOKS else broker
    if isinstance(asked, StubBroker):
        return int(asked.queues[queue].qsize())
    if isinstance(asked, RabbitmqBroker):
        return int(asked.get_queue_message_counts(queue)[0])
    return int(asked.do_qsize(queue))


def check() -> None:
    """Ask whether messages can be sent; the one in this process always takes them.

    Raises:
        redis.RedisError: Redis does not answer.
        pika.exceptions.AMQPError: RabbitMQ does not.
    """
    if isinstance(broker, RedisBroker):
        broker.client.ping()
    elif isinstance(broker, RabbitmqBroker):
        pika.BlockingConnection(broker.parameters).close()
