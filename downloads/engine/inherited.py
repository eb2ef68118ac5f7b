"""What every child needs and is the same in each: made once, in the process that they are forked from.

Without this a child takes 0.10 s of a processor for a file of 1 MiB; half of that is what is made here.
"""

from functools import cache
from ssl import SSLContext
from typing import Any, Final

from yt_dlp import YoutubeDL
from yt_dlp.extractor import gen_extractor_classes
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking._helper import make_ssl_context
from yt_dlp.networking.common import RequestHandler

# What goes the way of a video whose formats are known: the patterns and tables on that way are compiled then
REHEARSED: Final[dict[str, Any]] = {
    "id": "rehearsal",
    "title": "Rehearsal",
    "extractor": "generic",
    "extractor_key": "Generic",
    "webpage_url": "http://127.0.0.1/",
    "upload_date": "20240101",
    "duration": 60,
    "formats": [
        {
            "format_id": "audio",
            "url": "http://127.0.0.1/audio.m4a",
            "ext": "m4a",
            "acodec": "mp4a.40.2",
            "vcodec": "none",
        },
        {"format_id": "video", "url": "http://127.0.0.1/video.mp4", "ext": "mp4", "vcodec": "avc1", "acodec": "none"},
        {"format_id": "both", "url": "http://127.0.0.1/both.mp4", "ext": "mp4", "height": 360},
    ],
}

_make_sslcontext = RequestHandler._make_sslcontext  # noqa: SLF001


def make_all(ydl: YoutubeDL) -> None:
    """Make it."""
    default_extractors()
    _context(verify=True, is_legacy=False, has_certifi=True)
    page = ydl.get_info_extractor("Generic")
    page._og_search_title("", default=None)  # noqa: SLF001  an extractor's own means
    page._html_extract_title("", default=None)  # noqa: SLF001
    ydl.prepare_filename(ydl.process_ie_result(REHEARSED, download=False))


def ssl_context(self: RequestHandler, legacy_ssl_support: Any = None) -> SSLContext:  # noqa: ANN401  yt-dlp's own
    """Cure 23: the certificates of the world are read once; that takes 0.04 s, also for what is no https://."""
    if self._client_cert:
        context: SSLContext = _make_sslcontext(self, legacy_ssl_support)
        return context
    is_legacy = self.legacy_ssl_support if legacy_ssl_support is None else legacy_ssl_support
    return _context(verify=self.verify, is_legacy=bool(is_legacy), has_certifi=not self.prefer_system_certs)


@cache
def _context(*, verify: bool, is_legacy: bool, has_certifi: bool) -> SSLContext:
    context: SSLContext = make_ssl_context(verify=verify, legacy_support=is_legacy, use_certifi=has_certifi)
    return context


@cache
def default_extractors() -> tuple[type[InfoExtractor], ...]:
    """Every extractor that is on unless somebody says otherwise, in the order in which they are asked."""
    return tuple(extractor for extractor in gen_extractor_classes() if extractor._ENABLED)  # noqa: SLF001
