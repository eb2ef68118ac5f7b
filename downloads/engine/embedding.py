"""The last run of ffmpeg: tags, chapters, subtitles and cover go into the file, and every stream is copied."""

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from mutagen.flac import Picture
from mutagen.ogg import OggFileType
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from downloads.engine.ffmpeg import Media, NotMedia, Toolbox, input_arguments, probe, run_ffmpeg, white_lists
from downloads.engine.tags import Chapter, as_ffmetadata

_PROBE_TIMEOUT = 60.0  # seconds
_TOLERANCE = 1.0  # seconds between before and after: containers round
_FRONT_COVER = 3  # ID3's number, which FLAC took over


@dataclass(frozen=True, kw_only=True)
class Holds:
    """What a container holds beside its streams: the codec of subtitles, the form of a cover, and whether chapters."""

    subtitles: str = ""
    cover: str = ""
    chapters: bool = True


# WebM holds no pictures, Ogg those that its comments have in them, and a WAV neither cover nor chapters.
HOLDS: Final = {
    "mp4": Holds(subtitles="mov_text", cover="stream"),
    "m4v": Holds(subtitles="mov_text", cover="stream"),
    "mov": Holds(subtitles="mov_text"),
    "mkv": Holds(subtitles="srt", cover="attachment"),
    "webm": Holds(subtitles="webvtt"),
    "m4a": Holds(cover="stream"),
    "mp3": Holds(cover="stream"),
    "flac": Holds(cover="stream", chapters=False),
    "opus": Holds(cover="comment"),
    "ogg": Holds(cover="comment"),
    "wav": Holds(chapters=False),
}
_MP4_FAMILY: Final = frozenset({"mp4", "m4v", "m4a", "mov"})
_TAGS_OF_MP4: Final = ("major_brand", "minor_version", "compatible_brands")  # without a meaning elsewhere
_OGG: Final[dict[str, type[OggFileType]]] = {"opus": OggOpus, "ogg": OggVorbis}
# Their comments have one field for ffmpeg's comment and description: the page's address stays, `synopsis` has the rest.
_ONE_COMMENT: Final = frozenset({"flac", "opus", "ogg"})


@dataclass(frozen=True, kw_only=True)
class Text:
    """Subtitles in a file of SubRip text: their BCP 47 `tag`, `language` by ISO 639-2, and a `name` for people."""

    path: Path
    tag: str
    language: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What goes into the file. `keeps_own_tags` says that its own tags are better than these where it has any.

    A file that has a cover keeps it. `cover` is put in where there is none, if `adds_cover`; or where the file's own
    one is in a form that cannot be copied.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[Chapter] = ()
    texts: Sequence[Text] = ()
    cover: Path | None = None
    adds_cover: bool = False
    keeps_own_tags: bool = False

    def __bool__(self) -> bool:
        return bool(self.tags or self.chapters or self.texts or self.adds_cover)


def embed(source: Path, extras: Extras, toolbox: Toolbox, *, on_progress: Callable[[float], None]) -> Path:
    """Put the extras into a copy of `source` in the same folder, and say where it is.

    Its container has to be in `HOLDS`. The result is written to `finishing.<ext>` and renamed to `finished.<ext>` when
    it is whole and proven to have the same streams and the same duration. `source` stays.

    Raises:
        FfmpegFailed: ffmpeg cannot write it.
        NotMedia: the source is no media, or the result is not what it was.
        OSError, mutagen.MutagenError: the cover cannot be written.
    """
    before = probe(toolbox, source, timeout=_PROBE_TIMEOUT)
    holds = HOLDS[before.extension]
    unfinished = source.with_name(f"finishing{source.suffix}")
    words = source.with_name("finishing.txt")
    try:
        words.write_text(as_ffmetadata(_fitting(extras.tags, before.extension), extras.chapters), encoding="utf-8")
        cover = _cover(before, extras, holds.cover)
        arguments = _arguments(source, words, before, replace(extras, cover=cover), holds)
        run_ffmpeg(toolbox, [*arguments, f"file:{unfinished}"], duration=before.duration, on_progress=on_progress)
        if cover and holds.cover == "comment":
            _put_into_comments(unfinished, cover)
        _prove(before, probe(toolbox, unfinished, timeout=_PROBE_TIMEOUT))
        return unfinished.replace(source.with_name(f"finished{source.suffix}"))
    finally:
        for leftover in (unfinished, words):
            with suppress(FileNotFoundError):
                leftover.unlink()


def _cover(media: Media, extras: Extras, form: str) -> Path | None:
    has_own = any(stream.is_attached_picture for stream in media.streams)
    is_put_in = form and (has_own or extras.adds_cover) and not (has_own and form == "stream")
    return extras.cover if is_put_in else None


def _fitting(tags: Mapping[str, str], extension: str) -> dict[str, str]:
    return {tag: text for tag, text in tags.items() if not (tag == "description" and extension in _ONE_COMMENT)}


def _arguments(source: Path, words: Path, media: Media, extras: Extras, holds: Holds) -> list[str]:
    # A picture that is attached to a Matroska file would come out as a video of one frame.
    kept = [
        stream
        for stream in media.streams
        if stream.kind != "data" and (holds.cover == "stream" or not stream.is_attached_picture)
    ]
    count = Counter(stream.kind for stream in kept)
    inputs = [*input_arguments(source), *input_arguments(words, ("ffmetadata",))]
    maps = [argument for stream in kept for argument in ("-map", f"0:{stream.index}")]
    options = ["-c", "copy", *_words_of(media, extras)]
    for number, text in enumerate(extras.texts):
        inputs += input_arguments(text.path, ("srt",))
        maps += ["-map", f"{number + 2}:s:0"]
        place = f"s:{count['subtitle'] + number}"
        options += [f"-c:{place}", holds.subtitles]
        options += _named(place, language=text.language, title=text.name, handler_name=text.name)
    if extras.cover and holds.cover == "stream":
        inputs += [*white_lists(("jpeg_pipe",)), "-f", "jpeg_pipe", "-i", f"file:{extras.cover}"]
        maps += ["-map", f"{len(extras.texts) + 2}:v:0"]
        place = f"v:{count['video']}"
        options += [f"-disposition:{place}", "attached_pic", *_named(place, comment="Cover (front)")]
    if extras.cover and holds.cover == "attachment":
        place = f"t:{count['attachment']}"
        options += ["-attach", f"file:{extras.cover}", *_named(place, mimetype="image/jpeg", filename="cover.jpg")]
    return [*inputs, *maps, *options]


def _words_of(media: Media, extras: Extras) -> list[str]:
    # The first one counts where both say something.
    sources = ("0", "1") if extras.keeps_own_tags else ("1", "0")
    options = [argument for number in sources for argument in ("-map_metadata", number)]
    options += ["-map_chapters", "1" if extras.chapters else "0"]
    if media.extension in _MP4_FAMILY:
        return [*options, "-movflags", "+faststart"]
    options += [argument for tag in _TAGS_OF_MP4 for argument in ("-metadata", f"{tag}=")]
    return [*options, "-id3v2_version", "3"] if media.extension == "mp3" else options  # which Windows reads


def _named(place: str, **names: str) -> list[str]:
    return [part for key, text in names.items() for part in (f"-metadata:s:{place}", f"{key}={text}")]


def _put_into_comments(path: Path, cover: Path) -> None:
    picture = Picture()
    picture.type = _FRONT_COVER
    picture.mime = "image/jpeg"
    picture.data = cover.read_bytes()
    comments = _OGG[path.suffix.removeprefix(".")](path)
    comments["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
    comments.save()


def _prove(before: Media, after: Media) -> None:
    """Nothing is lost on the way.

    Raises:
        NotMedia: something is.
    """
    is_as_long = abs((after.duration or 0) - (before.duration or 0)) <= _TOLERANCE
    if not is_as_long or _codecs(before) != _codecs(after):
        raise NotMedia("The file that came out has not the streams or the duration of the one that went in.")


def _codecs(media: Media) -> list[str]:
    return [stream.codec for stream in (*media.videos, *media.audios)]
