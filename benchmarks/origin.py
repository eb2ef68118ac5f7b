"""A static web server that costs as little as one in Python can: files go out by `sendfile`, from threads.

    python -m benchmarks.origin FOLDER [--port 8900]

`GET /path?rate=N&delay=S` sends a file of the folder: `rate` in bytes a second for each connection, `delay` in seconds
before each answer. Ranges, `ETag` and `Last-Modified` are as usual; directories and other methods are not.

`GET /sent` says when what went out of all files with a rate: by path with its query, for each request the pairs of a
moment (seconds of the monotonic clock, which all processes of a machine share) and the position in the file up to which
it was sent then.
"""

import argparse
import json
import re
import sys
import threading
import time
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

TYPES = {".mp4": "video/mp4", ".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t"}
TICKS_PER_SECOND = 100
LEAST_AT_ONCE = 4096  # bytes: smaller pieces cost the machine more than what is measured on it


class Origin:
    """Serve this folder on 127.0.0.1 from threads of this process, inside a `with`."""

    def __init__(self, folder, port=0):
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.folder = Path(folder).resolve()
        self._server.sent = {}
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, name="origin", daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 4096

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/sent":
            self._tell_what_was_sent()
            return
        query = dict(parse_qsl(url.query))
        file = (self.server.folder / unquote(url.path).lstrip("/")).resolve()
        if not file.is_relative_to(self.server.folder) or not file.is_file():
            self.send_error(404)
            return
        time.sleep(float(query.get("delay", 0)))
        self._send(file, int(query.get("rate", 0)))

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass

    def _send(self, file, rate):
        facts = file.stat()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1, facts.st_size) if asked and asked[2] else facts.st_size
        if first >= facts.st_size:
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{facts.st_size}")
        self.send_header("Content-Type", TYPES.get(file.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(end - first))
        self.send_header("ETag", f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"')
        self.send_header("Last-Modified", formatdate(facts.st_mtime, usegmt=True))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.flush()
        if self.command == "GET":
            with file.open("rb") as source:
                self._send_span(source, first, end, rate)

    def _tell_what_was_sent(self):
        body = json.dumps(self.server.sent).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _send_span(self, source, first, end, rate):
        step = max(LEAST_AT_ONCE, rate // TICKS_PER_SECOND) if rate else end - first
        sent = []
        if rate:
            self.server.sent.setdefault(self.path, []).append(sent)
        began = time.monotonic()
        for position in range(first, end, step):
            upto = min(position + step, end)
            self.connection.sendfile(source, position, upto - position)
            if rate:
                sent.append((time.monotonic(), upto))
                time.sleep(max(began + (upto - first) / rate - time.monotonic(), 0))


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.origin", description="Serve a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8900)
    options = parser.parse_args()
    with Origin(options.folder, options.port) as origin:
        print(f"http://127.0.0.1:{origin.port}/", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
