"""One file over as many connections as pay, each of which fetches a part of it.

It begins with one connection for all that is missing. While twice as many are faster (`ramp.py`), each new one takes
the second half of what has the most left, and so does each one that is done with its own. Whatever goes wrong with one
of several only means fewer of them: its rest goes to the others. With the last one it goes wrong as ever.

What is missing is in the note beside the partial file before anything is written behind it. Its writer trails what is
on disk: a kill at any moment costs what came since the last note, and nothing is counted that is not there.
"""

import time
from typing import Any, Final

from yt_dlp.downloader.fragment import HttpQuietDownloader
from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking.common import Request, Response
from yt_dlp.networking.exceptions import CertificateVerifyError, HTTPError, TransportError
from yt_dlp.utils import RetryManager
from yt_dlp.utils.networking import HTTPHeaderDict

from downloads.engine import resume
from downloads.engine.fragment_fetching import download_piece
from downloads.engine.ramp import FAST_ENOUGH, Ramp
from downloads.engine.resume import PartialFile, Source, Watch, sent
from downloads.engine.transfer import Transfer, Ways

SERVER_ERROR: Final = 500
LIMITED: Final = 0.7  # of a rate limit: who is as fast as that has no need of another connection


def download_file(self: HttpFD, filename: str, info: dict[str, Any]) -> Any:  # noqa: ANN401  yt-dlp's own
    """Cure 18: a file comes over as many connections as pay, where its server can send parts of it."""
    if isinstance(self, HttpQuietDownloader):
        return download_piece(self, filename, info)
    headers = HTTPHeaderDict(info.get("http_headers"))
    if info.get("request_data") or headers.get("Range") or self.params.get("test"):
        return resume.download_file(self, filename, info)
    partial = resume.partial_file(self, filename, info)
    if partial.source and not partial.missing:  # nothing, or nobody knows how much
        return resume.download_file(self, filename, info, partial)
    return _File(self, filename, info, partial).fetch()


class _File:
    """One download of one file."""

    def __init__(self, downloader: HttpFD, filename: str, info: dict[str, Any], partial: PartialFile) -> None:
        self._downloader = downloader
        self._ydl = downloader.ydl
        self._params = downloader.params
        self._filename = filename
        self._info = info
        self._partial = partial
        # Some sites slow down what is asked for at once, and their extractors say how much to ask for
        options = info.get("downloader_options") or {}
        self._chunk: int = self._params.get("http_chunk_size") or options.get("http_chunk_size") or 0
        self._can_be_parted = True
        self._began = time.monotonic()

    def fetch(self) -> Any:  # noqa: ANN401  yt-dlp's own
        """Fetch all of it; what may pass is tried again as often as yt-dlp does."""
        for retry in RetryManager(self._params.get("retries"), self._downloader.report_retry):
            try:
                return self._try()
            except CertificateVerifyError:
                raise
            except HTTPError as error:
                if error.status < SERVER_ERROR:
                    raise
                retry.error = error
            except TransportError as error:
                retry.error = error
        return False

    def _try(self) -> Any:  # noqa: ANN401
        response = self._open()
        source = self._partial.source
        if source is None or source.length is None or (self._chunk and sent(response)[0] is None):
            return resume.download_file(self._downloader, self._filename, self._info, self._partial, response)
        self._can_be_parted &= can_be_parted(source, response)
        missing = self._partial.missing or [(0, source.length)]
        ways = Ways(self._ask, self._tell, self._ramp, self._ydl.allowance, is_paced=self._ydl.is_paced)
        transfer = Transfer(self._partial, missing, source.length, ways)
        try:
            transfer.run(response)
        finally:
            transfer.stop()
            self._can_be_parted &= not transfer.is_refused
        return resume.complete(self._downloader, self._filename, self._info, self._partial)

    def _open(self) -> Response:
        """The first answer: for the first of what is missing, or for all of a file of which nothing is here."""
        missing = self._partial.missing
        if missing and (self._partial.has_gaps or missing[0][0]):
            return self._ask(*missing[0])
        return Watch(self._ydl, self._partial).urlopen(self._request(0, self._chunk or None))

    def _ask(self, begin: int, end: int) -> Response:
        """Ask for a part, of which the answer may be no more than the beginning."""
        upto = min(end, begin + self._chunk) if self._chunk else end
        return self._partial.go_on(self._ydl, self._request(begin, upto), begin)

    def _request(self, begin: int, end: int | None) -> Request:
        headers = HTTPHeaderDict({"Accept-Encoding": "identity"}, self._info.get("http_headers"))
        if end is not None:
            headers["Range"] = f"bytes={begin}-{end - 1}"
        target = self._downloader._get_impersonate_target(self._info)  # noqa: SLF001
        extensions = {} if target is None else {"impersonate": target}
        return Request(self._info["url"], None, headers, extensions=extensions)

    def _ramp(self, first: int) -> Ramp:
        most = self._ydl.allowance.most if self._can_be_parted else 1
        rate = self._params.get("ratelimit")
        return Ramp(most, first=first, ceiling=rate * LIMITED if rate else FAST_ENOUGH)

    def _tell(self, downloaded: int) -> None:
        """Call yt-dlp's hooks."""
        progress = {
            "status": "downloading",
            "downloaded_bytes": downloaded,
            "total_bytes": self._partial.source and self._partial.source.length,
            "tmpfilename": str(self._partial.path),
            "filename": self._filename,
            "elapsed": time.monotonic() - self._began,
            "ctx_id": self._info.get("ctx_id"),
        }
        self._downloader._hook_progress(progress, self._info)  # noqa: SLF001


def can_be_parted(source: Source, response: Response) -> bool:
    """Whether a part of this file can be told from one of another file, and the server may send parts."""
    is_known = source.etag.startswith('"') or bool(source.modified)
    return is_known and response.headers.get("Accept-Ranges") != "none"
