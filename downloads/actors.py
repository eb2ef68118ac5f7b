"""What Dramatiq runs, and what this process has to run it with.

A message about downloads is a bell: it names no task, and is done with at once. Which task is next the claim decides,
and the download itself has a thread of its own. So a message that is lost, comes twice or comes late does no harm, and
no broker waits for hours until one is acknowledged.
"""

import functools
import logging
import os
import socket
import threading

import dramatiq
from django.conf import settings
from django.db import connection

from downloads import broker, runner, webhooks
from downloads.engine.ffmpeg import prepare_toolbox
from downloads.engine.process import Engine
from downloads.places import Places

RING_AT_ONCE = 100  # bells; each worker looks for itself every second anyway

logger = logging.getLogger(__name__)

# Set when this process is about to end: every run stops its child, keeps the bytes and puts its task back.
stopping = threading.Event()


def worker_name() -> str:
    """How the rows name this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


@functools.cache
def engine() -> Engine:
    """The engine of this process.

    Raises:
        ToolMissing: there is no ffmpeg or ffprobe.
    """
    toolbox = prepare_toolbox(settings.TOOLS_DIR, settings.FFMPEG_DIR)
    return Engine(home=settings.DATA_DIR / "home", tools=toolbox.folder, updates=settings.UPDATES_DIR)


def _run_next() -> bool:
    if stopping.is_set():
        return False
    return runner.run_next(engine=engine(), worker=worker_name(), stopping=stopping, on_downloaded=_lend_place)


def _lend_place() -> None:
    places.lend(settings.MAX_CONVERSIONS)


places = Places(_run_next)


@dramatiq.actor(queue_name=broker.QUEUE, broker=broker.broker)
def look_for_work() -> None:
    """Have one more thread of this process look whether a task may start."""
    places.wake()


def ring(count: int) -> None:
    """Tell idle workers that so many tasks wait; where none can be told, they find out within a second."""
    try:
        for _ in range(min(count, RING_AT_ONCE)):
            look_for_work.send()
    except broker.UNREACHABLE as error:
        logger.warning("Workers cannot be told of new tasks (%s); they look for themselves", error)


@dramatiq.actor(queue_name=broker.WEBHOOKS, broker=broker.webhook_broker)
def deliver_webhook(delivery_id: str) -> None:
    """Try to tell an endpoint this once; the row says whether and when there is a next time."""
    if stopping.is_set():
        return  # recovery sends it again
    try:
        webhooks.deliver(delivery_id)
    finally:
        connection.close()
