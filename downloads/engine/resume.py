"""What is on disk is continued if the server still has the same file, and else started anew: never spliced.

yt-dlp continues any partial file by its size alone. Here each one has a note beside it (`.ytdl`), written before its
first byte, that says what it is a part of; one without a note is thrown away. The note of a download in fragments is
in `fragments.py`: both have the same name, so that a partial file never has two.
"""

import contextlib
import copy
import glob
from collections.abc import Iterable
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
BOOT = Path("/proc/sys/kernel/random/boot_id")

_download = FileDownloader.download
_download_file = HttpFD.real_download


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


def download_file(
    self: HttpFD,
    filename: str,
    info: dict[str, Any],
    partial: "PartialFile | None" = None,
    opened: Response | None = None,
) -> Any:  # noqa: ANN401  yt-dlp's own
    """Cure 11: a partial file is continued only if the server proves that it still has the same file.

    `opened` is the answer to the request that yt-dlp makes first, where it has been made already.
    """
    partial = partial or partial_file(self, filename, info)
    if partial.has_gaps:
        raise StartAnew("the file was fetched in parts, and cannot be any more")
    if partial.missing == []:  # killed right before it got its name
        return complete(self, filename, info, partial)
    watched = copy.copy(self)  # the downloader of fragments is shared by threads
    watched.ydl = Watch(self.ydl, partial, opened)
    is_done = _download_file(watched, filename, info)
    if is_done:
        partial.note.unlink(missing_ok=True)
    return is_done


def partial_file(downloader: FileDownloader, filename: str, info: dict[str, Any]) -> "PartialFile":
    """What there is of the file already."""
    return PartialFile(Path(downloader.temp_name(filename)), Path(downloader.ytdl_filename(filename)), info)


def complete(downloader: FileDownloader, filename: str, info: dict[str, Any], partial: "PartialFile") -> bool:
    """Give the file its name, now that every byte of it is there."""
    size = partial.size
    downloader.try_rename(str(partial.path), filename)
    done = {"status": "finished", "filename": filename, "downloaded_bytes": size, "total_bytes": size}
    downloader._hook_progress(done, info)  # noqa: SLF001
    partial.note.unlink(missing_ok=True)
    return True


Gap = tuple[int, int]  # where in the partial file nothing is yet, and where something is again or it ends


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a partial file. One without `missing` was written from its beginning: its size says how far.

    With `missing` it has gaps, which no size tells. After a crash of the machine such a file may lack what it seems to
    have, so it counts only while the machine has not been started again since: `boot` says which start it was.
    """

    source: Source
    missing: tuple[Gap, ...] = ()
    boot: str = ""


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
        self.source: Source | None = None
        self._gaps: tuple[Gap, ...] = ()
        self._read()
        if self.source is None:
            discard(path, note)

    @property
    def size(self) -> int:
        """How long the partial file is, in bytes."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def is_of_a_part(self) -> bool:
        """Whether more than this was never asked of the file on the server."""
        return self.begins > 0 or self._ends is not None

    @property
    def has_gaps(self) -> bool:
        """Whether it was written in several places, and its size says nothing."""
        return bool(self._gaps)

    @property
    def missing(self) -> list[Gap] | None:
        """What is not there yet, in order; empty for a complete file, None where nobody knows how long it is."""
        if self.source is None:
            return None
        if self._gaps:
            return list(self._gaps)
        end = self.source.length if self._ends is None else self._ends
        if end is None or self.size > end - self.begins:
            return None
        return [] if self.size == end - self.begins else [(self.size, end - self.begins)]

    def begin(self, source: Source) -> None:
        """Throw away what is there, and then note what comes next, if that can be known again."""
        discard(self.path, self.note)
        self._gaps = ()
        self.source = source if source.can_be_known_again else None
        if self.source:
            self._write(Note(source=self.source))

    def note_gaps(self, missing: Iterable[Gap]) -> None:
        """Note what is missing, before anything is written behind it, and whenever that has become less."""
        self._gaps = tuple(missing)
        if self.source:
            self._write(Note(source=self.source, missing=self._gaps, boot=boot()))

    def go_on(self, ydl: Any, request: Request, first: int) -> Response:  # noqa: ANN401  yt-dlp's own
        """Ask for what comes from `first` in the server's file on, and see whether it is of the same file.

        Raises:
            StartAnew: it is not; or the server sends something else than it was asked for.
        """
        source = self.source
        if source is None:
            raise StartAnew("nothing is known of what is on disk")
        if source.etag.startswith('"'):  # a weak one must not be sent (RFC 9110, 13.1.5)
            request.headers["If-Range"] = source.etag
        try:
            response: Response = ydl.urlopen(request)
        except HTTPError as error:
            if error.status == 416:  # noqa: PLR2004  Range Not Satisfiable
                raise StartAnew("the file on the server is shorter than before") from error
            raise
        if sent(response)[0] != first or not source.is_still(self.source_of(response)):
            response.close()
            raise StartAnew("the server does not continue the file")
        return response

    def source_of(self, response: Response) -> Source:
        """What the server says that this answer is, or is a part of."""
        return Source(
            form=self._form,
            path=urlsplit(response.url).path,
            etag=response.headers.get("ETag") or "",
            modified=response.headers.get("Last-Modified") or "",
            length=sent(response)[1],
        )

    def _read(self) -> None:
        try:
            note = msgspec.json.decode(self.note.read_bytes(), type=Note)
        except (OSError, ValueError):
            return
        is_ours = note.source.form == self._form and self.path.is_file()
        if is_ours and (not note.missing or note.boot == boot() != ""):
            self.source, self._gaps = note.source, note.missing

    def _write(self, note: Note) -> None:
        write_whole(self.note, msgspec.json.encode(note))


class Watch:
    """yt-dlp as a downloader of files sees it: each of its requests is judged by what is on disk."""

    def __init__(self, ydl: Any, partial: PartialFile, opened: Response | None = None) -> None:  # noqa: ANN401  yt-dlp's own
        """Watch what is written to this partial file; `opened` is the answer to the first request, if there is one."""
        self._ydl = ydl
        self._partial = partial
        self._opened = opened

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._ydl, name)

    def urlopen(self, request: Request) -> Response:
        """Open as yt-dlp does.

        Raises:
            StartAnew: the answer is not the rest of what is on disk.
            TransportError: a part of a file was asked for, and something else is sent.
        """
        if opened := self._opened:
            self._opened = None
            return opened
        first, _, _ = parse_http_range(request.headers.get("Range"))
        if first is not None and first > self._partial.begins:
            return self._partial.go_on(self._ydl, request, first)
        response: Response = self._ydl.urlopen(request)
        if self._partial.is_of_a_part and sent(response)[0] != self._partial.begins:
            response.close()
            raise TransportError("the server ignores which part of the file was asked for")
        self._partial.begin(self._partial.source_of(response))
        return response


def boot() -> str:
    """Which start of the machine this is; empty where the system does not say."""
    with contextlib.suppress(OSError):
        return BOOT.read_text().strip()
    return ""


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
