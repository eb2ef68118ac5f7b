"""Formats that are put together, such as video and audio, come at the same time.

yt-dlp asks for one after the other. With the first of them the others begin, each in a thread of its own, and when
yt-dlp asks for these it gets what has become of them.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

Format = dict[str, Any]
Fetch = Callable[[str, Format], tuple[Any, Any]]  # what yt-dlp's own `dl` takes and gives


class Abandoned(Exception):
    """Another format failed: this one is not wanted any more."""


class Together:
    """The formats of one choice. All but its hook is for the thread that yt-dlp runs in."""

    def __init__(self, choice: Format, fetch: Fetch) -> None:
        """Take yt-dlp's result with its `requested_formats`, and its way to fetch one."""
        self._choice = choice
        self._fetch = fetch
        self._others: dict[str, Future[tuple[Any, Any]]] = {}
        self._failed = threading.Event()
        self._has_begun = False

    def dl(self, name: str, info: Format) -> tuple[Any, Any]:
        """Fetch this format to the file of this name.

        Raises:
            Exception: whatever went wrong with this format, or with one that comes at the same time.
        """
        if name in self._others:
            return self._others.pop(name).result()
        if not self._has_begun:
            self._has_begun = True
            self._begin_others(name, info)
        try:
            return self._fetch(name, info)
        except Exception as error:
            self._failed.set()
            reason = self._first_failure()
            if reason and isinstance(error, Abandoned):
                raise reason from None
            raise

    def on_download(self, _: Mapping[str, object]) -> None:
        """One of yt-dlp's `progress_hooks`.

        Raises:
            Abandoned: another format has failed.
        """
        if self._failed.is_set():
            raise Abandoned

    def _begin_others(self, name: str, info: Format) -> None:
        formats: Sequence[Format] = self._choice["requested_formats"]
        suffix = _suffix(info)
        if not name.endswith(suffix):
            return
        for each in formats:
            other = name.removesuffix(suffix) + _suffix(each)
            if other != name:
                self._others[other] = self._begin(other, self._choice | each)

    def _begin(self, name: str, info: Format) -> "Future[tuple[Any, Any]]":
        del info["requested_formats"]
        future: Future[tuple[Any, Any]] = Future()

        def run() -> None:
            try:
                future.set_result(self._fetch(name, info))
            except BaseException as error:  # noqa: BLE001  raised again by who asks for this format
                self._failed.set()
                future.set_exception(error)

        threading.Thread(target=run, name="another format", daemon=True).start()
        return future

    def _first_failure(self) -> BaseException | None:
        """Wait until the others have ended, since they write; what went wrong with one of them by itself."""
        errors = [future.exception() for future in self._others.values()]
        return next((error for error in errors if error and not isinstance(error, Abandoned)), None)


def _suffix(info: Format) -> str:
    """How the name of a format's file ends, as yt-dlp makes it."""
    return f".f{info['format_id']}.{info['ext']}"
