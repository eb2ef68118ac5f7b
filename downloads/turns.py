"""Whose turn it is: which of the tasks that wait may start now, which of those is next, and what the others wait for.

All limits hold for all workers together, and are judged by the rows alone.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, IntegerField, Value, When

from downloads.models import Host, Manners, SiteRule, Task, TaskQuerySet, Tuning
from downloads.states import Status, Wait

CLAIMS = 7_001  # the number of a lock in PostgreSQL: whoever holds it decides who is next
ANY_ROOM = 2**63 - 1  # bytes
RACES = 5  # how often a task may be paused or cancelled in the very moment of its claim


@dataclass(frozen=True)
class Waiting:
    """What a task waits for; `until` is when that is over, where it is known."""

    what: Wait
    until: datetime | None = None


@dataclass(frozen=True)
class Traffic:
    """What is under way now, and which sites may have no further download because of that.

    What is processed asks no site for anything. It takes the place of a download only where more is than may beside.
    """

    running: int
    by_playlist: Counter[str]
    blocked: dict[str, Waiting]
    manners: defaultdict[str, Manners]

    @classmethod
    def now(cls) -> Self:
        """Look at it: three queries."""
        running = list(Task.objects.running().values_list("status", "host", "playlist"))
        processing = sum(status == Status.PROCESSING for status, *_ in running)
        manners = SiteRule.objects.manners()
        by_host = Counter(host for status, host, _playlist in running if host and status != Status.PROCESSING)
        full = {host: Waiting(Wait.HOST) for host, count in by_host.items() if 0 < manners[host].most <= count}
        pauses = (each.pause for each in (*manners.values(), manners[""]))
        hosts = Host.objects.of_interest(timedelta(seconds=max(pauses)))
        spared = {host.name: waiting for host in hosts if (waiting := _waiting_for(host, manners[host.name]))}
        by_playlist = Counter(playlist for *_, playlist in running if playlist)
        taken = len(running) - min(processing, settings.MAX_CONVERSIONS)
        return cls(taken, by_playlist, full | spared, manners)

    @property
    def has_room(self) -> bool:
        """Whether another download may begin at all."""
        in_force = Tuning.objects.in_force()
        return self.running < in_force.max_downloads and in_force.opens_at() is None


def _waiting_for(host: Host, manners: Manners) -> Waiting | None:
    now: datetime = host.now  # type: ignore[attr-defined]  # by `of_interest`
    if host.rests_until and host.rests_until > now:
        return Waiting(Wait.REST, host.rests_until)
    if host.started_at and (until := host.started_at + timedelta(seconds=manners.pause)) > now:
        return Waiting(Wait.PAUSE, until)
    return None


def startable(machine: str = "", room: int = ANY_ROOM, traffic: Traffic | None = None) -> TaskQuerySet:
    """The tasks that may start now on this machine, where so many bytes of its disk are left for them; in no order."""
    ready = _ready(machine, room)
    if traffic is None:
        if not ready.exists():  # as mostly, and then there is nothing to look at
            return ready.none()
        traffic = Traffic.now()
    return ready.exclude(host__in=list(traffic.blocked)) if traffic.has_room else ready.none()


def claim_next(worker: str, machine: str = "", room: int = ANY_ROOM) -> Task | None:
    """Take the task whose turn it is under a fresh lease; None when none may start here now, as in `startable`.

    What is decided and what is written are one step: nobody else claims in between.
    """
    if not _ready(machine, room).exists():
        return None
    with transaction.atomic():
        _wait_for_other_claims()
        traffic = Traffic.now()
        for task_id in _in_turn(startable(machine, room, traffic), traffic).values_list("pk", flat=True)[:RACES]:
            if task := Task.objects.claim(task_id, worker, room, machine):
                if traffic.manners[task.host].pause:
                    Host.objects.note_start(task.host)
                return task
    return None


def waiting_for(task: Task) -> Waiting:
    """What this task waits for beside a free place and its time."""
    if task.status != Status.QUEUED or task.is_playlist:
        return Waiting(Wait.NONE)
    if task.waits_for:
        return Waiting(Wait(task.waits_for))
    if opens_at := Tuning.objects.in_force().opens_at():
        return Waiting(Wait.HOURS, opens_at)
    if blocked := Traffic.now().blocked.get(task.host):
        return blocked
    is_held_back = task.machine and not Task.objects.filter(pk=task.pk).for_machine("").exists()
    return Waiting(Wait.MACHINE) if is_held_back and settings.SCALED else Waiting(Wait.NONE)


def _ready(machine: str, room: int) -> TaskQuerySet:
    return Task.objects.ready().fitting(room).for_machine(machine)


def _in_turn(tasks: TaskQuerySet, traffic: Traffic) -> TaskQuerySet:
    """The task that has waited longest comes first, but playlists take turns, with each other and with single tasks.

    The more of a playlist run already, the later its next one comes: so it always has its share, and never holds up
    what was added after it.
    """
    counts = [When(playlist=playlist, then=Value(count)) for playlist, count in traffic.by_playlist.items()]
    running = [Case(*counts, default=Value(0), output_field=IntegerField())] if counts else []
    return tasks.order_by(*running, "created_at", "id")


def _wait_for_other_claims() -> None:
    """Hold back every other claim until the transaction ends. SQLite does that by itself: it has one writer."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIMS])
