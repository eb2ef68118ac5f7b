"""Connections to checked addresses: a name is resolved once, its addresses are judged, one of these is connected to."""

import asyncio
import socket
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from downloads.engine.http_heads import HEAD_LIMIT, BadHead, end_of_head, status_of
from downloads.engine.network import AddressPolicy

MAX_ADDRESSES: Final = 8
LIMIT_PER_ADDRESS: Final = 8.0  # seconds
LIMIT: Final = 20.0  # seconds in all, look-up of the name and handshake with a proxy included

_PORTS: Final = {"http": 8080, "socks5": 1080}
_PIECE: Final = 64 * 1024
_LONGEST_CREDENTIAL: Final = 255  # bytes (RFC 1929)
# RFC 1928 and 1929: version, methods, command, kinds of addresses
_SOCKS, _NO_LOGIN, _LOGIN, _CONNECT, _IPV4, _IPV6, _LOGIN_VERSION = 5, 0, 2, 1, 1, 4, 1
_OK: Final = range(200, 300)

# Look-ups of names cannot be interrupted, so they have threads of their own, more than one job can keep busy.
_resolvers: Final = ThreadPoolExecutor(32, thread_name_prefix="egress look-up")

_SocketAddress = tuple[Any, ...]


class Refused(Exception):
    """No address of the host may be reached. `address` is the first of them."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class Unreachable(Exception):
    """There is no connection; the text says why."""


@dataclass(frozen=True)
class Upstream:
    """An administrator's proxy, which is asked to connect to addresses that have been judged here."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http://[user:password@]host[:port]` or `socks5://…`.

        Raises:
            ValueError: it is neither.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(
                "A proxy is given as http://[user:password@]host:port or socks5://[user:password@]host:port."
            )
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if max(len(user.encode()), len(password.encode())) > _LONGEST_CREDENTIAL:
            raise ValueError("User name and password of a proxy have at most 255 bytes each.")
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], user, password)


@dataclass(frozen=True)
class Dialler:
    """How one job connects: what it may reach, through whose proxy, and from which address of this machine."""

    policy: AddressPolicy
    upstream: Upstream | None = None
    source: str = ""

    async def dial(self, host: str, port: int) -> tuple[socket.socket, bytes]:
        """A connection to this host, and what has come over it already.

        Addresses that may not be reached are passed over, as the guard does it in a child.

        Raises:
            Refused: none of its addresses may be reached; nothing was sent.
            Unreachable: it did not work.
        """
        try:
            async with asyncio.timeout(LIMIT):
                addresses = await _resolve(host, port)
                allowed = [each for each in addresses if self.policy.allows(str(each[0]))]
                if not allowed:
                    raise Refused(str(addresses[0][0]))
                return await self._reach(allowed[:MAX_ADDRESSES])
        except TimeoutError:
            raise Unreachable("it took too long") from None

    async def _reach(self, addresses: list[_SocketAddress]) -> tuple[socket.socket, bytes]:
        if self.upstream is None:
            return await self._connect(addresses), b""
        failed = Unreachable("there is no address")
        proxies = (await _resolve(self.upstream.host, self.upstream.port))[:MAX_ADDRESSES]
        handshake = _connect_by_socks if self.upstream.scheme == "socks5" else _connect_by_http
        for address in addresses:
            connection = await self._connect(proxies)
            try:
                return connection, await handshake(connection, address, self.upstream)
            except (OSError, Unreachable, BadHead, EOFError) as error:
                connection.close()
                failed = Unreachable(f"the proxy: {error}")
            except BaseException:
                connection.close()
                raise
        raise failed

    async def _connect(self, addresses: list[_SocketAddress]) -> socket.socket:
        error: Exception = Unreachable("there is no address of the kind to connect from")
        for address in addresses:
            family = _family(address)
            if self.source and family != _family((self.source,)):
                continue
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.setblocking(False)  # noqa: FBT003  the socket module's own signature
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.source:
                    connection.bind((self.source, 0))
                async with asyncio.timeout(LIMIT_PER_ADDRESS):
                    await asyncio.get_running_loop().sock_connect(connection, address)
            except (OSError, TimeoutError) as failed:
                connection.close()
                error = failed
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise Unreachable(str(error)) from None


async def receive_head(connection: socket.socket, buffer: bytearray) -> bytes:
    """The head that comes over this connection; what follows it stays in the buffer.

    Raises:
        BadHead: it is too long.
        EOFError: there is none.
        OSError: the connection broke.
    """
    loop = asyncio.get_running_loop()
    while (end := end_of_head(buffer)) is None:
        if len(buffer) >= HEAD_LIMIT:
            raise BadHead("too long")
        piece = await loop.sock_recv(connection, _PIECE)
        if not piece:
            raise EOFError
        buffer += piece
    head = bytes(buffer[:end])
    del buffer[:end]
    return head


async def _resolve(host: str, port: int) -> list[_SocketAddress]:
    def look_up() -> list[_SocketAddress]:
        return [found[4] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    try:
        addresses = await asyncio.get_running_loop().run_in_executor(_resolvers, look_up)
    except (OSError, UnicodeError):
        raise Unreachable("the name is not known") from None
    return list(dict.fromkeys(addresses))


def _family(address: _SocketAddress) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET


async def _connect_by_http(connection: socket.socket, address: _SocketAddress, upstream: Upstream) -> bytes:
    host, port = str(address[0]), address[1]
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if upstream.user or upstream.password:
        credentials = b64encode(f"{upstream.user}:{upstream.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    await asyncio.get_running_loop().sock_sendall(connection, "\r\n".join([*lines, "", ""]).encode())
    early = bytearray()
    status = status_of(await receive_head(connection, early))
    if status not in _OK:
        raise Unreachable(f"it answered {status}")
    return bytes(early)


async def _connect_by_socks(connection: socket.socket, address: _SocketAddress, upstream: Upstream) -> bytes:
    loop = asyncio.get_running_loop()
    method = _LOGIN if upstream.user or upstream.password else _NO_LOGIN
    await loop.sock_sendall(connection, bytes([_SOCKS, 1, method]))
    if await _exactly(connection, 2) != bytes([_SOCKS, method]):
        raise Unreachable("it does not take this login")
    if method == _LOGIN:
        user, password = upstream.user.encode(), upstream.password.encode()
        login = bytes([_LOGIN_VERSION, len(user)]) + user + bytes([len(password)]) + password
        await loop.sock_sendall(connection, login)
        if (await _exactly(connection, 2))[1] != 0:
            raise Unreachable("it does not take this user name and password")
    target = ip_address(str(address[0]))
    kind = _IPV6 if _family(address) == socket.AF_INET6 else _IPV4
    asked = bytes([_SOCKS, _CONNECT, 0, kind]) + target.packed + int(address[1]).to_bytes(2, "big")
    await loop.sock_sendall(connection, asked)
    _version, answer, _, kind_of_bound = await _exactly(connection, 4)
    if answer != 0:
        raise Unreachable(f"it answered {answer}")
    if kind_of_bound not in (_IPV4, _IPV6):
        raise Unreachable("it answered with no address")
    await _exactly(connection, (16 if kind_of_bound == _IPV6 else 4) + 2)
    return b""


async def _exactly(connection: socket.socket, wanted: int) -> bytes:
    data = b""
    while len(data) < wanted:
        piece = await asyncio.get_running_loop().sock_recv(connection, wanted - len(data))
        if not piece:
            raise EOFError("it closed the connection")
        data += piece
    return data
