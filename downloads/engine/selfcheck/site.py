"""A video in four forms, made by ffmpeg, and a web server on 127.0.0.1 that has them."""

import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

SECONDS: Final = 12  # and as many segments of HLS
CLIP: Final = "clip.mp4"
HLS: Final = "hls.m3u8"
DASH: Final = "dash.mpd"
PAGE: Final = "page.html"
SEGMENT: Final = "segment%02d.ts"
MAKING_LIMIT: Final = 30.0  # seconds
HOLD_LIMIT: Final = 30.0
TYPES: Final = {
    ".mp4": "video/mp4",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".mpd": "application/dash+xml",
    ".html": "text/html; charset=utf-8",
}


def make_media(ffmpeg: Path, folder: Path) -> None:
    """Write the clip, HLS of it with AES-128, DASH of it with sound and picture apart, and a page with it."""
    picture = f"testsrc2=size=320x180:rate=25:duration={SECONDS}"
    tone = f"sine=frequency=440:sample_rate=44100:duration={SECONDS}"
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac"]
    _ffmpeg(ffmpeg, folder, "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, *coded, CLIP)
    (folder / "key.bin").write_bytes(b"self-check's key")
    (folder / "key.info").write_text("key.bin\nkey.bin\n000102030405060708090a0b0c0d0e0f\n")
    hls = ["-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod", "-hls_key_info_file", "key.info"]
    _ffmpeg(ffmpeg, folder, "-i", CLIP, "-c", "copy", *hls, "-hls_segment_filename", SEGMENT, HLS)
    dash = ["-f", "dash", "-seg_duration", "2", "-adaptation_sets", "id=0,streams=v id=1,streams=a"]
    _ffmpeg(ffmpeg, folder, "-i", CLIP, "-c", "copy", *dash, DASH)
    (folder / PAGE).write_text(f'<!doctype html><title>A page</title><video src="{CLIP}"></video>')


def _ffmpeg(ffmpeg: Path, folder: Path, *arguments: str) -> None:
    command: list[Path | str] = [ffmpeg, "-v", "error", "-nostdin", *arguments]
    subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, timeout=MAKING_LIMIT, check=True)


@dataclass
class _Held:
    """Names of files, each with the number of bytes after which its answers wait."""

    after: dict[str, int] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)


class Site:
    """Serves the files of a folder, with ranges, while a `with` block lasts."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing below it is served."""
        self.folder = folder
        self.starts: set[tuple[str, int]] = set()
        """From which byte on each file was asked for."""
        self.sent: Counter[str] = Counter()
        """How many bytes of each file were sent."""
        self._held = _Held()
        self._server = _Server(self)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.over.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, name: str) -> str:
        """Where a file of the folder is."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    @contextmanager
    def holding(self, after: dict[str, int]) -> Iterator[None]:
        """While the block lasts, answers with these files stop after so many bytes; they never come to their end."""
        self._held = _Held(after)
        try:
            yield
        finally:
            self._held.over.set()
            self._held = _Held()

    def answer(self, name: str, wanted: range, request: BaseHTTPRequestHandler) -> None:
        """Send these bytes of a file; called in the thread of the request."""
        self.starts.add((name, wanted.start))
        held = self._held
        stop = min(held.after.get(name, wanted.stop), wanted.stop)
        content = (self.folder / name).read_bytes()[wanted.start : stop]
        self.sent[name] += len(content)
        request.wfile.write(content)
        if stop < wanted.stop:
            request.close_connection = True
            held.over.wait(HOLD_LIMIT)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(("127.0.0.1", 0), _Request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  the library's interface
        if not isinstance(sys.exception(), ConnectionError):  # whose client has been killed
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        file = self.server.site.folder / name
        if "/" in name or not file.is_file():
            self.send_error(404)
            return
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        wanted = range(int(asked[1]), min(int(asked[2] or size) + 1, size)) if asked else range(size)
        if not wanted:
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", TYPES.get(file.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(wanted)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{name}"')
        if asked:
            self.send_header("Content-Range", f"bytes {wanted.start}-{wanted.stop - 1}/{size}")
        self.end_headers()
        if self.command == "GET":
            self.server.site.answer(name, wanted, self)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass
