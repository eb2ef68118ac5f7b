"""The feed of this process: one listener of what `live` publishes, for all clients of an event loop.

A client that joins is told everything there is, then everything that changes. News is looked through once, made into
frames once, and given to all. What the channel layer has lost is found in the database: at a gap in its numbers, and
every half minute.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, Protocol

from channels.db import database_sync_to_async
from channels.layers import BaseChannelLayer, get_channel_layer
from django.db.models import QuerySet

from downloads import access, live
from downloads.frames import DELETED, Frame, Frames
from downloads.models import Task
from downloads.schemas import progress_json, task_json
from downloads.seen import Seen, seen

SILENCE: Final = 30.0  # seconds until a heartbeat
NEWEST_FINISHED: Final = 500  # how many tasks `initial` holds, unless more are unfinished
REMEMBERED: Final = 50_000  # tasks whose last revision is remembered
AT_ONCE: Final = 500  # ids in one query
PAUSE: Final = 0.00005  # seconds for each client between two rounds of news, so that other work has its turn
AFTER_ERROR: Final = 1.0  # seconds
ASK_AGAIN: Final = 20.0  # seconds until it is asked again whether a client may listen

Json = dict[str, Any]

logger = logging.getLogger(__name__)


class Client(Protocol):
    """Whoever is told. None of these waits: a client that does not read keeps what it is told until it does."""

    caller: access.Caller
    address: str

    def welcome(self, frames: Frames) -> None:
        """Take what there is, before anything else."""

    def tell(self, frames: Frames) -> None:
        """Take what is new."""

    def dismiss(self) -> None:
        """Go: you may not listen any more."""


class Hub:
    """Listens from the first client that joins to the last that leaves; who comes then needs another one."""

    def __init__(self) -> None:
        """Begin with nobody; `join` has the one to use."""
        self._clients: set[Client] = set()
        self._newcomers: list[Client] = []
        self._has_newcomers = asyncio.Event()
        self._known: dict[str, int] = {}  # what all clients have heard of: task id to revision
        self._numbers: dict[str, int] = {}  # the last of each publisher
        self._news = Frames()
        self._has_news = asyncio.Event()
        self._since: Frames | None = None  # what went out while the database was read for newcomers
        self._spoke_at = time.monotonic()
        self._opened: asyncio.Task[None] | None = None
        self._work: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Listen. What the channel layer says against that is raised."""
        if self._opened is None:
            self._opened = asyncio.create_task(self._open())
        await asyncio.shield(self._opened)

    async def _open(self) -> None:
        layer = get_channel_layer()
        try:
            channel = await layer.new_channel()
            await layer.group_add(live.GROUP, channel)
        except BaseException:
            self._close()
            raise
        work = [
            self._listen(layer, channel),
            _repeat(self._spread),
            _repeat(self._welcome_newcomers),
            _repeat(lambda: self._look_after_silence(layer, channel)),
            _repeat(self._dismiss_the_unwelcome),
        ]
        self._work = [asyncio.create_task(each) for each in work]

    def _close(self) -> None:
        if _hubs.get(loop := asyncio.get_running_loop()) is self:
            del _hubs[loop]
        for work in self._work:
            work.cancel()

    # Clients

    def add(self, client: Client) -> None:
        """Tell this client everything from now on. One that missed something may be added again."""
        self._clients.discard(client)
        self._newcomers.append(client)
        self._has_newcomers.set()

    def remove(self, client: Client) -> None:
        """Tell this client nothing more."""
        self._clients.discard(client)
        self._newcomers = [each for each in self._newcomers if each is not client]
        if not self._clients and not self._newcomers:
            self._close()

    async def _welcome_newcomers(self) -> None:
        """Read once for all who came meanwhile. What goes out while that lasts reaches them as well."""
        await self._has_newcomers.wait()
        self._has_newcomers.clear()
        newcomers = list(self._newcomers)
        self._flush()
        self._since = Frames()
        try:
            tasks, initial = await database_sync_to_async(snapshot)()
        except Exception:
            self._has_newcomers.set()
            raise
        self._flush()
        revisions = {each.task.id: each.task.revision for each in tasks}
        late = [each for each in self._since if _is_news(each, revisions)]
        self._since = None
        for each in tasks:
            if self._known.get(each.task.id, -1) >= each.task.revision:
                continue
            if self._clients:
                self._tell_of(each.task)  # in case that these have not heard of it
            else:
                self._remember(each.task.id, each.task.revision)
        self._flush()
        for client in newcomers:
            if client in self._newcomers:
                self._newcomers.remove(client)
                self._clients.add(client)
                client.welcome(Frames([initial, *late]))

    async def _dismiss_the_unwelcome(self) -> None:
        """Send those away whose key was revoked, or whose login has ended."""
        await asyncio.sleep(ASK_AGAIN)
        unwelcome = await database_sync_to_async(_unwelcome)({(each.caller, each.address) for each in self._clients})
        for client in self._clients:
            if (client.caller, client.address) in unwelcome:
                client.dismiss()

    # News

    async def _listen(self, layer: BaseChannelLayer, channel: str) -> None:
        try:
            await _repeat(lambda: self._hear(layer, channel))
        finally:
            await layer.group_discard(live.GROUP, channel)

    async def _hear(self, layer: BaseChannelLayer, channel: str) -> None:
        """Take in one message of `live`; a gap in its numbers means that the layer dropped something."""
        message = await layer.receive(channel)
        last = self._numbers.get(message["publisher"])
        self._numbers[message["publisher"]] = max(message["number"], last or 0)
        for news in message["news"]:
            self._take_in(news)
        if last is not None and message["number"] > last + 1:
            await self._catch_up()

    def _take_in(self, news: Json) -> None:
        task_id = news["task_id"]
        if news.get("deleted"):
            self._forget(task_id)
        elif news["revision"] >= self._known.get(task_id, -1):
            self._remember(task_id, news["revision"])
            self._say(task_id, news["revision"], news.get("task"), news["progress"])

    async def _look_after_silence(self, layer: BaseChannelLayer, channel: str) -> None:
        """Say that we are there if nothing else is to be said, also not after a look at the database."""
        await asyncio.sleep(self._spoke_at + SILENCE - time.monotonic())
        await layer.group_add(live.GROUP, channel)  # the layer in memory forgets its members after a day
        await self._catch_up()
        self._flush()
        if time.monotonic() - self._spoke_at >= SILENCE:
            self._put(Frame.of({"type": "heartbeat"}))
            self._flush()

    async def _catch_up(self) -> None:
        changed, gone = await database_sync_to_async(changes_since)(dict(self._known))
        for task in changed:
            if self._known.get(task.id, -1) < task.revision:
                self._tell_of(task)
        for task_id in gone:
            self._forget(task_id)

    def _remember(self, task_id: str, revision: int) -> None:
        self._known.pop(task_id, None)
        self._known[task_id] = revision
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def _forget(self, task_id: str) -> None:
        self._known.pop(task_id, None)
        self._put(Frame.of({"type": DELETED, "task_id": task_id}, task_id))

    def _tell_of(self, task: Task) -> None:
        self._remember(task.id, task.revision)
        self._say(task.id, task.revision, task_json(task), progress_json(task))

    def _say(self, task_id: str, revision: int, task: Json | None, progress: Json) -> None:
        status = progress["status"]
        if task:
            self._put(Frame.of({"type": "task", "task": task}, task_id, status, revision))
        message = {"type": "progress", "task_id": task_id, "progress": progress}
        self._put(Frame.of(message, task_id, status, revision))

    def _put(self, frame: Frame) -> None:
        self._news.add([frame])
        self._has_news.set()

    async def _spread(self) -> None:
        await self._has_news.wait()
        self._flush()
        await asyncio.sleep(PAUSE * len(self._clients))

    def _flush(self) -> None:
        """Give what is new to all."""
        self._has_news.clear()
        news, self._news = self._news, Frames()
        if not news:
            return
        if self._since is not None:
            self._since.add(news)
        for client in self._clients:
            client.tell(news)
        self._spoke_at = time.monotonic()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


async def join(client: Client) -> Hub:
    """Tell this client everything from now on; whom to ask to stop with it.

    What the channel layer says against that is raised.
    """
    loop = asyncio.get_running_loop()
    while True:
        hub = _hubs.setdefault(loop, Hub())
        await hub.open()
        if _hubs.get(loop) is hub:  # or else it has closed right when it had opened
            hub.add(client)
            return hub


async def _repeat(step: Callable[[], Awaitable[None]]) -> None:
    """Do this for ever: a feed that has met an error, say of the database, is still needed."""
    while True:
        try:
            await step()
        except Exception:
            logger.exception("The feed met an error and goes on")
            await asyncio.sleep(AFTER_ERROR)


def _is_news(frame: Frame, revisions: dict[str, int]) -> bool:
    """Whether this frame tells anything beyond these tasks."""
    return frame.kind == DELETED or frame.revision >= revisions.get(frame.task_id, -1)


def _unwelcome(callers: set[tuple[access.Caller, str]]) -> set[tuple[access.Caller, str]]:
    return {(caller, address) for caller, address in callers if not access.is_welcome(caller, address)}


def snapshot() -> tuple[list[Seen], Frame]:
    """Every unfinished task, and the newest finished ones up to 500 in all, newest first; and the frame of them."""
    unfinished = seen(Task.objects.unfinished())
    room = max(NEWEST_FINISHED - len(unfinished), 0)
    finished = seen(Task.objects.finished().newest_first()[:room])
    tasks = sorted([*unfinished, *finished], key=lambda each: (each.task.created_at, each.task.id), reverse=True)
    return tasks, Frame.of({"type": "initial", "tasks": [each.json for each in tasks]})


def changes_since(known: dict[str, int]) -> tuple[list[Task], list[str]]:
    """Against what is known (task id to revision): tasks that have moved on or are new, and ids that are gone."""
    newest = Task.objects.finished().newest_first()[:NEWEST_FINISHED]
    now = _revisions(Task.objects.unfinished()) | _revisions(newest)
    for ids in _in_pieces([task_id for task_id in known if task_id not in now]):
        now |= _revisions(Task.objects.filter(pk__in=ids))
    changed = [task_id for task_id, revision in now.items() if known.get(task_id, -1) < revision]
    tasks = [task for ids in _in_pieces(changed) for task in Task.objects.filter(pk__in=ids)]
    return tasks, [task_id for task_id in known if task_id not in now]


def _revisions(tasks: QuerySet[Task]) -> dict[str, int]:
    return dict(tasks.values_list("pk", "revision"))


def _in_pieces(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
