"""What parent and child say to each other: the job goes in, events come out, as JSON checked against these types.

Frames are at most `FRAME_LIMIT` bytes behind a length of four bytes. The parent never unpickles what a child says: a
child handles what hostile sites send.
"""

import re
import socket
import struct
from collections.abc import Callable
from datetime import date
from typing import Annotated

import msgspec

from downloads.engine.choices import Choices
from downloads.engine.encoders import Encoder
from downloads.engine.errors import Failure
from downloads.engine.filenames import MAX_SUFFIX_BYTES, SUFFIX
from downloads.engine.formats import PostProcessing, Quality

FRAME_LIMIT = 4 * 1024 * 1024
# What the parent says after the job: that it lives, that a recording is to end and be kept, and how many bytes a second
# the limit of all downloads together leaves to this one, as in `r1048576;`.
ALIVE, FINISH = b".", b"f"
_SHARE = re.compile(rb"r([0-9]{1,18});")
_LENGTH = struct.Struct("!I")
_NO_NUL = r"\A[^\x00]*\Z"  # which PostgreSQL does not take

# What fits into the columns of the row, so that nothing a child says can end in an error of the database
Amount = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Percentage = Annotated[float, msgspec.Meta(ge=0, le=100)]
MAX_SIDE_FILES = 300


class Job(msgspec.Struct, frozen=True, kw_only=True, tag="download"):
    """Everything that a child needs to know for a download, and nothing else.

    `folder` is the task's own working folder; `cookies` is the text that the user gave, in the clear, in memory only;
    `looked_up` is what a look-up a short while ago said in `Kept`, or empty; `playlist_limit` is how many entries of a
    playlist are taken; `live_limit` is how many seconds of a live stream are recorded, 0 for all; `memory_limit` is in
    bytes for each process, 0 for none; `max_connections` is how many fetch the media at once; `free_space_floor` is how
    many bytes of the disk stay free, and `spoken_for` how many other downloads there will still take;
    `encoder` makes H.264, if it works here; `sponsorblock_api` is the address of a SponsorBlock server; `egress` is the
    address of the proxy that what is no Python socket has to go through, with this job's own credentials in it, and
    everything else too where `through_egress` says so.

    `share` is how many bytes a second the limit of all downloads together leaves to this one at its start, 0 for any
    number; it is told anew when that changes.

    What an administrator has set for the site: `rate_limit` is in bytes a second for the whole job, 0 for none;
    `source_address` an address of this machine, to which the proxy binds where all goes through it; `impersonate` a
    browser as yt-dlp names it, such as `chrome`. That sends all through the proxy too, since curl is no Python socket.
    """

    task_id: str
    url: str
    quality: Quality
    post_processing: PostProcessing
    folder: str
    tools: str
    cache: str
    cookies: str = ""
    allowed_networks: tuple[str, ...] = ()
    looked_up: str = ""
    choices: Choices = Choices()
    egress: str = ""
    playlist_limit: int = 500
    memory_limit: int = 0
    through_egress: bool = False
    rate_limit: int = 0
    share: int = 0
    source_address: str = ""
    impersonate: str = ""
    live_limit: float = 0
    free_space_floor: int = 0
    spoken_for: int = 0
    max_connections: int = 8
    encoder: Encoder = Encoder.SOFTWARE
    sponsorblock_api: str = "https://sponsor.ajay.app"


class LookUpJob(msgspec.Struct, frozen=True, kw_only=True, tag="look_up"):
    """Everything that a child needs to know for a look-up. `folder` is one of its own, thrown away afterwards.

    `picture`: whether the site's picture is wanted as well. The rest is as in `Job`.
    """

    url: str
    quality: Quality
    post_processing: PostProcessing
    folder: str
    tools: str
    cache: str
    cookies: str = ""
    allowed_networks: tuple[str, ...] = ()
    choices: Choices = Choices()
    egress: str = ""
    memory_limit: int = 0
    through_egress: bool = False
    rate_limit: int = 0
    source_address: str = ""
    impersonate: str = ""
    picture: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True, tag="found"):
    """The look-up is done. `duration` is in seconds, 0 where unknown; texts are cleaned."""

    title: Annotated[str, msgspec.Meta(max_length=500, pattern=_NO_NUL)]
    media_id: Annotated[str, msgspec.Meta(max_length=200, pattern=_NO_NUL)]
    site: Annotated[str, msgspec.Meta(max_length=255, pattern=_NO_NUL)]
    uploader: Annotated[str, msgspec.Meta(max_length=300, pattern=_NO_NUL)]
    duration: Annotated[float, msgspec.Meta(ge=0)]
    thumbnail: Annotated[str, msgspec.Meta(max_length=4096, pattern=_NO_NUL)]
    is_live: bool = False
    upload_date: date | None = None


class ListedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One video of a playlist, and its place there; one `in_page` has no address but the playlist's."""

    url: Annotated[str, msgspec.Meta(max_length=8192, pattern=_NO_NUL)]
    title: Annotated[str, msgspec.Meta(max_length=500, pattern=_NO_NUL)]
    media_id: Annotated[str, msgspec.Meta(max_length=200, pattern=_NO_NUL)]
    place: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    in_page: bool = False


class Items(msgspec.Struct, frozen=True, tag="items"):
    """The next items of a playlist, in their order; `Listed` comes after the last of them."""

    items: tuple[ListedItem, ...]


class Listed(msgspec.Struct, frozen=True, kw_only=True, tag="listed"):
    """It is a playlist, whose items have been told. `total` is how many there are on the site, as far as it says."""

    found: Found
    total: Amount


class Pictured(msgspec.Struct, frozen=True, tag="pictured"):
    """There is a picture of the video for the page: a JPEG at most 640 pixels wide, `name` relative to the folder."""

    name: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far it is: one bar over all streams and steps. Sizes in bytes, 0 where unknown; `speed` per second."""

    percentage: Percentage
    downloaded_bytes: Amount
    total_bytes: Amount
    speed: Amount
    eta: Amount


class Processing(msgspec.Struct, frozen=True, tag="processing"):
    """All bytes are here; ffmpeg works now."""


class SideFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes beside the finished one: `name` is relative to the task's folder.

    In the library it is called as the finished file is, with `suffix` (`.en.srt`, `.jpg`) instead of the extension.
    """

    name: str
    suffix: Annotated[str, msgspec.Meta(max_length=MAX_SUFFIX_BYTES, pattern=SUFFIX)]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The file is whole and proven. `name` is relative to the task's folder.

    `height` is that of its picture, in pixels of the shorter side; 0 for sound alone. `notes` are sentences
    about what was asked for beside the video and could not be had, as in `notes.py`.
    """

    name: str
    extension: str
    size: Amount
    height: Amount = 0
    side_files: Annotated[tuple[SideFile, ...], msgspec.Meta(max_length=MAX_SIDE_FILES)] = ()
    notes: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=700)], ...], msgspec.Meta(max_length=100)] = ()


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """It did not work."""

    failure: Failure


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One form in which a site offers a video. Unknown numbers are 0; bitrates are in kilobits a second."""

    format_id: str
    url: str
    ext: str
    quality: str
    filesize: int
    width: int
    height: int
    fps: int
    video_codec: str
    audio_codec: str
    bitrate: float
    video_bitrate: float
    audio_bitrate: float
    protocol: str
    language: str
    note: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One video of a playlist, as far as the list itself tells."""

    url: str
    title: str
    duration: int
    thumbnail: str


class Described(msgspec.Struct, frozen=True, kw_only=True, tag="described"):
    """The answer to a look-up. `selected_formats` are the ids that a download would take."""

    found: Found
    url: str
    description: str
    is_live: bool
    is_playlist: bool
    formats: list[Format]
    selected_formats: list[str]
    entries: list[Entry]
    total_entries: int


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="kept"):
    """yt-dlp's own result as JSON, for the download that may follow a look-up."""

    info: str


Event = Found | Items | Listed | Pictured | Progress | Processing | Done | Failed | Described | Kept
Say = Callable[[Event], None]

_encoder = msgspec.json.Encoder()
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_job_decoder: msgspec.json.Decoder[Job | LookUpJob] = msgspec.json.Decoder(Job | LookUpJob)


def to_json(value: object) -> str:
    """Plain JSON; what JSON has no words for is said as text."""
    return msgspec.json.encode(value, enc_hook=str).decode()


class BadFrame(Exception):
    """The other side sent what is no message; it is not to be trusted any further."""


def encode(message: Job | LookUpJob | Event) -> bytes:
    """One frame.

    Raises:
        BadFrame: the message is too long.
    """
    body = _encoder.encode(message)
    if len(body) > FRAME_LIMIT:
        raise BadFrame(f"a message of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


class EventReader:
    """Cuts what arrives on a non-blocking socket into events."""

    def __init__(self, connection: socket.socket) -> None:
        """Read from this socket, which stays the caller's."""
        self._connection = connection
        self._buffer = bytearray()
        self.ended = False

    def read(self) -> list[Event]:
        """Whatever events are complete by now; sets `ended` when the child has closed its end.

        Raises:
            BadFrame: what came is no event.
        """
        self._fill()
        events = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_LIMIT:
                raise BadFrame(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            events.append(self._decode(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return events

    def _fill(self) -> None:
        while len(self._buffer) < _LENGTH.size + FRAME_LIMIT:
            try:
                chunk = self._connection.recv(65536)
            except BlockingIOError:
                return
            except ConnectionError:
                chunk = b""
            if not chunk:
                self.ended = True
                return
            self._buffer += chunk

    @staticmethod
    def _decode(body: bytes) -> Event:
        try:
            return _event_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadFrame(str(error)) from None


def read_job(connection: socket.socket) -> Job | LookUpJob:
    """The job, from a blocking socket.

    Raises:
        EOFError: the parent is gone.
    """
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
    return _job_decoder.decode(_receive(connection, length))


def share_of(rate: int) -> bytes:
    """What says that this is the job's share, in bytes a second."""
    return b"r%d;" % rate


def last_share(heard: bytes) -> int | None:
    """The last share that was said in this; None if there was none."""
    shares = _SHARE.findall(heard)
    return int(shares[-1]) if shares else None


def _receive(connection: socket.socket, wanted: int) -> bytes:
    data = bytearray()
    while len(data) < wanted:
        chunk = connection.recv(wanted - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)
