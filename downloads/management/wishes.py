"""The finer wishes as options of the command line."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from downloads.engine.choices import ITEMS, LANGUAGE, AudioFormat, Container, Place, Sponsors, VideoCodec, parse_clock

FLAGS = ("metadata", "chapters", "live_from_start", "skip_existing")
VALUES = (
    "audio_format",
    "container",
    "video_codec",
    "max_height",
    "max_filesize",
    "thumbnail",
    "sponsorblock",
    "section",
)
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def add_arguments(parser: ArgumentParser) -> None:
    """Take each of them; what is left out is as the preset says, or else as usual."""
    group = parser.add_argument_group("finer wishes")
    group.add_argument("--audio-format", choices=list(AudioFormat), type=AudioFormat)
    group.add_argument("--container", choices=list(Container), type=Container)
    group.add_argument("--video-codec", choices=list(VideoCodec), type=VideoCodec)
    group.add_argument("--max-height", type=int, metavar="PIXELS")
    group.add_argument("--max-filesize", type=_size, metavar="SIZE", help="bytes, or with K, M, G or T behind it")
    group.add_argument("--subtitles", type=_languages, metavar="LANGUAGES", help="such as en,zh-Hans, or all")
    group.add_argument("--auto-subtitles", action="store_true", help="machine-made ones where there are no others")
    group.add_argument("--subtitles-beside", action="store_true", help="in a file of their own")
    group.add_argument("--thumbnail", choices=[Place.EMBED, Place.BESIDE], type=Place)
    group.add_argument("--metadata", action="store_true", default=None, help="write title and uploader into the file")
    group.add_argument("--chapters", action="store_true", default=None, help="write chapters into the file")
    group.add_argument("--sponsorblock", choices=[Sponsors.MARK, Sponsors.CUT], type=Sponsors)
    group.add_argument("--section", type=_section, metavar="FROM-TO", help="such as 1:30-2:45, or 90- for the rest")
    group.add_argument("--live-from-start", action="store_true", default=None)
    group.add_argument("--playlist-items", type=_items, metavar="ITEMS", help="such as 1-10,15")
    group.add_argument(
        "--skip-existing", action="store_true", default=None, help="leave out items that are here already"
    )


def choices_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of them, as a `Choices` is in JSON."""
    choices = {name: said[name] for name in (*VALUES, *FLAGS, "playlist_items") if said[name] is not None}
    if said["subtitles"]:
        place = Place.BESIDE if said["subtitles_beside"] else Place.EMBED
        choices["subtitles"] = {"languages": said["subtitles"], "auto": said["auto_subtitles"], "place": place}
    return choices


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,15})([KMGT]?)", text.upper())
    if match is None:
        raise ArgumentTypeError("give bytes, or a number with K, M, G or T behind it, such as 500M")
    return int(match[1]) * UNITS[match[2]]


def _languages(text: str) -> list[str]:
    languages = [language.strip() for language in text.split(",")]
    if not all(re.fullmatch(LANGUAGE, language) for language in languages):
        raise ArgumentTypeError("give languages with commas between them, such as en,zh-Hans, or all")
    return languages


def _section(text: str) -> dict[str, float]:
    start, dash, end = text.partition("-")
    if not dash:
        raise ArgumentTypeError("give two times with a dash between them, such as 1:30-2:45")
    section = {"from": seconds(start or "0")} | ({"to": seconds(end)} if end else {})
    if section.get("to", float("inf")) <= section["from"]:
        raise ArgumentTypeError("a section ends after it begins")
    return section


def seconds(text: str) -> float:
    """Read `90`, `1:30` or `1:02:03.5`.

    Raises:
        ArgumentTypeError: it is none of these.
    """
    try:
        return parse_clock(text)
    except ValueError:
        raise ArgumentTypeError("give a time in seconds or as 1:02:03") from None


def _items(text: str) -> str:
    if not re.fullmatch(ITEMS, text):
        raise ArgumentTypeError("give numbers and ranges with commas between them, such as 1-10,15")
    return text
