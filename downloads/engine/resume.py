"""What is on disk is continued if the server still has the same file, and else started anew: never spliced.

yt-dlp continues any partial file by its size alone. Here each one has a note beside it (`.ytdl`), written before its
first byte, that says what it is a part of; one without a note is thrown away. The note of a download in fragments is
in `fragments.py`: both have the same name, so that a partial file never has two.
"""

import copy
import glob
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from yt_dlp.downloader.common import FileDownloader
from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking.common import Request, Response
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import int_or_none, parse_http_range
from yt_dlp.utils.networking import HTTPHeaderDict

STARTS = 5  # of one file in one attempt
BLOCK_SHARE = 0.03  # of the block that yt-dlp would read at once, which takes a second

_download = FileDownloader.download
_download_file = HttpFD.real_download
_best_block_size = FileDownloader.best_block_size


class StartAnew(Exception):
    """What is on disk cannot be continued; the text says why."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a partial file is a part of, as far as the server says: `length` is the whole file's, in bytes.

    `form` is the format of the video, `path` the address without host and query, where tokens are.
    """

    form: str
    path: str
    etag: str
    modified: str
    length: int | None

    @property
    def can_be_known_again(self) -> bool:
        """Whether the server says anything by which another file could be told from this one."""
        return bool(self.etag or self.modified or self.length is not None)

    def is_still(self, now: "Source") -> bool:
        """Whether this is the file of which the server sends a part now."""
        if self.length is not None and now.length is not None and self.length != now.length:
            return False
        if self.etag:  # then such an answer may leave out the date
            return now.etag == self.etag and now.modified in (self.modified, "")
        if self.modified:
            return now.modified == self.modified
        return now.length is not None and now.path == self.path


def download(self: FileDownloader, filename: str, info: dict[str, Any], subtitle: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  yt-dlp's own
    """Cure 10: what cannot be continued is thrown away and fetched from its beginning, a few times at most."""
    for _ in range(STARTS):
        try:
            return _download(self, filename, info, subtitle)
        except StartAnew as reason:
            error = str(reason)
            discard(Path(self.temp_name(filename)), Path(self.ytdl_filename(filename)))
    raise TransportError(f"{error}, {STARTS} times in a row")


def download_file(self: HttpFD, filename: str, info: dict[str, Any]) -> Any:  # noqa: ANN401  yt-dlp's own
    """Cure 11: a partial file is continued only if the server proves that it still has the same file."""
    partial = PartialFile(Path(self.temp_name(filename)), Path(self.ytdl_filename(filename)), info)
    if partial.is_complete:  # killed right before it got its name
        size = partial.size
        self.try_rename(str(partial.path), filename)
        done = {"status": "finished", "filename": filename, "downloaded_bytes": size, "total_bytes": size}
        self._hook_progress(done, info)
        is_done: Any = True
    else:
        watched = copy.copy(self)  # the downloader of fragments is shared by threads
        watched.ydl = _Watch(self.ydl, partial)
        is_done = _download_file(watched, filename, info)
    if is_done:
        partial.note.unlink(missing_ok=True)
    return is_done


def best_block_size(elapsed: float, amount: int) -> int:
    """Cure 12: small blocks, since what is read and not written yet is lost when the process or the connection dies."""
    size: int = _best_block_size(elapsed / BLOCK_SHARE, amount)
    return size


class PartialFile:
    """A partial file and the note of what it is a part of. One that cannot be trusted is thrown away.

    `source` is None where nothing is known of what is on disk.
    """

    def __init__(self, path: Path, note: Path, info: dict[str, Any]) -> None:
        """Open the partial file at `path` of this format, or of the part of it that its headers ask for."""
        self.path = path
        self.note = note
        self._form = form(info)
        asked = HTTPHeaderDict(info.get("http_headers")).get("Range")
        first, last, _ = parse_http_range(asked)
        self.begins: int = first or 0  # where in the file of the server
        self._ends: int | None = None if last is None else last + 1
        self.source = self._read()
        if self.source is None:
            discard(path, note)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def is_of_a_part(self) -> bool:
        """Whether more than this was never asked of the file on the server."""
        return self.begins > 0 or self._ends is not None

    @property
    def is_complete(self) -> bool:
        """Whether every byte is there."""
        if self.source is None:
            return False
        ends = self.source.length if self._ends is None else self._ends
        return ends is not None and self.size == ends - self.begins

    def begin(self, source: Source) -> None:
        """Throw away what is there, and then note what comes next, if that can be known again."""
        discard(self.path, self.note)
        self.source = source if source.can_be_known_again else None
        if self.source:
            write_whole(self.note, msgspec.json.encode(self.source))

    def source_of(self, response: Response) -> Source:
        """What the server says that this answer is, or is a part of."""
        return Source(
            form=self._form,
            path=urlsplit(response.url).path,
            etag=response.headers.get("ETag") or "",
            modified=response.headers.get("Last-Modified") or "",
            length=sent(response)[1],
        )

    def _read(self) -> Source | None:
        try:
            source = msgspec.json.decode(self.note.read_bytes(), type=Source)
        except (OSError, ValueError):
            return None
        return source if source.form == self._form and self.path.is_file() else None


class _Watch:
    """yt-dlp as a downloader of files sees it: each of its requests is judged by what is on disk."""

    def __init__(self, ydl: Any, partial: PartialFile) -> None:  # noqa: ANN401  yt-dlp's own
        self._ydl = ydl
        self._partial = partial

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._ydl, name)

    def urlopen(self, request: Request) -> Response:
        """Open as yt-dlp does.

        Raises:
            StartAnew: the answer is not the rest of what is on disk.
            TransportError: a part of a file was asked for, and something else is sent.
        """
        first, _, _ = parse_http_range(request.headers.get("Range"))
        if first is not None and first > self._partial.begins:
            return self._continue(request, first)
        response: Response = self._ydl.urlopen(request)
        if self._partial.is_of_a_part and sent(response)[0] != self._partial.begins:
            response.close()
            raise TransportError("the server ignores which part of the file was asked for")
        self._partial.begin(self._partial.source_of(response))
        return response

    def _continue(self, request: Request, first: int) -> Response:
        source = self._partial.source
        if source is None:
            raise StartAnew("nothing is known of what is on disk")
        if source.etag.startswith('"'):  # a weak one must not be sent (RFC 9110, 13.1.5)
            request.headers["If-Range"] = source.etag
        try:
            response: Response = self._ydl.urlopen(request)
        except HTTPError as error:
            if error.status == 416:  # noqa: PLR2004  Range Not Satisfiable
                raise StartAnew("the file on the server is shorter than before") from error
            raise
        if sent(response)[0] != first or not source.is_still(self._partial.source_of(response)):
            response.close()
            raise StartAnew("the server does not continue the file")
        return response


def form(info: dict[str, Any]) -> str:
    """Which format of the video this is; a fragment has none of its own."""
    return f"{info.get('format_id')}/{info.get('ext')}"


def discard(part: Path, note: Path) -> None:
    """Throw away a partial file, in this order: a partial file without a note is never continued."""
    note.unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def fragments_of(part: Path) -> list[Path]:
    """The fragments that have not been appended to this partial file yet, whole and half ones, and notes of these."""
    return list(part.parent.glob(glob.escape(part.name) + "-Frag*"))


def discard_fragments(part: Path) -> None:
    """Throw these away."""
    for fragment in fragments_of(part):
        fragment.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write the file as a whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.replace(path)


def sent(response: Response) -> tuple[int | None, int | None]:
    """Where the part of a file that is sent begins, None for a whole one; and how long the file is, None if unsaid."""
    if response.status == 206:  # noqa: PLR2004  Partial Content
        first, _, length = parse_http_range(response.headers.get("Content-Range"))
        return first, length
    if response.headers.get("Content-Encoding"):
        return None, None
    return None, int_or_none(response.headers.get("Content-Length"))
