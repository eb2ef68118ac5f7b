"""The only speaker to the channel layer. Whatever is said here reaches every WebSocket client, from any thread.

News goes out at once, and what is said within the next moment goes together in one message, of all tasks. A message
carries its publisher and a number that grows by one, so that a listener notices what the layer dropped; each piece of
news carries the task's revision, so that late news about an earlier state is known as such.
"""

import asyncio
import itertools
import logging
import threading
import uuid
from collections.abc import Sequence
from typing import Any, Final

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

from downloads.models import Task
from downloads.schemas import progress_json, task_json

GROUP = "downloads"
MESSAGE_TYPE = "feed.event"
TICK: Final = 0.05  # seconds between two messages
MOST: Final = 200  # pieces of news in one message
FLUSH_LIMIT: Final = 2.0  # seconds
LOST: Final = "A message to the feed was lost (%s); listeners will catch up from the database."

LOSSES: tuple[type[Exception], ...] = (OSError,)  # what the layer raises when it is not there

if settings.REDIS_URL:  # or else its library, of 7 MiB, is of no use
    from redis import RedisError

    LOSSES += (RedisError,)

News = dict[str, Any]

logger = logging.getLogger(__name__)


class Outbox:
    """What was said and has not gone out yet. Any thread says; one coroutine at a time sends, in that order."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._publisher = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._news: dict[tuple[str, int], News] = {}
        self._places = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_empty = threading.Event()
        self._is_empty.set()

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send on this loop from now on; one that has ended may have left something unsent."""
        self._loop = loop
        self._is_empty.set()

    def say(self, news: News) -> None:
        """Send this soon; without a running loop it has gone out when this is back."""
        with self._lock:
            # How far a task is replaces how far it was.
            place = next(self._places) if "task" in news or "deleted" in news else 0
            self._news.pop((news["task_id"], place), None)
            self._news[news["task_id"], place] = news
            if not self._is_empty.is_set():
                return  # whoever sends takes it along
            self._is_empty.clear()
        if self._loop is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._send(TICK), self._loop)
        else:
            async_to_sync(self._send)(0)

    def wait(self, limit: float) -> None:
        """Wait until everything has gone out, at most so many seconds."""
        self._is_empty.wait(limit)

    async def _send(self, pause: float) -> None:
        while news := self._take():
            message = {"type": MESSAGE_TYPE, "publisher": self._publisher, "number": next(self._numbers), "news": news}
            try:
                await get_channel_layer().group_send(GROUP, message)
            except LOSSES as error:
                logger.warning(LOST, error)
            except Exception:  # whatever it was, the next news goes out
                logger.exception(LOST, "unexpected")
            await asyncio.sleep(pause)

    def _take(self) -> list[News]:
        with self._lock:
            taken = list(itertools.islice(self._news, MOST))
            if not taken:
                self._is_empty.set()
            return [self._news.pop(key) for key in taken]


_outbox = Outbox()


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Publish on this loop from now on: the one that the consumers run on.

    The in-memory layer wakes its readers at once only from their own loop; from another it takes up to 0.9 s.
    """
    _outbox.use_loop(loop)


def start_loop() -> None:
    """Publish on a loop of this process's own, in a thread: for a process that serves no consumers."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="live", daemon=True).start()
    use_loop(loop)


def flush() -> None:
    """Wait until what was published has gone out: whoever ends would take its last words along."""
    _outbox.wait(FLUSH_LIMIT)


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
        _outbox.say({"task_id": playlist_id, "deleted": True})  # it went with its last item


def _say_how_it_is(task: Task) -> None:
    _outbox.say(
        {"task_id": task.id, "revision": task.revision, "task": task_json(task), "progress": progress_json(task)}
    )


def progressed(task: Task) -> None:
    """Say how far a running task is."""
    _outbox.say({"task_id": task.id, "revision": task.revision, "progress": progress_json(task)})


def deleted(task: Task) -> None:
    """Say that a task is gone; its row need not be there any more."""
    _outbox.say({"task_id": task.id, "deleted": True})
    if task.playlist_id:
        _playlist_changed(task.playlist_id)
