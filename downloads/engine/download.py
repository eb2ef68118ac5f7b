"""One attempt at one download: look up, download, prove, finish."""

import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from yt_dlp.utils import YoutubeDLError

from downloads.engine import cures, messages
from downloads.engine.classification import disk_reason
from downloads.engine.companions import Collected, Companions
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.fetching import Fetcher
from downloads.engine.ffmpeg import Media, NotMedia, prepare_toolbox, probe
from downloads.engine.finishing import Finisher, converts
from downloads.engine.live_and_sections import Streams
from downloads.engine.lookup import Wrong, failure_of, found, give_cookies, items_of, look_up, options, way_out
from downloads.engine.network import Guard
from downloads.engine.plans import ProcessingFailed
from downloads.engine.progress import ProgressMeter, Reading
from downloads.engine.sizes import Room, Scale, lighter, limit_files, refuse_if_heavier, too_large
from downloads.engine.write_back import WriteBack

NICER = 10  # by so much a conversion leaves the processor to others
IN_HAND = 2  # fragments that have come and are written, while others have the connections
PROBE_LIMIT = 60.0  # seconds
DURATION_TOLERANCE = 0.02  # of the duration that the site gave
DURATION_SLACK = 2.0  # seconds, since sites round
# What a link answers that a look-up gave a while ago, and that holds no longer
STALE = frozenset({Reason.LINK_EXPIRED, Reason.ACCESS_DENIED, Reason.NOT_FOUND, Reason.REMOVED})


class Download:
    """One attempt: look up, download, prove, finish."""

    def __init__(self, job: messages.Job, say: messages.Say, guard: Guard, finish: threading.Event) -> None:
        """Take the job, the way to the parent, the guard with what it refused, and the wish to end a recording."""
        self._job = job
        self._say = say
        self._guard = guard
        self._folder = Path(job.folder)
        self._limit = job.choices.max_filesize
        self._room = Room(self._folder, job.free_space_floor, job.spoken_for)
        self._toolbox = prepare_toolbox(Path(job.tools), override=Path(job.tools))
        self._phase = Phase.LOOKUP
        self._meter: ProgressMeter | None = None
        self._percentage = 0.0
        self._found = False
        self._streams = Streams(job, self._toolbox, self._measure, finish)
        self._others: tuple[Path, ...] = ()
        self._write_back: WriteBack | None = None

    def run(self) -> None:
        """Do it all; every failure becomes one `Failed`."""
        if self._limit:
            limit_files(self._limit)
        try:
            self._run()
        except Wrong as wrong:
            self._say(messages.Failed(failure=wrong.failure))
        except ProcessingFailed as error:
            detail = f"{error} {error.detail}"
            reason = disk_reason(detail) or Reason.POSTPROCESSING_FAILED
            failure = Failure(reason=reason, phase=Phase.PROCESSING, detail=detail)
            self._say(messages.Failed(failure=failure))
        except Exception as error:  # noqa: BLE001  this is the engine's border: whatever yt-dlp raises gets its name here
            self._say(messages.Failed(failure=self._classify(error)))

    def _classify(self, error: Exception) -> Failure:
        return error.failure if isinstance(error, Wrong) else failure_of(error, self._phase, self._job, self._guard)

    def _run(self) -> None:
        if self._streams.recording.is_over:
            self._deliver_recording()
            return
        try:
            self._try()
        except Exception as error:
            failure = self._classify(error)
            passes = failure.retryable and failure.reason is not Reason.UPCOMING
            if passes or self._phase is not Phase.LOOKUP or not self._streams.recording.is_begun:
                raise
            # A site may know nothing of a broadcast that has ended: what was recorded of it is what there is.
            self._deliver_recording()

    def _try(self) -> None:
        kept = json.loads(self._job.looked_up) if self._job.looked_up else None
        if kept and self._is_enough(kept):
            try:
                self._attempt(kept)
            except Exception as error:
                if self._classify(error).reason not in STALE:
                    raise
                self._phase = Phase.LOOKUP
            else:
                return
        self._attempt(None)

    def _attempt(self, info: dict[str, Any] | None) -> None:
        with cures.CappedYoutubeDL(self._options()) as ydl:
            give_cookies(ydl, self._job.cookies, self._job.url)
            info = info or self._look_up(ydl)
            if info.get("_type") == "playlist":
                self._say_listed(info)
                return
            if not info.get("is_live"):  # to whose title yt-dlp adds the time, each time
                info = self._choose(ydl, info)
            self._say_found(info)
            companions = Companions(self._job, Fetcher(ydl, info, self._guard), self._toolbox, self._say)
            companions.start()
            result, media = self._fetch(ydl, info)
            collected = companions.wait()
        self._deliver(info, result, media, collected)

    def _fetch(self, ydl: cures.CappedYoutubeDL, info: dict[str, Any]) -> tuple[Path, Media]:
        """The file that came, or what was recorded, and what it is."""
        streams, duration = self._streams, info.get("duration") or 0
        if info.get("is_live"):
            self._phase = Phase.DOWNLOAD
            streams.record(ydl, info)
            return self._join()
        if streams.recording.seconds > duration:  # of a broadcast that has ended, the site keeps less than we do
            return self._join()
        section = streams.section(info)
        if section:
            self._phase = Phase.DOWNLOAD
            result = streams.fetch(ydl, info, section)
            if result:
                self._begin_processing()
                return result, self._prove(result, 0)
        if self._limit:
            refuse_if_heavier(info, self._limit)
        self._room.refuse_what_cannot_fit(info, is_copied=converts(self._job))
        result = self._download(ydl, info)
        media = self._prove(result, duration)
        if not section:
            return result, media
        result = streams.cut(result, info, section)
        return result, self._prove(result, 0)

    def _deliver(self, info: dict[str, Any], result: Path, media: Media, collected: Collected) -> None:
        """Finish the file and say so."""
        meter = self._meter or self._measure({})
        finished = Finisher(self._job, info, collected, self._toolbox, self._say).run(
            result, media, meter.on_conversion
        )
        file = finished.file
        if file != result:
            media = probe(self._toolbox, file, timeout=PROBE_LIMIT)
        if self._write_back:
            self._write_back.end()
        size = file.stat().st_size
        if self._limit and size > self._limit:
            raise too_large(size, self._limit, Phase.PROCESSING)
        others = tuple(
            messages.SideFile(name=other.name, suffix=f".part-{number}{other.suffix}")
            for number, other in enumerate(self._others, start=2)
        )
        self._say(
            messages.Done(
                name=file.name,
                extension=file.suffix.lstrip(".").lower(),
                size=size,
                height=media.height,
                side_files=(*finished.side_files, *others),
                notes=finished.notes,
            )
        )

    def _options(self) -> dict[str, Any]:
        job = self._job
        # curl keeps a limit for each connection of its own, so there is one
        at_once = 1 if job.impersonate and job.rate_limit else job.max_connections
        return {
            **options(job),
            **way_out(job),
            "paths": {"home": str(self._folder), "temp": str(self._folder / "parts")},
            "outtmpl": {"default": "media.%(ext)s"},
            "playlist_items": job.choices.playlist_items or f"1:{job.playlist_limit + 1}",
            "skip_unavailable_fragments": False,
            "fixup": "force",
            "continuedl": True,
            "updatetime": False,
            "external_downloader": {"default": "native"},
            "max_connections": at_once,
            "concurrent_fragment_downloads": at_once + IN_HAND if at_once > 1 else 1,
            "fragment_retries": 5,
        }

    def _look_up(self, ydl: cures.CappedYoutubeDL) -> dict[str, Any]:
        try:
            info = look_up(ydl, self._job.url)
        except Exception as error:
            if self._classify(error).reason is Reason.NOT_LIVE_YET:
                self._wait_for_broadcast(ydl)
            raise
        self._guard.refused.clear()  # what the look-up has got over does not explain what fails later
        if info.get("live_status") == "is_upcoming":
            raise _upcoming(info)
        return info

    def _wait_for_broadcast(self, ydl: cures.CappedYoutubeDL) -> None:
        """Ask once more, for what is known of a video without formats: an extractor says only then when it begins.

        Raises:
            Wrong: with the reason UPCOMING; nothing is raised where the site announces no broadcast.
        """
        ydl.params["ignore_no_formats_error"] = True
        with suppress(YoutubeDLError):  # what the first look-up said holds
            info = ydl.extract_info(self._job.url, download=False)
            if info and info.get("live_status") == "is_upcoming":
                raise _upcoming(info)

    def _say_listed(self, info: dict[str, Any]) -> None:
        """Tell the items, and that there are no more; they are downloads of their own."""
        for items in items_of(info, self._job.playlist_limit):
            self._say(items)
        total = max(int(info.get("playlist_count") or 0), len(info["entries"]))
        self._say(messages.Listed(found=found(info), total=total))

    def _is_enough(self, kept: dict[str, Any]) -> bool:
        """Whether what was looked up before has subtitles, where they are wanted: most look-ups do not ask for them."""
        wants_subtitles = self._job.choices.subtitles is not None
        return not wants_subtitles or bool(kept.get("subtitles") or kept.get("automatic_captions"))

    def _choose(self, ydl: cures.CappedYoutubeDL, info: dict[str, Any]) -> dict[str, Any]:
        """Choose the formats anew: a look-up for another quality may have been before, and only now sizes are known."""
        info.pop("requested_formats", None)
        if self._limit:
            ydl.format_selector = lighter(ydl.format_selector, self._limit, info.get("duration") or 0)
        return dict(ydl.process_ie_result(info, download=False))

    def _say_found(self, info: dict[str, Any]) -> None:
        """Say once what was found; a second look-up, after a stale one, changes the links and nothing else."""
        if not self._found:
            self._found = True
            self._say(found(info))

    def _download(self, ydl: cures.CappedYoutubeDL, info: dict[str, Any]) -> Path:
        self._phase = Phase.DOWNLOAD
        meter = self._measure(info)
        ydl.add_progress_hook(meter.on_download)
        ydl.add_progress_hook(self._room.on_download)
        if self._limit:
            ydl.add_progress_hook(Scale(self._limit).on_download)
        ydl.add_postprocessor_hook(self._on_postprocessor)
        result = ydl.process_ie_result(info, download=True)
        self._begin_processing()
        downloads = result.get("requested_downloads") or [{}]
        path = Path(downloads[0].get("filepath") or "")
        if not path.is_file():
            raise Wrong(Reason.INCOMPLETE, Phase.DOWNLOAD, "the download ended without a file")
        return path

    def _measure(self, info: dict[str, Any]) -> ProgressMeter:
        self._meter = meter = ProgressMeter(info, converts=converts(self._job), emit=self._report)
        return meter

    def _join(self) -> tuple[Path, Media]:
        self._begin_processing()
        joined = self._streams.join()
        self._others = joined.others
        return joined.file, self._prove(joined.file, 0)

    def _deliver_recording(self) -> None:
        """Make a file of what earlier attempts have recorded."""
        known = self._streams.recording.found
        if known and not self._found:
            self._found = True
            self._say(known)
        info = {"webpage_url": self._job.url} | ({"title": known.title, "uploader": known.uploader} if known else {})
        self._deliver(info, *self._join(), Collected())

    def _on_postprocessor(self, hook: dict[str, Any]) -> None:
        self._begin_processing()
        if self._meter:
            self._meter.on_postprocessor(hook)

    def _begin_processing(self) -> None:
        if self._phase != Phase.PROCESSING:
            self._phase = Phase.PROCESSING
            self._say(messages.Processing())
            if converts(self._job):
                os.nice(NICER)  # and so is ffmpeg: what others download meanwhile comes first

    def _report(self, reading: Reading) -> None:
        self._percentage = max(self._percentage, reading.percentage)  # a second meter begins anew
        self._say(
            messages.Progress(
                percentage=self._percentage,
                downloaded_bytes=reading.downloaded_bytes,
                total_bytes=reading.total_bytes,
                speed=reading.speed,
                eta=reading.eta,
            )
        )

    def _prove(self, path: Path, wanted: float) -> Media:
        """Success is proven, not believed: yt-dlp returns normally with missing fragments, or with a text as "video".

        What fails is thrown away, so that the next attempt starts from nothing instead of from what cannot be trusted.
        """
        if not converts(self._job):  # then it is the finished file, which is written to the disk while we look at it
            self._write_back = WriteBack(path)
            self._write_back.begin()
        try:
            media = probe(self._toolbox, path, timeout=PROBE_LIMIT)
        except NotMedia as error:
            path.unlink()
            raise Wrong(Reason.INCOMPLETE, Phase.DOWNLOAD, f"{error} {error.detail}") from None
        slack = max(DURATION_SLACK, wanted * DURATION_TOLERANCE)
        if wanted and media.duration is not None and abs(media.duration - wanted) > slack:
            path.unlink()
            detail = f"the file lasts {media.duration:.1f} s, the video {wanted:.1f} s"
            raise Wrong(Reason.INCOMPLETE, Phase.DOWNLOAD, detail)
        return media


def _upcoming(info: dict[str, Any]) -> Wrong:
    return Wrong(Reason.UPCOMING, Phase.LOOKUP, retry_after=_seconds_until(info.get("release_timestamp")))


def _seconds_until(timestamp: object) -> float | None:
    return timestamp - time.time() if isinstance(timestamp, int | float) else None
