"""One attempt at one download: look up, download, prove, convert."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from downloads.engine import cures, messages
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.ffmpeg import NotMedia, prepare_toolbox, probe
from downloads.engine.formats import PostProcessing
from downloads.engine.live_and_sections import Streams
from downloads.engine.lookup import Wrong, failure_of, found, give_cookies, items_of, look_up, options, way_out
from downloads.engine.network import Guard
from downloads.engine.postprocessing import ProcessingFailed, process
from downloads.engine.progress import ProgressMeter, Reading

FRAGMENTS_AT_ONCE = 8
PROBE_LIMIT = 60.0  # seconds
DURATION_TOLERANCE = 0.02  # of the duration that the site gave
DURATION_SLACK = 2.0  # seconds, since sites round
# What a link answers that a look-up gave a while ago, and that holds no longer
STALE = frozenset({Reason.LINK_EXPIRED, Reason.ACCESS_DENIED, Reason.NOT_FOUND, Reason.REMOVED})


class Download:
    """One attempt: look up, download, convert, prove."""

    def __init__(self, job: messages.Job, say: messages.Say, guard: Guard, finish: threading.Event) -> None:
        """Take the job, the way to the parent, the guard with what it refused, and the wish to end a recording."""
        self._job = job
        self._say = say
        self._guard = guard
        self._folder = Path(job.folder)
        self._toolbox = prepare_toolbox(Path(job.tools), override=Path(job.tools))
        self._phase = Phase.LOOKUP
        self._meter: ProgressMeter | None = None
        self._percentage = 0.0
        self._found = False
        self._streams = Streams(job, self._toolbox, self._measure, finish)
        self._others: tuple[Path, ...] = ()

    def run(self) -> None:
        """Do it all; every failure becomes one `Failed`."""
        try:
            self._run()
        except Wrong as wrong:
            self._say(messages.Failed(failure=wrong.failure))
        except ProcessingFailed as error:
            detail = f"{error} {error.detail}"
            failure = Failure(reason=Reason.POSTPROCESSING_FAILED, phase=Phase.PROCESSING, detail=detail)
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
        if self._job.looked_up:
            try:
                self._attempt(json.loads(self._job.looked_up))
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
            self._say_found(info)
            result = self._fetch(ydl, info)
        self._deliver(result)

    def _fetch(self, ydl: cures.CappedYoutubeDL, info: dict[str, Any]) -> Path:
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
                return result
        result = self._download(ydl, info)
        self._prove(result, duration)
        return streams.cut(result, info, section) if section else result

    def _deliver(self, result: Path) -> None:
        final = self._convert(result)
        extension = final.suffix.lstrip(".").lower()
        others = tuple(
            messages.SideFile(name=other.name, suffix=f".part-{number}{other.suffix}")
            for number, other in enumerate(self._others, start=2)
        )
        height = probe(self._toolbox, final, timeout=PROBE_LIMIT).height
        size = final.stat().st_size
        self._say(messages.Done(name=final.name, extension=extension, size=size, height=height, side_files=others))

    def _options(self) -> dict[str, Any]:
        job = self._job
        # curl keeps a limit for each connection of its own, so there is one
        at_once = 1 if job.impersonate and job.rate_limit else FRAGMENTS_AT_ONCE
        return {
            **options(job.quality, job.post_processing, job.tools, job.cache),
            **way_out(job),
            "paths": {"home": str(self._folder), "temp": str(self._folder / "parts")},
            "outtmpl": {"default": "media.%(ext)s"},
            "playlist_items": job.choices.playlist_items or f"1:{job.playlist_limit + 1}",
            "skip_unavailable_fragments": False,
            "fixup": "force",
            "continuedl": True,
            "updatetime": False,
            "external_downloader": {"default": "native"},
            "concurrent_fragment_downloads": at_once,
            "fragment_retries": 5,
        }

    def _look_up(self, ydl: cures.CappedYoutubeDL) -> dict[str, Any]:
        info = look_up(ydl, self._job.url)
        self._guard.refused.clear()  # what the look-up has got over does not explain what fails later
        if info.get("live_status") == "is_upcoming":
            raise Wrong(Reason.UPCOMING, Phase.LOOKUP, retry_after=_seconds_until(info.get("release_timestamp")))
        return info

    def _say_listed(self, info: dict[str, Any]) -> None:
        """Tell the items, and that there are no more; they are downloads of their own."""
        for items in items_of(info, self._job.playlist_limit):
            self._say(items)
        total = max(int(info.get("playlist_count") or 0), len(info["entries"]))
        self._say(messages.Listed(found=found(info), total=total))

    def _say_found(self, info: dict[str, Any]) -> None:
        """Say once what was found; a second look-up, after a stale one, changes the links and nothing else."""
        if not self._found:
            self._found = True
            self._say(found(info))

    def _download(self, ydl: cures.CappedYoutubeDL, info: dict[str, Any]) -> Path:
        self._phase = Phase.DOWNLOAD
        meter = self._measure(info)
        ydl.add_progress_hook(meter.on_download)
        ydl.add_postprocessor_hook(self._on_postprocessor)
        result = ydl.process_ie_result(info, download=True)
        self._begin_processing()
        downloads = result.get("requested_downloads") or [{}]
        path = Path(downloads[0].get("filepath") or "")
        if not path.is_file():
            raise Wrong(Reason.INCOMPLETE, Phase.DOWNLOAD, "the download ended without a file")
        return path

    def _measure(self, info: dict[str, Any]) -> ProgressMeter:
        converts = self._job.post_processing != PostProcessing.NONE
        self._meter = meter = ProgressMeter(info, converts=converts, emit=self._report)
        return meter

    def _join(self) -> Path:
        self._begin_processing()
        joined = self._streams.join()
        self._others = joined.others
        self._prove(joined.file, 0)
        return joined.file

    def _deliver_recording(self) -> None:
        """Make a file of what earlier attempts have recorded."""
        known = self._streams.recording.found
        if known and not self._found:
            self._found = True
            self._say(known)
        self._deliver(self._join())

    def _on_postprocessor(self, hook: dict[str, Any]) -> None:
        self._begin_processing()
        if self._meter:
            self._meter.on_postprocessor(hook)

    def _begin_processing(self) -> None:
        if self._phase != Phase.PROCESSING:
            self._phase = Phase.PROCESSING
            self._say(messages.Processing())

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

    def _prove(self, path: Path, wanted: float) -> None:
        """Success is proven, not believed: yt-dlp returns normally with missing fragments, or with a text as "video".

        What fails is thrown away, so that the next attempt starts from nothing instead of from what cannot be trusted.
        """
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

    def _convert(self, path: Path) -> Path:
        meter = self._meter or self._measure({})
        return process(path, self._job.post_processing, self._toolbox, on_progress=meter.on_conversion)


def _seconds_until(timestamp: object) -> float | None:
    return timestamp - time.time() if isinstance(timestamp, int | float) else None
