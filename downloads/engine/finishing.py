"""From the downloaded file to the finished one: cut, converted, with all that goes into it, and what goes beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mutagen import MutagenError

from downloads.engine import messages, notes, pictures, subtitles
from downloads.engine.choices import Place, Section, Sponsors
from downloads.engine.companions import Collected, show
from downloads.engine.cutting import Cut, cut_of
from downloads.engine.embedding import HOLDS, Extras, Holds, Text, embed
from downloads.engine.encoders import Encoder, why_not
from downloads.engine.errors import clean_detail
from downloads.engine.ffmpeg import NO_SPACE, TOO_LARGE, FfmpegFailed, Media, NotMedia, Toolbox
from downloads.engine.formats import PostProcessing
from downloads.engine.pictures import Pictures
from downloads.engine.plans import Details, ProcessingFailed
from downloads.engine.postprocessing import process
from downloads.engine.tags import chapters, is_bare, tags
from downloads.engine.timeline import Timeline, joined

_CONVERSION_SHARE = 0.9  # of the progress; then the file is written once more
_FRAME_FOLDER: Final = "frame"
_NOTHING: Final = Holds(chapters=False)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The file, what goes beside it, and what could not be had: a sentence each."""

    file: Path
    side_files: tuple[messages.SideFile, ...]
    notes: tuple[str, ...]


def converts(job: messages.Job) -> bool:
    """Whether more than the file as it came may be wanted, so that a conversion follows the download."""
    is_cut = job.choices.sponsorblock is Sponsors.CUT
    return is_cut or Details(container=job.choices.container).convert(job.post_processing)


class Finisher:
    """Finishes one download: `run` it on the file that came. Everything happens in the task's folder."""

    def __init__(
        self, job: messages.Job, info: dict[str, Any], collected: Collected, toolbox: Toolbox, say: messages.Say
    ) -> None:
        """Take what the look-up said, and what came beside the video."""
        self._job = job
        self._choices = job.choices
        self._info = info
        self._collected = collected
        self._toolbox = toolbox
        self._say = say
        self._folder = Path(job.folder)
        self._notes = list(collected.notes)

    def run(self, source: Path, media: Media, on_progress: Callable[[float], None]) -> Finished:
        """Make the finished file of `source`, which is `media`.

        What its container does not hold goes beside it where it was asked for, and is left out where it was not.
        `on_progress` gets the fraction done, 0 to 1.

        Raises:
            ProcessingFailed: the file cannot be made.
        """
        picture = self._collected.pictures or self._picture_of(source, media)
        cut = self._cut(source, media)
        file = process(
            source,
            self._job.post_processing,
            self._toolbox,
            on_progress=lambda part: on_progress(part * _CONVERSION_SHARE),
            details=Details(
                audio_format=self._choices.audio_format,
                container=self._choices.container,
                cut=cut,
                encoder=self._encoder(),
            ),
        )
        timeline = _timeline(self._choices.section, media.duration, cut)
        texts = self._texts(timeline)
        extras = self._extras(file, timeline, texts, picture)
        embedded = self._embedded(
            file, extras, lambda part: on_progress(_CONVERSION_SHARE + part * (1 - _CONVERSION_SHARE))
        )
        if embedded is None:
            extras = Extras()
        return Finished(
            file=embedded or file,
            side_files=tuple(self._beside(extras, texts, picture)),
            notes=tuple(self._notes),
        )

    @property
    def _is_audio(self) -> bool:
        return self._job.post_processing is PostProcessing.AUDIO

    def _picture_of(self, source: Path, media: Media) -> Pictures | None:
        folder = self._folder / _FRAME_FOLDER  # of its own: a picture of the site's may still come late
        folder.mkdir(exist_ok=True)
        # A file with a cover of its own may need it once more: not every container is copied with it
        has_cover = any(stream.is_attached_picture for stream in media.streams)
        with_cover = has_cover or self._is_audio or self._choices.thumbnail is not Place.NONE
        found = pictures.of_video(source, media, folder, self._toolbox, with_cover=with_cover)
        if found:
            show(found, self._folder, self._say)
        return found

    def _cut(self, source: Path, media: Media) -> Cut | None:
        if self._choices.sponsorblock is not Sponsors.CUT or not media.duration:
            return None
        timeline = _timeline(self._choices.section, media.duration, None)
        spans = (timeline.span(segment.start, segment.end) for segment in self._collected.segments)
        parts = joined(filter(None, spans), media.duration)
        if not parts or parts == [(0.0, media.duration)]:  # a whole video of advertising is what was asked for
            return None
        try:
            return cut_of(self._toolbox, source, parts, media.duration, has_picture=bool(media.videos))
        except NotMedia as error:
            raise ProcessingFailed(str(error), error.detail) from error

    def _encoder(self) -> Encoder:
        """The one that the administrator wants, if it works here."""
        wanted = self._job.encoder
        if wanted is Encoder.SOFTWARE or self._is_audio or not converts(self._job):
            return Encoder.SOFTWARE
        if reason := why_not(wanted, self._toolbox):
            self._notes.append(notes.NO_HARDWARE.format(encoder=wanted, detail=clean_detail(reason)))
            return Encoder.SOFTWARE
        return wanted

    def _texts(self, timeline: Timeline) -> list[Text]:
        texts = []
        for track, words in self._collected.texts:
            moved = subtitles.moved(words, timeline)
            if moved:
                path = self._folder / f"beside.{track.language}.srt"
                path.write_text(moved, encoding="utf-8", errors="replace")
                name = track.name or track.language
                texts.append(Text(path=path, tag=track.language, language=track.three_letters, name=name))
            else:
                self._notes.append(notes.EMPTY_SUBTITLES.format(language=track.language))
        return texts

    def _extras(self, file: Path, timeline: Timeline, texts: list[Text], picture: Pictures | None) -> Extras:
        """What is to go into the file, and can."""
        choices, holds = self._choices, _holds(file)
        cover = picture.cover if picture else None
        wants_chapters = choices.chapters or bool(self._collected.segments and choices.sponsorblock is Sponsors.MARK)
        wants_tags = choices.metadata or self._is_audio
        if holds is _NOTHING and (choices.metadata or wants_chapters):
            self._notes.append(notes.NO_TAGS.format(suffix=file.suffix))
            return Extras()
        if wants_chapters and not holds.chapters:
            self._notes.append(notes.NO_CHAPTERS.format(suffix=file.suffix))
        marked = self._collected.segments if choices.sponsorblock is Sponsors.MARK else ()
        embeds_texts = choices.subtitles is not None and choices.subtitles.place is Place.EMBED and holds.subtitles
        return Extras(
            tags=tags(self._info, with_description=choices.metadata) if wants_tags else {},
            chapters=chapters(self._info, timeline, marked) if wants_chapters and holds.chapters else (),
            texts=tuple(texts) if embeds_texts else (),
            cover=cover,
            adds_cover=bool(cover and holds.cover and (self._is_audio or choices.thumbnail is Place.EMBED)),
            keeps_own_tags=is_bare(self._info),
        )

    def _embedded(self, file: Path, extras: Extras, on_progress: Callable[[float], None]) -> Path | None:
        """The file with its extras; `None` where there are none, or they could not be put in."""
        if not extras:
            return None
        try:
            return embed(file, extras, self._toolbox, on_progress=on_progress)
        except (FfmpegFailed, NotMedia, MutagenError) as error:
            detail = f"{error} {getattr(error, 'detail', '')}"
            if NO_SPACE in detail or TOO_LARGE in detail:
                raise ProcessingFailed("The finished file cannot be written.", detail) from error
            self._notes.append(notes.NOT_EMBEDDED.format(detail=clean_detail(detail)))
            return None

    def _beside(self, extras: Extras, texts: Sequence[Text], picture: Pictures | None) -> list[messages.SideFile]:
        """What was asked for, and is not in the file."""
        side = [messages.SideFile(name=text.path.name, suffix=f".{text.tag}.srt") for text in texts if not extras.texts]
        if picture and picture.cover and self._choices.thumbnail is not Place.NONE and not extras.adds_cover:
            cover = picture.cover.rename(self._folder / "beside.jpg")
            side.append(messages.SideFile(name=cover.name, suffix=".jpg"))
        return side


def _holds(file: Path) -> Holds:
    return HOLDS.get(file.suffix.lower().removeprefix("."), _NOTHING)


def _timeline(section: Section | None, duration: float | None, cut: Cut | None) -> Timeline:
    """Where the moments of the site's video are in the file, which lasts `duration` seconds before the cut."""
    start = section.start if section else 0.0
    whole = Timeline(((start, start + (duration or float("inf"))),))
    return whole.without(cut.parts) if cut else whole
