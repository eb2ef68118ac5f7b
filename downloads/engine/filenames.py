"""Names in the library and texts on the page, made from what strangers wrote."""

import os.path
import re
import unicodedata
from collections.abc import Iterator
from itertools import count
from typing import Final

MEDIA_EXTENSIONS: Final = frozenset(
    {
        *("mp4", "m4v", "mkv", "webm", "mov", "avi", "flv", "ts", "3gp", "3g2", "mpg", "mpeg", "ogv", "wmv"),
        *("mp3", "m4a", "aac", "opus", "ogg", "oga", "flac", "wav", "mka", "weba", "aiff", "alac", "ac3", "wma"),
    }
)

MAX_NAME_BYTES: Final = 255
"""The longest name that the usual file systems take, in bytes of UTF-8."""
MAX_CUSTOM_LENGTH: Final = 1_000
RESERVED_BYTES: Final = 24
"""Room that `library_name` leaves: 6 bytes for ` (999)` and 18 for the suffix of a temporary name."""

_MAX_ID_BYTES: Final = 100
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


def library_name(title: str, media_id: str, extension: str, custom: str = "") -> str:
    """Name a finished file: the custom name, or `Title [id]`, with the extension of the real container.

    The result is one safe path component, never hidden and never empty, and leaves `RESERVED_BYTES` of the 255 that a
    name may have. The id stays whole when a long title is cut.

    Raises:
        ValueError: the extension (without its dot) is not that of a media file.
    """
    if extension not in MEDIA_EXTENSIONS:
        raise ValueError(f"Files of the type {extension[:20]!r} are not kept.")
    room = MAX_NAME_BYTES - RESERVED_BYTES - len(extension) - 1
    if custom:
        stem = _cut(_safe(_without_media_extension(custom)), room)
    else:
        stem = _with_id(_safe(title), _cut(_safe(media_id), _MAX_ID_BYTES), room)
    return f"{stem or 'video'}.{extension}"


def numbered(name: str) -> Iterator[str]:
    """Yield `name.mp4`, `name (2).mp4`, `name (3).mp4` and so on, without an end."""
    yield name
    stem, extension = os.path.splitext(name)  # noqa: PTH122  a name, no path
    for number in count(2):
        yield f"{stem} ({number}){extension}"


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


def _safe(text: str) -> str:
    """Make a name's part of a text: no separator, nothing reserved, nothing hidden; it may come out empty."""
    name = _cleaned(text[:_MAX_RAW_LENGTH].replace(_ZWNJ, "")).translate(_LOOK_ALIKES)
    name = _without_loose_start(name)
    if name.startswith("-") or _RESERVED_NAME.match(name):
        # A dash would be read as an option by programs that are given the name.
        name = f"_{name}"
    return _trimmed(name)


def _without_loose_start(text: str) -> str:
    """Drop dots, which hide a file, and marks without a character under them from the beginning."""
    start = 0
    while start < len(text) and (text[start] in ". " or _extends(text[start])):
        start += 1
    return text[start:]


def _trimmed(text: str) -> str:
    """Drop from the end what Windows drops silently (dots and blanks), and a joiner that joins nothing."""
    return text.rstrip(f" .{_ZWJ}")


def _with_id(title: str, media_id: str, room: int) -> str:
    plain = _cut(title, room)
    if not media_id or re.search(rf"(?<!\w){re.escape(media_id)}(?!\w)", plain):
        return plain
    suffix = f" [{media_id}]"
    return f"{_cut(title, room - len(suffix.encode())) or 'video'}{suffix}"


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
