"""The admin's first page in words: how all is, what to do if not, and what happened in the last days."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode

import django
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.timesince import timesince
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from downie_project.version import VERSION
from downloads import figures, readiness, storage
from downloads.figures import Day, Disk, Failures, Queue, Site, Working
from downloads.models import Task, Tuning
from downloads.readiness import Finding, Report
from downloads.rows import duration
from downloads.states import RUNNING, Status
from downloads.words import PHRASES, number_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from downloads.models import WorkerProcess

Json = dict[str, Any]

HOUR: Final = 3600  # seconds
CHECKS: Final = {
    "database": _("Database"),
    "broker": _("Messages to the workers"),
    "channel_layer": _("News for the pages"),
    "library": _("Library"),
    "work_folder": _("Work folder"),
    "javascript": "deno",
    "yt_dlp_ejs": "yt-dlp-ejs",
    "yt_dlp": "yt-dlp",
    "engine": _("Engine"),
}
CHECK_STATES: Final = {"ok": _("works"), "warning": _("look at this"), "failed": _("does not work")}
VERDICTS: Final = {
    "ok": _("All is well."),
    "warning": _("All works; something needs your attention."),
    "failed": _("Something does not work."),
}


@dataclass(frozen=True)
class Trouble:
    """What an administrator should know at once: one sentence, with what to do."""

    level: Literal["warning", "failed"]
    sentence: str


def dashboard() -> Json:
    """Everything that the template shows; about ten queries, and the checks, which are kept for a few seconds."""
    report = readiness.readiness.report()
    working, days = figures.workers(), figures.days()
    room, disks = storage.room(Task.objects.bytes_to_come()), figures.disks()
    troubles = [*_of_checks(report), *_of_workers(working), *_of_room(room, disks)]
    worst: Literal["ok", "warning", "failed"] = "warning" if troubles else "ok"
    if any(trouble.level == "failed" for trouble in troubles):
        worst = "failed"
    return {
        "level": worst,
        "verdict": VERDICTS[worst],
        "troubles": troubles,
        "asked_at": date_format(timezone.localtime(), "DATETIME_FORMAT"),
        "time_zone": timezone.get_current_timezone_name(),
        "queue": _queue(figures.queue()),
        "rest": _rest(),
        "workers": [_worker(each) for each in working],
        "disks": [_disk(disk) for disk in disks],
        "room": list(_room()),
        "days": [_day(day) for day in reversed(days)],
        "total": _total(days),
        "sites": [_site(site) for site in figures.sites()],
        "failures": [_failures(group) for group in figures.failures()],
        "versions": _versions(report),
        "checks": [_check(name, finding) for name, finding in report.checks.items()],
        "script_data": {"language": get_language(), "days": [_drawn(day) for day in days]},
    }


# What needs attention


def _of_checks(report: Report) -> Iterator[Trouble]:
    for name, finding in report.checks.items():
        if finding.status != "ok":
            yield Trouble(finding.status, f"{CHECKS.get(name, name)}: {finding.in_own_words}")


def _of_workers(working: Sequence[Working]) -> Iterator[Trouble]:
    if not any(each.process.is_alive for each in working):
        sentence = gettext(
            "No worker gave a sign of life lately, so nothing is downloaded: start one, or see in the service's log "
            "what keeps it from working."
        )
        yield Trouble("failed", sentence)
    for each in working:
        if not each.process.is_alive:
            sentence = gettext(
                "The worker {name} was lost {time} ago; its downloads go on with another. Its log may say why."
            )
            yield Trouble("warning", sentence.format(name=each.process.name, time=_since(each.process)))


def _of_room(room: storage.Room, disks: Sequence[Disk]) -> Iterator[Trouble]:
    least = min(disk.free for disk in disks)
    free, floor = filesizeformat(least), filesizeformat(settings.FREE_SPACE_FLOOR)
    if least < settings.FREE_SPACE_FLOOR:
        sentence = gettext("Only {free} are free, so downloads wait until there are more than {floor}: make room.")
        yield Trouble("failed", sentence.format(free=free, floor=floor))
    elif room.is_short:
        sentence = gettext("Only {free} are free, and running downloads need some of it: make room soon.")
        yield Trouble("warning", sentence.format(free=free))


# What is now


def _queue(queue: Queue) -> list[Json]:
    running, ready = number_text(queue.running), number_text(queue.ready)
    if queue.speed:
        running = f"{running} · {PHRASES['speed'].format(size=filesizeformat(queue.speed))}"
    if queue.ready:
        oldest = gettext("the oldest for {time}").format(time=_length(queue.oldest))
        ready = f"{ready} · {oldest}"
    return [
        {"label": _("Running"), "value": running, "address": _list(status__in=",".join(sorted(RUNNING)))},
        {"label": _("Waiting for a worker"), "value": ready, "address": _list(status__exact=Status.QUEUED)},
        *(
            {
                "label": gettext("Waiting for {what}").format(what=wait.label),
                "value": number_text(count),
                "address": _list(status__exact=Status.QUEUED, waits_for__exact=wait),
            }
            for wait, count in queue.others.items()
        ),
        {
            "label": _("To be tried again later"),
            "value": number_text(queue.later),
            "address": _list(status__exact=Status.QUEUED),
        },
        {
            "label": _("Added and not started"),
            "value": number_text(queue.unstarted),
            "address": _list(status__exact=Status.PENDING),
        },
    ]


def _rest() -> str:
    """When downloads go on, outside of the working hours."""
    opens_at = Tuning.objects.in_force().opens_at()
    if opens_at is None:
        return ""
    time = date_format(timezone.localtime(opens_at), "DATETIME_FORMAT")
    return gettext("From {time} on downloads run again, by the working hours.").format(time=time)


def _worker(working: Working) -> Json:
    process = working.process
    busy = {"number": number_text(working.task_count), "most": number_text(process.concurrency)}
    return {
        "name": process.name,
        "version": process.version,
        "is_alive": process.is_alive,
        "state": _("alive") if process.is_alive else gettext("lost {time} ago").format(time=_since(process)),
        "busy": gettext("{number} of {most} downloads at once").format(**busy),
        "started_at": date_format(timezone.localtime(process.started_at), "SHORT_DATETIME_FORMAT"),
        "tasks": [_running(task) for task in working.tasks],
        "more": number_text(working.task_count - len(working.tasks)) if working.task_count > len(working.tasks) else "",
    }


def _running(task: Task) -> Json:
    return {
        "name": str(task),
        "address": _change(task),
        "state": Status(task.status).label,
        "percentage": f"{task.progress_percentage:.1f}",
        "percent": f"{number_format(task.progress_percentage, 1)}%",
    }


def _since(process: "WorkerProcess") -> str:
    return _length(timezone.now() - process.seen_at)


def _length(time: timedelta) -> str:
    """To the second below an hour; two days and more are not said in hours."""
    seconds = time.total_seconds()
    return duration(seconds) if seconds < HOUR else timesince(timezone.now() - time)


def _disk(disk: Disk) -> Json:
    names = {settings.LIBRARY_DIR: _("Library"), settings.WORK_DIR: _("Work folder")}
    free = {"free": filesizeformat(disk.free), "total": filesizeformat(disk.total)}
    return {
        "folders": [{"name": names[folder], "path": str(folder)} for folder in disk.folders],
        "used": disk.total - disk.free,
        "total": disk.total,
        "words": gettext("{free} of {total} free").format(**free),
    }


def _room() -> Iterator[Json]:
    yield {"label": _("Finished files"), "value": filesizeformat(Task.objects.stored_bytes())}
    yield {"label": _("Unfinished ones in the work folder"), "value": filesizeformat(figures.work_bytes())}
    yield {"label": _("Downloads leave free"), "value": filesizeformat(settings.FREE_SPACE_FLOOR)}


# What was in the last days


def _day(day: Day) -> Json:
    return {
        "name": date_format(day.date, "MONTH_DAY_FORMAT"),
        "completed": number_text(day.completed),
        "failed": number_text(day.failed),
        "size": filesizeformat(day.file_bytes),
    }


def _drawn(day: Day) -> Json:
    return {
        "name": date_format(day.date, "MONTH_DAY_FORMAT"),
        "completed": day.completed,
        "failed": day.failed,
        "bytes": day.file_bytes,
    }


def _total(days: Sequence[Day]) -> Json:
    return {
        "completed": number_text(sum(day.completed for day in days)),
        "failed": number_text(sum(day.failed for day in days)),
        "size": filesizeformat(sum(day.file_bytes for day in days)),
    }


def _site(site: Site) -> Json:
    return {
        "name": site.name or _("not known yet"),
        "address": _list(site=site.name),
        "completed": number_text(site.completed),
        "failed": number_text(site.failed),
        "size": filesizeformat(site.file_bytes),
    }


def _failures(group: Failures) -> Json:
    newest = group.newest
    ended_at = timezone.localtime(newest.finished_at) if newest.finished_at else None
    return {
        "sentence": gettext(newest.error_message) if newest.error_message else group.reason,
        "count": number_text(group.count),
        "address": _list(status__exact=Status.FAILED, error_reason=group.reason),
        "newest": str(newest),
        "newest_address": _change(newest),
        "newest_at": date_format(ended_at, "SHORT_DATETIME_FORMAT") if ended_at else "",
    }


# What it is made of


def _versions(report: Report) -> list[tuple["StrOrPromise", str]]:
    checks = {name: finding.version or "–" for name, finding in report.checks.items()}
    engine = report.checks.get("yt_dlp")
    age = engine.age_days if engine else None
    yt_dlp = checks.get("yt_dlp", "–")
    if age is not None:
        old = gettext("{days} days old").format(days=number_text(age))
        yt_dlp = f"{yt_dlp} · {old}"
    return [
        ("Downie Enhanced", VERSION),
        ("yt-dlp", yt_dlp),
        ("ffmpeg", checks.get("ffmpeg", "–")),
        ("deno", checks.get("javascript", "–")),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
    ]


def _check(name: str, finding: Finding) -> Json:
    return {
        "name": CHECKS.get(name, name),
        "status": finding.status,
        "state": CHECK_STATES[finding.status],
        "sentence": finding.in_own_words,
        "version": finding.version or "",
    }


def _list(**filters: str) -> str:
    return f"{reverse('admin:downloads_task_changelist')}?{urlencode(filters)}"


def _change(task: Task) -> str:
    return reverse("admin:downloads_task_change", args=[task.pk])
