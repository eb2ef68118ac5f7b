"""A local receiver of webhooks, which answers as it is told to and keeps what it got."""

import http.server
import socketserver
import threading

from standardwebhooks import Webhook


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.owner.got.append(Message(self.path, dict(self.headers), body))
        self.server.owner.answer(self)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class Message:
    def __init__(self, path, headers, body):
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def id(self):
        return self.headers["webhook-id"]

    def verified(self, secret):
        """The content, proven by the specification's own library."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    def __init__(self, host="127.0.0.1", context=None, port=0):
        self.got = []
        self.answer = answers(200)
        self.server = Server((host, port), Handler)
        self.server.owner = self
        self.server.socket = (
            context.wrap_socket(self.server.socket, server_side=True) if context else self.server.socket
        )
        self.port = self.server.server_port
        self.url = f"http://{host}:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def answers(code, body=b"thanks", **headers):
    """Answer every message so."""

    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def in_turn(*several):
    """Answer the first message by the first, and so on."""
    left = iter(several)

    def answer(handler):
        next(left)(handler)

    return answer
