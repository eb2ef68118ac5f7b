"""One attempt at one download: look up, download, prove, finish."""

import json
from pathlib import Path
from typing import Any

from downloads.engine import cures, messages
from downloads.engine.classification import classify, disk_reason
from downloads.engine.companions import Companions
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.fetching import Fetcher
from downloads.engine.ffmpeg import Media, NotMedia, prepare_toolbox, probe
from downloads.engine.finishing import Finished, Finisher, converts
from downloads.engine.lookup import Wrong, found, give_cookies, look_up, options
from downloads.engine.network import Guard
from downloads.engine.plans import ProcessingFailed
from downloads.engine.progress import ProgressMeter, Reading
from downloads.engine.sizes import Scale, lighter, limit_files, refuse_if_heavier, too_large

FRAGMENTS_AT_ONCE = 8
PROBE_LIMIT = 60.0  # seconds
DURATION_TOLERANCE = 0.02  # of the duration that the site gave
DURATION_SLACK = 2.0  # seconds, since sites round
# What a link answers that a look-up gave a while ago, and that holds no longer
STALE = frozenset({Reason.LINK_EXPIRED, Reason.ACCESS_DENIED, Reason.NOT_FOUND, Reason.REMOVED})


class Download:
    """One attempt: look up, download, prove, finish."""

    def __init__(self, job: messages.Job, say: messages.Say, guard: Guard) -> None:
        """Take the job, the way to the parent, and the guard that notes what it refused."""
        self._job = job
        self._say = say
        self._guard = guard
        self._folder = Path(job.folder)
        self._limit = job.choices.max_filesize
        self._toolbox = prepare_toolbox(Path(job.tools), override=Path(job.tools))
        self._phase = Phase.LOOKUP
        self._meter: ProgressMeter | None = None
        self._found = False

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
            self._say(messages.Failed(failure=classify(error, self._phase, self._guard.refused)))

    def _run(self) -> None:
        kept = json.loads(self._job.looked_up) if self._job.looked_up else None
        if kept and self._is_enough(kept):
            try:
                self._attempt(kept)
            except Exception as error:
                if classify(error, self._phase, self._guard.refused).reason not in STALE:
                    raise
                self._phase = Phase.LOOKUP
            else:
                return
        self._attempt(None)

    def _attempt(self, info: dict[str, Any] | None) -> None:
        with cures.CappedYoutubeDL(self._options()) as ydl:
            give_cookies(ydl, self._job.cookies, self._job.url)
            info = self._choose(ydl, info or self._look_up(ydl))
            self._say_found(info)
            if self._limit:
                refuse_if_heavier(info, self._limit)
            companions = Companions(self._job, Fetcher(ydl, info, self._guard), self._toolbox, self._say)
            companions.start()
            result = self._download(ydl, info)
            media = self._prove(result, info.get("duration") or 0)
            collected = companions.wait()
        finisher = Finisher(self._job, info, collected, self._toolbox, self._say)
        self._say_done(finisher.run(result, media, self._meter_of_download().on_conversion))

    def _options(self) -> dict[str, Any]:
        return options(self._job) | {
            "paths": {"home": str(self._folder), "temp": str(self._folder / "parts")},
            "outtmpl": {"default": "media.%(ext)s"},
            "playlist_items": "1:2",
            "lazy_playlist": True,
            "skip_unavailable_fragments": False,
            "fixup": "force",
            "continuedl": True,
            "updatetime": False,
            "external_downloader": {"default": "native"},
            "concurrent_fragment_downloads": FRAGMENTS_AT_ONCE,
            "fragment_retries": 5,
        }

    def _look_up(self, ydl: cures.CappedYoutubeDL) -> dict[str, Any]:
        info = look_up(ydl, self._job.url)
        if info.get("_type") == "playlist":
            raise Wrong(Reason.PLAYLIST, Phase.LOOKUP)
        if info.get("live_status") == "is_upcoming":
            raise Wrong(Reason.NOT_LIVE_YET, Phase.LOOKUP)
        if info.get("is_live"):
            raise Wrong(Reason.LIVE, Phase.LOOKUP)
        return info

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
        self._meter = meter = ProgressMeter(info, converts=converts(self._job), emit=self._report)
        ydl.add_progress_hook(meter.on_download)
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

    def _on_postprocessor(self, hook: dict[str, Any]) -> None:
        self._begin_processing()
        if self._meter:
            self._meter.on_postprocessor(hook)

    def _begin_processing(self) -> None:
        if self._phase != Phase.PROCESSING:
            self._phase = Phase.PROCESSING
            self._say(messages.Processing())

    def _report(self, reading: Reading) -> None:
        self._say(
            messages.Progress(
                percentage=reading.percentage,
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

    def _meter_of_download(self) -> ProgressMeter:
        if self._meter is None:
            raise AssertionError("a file is finished after its download")
        return self._meter

    def _say_done(self, finished: Finished) -> None:
        file = finished.file
        size = file.stat().st_size
        if self._limit and size > self._limit:
            raise too_large(size, self._limit, Phase.PROCESSING)
        self._say(
            messages.Done(
                name=file.name,
                extension=file.suffix.lstrip(".").lower(),
                size=size,
                side_files=finished.side_files,
                notes=finished.notes,
            )
        )
