"""One attempt at one download: look up, download, prove, convert."""

import json
from pathlib import Path
from typing import Any

from downloads.engine import cures, messages
from downloads.engine.classification import classify
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.ffmpeg import NotMedia, prepare_toolbox, probe
from downloads.engine.formats import PostProcessing
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

    def __init__(self, job: messages.Job, say: messages.Say, guard: Guard) -> None:
        """Take the job, the way to the parent, and the guard that notes what it refused."""
        self._job = job
        self._say = say
        self._guard = guard
        self._folder = Path(job.folder)
        self._toolbox = prepare_toolbox(Path(job.tools), override=Path(job.tools))
        self._phase = Phase.LOOKUP
        self._meter: ProgressMeter | None = None
        self._found = False

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
            self._say(messages.Failed(failure=failure_of(error, self._phase, self._job, self._guard)))

    def _run(self) -> None:
        if self._job.looked_up:
            try:
                self._attempt(json.loads(self._job.looked_up))
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
            info = info or self._look_up(ydl)
            if info.get("_type") == "playlist":
                self._say_listed(info)
                return
            self._say_found(info)
            result = self._download(ydl, info)
        self._prove(result, info.get("duration") or 0)
        final = self._convert(result)
        extension = final.suffix.lstrip(".").lower()
        height = probe(self._toolbox, final, timeout=PROBE_LIMIT).height
        self._say(messages.Done(name=final.name, extension=extension, size=final.stat().st_size, height=height))

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
            raise Wrong(Reason.NOT_LIVE_YET, Phase.LOOKUP)
        if info.get("is_live"):
            raise Wrong(Reason.LIVE, Phase.LOOKUP)
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
        converts = self._job.post_processing != PostProcessing.NONE
        self._meter = meter = ProgressMeter(info, converts=converts, emit=self._report)
        ydl.add_progress_hook(meter.on_download)
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
        if self._meter is None:
            raise AssertionError("a conversion comes after its download")
        return process(path, self._job.post_processing, self._toolbox, on_progress=self._meter.on_conversion)
