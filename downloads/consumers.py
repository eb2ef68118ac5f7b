"""A client of the feed. It is told as fast as it reads; what waits for it meanwhile is the newest of each task."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final

from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from downloads import access, hub, limits
from downloads.frames import MANY_FRAMES, Frame, Frames, Part

UNAUTHORIZED = 4401  # how a socket is closed whose client may not listen any more
MOST_WAITING: Final = 5_000  # frames; who is further behind is told everything anew

PONG: Final = Frame.of({"type": "pong"})
UNKNOWN: Final = Frame.of(
    {
        "type": "error",
        "error_code": "VALIDATION_ERROR",
        "detail": 'This frame is not known here; send {"type": "ping"}.',
    }
)
NOTHING: Final = Frames()

sockets = limits.Sockets()

Json = dict[str, Any]


class FeedConsumer(AsyncWebsocketConsumer):
    """One client, for the hub and for the server: what the first tells it, a writer of its own gives to the second."""

    channel_layer_alias = None  # the hub listens for all

    caller: access.Caller
    address: str
    _hub: hub.Hub | None = None
    _writer: asyncio.Task[None] | None = None

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:  # noqa: ANN401  the ASGI interface
        """Serve one socket, counted among those of its client from the handshake to the end, however that comes."""
        self.address = access.address_of_socket(scope)
        with sockets.one_more(limits.client_at(self.address)) as self._has_room:
            try:
                await super().__call__(scope, receive, send)
            finally:
                self._leave()

    async def connect(self) -> None:
        """Join the hub.

        Whoever may not listen, or has too many sockets open already, gets a 403 for the handshake.
        """
        caller = await database_sync_to_async(access.admit_socket)(self.scope) if self._has_room else None
        if caller is None:
            await self.close()
            raise StopConsumer
        self._begin(caller)
        self._hub = await hub.join(self)
        await self.accept()
        self._writer = asyncio.create_task(self._write())

    def _begin(self, caller: access.Caller) -> None:
        self.caller = caller
        self._waiting, self._is_shared = NOTHING, True
        self._is_welcome, self._is_lost = False, False
        self._wake = asyncio.Event()

    def _leave(self) -> None:
        if self._hub:
            self._hub.remove(self)
        if self._writer:
            self._writer.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer `ping`; anything else is not known, and the socket stays open."""
        try:
            frame = json.loads(text_data if text_data is not None else bytes_data or b"")
        except (ValueError, RecursionError):
            frame = None
        self._put([PONG if isinstance(frame, dict) and frame.get("type") == "ping" else UNKNOWN])

    # What the hub says

    def welcome(self, frames: Frames) -> None:
        """Take what there is, before anything else."""
        others, self._waiting, self._is_shared = self._waiting, frames, True
        self._is_welcome = True
        self._put(others)

    def tell(self, frames: Frames) -> None:
        """Take what is new. Whoever is too far behind drops it all, to be told everything anew."""
        if self._is_lost:
            return
        if not self._waiting:
            self._waiting, self._is_shared = frames, True
            self._wake.set()
        elif len(self._waiting) < MOST_WAITING:
            self._put(frames)
        else:
            self._waiting, self._is_shared = NOTHING, True
            self._is_welcome, self._is_lost = False, True

    def dismiss(self) -> None:
        """Go: you may not listen any more."""
        if self._writer:
            self._writer.cancel()
        self._farewell = asyncio.create_task(self.close(UNAUTHORIZED))

    # What the server takes

    def _put(self, frames: Iterable[Frame]) -> None:
        if self._is_shared:
            self._waiting, self._is_shared = Frames(self._waiting), False
        self._waiting.add(frames)
        self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._is_welcome and self._waiting:
                frames, self._waiting, self._is_shared = self._waiting, NOTHING, True
                for part in frames.parts:
                    await self._send(part)
            if self._is_lost and self._hub:
                self._is_lost = False
                self._hub.add(self)

    async def _send(self, part: Part) -> None:
        """Send it at once if the server can, or else message by message."""
        if MANY_FRAMES in (self.scope.get("extensions") or {}):
            await self.base_send({"type": MANY_FRAMES, "frames": part.wire, "count": len(part.payloads)})
            return
        for payload in part.payloads:
            await self.send(text_data=payload.decode())
