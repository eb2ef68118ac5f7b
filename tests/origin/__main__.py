"""Serve the origin by hand: python -m tests.origin --port 8800."""

import argparse
import sys
import threading
from pathlib import Path

from tests.origin.content import SHAPES
from tests.origin.media import make_media, media_folder
from tests.origin.server import Origin

PATHS = (
    "/direct/video.mp4",
    "/direct/small.mp4",
    "/direct/audio.mp3",
    "/direct/audio.m4a",
    "/direct/vp9.webm",
    "/direct/av1.mp4",
    "/direct/big.bin?size=1000000",
    "/hls/plain/index.m3u8",
    "/hls/aes/index.m3u8",
    "/hls/numbered/index.m3u8",
    "/hls/ranges/index.m3u8",
    "/hls/aes/index.m3u8?need_cookie=1",
    "/hls/multi/master.m3u8",
    "/hls/split/master.m3u8",
    "/dash/manifest.mpd",
    "/live/plain/index.m3u8",
    "/live/aes/index.m3u8?lasts=120",
    "/live/split.m3u8?window=0",
    "/companions/picture.jpg",
    "/companions/hls/master.m3u8",
    "/page/described.html",
    "/page/video.html",
    "/page/hls.html",
    "/page/hidden.html",
    "/page/playlist.html",
    "/page/feed.rss",
    "/page/none.html",
    *(f"/shape/{page.name}" for page in sorted(SHAPES.glob("*.html"))),
    "/redirect/302?to=/direct/video.mp4",
    "/loop",
    "/status/503?retry_after=5",
    "/hang",
    "/drip",
)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.origin", description="Serve the tests' media.")
    parser.add_argument("--port", type=int, default=8800)
    parser.add_argument("--media", type=Path, default=media_folder(), help="where the media is, or is to be made")
    options = parser.parse_args()
    with Origin(make_media(options.media), port=options.port) as origin:
        sys.stdout.writelines(f"{origin.base}{path}\n" for path in PATHS)
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
