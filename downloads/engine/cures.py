"""What we change inside yt-dlp, each cure with its reason. `tests/test_cures.py` fails when a new version differs.

Made for yt-dlp 2026.10.26. Cures 1 to 3 and 8 to 11 end silent corruption of what is continued: before them 5 of 30 HLS
downloads that were killed and resumed with 4 threads were wrong. Those of fragments are in `fragments.py` (1, 2, 8, 9),
those of files in `resume.py` (10, 11), `bodies.py` (12) and `parts.py` (18). Cures 19 and 20 are in
`fragment_fetching.py`, 22 is in `lists.py` as well, 23 in `inherited.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import curl_cffi
from curl_cffi import CurlOpt
from yt_dlp import YoutubeDL
from yt_dlp.downloader import fragment
from yt_dlp.downloader.common import FileDownloader
from yt_dlp.downloader.external import FFmpegFD
from yt_dlp.downloader.fragment import FragmentFD
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking._curlcffi import CurlCFFIRH
from yt_dlp.networking.common import Request, RequestDirector, RequestHandler, Response
from yt_dlp.networking.exceptions import TransportError, UnsupportedRequest
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor, FFmpegPostProcessorError
from yt_dlp.utils import DownloadError, UnsupportedError
from yt_dlp.utils.networking import HTTPHeaderDict

from downloads.engine import bodies, fragments, inherited, parts, resume
from downloads.engine.ffmpeg import INPUT_WHITE_LISTS, NO_SPACE, TOO_LARGE
from downloads.engine.lists import HEAD, Lists, address_of, is_list
from downloads.engine.protection import DISGUISED_KEY, KEY_LENGTH, KEY_WITHHELD, is_page, is_protected, is_readable
from downloads.engine.ramp import Allowance
from downloads.engine.throttle import Throttle
from downloads.engine.together import Together

_NO_EGRESS = "curl_cffi has no proxy to go through"
PAGE_LIMIT = 16 * 1024 * 1024  # bytes; pages and manifests, decompressed
HOPS = 10  # from page to page
NEW_ENOUGH = "4.4"  # the version of ffmpeg that yt-dlp takes it for: of 2021
FEATURES = {"fdk": False, "setts": True, "needs_adtstoasc": False}  # what yt-dlp finds out about such a one
share = Throttle(0)  # what the limit of all downloads together leaves to this process; its parent says so

_configuration_args = FFmpegPostProcessor._configuration_args  # noqa: SLF001
_probed: list[Any] = []  # what ffprobe was last asked for, and what it said
_get_metadata_object = FFmpegPostProcessor.get_metadata_object
_real_run_ffmpeg = FFmpegPostProcessor.real_run_ffmpeg
_decrypt = fragment.aes_cbc_decrypt_bytes
_send_by_curl = CurlCFFIRH._send  # noqa: SLF001
_validate_for_curl = CurlCFFIRH._validate  # noqa: SLF001
_is_target_of_curl = CurlCFFIRH.is_supported_target


def apply() -> None:
    """Apply every cure to the yt-dlp that this process has imported."""
    FragmentFD._write_ytdl_file = fragments.write_state  # noqa: SLF001
    FragmentFD._prepare_frag_download = fragments.prepare_fragments  # noqa: SLF001
    FragmentFD._prepare_and_start_frag_download = fragments.start_fragments  # noqa: SLF001
    FragmentFD.download_and_append_fragments = fragments.download_fragments
    FragmentFD._append_fragment = fragments.append_fragment  # noqa: SLF001
    FileDownloader.download = resume.download
    HttpFD.real_download = parts.download_file
    FileDownloader.best_block_size = staticmethod(bodies.best_block_size)
    RequestHandler._make_sslcontext = inherited.ssl_context  # noqa: SLF001
    Request.headers = property(Request.headers.fget, copy_headers)
    FFmpegPostProcessor._configuration_args = whitelisted_arguments  # noqa: SLF001
    FFmpegPostProcessor.get_metadata_object = whitelisted_metadata
    FFmpegPostProcessor.get_audio_codec = audio_codec
    FFmpegPostProcessor._get_version = presumed_version  # noqa: SLF001
    FFmpegPostProcessor.real_run_ffmpeg = run_and_hear
    FFmpegFD._call_downloader = refuse_network  # noqa: SLF001
    FileDownloader.report_progress = say_nothing
    HlsFD._has_drm = staticmethod(has_drm)  # noqa: SLF001
    fragment.aes_cbc_decrypt_bytes = decrypt_segment
    CurlCFFIRH._send = send_through_egress  # noqa: SLF001
    CurlCFFIRH._get_proxies = only_egress  # noqa: SLF001
    CurlCFFIRH._validate = validate_with_egress  # noqa: SLF001
    CurlCFFIRH.is_supported_target = is_target_with_egress
    use_egress("")


def use_egress(url: str) -> None:
    """Name the proxy that curl_cffi goes through from now on, in this process; without one it goes nowhere."""
    CurlCFFIRH.egress = url


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
    """Cure 4 for ffprobe, which yt-dlp calls without those arguments, and twice in a row for the same file."""
    state = Path(path).stat()
    asked = (path, *opts, state.st_ino, state.st_size, state.st_mtime_ns)
    if _probed[:1] != [asked]:
        _probed[:] = [asked, _get_metadata_object(self, path, [*INPUT_WHITE_LISTS, *opts])]
    metadata: dict[str, Any] = _probed[1]
    return metadata


def audio_codec(self: FFmpegPostProcessor, path: str) -> str | None:
    """Cure 4 for yt-dlp's other call of ffprobe, which takes no arguments at all."""
    streams = self.get_metadata_object(path).get("streams") or ()
    return next((stream.get("codec_name") for stream in streams if stream.get("codec_type") == "audio"), None)


def presumed_version(self: FFmpegPostProcessor, kind: str) -> str:
    """Cure 26: that both programs are there is known, and new enough; neither is started to be asked for it."""
    if kind == "ffmpeg":
        self.basename, self._features = kind, FEATURES
    else:
        self.probe_basename = kind
    return NEW_ENOUGH


def run_and_hear(self: FFmpegPostProcessor, *files: Any, **options: Any) -> str:  # noqa: ANN401  yt-dlp's own
    """Cure 27: on a full disk ffmpeg says so, and then "Conversion failed!", of which yt-dlp keeps the last line.

    Raises:
        FFmpegPostProcessorError: as yt-dlp does; with what the system said where that was it.
    """
    said: list[str] = []  # the command, and what came of it if that is an error
    self.write_debug = lambda text, *_, **__: said.append(text)
    try:
        output: str = _real_run_ffmpeg(self, *files, **options)
    except FFmpegPostProcessorError as error:
        for refusal in (NO_SPACE, TOO_LARGE):
            if any(refusal in text for text in said[-1:]):
                raise FFmpegPostProcessorError(refusal) from error
        raise
    finally:
        del self.write_debug
    return output


def refuse_network(*_: object) -> NoReturn:
    """Cure 5: ffmpeg does not fetch, since it knows nothing of our address policy."""
    raise DownloadError("this stream can only be fetched by ffmpeg, which is not let into the network")


def say_nothing(*_: object) -> None:
    """Cure 6: half of the time of a fragment goes into a line of progress that nobody sees."""


def has_drm(playlist: str) -> bool:
    """Cure 14: yt-dlp does not know the mark of Widevine, and takes SAMPLE-AES for what ffmpeg is to fetch."""
    return is_protected(playlist)


def decrypt_segment(data: bytes, key: bytes, iv: bytes) -> bytes:
    """Cure 15: a key that does not fit is said to be one, instead of "unknown error" or a file of noise.

    Raises:
        DownloadError: the key is no AES-128 key, or not the one of this segment.
    """
    if is_page(key):
        raise DownloadError(KEY_WITHHELD)
    if len(key) != KEY_LENGTH:
        raise DownloadError(DISGUISED_KEY)
    decrypted: bytes = _decrypt(data, key, iv)
    if not is_readable(decrypted):
        raise DownloadError(DISGUISED_KEY)
    return decrypted


def send_through_egress(self: CurlCFFIRH, request: Request) -> Response:
    """Cure 17: curl_cffi, which the guard does not see, connects to our own proxy and to nothing else.

    It asks for a tunnel even where the address is http://, so that what the proxy refuses never looks like a site's own
    answer. No hosts are excepted, whatever the environment says.
    """
    session = self._get_instance(cookiejar=self._get_cookiejar(request) if "cookie" not in request.headers else None)
    session.curl.setopt(CurlOpt.HTTPPROXYTUNNEL, 1)
    session.curl.setopt(CurlOpt.NOPROXY, "")
    return _send_by_curl(self, request)


def only_egress(self: CurlCFFIRH, _: Request) -> dict[str, str]:
    """Cure 17: neither an extractor nor an option names another proxy, or none."""
    if not self.egress:
        raise UnsupportedRequest(_NO_EGRESS)
    return {"all": self.egress}


def validate_with_egress(self: CurlCFFIRH, request: Request) -> None:
    """Cure 17: without a proxy, curl_cffi takes no request, and another handler gets it."""
    if not self.egress:
        raise UnsupportedRequest(_NO_EGRESS)
    _validate_for_curl(self, request)


def is_target_with_egress(self: CurlCFFIRH, target: Any) -> bool:  # noqa: ANN401  yt-dlp's own
    """Cure 17: without a proxy there is no browser to be impersonated, and extractors that can do without do so."""
    return bool(self.egress) and _is_target_of_curl(self, target)


class PageTooLarge(TransportError):
    """A page or a manifest that no honest site has."""


class CappedYoutubeDL(YoutubeDL):
    """Cure 7: no page or manifest is read beyond `PAGE_LIMIT`, compressed bombs included.

    Cure 16: `ratelimit` holds for all connections together. What is read by the piece counts, and that is media; pages
    come as fast as they can.

    Cure 13: pages that lead from one to the next are followed `HOPS` times; yt-dlp follows until Python's stack ends.

    Cure 21: formats that are put together come at the same time.

    Cure 22: a list of HLS that has just been read is not fetched once more, nor one of which an
    extractor has only seen that it is one.

    Cure 24: the names of 1,800 extractors are not put in order each time.

    Cure 25: no tables of formats, subtitles and pictures are drawn, since nobody prints them.
    """

    _hops = 0
    _together: Together | None = None

    def __init__(self, params: dict[str, Any]) -> None:
        """Take yt-dlp's parameters."""
        rate = params.get("ratelimit")
        self._throttle = Throttle(rate or 0)
        self._lists = Lists()
        self.allowance = Allowance(params.get("max_connections") or params.get("concurrent_fragment_downloads") or 1)
        super().__init__(params)

    @property
    def is_paced(self) -> bool:
        """Whether all that is read has to be counted, since there is a limit."""
        return bool(self._throttle.rate or share.rate)

    def add_default_info_extractors(self) -> None:
        """Take every extractor that yt-dlp would."""
        for extractor in inherited.default_extractors():
            self.add_info_extractor(extractor)

    def _forceprint(self, _key: str, info_dict: dict[str, Any] | None) -> dict[str, Any] | None:
        return info_dict

    def build_request_director(self, handlers: Any, preferences: Any = None) -> RequestDirector:  # noqa: ANN401  yt-dlp's own
        """Make curl keep the limit by itself: it reads on into memory while nobody takes what it has read."""
        director = super().build_request_director(handlers, preferences)
        if rate := self.params.get("ratelimit"):

            def slow_session(cookiejar: Any = None) -> curl_cffi.Session[Any]:  # noqa: ANN401  yt-dlp's own
                return curl_cffi.Session(cookies=cookiejar, curl_options={CurlOpt.MAX_RECV_SPEED_LARGE: rate})

            director.handlers["CurlCFFI"]._create_instance = slow_session  # noqa: SLF001
        return director

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

    def process_info(self, info_dict: dict[str, Any]) -> None:
        """Download as yt-dlp does, several formats at once where that is what was chosen."""
        if info_dict.get("requested_formats"):
            self._together = Together(info_dict, super().dl)
            self.add_progress_hook(self._together.on_download)
        super().process_info(info_dict)

    def dl(self, name: str, info: dict[str, Any], *rest: Any, **options: Any) -> Any:  # noqa: ANN401  yt-dlp's own
        """Download one format as yt-dlp does, and the others with it."""
        if self._together and not (rest or options or info.get("requested_formats")):
            return self._together.dl(name, info)
        return super().dl(name, info, *rest, **options)

    def urlopen(self, request: Any) -> Response:  # noqa: ANN401  yt-dlp's own
        """Open as yt-dlp does; a read without a size ends at the limit with `PageTooLarge`."""
        known = self._lists.answer(request)
        if known:
            return known
        response: Response = super().urlopen(request)
        address, head = address_of(request), bytearray()
        read = self._lists.read_ahead(address, response) if address and is_list(response) else response.read

        def capped(amount: int | None = None) -> bytes:
            if amount is not None:
                piece = bytes(read(amount))
                self._throttle.pay(len(piece))
                share.pay(len(piece))
                if len(head) <= HEAD:
                    head.extend(piece[: HEAD + 1])
                return piece
            page = bytearray()
            while chunk := read(256 * 1024):
                page += chunk
                if len(page) > PAGE_LIMIT:
                    response.close()
                    raise PageTooLarge(f"the page is longer than {PAGE_LIMIT} bytes")
            if address and len(head) <= HEAD:
                self._lists.remember(address, response, bytes(head + page))
            return bytes(page)

        response.read = capped
        return response
