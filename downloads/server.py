"""Daphne, made patient: an application that sends faster than its client reads is made to wait.

Daphne itself writes without waiting, so that whatever a slow client has not read yet piles up in memory. Twisted tells
a connection's producer to pause when more than 64 KiB lie there, and to resume when they are gone; `Gate` listens.

And made strict: Daphne keeps a body of any length in a file before an application hears of the request, and one that is
sent in chunks may have no end. Here a body that is too large is answered at once, and what comes of it thrown away.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from typing import IO, Any

from daphne import http_protocol, ws_protocol
from daphne.http_protocol import WebRequest
from daphne.server import Server
from django.conf import settings
from twisted.internet import reactor as twisted_reactor
from twisted.internet.interfaces import IPushProducer
from twisted.web import http
from zope.interface import implementer

from downloads.api.errors import error_response
from downloads.frames import MANY_FRAMES

reactor: Any = twisted_reactor  # its types do not say that a time may be a float

HEAD_LIMIT = 64 * 1024  # bytes of request line and headers; Twisted's own 16 KiB are short for filters in any script
LINGER = 5.0  # seconds that a client with too large a body has to read why it was refused

# Twisted has no words for 422 and 429.
http.RESPONSES.update({status: status.phrase.encode() for status in HTTPStatus if status not in http.RESPONSES})
http.HTTPChannel.MAX_LENGTH = http.HTTPChannel.totalHeadersSize = HEAD_LIMIT


@implementer(IPushProducer)
class Gate:
    """Open while the client keeps up."""

    def __init__(self) -> None:
        """Start open."""
        self._open = asyncio.Event()
        self._open.set()

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's name
        """Too much is waiting to be read."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802  Twisted's name
        """The client has caught up."""
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802  Twisted's name
        """The connection is gone; whoever waits may go on, into nothing."""
        self._open.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        await self._open.wait()


class StrictRequest(WebRequest):
    """A request whose body has a limit."""

    content: IO[bytes]
    _received = 0
    _is_refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802  Twisted's name
        """Take the length that the client says, None if it sends chunks."""
        super().gotLength(length)
        if length is not None and length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Take another piece of the body."""
        self._received += len(data)
        if not self._is_refused and self._received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            self._refuse()
        if not self._is_refused:
            super().handleContentChunk(data)

    def process(self) -> Any:  # noqa: ANN401
        """Answer; one that was refused has its answer already, and this is the end of its body."""
        return self.channel.loseConnection() if self._is_refused else super().process()

    def _refuse(self) -> None:
        """Answer at once and keep nothing. Most clients read no answer before all is sent, so that has some time."""
        self._is_refused = True
        self.content.close()
        self.content = BytesIO()
        body = error_response("VALIDATION_ERROR", "The body is too large.", status=413).content
        head = (
            "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.channel.transport.write(head.encode() + body)
        reactor.callLater(LINGER, self.channel.transport.abortConnection)


class RoomySocket(ws_protocol.WebSocketProtocol):
    """A socket whose limit of a message's size holds for what clients send, not for what they are told.

    Autobahn drops a longer message of ours without a word, and the feed's first one holds every unfinished task.
    """

    maxMessagePayloadSize: int  # noqa: N815  Autobahn's name

    def sendMessage(self, *args: Any, **options: Any) -> None:  # noqa: N802, ANN401  Autobahn's interface
        """Send a message of any length."""
        limit, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(*args, **options)
        finally:
            self.maxMessagePayloadSize = limit

    def send_frames(self, wire: bytes) -> None:
        """Send frames that are made already; nothing once the socket is being closed.

        Where nothing waits before them they go to the system at once. Twisted would wait until the socket is ready,
        which for a thousand clients costs more than the sending.
        """
        if self.state != self.STATE_OPEN:
            return
        if not (self.transport.dataBuffer or self.transport._tempDataBuffer):  # noqa: SLF001  nothing else tells
            taken = self.transport.writeSomeData(wire)
            if isinstance(taken, int):  # or else an error, which the way through Twisted meets again and deals with
                wire = wire[taken:]
        if wire:
            self.sendData(wire)


http_protocol.WebRequest = StrictRequest  # Daphne's factory takes the class from there
ws_protocol.WebSocketFactory.protocol = RoomySocket


class PatientServer(Server):
    """Daphne's server with back-pressure for answers and for the feed, whose frames it takes many at once."""

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:  # noqa: ANN401
        """Begin with a connection."""
        if scope["type"] == "websocket":
            scope["extensions"] = {MANY_FRAMES: {}}
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:  # noqa: ANN401  Daphne has no types
        """Write as Daphne does, then wait until the client has room for more."""
        if message["type"] == MANY_FRAMES:
            connection = self.connections.get(protocol, {})
            if "gate" in connection and "disconnected" not in connection:
                protocol.send_frames(message["frames"])
                await connection["gate"].passed()
            return
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last:
            self._unregister(protocol)
        await super().handle_reply(protocol, message)
        if last or "disconnected" in self.connections.get(protocol, {"disconnected": 0}):
            return
        if message["type"] in ("http.response.start", "websocket.accept"):
            self._register(protocol)
        elif gate := self.connections[protocol].get("gate"):
            await gate.passed()

    def _register(self, protocol: Any) -> None:  # noqa: ANN401
        """Make a gate the producer of this connection: of the request, or of the socket that was one."""
        gate = self.connections[protocol]["gate"] = Gate()
        if isinstance(protocol, WebRequest):
            protocol.registerProducer(gate, True)  # noqa: FBT003  Twisted's interface
        else:
            protocol.transport.unregisterProducer()  # the HTTP channel's, from before the upgrade
            protocol.transport.registerProducer(gate, True)  # noqa: FBT003

    def _unregister(self, protocol: Any) -> None:  # noqa: ANN401
        if self.connections.get(protocol, {}).pop("gate", None) and protocol.channel is not None:
            protocol.unregisterProducer()


def run_server(application: Any, host: str, port: int, ready: Callable[[], None]) -> None:  # noqa: ANN401
    """Serve until SIGINT or SIGTERM.

    Args:
        application: an ASGI application.
        host: the address to listen on.
        port: the port to listen on.
        ready: called once, right before the first connection is taken.
    """
    address = host.replace(":", r"\:")
    PatientServer(
        application,
        endpoints=[f"tcp:port={port}:interface={address}"],
        ready_callable=ready,
        server_name="",
        websocket_timeout=-1,
        websocket_max_message_size=64 * 1024,
        websocket_max_frame_size=64 * 1024,
    ).run()
