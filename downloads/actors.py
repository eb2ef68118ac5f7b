"""What Dramatiq runs: actors that take ids only. A message that comes twice, or late, finds no row to claim."""

import functools
import os
import socket
import threading

import dramatiq
from django.conf import settings
from django.db import connection

from downloads import broker, runner, webhooks
from downloads.engine.ffmpeg import prepare_toolbox
from downloads.engine.process import Engine

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


@dramatiq.actor(queue_name=broker.QUEUE, broker=broker.broker)
def run_task(task_id: str) -> None:
    """Run one attempt at this task, if it is to be had. Holds its thread for as long as that takes."""
    if stopping.is_set():
        return  # recovery sends it again
    try:
        runner.run_task(task_id, engine=engine(), worker=worker_name(), stopping=stopping)
    finally:
        connection.close()


@dramatiq.actor(queue_name=broker.WEBHOOKS, broker=broker.webhook_broker)
def deliver_webhook(delivery_id: str) -> None:
    """Try to tell an endpoint this once; the row says whether and when there is a next time."""
    if stopping.is_set():
        return  # recovery sends it again
    try:
        webhooks.deliver(delivery_id)
    finally:
        connection.close()
