"""What the origin's paths hold: files, documents with their links rewritten, and a big file that exists nowhere."""

import base64
import hashlib
import html
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from urllib.parse import quote, urljoin

from tests.origin.behaviour import carried

TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ts": "video/mp2t",
    ".m4s": "video/iso.segment",
    ".bin": "application/octet-stream",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".html": "text/html; charset=utf-8",
    ".rss": "application/rss+xml; charset=utf-8",
    ".opus": "audio/ogg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".vtt": "text/vtt",
    ".srt": "application/x-subrip",
    ".ttml": "application/ttml+xml",
}
SHAPES = Path(__file__).resolve().parent / "shapes"  # one page for each form in which sites write where their video is
VIDEO_ID = "abcdefghijk"  # of the video that the SponsorBlock server knows
BLOCK = random.Random(0).randbytes(1_048_573)  # a prime length, so that no shift by a round number goes unnoticed

# $query is carried on inside an attribute, $raw_query inside a script, $about is JSON; `_filled` knows the other names.
PAGES = {
    "/page/video.html": """<!DOCTYPE html>
<html><head><title>A page with a video</title></head>
<body><video src="$base/direct/video.mp4$query" controls></video></body></html>
""",
    "/page/titled.html": """<!DOCTYPE html>
<html><head><title>A page that says what its video is</title></head>
<body><script type="application/ld+json">$about</script></body></html>
""",
    "/page/hls.html": """<!DOCTYPE html>
<html><head><title>A page with a stream</title></head>
<body><div id="player"></div>
<script>jwplayer("player").setup({"file": "$base/hls/multi/master.m3u8$raw_query"});</script></body></html>
""",
    "/page/hidden.html": r"""<!DOCTYPE html>
<html><head><title>A page that hides its video</title></head>
<body><div id="app"></div>
<script>window.__STATE__ = {"play": "$escaped_base\/direct\/video.mp4$raw_query"};</script></body></html>
""",
    "/page/playlist.html": """<!DOCTYPE html>
<html><head><title>A page with three videos</title></head><body>
<video src="$base/direct/video.mp4$query"></video>
<video src="$base/direct/small.mp4$query"></video>
<video src="$base/direct/av1.mp4$query"></video>
</body></html>
""",
    "/page/feed.rss": """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>A feed with three videos</title>
<item><title>First</title><link>$base/direct/video.mp4$query</link></item>
<item><title>Second</title><link>$base/direct/small.mp4$query</link></item>
<item><title>Third</title><link>$base/direct/av1.mp4$query</link></item>
</channel></rss>
""",
    "/page/described.html": """<!DOCTYPE html>
<html><head><title>A page that says it all</title>
<script type="application/ld+json">{"@context": "https://schema.org", "@type": "VideoObject",
"name": "All of it", "description": "What it is about;\\n# and = more", "uploadDate": "2026-03-04",
"thumbnailUrl": "$base/companions/picture.jpg", "contentUrl": "$base/direct/video.mp4$raw_query",
"author": {"@type": "Person", "name": "Ann"}, "duration": "PT12S", "hasPart": [
{"@type": "Clip", "name": "Beginning", "startOffset": 0, "endOffset": 4},
{"@type": "Clip", "name": "End", "startOffset": 4, "endOffset": 12}]}</script></head><body></body></html>
""",
    "/page/none.html": """<!DOCTYPE html>
<html><head><title>A page without a video</title></head><body><p>Nothing to see here.</p></body></html>
""",
}


@dataclass(frozen=True, kw_only=True)
class Content:
    type: str
    size: int
    etag: str
    read: Callable[[int, int], bytes]  # from the first position up to, without, the second
    document: bool = False

    @classmethod
    def of(cls, data: bytes, suffix: str, *, document: bool = False) -> "Content":
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'

        def read(first, end):
            return data[first:end]

        return cls(type=TYPES[suffix], size=len(data), etag=etag, read=read, document=document)


def find(media: Path, path: str, query: dict[str, str], base: str) -> Content | None:
    if path == "/direct/big.bin":
        return big_file(int(query.get("size", 1_000_000)))
    page = PAGES.get(path) or _shape(path)
    if page:
        return Content.of(_filled(page, query, base).encode(), Path(path).suffix, document=True)
    file = (media / path.lstrip("/")).resolve()
    if not file.is_relative_to(media.resolve()) or file.suffix not in TYPES or not file.is_file():
        return None
    if file.suffix in REWRITERS:
        text = REWRITERS[file.suffix](file.read_text(), carried(query))
        return Content.of(text.encode(), file.suffix, document=True)
    return Content.of(file.read_bytes(), file.suffix)


def marked(text: str) -> list[dict]:
    """Return what a SponsorBlock server answers: our video's parts, and those of another one with such a hash."""
    parts = [part.split(",") for part in text.split(";")]
    others = _video("somebody-else", [("sponsor", 0, 10)])
    return [others, _video(VIDEO_ID, [(category, float(start), float(end)) for category, start, end in parts])]


def _video(video_id, parts):
    segments = [
        {"segment": [start, end], "category": category, "actionType": "skip", "videoDuration": 0, "description": ""}
        for category, start, end in parts
    ]
    return {"videoID": video_id, "segments": segments}


def big_file(size: int) -> Content:
    return Content(type=TYPES[".bin"], size=size, etag=f'"big-{size}"', read=big_bytes)


def big_bytes(first: int, end: int) -> bytes:
    """Return what every big file holds from the first position up to, without, the end."""
    offset = first % len(BLOCK)
    blocks = (offset + end - first) // len(BLOCK) + 1
    return (BLOCK * blocks)[offset : offset + end - first]


def _shape(path):
    file = (SHAPES / path.removeprefix("/shape/")).resolve()
    return file.read_text() if file.is_relative_to(SHAPES) and file.suffix == ".html" and file.is_file() else ""


def _filled(page, query, base):
    raw = carried(query)
    stream = f"{base}/hls/multi/master.m3u8{raw}"
    about = {
        "@context": "https://schema.org",
        "@type": "VideoObject",
        "name": query.get("title", ""),
        "author": {"@type": "Person", "name": query.get("author", "")},
        "uploadDate": "2026-03-01",
        "contentUrl": f"{base}/direct/small.mp4{raw}",
        "thumbnailUrl": urljoin(base, query["picture"]) if "picture" in query else None,
    }
    return Template(page).substitute(
        base=base,
        query=html.escape(raw),
        raw_query=raw,
        about=json.dumps(about).replace("<", r"\u003c"),
        escaped_base=base.replace("/", r"\/"),
        unicode_base=base.replace("/", r"\u002F"),
        unicode_query=raw.replace("&", r"\u0026"),
        encoded_base=quote(base, safe=""),
        encoded_query=quote(raw, safe=""),
        schemeless_base=base.removeprefix("http:"),
        base64_stream=base64.b64encode(stream.encode()).decode(),
    )


def _rewrite_playlist(text, query):
    links = re.compile(r'^(?=[^#\s])(.+)$|(?<=URI=")([^"]+)', re.MULTILINE)
    return links.sub(lambda link: link[0] + query, text)


def _rewrite_dash(text, query):
    links = re.compile(r'(?<=media=")[^"]+|(?<=initialization=")[^"]+')
    return links.sub(lambda link: link[0] + html.escape(query), text)


REWRITERS = {".m3u8": _rewrite_playlist, ".mpd": _rewrite_dash}
