"""Whether everything that downloads need works: each thing is tried, in a thread of its own, within a time limit."""

import functools
import shutil
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from packaging.version import Version

from downloads import actors, broker
from downloads.engine import releases
from downloads.engine.ffmpeg import prepare_toolbox
from downloads.engine.process import search_path
from downloads.library import bucket, is_remote
from downloads.models import Task

TIME_LIMIT: Final = 3.0  # seconds for each check; they run at once
KEPT_FOR: Final = 5.0  # seconds that a report is given again, so that asking often costs nothing
LITTLE_SPACE: Final = 1024**3  # bytes
OLD_ENGINE: Final = 60  # days: sites change, and yt-dlp with them
OLDEST_DENO: Final = Version("2.3")  # that yt-dlp takes
RUNS: Final = gettext_noop("{program} runs.")

Status = Literal["ready", "degraded", "not_ready"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found: a sentence in English, with blanks in braces and what they are filled with.

    `seconds` is how long it took; the rest is where it makes sense.
    """

    status: Literal["ok", "warning", "failed"] = "ok"
    sentence: str
    blanks: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0
    version: str | None = None
    free_bytes: int | None = None
    age_days: int | None = None

    @property
    def detail(self) -> str:
        """The sentence in English, as scripts are told."""
        return self.sentence.format(**self.blanks)

    @property
    def in_own_words(self) -> str:
        """The sentence in the reader's language, as far as its parts are known there."""
        blanks = {name: gettext(text) if (text := str(value)) else "" for name, value in self.blanks.items()}
        return gettext(self.sentence).format(**blanks)


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
        """Take what to do, and the sentence for when it cannot be done, with a blank for the `reason`."""
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
            return replace(self._failed(gettext_noop("no answer in time")), seconds=TIME_LIMIT)

    def _run(self, running: "Future[Finding]") -> None:
        began = time.monotonic()
        try:
            finding = self._look()
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the check has found
            finding = self._failed(_reason(error))
        finally:
            connection.close()
        running.set_result(replace(finding, seconds=round(time.monotonic() - began, 4)))

    def _failed(self, reason: str) -> Finding:
        return Finding(status="failed", sentence=self._complaint, blanks={"reason": reason})


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
    return Finding(sentence=gettext_noop("{database} answers."), blanks={"database": connection.vendor})


def _broker() -> Finding:
    broker.check()
    return Finding(sentence=gettext_noop("Messages can be sent."))


def _channel_layer() -> Finding:
    async_to_sync(_round_trip)()
    return Finding(sentence=gettext_noop("A message came back."))


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
        sentence = gettext_noop("Less than 1 GB is free there: make room.")
        return Finding(status="warning", sentence=sentence, free_bytes=free)
    return Finding(sentence=gettext_noop("A file can be written there."), free_bytes=free)


def _library() -> Finding:
    if not is_remote():
        return _folder(settings.LIBRARY_DIR)
    bucket().check()
    return Finding(sentence=gettext_noop("The bucket answers."))


def _ffmpeg(name: str) -> Finding:
    toolbox = prepare_toolbox(settings.TOOLS_DIR, settings.FFMPEG_DIR)
    program = (toolbox.folder / name).resolve(strict=True)
    version = _version_of(program, program.stat().st_mtime, "-version")
    return Finding(sentence=RUNS, blanks={"program": name}, version=version)


def _javascript() -> Finding:
    """The deno that yt-dlp finds: that of the Python package first."""
    folders = f"{sysconfig.get_path('scripts')}:{search_path(settings.FFMPEG_DIR or settings.TOOLS_DIR)}"
    found = shutil.which("deno", path=folders)
    if found is None:
        sentence = gettext_noop(
            "There is no deno, so some sites (YouTube among them) will not work: install the Python package deno."
        )
        return Finding(status="warning", sentence=sentence)
    program = Path(found)
    version = _version_of(program, program.stat().st_mtime, "--version")
    if Version(version) < OLDEST_DENO:
        sentence = gettext_noop(
            "{program} is older than {oldest}, so yt-dlp does not take it: update the Python package deno."
        )
        blanks = {"program": program, "oldest": OLDEST_DENO}
        return Finding(status="warning", sentence=sentence, blanks=blanks, version=version)
    return Finding(sentence=RUNS, blanks={"program": program}, version=version)


def _fitting(package: str, extra: str, loss: str) -> Finding:
    """Whether there is a version of a package that the yt-dlp in use takes; `loss` is what does not work without."""
    release = releases.choose(settings.UPDATES_DIR)
    version, wanted = release.version_of(package), release.takes(package, extra)
    blanks = {"release": release.version, "package": package, "wanted": wanted, "loss": loss}
    if version is None:
        sentence = gettext_noop("There is no {package}, so {loss}: install {package}{wanted}.")
        return Finding(status="warning", sentence=sentence, blanks=blanks)
    if not wanted.contains(version, prereleases=True):
        sentence = gettext_noop("yt-dlp {release} takes {package}{wanted} only, so {loss}: install that.")
        return Finding(status="warning", sentence=sentence, blanks=blanks, version=version)
    return Finding(sentence=gettext_noop("It fits yt-dlp {release}."), blanks=blanks, version=version)


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
    blanks = {"days": age, "version": release.version, "update": update.version if update else ""}
    finding = Finding(
        sentence=gettext_noop("yt-dlp is {days} days old."), blanks=blanks, version=release.version, age_days=age
    )
    if update and update != release and Version(update.version) >= Version(release.version):
        sentence = gettext_noop("yt-dlp {update} cannot be used, so it is {version}. {cure}")
        return replace(finding, status="warning", sentence=sentence, blanks=blanks | {"cure": releases.CURE})
    if age >= OLD_ENGINE:
        sentence = gettext_noop("yt-dlp is {days} days old; sites change, so update it with: manage.py update-engine")
        return replace(finding, status="warning", sentence=sentence)
    return finding


def _engine() -> Finding:
    actors.engine().warm_up()
    return Finding(sentence=gettext_noop("Downloads can begin."))


def _reason(error: Exception) -> str:
    """What went wrong: one line, without what only the log should hold."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


readiness = Readiness(
    {
        "database": Check(_database, gettext_noop("The database cannot be asked: {reason}.")),
        "broker": Check(_broker, gettext_noop("Messages cannot be sent: {reason}.")),
        "channel_layer": Check(_channel_layer, gettext_noop("News do not reach the feed: {reason}.")),
        "library": Check(_library, gettext_noop("The library cannot be written to: {reason}.")),
        "work_folder": Check(
            lambda: _folder(settings.WORK_DIR), gettext_noop("The work folder cannot be written to: {reason}.")
        ),
        "ffmpeg": Check(lambda: _ffmpeg("ffmpeg"), gettext_noop("ffmpeg does not run: {reason}.")),
        "ffprobe": Check(lambda: _ffmpeg("ffprobe"), gettext_noop("ffprobe does not run: {reason}.")),
        "javascript": Check(_javascript, gettext_noop("The JavaScript runtime does not run: {reason}.")),
        "yt_dlp_ejs": Check(
            lambda: _fitting(releases.SOLVER, "default", gettext_noop("YouTube will not work")),
            gettext_noop("yt-dlp-ejs cannot be found: {reason}."),
        ),
        "curl_cffi": Check(
            lambda: _fitting("curl-cffi", "curl-cffi", gettext_noop("sites that want a browser will refuse")),
            gettext_noop("curl_cffi cannot be found: {reason}."),
        ),
        "yt_dlp": Check(yt_dlp, gettext_noop("yt-dlp cannot be found: {reason}.")),
        "engine": Check(_engine, gettext_noop("Downloads cannot begin: {reason}.")),
    }
)
