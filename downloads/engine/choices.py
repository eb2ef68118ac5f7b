"""The finer wishes for a download: one typed set that goes from the API, beside quality and processing, to the child.

Every field has a value that means "as usual", so that a set of none is the empty object. No text of a request becomes a
part of an option of yt-dlp or ffmpeg: languages are held to a pattern, all else is a number or one word of a list.
"""

import re
from enum import StrEnum
from typing import Annotated, Final

import msgspec

LANGUAGE: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$"
MAX_LANGUAGES: Final = 20
ITEMS: Final = r"^[1-9][0-9]{0,5}(-[1-9][0-9]{0,5})?(,[1-9][0-9]{0,5}(-[1-9][0-9]{0,5})?){0,499}$"
MAX_SECONDS: Final = 1_000_000.0
MAX_BYTES: Final = 2**50
ALL_LANGUAGES: Final = "all"
CLOCK: Final = re.compile(r"(?:(?:([0-9]{1,3}):)?([0-9]{1,4}):)?([0-9]{1,6}(?:\.[0-9]{1,3})?)")


class AudioFormat(StrEnum):
    """What `audio` gives; `source` keeps the source's codec in its natural container."""

    SOURCE = "source"
    M4A = "m4a"
    MP3 = "mp3"
    OPUS = "opus"
    FLAC = "flac"
    WAV = "wav"


class Container(StrEnum):
    """In what a video is kept; `source` is what the site delivers, or fits what it delivers."""

    SOURCE = "source"
    MP4 = "mp4"
    MKV = "mkv"
    WEBM = "webm"


class VideoCodec(StrEnum):
    """Which codec is taken where the site offers several at the wanted height; nothing is encoded for it."""

    ANY = "any"
    H264 = "h264"
    HEVC = "hevc"
    VP9 = "vp9"
    AV1 = "av1"


class Place(StrEnum):
    """Where subtitles or a thumbnail go: nowhere, into the file, or into a file of its own beside it."""

    NONE = "none"
    EMBED = "embed"
    BESIDE = "beside"


class Sponsors(StrEnum):
    """What becomes of the parts that SponsorBlock's users have marked: kept, marked as chapters, or cut out."""

    KEEP = "keep"
    MARK = "mark"
    CUT = "cut"


class Subtitles(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which subtitles: `languages` as BCP 47 tags (`en` takes `en-GB` as well), or the one word `all`.

    `auto` takes the site's machine-made ones too, where there are no others in a language.
    """

    languages: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=LANGUAGE)], ...],
        msgspec.Meta(max_length=MAX_LANGUAGES, min_length=1),
    ]
    auto: bool = False
    place: Place = Place.EMBED


class Section(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A part of the video, in seconds from its beginning. `end` None is the end of the video."""

    start: Annotated[float, msgspec.Meta(ge=0, le=MAX_SECONDS)] = msgspec.field(name="from", default=0.0)
    end: Annotated[float, msgspec.Meta(gt=0, le=MAX_SECONDS)] | None = msgspec.field(name="to", default=None)

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise ValueError("A section ends after it begins.")


class Choices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """All of them. What makes no sense for a download (a container for audio, say) has no effect there.

    `max_height` is in pixels of the shorter side, 0 for what the quality says; `max_filesize` in bytes, 0 for none.
    `playlist_items` are numbers and ranges such as `1-10,15`, empty for all; `skip_existing` leaves out the items of a
    playlist that are in the library already.
    """

    audio_format: AudioFormat = AudioFormat.SOURCE
    container: Container = Container.SOURCE
    video_codec: VideoCodec = VideoCodec.ANY
    max_height: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    max_filesize: Annotated[int, msgspec.Meta(ge=0, le=MAX_BYTES)] = 0
    subtitles: Subtitles | None = None
    thumbnail: Place = Place.NONE
    metadata: bool = False
    chapters: bool = False
    sponsorblock: Sponsors = Sponsors.KEEP
    section: Section | None = None
    live_from_start: bool = False
    playlist_items: Annotated[str, msgspec.Meta(pattern=rf"{ITEMS}|^$")] = ""
    skip_existing: bool = False


def to_builtins(choices: Choices) -> dict[str, object]:
    """The set as plain JSON, without what is as usual."""
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(choices))
    return plain


def from_builtins(plain: object) -> Choices:
    """The set that this JSON means.

    Raises:
        msgspec.ValidationError: it means none.
    """
    return msgspec.convert(plain, Choices)


def parse_clock(text: str) -> float:
    """Seconds, as a person writes a place in a video: `90`, `1:30` or `1:02:03.5`.

    Raises:
        ValueError: it is none of these.
    """
    found = CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds
