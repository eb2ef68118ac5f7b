"""What we change inside yt-dlp, each cure with its reason. `tests/test_cures.py` fails when a new version differs.

Made for yt-dlp 2026.10.26. Cures 1 to 3 and 8 to 11 end silent corruption of what is continued: before them 5 of 30 HLS
downloads that were killed and resumed with 4 threads were wrong. Those of fragments are in `fragments.py` (1, 2, 8, 9),
those of files in `resume.py` (10 to 12).
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from yt_dlp import YoutubeDL
from yt_dlp.downloader.common import FileDownloader
from yt_dlp.downloader.external import FFmpegFD
from yt_dlp.downloader.fragment import FragmentFD
from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking.common import Request, Response
from yt_dlp.networking.exceptions import TransportError
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor
from yt_dlp.utils import DownloadError, UnsupportedError
from yt_dlp.utils.networking import HTTPHeaderDict

from downloads.engine import fragments, resume
from downloads.engine.ffmpeg import INPUT_WHITE_LISTS

PAGE_LIMIT = 16 * 1024 * 1024  # bytes; pages and manifests, decompressed
HOPS = 10  # from page to page

_configuration_args = FFmpegPostProcessor._configuration_args  # noqa: SLF001
_get_metadata_object = FFmpegPostProcessor.get_metadata_object


def apply() -> None:
    """Apply every cure to the yt-dlp that this process has imported."""
    FragmentFD._write_ytdl_file = fragments.write_state  # noqa: SLF001
    FragmentFD._prepare_frag_download = fragments.prepare_fragments  # noqa: SLF001
    FragmentFD._prepare_and_start_frag_download = fragments.start_fragments  # noqa: SLF001
    FragmentFD.download_and_append_fragments = fragments.download_fragments
    FragmentFD._append_fragment = fragments.append_fragment  # noqa: SLF001
    FileDownloader.download = resume.download
    HttpFD.real_download = resume.download_file
    FileDownloader.best_block_size = staticmethod(resume.best_block_size)
    Request.headers = property(Request.headers.fget, copy_headers)
    FFmpegPostProcessor._configuration_args = whitelisted_arguments  # noqa: SLF001
    FFmpegPostProcessor.get_metadata_object = whitelisted_metadata
    FFmpegPostProcessor.get_audio_codec = audio_codec
    FFmpegFD._call_downloader = refuse_network  # noqa: SLF001
    FileDownloader.report_progress = say_nothing


def copy_headers(self: Request, headers: Any) -> None:  # noqa: ANN401  yt-dlp's own
    """Cure 3: a request gets headers of its own, so that the Range of one try does not stay for the next.

    Without it a file that cannot be continued is asked for in part for ever (yt-dlp issue 12994).
    """
    self._headers = HTTPHeaderDict(headers)


def whitelisted_arguments(
    self: FFmpegPostProcessor,
    exe: str,
    keys: Any = None,  # noqa: ANN401  yt-dlp's own
    *rest: Any,  # noqa: ANN401
    **options: Any,  # noqa: ANN401
) -> list[str]:
    """Cure 4: ffmpeg reads local files of known formats and nothing else, whatever a hostile "mp4" says."""
    arguments: list[str] = _configuration_args(self, exe, keys, *rest, **options)
    if exe in ("ffmpeg", "ffprobe") and keys and any(str(key).startswith("_i") for key in keys):
        return [*INPUT_WHITE_LISTS, *arguments]
    return arguments


def whitelisted_metadata(self: FFmpegPostProcessor, path: str, opts: Sequence[str] = ()) -> dict[str, Any]:
    """Cure 4 for ffprobe, which yt-dlp calls without those arguments."""
    metadata: dict[str, Any] = _get_metadata_object(self, path, [*INPUT_WHITE_LISTS, *opts])
    return metadata


def audio_codec(self: FFmpegPostProcessor, path: str) -> str | None:
    """Cure 4 for yt-dlp's other call of ffprobe, which takes no arguments at all."""
    streams = self.get_metadata_object(path).get("streams") or ()
    return next((stream.get("codec_name") for stream in streams if stream.get("codec_type") == "audio"), None)


def refuse_network(*_: object) -> NoReturn:
    """Cure 5: ffmpeg does not fetch, since it knows nothing of our address policy."""
    raise DownloadError("this stream can only be fetched by ffmpeg, which is not let into the network")


def say_nothing(*_: object) -> None:
    """Cure 6: half of the time of a fragment goes into a line of progress that nobody sees."""


class CappedYoutubeDL(YoutubeDL):
    """Cure 7: no page or manifest is read beyond `PAGE_LIMIT`, compressed bombs included.

    Cure 13: pages that lead from one to the next are followed `HOPS` times; yt-dlp follows until Python's stack ends.
    """

    _hops = 0

    def extract_info(self, url: str, *rest: Any, **options: Any) -> Any:  # noqa: ANN401  yt-dlp's own
        """Look up as yt-dlp does, which calls this again for a page that leads to another.

        Raises:
            UnsupportedError: there were too many of these.
        """
        if self._hops > HOPS:
            raise UnsupportedError(url)
        self._hops += 1
        try:
            return super().extract_info(url, *rest, **options)
        finally:
            self._hops -= 1

    def urlopen(self, request: Any) -> Response:  # noqa: ANN401  yt-dlp's own
        """Open as yt-dlp does; a read without a size ends at the limit with a TransportError."""
        response: Response = super().urlopen(request)
        read = response.read

        def capped(amount: int | None = None) -> bytes:
            if amount is not None:
                return bytes(read(amount))
            page = bytearray()
            while chunk := read(256 * 1024):
                page += chunk
                if len(page) > PAGE_LIMIT:
                    response.close()
                    raise TransportError(f"the page is longer than {PAGE_LIMIT} bytes")
            return bytes(page)

        response.read = capped
        return response
