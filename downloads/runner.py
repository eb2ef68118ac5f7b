"""One attempt at one task: events of the engine in, verbs of the task and news for the feed out. It knows no broker."""

import contextlib
import enum
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.utils import timezone

from downloads import live, logs, lookups, metrics, pictures, playlists, storage, turns
from downloads.engine import messages
from downloads.engine.errors import PATIENT, Failure, Phase, Reason
from downloads.engine.ffmpeg import NotMedia, prepare_toolbox, probe
from downloads.engine.filenames import NameFacts, library_folders, library_name
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.network import AddressPolicy
from downloads.engine.process import Child, Engine, EngineUnavailable
from downloads.engine.stalls import Watchdog
from downloads.library import Finished, LibraryUnreachable, is_remote, library
from downloads.models import (
    GOES_ON,
    MAX_FAILURES,
    PROGRESS,
    CookieJar,
    Facts,
    Host,
    LeaseLost,
    ProxyUnreadable,
    SiteRule,
    SiteSettings,
    Task,
    Tuning,
)
from downloads.reports import WRITE_EVERY, reports
from downloads.sealing import Unreadable, unseal
from downloads.states import Status, Stop, Wait
from downloads.stops import stops

LOOK_EVERY = 0.2  # seconds: how soon a request to stop is looked for again
WAIT = 0.3  # seconds: longer than between two readings of a download, so that one waking does for both
ADJUST_EVERY = 1.0  # seconds: how soon the hours and the limit for all count, and that there are more downloads
RENEW_EVERY = 5.0  # seconds, when there is no progress to write
# A result that failed its proof is fetched once more from nothing, not five times: the site's word may be what is wrong
TRIES_OF = {Reason.INCOMPLETE: 2}
# How much of the bar is what comes before the way to a library that is elsewhere
SHARE_BEFORE_TRANSPORT = 0.8
Step = (
    messages.Found
    | messages.Items
    | messages.Listed
    | messages.Pictured
    | messages.Progress
    | messages.Processing
    | messages.Done
)
# What the engine may say in which state, beside that it failed
IN_TURN: dict[Status, tuple[type[Step], ...]] = {
    Status.STARTING: (messages.Found, messages.Items, messages.Listed),
    Status.DOWNLOADING: (messages.Pictured, messages.Progress, messages.Processing),
    Status.PROCESSING: (messages.Pictured, messages.Progress, messages.Done),
}
FIRST_DELAY = 2.0  # seconds until the second attempt; doubled each time
LONGEST_DELAY = 300.0
# A broadcast that has not begun is looked at when it is due, at the least this often, and for this long at most
SOONEST_LOOK, LATEST_LOOK = 30.0, 3600.0  # seconds
LONGEST_WAIT = timedelta(days=30)
PROBE_LIMIT = 60.0  # seconds
LITTLE_ROOM = 1024 * 1024  # bytes

logger = logging.getLogger(__name__)


class Interruption(enum.Enum):
    """Why an attempt ended that neither succeeded nor failed."""

    STOP = "somebody asked"
    SHUTDOWN = "the service ends"
    HOURS = "the hours in which downloads run are over"


class TransportStopped(Exception):
    """The file is on its way to the library, and somebody asked to stop, or the service ends."""


Ending = messages.Done | messages.Listed | Failure | Interruption


def run_next(
    *, engine: Engine, worker: str, stopping: threading.Event, on_downloaded: Callable[[], None] = lambda: None
) -> bool:
    """Claim the task whose turn it is and run it to the end of this attempt; False when none may start now.

    `on_downloaded` is called in this thread when all bytes are here, and nothing but processing is to come.
    """
    to_come = Task.objects.running_on(storage.machine()).bytes_to_come()
    task = turns.claim_next(worker, storage.machine(), storage.usable(to_come))
    if task is None:
        return False
    if task.begins_anew:
        storage.discard(task.id)  # left here before another machine had the task, or of another format
    with logs.about(task=task.id, attempt=task.attempt, lease=task.lease):
        logger.info("Attempt begins: %s", task.url)
        live.task_changed(task)
        try:
            Run(task, engine, stopping, spoken_for=to_come, on_downloaded=on_downloaded).to_the_end()
        except (LeaseLost, Task.DoesNotExist):
            logger.warning("Somebody else holds the task by now, or it is gone; this attempt ends")
    return True


class Run:
    """One claimed task and its child."""

    def __init__(
        self,
        task: Task,
        engine: Engine,
        stopping: threading.Event,
        *,
        spoken_for: int,
        on_downloaded: Callable[[], None],
    ) -> None:
        """Take a task under its lease; `spoken_for` is how many bytes others will still bring to this disk.

        Raises:
            LeaseLost: nobody holds it.
        """
        if task.lease is None:
            raise LeaseLost(task.id)
        self._task = task
        self._lease = task.lease
        self._engine = engine
        self._stopping = stopping
        self._spoken_for = spoken_for
        self._on_downloaded = on_downloaded
        self._bytes_before = task.downloaded_bytes
        self._renewed_at = self._claimed_at = time.monotonic()
        self._watchdog = Watchdog(
            storage.work_folder(task.id), look_up_limit=settings.LOOKUP_TIME_LIMIT, stall_limit=settings.STALL_SECONDS
        )
        self._share = SHARE_BEFORE_TRANSPORT if is_remote() else 1.0
        self._heard = False
        self._items: list[messages.ListedItem] = []
        self._looked_at = self._adjusted_at = 0.0
        self._part_of_line = _fair_part_of_line()

    def to_the_end(self) -> None:
        """Run the child, and once no process of it is left, write how it went.

        Raises:
            LeaseLost: nothing was written, and the child is stopped.
        """
        stops.hold(self._task.id)
        try:
            ending = self._run_child()
        finally:
            stops.let_go(self._task.id)
            reports.forget(self._task.id)
        self._end(ending)

    # While it runs

    def _run_child(self) -> Ending:
        try:
            cookies = CookieJar.objects.cookies_for(self._task.url, unseal(self._task.sealed_cookies))
            rules = SiteRule.objects.for_url(self._task.url)
        except Unreadable as error:
            return self._failure(Reason.LOGIN_NEEDED, str(error))
        except ProxyUnreadable as error:
            return self._failure(Reason.PROXY, str(error))
        with self._engine.way_out(AddressPolicy(settings.ALLOWED_NETWORKS), rules.proxy, rules.source_address) as route:
            try:
                child = self._engine.start(self._job(cookies, rules, route.url))
            except EngineUnavailable as error:
                return self._failure(Reason.KILLED, str(error))
            try:
                return self._follow(child)
            finally:
                child.stop()

    def _job(self, cookies: str, rules: SiteSettings, egress: str) -> messages.Job:
        task = self._task
        return messages.Job(
            task_id=task.id,
            url=task.url,
            quality=Quality(task.quality),
            post_processing=PostProcessing(task.post_processing),
            folder=str(storage.work_folder(task.id)),
            tools=str(settings.FFMPEG_DIR or settings.TOOLS_DIR),
            cache=str(settings.DATA_DIR / "cache"),
            cookies=cookies,
            allowed_networks=tuple(str(network) for network in settings.ALLOWED_NETWORKS),
            looked_up=lookups.kept(task.url, cookies),
            choices=task.wishes,
            playlist_limit=settings.PLAYLIST_LIMIT,
            memory_limit=settings.ENGINE_MEMORY_LIMIT,
            live_limit=settings.LIVE_LIMIT,
            free_space_floor=settings.FREE_SPACE_FLOOR,
            spoken_for=self._spoken_for,
            max_connections=self._connections(),
            encoder=settings.VIDEO_ENCODER,
            sponsorblock_api=settings.SPONSORBLOCK_API,
            egress=egress,
            through_egress=bool(rules.proxy),
            rate_limit=_curls_limit(rules) if rules.impersonate else rules.rate_limit,
            share=self._part_of_line,
            source_address=rules.source_address,
            impersonate=rules.impersonate,
        )

    def _connections(self) -> int:
        """Over how many the media may come: what downloads from one host may have is shared when each begins."""
        sharing = Task.objects.running().filter(host=self._task.host).count()
        most: int = settings.MAX_CONNECTIONS
        return max(most // max(sharing, 1), 1)

    def _follow(self, child: Child) -> Ending:
        while True:
            try:
                events = child.events(WAIT)
            except messages.BadFrame as error:
                return self._failure(Reason.KILLED, f"the engine spoke nonsense: {error}")
            if events and not self._heard:
                self._heard = True
                metrics.engine_start.observe(time.monotonic() - self._claimed_at)
            for event in events:
                self._watchdog.hear(event)
                if ending := self._take(event):
                    return ending
            if ending := self._interruption(child):
                return ending

    def _take(self, event: messages.Event) -> Ending | None:
        """Do what follows from one event; what ends the attempt is given back."""
        if isinstance(event, messages.Failed):
            return event.failure
        if not isinstance(event, IN_TURN[Status(self._task.status)]):
            return self._failure(Reason.KILLED, f"the engine spoke out of turn: {type(event).__name__}")
        match event:
            case messages.Done() | messages.Listed():
                return event
            case messages.Items():
                self._items += event.items
            case messages.Pictured():
                self._keep_picture(event.name)
            case messages.Progress():
                self._progress(event)
            case messages.Found():
                self._task.begin_download(self._lease, _facts(event))
                logger.info("Found %r, downloading", event.title)
                live.task_changed(self._task)
            case messages.Processing():
                reports.forget(self._task.id)
                self._task.begin_processing(self._lease)
                self._renewed_at = time.monotonic()
                logger.info("Downloaded %d bytes, processing", self._task.downloaded_bytes)
                live.task_changed(self._task)
                self._on_downloaded()
        return None

    def _keep_picture(self, name: str) -> None:
        task = self._task
        with contextlib.suppress(ValueError):  # no file of ours: then there is no picture
            if pictures.keep(task.id, _inside(storage.work_folder(task.id), name)):
                task.picture(self._lease)
                live.task_changed(task)

    def _progress(self, event: messages.Progress) -> None:
        task = self._task
        task.progress_percentage = min(max(event.percentage, 0.0), 100.0) * self._share
        task.downloaded_bytes = event.downloaded_bytes
        task.total_bytes = event.total_bytes
        task.speed = event.speed
        task.eta = event.eta
        live.progressed(task)
        reports.note(task, self._lease)
        self._renewed_at = time.monotonic()

    def _renew(self) -> None:
        """Write how far it is now, before something else is written of the task."""
        task = self._task
        reports.forget(task.id)
        task.renew(self._lease, **{name: getattr(task, name) for name in PROGRESS})
        self._renewed_at = time.monotonic()
        if task.playlist_id:
            playlists.progressed(task.playlist_id)

    def _share_the_line(self, child: Child) -> None:
        """Tell the child when there are more downloads than before, or fewer, to share what is allowed to all."""
        if (part := _fair_part_of_line()) != self._part_of_line:
            self._part_of_line = part
            child.leave_share(part)

    def _interruption(self, child: Child) -> Ending | None:
        """What ends the attempt from outside: a request, the end of the service, a dead or a silent child."""
        now = time.monotonic()
        if self._stopping.is_set():
            return Interruption.SHUTDOWN
        if child.ended:
            return self._failure(Reason.KILLED, "the engine's process ended without a word")
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            stop = stops.asked(self._task.id, self._lease)
            if stop == Stop.FINISH:
                child.finish()
            elif stop:
                return Interruption.STOP
        if now - self._adjusted_at >= ADJUST_EVERY:
            self._adjusted_at = now
            if self._is_after_hours():
                return Interruption.HOURS
            self._share_the_line(child)
        if overdue := self._watchdog.overdue():
            return overdue
        if now - self._renewed_at >= RENEW_EVERY:
            reports.note(self._task, self._lease)
            self._renewed_at = now
        reports.write_if_due()
        return None

    def _is_after_hours(self) -> bool:
        """Whether it is to go on later. A live stream would be over by then, and what is converted needs no line."""
        task, is_over = self._task, Tuning.objects.in_force().opens_at() is not None
        return is_over and task.status != Status.PROCESSING and not task.is_live

    def _failure(self, reason: Reason, detail: str) -> Failure:
        phases = {
            Status.STARTING: Phase.LOOKUP,
            Status.DOWNLOADING: Phase.DOWNLOAD,
            Status.PROCESSING: Phase.PROCESSING,
        }
        return Failure(reason=reason, phase=phases[Status(self._task.status)], detail=detail)

    # When no process of it is left

    def _end(self, ending: Ending) -> None:
        self._renew()  # how far it came is in the row before anything else is
        if isinstance(ending, messages.Done):
            outcome = self._complete(ending)
            if outcome is None:
                return
            ending = outcome
        if self._task.stop_asked(self._lease) not in GOES_ON:
            carry_out_stop(self._task, self._lease)
            return
        if isinstance(ending, messages.Listed) and self._task.playlist_id:
            ending = self._failure(Reason.PLAYLIST, "an item of a playlist is one itself")
        try:
            self._put_back_or_fail(ending)
        except LeaseLost:  # somebody asked to stop in this very moment; if not, this says LeaseLost once more
            carry_out_stop(self._task, self._lease)

    def _put_back_or_fail(self, ending: messages.Listed | Failure | Interruption) -> None:
        if isinstance(ending, messages.Listed):
            playlists.expand(self._task, self._lease, _facts(ending.found), self._items, total=ending.total)
        elif isinstance(ending, Failure):
            self._fail(ending)
        else:
            self._task.hand_back(self._lease)
            logger.info("The task is back in the queue: %s", ending.value)
            live.task_changed(self._task)

    def _complete(self, done: messages.Done) -> Failure | Interruption | None:
        """Store the file and complete the task, or say why that failed or was broken off."""
        task = self._task
        try:
            finished = _finished(storage.work_folder(task.id), done)
            size = finished.file.stat().st_size
            side_bytes = sum(file.stat().st_size for file in finished.beside.values())
            if is_remote():
                task.renew(self._lease, held=_held(finished.file))
            library().store(
                task.id,
                finished,
                _wanted_name(task, done),
                lambda name, beside: task.reserve(self._lease, name, size, beside, side_bytes),
                self._keep_storing,
            )
        except (OSError, ValueError, TransportStopped) as error:
            task.renew(self._lease)  # or else its next holder may have files of its own under these names by now
            withdraw(task)
            return Interruption.SHUTDOWN if isinstance(error, TransportStopped) else _storing_failed(error)
        complete(task, self._lease, size, done.notes)
        for note in done.notes:
            logger.info("%s", note)
        return None

    def _keep_storing(self, fraction: float | None = None) -> None:
        """Keep the lease while the file goes into the library; one that is elsewhere takes a part of the bar, too.

        Raises:
            TransportStopped: only on such a way: a file that is linked or copied is there before anybody can stop it.
        """
        task = self._task
        if fraction is None:
            task.renew(self._lease)
            return
        if self._stopping.is_set() or task.stop_asked(self._lease) not in GOES_ON:
            raise TransportStopped
        task.progress_percentage = 100 * (self._share + (1 - self._share) * min(fraction, 1.0) * 0.99)
        live.progressed(task)
        if time.monotonic() - self._renewed_at >= WRITE_EVERY:
            self._renew()

    def _fail(self, failure: Failure) -> None:
        task = self._task
        if failure.reason is Reason.UPCOMING:
            failures, delay = task.failures, min(max(failure.retry_after or 0, SOONEST_LOOK), LATEST_LOOK)
            is_worth_it = timezone.now() - task.created_at < LONGEST_WAIT
        else:
            gets_on = task.downloaded_bytes - self._bytes_before >= self._watchdog.step
            failures = 1 if gets_on else task.failures + 1
            delay = max(_delay(failures), failure.retry_after or 0)
            is_worth_it = failures < TRIES_OF.get(failure.reason, MAX_FAILURES)
        if failure.retry_after and failure.reason in (Reason.RATE_LIMITED, Reason.SERVER_ERROR) and task.host:
            Host.objects.let_rest(task.host, failure.retry_after)
        if failure.reason is Reason.NO_SPACE:
            self._wait_for_room(failure, failures)
            return
        if failure.reason in PATIENT:
            delay = delay if failures < MAX_FAILURES else LONGEST_DELAY
            failures, is_worth_it = min(failures, MAX_FAILURES - 1), True
        if failure.retryable and is_worth_it:
            task.retry_later(self._lease, failure, delay, failures)
            logger.info("%s Next attempt in %.0f s. %s", failure.sentence, delay, failure.detail)
        else:
            task.fail(self._lease, failure)
            logger.info("Failed. %s %s", failure.sentence, failure.detail)
        live.task_changed(task)

    def _wait_for_room(self, failure: Failure, failures: int) -> None:
        """Put the task back until there is room. It never fails for that: its bytes are worth keeping.

        Where nobody knows how much it needs, it is tried with some more than there was, and less often each time.
        """
        task = self._task
        if not failure.needed_bytes:
            failure = msgspec.structs.replace(failure, needed_bytes=max(settings.FREE_SPACE_FLOOR // 8, LITTLE_ROOM))
        else:
            failures = task.failures
        delay = LONGEST_DELAY if failures == MAX_FAILURES else _delay(failures) if failures else 0
        task.retry_later(self._lease, failure, delay, min(failures, MAX_FAILURES - 1), Wait.ROOM)
        logger.info("%s %s", failure.sentence, failure.detail)
        live.task_changed(task)


def _fair_part_of_line() -> int:
    """What each download that runs may have, in bytes a second: the same part of all, no more than the limit of one.

    0 where there is no limit.
    """
    in_force = Tuning.objects.in_force()
    if not in_force.speed_limit:
        return in_force.task_speed_limit
    at_once = Task.objects.running().exclude(status=Status.PROCESSING).count()
    return _least(max(in_force.speed_limit // max(at_once, 1), 1), in_force.task_speed_limit)


def _curls_limit(rules: SiteSettings) -> int:
    """What a download by curl may have, whose limit cannot change while it runs: a part for the worst case."""
    in_force = Tuning.objects.in_force()
    return _least(rules.rate_limit, in_force.speed_limit // in_force.max_downloads, in_force.task_speed_limit)


def _least(*limits: int) -> int:
    """The lowest that is one; 0 is none."""
    return min(filter(None, limits), default=0)


def _facts(found: messages.Found) -> Facts:
    return Facts(
        title=found.title,
        media_id=found.media_id,
        site=found.site,
        uploader=found.uploader,
        duration=found.duration,
        thumbnail=found.thumbnail,
        is_live=found.is_live,
        upload_date=found.upload_date,
    )


def complete(task: Task, lease: UUID, size: int, notes: Sequence[str] = ()) -> None:
    """Finish a task whose file is in the library. `notes` say what of the wishes could not be had.

    Raises:
        LeaseLost: somebody else will.
    """
    library().settle(task.id, task.file_name)
    task.finish(lease, size, notes)
    storage.discard(task.id)
    live.task_changed(task)
    logger.info("Completed as %r, %d bytes", task.file_name, size)


def withdraw(task: Task) -> None:
    """Take back what is in the library under the task's reserved names, before the row gives them up."""
    if task.file_name:
        library().withdraw(task.id, [task.file_name, *task.side_files], storage.work_folder(task.id))


def carry_out_stop(task: Task, lease: UUID) -> None:
    """Cancel, pause or delete a task as its row asks, now that no process of it is left.

    Raises:
        LeaseLost: somebody else will.
    """
    stop = task.stop_asked(lease)
    if stop in (Stop.CANCEL, Stop.DELETE):
        storage.discard(task.id)  # before the row says so: what is cancelled keeps nothing on disk
    if stop == Stop.DELETE:
        pictures.discard([task.id])
    task.stopped(lease)
    logger.info("Stopped on request (%s)", stop)
    if stop == Stop.DELETE:
        live.deleted(task)
    else:
        live.task_changed(task)


def _delay(failures: int) -> float:
    """Seconds until the next attempt: doubled with each failure, spread out, so that many tasks do not come at once."""
    return min(FIRST_DELAY * 2.0 ** (failures - 1), LONGEST_DELAY) * random.uniform(0.7, 1.3)  # noqa: S311  no secret


def _wanted_name(task: Task, done: messages.Done) -> str:
    """Where the file is to go, relative to the library.

    Raises:
        ValueError: its type is not kept.
    """
    facts = NameFacts(
        title=task.title,
        media_id=task.media_id,
        uploader=task.uploader,
        site=task.site,
        upload_date=task.upload_date,
        height=done.height,
        quality=task.quality,
        task_id=task.id,
        playlist=task.playlist.title if task.playlist else "",
        playlist_index=task.playlist_index,
        playlist_count=task.playlist.playlist_total if task.playlist else 0,
    )
    name = library_name(settings.FILENAME_TEMPLATE, facts, done.extension, task.custom_filename)
    return "/".join([*library_folders(settings.FOLDER_TEMPLATE, facts), name])


def _finished(folder: Path, done: messages.Done) -> Finished:
    """The files that the child names.

    Raises:
        ValueError: one is not a plain file right inside the folder, or two would have one name.
    """
    beside = {side.suffix: _inside(folder, side.name) for side in done.side_files}
    if len({suffix.lower() for suffix in beside}) < len(done.side_files):
        raise ValueError("two files would have one name beside the finished one")
    return Finished(_inside(folder, done.name), beside)


def _inside(folder: Path, name: str) -> Path:
    """A finished file that the child names.

    Raises:
        ValueError: it is not a plain file right inside the folder.
    """
    path = folder / name
    if Path(name).name != name or path.is_symlink() or not path.is_file():
        raise ValueError(f"no finished file called {name!r}")
    return path


def _held(file: Path) -> dict[str, Any] | None:
    """What the file holds, for the task's page: it cannot look into what is elsewhere."""
    try:
        found = probe(prepare_toolbox(settings.TOOLS_DIR, settings.FFMPEG_DIR), file, timeout=PROBE_LIMIT)
    except NotMedia:
        return None
    held: dict[str, Any] = msgspec.to_builtins(found)
    return held


def _storing_failed(error: Exception) -> Failure:
    full = isinstance(error, OSError) and error.errno in storage.NO_SPACE
    reason = Reason.NO_SPACE if full else Reason.STORAGE
    if isinstance(error, LibraryUnreachable):
        reason = Reason.LIBRARY
    return Failure(reason=reason, phase=Phase.PROCESSING, detail=str(error)[:500])
