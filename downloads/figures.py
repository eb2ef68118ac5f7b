"""The figures of the dashboard: what the rows and the disk say, of the last 30 days where it is about the past.

Everything is summed up in the database. Items of playlists count, playlists themselves do not; nor does what was
deleted since.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db.models import Case, Count, F, IntegerField, Max, Q, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from downloads.library import is_remote
from downloads.models import SAME_MOMENT, Task, TaskQuerySet, WorkerProcess
from downloads.states import Status, Wait

DAYS: Final = 30
MOST: Final = 8  # sites and reasons that are named
TASKS_OF_A_WORKER: Final = 10  # that are named
BLOCK: Final = 512  # bytes: in these `stat` says what a file takes of the disk, whatever its file system's own are


@dataclass(frozen=True)
class Day:
    """What ended on a day of the server's time zone; `file_bytes` is what was finished, with the files beside it."""

    date: date
    completed: int = 0
    failed: int = 0
    file_bytes: int = 0


@dataclass(frozen=True)
class Site:
    """What ended of a site; `name` is empty for all that failed before their sites were known."""

    name: str
    completed: int
    failed: int
    file_bytes: int


@dataclass(frozen=True)
class Failures:
    """How many tasks failed for good for one reason, and the newest of them."""

    reason: str
    count: int
    newest: Task


@dataclass(frozen=True)
class Queue:
    """What runs, with its speed in bytes a second, and what waits.

    That is for a worker, `oldest` of which has been waiting so long; for something else, such as room on the disk; for
    the time of its next attempt; for somebody to start it.
    """

    running: int
    speed: int
    ready: int
    oldest: timedelta
    others: Mapping[Wait, int]
    later: int
    unstarted: int


@dataclass(frozen=True)
class Working:
    """A worker that is alive or was lost, and what it holds: some of its tasks, and how many they are in all."""

    process: WorkerProcess
    tasks: Sequence[Task]
    task_count: int


@dataclass(frozen=True)
class Disk:
    """A file system of this machine that has the library, the work folder or both; all in bytes."""

    folders: Sequence[Path]
    total: int
    free: int


def first_moment() -> datetime:
    """When the first of the days begins."""
    return _midnight(timezone.localdate() - timedelta(days=DAYS - 1))


def days() -> list[Day]:
    """Each of the days, the oldest first."""
    dates = [timezone.localdate() - timedelta(days=ago) for ago in range(DAYS)]
    # Compared with 30 moments; the database's own way from a time to a day is four times as slow on SQLite.
    ago = Case(
        *[When(finished_at__gte=_midnight(day), then=Value(ago)) for ago, day in enumerate(dates)],
        output_field=IntegerField(),
    )
    found = {row.pop("key"): row for row in _summed(ago)}
    return [Day(day, **found.get(ago, {})) for ago, day in reversed(list(enumerate(dates)))]


def sites() -> list[Site]:
    """Those with the most tasks that ended."""
    found = _summed(F("site")).order_by(F("completed").desc(), F("failed").desc(), F("key"))
    return [Site(row.pop("key"), **row) for row in found[:MOST]]


def failures() -> list[Failures]:
    """The most frequent reasons."""
    failed = _ended().filter(status=Status.FAILED)
    groups = list(
        failed.values(reason=F("error_reason"))
        .annotate(count=Count("pk"), newest=Max("finished_at"))
        .order_by("-count", "reason")[:MOST]
    )
    if not groups:
        return []
    are_newest = reduce(
        or_, (Q(error_reason=group["reason"], finished_at__gt=group["newest"] - SAME_MOMENT) for group in groups)
    )
    newest = {task.error_reason: task for task in failed.filter(are_newest).order_by("finished_at")}
    return [
        Failures(group["reason"], group["count"], newest[group["reason"]])
        for group in groups
        if group["reason"] in newest  # somebody may have deleted it in this moment
    ]


def queue() -> Queue:
    """What runs and waits now."""
    waiting = Task.objects.filter(is_playlist=False)
    queued = waiting.filter(status=Status.QUEUED)
    ready = Task.objects.ready().filter(waits_for=Wait.NONE)
    others = queued.exclude(waits_for=Wait.NONE).values_list("waits_for").annotate(Count("pk")).order_by("waits_for")
    counts = {Wait(wait): count for wait, count in others}
    ready_count = ready.count()
    running = Task.objects.running().aggregate(count=Count("pk"), speed=Coalesce(Sum("speed"), 0))
    return Queue(
        running=running["count"],
        speed=running["speed"],
        ready=ready_count,
        oldest=ready.longest_wait(),
        others=counts,
        later=queued.count() - ready_count - sum(counts.values()),
        unstarted=waiting.filter(status=Status.PENDING).count(),
    )


def workers() -> list[Working]:
    """Everybody who is alive, and who was lost lately."""
    running = Task.objects.running()
    found = []
    for process in WorkerProcess.objects.with_signs():
        held = running.filter(worker=process.name)
        tasks = list(held.order_by("started_at", "pk")[:TASKS_OF_A_WORKER])
        count = held.count() if len(tasks) == TASKS_OF_A_WORKER else len(tasks)
        found.append(Working(process, tasks, count))
    return found


def work_bytes() -> int:
    """What the work folder takes of this machine's disk."""
    return sum(_bytes_in(settings.WORK_DIR))


def disks() -> list[Disk]:
    """One or two, the library's first; a library that is elsewhere is none of this machine's."""
    by_device: dict[int, list[Path]] = {}
    for folder in [settings.WORK_DIR] if is_remote() else [settings.LIBRARY_DIR, settings.WORK_DIR]:
        with contextlib.suppress(FileNotFoundError):  # nothing was downloaded yet
            by_device.setdefault(folder.stat().st_dev, []).append(folder)
    found = []
    for folders in by_device.values():
        usage = shutil.disk_usage(folders[0])
        found.append(Disk(folders, usage.total, usage.free))
    return found


def _ended() -> TaskQuerySet:
    """What was completed or failed in these days; the index `task_ended` holds all of it that is summed up."""
    ends = [Status.COMPLETED, Status.FAILED]
    found: TaskQuerySet = Task.objects.filter(status__in=ends, finished_at__gte=first_moment(), is_playlist=False)
    return found


def _summed(by: Case | F) -> Any:  # noqa: ANN401  a query of dictionaries
    """Rows of a `key` and of what a `Day` and a `Site` have."""
    is_completed, is_failed = Q(status=Status.COMPLETED), Q(status=Status.FAILED)
    return (
        _ended()
        .values(key=by)
        .annotate(
            completed=Count("finished_at", filter=is_completed),
            failed=Count("finished_at", filter=is_failed),
            file_bytes=Coalesce(Sum("stored_bytes", filter=is_completed), 0),
        )
    )


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _bytes_in(folder: Path) -> list[int]:
    """What each file below takes; one that goes meanwhile takes nothing."""
    found = []
    for path, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found.append(Path(path, name).lstat().st_blocks * BLOCK)
    return found
