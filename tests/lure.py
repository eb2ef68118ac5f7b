"""A web site whose every page leads to one other address, in another way each."""

import html
import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HLS = "application/vnd.apple.mpegurl"
DASH = "application/dash+xml"
PAGE = "text/html; charset=utf-8"
XML = "text/xml"


def playlist(*lines):
    return HLS, "\n".join(["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:2", *lines, "#EXT-X-ENDLIST", ""])


def segments(uri):
    return playlist("#EXTINF:2,", uri, "#EXTINF:2,", uri)


def master(*lines):
    return HLS, "\n".join(["#EXTM3U", *lines, ""])


def manifest(inside, head=""):
    body = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S">'
        f'{head}<Period><AdaptationSet mimeType="video/mp4"><Representation id="v" bandwidth="1000" width="320" '
        f'height="180">{inside}</Representation></AdaptationSet></Period></MPD>'
    )
    return DASH, body


def page(inside, head=""):
    return PAGE, f"<!DOCTYPE html><html><head><title>A page</title>{head}</head><body>{inside}</body></html>"


def linked_data(**fields):
    video = {"@context": "https://schema.org", "@type": "VideoObject", "name": "A video", **fields}
    return page("", f'<script type="application/ld+json">{json.dumps(video)}</script>')


def ways(there, here):
    """Every way by its path: what the site answers, with `there` as the address (without a path) that it leads to."""
    video, stream = f"{there}/v.mp4", f"{there}/v.m3u8"
    segment = f"{here}/segment.ts"
    key = '#EXT-X-KEY:METHOD=AES-128,URI="{}"'
    variant = "#EXT-X-STREAM-INF:BANDWIDTH=1000,RESOLUTION=320x180{}"
    media = '#EXT-X-MEDIA:TYPE={},GROUP-ID="g",NAME="n",LANGUAGE="en",DEFAULT=YES,URI="{}"'
    template = '<SegmentTemplate media="{}" initialization="{}" duration="2"/>'
    own, theirs = f"{here}/$Number$.m4s", f"{there}/$Number$.m4s"
    rss = (
        '<?xml version="1.0"?><rss version="2.0"><channel><title>A feed</title>'
        "<item><title>One</title>{}</item></channel></rss>"
    )
    xspf = (
        '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track>'
        f"<location>{video}</location><title>t</title></track></trackList></playlist>"
    )
    smil = f'<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><video src="{video}"/></body></smil>'
    f4m = (
        f'<manifest xmlns="http://ns.adobe.com/f4m/1.0"><baseURL>{there}/</baseURL><media url="v" bitrate="1"/>'
        "</manifest>"
    )
    escaped = stream.replace("/", "\\/")
    return {
        "/hls/variant.m3u8": master(variant.format(""), stream),
        "/hls/segment.m3u8": segments(f"{there}/s.ts"),
        "/hls/scheme-relative.m3u8": segments(f"//{urlsplit(there).netloc}/s.ts"),
        "/hls/base-path.m3u8": segments(f"http:\\\\{urlsplit(there).netloc}/s.ts"),
        "/hls/key.m3u8": playlist(key.format(f"{there}/key"), "#EXTINF:2,", segment),
        "/hls/second-key.m3u8": playlist("#EXTINF:2,", segment, key.format(f"{there}/key"), "#EXTINF:2,", segment),
        "/hls/map.m3u8": playlist(f'#EXT-X-MAP:URI="{there}/init.mp4"', "#EXTINF:2,", segment),
        "/hls/audio.m3u8": master(media.format("AUDIO", stream), variant.format(',AUDIO="g"'), f"{here}/hls/own.m3u8"),
        "/hls/subtitles.m3u8": master(
            media.format("SUBTITLES", stream), variant.format(',SUBTITLES="g"'), f"{here}/hls/own.m3u8"
        ),
        "/hls/byte-range.m3u8": playlist("#EXTINF:2,", "#EXT-X-BYTERANGE:100@0", f"{there}/s.ts"),
        "/hls/redirected-segment.m3u8": segments(f"{here}/302/s.ts"),
        "/hls/redirected-key.m3u8": playlist(key.format(f"{here}/302/key"), "#EXTINF:2,", segment),
        "/hls/redirected-variant.m3u8": master(variant.format(""), f"{here}/302/v.m3u8"),
        "/hls/own.m3u8": segments(segment),
        "/dash/base.mpd": manifest(f"<BaseURL>{video}</BaseURL>"),
        "/dash/base-above.mpd": manifest("<BaseURL>v.mp4</BaseURL>", f"<BaseURL>{there}/</BaseURL>"),
        "/dash/media.mpd": manifest(template.format(theirs, f"{here}/init.mp4")),
        "/dash/init.mpd": manifest(template.format(own, f"{there}/init.mp4")),
        "/dash/list.mpd": manifest(f'<SegmentList duration="2"><SegmentURL media="{there}/1.m4s"/></SegmentList>'),
        "/dash/redirected.mpd": manifest(template.format(f"{here}/302/$Number$.m4s", f"{here}/302/init.mp4")),
        "/page/video.html": page(f'<video src="{video}"></video>'),
        "/page/source.html": page(f'<video><source src="{video}" type="video/mp4"></video>'),
        "/page/audio.html": page(f'<audio src="{there}/a.mp3"></audio>'),
        "/page/hls.html": page(f'<video src="{stream}"></video>'),
        "/page/scheme-relative.html": page(f'<video src="//{urlsplit(there).netloc}/v.mp4"></video>'),
        "/page/base.html": page('<video src="v.mp4"></video>', f'<base href="{there}/">'),
        "/page/iframe.html": page(f'<iframe src="{there}/player.html"></iframe>'),
        "/page/embed.html": page(f'<embed src="{video}" type="video/mp4">'),
        "/page/object.html": page(f'<object data="{video}" type="video/mp4"></object>'),
        "/page/og-video.html": page("", f'<meta property="og:video" content="{video}">'),
        "/page/og-secure.html": page("", f'<meta property="og:video:secure_url" content="{video}">'),
        "/page/twitter.html": page(
            "", f'<meta name="twitter:player" content="{there}/p"><meta name="twitter:player:stream" content="{video}">'
        ),
        "/page/content-url.html": linked_data(contentUrl=video),
        "/page/embed-url.html": linked_data(embedUrl=f"{there}/embed"),
        "/page/jwplayer.html": page(
            f'<div id="p"></div><script>jwplayer("p").setup({{"file": "{stream}", "image": "{there}/t.jpg"}});</script>'
        ),
        "/page/script.html": page(f"<script>var play = {json.dumps(json.dumps({'url': stream}))};</script>"),
        "/page/escaped.html": page(f'<script>var play = {{"url": "{escaped}"}};</script>'),
        "/page/attribute.html": page(f'<div data-video-src="{stream}"></div>'),
        "/page/link.html": page(f'<a href="{video}">Play</a>'),
        "/page/meta-refresh.html": page("", f'<meta http-equiv="refresh" content="0; url={video}">'),
        "/page/entities.html": page(f'<video src="{"".join(f"&#{ord(c)};" for c in video)}"></video>'),
        "/page/thumbnail.html": page(
            f'<video src="{here}/small.mp4" poster="{there}/p.jpg"></video>',
            f'<meta property="og:image" content="{there}/t.jpg">',
        ),
        "/page/linked-thumbnail.html": linked_data(contentUrl=f"{here}/small.mp4", thumbnailUrl=f"{there}/t.jpg"),
        "/page/track.html": page(
            f'<video src="{here}/small.mp4"><track kind="subtitles" srclang="en" src="{there}/s.vtt"></video>'
        ),
        "/feed/link.rss": ("application/rss+xml", rss.format(f"<link>{html.escape(video)}</link>")),
        "/feed/enclosure.rss": ("application/rss+xml", rss.format(f'<enclosure url="{video}" type="video/mp4"/>')),
        "/list/clip.xspf": ("application/xspf+xml", xspf),
        "/list/clip.smil": ("application/smil+xml", smil),
        "/list/clip.f4m": ("application/f4m+xml", f4m),
    }


def local_ways(file):
    """Playlists that name what is not on the web at all."""
    names = {
        "file": f"file://{file}",
        "bare": str(file),
        "data": "data:video/mp4;base64,AAAA",
        "concat": f"concat:{file}|{file}",
        "subfile": f"subfile,,start,0,end,100,,:{file}",
        "crypto": f"crypto:{file}",
        "pipe": "pipe:0",
        "unix": "unix:/var/run/docker.sock",
        "tcp": "tcp://127.0.0.2:1/",
        "udp": "udp://127.0.0.2:1/",
        "rtmp": "rtmp://127.0.0.2:1/live/x",
        "ftp": "ftp://127.0.0.2:1/v.ts",
        "gopher": "gopher://127.0.0.2:1/_x",
        "tee": f"tee:{file}",
    }
    return {f"/local/{name}.m3u8": segments(uri) for name, uri in names.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urlsplit(self.path).path
        status, headers, body = self._answer(path)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):
                self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def _answer(self, path):
        first = path.split("/")[1]
        rest = path[len(first) + 1 :]
        if first.isdigit():
            return int(first), {"Location": self.server.there + rest}, b""
        if first == "twice":
            return 302, {"Location": f"/302{rest}"}, b""
        if first == "header":
            return 200, {"Refresh": f"0; url={self.server.there}/v.mp4", "Content-Type": PAGE}, b"<html></html>"
        if path in self.server.files:
            kind, body = self.server.files[path]
            return 200, {"Content-Type": kind}, body
        return 404, {}, b""

    def log_message(self, *_):
        pass


@contextmanager
def lure(there, *, small, local):
    """Serve all ways to `there`; `small` is a good video of our own, `local` a file that nobody may have."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        here = f"http://127.0.0.1:{server.server_address[1]}"
        server.there = there
        texts = ways(there, here) | local_ways(local)
        server.files = {path: (kind, text.encode()) for path, (kind, text) in texts.items()}
        server.files |= {"/small.mp4": ("video/mp4", small), "/segment.ts": ("video/mp2t", small[:10_000])}
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield here
        server.shutdown()
