"""The only speaker to the channel layer. Whatever is said here reaches every WebSocket client, from any thread.

A message carries its publisher and a number that grows by one, so that a consumer notices what the layer dropped, and
the task's revision, so that late news about an earlier state is known as such.
"""

import asyncio
import itertools
import logging
import threading
import uuid
from collections.abc import Sequence
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from downloads.models import Task
from downloads.schemas import progress_json, task_json

GROUP = "downloads"
MESSAGE_TYPE = "feed.event"

logger = logging.getLogger(__name__)

_publisher = uuid.uuid4().hex
_numbers = itertools.count(1)
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Publish on this loop from now on: the one that the consumers run on.

    The in-memory layer wakes its readers at once only from their own loop; from another it takes up to 0.9 s.
    """
    global _loop  # noqa: PLW0603  one service process has one loop
    _loop = loop


def task_changed(task: Task) -> None:
    """Say that a task was created or moved: as `task`, and as `progress` for clients that know nothing else.

    Its playlist, if it is in one, has changed with it.
    """
    tasks_changed([task])


def tasks_changed(tasks: Sequence[Task]) -> None:
    """Say so of many, and once of each playlist that they are in."""
    for task in tasks:
        _say_how_it_is(task)
    for playlist_id in {task.playlist_id for task in tasks if task.playlist_id}:
        _playlist_changed(playlist_id)


def _playlist_changed(playlist_id: str) -> None:
    playlist = Task.objects.filter(pk=playlist_id).first()
    if playlist:
        _say_how_it_is(playlist)
    else:
        _send({"task_id": playlist_id, "deleted": True})  # it went with its last item


def _say_how_it_is(task: Task) -> None:
    _send({"task_id": task.id, "revision": task.revision, "task": task_json(task), "progress": progress_json(task)})


def progressed(task: Task) -> None:
    """Say how far a running task is."""
    _send({"task_id": task.id, "revision": task.revision, "progress": progress_json(task)})


def deleted(task: Task) -> None:
    """Say that a task is gone; its row need not be there any more."""
    _send({"task_id": task.id, "deleted": True})
    if task.playlist_id:
        _playlist_changed(task.playlist_id)


def _send(message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    with _lock:  # numbered and handed over in one go, so that the numbers arrive in order
        message |= {"type": MESSAGE_TYPE, "publisher": _publisher, "number": next(_numbers)}
        if _loop is not None and _loop.is_running():
            asyncio.run_coroutine_threadsafe(layer.group_send(GROUP, message), _loop).add_done_callback(_log_failure)
            return
    async_to_sync(layer.group_send)(GROUP, message)


def _log_failure(future: "asyncio.Future[None] | Any") -> None:  # noqa: ANN401  concurrent.futures' own
    if not future.cancelled() and (error := future.exception()):
        logger.warning("A message to the feed was lost (%s); consumers will catch up from the database.", error)
