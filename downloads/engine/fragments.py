"""Downloads in fragments (HLS, DASH): those on disk are continued if they still are what the server has.

yt-dlp appends one after the other to the partial file and keeps a state beside it (`.ytdl`) that counts them. Links say
little about what they lead to, since most have tokens in them that change with each look-up. So before anything is
continued, the first bytes of a few fragments are fetched once more and compared.
"""

import contextlib
import copy
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from yt_dlp.downloader.dash import DashSegmentsFD
from yt_dlp.downloader.fragment import FragmentFD
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.networking.common import Request
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils.networking import HTTPHeaderDict

from downloads.engine.fragment_fetching import GATE
from downloads.engine.ramp import Gate
from downloads.engine.resume import StartAnew, discard, discard_fragments, form, fragments_of, sent, write_whole

HEAD = 4096  # bytes of a fragment that are compared, beside its length
WRITE_EVERY = 0.1  # seconds between two states
ON_DISK = "on_disk"  # our keys in the context that yt-dlp carries through a download: OnDisk
APPENDED = "appended"  # Appended

Context = dict[str, Any]
Fragment = dict[str, Any]
Count = Annotated[int, msgspec.Meta(ge=0)]

_prepare_download = FragmentFD._prepare_frag_download  # noqa: SLF001
_prepare_and_start = FragmentFD._prepare_and_start_frag_download  # noqa: SLF001
_download_fragments = FragmentFD.download_and_append_fragments
_append_fragment = FragmentFD._append_fragment  # noqa: SLF001


class Piece(msgspec.Struct, frozen=True):
    """By what a fragment is known again, as it came from the server: its length in bytes, the digest of its head."""

    length: int
    head: str

    @classmethod
    def of(cls, file: Path) -> "Piece":
        """What a whole fragment on disk is."""
        with file.open("rb") as stream:
            return cls(length=file.stat().st_size, head=_digest(stream.read(HEAD)))


class _Current(msgspec.Struct):
    index: Count = 0


class OnDisk(msgspec.Struct):
    """What the partial file holds, as its state says; of this yt-dlp reads `current_fragment` alone.

    `form` is the format, and how many fragments it has in all.
    """

    current_fragment: _Current = msgspec.field(default_factory=_Current)
    part_size: Count = 0  # bytes
    form: str = ""
    first: Piece | None = None
    last: Piece | None = None

    @property
    def count(self) -> int:
        """How many whole fragments these are."""
        return self.current_fragment.index

    @property
    def makes_sense(self) -> bool:
        """Whether it says all of what is there, or that nothing is."""
        return bool(self.count) == bool(self.part_size) == bool(self.first) == bool(self.last)


class Appended:
    """The fragments that have been appended since the state was last written, and when that was."""

    def __init__(self) -> None:
        """None, and just now."""
        self.files: list[Path] = []
        self.written = time.monotonic()

    def drop(self) -> None:
        """Remove their own files: the state speaks of them now, or there is the whole."""
        for file in self.files:
            file.unlink(missing_ok=True)
        self.files.clear()
        self.written = time.monotonic()


class _Note(msgspec.Struct):
    downloader: OnDisk


def write_state(self: FragmentFD, context: Context) -> None:
    """Cure 1: the state of a fragmented download says what is in the partial file, and is written whole or not."""
    on_disk: OnDisk = context.setdefault(ON_DISK, OnDisk())
    if context.get("live"):
        on_disk.current_fragment.index = context["fragment_index"]
    state: dict[str, Any] = msgspec.to_builtins(on_disk)
    if "extra_state" in context:
        state["extra_state"] = context["extra_state"]
    write_whole(Path(self.ytdl_filename(context["filename"])), msgspec.json.encode({"downloader": state}))


def prepare_fragments(self: FragmentFD, context: Context) -> Any:  # noqa: ANN401  yt-dlp's own
    """Cure 2: before it is continued, the partial file is cut to where its state says, or thrown away with it."""
    if not context.get("live"):
        part, note = Path(self.temp_name(context["filename"])), Path(self.ytdl_filename(context["filename"]))
        on_disk = _read(note) if _shows_its_list(self) else None
        if on_disk and part.is_file() and part.stat().st_size >= on_disk.part_size:
            os.truncate(part, on_disk.part_size)
        else:
            on_disk = None
            discard(part, note)
        context[ON_DISK] = on_disk or OnDisk()
    return _prepare_download(self, context)


def start_fragments(self: FragmentFD, context: Context, info: dict[str, Any]) -> None:
    """Cure 8: yt-dlp builds the whole list, also when it goes on in the middle.

    It counts what has no IV or no offset of its own by the fragments in its list, and would begin with the first it
    has not got: wrong keys and wrong bytes.
    """
    _prepare_and_start(self, context, info)
    if _shows_its_list(self) and not context["live"]:
        context["fragment_index"] = 0


def download_fragments(
    self: FragmentFD,
    context: Context,
    fragments: Iterable[Fragment],
    info: dict[str, Any],
    **options: Any,  # noqa: ANN401  yt-dlp's own
) -> Any:  # noqa: ANN401
    """Cure 9: what is on disk is continued if the server still has the same fragments, and else started anew."""
    if _shows_its_list(self) and not context["live"]:
        on_disk: OnDisk = context[ON_DISK]
        listed = list(fragments)
        try:
            _prove(self, context, listed, info)
        except BaseException:
            context["dest_stream"].close()
            raise
        self._write_ytdl_file(context)
        context["fragment_index"] = on_disk.count
        fragments = listed[on_disk.count :]
        context[APPENDED] = appended = Appended()
        setattr(context["dl"], GATE, Gate(self.ydl.allowance))
        # yt-dlp would remove the state before the file has its name: a kill in between would cost all of it
        noted = copy.copy(self)
        noted.params = {**self.params, "_no_ytdl_file": True}
        try:
            is_done = _download_fragments(noted, context, fragments, info, **options)
        except BaseException:
            _settle(self, context)
            raise
        if is_done:
            Path(self.ytdl_filename(context["filename"])).unlink(missing_ok=True)
            appended.drop()
        else:
            _settle(self, context)
        return is_done
    return _download_fragments(self, context, fragments, info, **options)


def append_fragment(self: FragmentFD, context: Context, content: bytes) -> None:
    """Cure 1: a fragment is appended, and soon the state says so; until then its own file is kept.

    Its number is the one in its name, since `fragment_index` is changed by other threads.
    """
    if context.get("live") or not _shows_its_list(self):
        _append_fragment(self, context, content)
        return
    fragment = Path(context.pop("fragment_filename_sanitized"))
    piece = Piece.of(fragment)
    try:
        context["dest_stream"].write(content)
    except ValueError:
        if not context["dest_stream"].closed:
            raise
        return  # another thread has closed it, since its own fragment failed: that error comes next
    on_disk: OnDisk = context[ON_DISK]
    on_disk.current_fragment.index = _number(fragment)
    on_disk.part_size += len(content)
    on_disk.first, on_disk.last = on_disk.first or piece, piece
    appended: Appended = context[APPENDED]
    appended.files.append(fragment)
    if time.monotonic() - appended.written >= WRITE_EVERY:
        _settle(self, context)


def _settle(downloader: FragmentFD, context: Context) -> None:
    """Write the state, after what it speaks of; then the fragments' own files are not needed any more."""
    appended: Appended = context[APPENDED]
    if not appended.files:
        return
    with contextlib.suppress(ValueError):  # closed, and so flushed already
        context["dest_stream"].flush()
    downloader._write_ytdl_file(context)  # noqa: SLF001
    appended.drop()


def _prove(downloader: FragmentFD, context: Context, listed: list[Fragment], info: dict[str, Any]) -> None:
    """Throw away whole fragments that are others by now.

    Raises:
        StartAnew: some of them have been appended.
    """
    on_disk: OnDisk = context[ON_DISK]
    part = Path(context["tmpfilename"])
    was, on_disk.form = on_disk.form, f"{form(info)}/{len(listed)}"
    if was != on_disk.form:
        if on_disk.count:
            raise StartAnew("the format or the number of its fragments has changed")
        discard_fragments(part)
    appended = {1: on_disk.first, on_disk.count: on_disk.last} if on_disk.count else {}
    for number, piece in appended.items():
        if not _is_still(piece, listed[number - 1], downloader, info):
            raise StartAnew("the fragments have changed")
    for file in fragments_of(part):
        if not file.name[-1].isdigit():
            continue  # a half one has a note of its own
        number = _number(file)
        if number <= on_disk.count or not _is_still(Piece.of(file), listed[number - 1], downloader, info):
            file.unlink()


def _is_still(piece: Piece | None, fragment: Fragment, downloader: FragmentFD, info: dict[str, Any]) -> bool:
    """Whether the fragment of the list is the piece that is on disk."""
    span = fragment.get("byte_range")
    begin = span["start"] if span else 0
    end = min(begin + HEAD, span["end"]) if span else HEAD
    asked = {"Accept-Encoding": "identity", "Range": f"bytes={begin}-{end - 1}"}
    request = Request(fragment["url"], info.get("request_data"), HTTPHeaderDict(info.get("http_headers"), asked))
    try:
        response = downloader.ydl.urlopen(request)
    except HTTPError as error:
        if error.status == 416:  # noqa: PLR2004  Range Not Satisfiable
            return False
        raise
    with response:
        first, length = sent(response)
        if span:
            length = span["end"] - begin
        head = _digest(response.read(HEAD))
    return piece is not None and (first or 0) == begin and length in (None, piece.length) and head == piece.head


def _shows_its_list(downloader: FragmentFD) -> bool:
    return isinstance(downloader, HlsFD | DashSegmentsFD)


def _read(note: Path) -> OnDisk | None:
    try:
        on_disk = msgspec.json.decode(note.read_bytes(), type=_Note).downloader
    except (OSError, ValueError):
        return None
    return on_disk if on_disk.makes_sense else None


def _number(fragment: Path) -> int:
    """The number of a fragment, from 1: its file is called after it."""
    return int(fragment.name.rpartition("-Frag")[2])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
