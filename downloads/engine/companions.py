"""What comes beside a video, fetched while the video itself is: its picture, its subtitles, what SponsorBlock knows.

The download never fails for want of them, and hardly waits. What could not be had is said in the notes.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from downloads.engine import messages, notes, pictures, sponsors, subtitles
from downloads.engine.choices import Place, Sponsors
from downloads.engine.errors import clean_detail
from downloads.engine.fetching import Fetcher, Unavailable
from downloads.engine.ffmpeg import Toolbox
from downloads.engine.pictures import Pictures
from downloads.engine.sponsors import Segment
from downloads.engine.subtitles import Track

FOLDER: Final = "companions"
PICTURE: Final = "picture.jpg"

_PICTURE_LIMIT = 20.0  # seconds to fetch it
_SPONSORS_LIMIT = 20.0
_SUBTITLES_LIMIT = 60.0  # for each track
_PATIENCE = 3.0  # seconds to wait for a picture that nobody asked for, when the video is here
_PATIENCE_ON_REQUEST = 90.0  # and for what was asked for

_Result = TypeVar("_Result")


@dataclass
class Collected:
    """What there is so far; `texts` are the subtitles as SubRip text, on the timeline of the site's video."""

    pictures: Pictures | None = None
    segments: tuple[Segment, ...] = ()
    texts: tuple[tuple[Track, str], ...] = ()
    notes: list[str] = field(default_factory=list)


class Companions:
    """Fetches them in a thread of its own. `start` once, then `wait`."""

    def __init__(self, job: messages.Job, fetcher: Fetcher, toolbox: Toolbox, say: messages.Say) -> None:
        """Take a fetcher that stays usable until `wait` is back."""
        self._job = job
        self._fetcher = fetcher
        self._toolbox = toolbox
        self._say = say
        self._folder = Path(job.folder) / FOLDER
        self._collected = Collected()
        self._thread = threading.Thread(target=self._collect, name="companions", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._folder.mkdir(exist_ok=True)
        self._thread.start()

    def wait(self) -> Collected:
        """What there is, when all is there or the patience is over."""
        choices = self._job.choices
        on_request = (
            choices.subtitles is not None
            or choices.sponsorblock is not Sponsors.KEEP
            or choices.thumbnail is not Place.NONE
        )
        self._thread.join(_PATIENCE_ON_REQUEST if on_request else _PATIENCE)
        if self._thread.is_alive() and on_request:
            self._note(notes.LATE, Unavailable("it did not come in time"))
        return self._collected

    def _collect(self) -> None:
        choices = self._job.choices
        self._collect_picture()
        if choices.sponsorblock is not Sponsors.KEEP and sponsors.can_be_asked_for(self._fetcher.info):
            self._collect_segments(choices.sponsorblock)
        if choices.subtitles is not None:
            self._collect_subtitles(subtitles.choose(self._fetcher.info, choices.subtitles))

    def _collect_picture(self) -> None:
        fetch = partial(pictures.of_site, self._fetcher, self._folder, self._toolbox)
        found = self._try(notes.PICTURE, _PICTURE_LIMIT, fetch)
        if found:
            self._collected.pictures = found
            show(found, Path(self._job.folder), self._say)

    def _collect_segments(self, wanted: Sponsors) -> None:
        fetch = partial(sponsors.segments, self._fetcher, wanted, self._job.sponsorblock_api)
        self._collected.segments = self._try(notes.SPONSORS, _SPONSORS_LIMIT, fetch) or ()

    def _collect_subtitles(self, tracks: list[Track]) -> None:
        if not tracks:
            self._collected.notes.append(notes.NO_SUBTITLES)
        for track in tracks:
            fetch = partial(subtitles.fetch_track, self._fetcher, track, self._folder, self._toolbox, _SUBTITLES_LIMIT)
            text = self._try(notes.SUBTITLES, _SUBTITLES_LIMIT, fetch, language=track.language)
            if text:
                self._collected.texts += ((track, text),)

    def _try(self, template: str, limit: float, work: Callable[[], _Result], **names: str) -> _Result | None:
        try:
            return self._fetcher.within(limit, work)
        except Exception as error:  # noqa: BLE001  whatever a site does about these, the video is not worth less for it
            self._note(template, error, **names)
            return None

    def _note(self, template: str, error: Exception, **names: str) -> None:
        detail = clean_detail(str(error)) or type(error).__name__
        self._collected.notes.append(template.format(detail=detail, **names))


def show(found: Pictures, folder: Path, say: messages.Say) -> None:
    """Put the picture into its place in the task's folder, and say that it is there."""
    found.page.replace(folder / PICTURE)
    say(messages.Pictured(PICTURE))
