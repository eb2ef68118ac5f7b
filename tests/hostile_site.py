"""A web site that means harm: each path does something that no honest site would."""

import gzip
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MEGABYTE = 1024 * 1024


def bomb():
    """600 MB of blanks in 600 kB."""
    packer = gzip.compress(b" " * MEGABYTE)
    return {"Content-Type": "text/html", "Content-Encoding": "gzip"}, [gzip.compress(b"<html><body>"), *[packer] * 600]


def endless_manifest():
    """100 MB of segments."""
    line = b"#EXTINF:2,\nsegment.ts\n"
    return {"Content-Type": "application/vnd.apple.mpegurl"}, [b"#EXTM3U\n", *[line * (MEGABYTE // len(line))] * 100]


def deep_manifest():
    """15 MB of XML, every element of which takes ten times its length in memory."""
    element = b"<S/>"
    body = [b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', *[element * (MEGABYTE // len(element))] * 15, b"</MPD>"]
    return {"Content-Type": "application/dash+xml"}, body


def many_forms():
    """A page of 1 MB that drives searches for forms and tags to despair."""
    return {"Content-Type": "text/html"}, [b"<html><body>", b"<video <source <a href='" * 42_000]


PATHS = {
    "/bomb.html": bomb,
    "/endless.m3u8": endless_manifest,
    "/deep.mpd": deep_manifest,
    "/forms.html": many_forms,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        headers, body = self._titled(url) if url.path == "/titled.html" else PATHS[url.path]()
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(ConnectionError):
            for chunk in body:
                self.wfile.write(chunk)

    def do_HEAD(self):
        self.do_GET()

    def _titled(self, url):
        """A page with a video, and a title of the client's own choice, repeated at will."""
        query = parse_qs(url.query)
        title = query["title"][0] * int(query.get("times", ["1"])[0])
        page = f'<html><head><title>{title}</title></head><video src="{query["video"][0]}"></video></html>'
        return {"Content-Type": "text/html; charset=utf-8"}, [page.encode()]

    def log_message(self, *_):
        pass


@contextmanager
def hostile_site():
    """Serve it; the address it is at."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
