"""Names in the library and texts on the page, made from what strangers wrote."""

import os.path
import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Final

from downloads.engine.templates import Template

MEDIA_EXTENSIONS: Final = frozenset(
    {
        *("mp4", "m4v", "mkv", "webm", "mov", "avi", "flv", "ts", "3gp", "3g2", "mpg", "mpeg", "ogv", "wmv"),
        *("mp3", "m4a", "aac", "opus", "ogg", "oga", "flac", "wav", "mka", "weba", "aiff", "alac", "ac3", "wma"),
    }
)
SIDE_EXTENSIONS: Final = frozenset({"srt", "vtt", "ass", "lrc", "jpg", "png", "webp"})
"""What may lie beside a media file: subtitles, lyrics and pictures."""
FURTHER_PART: Final = re.compile(r"\.part-[0-9]{1,4}\.(?:mp4|mkv|ts)")
"""And further parts of a recording, which never have the name of the file itself."""

MAX_NAME_BYTES: Final = 255
"""The longest name that the usual file systems take, in bytes of UTF-8."""
MAX_CUSTOM_LENGTH: Final = 1_000
MAX_SUFFIX_BYTES: Final = 22
"""The longest ending of a file in the library, dots included: 16 for a language and 4 for a type."""
SUFFIX: Final = r"\A(\.[A-Za-z0-9-]{1,16}){1,2}\Z"
"""The ending of a side file: its language, if it has one, and its type."""
MAX_STEM_BYTES: Final = MAX_NAME_BYTES - MAX_SUFFIX_BYTES - len(" (999)")

_MAX_FIELD_BYTES: Final = 100  # of every field but the title
_LEAST_FIELD_BYTES: Final = 24  # stay of a field before the next one is cut
_CUT_FIRST: Final = ("title", "playlist", "uploader", "site", "id")
_FIRST_FEW: Final = 5  # names that are tried before all in a folder are looked at
_MAX_RAW_LENGTH: Final = 4_000
"""No more of a title than this many characters is looked at."""
_LONGEST_CLUSTER: Final = 32
"""So many characters at most are given up for the sake of a character with its marks."""

_ZWJ: Final = "\u200d"
_ZWNJ: Final = "\u200c"
_BIDI: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# What cannot be seen: controls, surrogates, bidi marks and overrides, zero-width and blank letters, tags,
# non-characters. The two joiners are not here: emoji and Persian need one each.
_HIDDEN: Final = re.compile(
    rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_BIDI}"
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u2800\u3164\ufeff\uffa0"
    r"\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BIDI_CHARACTER: Final = re.compile(f"[{_BIDI}]")
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_SEPARATOR: Final = re.compile(r"[/\\]")
_RESERVED_CHARACTER: Final = re.compile(r'[<>:"|?*]')
# The same look-alikes that yt-dlp takes.
_LOOK_ALIKES: Final = str.maketrans('/\\<>:"|?*', "⧸⧹＜＞：＂｜？＊")
_RESERVED_NAME: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE
)
_EMOJI_MODIFIERS: Final = frozenset("🏻🏼🏽🏾🏿")


@dataclass(frozen=True, kw_only=True)
class NameFacts:
    """What a name may be made of; empty or 0 is unknown. `height` is in pixels of the shorter side."""

    title: str
    media_id: str = ""
    uploader: str = ""
    site: str = ""
    upload_date: date | None = None
    height: int = 0
    quality: str = ""
    playlist: str = ""
    playlist_index: int = 0
    playlist_count: int = 0
    task_id: str = ""

    def values(self) -> dict[str, str]:
        """The text of each field of a template."""
        digits = len(str(self.playlist_count))
        return {
            "title": self.title,
            "id": self.media_id,
            "uploader": self.uploader,
            "site": self.site,
            "date": self.upload_date.isoformat() if self.upload_date else "",
            "resolution": f"{self.height}p" if self.height else "",
            "quality": self.quality,
            "playlist": self.playlist,
            "playlist_index": str(self.playlist_index).zfill(digits) if self.playlist_index else "",
            "task": self.task_id,
        }


def checked_custom_filename(text: str) -> str:
    """Give the name that a user chose for a file, unchanged but for its Unicode form (NFC).

    Raises:
        ValueError: it is no plain file name on all common systems; the text is one sentence for people.
    """
    if len(text) > MAX_CUSTOM_LENGTH:
        raise ValueError(f"A file name can have at most {MAX_CUSTOM_LENGTH:,} characters.")
    for forbidden, sentence in (
        (_SEPARATOR, "A file name cannot have a slash or a backslash in it."),
        (_CONTROL_CHARACTER, "A file name cannot have line breaks or control characters in it."),
        (_SURROGATE, "This file name is not valid Unicode text."),
        (_RESERVED_CHARACTER, 'A file name cannot have any of the characters < > : " | ? * in it.'),
        (_BIDI_CHARACTER, "A file name cannot have characters in it that change the direction of the text."),
    ):
        if forbidden.search(text):
            raise ValueError(sentence)
    if text.startswith("."):
        raise ValueError("A file name cannot begin with a dot.")
    if not _safe(text):
        raise ValueError("The file name is empty.")
    if text[-1] == "." or text[-1].isspace():
        raise ValueError("A file name cannot end with a dot or a blank.")
    if _RESERVED_NAME.match(text.lstrip()):
        raise ValueError("This file name is reserved by Windows.")
    return unicodedata.normalize("NFC", text)


def library_name(template: Template, facts: NameFacts, extension: str, custom: str = "") -> str:
    """Name a finished file: the custom name, or what the template gives, with the extension of the real container.

    The result is one safe path component, never hidden and never empty, in NFC. Without its extension it has at most
    `MAX_STEM_BYTES`, so that a number and a longer ending fit. Too long a title is cut, and other fields only where
    that is not enough; of the id 100 bytes stay. Where the title has the id in it already, the id is not repeated.

    Raises:
        ValueError: the extension (without its dot) is not that of a media file.
    """
    if extension not in MEDIA_EXTENSIONS:
        raise ValueError(f"Files of the type {extension[:20]!r} are not kept.")
    if custom:
        stem = _cut(_safe(_without_media_extension(custom)), MAX_STEM_BYTES)
    else:
        stem = _made_from(template, facts, MAX_STEM_BYTES)
    return f"{stem or 'video'}.{extension}"


def library_folders(templates: Sequence[Template], facts: NameFacts) -> list[str]:
    """Name the folders for a file, the outermost first, each as safe as a file's name; a level without a value is none.

    At most 255 bytes each; too long a one is cut as a file's name is.
    """
    levels = [_made_from(template, facts, MAX_NAME_BYTES) for template in templates]
    return [level for level in levels if level]


def side_name(name: str, suffix: str) -> str:
    """Name the file beside another: `film.mp4` and `.en.srt` give `film.en.srt`.

    Raises:
        ValueError: the suffix (with its dots) is not that of a subtitle, a picture or a further part.
    """
    is_known = suffix.rpartition(".")[2] in SIDE_EXTENSIONS or FURTHER_PART.fullmatch(suffix)
    if not re.match(SUFFIX, suffix) or not is_known:
        raise ValueError(f"Files of the type {suffix[:20]!r} are not kept beside a video.")
    return f"{os.path.splitext(name)[0]}{suffix}"  # noqa: PTH122  a name, no path


def numbered(name: str, taken: Callable[[], Container[str]] = frozenset) -> Iterator[str]:
    """Yield `name.mp4`, `name (2).mp4`, `name (3).mp4` and so on, without an end.

    After the first few, what is `taken` is asked for once, and left out.
    """
    yield name
    stem, extension = os.path.splitext(name)  # noqa: PTH122  a name, no path
    left_out: Container[str] = ()
    for number in count(2):
        if number == _FIRST_FEW:
            left_out = taken()
        candidate = f"{stem} ({number}){extension}"
        if candidate not in left_out:
            yield candidate


def clean_text(text: str, limit: int) -> str:
    """Give a text as one line for display, nothing hidden in it, cut to `limit` characters with an ellipsis."""
    # Hidden characters count for nothing, but a text of nothing else must not be read for ever.
    cleaned = _cleaned(text[: limit + _MAX_RAW_LENGTH])
    if len(cleaned) <= limit:
        return cleaned
    end = _cluster_start(cleaned, max(limit - 1, 0))
    return cleaned[:end].rstrip() + "…"


def _cleaned(text: str) -> str:
    """Collapse blanks and remove what cannot be seen; the result is in NFC, its joiners only between characters."""
    visible = _HIDDEN.sub("", " ".join(text.split()))
    return unicodedata.normalize("NFC", " ".join(visible.split()).strip(f"{_ZWJ}{_ZWNJ} "))


def _made_from(template: Template, facts: NameFacts, room: int) -> str:
    """Fill the template, safe and in `room` bytes; it may come out empty."""
    parts = {name: _cut(_part(value), _MAX_FIELD_BYTES) for name, value in facts.values().items()}
    parts["title"] = _part(facts.title) or "video"
    if {"title", "id"} <= template.fields:
        alone = _fitted(template, parts | {"id": ""}, room)
        if re.search(rf"(?<!\w){re.escape(parts['id'])}(?!\w)", alone["title"]):
            parts = alone
    return _cut(_safe(template.fill(_fitted(template, parts, room))), room)


def _fitted(template: Template, parts: dict[str, str], room: int) -> dict[str, str]:
    """Cut the fields, one after the other, until what they make has room."""
    fitted = dict(parts)
    for name in _CUT_FIRST:
        excess = len(_safe(template.fill(fitted)).encode()) - room
        if excess <= 0:
            break
        fitted[name] = _cut(fitted[name], max(len(fitted[name].encode()) - excess, _LEAST_FIELD_BYTES))
    return fitted


def _safe(text: str) -> str:
    """Make a name of a text: no separator, nothing reserved, nothing hidden; it may come out empty."""
    name = _part(text)
    # A dash at the beginning would be read as an option by programs that are given the name.
    return f"_{name}" if name.startswith("-") or _RESERVED_NAME.match(name) else name


def _part(text: str) -> str:
    """Make a part of a name of a text."""
    name = _cleaned(text[:_MAX_RAW_LENGTH].replace(_ZWNJ, "")).translate(_LOOK_ALIKES)
    return _trimmed(_without_loose_start(name))


def _without_loose_start(text: str) -> str:
    """Drop dots, which hide a file, and marks without a character under them from the beginning."""
    start = 0
    while start < len(text) and (text[start] in ". " or _extends(text[start])):
        start += 1
    return text[start:]


def _trimmed(text: str) -> str:
    """Drop from the end what Windows drops silently (dots and blanks), and a joiner that joins nothing."""
    return text.rstrip(f" .{_ZWJ}")


def _without_media_extension(name: str) -> str:
    stem, _, extension = name.rpartition(".")
    return stem if stem and extension.lower() in MEDIA_EXTENSIONS else name


def _cut(text: str, room: int) -> str:
    """Cut to `room` bytes of UTF-8, between two characters as people see them."""
    encoded = text.encode()
    if len(encoded) <= room:
        return text
    return _trimmed(text[: _cluster_start(text, len(encoded[:room].decode(errors="ignore")))])


def _cluster_start(text: str, end: int) -> int:
    """Move the place of a cut back to where no mark or joiner is torn from its character.

    A pile of more than 32 marks is no character that anybody reads; it is cut where it is.
    """
    for place in range(end, max(end - _LONGEST_CLUSTER, 0), -1):
        if not _extends(text[place]) and text[place - 1] != _ZWJ:
            return place
    return end if end > _LONGEST_CLUSTER else 0


def _extends(character: str) -> bool:
    return character == _ZWJ or character in _EMOJI_MODIFIERS or unicodedata.category(character).startswith("M")
