"""What becomes of a download that ffmpeg reads: a live stream, or a section of a video."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from downloads.engine.choices import Section
from downloads.engine.cures import CappedYoutubeDL
from downloads.engine.errors import Phase, Reason
from downloads.engine.ffmpeg import FfmpegFailed, Report, Toolbox
from downloads.engine.lookup import Wrong, found
from downloads.engine.messages import Job
from downloads.engine.plans import ProcessingFailed
from downloads.engine.progress import ProgressMeter
from downloads.engine.recorder import Recorder, SectionUnreadable, can_read, cut, formats_to_record
from downloads.engine.recording import Joined, NothingRecorded, Recording, Wishes
from downloads.engine.sizes import Room

Json = dict[str, Any]

_SHARE_OF_LIMIT = 0.98  # of a file's largest size is recorded: the joined file is another container


class Streams:
    """Reads for one job. `measure` makes the meter of what will be read."""

    def __init__(self, job: Job, toolbox: Toolbox, measure: Callable[[Json], ProgressMeter], finish: Event) -> None:
        """Take the job, the tools, the way to a meter, and the wish to end a recording."""
        self._job = job
        self._toolbox = toolbox
        self._measure = measure
        self._finish = finish
        self.recording = Recording(Path(job.folder))

    def record(self, ydl: CappedYoutubeDL, info: Json) -> None:
        """Record a live stream until it ends, there is enough of it, or the user wants no more.

        Raises:
            Wrong: it cannot be recorded, broke off, or there is no room for more of it.
            RequestError: it broke off, and this is why.
        """
        formats = formats_to_record(ydl, info)
        if not formats:
            raise Wrong(Reason.LIVE, Phase.LOOKUP)
        choices, seconds = self._job.choices, self._job.live_limit
        size = int(choices.max_filesize * _SHARE_OF_LIMIT)
        wishes = Wishes(seconds=seconds, bytes=size, from_start=choices.live_from_start)
        recorder = Recorder(ydl, formats, self._toolbox, self._reporter(formats, 0))
        recorder.record(self.recording, found(info), wishes, self._finish)

    def join(self) -> Joined:
        """One file of what was recorded.

        Raises:
            Wrong: nothing was.
            ProcessingFailed: the parts do not become one file.
        """
        try:
            return self.recording.join(self._toolbox, on_progress=lambda _: None)
        except NothingRecorded:
            reason = Reason.CANCELLED if self._finish.is_set() else Reason.INCOMPLETE
            raise Wrong(reason, Phase.PROCESSING, "nothing was recorded") from None
        except FfmpegFailed as error:
            raise ProcessingFailed(str(error), error.detail) from None

    def section(self, info: Json) -> Section | None:
        """The section that is wanted of this video, None for all of it.

        Raises:
            Wrong: it begins after the end.
        """
        section = self._job.choices.section
        if section is None or (not section.start and section.end is None):
            return None
        if section.start >= (info.get("duration") or float("inf")):
            raise Wrong(Reason.SECTION_BEYOND, Phase.LOOKUP)
        return section

    def fetch(self, ydl: CappedYoutubeDL, info: Json, section: Section) -> Path | None:
        """A file of this section alone; None where it has to be cut out of the whole.

        Raises:
            Wrong: the stream stalled, or there is no room for it.
            RequestError: the network or a server failed.
        """
        formats = info.get("requested_formats") or [info]
        if not can_read(info, formats):
            return None
        length = _length(section, info)
        recorder = Recorder(ydl, formats, self._toolbox, self._reporter(formats, length))
        try:
            return recorder.fetch(section, length, Path(self._job.folder))
        except SectionUnreadable:
            return None

    def cut(self, whole: Path, info: Json, section: Section) -> Path:
        """A file of this section of the whole video.

        Raises:
            ProcessingFailed: it cannot be cut.
        """
        try:
            return cut(self._toolbox, whole, section, _length(section, info), on_progress=lambda _: None)
        except FfmpegFailed as error:
            raise ProcessingFailed(str(error), error.detail) from None

    def _reporter(self, formats: Sequence[Mapping[str, Any]], seconds: float) -> Callable[[Report], None]:
        """The meter of one file of which `seconds` are wanted; 0 where nobody knows."""
        meter = self._measure({"requested_formats": [formats[0]]})
        room = Room(Path(self._job.folder), self._job.free_space_floor)

        def report(progress: Report) -> None:
            room.check()
            total = int(progress.bytes * max(seconds / progress.seconds, 1)) if seconds and progress.seconds else None
            hook = {"status": "downloading", "info_dict": formats[0], "downloaded_bytes": progress.bytes}
            meter.on_download({**hook, "total_bytes": total})

        return report


def _length(section: Section, info: Json) -> float:
    """How long the section is, in seconds; 0 where the end of the video is unknown and the section reaches it."""
    duration = info.get("duration") or float("inf")
    length = min(section.end or duration, duration) - section.start
    return length if length < float("inf") else 0
