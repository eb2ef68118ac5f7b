"""The body of an answer, taken as it comes into a buffer that is there already: no copy more than it takes."""

import http.client
import ssl
import time
from typing import Any, Final

from yt_dlp.downloader.common import FileDownloader
from yt_dlp.networking._requests import RequestsResponseAdapter
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import SSLError, TransportError

BLOCK_SHARE: Final = 0.03  # of a second: how much is read at once by a client that waits until all of it is there
_FIRST_BLOCK: Final = 16 * 1024  # bytes

_best_block_size = FileDownloader.best_block_size


class Body:
    """Reads an answer's body.

    Where the client is `requests` and the length is known, what the kernel has is taken at once, right from the
    connection. Anything else is read through yt-dlp in blocks that take some 30 ms, since what is read and not written
    yet is lost when the process or the connection dies.
    """

    def __init__(self, response: Response, *, paced: bool) -> None:
        """Take an answer of which nothing has been read; `paced` says that a rate limit counts what is read."""
        self._response = response
        self._direct = None if paced else _connection_of(response)
        self._block = _FIRST_BLOCK

    def read_into(self, view: memoryview) -> int:
        """How many bytes were put at the beginning of `view`; 0 at the end, which may come too early.

        Raises:
            TransportError: the connection broke.
        """
        if self._direct:
            return self._read_directly(self._direct, view)
        began = time.monotonic()
        piece = self._response.read(min(self._block, len(view)))
        view[: len(piece)] = piece
        self._block = best_block_size(time.monotonic() - began, len(piece))
        return len(piece)

    def release(self) -> None:
        """Let the connection serve the next request, after the last byte; else close it."""
        if self._direct and self._direct.length == 0:
            self._response.read(1)  # there is none: the client notices, and keeps the connection
        self._response.close()

    def _read_directly(self, connection: http.client.HTTPResponse, view: memoryview) -> int:
        left = connection.length or 0
        if not left:
            return 0
        try:
            amount: int = connection.fp.readinto1(view[:left])
        except ssl.SSLError as error:
            raise SSLError(cause=error) from error
        except OSError as error:
            raise TransportError(cause=error) from error
        connection.length = left - amount
        counted: Any = self._response.fp
        counted._fp_bytes_read += amount  # noqa: SLF001  the client's own count of the same
        counted.length_remaining = connection.length
        return amount


def best_block_size(elapsed: float, amount: int) -> int:
    """Cure 12: small blocks, since what is read and not written yet is lost when the process or the connection dies."""
    size: int = _best_block_size(elapsed / BLOCK_SHARE, amount)
    return size


def _connection_of(response: Response) -> http.client.HTTPResponse | None:
    """What the standard library knows of this answer, if its body is sent as it is and its length is known."""
    if not isinstance(response, RequestsResponseAdapter) or response.headers.get("Content-Encoding"):
        return None
    answer = response.fp._fp  # noqa: SLF001
    is_plain = isinstance(answer, http.client.HTTPResponse) and not answer.chunked and answer.length is not None
    return answer if is_plain else None
