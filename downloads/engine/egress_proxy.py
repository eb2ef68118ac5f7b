"""The way out for what is no Python socket: an HTTP proxy on 127.0.0.1 that reaches what the address policy allows.

curl_cffi and ffmpeg connect in native code, which no audit hook sees. They are given this proxy, and so an address is
judged where the connection to it is made: a name is resolved once, every address of it is judged, and one of those that
are allowed is connected to. Neither redirects nor manifests nor a second answer of the DNS get past that. It runs in
the service's process, in an event loop and a thread of its own.

It knows `CONNECT` to any port, and requests for an `http://` address, one for each connection. Each job has a route
with credentials of its own; without those of an open route there is a 407.

| answer | `X-Egress` | what happened |
|---|---|---|
| 403 | refused | no address of the host may be reached; noted in the route's `refused` |
| 502 | unreachable | no connection, or no answer that could be read |
| 503 | full | the route has `MAX_CONNECTIONS` already |
| 400 | | the request is not of the two kinds |

Asked for `/refused` itself, it answers what the route refused so far, as a list in JSON. Half of a connection may end
before the other. What a slow client has not taken yet waits at the server: this process holds `PIECE` bytes for each
direction of a connection and no more.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final, Self

from downloads.engine.dialling import Dialler, Refused, Unreachable, Upstream, receive_head
from downloads.engine.egress import REFUSALS
from downloads.engine.http_heads import BadHead, Request, answer_onward, status_of
from downloads.engine.network import MAX_REFUSALS, AddressPolicy

MAX_CONNECTIONS: Final = 64  # of a route
PIECE: Final = 64 * 1024
HEAD_LIMIT: Final = 15.0  # seconds until the head of a request is there
IDLE_LIMIT: Final = 120.0  # seconds without a byte in either direction
_PAUSE: Final = 0.1  # seconds
LINGER: Final = 1.0  # seconds in which a client may take the end of an answer

_BACKLOG: Final = 128
_FIRST_FINAL_STATUS: Final = 200

logger = logging.getLogger(__name__)


class Route:
    """One job's way out, until it is closed."""

    def __init__(self, url: str, dialler: Dialler, close: Callable[[], None]) -> None:
        """Made by `EgressProxy.open`."""
        self.url: Final = url
        """The address of the proxy with this route's credentials in it: `http://<token>:@127.0.0.1:<port>`."""
        self.refused: Final[list[str]] = []
        """The first refusals, `MAX_REFUSALS` at most, in the words of a child's guard."""
        self.dialler: Final = dialler
        self.tasks: Final[set[asyncio.Task[None]]] = set()
        self.close: Final = close
        """End it and cut its connections; a second time does nothing."""

    def refuse(self, address: str) -> None:
        """Note an address that may not be reached."""
        if len(self.refused) < MAX_REFUSALS:
            self.refused.append(f"address not allowed: {address!r}"[:200])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Answered(Exception):
    """The proxy answers by itself."""

    def __init__(self, status: HTTPStatus, said: str = "", *, body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.said = said
        self.body = body

    def __bytes__(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {self.status.phrase}", f"Content-Length: {len(self.body)}"]
        if self.said:
            lines.append(f"X-Egress: {self.said}")
        if self.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            lines.append('Proxy-Authenticate: Basic realm="egress"')
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + self.body


class EgressProxy:
    """The proxy; it listens from the beginning until `close`. `open` and `close` may be called in any thread."""

    def __init__(self) -> None:
        """Listen on a port of 127.0.0.1 that the system chooses."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._listener.setblocking(False)  # noqa: FBT003  the socket module's own signature
        self.port: Final = int(self._listener.getsockname()[1])
        self._routes: dict[str, Route] = {}
        self._loop = asyncio.new_event_loop()
        self._accepting = self._loop.create_task(self._accept())
        self._thread = threading.Thread(target=self._run, name="egress", daemon=True)
        self._thread.start()

    def open(self, policy: AddressPolicy, upstream: str | None = None, source_address: str | None = None) -> Route:
        """A way out for one job, to be closed after it.

        `upstream` is an administrator's proxy, `http://[user:password@]host[:port]` or `socks5://…`, at whatever
        address; it is asked to connect to addresses that have been judged here. `source_address` is the address of
        this machine to connect from.

        Raises:
            ValueError: one of the two is not of that form.
        """
        source = str(ip_address(source_address)) if source_address else ""
        dialler = Dialler(policy, Upstream.parse(upstream) if upstream else None, source)
        token = secrets.token_urlsafe(32)
        route = Route(f"http://{token}:@127.0.0.1:{self.port}", dialler, lambda: self._end(token))
        self._routes[token] = route
        return route

    def close(self) -> None:
        """End every connection and the thread; a second time does nothing."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._accepting.cancel)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, token: str) -> None:
        route = self._routes.pop(token, None)
        if route is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it every connection
                self._loop.call_soon_threadsafe(_cut, route)

    def _run(self) -> None:
        with contextlib.closing(self._loop), self._listener, contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._accepting)

    async def _accept(self) -> None:
        ready = asyncio.Event()
        self._loop.add_reader(self._listener, ready.set)
        async with asyncio.TaskGroup() as connections:
            while True:
                await ready.wait()
                ready.clear()
                try:
                    client, _ = self._listener.accept()  # at once, so that no end of this task can lose a connection
                except BlockingIOError:
                    continue
                except OSError:  # no descriptor is free: those who wait, wait
                    self._loop.remove_reader(self._listener)
                    await asyncio.sleep(_PAUSE)
                    self._loop.add_reader(self._listener, ready.set)
                else:
                    client.setblocking(False)  # noqa: FBT003  the socket module's own signature
                    connections.create_task(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await self._answer(client)
            except _Answered as answer:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(IDLE_LIMIT):
                        await self._loop.sock_sendall(client, bytes(answer))
                        await _part(client)
            except (OSError, EOFError, TimeoutError):
                pass  # one of the two is gone, or both are silent
            except Exception:
                logger.exception("A connection of the egress proxy failed")

    async def _answer(self, client: socket.socket) -> None:
        buffer = bytearray()
        try:
            async with asyncio.timeout(HEAD_LIMIT):
                request = Request.parse(await receive_head(client, buffer))
        except BadHead:
            raise _Answered(HTTPStatus.BAD_REQUEST) from None
        route = self._routes.get(request.token)
        if route is None:
            raise _Answered(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
        if not request.host:
            raise _own_answer(request, route)
        if len(route.tasks) >= MAX_CONNECTIONS:
            raise _Answered(HTTPStatus.SERVICE_UNAVAILABLE, "full")
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a coroutine runs in a task")
        route.tasks.add(task)
        try:
            await _hand_on(request, route, client, buffer)
        finally:
            route.tasks.discard(task)


def _cut(route: Route) -> None:
    for task in route.tasks:
        task.cancel()


def _own_answer(request: Request, route: Route) -> _Answered:
    if request.path != REFUSALS.encode():
        return _Answered(HTTPStatus.NOT_FOUND)
    return _Answered(HTTPStatus.OK, body=json.dumps(route.refused).encode())


async def _hand_on(request: Request, route: Route, client: socket.socket, buffer: bytearray) -> None:
    try:
        server, early = await route.dialler.dial(request.host, request.port)
    except Refused as refused:
        route.refuse(refused.address)
        raise _Answered(HTTPStatus.FORBIDDEN, "refused") from None
    except Unreachable:
        raise _Answered(HTTPStatus.BAD_GATEWAY, "unreachable") from None
    with server:
        if request.method == "CONNECT":
            await _tunnel(client, server, bytes(buffer), early)
        else:
            await _exchange(request, client, server, buffer, bytearray(early))


async def _tunnel(client: socket.socket, server: socket.socket, first: bytes, early: bytes) -> None:
    established = b"HTTP/1.1 200 Connection established\r\n\r\n"
    try:
        async with asyncio.timeout(IDLE_LIMIT) as limit, asyncio.TaskGroup() as both:
            both.create_task(_pump(server, client, limit, established + early))
            both.create_task(_pump(client, server, limit, first))
    except* OSError:
        pass


async def _exchange(
    request: Request, client: socket.socket, server: socket.socket, buffer: bytearray, early: bytearray
) -> None:
    """One request, one answer. What the client sends after its request goes nowhere: it may be meant for another."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(IDLE_LIMIT) as limit:
        await loop.sock_sendall(server, request.onward)
        await _pass_body(request.length, client, server, buffer, limit)
        try:
            head = await receive_head(server, early)
            while status_of(head) < _FIRST_FINAL_STATUS:
                head = await receive_head(server, early)
        except (BadHead, EOFError, ConnectionError):
            raise _Answered(HTTPStatus.BAD_GATEWAY, "unreachable") from None
        await _pump(server, client, limit, answer_onward(head) + early)
    await _part(client)


async def _pass_body(
    length: int, client: socket.socket, server: socket.socket, buffer: bytearray, limit: asyncio.Timeout
) -> None:
    loop = asyncio.get_running_loop()
    piece = bytes(buffer[:length])
    while length:
        if not piece:
            piece = await loop.sock_recv(client, min(PIECE, length))
            if not piece:
                raise EOFError
        await loop.sock_sendall(server, piece)
        limit.reschedule(loop.time() + IDLE_LIMIT)
        length -= len(piece)
        piece = b""


async def _pump(source: socket.socket, sink: socket.socket, limit: asyncio.Timeout, first: bytes) -> None:
    """Hand on until the source ends, then end that half of the other."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sink, first)
    piece = memoryview(bytearray(PIECE))
    while count := await loop.sock_recv_into(source, piece):
        await loop.sock_sendall(sink, piece[:count])
        limit.reschedule(loop.time() + IDLE_LIMIT)
        await asyncio.sleep(0)  # neither of the two waits while there is data: others want to go on too
    sink.shutdown(socket.SHUT_WR)


async def _part(client: socket.socket) -> None:
    """Say that this is the end, and wait for the client's: with its words unread, the last of ours could be lost."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        client.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(LINGER):
            while await loop.sock_recv(client, PIECE):
                pass
