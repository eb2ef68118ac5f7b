"""The picture of a video: what the site shows for it, or a frame of it, always as a JPEG made here.

What a site calls a picture may be anything. ffmpeg reads it, told that it is one of a few kinds of pictures and no
larger than a camera's.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from downloads.engine.fetching import Fetcher
from downloads.engine.ffmpeg import PICTURES, FfmpegFailed, Media, Toolbox, input_arguments, run_briefly

MAX_BYTES: Final = 10 * 1024 * 1024
CANDIDATES: Final = 5  # of a site's pictures that are tried, the best first

_MAX_PIXELS: Final = 50_000_000
_PAGE_WIDTH, _PAGE_HEIGHT = 640, 1280
_COVER_SIDE = 1920
_TIME_LIMIT = 10.0  # seconds for ffmpeg
# For one picture threads cost more than they bring, and the nearest key frame is as good as the frame after it.
# Without -xerror it would read to the end of a film whose codec it does not know.
_HURRY: Final = ("-xerror", "-filter_threads", "1", "-threads", "1", "-skip_frame", "nokey", "-noaccurate_seek")
_SEEK: Final = 0.1  # of the video: behind most openings
_SCALE: Final = (
    "scale=w='min({},iw)':h='min({},ih)':force_original_aspect_ratio=decrease:out_range=full,format=yuvj420p"
)


@dataclass(frozen=True)
class Pictures:
    """One picture as JPEGs: `page` is at most 640 pixels wide, `cover`, where it is wanted, 1920 on its longer side."""

    page: Path
    cover: Path | None


def of_site(fetcher: Fetcher, folder: Path, toolbox: Toolbox) -> Pictures | None:
    """The first of the site's pictures that is one; `None` where there is none."""
    raw = folder / "picture"  # no extension, or ffmpeg would go by it
    for address, headers in _addresses(fetcher.info):
        # Whatever a server does instead of sending a picture, there may be another one.
        with suppress(Exception):
            raw.write_bytes(fetcher.fetch(address, headers, MAX_BYTES))
            return _made(["-max_pixels", str(_MAX_PIXELS), *input_arguments(raw, PICTURES)], folder, toolbox)
    return None


def of_video(path: Path, media: Media, folder: Path, toolbox: Toolbox, *, with_cover: bool) -> Pictures | None:
    """A frame of the video, or the cover that is in the file; `None` where there is neither."""
    if not any(stream.kind == "video" for stream in media.streams):
        return None
    seek = ["-ss", f"{(media.duration or 0) * _SEEK:.3f}"] if media.videos else []
    with suppress(FfmpegFailed):
        return _made([*seek, *input_arguments(path)], folder, toolbox, with_cover=with_cover)
    return None


def _addresses(info: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, str]]]:
    listed = [each for each in info.get("thumbnails") or [] if isinstance(each, dict)]
    for each in listed[: -CANDIDATES - 1 : -1] or [{"url": info.get("thumbnail")}]:
        address = each.get("url")
        if isinstance(address, str):
            yield address, each.get("http_headers") or {}


def _made(source: list[str], folder: Path, toolbox: Toolbox, *, with_cover: bool = True) -> Pictures:
    page, cover = folder / "page.jpg", folder / "cover.jpg" if with_cover else None
    outputs = _output(page, _PAGE_WIDTH, _PAGE_HEIGHT)
    if cover:
        outputs += _output(cover, _COVER_SIDE, _COVER_SIDE)
    try:
        run_briefly(toolbox.quick or toolbox.ffmpeg, [*_HURRY, *source, *outputs], timeout=_TIME_LIMIT)
    except FfmpegFailed:  # a codec that it does not know, or no key frame in sight
        run_briefly(toolbox.ffmpeg, [*source, *outputs], timeout=_TIME_LIMIT)
    return Pictures(page, cover)


def _output(path: Path, width: int, height: int) -> list[str]:
    scale = _SCALE.format(width, height)
    return [
        *("-map", "0:v:0", "-frames:v", "1", "-vf", scale),
        *("-c:v", "mjpeg", "-threads", "1", "-q:v", "3", "-f", "mjpeg"),
        f"file:{path}",
    ]
