"""Lists of HLS that have just been read are not fetched once more.

yt-dlp asks for the same list up to four times: to see what it is, for its formats, for its duration, to download it.
"""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Final

from yt_dlp.networking.common import Request, Response

FRESH: Final = 10.0  # seconds: links in a list may hold for a short while only
NUMBER: Final = 8  # of lists that are kept
LARGEST: Final = 1024 * 1024  # bytes of one
PIECE: Final = 64 * 1024  # bytes
HEAD: Final = 1024  # bytes: extractors look at the beginning before they read the rest
SIGN: Final = b"#EXTM3U"
Read = Callable[[int], bytes]
WHOLE: Final = (b"#EXT-X-ENDLIST", b"#EXT-X-STREAM-INF:")  # a list that does not grow, or of such lists


@dataclass(frozen=True)
class _List:
    url: str
    headers: Message
    body: bytes
    read: float


class Lists:
    """The lists that one run of yt-dlp has read, by the address that was asked for."""

    def __init__(self) -> None:
        """None yet."""
        self._lists: dict[str, _List] = {}

    def remember(self, asked: str, response: Response, body: bytes) -> None:
        """Keep the whole body of an answer, if it is a list that will be the same in a moment."""
        is_list = response.status == HTTPStatus.OK and body.startswith(SIGN) and any(sign in body for sign in WHOLE)
        if is_list and len(body) <= LARGEST and len(self._lists) < NUMBER:
            self._lists[asked] = _List(response.url, response.headers, body, time.monotonic())

    def read_ahead(self, asked: str, response: Response) -> Read:
        """Read an answer to its end, if it is no longer than lists are, and remember it; gives what reads it again."""
        read, ahead = response.read, bytearray()
        while len(ahead) <= LARGEST:
            chunk = read(PIECE)
            if not chunk:
                self.remember(asked, response, bytes(ahead))
                break
            ahead += chunk
        again = io.BytesIO(ahead)
        return lambda amount: again.read(amount) or read(amount)

    def answer(self, request: Request | str) -> Response | None:
        """The same answer once more; None for what has not been read in the last seconds, or is asked for otherwise."""
        address = address_of(request)
        known = self._lists.get(address) if address else None
        if known is None or time.monotonic() - known.read > FRESH:
            return None
        return Response(io.BytesIO(known.body), known.url, known.headers)


def is_list(response: Response) -> bool:
    """Whether its server calls it a list of HLS."""
    return "mpegurl" in (response.get_header("Content-Type") or "").lower()


def address_of(request: Request | str) -> str:
    """What is asked for; empty where it is more than to have all that is at an address."""
    if isinstance(request, str):
        return request
    is_plain = request.method == "GET" and not request.data and "Range" not in request.headers
    return request.url if is_plain else ""
