"""Daphne, made patient: an application that sends faster than its client reads is made to wait.

Daphne itself writes without waiting, so that whatever a slow client has not read yet piles up in memory. Twisted tells
a connection's producer to pause when more than 64 KiB lie there, and to resume when they are gone; `Gate` listens.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from daphne.http_protocol import WebRequest
from daphne.server import Server
from twisted.internet.interfaces import IPushProducer
from twisted.web import http
from zope.interface import implementer

# Twisted has no words for 422 and 429.
http.RESPONSES.update({status: status.phrase.encode() for status in HTTPStatus if status not in http.RESPONSES})


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


class PatientServer(Server):
    """Daphne's server with back-pressure for answers and for the feed."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:  # noqa: ANN401  Daphne has no types
        """Write as Daphne does, then wait until the client has room for more."""
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
