"""Small files beside a download: fetched with yt-dlp's own client, bounded in bytes and in time.

A download goes on without them. A server that sends a byte a second holds up a thread, which is then left to itself
until the process ends.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from yt_dlp.networking.common import Request

from downloads.engine import cures
from downloads.engine.network import Guard

_Result = TypeVar("_Result")
_CHUNK: Final = 64 * 1024  # bytes


class Unavailable(Exception):
    """It could not be had; the text says why."""


@dataclass(frozen=True)
class Fetcher:
    """Fetches what belongs to one video. `info` is yt-dlp's result for it; `ydl` has to stay open meanwhile."""

    ydl: cures.CappedYoutubeDL
    info: Mapping[str, Any]
    guard: Guard

    def fetch(self, address: str, headers: Mapping[str, str], limit: int) -> bytes:
        """What is at this address.

        Raises:
            Unavailable: it is no web address, or longer than `limit` bytes.
            YoutubeDLError, OSError: whatever the client says.
        """
        if not address.startswith(("http://", "https://")):
            raise Unavailable("it is not at a web address")
        body = bytearray()
        with self.ydl.urlopen(Request(address, headers=dict(headers))) as response:
            while chunk := response.read(_CHUNK):
                body += chunk
                if len(body) > limit:
                    raise Unavailable(f"it is longer than {limit} bytes")
        return bytes(body)

    def within(self, seconds: float, work: Callable[[], _Result]) -> _Result:
        """What `work` gives back, from a thread of its own. What the guard refuses there says nothing of the download.

        Raises:
            Unavailable: it took too long; the thread goes on for nothing.
            Exception: whatever `work` raises.
        """
        answer: Future[_Result] = Future()

        def run() -> None:
            try:
                with self.guard.unnoted():
                    answer.set_result(work())
            except Exception as error:  # noqa: BLE001  raised again by who waits
                answer.set_exception(error)

        threading.Thread(target=run, name="fetching", daemon=True).start()
        try:
            return answer.result(seconds)
        except TimeoutError:
            raise Unavailable(f"it did not come within {seconds:g} seconds") from None
