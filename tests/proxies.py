"""An administrator's proxy for tests: on 127.0.0.1, by HTTP's CONNECT or by SOCKS 5, and it notes where it was sent."""

import base64
import socket
import socketserver
import threading
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import quote


class ForeignProxy(socketserver.ThreadingTCPServer):
    """Serve inside a `with`. With `login` (user:password) it asks for that."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, scheme, login=""):
        super().__init__(("127.0.0.1", 0), {"http": _Http, "socks5": _Socks}[scheme])
        self.login = login
        self.asked_for = []
        place = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"{scheme}://{quote(login, safe=':')}@{place}" if login else f"{scheme}://{place}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    rbufsize = 0

    def handle(self):
        target = self.greet()
        if target is None:
            return
        self.server.asked_for.append(target)
        with socket.create_connection(target) as onward:
            self.agree()
            back = threading.Thread(target=_pump, args=(onward, self.connection), daemon=True)
            back.start()
            _pump(self.connection, onward)
            back.join()


class _Http(_Handler):
    def greet(self):
        line = self.rfile.readline().decode()
        fields = dict(iter(self.field, None))
        credentials = base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and fields.get("proxy-authorization") != f"Basic {credentials}":
            self.wfile.write(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")
            return None
        host, _, port = line.split()[1].rpartition(":")
        return host.strip("[]"), int(port)

    def field(self):
        name, colon, value = self.rfile.readline().decode().strip().partition(":")
        return (name.lower(), value.strip()) if colon else None

    def agree(self):
        self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")


class _Socks(_Handler):
    def greet(self):
        _, count = self.rfile.read(2)
        self.rfile.read(count)
        method = 2 if self.server.login else 0
        self.wfile.write(bytes([5, method]))
        if method:
            _, length = self.rfile.read(2)
            user = self.rfile.read(length)
            password = self.rfile.read(*self.rfile.read(1))
            right = user + b":" + password == self.server.login.encode()
            self.wfile.write(bytes([1, 0 if right else 1]))
            if not right:
                return None
        *_, kind = self.rfile.read(4)
        address = ip_address(self.rfile.read({1: 4, 4: 16}[kind]))
        return str(address), int.from_bytes(self.rfile.read(2), "big")

    def agree(self):
        self.wfile.write(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))


def _pump(source, sink):
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
