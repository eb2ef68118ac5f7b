"""The process that runs yt-dlp for one task, and nothing else. It knows no Django, no database and no other task.

It leads its own session and process group, holds the lock of the task's folder for as long as it lives, lets Python's
sockets reach only what the address policy allows, and dies with its parent.
"""

import contextlib
import logging
import os
import resource
import select
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

from downloads.engine import cures, messages
from downloads.engine.classification import classify
from downloads.engine.cookies import cookie_policy, parse_cookies
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.ffmpeg import NotMedia, prepare_toolbox, probe
from downloads.engine.filenames import clean_text
from downloads.engine.folders import FolderBusy, folder_lock
from downloads.engine.formats import PostProcessing, format_options
from downloads.engine.network import AddressPolicy, Guard, install_guard
from downloads.engine.postprocessing import ProcessingFailed, process
from downloads.engine.progress import ProgressMeter, Reading

LEASH_LIMIT = 15.0  # seconds without a word from the parent until the child kills its own group
LOCK_LIMIT = 25.0  # seconds to wait for a predecessor to let go of the folder: longer than its leash
OPEN_FILES = 512
FRAGMENTS_AT_ONCE = 8
PROBE_LIMIT = 60.0
DURATION_TOLERANCE = 0.02  # of the duration that the site gave
DURATION_SLACK = 2.0  # seconds, since sites round

logger = logging.getLogger(__name__)


class Stopped(KeyboardInterrupt):
    """TERM came. yt-dlp's threads end cleanly on a KeyboardInterrupt and on nothing else."""


class Wrong(Exception):
    """The download cannot be completed, for a reason of our own."""

    def __init__(self, reason: Reason, phase: Phase, detail: str = "") -> None:
        """Take what happened."""
        super().__init__(detail)
        self.failure = Failure(reason=reason, phase=phase, detail=detail)


def prepare() -> None:
    """Do in the fork server, once, what every child needs: the cures, and yt-dlp's own look at ffmpeg's version."""
    cures.apply()
    with (
        tempfile.TemporaryDirectory() as home,
        cures.CappedYoutubeDL({"quiet": True, "cachedir": False, "paths": {"home": home}}) as ydl,
    ):
        FFmpegPostProcessor(ydl)._versions  # noqa: B018, SLF001  fills a cache


def main(connection: socket.socket) -> int:
    """Read the job, do it, say how it went; the exit status of the process."""
    connection.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _raise_stopped)
    _limit_resources()
    try:
        job = messages.read_job(connection)
        threading.Thread(target=_leash, args=(connection,), name="leash", daemon=True).start()
        speaker = Speaker(connection)
        with folder_lock(Path(job.folder), LOCK_LIMIT):
            guard = install_guard(AddressPolicy(tuple(ip_network(text) for text in job.allowed_networks)))
            Download(job, speaker.say, guard).run()
    except FolderBusy:
        speaker.say(messages.Failed(failure=Failure(reason=Reason.KILLED, phase=Phase.LOOKUP, detail="folder busy")))
    except (Stopped, EOFError, BrokenPipeError, ConnectionResetError):
        return 0
    return 0


def _raise_stopped(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the way out must not be interrupted
    raise Stopped


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def _leash(connection: socket.socket) -> None:
    """Kill this process and all its programs as soon as the parent is dead, or silent for too long."""
    with contextlib.suppress(OSError):
        while select.select([connection], [], [], LEASH_LIMIT)[0]:
            if not connection.recv(64):
                break
    os.killpg(0, signal.SIGKILL)


class Speaker:
    """Sends events to the parent, from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        """Speak over this connection."""
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, event: messages.Event) -> None:
        """Send one event; blocks while the parent does not read."""
        with self._lock:
            self._connection.sendall(messages.encode(event))


class _Log:
    """yt-dlp's log goes nowhere: what matters arrives as an exception."""

    def debug(self, message: str) -> None:
        """Nothing: yt-dlp says here what it does."""

    def warning(self, message: str) -> None:
        """Nothing."""

    def error(self, message: str) -> None:
        """Nothing: the exception says the same."""


class Download:
    """One attempt: look up, download, convert, prove."""

    def __init__(self, job: messages.Job, say: Callable[[messages.Event], None], guard: Guard) -> None:
        """Take the job, the way to the parent, and the guard that notes what it refused."""
        self._job = job
        self._say = say
        self._guard = guard
        self._folder = Path(job.folder)
        self._toolbox = prepare_toolbox(Path(job.tools), override=Path(job.tools))
        self._phase = Phase.LOOKUP
        self._meter: ProgressMeter | None = None

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
            self._say(messages.Failed(failure=classify(error, self._phase, self._guard.refused)))

    def _run(self) -> None:
        with cures.CappedYoutubeDL(self._options()) as ydl:
            if self._job.cookies:
                ydl.cookiejar.set_policy(cookie_policy())
                for cookie in parse_cookies(self._job.cookies, self._job.url):
                    ydl.cookiejar.set_cookie(cookie)
            info = self._look_up(ydl)
            self._say(found(info))
            result = self._download(ydl, info)
        self._prove(result, info.get("duration") or 0)
        final = self._convert(result)
        extension = final.suffix.lstrip(".").lower()
        self._say(messages.Done(name=final.name, extension=extension, size=final.stat().st_size))

    def _options(self) -> dict[str, Any]:
        return {
            **format_options(self._job.quality, self._job.post_processing),
            "quiet": True,
            "noprogress": True,
            "no_warnings": True,
            "color": "never",
            "logger": _Log(),
            "cachedir": self._job.cache,
            "ffmpeg_location": self._job.tools,
            "paths": {"home": str(self._folder), "temp": str(self._folder / "parts")},
            "outtmpl": {"default": "media.%(ext)s"},
            "noplaylist": True,
            "playlist_items": "1:2",
            "lazy_playlist": True,
            "extract_flat": "in_playlist",
            "ignoreerrors": False,
            "skip_unavailable_fragments": False,
            "fixup": "force",
            "continuedl": True,
            "updatetime": False,
            "external_downloader": {"default": "native"},
            "concurrent_fragment_downloads": FRAGMENTS_AT_ONCE,
            "socket_timeout": 15,
            "retries": 5,
            "fragment_retries": 5,
            "extractor_retries": 2,
        }

    def _look_up(self, ydl: cures.CappedYoutubeDL) -> dict[str, Any]:
        info = ydl.extract_info(self._job.url, download=False)
        if info.get("_type") in ("playlist", "multi_video"):
            entries = list(info.get("entries") or [])
            if len(entries) != 1:
                raise Wrong(Reason.PLAYLIST if entries else Reason.NOT_A_VIDEO, Phase.LOOKUP)
            ydl.params["extract_flat"] = False
            info = ydl.process_ie_result(entries[0], download=False)
        if info.get("live_status") == "is_upcoming":
            raise Wrong(Reason.NOT_LIVE_YET, Phase.LOOKUP)
        if info.get("is_live"):
            raise Wrong(Reason.LIVE, Phase.LOOKUP)
        return dict(info)

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


def found(info: dict[str, Any]) -> messages.Found:
    """What the look-up says about the video, cleaned and cut: a site may say anything."""
    return messages.Found(
        title=clean_text(str(info.get("title") or ""), 500),
        media_id=clean_text(str(info.get("id") or ""), 200),
        site=clean_text(str(info.get("webpage_url_domain") or ""), 255),
        uploader=clean_text(str(info.get("uploader") or info.get("channel") or ""), 300),
        duration=_duration(info.get("duration")),
        thumbnail=_thumbnail(info.get("thumbnail")),
    )


def _duration(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else 0.0


def _thumbnail(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return text if text.startswith(("http://", "https://")) and len(text) <= 4096 else ""  # noqa: PLR2004  as in links
