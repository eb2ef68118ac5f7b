"""The feed: what `live` publishes in, JSON frames out. A slow client costs one newest message per task, not a queue."""

import asyncio
import contextlib
import json
import time
from typing import Any

from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from downloads import access, limits, live
from downloads.models import Task
from downloads.schemas import progress_json, task_json
from downloads.states import Status

SILENCE = 30.0  # seconds until a heartbeat
NEWEST_FINISHED = 500  # how many tasks `initial` holds, unless more are unfinished
REMEMBERED = 10_000  # tasks whose last revision a connection remembers
ASK_AGAIN = 20.0  # seconds until it is asked again whether the client may listen
UNAUTHORIZED = 4401  # how a socket is closed whose client may not listen any more

sockets = limits.Sockets()

Json = dict[str, Any]


def snapshot() -> list[Json]:
    """Every unfinished task, and the newest finished ones up to 500 in all, newest first."""
    unfinished = list(Task.objects.unfinished())
    room = max(NEWEST_FINISHED - len(unfinished), 0)
    finished = list(Task.objects.finished().newest_first()[:room])
    tasks = sorted([*unfinished, *finished], key=lambda task: (task.created_at, task.id), reverse=True)
    return [task_json(task) for task in tasks]


def changes_since(known: dict[str, int]) -> tuple[list[Task], list[str]]:
    """Against what a client knows (task id to revision): tasks that have moved on or are new, and ids that are gone."""
    current = {task.id: task for task in Task.objects.unfinished()}
    missing = [task_id for task_id in known if task_id not in current]
    for start in range(0, len(missing), 500):
        current |= {task.id: task for task in Task.objects.filter(pk__in=missing[start : start + 500])}
    changed = [task for task in current.values() if known.get(task.id, -1) < task.revision]
    return changed, [task_id for task_id in missing if task_id not in current]


class FeedConsumer(AsyncWebsocketConsumer):
    """One client. News is merged into `_pending` at once; a writer of its own sends as fast as the client takes it."""

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:  # noqa: ANN401  the ASGI interface
        """Serve one socket, counted among those of its client from the handshake to the end."""
        self._address = access.address_of_socket(scope)
        with sockets.one_more(limits.client_at(self._address)) as self._has_room:
            await super().__call__(scope, receive, send)

    async def connect(self) -> None:
        """Join the group first, read the database second: nothing falls in between.

        Whoever may not listen, or has too many sockets open already, gets a 403 for the handshake.
        """
        caller = await database_sync_to_async(access.admit_socket)(self.scope) if self._has_room else None
        if caller is None:
            await self.close()
            raise StopConsumer
        self._pending: dict[tuple[str, str, str], Json] = {}
        self._known: dict[str, int] = {}
        self._told: set[str] | None = None  # which tasks the client has heard of; None before `initial`
        self._numbers: dict[str, int] = {}
        self._wake = asyncio.Event()
        await self.channel_layer.group_add(live.GROUP, self.channel_name)
        await self.accept()
        self._writer = asyncio.create_task(self._write())
        self._guard = asyncio.create_task(self._watch(caller))

    async def disconnect(self, code: int) -> None:  # noqa: ARG002  the consumer interface
        """Leave."""
        if not hasattr(self, "_writer"):
            return
        for task in (self._guard, self._writer):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.channel_layer.group_discard(live.GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer `ping`; anything else is not known, and the socket stays open."""
        try:
            frame = json.loads(text_data if text_data is not None else bytes_data or b"")
        except (ValueError, RecursionError):
            frame = None
        if isinstance(frame, dict) and frame.get("type") == "ping":
            self._put("", "pong", {"type": "pong"})
        else:
            detail = 'This frame is not known here; send {"type": "ping"}.'
            self._put("", "error", {"type": "error", "error_code": "VALIDATION_ERROR", "detail": detail})

    async def dispatch(self, message: Json) -> None:
        """Take news in without Channels' look at the database's connections, which is a thread's work for each."""
        if message["type"] == live.MESSAGE_TYPE:
            await self.feed_event(message)
        else:
            await super().dispatch(message)

    async def feed_event(self, message: Json) -> None:
        """Take in what `live` published; a gap in its numbers means that the layer dropped something."""
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
            self._put_task(task_id, news.get("task"), news["progress"])

    async def _catch_up(self) -> None:
        changed, gone = await database_sync_to_async(changes_since)(dict(self._known))
        for task in changed:
            self._remember(task.id, task.revision)
            self._put_task(task.id, task_json(task), progress_json(task))
        for task_id in gone:
            self._forget(task_id)

    def _remember(self, task_id: str, revision: int) -> None:
        self._known.pop(task_id, None)
        self._known[task_id] = revision
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def _forget(self, task_id: str) -> None:
        self._known.pop(task_id, None)
        self._drop(task_id)
        if self._told is None or task_id in self._told:
            self._put(task_id, "deleted", {"type": "deleted", "task_id": task_id})

    def _put_task(self, task_id: str, task: Json | None, progress: Json) -> None:
        status = progress["status"]
        if task:
            self._put(task_id, "task", {"type": "task", "task": task}, status)
        self._put(task_id, "progress", {"type": "progress", "task_id": task_id, "progress": progress}, status)

    def _put(self, task_id: str, kind: str, frame: Json, status: str = "") -> None:
        """The newest of its kind, task and state replaces what the client has not taken yet, and comes last."""
        self._pending.pop((task_id, kind, status), None)
        self._pending[task_id, kind, status] = frame
        self._wake.set()

    def _drop(self, task_id: str) -> None:
        for kind in ("task", "progress"):
            for status in Status:
                self._pending.pop((task_id, kind, status), None)

    async def _write(self) -> None:
        """Send `initial`, then whatever is pending, then a heartbeat after 30 s of silence."""
        tasks = await database_sync_to_async(snapshot)()
        for task in tasks:
            if task["revision"] > self._known.get(task["id"], -1):
                self._remember(task["id"], task["revision"])
                self._drop(task["id"])
        self._told = {task["id"] for task in tasks}
        await self._send({"type": "initial", "tasks": tasks})
        spoke_at = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(spoke_at + SILENCE - time.monotonic(), 0))
            self._wake.clear()
            if not self._pending:
                await self._catch_up()  # the layer may have dropped the very last message
            if not self._pending:
                self._put("", "heartbeat", {"type": "heartbeat"})
            while self._pending:
                key = task_id, kind, _status = next(iter(self._pending))
                (self._told.discard if kind == "deleted" else self._told.add)(task_id)
                await self._send(self._pending.pop(key))
            spoke_at = time.monotonic()

    async def _watch(self, caller: access.Caller) -> None:
        """Close the socket once its client may not listen any more: the key was revoked, the login has ended."""
        while await database_sync_to_async(access.is_welcome)(caller, self._address):  # noqa: ASYNC110  by whomever
            await asyncio.sleep(ASK_AGAIN)
        self._writer.cancel()
        await self.close(UNAUTHORIZED)

    async def _send(self, frame: Json) -> None:
        await self.send(text_data=json.dumps(frame, ensure_ascii=False, separators=(",", ":")))
