"""Whether everything that downloads need works: each thing is tried, in a thread of its own, within a time limit."""

import functools
import shutil
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.utils import timezone
from packaging.version import Version

from downloads import actors, broker
from downloads.engine import releases
from downloads.engine.ffmpeg import prepare_toolbox
from downloads.engine.process import search_path
from downloads.models import Task

TIME_LIMIT: Final = 3.0  # seconds for each check; they run at once
KEPT_FOR: Final = 5.0  # seconds that a report is given again, so that asking often costs nothing
LITTLE_SPACE: Final = 1024**3  # bytes
OLD_ENGINE: Final = 60  # days: sites change, and yt-dlp with them
OLDEST_DENO: Final = Version("2.3")  # that yt-dlp takes

Status = Literal["ready", "degraded", "not_ready"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found. `detail` is one sentence; `seconds` is how long it took; the rest is where it makes sense."""

    status: Literal["ok", "warning", "failed"] = "ok"
    detail: str
    seconds: float = 0
    version: str | None = None
    free_bytes: int | None = None
    age_days: int | None = None


@dataclass(frozen=True)
class Report:
    """Every finding by its name, and what they come to: `not_ready` with one that failed, `degraded` with a warning."""

    checks: dict[str, Finding]

    @property
    def status(self) -> Status:
        """In one word."""
        found = {finding.status for finding in self.checks.values()}
        return "not_ready" if "failed" in found else "degraded" if "warning" in found else "ready"


class Check:
    """One thing to try. One that hangs is not tried a second time beside the first."""

    def __init__(self, look: Callable[[], Finding], complaint: str) -> None:
        """Take what to do, and the sentence for when it cannot be done."""
        self._look = look
        self._complaint = complaint
        self._running: Future[Finding] | None = None

    def begin(self) -> None:
        """Try it, unless the last try is still at it."""
        if self._running is None or self._running.done():
            self._running = Future()
            threading.Thread(target=self._run, args=[self._running], name="readiness", daemon=True).start()

    def finding(self, deadline: float) -> Finding:
        """What it came to, at this time of the monotonic clock at the latest."""
        if self._running is None:
            raise RuntimeError("begin comes first")
        try:
            return self._running.result(timeout=max(deadline - time.monotonic(), 0))
        except TimeoutError:
            return Finding(status="failed", detail=f"{self._complaint}: no answer in time.", seconds=TIME_LIMIT)

    def _run(self, running: "Future[Finding]") -> None:
        began = time.monotonic()
        try:
            finding = self._look()
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the check has found
            finding = Finding(status="failed", detail=f"{self._complaint}: {_reason(error)}.")
        finally:
            connection.close()
        running.set_result(replace(finding, seconds=round(time.monotonic() - began, 4)))


class Readiness:
    """Runs the checks, at most once in a few seconds however often it is asked."""

    def __init__(self, checks: dict[str, Check]) -> None:
        """Take them by name."""
        self._checks = checks
        self._lock = threading.Lock()
        self._report: Report | None = None
        self._made_at = 0.0

    def report(self) -> Report:
        """How things are now, or were a few seconds ago."""
        with self._lock:
            if self._report is None or time.monotonic() - self._made_at > KEPT_FOR:
                self._report = self._look()
                self._made_at = time.monotonic()
            return self._report

    def _look(self) -> Report:
        deadline = time.monotonic() + TIME_LIMIT
        for check in self._checks.values():
            check.begin()
        return Report({name: check.finding(deadline) for name, check in self._checks.items()})


def _database() -> Finding:
    Task.objects.exists()
    return Finding(detail=f"{connection.vendor} answers.")


def _broker() -> Finding:
    broker.check()
    return Finding(detail="Messages can be sent.")


def _channel_layer() -> Finding:
    async_to_sync(_round_trip)()
    return Finding(detail="A message came back.")


async def _round_trip() -> None:
    layer = get_channel_layer()
    name = await layer.new_channel("readiness")
    await layer.send(name, {"type": "readiness"})
    await layer.receive(name)


def _folder(folder: Path) -> Finding:
    """Whether a file can be made there, and how much room there is."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".readiness-") as file:
        file.write(b"ready")
    free = shutil.disk_usage(folder).free
    if free < LITTLE_SPACE:
        return Finding(status="warning", detail="Less than 1 GB is free there: make room.", free_bytes=free)
    return Finding(detail="A file can be written there.", free_bytes=free)


def _ffmpeg(name: str) -> Finding:
    toolbox = prepare_toolbox(settings.TOOLS_DIR, settings.FFMPEG_DIR)
    program = (toolbox.folder / name).resolve(strict=True)
    version = _version_of(program, program.stat().st_mtime, "-version")
    return Finding(detail=f"{name} runs.", version=version)


def _javascript() -> Finding:
    """The deno that yt-dlp finds: that of the Python package first."""
    folders = f"{sysconfig.get_path('scripts')}:{search_path(settings.FFMPEG_DIR or settings.TOOLS_DIR)}"
    found = shutil.which("deno", path=folders)
    if found is None:
        detail = "There is no deno, so some sites (YouTube among them) will not work: install the Python package deno."
        return Finding(status="warning", detail=detail)
    program = Path(found)
    version = _version_of(program, program.stat().st_mtime, "--version")
    if Version(version) < OLDEST_DENO:
        detail = f"{program} is older than {OLDEST_DENO}, so yt-dlp does not take it: update the Python package deno."
        return Finding(status="warning", detail=detail, version=version)
    return Finding(detail=f"{program} runs.", version=version)


def _fitting(package: str, extra: str, loss: str) -> Finding:
    """Whether there is a version of a package that the yt-dlp in use takes; `loss` is what does not work without."""
    release = releases.choose(settings.UPDATES_DIR)
    version, wanted = release.version_of(package), release.takes(package, extra)
    if version is None:
        return Finding(status="warning", detail=f"There is no {package}, so {loss}: install {package}{wanted}.")
    if not wanted.contains(version, prereleases=True):
        detail = f"yt-dlp {release.version} takes {package}{wanted} only, so {loss}: install that."
        return Finding(status="warning", detail=detail, version=version)
    return Finding(detail=f"It fits yt-dlp {release.version}.", version=version)


@functools.cache
def _version_of(program: Path, _changed_at: float, option: str) -> str:
    """What the program calls itself; asked once, and again when it has been replaced."""
    run = subprocess.run([program, option], capture_output=True, text=True, timeout=TIME_LIMIT, check=True)
    words = run.stdout.split("\n", 1)[0].split()
    return words[words.index("version") + 1] if "version" in words else words[1]


def yt_dlp() -> Finding:
    """Which yt-dlp is used, how old it is, and what to do about it."""
    release, update = releases.choose(settings.UPDATES_DIR), releases.switched_to(settings.UPDATES_DIR)
    age = release.age(timezone.now().date())
    finding = Finding(detail=f"yt-dlp is {age} days old.", version=release.version, age_days=age)
    if update and update != release and Version(update.version) >= Version(release.version):
        detail = f"yt-dlp {update.version} cannot be used, so it is {release.version}. {releases.CURE}"
        return replace(finding, status="warning", detail=detail)
    if age >= OLD_ENGINE:
        detail = f"yt-dlp is {age} days old; sites change, so update it with: manage.py update-engine"
        return replace(finding, status="warning", detail=detail)
    return finding


def _engine() -> Finding:
    actors.engine().warm_up()
    return Finding(detail="Downloads can begin.")


def _reason(error: Exception) -> str:
    """What went wrong: one line, without what only the log should hold."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


readiness = Readiness(
    {
        "database": Check(_database, "The database cannot be asked"),
        "broker": Check(_broker, "Messages cannot be sent"),
        "channel_layer": Check(_channel_layer, "News do not reach the feed"),
        "library": Check(lambda: _folder(settings.LIBRARY_DIR), "The library cannot be written to"),
        "work_folder": Check(lambda: _folder(settings.WORK_DIR), "The work folder cannot be written to"),
        "ffmpeg": Check(lambda: _ffmpeg("ffmpeg"), "ffmpeg does not run"),
        "ffprobe": Check(lambda: _ffmpeg("ffprobe"), "ffprobe does not run"),
        "javascript": Check(_javascript, "The JavaScript runtime does not run"),
        "yt_dlp_ejs": Check(
            lambda: _fitting(releases.SOLVER, "default", "YouTube will not work"), "yt-dlp-ejs cannot be found"
        ),
        "curl_cffi": Check(
            lambda: _fitting("curl-cffi", "curl-cffi", "sites that want a browser will refuse"),
            "curl_cffi cannot be found",
        ),
        "yt_dlp": Check(yt_dlp, "yt-dlp cannot be found"),
        "engine": Check(_engine, "Downloads cannot begin"),
    }
)
