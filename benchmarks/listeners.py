"""Many clients of the feed in one process, which costs as little as it can: only some of them look at what they get.

    python -m benchmarks.listeners PORT NUMBER SECONDS

Prints `ready` when all have had their first message, and listens so many seconds from then. Then it prints, as JSON,
what those that looked have heard of the progress of tasks: [[moment on the monotonic clock, task, bytes], ...].
"""

import json
import selectors
import socket
import sys
import time

LOOK = 20  # so many of the clients, evenly among them
FIRST = 60  # seconds that all first messages may take
LARGEST = 2**20
HANDSHAKE = (
    "GET /api/downloads/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Listener:
    """One socket; `chunks` are what came, with the moment, in those that look."""

    def __init__(self, port, looks):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(HANDSHAKE.format(port=port).encode())
        self.looks = looks
        self.chunks = []
        self.size = 0

    def take(self):
        chunk = self.socket.recv(LARGEST)
        assert chunk, "a socket was closed"
        self.size += len(chunk)
        if self.looks:
            self.chunks.append((time.monotonic(), chunk))

    def progress(self, since):
        """What it heard since then, frame by frame: a frame has come with the last piece of it."""
        stream, ends = b"".join(chunk for _moment, chunk in self.chunks), []
        for moment, chunk in self.chunks:
            ends.append((moment, len(chunk) + (ends[-1][1] if ends else 0)))
        position, piece = stream.index(b"\r\n\r\n") + 4, 0
        while (found := _frame(stream, position)) is not None:
            is_text, payload, position = found
            while ends[piece][1] < position:
                piece += 1
            message = json.loads(payload) if is_text else {}
            if message.get("type") == "progress" and ends[piece][0] >= since:
                yield ends[piece][0], message["task_id"], message["progress"]["downloaded_bytes"]


def _frame(stream, position):
    """Whether the frame that begins here is text, its payload, and where the next one begins; None if it is cut."""
    if position + 10 > len(stream):
        return None
    is_text, size, position = stream[position] == 0x81, stream[position + 1], position + 2
    if size >= 126:
        length = 2 if size == 126 else 8
        size = int.from_bytes(stream[position : position + length])
        position += length
    end = position + size
    return (is_text, stream[position:end], end) if end <= len(stream) else None


def main():
    port, number, seconds = (int(argument) for argument in sys.argv[1:])
    listeners, selector = [], selectors.DefaultSelector()
    for index in range(number):
        listeners.append(listener := Listener(port, looks=number < LOOK or index % (number // LOOK) == 0))
        listener.socket.settimeout(0)
        selector.register(listener.socket, selectors.EVENT_READ, listener)
        _listen(selector, 0)
    deadline = time.monotonic() + FIRST
    while any(listener.size < 150 for listener in listeners):  # the answer to the handshake is shorter
        assert time.monotonic() < deadline, "not all had a first message"
        _listen(selector, 0.1)
    print("ready", flush=True)
    began = time.monotonic()
    end = began + seconds
    while time.monotonic() < end:
        _listen(selector, end - time.monotonic())
    heard = [each for listener in listeners if listener.looks for each in listener.progress(began)]
    print(json.dumps(heard), flush=True)
    sys.stdin.read()  # stay until told


def _listen(selector, limit):
    for key, _events in selector.select(limit):
        key.data.take()


if __name__ == "__main__":
    main()
