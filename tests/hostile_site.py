"""A web site that means harm: each path does something that no honest site would."""

import gzip
import random
import subprocess
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import imageio_ffmpeg

MEGABYTE = 1024 * 1024


def bomb():
    """600 MB of blanks in 600 kB."""
    packer = gzip.compress(b" " * MEGABYTE)
    return {"Content-Type": "text/html", "Content-Encoding": "gzip"}, [gzip.compress(b"<html><body>"), *[packer] * 600]


def endless_manifest():
    """100 MB of segments."""
    line = b"#EXTINF:2,\nsegment.ts\n"
    return {"Content-Type": "application/vnd.apple.mpegurl"}, [b"#EXTM3U\n", *[line * (MEGABYTE // len(line))] * 100]


def endless_feed():
    """A feed of more videos than anybody could count."""
    item = b"<item><title>One more</title><link>http://127.0.0.1:1/v.mp4</link></item>"
    head = b'<?xml version="1.0"?><rss version="2.0"><channel><title>A feed</title>'
    return {"Content-Type": "application/rss+xml"}, [head, *[item * (MEGABYTE // len(item))] * 100]


def deep_manifest():
    """15 MB of XML, every element of which takes ten times its length in memory."""
    element = b"<S/>"
    body = [b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', *[element * (MEGABYTE // len(element))] * 15, b"</MPD>"]
    return {"Content-Type": "application/dash+xml"}, body


def many_forms():
    """A page of 1 MB that drives searches for forms and tags to despair."""
    return {"Content-Type": "text/html"}, [b"<html><body>", b"<video <source <a href='" * 42_000]


def program():
    """What a desktop or a shell would run, said to be a video."""
    return {"Content-Type": "video/mp4"}, [b"[Desktop Entry]\nExec=touch /tmp/ran\n" * 400]


def cloudflare():
    """What Cloudflare answers to a visitor that it takes for a robot."""
    headers = {"status": 403, "Content-Type": "text/html", "cf-mitigated": "challenge"}
    return headers, [b"<title>Just a moment...</title>"]


def drm_playlist():
    """HLS for Apple's FairPlay."""
    key = b'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key",KEYFORMAT="com.apple.streamingkeydelivery"\n'
    body = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + key + b"#EXTINF:2,\nsegment.ts\n#EXT-X-ENDLIST\n"
    return {"Content-Type": "application/vnd.apple.mpegurl"}, [body]


def drm_manifest():
    """DASH for Widevine."""
    protection = '<ContentProtection schemeIdUri="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"/>'
    template = '<SegmentTemplate media="$Number$.m4s" initialization="init.mp4" duration="2"/>'
    sets = (
        f'<AdaptationSet mimeType="{kind}/mp4">{protection}'
        f'<Representation id="{kind}" bandwidth="1000">{template}</Representation></AdaptationSet>'
        for kind in ("video", "audio")
    )
    head = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT4S">'
    return {"Content-Type": "application/dash+xml"}, [f"{head}<Period>{''.join(sets)}</Period></MPD>".encode()]


def mediasite():
    """A page that an extractor of yt-dlp is for, but not as that expects it."""
    return {"Content-Type": "text/html"}, [b"<html></html>"]


def mediasite_options():
    """The same site's answer without what the extractor looks for."""
    return {"Content-Type": "application/json"}, [b'{"d": {"Presentation": null}}']


def broken_video():
    """The head of a WebM file whose frames are noise."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:duration=4"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "whole.webm"  # a file, since ffmpeg goes back in it to write how long it is
        subprocess.run([*command, "-c:v", "libvpx", file], check=True)
        whole = file.read_bytes()
    head = whole.index(b"\x1f\x43\xb6\x75") + 40  # right behind the first Cluster
    return {"Content-Type": "video/webm"}, [whole[:head] + random.Random(1).randbytes(len(whole) - head)]


def text():
    """A text under the name of a video."""
    return {"Content-Type": "video/mp4"}, [b"This is no video at all. " * 400]


PATHS = {
    "/cloudflare.html": cloudflare,
    "/drm.m3u8": drm_playlist,
    "/drm.mpd": drm_manifest,
    "/Mediasite/Play/2db6c271681e4f199af3c60d1f82869b1d": mediasite,
    "/Mediasite/PlayerService/PlayerService.svc/json/GetPlayerOptions": mediasite_options,
    "/broken.webm": broken_video,
    "/text.mp4": text,
    "/bomb.html": bomb,
    "/endless.m3u8": endless_manifest,
    "/endless.rss": endless_feed,
    "/evil.desktop": program,
    "/evil.exe": program,
    "/evil.html": program,
    "/evil.sh": program,
    "/deep.mpd": deep_manifest,
    "/forms.html": many_forms,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        headers, body = self._titled(url) if url.path == "/titled.html" else PATHS[url.path]()
        self.send_response(headers.pop("status", 200))
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

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
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
