"""One fragment of many: fetched into memory, since most are whole before a note about half of them would be written.

What takes longer is written with a note after a moment, as any partial file is, and so is what breaks off.
"""

import time
from pathlib import Path
from typing import Any, Final

from yt_dlp.downloader.fragment import HttpQuietDownloader
from yt_dlp.networking.common import Request, Response
from yt_dlp.networking.exceptions import CertificateVerifyError, HTTPError, TransportError
from yt_dlp.utils import int_or_none, parse_http_range
from yt_dlp.utils.networking import HTTPHeaderDict

from downloads.engine import resume
from downloads.engine.bodies import Body
from downloads.engine.ramp import Gate
from downloads.engine.resume import sent

MEMORY: Final = 1024 * 1024  # bytes of one fragment; the connections of a download are its limit in all
MOMENT: Final = 0.25  # seconds until there is a note
GATE: Final = "gate"  # what yt-dlp's downloader of the fragments of one file is given: Gate
FLUSH: Final = 0.03  # seconds, once there is a note
SERVER_ERROR: Final = 500


def download_piece(self: HttpQuietDownloader, filename: str, info: dict[str, Any]) -> Any:  # noqa: ANN401  yt-dlp's own
    """Cure 20: yt-dlp's own way takes twice the time of the network for a fragment of 256 KiB."""
    if Path(self.temp_name(filename)).exists():  # half of it is there
        return resume.download_file(self, filename, info)
    try:
        return _Piece(self, filename, info).fetch()
    except CertificateVerifyError:
        raise
    except HTTPError as error:
        if error.status < SERVER_ERROR:
            raise
        failure: Exception = error
    except TransportError as error:
        failure = error
    retries = self.params.get("retries") or 0
    if not retries:
        self.report_retry(failure, 1, 0)  # which raises
    again = HttpQuietDownloader(self.ydl, {**self.params, "retries": retries - 1})
    again._progress_hooks = self._progress_hooks  # noqa: SLF001
    return resume.download_file(again, filename, info)


class _Piece:
    """One fragment, once."""

    def __init__(self, downloader: HttpQuietDownloader, filename: str, info: dict[str, Any]) -> None:
        self._downloader = downloader
        self._filename = filename
        self._info = info
        self._part = Path(downloader.temp_name(filename))
        self._note: resume.PartialFile | None = None
        self._size = 0
        self._rest = memoryview(b"")

    def fetch(self) -> bool:
        gate = getattr(self._downloader, GATE, None)
        if not isinstance(gate, Gate):
            self._fetch()
            return self._finish()
        with gate:
            try:
                self._fetch()
            except HTTPError:
                gate.refuse()
                raise
            gate.count(self._size + len(self._rest))
        return self._finish()

    def _fetch(self) -> None:
        response = self._open()
        body = Body(response, paced=self._downloader.ydl.is_paced)
        try:
            self._receive(response, body)
        finally:
            body.release()

    def _finish(self) -> bool:
        self._append(self._rest)
        self._part.replace(self._filename)
        if self._note:
            self._note.note.unlink(missing_ok=True)
        self._tell("finished")
        return True

    def _open(self) -> Response:
        headers = HTTPHeaderDict({"Accept-Encoding": "identity"}, self._info.get("http_headers"))
        first, _, _ = parse_http_range(headers.get("Range"))
        response: Response = self._downloader.ydl.urlopen(
            Request(self._info["url"], self._info.get("request_data"), headers)
        )
        if first is not None and sent(response)[0] != first:
            response.close()
            raise TransportError("the server ignores which part of the file was asked for")
        return response

    def _receive(self, response: Response, body: Body) -> None:
        """Put the answer into the partial file: in one go if it is small and comes soon."""
        expected = _length_of(response)
        buffer = memoryview(bytearray(min(expected or MEMORY, MEMORY)))
        filled, since = 0, time.monotonic()
        try:
            while self._size + filled != expected and (amount := body.read_into(buffer[filled:])):
                filled += amount
                is_time = time.monotonic() - since >= (FLUSH if self._note else MOMENT)
                if self._size + filled != expected and (filled == len(buffer) or is_time):
                    pending, filled, since = filled, 0, time.monotonic()
                    self._spill(response, buffer[:pending])
            _check(self._size + filled, expected)
        except TransportError:
            self._spill(response, buffer[:filled])
            raise
        self._rest = buffer[:filled]

    def _spill(self, response: Response, content: memoryview) -> None:
        """Write what has come so that it can be continued, and say how much it is."""
        if not self._note:
            self._note = resume.partial_file(self._downloader, self._filename, self._info)
            self._note.begin(self._note.source_of(response))
        self._append(content)
        self._tell("downloading")

    def _append(self, content: memoryview) -> None:
        with self._part.open("ab", buffering=0) as file:
            while content:
                written = file.write(content)
                self._size += written
                content = content[written:]

    def _tell(self, status: str) -> None:
        progress = {
            "status": status,
            "downloaded_bytes": self._size,
            "total_bytes": self._size if status == "finished" else None,
            "filename": self._filename,
            "ctx_id": self._info.get("ctx_id"),
        }
        self._downloader._hook_progress(progress, self._info)  # noqa: SLF001


def _length_of(response: Response) -> int | None:
    """How long this answer is, in bytes, if it says so."""
    if response.headers.get("Content-Encoding"):
        return None
    length: int | None = int_or_none(response.headers.get("Content-Length"))
    return length


def _check(size: int, expected: int | None) -> None:
    if not size or (expected is not None and size < expected):
        raise TransportError(f"{size} bytes came, of {expected or 'a fragment'}")
