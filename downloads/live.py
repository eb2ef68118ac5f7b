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
from concurrent.futures import Future, wait
from typing import Any, Final

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis import RedisError

from downloads.models import Task
from downloads.schemas import progress_json, task_json

GROUP = "downloads"
MESSAGE_TYPE = "feed.event"
FLUSH_LIMIT: Final = 2.0  # seconds
LOST: Final = "A message to the feed was lost (%s); consumers will catch up from the database."

logger = logging.getLogger(__name__)

_publisher = uuid.uuid4().hex
_numbers = itertools.count(1)
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_last: "Future[None] | None" = None  # what was handed to the loop last; it takes one after the other


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Publish on this loop from now on: the one that the consumers run on.

    The in-memory layer wakes its readers at once only from their own loop; from another it takes up to 0.9 s.
    """
    global _loop  # noqa: PLW0603  one service process has one loop
    _loop = loop


def start_loop() -> None:
    """Publish on a loop of this process's own, in a thread: for a process that serves no consumers."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="live", daemon=True).start()
    use_loop(loop)


def flush() -> None:
    """Wait until what was published has gone out: whoever ends would take its last words along."""
    if _last is not None:
        wait([_last], timeout=FLUSH_LIMIT)


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
    global _last  # noqa: PLW0603  as `_loop`
    layer = get_channel_layer()
    with _lock:  # numbered and handed over in one go, so that the numbers arrive in order
        message |= {"type": MESSAGE_TYPE, "publisher": _publisher, "number": next(_numbers)}
        if _loop is not None and _loop.is_running():
            _last = asyncio.run_coroutine_threadsafe(layer.group_send(GROUP, message), _loop)
            _last.add_done_callback(_log_failure)
            return
    try:
        async_to_sync(layer.group_send)(GROUP, message)
    except (RedisError, OSError) as error:
        logger.warning(LOST, error)


def _log_failure(future: "Future[None]") -> None:
    if not future.cancelled() and (error := future.exception()):
        logger.warning(LOST, error)
