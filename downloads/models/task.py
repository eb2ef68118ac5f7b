"""The task, its attempts, and every verb that changes them. The row is the truth; all else is made from it."""

import logging
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Avg, Case, Count, F, Func, Max, Min, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Cast, Coalesce, Greatest, Lower, Now
from django.db.models.lookups import In
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from downloads.engine.choices import Choices, from_builtins
from downloads.engine.errors import Failure
from downloads.engine.formats import PostProcessing, Quality
from downloads.models.host import HostField
from downloads.models.search import FEW, Among, candidates, holding
from downloads.models.tally import tallies
from downloads.models.webhook import WebhookDelivery
from downloads.states import (
    FINISHED,
    PAUSABLE,
    RUNNING,
    UNFINISHED,
    WAITING,
    Outcome,
    Status,
    Stop,
    Wait,
    of_playlist,
    sources,
)

# The runner renews with every write of progress, at least every 5 s; six missed ones in a row and the worker is dead.
LEASE = timedelta(seconds=30)
# For so long after it was queued, a task waits for the machine that has its bytes; then another starts it anew.
PATIENCE = timedelta(seconds=30)
# In place of a machine: what bytes there are anywhere belong to another format than is wanted now
NOWHERE = "-"
# Retryable failures in a row, without a new byte between them, until the task fails for good.
MAX_FAILURES = 5
ID_LENGTH = 12
# SQLite keeps a moment as text, in two spellings (.123 and .123000); what compares them allows for this much
SAME_MOMENT = timedelta(milliseconds=1)
# From where somebody may start a task. As long as it is there, what was asked for may still be changed.
STARTABLE = sources(Status.QUEUED) - RUNNING
# What a task begins anew with when somebody queues it
NO_ERROR = {"error_code": "", "error_reason": "", "error_message": "", "error_detail": ""}
NO_WAIT: dict[str, Any] = {"waits_for": Wait.NONE, "needed_bytes": 0, "usable_bytes": None}
CLEAN_SLATE: dict[str, Any] = {"failures": 0, "available_at": None, "finished_at": None, **NO_ERROR}
BYTELESS: dict[str, Any] = {"progress_percentage": 0, "downloaded_bytes": 0, "total_bytes": 0}
# How far a running task is
PROGRESS = ("progress_percentage", "downloaded_bytes", "total_bytes", "speed", "eta")
RENEW = """
    UPDATE downloads_task
    SET lease_expires_at = %s, progress_percentage = %s, downloaded_bytes = %s, total_bytes = %s, speed = %s, eta = %s
    WHERE lease = %s
"""
SOME_ITEMS_FAILED = gettext_noop("Some items of this playlist failed; each says why, and a retry tries those again.")
# Which requests to stop a stronger one replaces
WEAKER = {
    Stop.FINISH: [Stop.NONE],
    Stop.PAUSE: [Stop.NONE, Stop.FINISH],
    Stop.CANCEL: [Stop.NONE, Stop.FINISH, Stop.PAUSE],
    Stop.DELETE: [Stop.NONE, Stop.FINISH, Stop.PAUSE, Stop.CANCEL],
}
# With one of these a task that cannot run on waits for another worker: nobody has asked it to end without its file
GOES_ON = [Stop.NONE, Stop.FINISH]

logger = logging.getLogger(__name__)


class MoveRefused(Exception):
    """The task is not in a state from which this move is possible."""

    def __init__(self, status: Status) -> None:
        """Take the state that the task is in."""
        super().__init__(f"the task is {status}")
        self.status = status


class LeaseLost(Exception):
    """Another worker holds the task by now, or the row is gone: write nothing more.

    Also where a task would go back into the queue although somebody has asked it to stop: `Task.stopped` is its way.
    """


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a look-up found out about the video. `duration` is in seconds, 0 where the site does not say."""

    title: str
    media_id: str
    site: str
    uploader: str
    duration: float
    thumbnail: str
    is_live: bool = False
    upload_date: date | None = None


def new_task_id() -> str:
    """Twelve random lower-case hexadecimal characters."""
    return secrets.token_hex(ID_LENGTH // 2)


def _first_error(items: "models.QuerySet[Task]") -> dict[str, Any]:
    """What a playlist says that has failed: its first item that has, by name."""
    failed = items.filter(status=Status.FAILED).order_by("playlist_index", "pk")
    first = failed.values(*NO_ERROR).first() or dict(NO_ERROR)
    return {**first, "error_message": SOME_ITEMS_FAILED}


def _on_entering(status: Status) -> dict[str, Any]:
    """The columns that every move into this state writes, unless it says otherwise."""
    return {**NO_WAIT, **({"queued_at": Now()} if status == Status.QUEUED else {})}


class TaskQuerySet(models.QuerySet["Task"]):
    """The sets of tasks that the rest speaks of."""

    # Of a search that found very many: the ids of so many of them that may be counted in time
    sample: tuple[str, ...] | None = None

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]  # Django's own, which the stubs leave out
        clone.sample = self.sample
        return clone

    def in_states(self, states: Collection[Status]) -> Self:
        """In one of these states."""
        if len(states) == 1:
            return self.filter(status=next(iter(states)))
        kept = self.tally()
        if connection.vendor == "sqlite" and sum(kept[state] for state in states) > FEW:
            # Without figures SQLite thinks that they are few, and would sort them all
            return self.filter(In(Func(F("status"), template="+%(expressions)s"), list(states)))
        return self.filter(status__in=states)

    def running(self) -> Self:
        """Held by a worker: looked up, downloading or converting. A playlist is held by none, whatever its items do."""
        # By a constraint these are the ones in the states of RUNNING; said so, both databases use the index of them.
        return self.filter(lease__isnull=False)

    def unfinished(self) -> Self:
        """Neither completed nor failed nor cancelled."""
        return self.filter(status__in=UNFINISHED)

    def finished(self) -> Self:
        """Completed, failed or cancelled."""
        return self.in_states(FINISHED)

    def ready(self) -> Self:
        """Queued, and not told to wait any longer: a worker may claim it. A playlist is queued by its items alone."""
        may_run = Q(available_at__isnull=True) | Q(available_at__lte=Now())
        return self.filter(may_run, status=Status.QUEUED, is_playlist=False)

    def fitting(self, room: int) -> Self:
        """Those for which so many bytes of the disk are enough, as far as it is known; with less than 0 none."""
        return self.filter(needed_bytes__lte=room)

    def tell_room(self, room: int, *, is_all: bool) -> "list[Task]":
        """Let the ready ones say whether they wait for more room than this; return those that say it anew.

        Where this is not all the room that there is, none says that it waits no more: another machine may lack it.
        """
        lacking = self.ready().filter(needed_bytes__gt=room, waits_for=Wait.NONE)
        fitting = self.filter(status=Status.QUEUED, waits_for=Wait.ROOM).fitting(room)
        changed = []
        for tasks, wait in ((lacking, Wait.ROOM), (fitting if is_all else self.none(), Wait.NONE)):
            ids = list(tasks.values_list("pk", flat=True))
            if ids:
                tasks.filter(pk__in=ids).update(waits_for=wait, revision=F("revision") + 1)
            changed += ids
        return list(self.filter(pk__in=changed)) if changed else []

    def running_on(self, machine: str) -> Self:
        """Held by the workers of this machine, whose disk they fill."""
        return self.running().filter(machine=machine)

    def for_machine(self, machine: str) -> Self:
        """Those whose bytes this machine has, if there are any, and those that have waited long enough for theirs."""
        is_here = Q(machine__in=["", NOWHERE, machine]) | Q(downloaded_bytes=0)
        return self.filter(is_here | Q(queued_at__isnull=True) | Q(queued_at__lte=Now() - PATIENCE))

    def abandoned(self) -> Self:
        """Running by the row, but their worker let the lease run out."""
        return self.running().filter(lease_expires_at__lt=Now())

    def renew_all(self, held: "Iterable[tuple[UUID, Task]]") -> None:
        """Keep these leases for another while and write how far their tasks are. One that is lost changes nothing.

        In SQL of our own: to build a statement for each task is most of what so small a change costs.
        """
        tasks = dict(held)
        with transaction.atomic():
            until = self.filter(lease__in=tasks).values_list("lease", Now() + LEASE)
            rows = [
                [
                    connection.ops.adapt_datetimefield_value(end),
                    *(getattr(tasks[lease], name) for name in PROGRESS),
                    lease if connection.features.has_native_uuid_field else lease.hex,
                ]
                for lease, end in until
            ]
            with connection.cursor() as cursor:
                cursor.executemany(RENEW, rows)

    def under_way(self) -> Self:
        """Waiting or running, and not about to be stopped."""
        return self.filter(status__in=WAITING | RUNNING, stop=Stop.NONE)

    def older_than(self, age: timedelta) -> Self:
        """Finished longer ago than this, by the database's clock."""
        return self.finished().filter(finished_at__lt=Now() - age)

    def disposable(self, age: timedelta = timedelta(0)) -> Self:
        """What may be thrown away: finished longer ago than this and not kept for good, the oldest first.

        Each is a single task or a whole playlist without an item that is kept; its `weight` is the bytes of its files.
        """
        with_kept = Task.objects.filter(keep=True, playlist__isnull=False).values("playlist")
        found = self.older_than(age).top_level().filter(keep=False).exclude(pk__in=with_kept)
        items = Task.objects.filter(playlist=OuterRef("pk")).order_by().values("playlist")
        of_items = Subquery(items.values(sum=Cast(Sum("stored_bytes"), models.BigIntegerField())))
        found = found.annotate(weight=F("stored_bytes") + Coalesce(of_items, 0))
        return found.order_by("finished_at", "pk")

    def stored_bytes(self) -> int:
        """How many bytes the finished files have together, with what is beside them."""
        # All that is completed has such a time; saying so, the index `task_ended` has the whole answer.
        completed = self.filter(status=Status.COMPLETED, finished_at__isnull=False)
        stored: int = completed.aggregate(sum=Coalesce(Sum("stored_bytes"), 0))["sum"]
        return stored

    def matching(self, text: str) -> Self:
        """Title, link or uploader hold this text, whatever its case; nothing in it is a wild card.

        Where more than `FEW` tasks may hold it, these are only counted among so many of them: see `counted`.
        """
        if "\0" in text:
            return self.none()
        ids = candidates(text)
        found = self.filter(holding(text))
        if len(ids) <= FEW:
            return found.filter(Among(ids))
        found.sample = ids[:FEW]
        return found

    def counted(self) -> Self:
        """Those that are counted: all, or what is among the `sample` if a search found too many for that."""
        return self if self.sample is None else self.filter(Among(self.sample))

    @property
    def is_counted(self) -> bool:
        """Whether that is all of them; if not, there may be more."""
        return self.sample is None

    def top_level(self) -> Self:
        """What somebody has added: all but the items of playlists."""
        return self.filter(playlist=None)

    def with_items(self, ids: Iterable[str]) -> list[str]:
        """These ids, and those of the items of the playlists among them."""
        wanted = list(dict.fromkeys(ids))
        return [*wanted, *self.filter(playlist__in=wanted).exclude(pk__in=wanted).values_list("pk", flat=True)]

    def count_by_status(self) -> dict[str, int]:
        """How many there are in each state; states without any are there too."""
        found = dict(self.counted().order_by().values_list("status").annotate(count=Count("*")))
        return {status.value: found.get(status, 0) for status in Status}

    def tally(self, *, is_top_level: bool = False) -> dict[str, int]:
        """How many of all, or of all but the items of playlists, are in each state; at once, however many there are."""
        found = dict.fromkeys(map(str, Status), 0)
        for each in tallies():
            if not (is_top_level and each.is_item):
                found[each.status] += each.count
        return found

    def bytes_to_come(self) -> int:
        """How many bytes the running ones still have to fetch, as far as it is known."""
        left = Sum(F("total_bytes") - F("downloaded_bytes"))
        found: int = self.running().filter(total_bytes__gt=0).aggregate(left=Coalesce(left, 0))["left"]
        return max(found, 0)

    def longest_wait(self) -> timedelta:
        """For how long the first of those that may start at once has been waiting for a worker; 0 without any."""
        since = Coalesce(Greatest("queued_at", "available_at"), "queued_at", "available_at", "created_at")
        longest: timedelta | None = self.ready().annotate(since=since).aggregate(age=Now() - Min("since"))["age"]
        return max(longest or timedelta(), timedelta())

    def newest_first(self) -> Self:
        """In the order of lists."""
        return self.order_by("-created_at", "-id")

    def claim(self, task_id: str, worker: str, room: int = 2**63 - 1, machine: str = "") -> "Task | None":
        """Take a ready task under a fresh lease and open its next attempt; None when it is not to be had.

        `room` is how many bytes of the disk it may take; see `fitting`. What it has on another machine than this stays
        there: `begins_anew` says so.
        """
        lease = uuid4()
        with transaction.atomic():
            had = self.filter(pk=task_id).values_list("machine", flat=True).first()
            begins_anew = had not in (None, "", machine)
            anew: dict[str, Any] = BYTELESS if begins_anew else {}
            claimed = (
                self.ready()
                .fitting(room)
                .filter(pk=task_id)
                .update(
                    status=Status.STARTING,
                    lease=lease,
                    lease_expires_at=Now() + LEASE,
                    worker=worker,
                    machine=machine,
                    revision=F("revision") + 1,
                    started_at=Coalesce("started_at", Now()),
                    available_at=None,
                    speed=0,
                    eta=0,
                    **_on_entering(Status.STARTING),
                    **anew,
                )
            )
            if not claimed:
                return None
            task = self.get(pk=task_id)
            task.begins_anew = begins_anew
            last = task.attempts.aggregate(last=Max("number"))["last"] or 0
            task.attempt = last + 1
            task.attempts.create(number=task.attempt, worker=worker)
            self.derive(task.playlist_id)
            return task

    def seize(self, worker: str, machine: str = "") -> "list[Task]":
        """Take over every abandoned task, each under a fresh lease; its attempt goes on being the open one.

        One that was on its way into the library is left for a while to the machine that has its files: that knows them.
        """
        seized = []
        is_ours = Q(machine__in=["", machine]) | Q(file_name="") | Q(lease_expires_at__lt=Now() - PATIENCE)
        for pk, old in list(self.abandoned().filter(is_ours).values_list("pk", "lease")):
            taken = (
                self.abandoned()
                .filter(pk=pk, lease=old)
                .update(lease=uuid4(), lease_expires_at=Now() + LEASE, worker=worker)
            )
            if taken:
                seized.append(self.get(pk=pk))
        return seized

    def delete_row(self, task_id: str) -> bool:
        """Delete this task if it is in the set; False when it is not.

        Django's own `delete` looks first and then deletes by id alone: a worker could claim the task in between.
        """
        with transaction.atomic():
            task = self.filter(pk=task_id).select_for_update().first()
            if task:
                task.delete()
                Task.objects.derive(task.playlist_id)
        return task is not None

    def derive(self, playlist_id: str | None) -> None:
        """Write what a playlist is from what its items are; one that is to be deleted goes with the last of them.

        To be called in the transaction that moves or deletes an item, after that: so the row is always true.
        """
        playlist = self.filter(pk=playlist_id, is_playlist=True).select_for_update().first() if playlist_id else None
        if playlist is None:
            return
        items = self.filter(playlist=playlist)
        states = [Status(name) for name in items.values_list("status", flat=True).distinct()]
        if not states and playlist.stop == Stop.DELETE:
            playlist.delete()
            return
        status = of_playlist(states)
        found = items.aggregate(
            progress_percentage=Coalesce(Avg("progress_percentage", filter=~Q(status=Status.CANCELLED)), 0.0),
            downloaded_bytes=Coalesce(Sum("downloaded_bytes"), 0),
            total_bytes=Coalesce(Sum("total_bytes"), 0),
            speed=Coalesce(Sum("speed", filter=Q(status__in=RUNNING)), 0),
        )
        if status == Status.COMPLETED:
            found["progress_percentage"] = 100.0
        left = found["total_bytes"] - found["downloaded_bytes"]
        found["eta"] = left // found["speed"] if found["speed"] and left > 0 else 0
        moved: dict[str, Any] = {}
        if status != playlist.status:
            moved = {"status": status, "revision": F("revision") + 1, "finished_at": None, **NO_ERROR}
            if status in FINISHED:
                moved["finished_at"] = Now()
            if status == Status.FAILED:
                moved |= _first_error(items)
        self.filter(pk=playlist.pk).update(**found, **moved)
        if moved:
            WebhookDelivery.objects.announce(status, self.filter(pk=playlist.pk))

    def stats(self) -> dict[str, int]:
        """Count all tasks by what becomes of them; of a playlist its items count, not itself."""
        kept = [each for each in tallies() if not each.is_playlist]
        unfinished = self.filter(is_playlist=False, finished_at__isnull=True)
        fetched: int = unfinished.aggregate(sum=Coalesce(Sum("downloaded_bytes"), 0))["sum"]
        speed: int = self.running().aggregate(sum=Coalesce(Sum("speed"), 0))["sum"]

        def count(statuses: Iterable[Status]) -> int:
            return sum(each.count for each in kept if Status(each.status) in set(statuses))

        return {
            "total_tasks": count(Status),
            "active_tasks": count(RUNNING),
            "completed_tasks": count([Status.COMPLETED]),
            "failed_tasks": count([Status.FAILED]),
            "pending_tasks": count(WAITING),
            "total_downloaded_bytes": fetched + sum(each.fetched for each in kept),
            "current_speed": speed,
            "cancelled_tasks": count([Status.CANCELLED]),
            "paused_tasks": count([Status.PAUSED]),
        }

    # Many at once. Whoever decides by their states locks the rows first, in a transaction.

    def lock(self, ids: Iterable[str]) -> "list[Task]":
        """These tasks as far as there are any; none of them moves until the transaction ends."""
        # Items first, as in every move of one: in another order two could wait for each other for ever.
        return list(self.filter(pk__in=set(ids)).order_by("is_playlist", "pk").select_for_update())

    def move_idle(self, tasks: "Iterable[Task]", target: Status, **changes: Any) -> None:  # noqa: ANN401  as in `update`
        """Move these; the caller has locked them, and found them held by no worker and allowed to move there."""
        tasks = list(tasks)
        chosen = self.filter(pk__in=[task.pk for task in tasks])
        chosen.update(**{"status": target, "revision": F("revision") + 1, **_on_entering(target), **changes})
        for task in tasks:
            logger.info("The task is %s now", target, extra={"task": task.pk})
        WebhookDelivery.objects.announce(target, chosen)
        self.derive_all(tasks)

    def derive_all(self, items: "Iterable[Task]") -> None:
        """Do what `derive` does for every playlist that one of these is in."""
        for playlist_id in sorted({task.playlist_id for task in items if task.playlist_id}):
            self.derive(playlist_id)

    def ask_to_stop(self, tasks: "Iterable[Task]", stop: Stop) -> None:
        """Leave the request in the rows of these, which workers hold; a weaker one does not replace a stronger."""
        asked = self.running().filter(pk__in=[task.pk for task in tasks], stop__in=WEAKER[stop])
        asked.update(stop=stop, revision=F("revision") + 1)

    def delete_with_last_item(self, playlists: "Iterable[Task]") -> None:
        """Let `derive` delete these as soon as their last item is gone."""
        chosen = self.filter(pk__in=[playlist.pk for playlist in playlists])
        chosen.update(stop=Stop.DELETE, revision=F("revision") + 1)

    def void_leases(self) -> int:
        """Let every lease run out now: no worker of this installation is alive. Return how many there were."""
        return self.running().update(lease_expires_at=Now() - timedelta(seconds=1))


class Task(models.Model):
    """One link and what becomes of it."""

    attempt = 0  # the number of the one that a claim has opened

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_task_id, editable=False)

    # What was asked for
    url = models.TextField(_("link"))
    host = HostField(max_length=255, blank=True, editable=False, db_default="")
    quality = models.CharField(_("quality"), max_length=8, default=Quality.BEST)
    post_processing = models.CharField(_("post-processing"), max_length=8, default=PostProcessing.NONE)
    choices = models.JSONField(_("finer wishes"), default=dict, blank=True)
    custom_filename = models.CharField(_("file name"), max_length=1000, blank=True)
    sealed_cookies = models.TextField(blank=True, editable=False)
    keep = models.BooleanField(_("kept for good"), default=False)

    # What the look-up found
    title = models.CharField(_("title"), max_length=500, blank=True)
    media_id = models.CharField(max_length=200, blank=True)
    site = models.CharField(_("site"), max_length=255, blank=True)
    uploader = models.CharField(_("uploader"), max_length=300, blank=True)
    duration = models.FloatField(_("duration"), default=0, help_text=_("seconds"))
    thumbnail = models.TextField(blank=True)
    has_picture = models.BooleanField(default=False, editable=False)
    upload_date = models.DateField(_("uploaded"), null=True)
    is_live = models.BooleanField(_("live"), default=False)

    # A playlist and its items. It does no work of its own: what it is, is derived from what they are.
    is_playlist = models.BooleanField(_("playlist"), default=False)
    playlist = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="items", db_index=False)
    playlist_index = models.PositiveIntegerField(_("place in the playlist"), default=0)
    playlist_total = models.PositiveIntegerField(_("entries on the site"), default=0)
    playlist_skipped = models.PositiveIntegerField(_("entries that were here already"), default=0)

    # Where it is in its life
    status = models.CharField(_("state"), max_length=12, choices=Status, default=Status.PENDING)
    stop = models.CharField(_("asked to stop"), max_length=8, choices=Stop, default=Stop.NONE, blank=True)
    revision = models.PositiveIntegerField(default=0, help_text=_("grows with every move, so that late news is known"))
    lease = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    worker = models.CharField(_("worker"), max_length=255, blank=True)
    machine = models.CharField(_("machine that has its bytes"), max_length=255, blank=True, db_default="")
    available_at = models.DateTimeField(_("next attempt"), null=True)
    waits_for = models.CharField(_("waits for"), max_length=8, choices=Wait, default=Wait.NONE, blank=True)
    needed_bytes = models.BigIntegerField(_("room that it needs"), default=0, help_text=_("as far as it is known"))
    usable_bytes = models.BigIntegerField(_("room that there was"), null=True)
    failures = models.PositiveSmallIntegerField(_("failures in a row"), default=0)
    created_at = models.DateTimeField(_("added"), db_default=Now())
    queued_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    # How far it is: written every second while it runs, so none of it is indexed
    progress_percentage = models.FloatField(
        _("progress"), default=0, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    downloaded_bytes = models.BigIntegerField(_("downloaded"), default=0)
    total_bytes = models.BigIntegerField(_("size"), default=0)
    speed = models.BigIntegerField(_("bytes a second"), default=0)
    eta = models.BigIntegerField(_("seconds left"), default=0)

    # How it ended
    file_name = models.CharField(_("file"), max_length=2000, blank=True, help_text=_("relative to the library"))
    side_files = models.JSONField(_("files beside it"), default=list, blank=True)
    file_size = models.BigIntegerField(_("file size"), default=0)
    stored_bytes = models.BigIntegerField(default=0, editable=False, help_text="of the file and those beside it")
    held = models.JSONField(null=True, editable=False, help_text="what the file holds, where it is not at hand")
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    error_reason = models.CharField(_("reason"), max_length=32, blank=True)
    error_message = models.TextField(_("what happened"), blank=True)
    error_detail = models.TextField(_("detail"), blank=True)

    weight: int  # bytes; only where `TaskQuerySet.disposable` has found it

    objects = TaskQuerySet.as_manager()

    begins_anew = False  # said by a claim: bytes that this machine may have of the task are not to be trusted

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="task_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="task_by_status"),
            # For the other orders of those in one state, which may be most tasks, or all that come last in the order
            models.Index(fields=["status", "id"], name="task_in_state"),
            models.Index("status", Lower("title"), "id", name="task_in_state_by_title"),
            models.Index(fields=["status", "file_size", "id"], name="task_in_state_by_size"),
            models.Index(fields=["status", "finished_at", "id"], name="task_in_state_by_end"),
            models.Index(fields=["created_at"], name="task_queued", condition=Q(status="queued")),
            models.Index(fields=["id"], name="task_running", condition=Q(lease__isnull=False)),
            # Not of those in none, or else SQLite looks for these by it and sorts them all
            models.Index(fields=["playlist"], name="task_of_playlist", condition=Q(playlist__isnull=False)),
            models.Index(Lower("title"), "id", name="task_by_title"),
            models.Index(fields=["file_size", "id"], name="task_by_size"),
            # PostgreSQL has another beside it (migration 0018): it sorts what has not ended to the other side
            models.Index(fields=["finished_at", "id"], name="task_by_end"),
            # Holds all that is summed up over days and sites, so that no row is read for that
            models.Index(
                fields=["status", "finished_at", "is_playlist", "site", "stored_bytes", "downloaded_bytes"],
                name="task_ended",
                condition=Q(finished_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(name="task_status_known", condition=Q(status__in=sorted(Status))),
            models.CheckConstraint(
                name="task_lease_if_and_only_if_running",
                condition=Q(
                    status__in=sorted(RUNNING), is_playlist=False, lease__isnull=False, lease_expires_at__isnull=False
                )
                | (
                    (~Q(status__in=sorted(RUNNING)) | Q(is_playlist=True))
                    & Q(lease__isnull=True, lease_expires_at__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="task_stop_only_if_running",
                condition=Q(stop="") | Q(status__in=sorted(RUNNING)) | Q(is_playlist=True, stop="delete"),
            ),
            models.CheckConstraint(
                name="task_no_playlist_in_a_playlist", condition=Q(is_playlist=False) | Q(playlist__isnull=True)
            ),
            models.CheckConstraint(
                name="task_progress_is_a_percentage",
                condition=Q(progress_percentage__gte=0, progress_percentage__lte=100),
            ),
            models.UniqueConstraint(name="task_file_name_once", fields=["file_name"], condition=~Q(file_name="")),
        ]

    def __str__(self) -> str:
        return self.title or self.url

    @property
    def wishes(self) -> Choices:
        """The finer wishes, typed."""
        return from_builtins(self.choices)

    # Verbs of people. Each decides its race with one UPDATE. Those of a playlist are done to its items.

    def queue(self, only_from: frozenset[Status] = STARTABLE) -> None:
        """Ask for a worker: from `pending`, `paused`, `failed` or `cancelled`, or from fewer of them.

        Raises:
            MoveRefused: it is in another state.
        """
        self._move(Status.QUEUED, only_from=only_from, **CLEAN_SLATE)

    def edit(self, **columns: Any) -> bool:  # noqa: ANN401  as in QuerySet.update
        """Change what was asked for; return whether the bytes on disk belong to another format by that.

        Raises:
            MoveRefused: it waits for a worker, has one, or is completed.
        """
        with transaction.atomic():
            self.refresh_from_db(from_queryset=Task.objects.select_for_update())
            form = ("quality", "post_processing", "choices")
            is_other_form = any(columns.get(name, getattr(self, name)) != getattr(self, name) for name in form)
            anew = {**BYTELESS, "machine": NOWHERE} if is_other_form else {}
            editable = Task.objects.filter(pk=self.pk, status__in=STARTABLE, is_playlist=False)
            edited = editable.update(revision=F("revision") + 1, **columns, **anew)
            self.refresh_from_db()
        if not edited:
            raise MoveRefused(Status(self.status))
        return is_other_form

    def keep_for_good(self, *, is_kept: bool) -> None:
        """Let no retention and no cleanup take this task, or let them again; in whatever state it is.

        Raises:
            DoesNotExist: it is gone.
        """
        Task.objects.filter(pk=self.pk).update(keep=is_kept, revision=F("revision") + 1)
        self.refresh_from_db()

    def pause(self) -> None:
        """Take a queued task out of the queue, or ask a running one to stop and keep its bytes.

        Raises:
            MoveRefused: it is neither queued nor on its way to the end of the download.
        """
        self._stop(Stop.PAUSE, Status.PAUSED, PAUSABLE)

    def cancel(self) -> None:
        """Cancel now, or ask the worker that holds it to; nothing to do on a cancelled one.

        Raises:
            MoveRefused: it is completed or failed.
        """
        try:
            self._stop(Stop.CANCEL, Status.CANCELLED, UNFINISHED)
        except MoveRefused as refused:
            if refused.status != Status.CANCELLED:
                raise

    def end_recording(self) -> None:
        """Ask the worker that records this live stream to end it and keep what there is.

        Raises:
            MoveRefused: it records none, or is asked to stop already.
        """
        asked = Task.objects.running().filter(pk=self.pk, status=Status.DOWNLOADING, is_live=True, stop__in=GOES_ON)
        ended = asked.update(stop=Stop.FINISH, revision=F("revision") + 1)
        self.refresh_from_db()
        if not ended:
            raise MoveRefused(Status(self.status))

    def remove(self) -> bool:
        """Delete the row now (True), or ask the worker that holds it to (False). What is on disk is the caller's."""
        if Task.objects.exclude(status__in=RUNNING).delete_row(self.pk):
            return True
        asked_now = Task.objects.running().filter(pk=self.pk).exclude(stop=Stop.DELETE)
        asked_now.update(stop=Stop.DELETE, revision=F("revision") + 1)
        return False

    def _stop(self, stop: Stop, target: Status, allowed: frozenset[Status]) -> None:
        """Move at once if no worker holds it, else leave the request in the row; a weaker one does not replace it."""
        with transaction.atomic():
            self.refresh_from_db(from_queryset=Task.objects.select_for_update())
            if self.status not in allowed:
                raise MoveRefused(Status(self.status))
            if self.status not in RUNNING:
                self._move(target, finished_at=Now() if target in FINISHED else None)
            elif self.stop in WEAKER[stop]:
                Task.objects.filter(pk=self.pk).update(stop=stop, revision=F("revision") + 1)
                self.refresh_from_db()

    # Verbs of the worker that holds the lease. Each raises LeaseLost when it holds it no more.

    def renew(self, lease: UUID, **columns: Any) -> None:  # noqa: ANN401  as in QuerySet.update
        """Keep the lease for another while and write how far the task is.

        Raises:
            LeaseLost: see the class.
        """
        held = Task.objects.running().filter(pk=self.pk, lease=lease)
        if not held.update(lease_expires_at=Now() + LEASE, **columns):
            raise LeaseLost(self.pk)

    def stop_asked(self, lease: UUID) -> Stop:
        """What somebody asked of this task since.

        Raises:
            LeaseLost: see the class.
        """
        asked = Task.objects.filter(pk=self.pk, lease=lease).values_list("stop", flat=True).first()
        if asked is None:
            raise LeaseLost(self.pk)
        return Stop(asked)

    def begin_download(self, lease: UUID, facts: Facts) -> None:
        """Write what the look-up found; the bytes come now."""
        self._move(Status.DOWNLOADING, lease, **vars(facts))

    def expand(self, lease: UUID, facts: Facts, items: "Sequence[Task]", *, total: int, skipped: int) -> None:
        """Become a playlist of these items, which are stored with it, or neither is.

        Args:
            lease: the worker's; it holds nothing afterwards.
            facts: what the look-up found out about the playlist.
            items: new tasks in their order, with their places in the playlist, in their first states.
            total: how many entries the site has.
            skipped: how many of them were left out because they are here already.

        Raises:
            LeaseLost: see the class; also where somebody has asked it to stop.
        """
        with transaction.atomic():
            became = Task.objects.filter(pk=self.pk, lease=lease, status=Status.STARTING, stop=Stop.NONE).update(
                is_playlist=True,
                lease=None,
                lease_expires_at=None,
                playlist_total=total,
                playlist_skipped=skipped,
                revision=F("revision") + 1,
                **vars(facts),
            )
            if not became:
                raise LeaseLost(self.pk)
            self._end_attempt(Outcome.LISTED, None)
            for number, item in enumerate(items, start=1):
                item.playlist = self
                item.created_at = Now() + timedelta(microseconds=number)
            Task.objects.bulk_create(items)
            Task.objects.derive(self.pk)
            self.refresh_from_db()

    def picture(self, lease: UUID) -> None:
        """There is a picture of the video now.

        Raises:
            LeaseLost: see the class.
        """
        self.renew(lease, has_picture=True, revision=F("revision") + 1)
        self.has_picture = True
        self.revision += 1

    def begin_processing(self, lease: UUID) -> None:
        """Write how far it came: all bytes are here; ffmpeg works. From here on a task cannot be paused.

        So such a request is void, and so is one to finish a recording, since that is done.
        """
        unpaused = Case(When(stop__in=[Stop.PAUSE, Stop.FINISH], then=Value(Stop.NONE)), default=F("stop"))
        so_far = {name: getattr(self, name) for name in PROGRESS} | {"speed": 0, "eta": 0}
        self._move(Status.PROCESSING, lease, lease_expires_at=Now() + LEASE, stop=unpaused, **so_far)

    def reserve(
        self, lease: UUID, file_name: str, file_size: int, side_files: Sequence[str] = (), side_bytes: int = 0
    ) -> bool:
        """Note the final names and the sizes before the files go there, so that a crash in between can be mended.

        Every move but that to `completed` gives the names free again.

        Returns:
            Whether the name was free among all tasks.
        """
        try:
            with transaction.atomic():
                self.renew(
                    lease,
                    file_name=file_name,
                    file_size=file_size,
                    side_files=list(side_files),
                    stored_bytes=file_size + side_bytes,
                )
        except IntegrityError:
            return False
        self.file_name, self.side_files = file_name, list(side_files)
        return True

    def finish(self, lease: UUID, size: int, notes: Sequence[str] = ()) -> None:
        """Complete the task: its file is in the library, under the reserved name. A stop that came too late is void.

        `notes` say what of the wishes could not be had; they stay with the attempt.
        """
        with transaction.atomic():
            self.attempts.filter(ended_at=None).update(notes=list(notes))
            self._move(
                Status.COMPLETED,
                lease,
                outcome=Outcome.COMPLETED,
                finished_at=Now(),
                progress_percentage=100,
                file_size=size,
                downloaded_bytes=size,
                total_bytes=size,
                sealed_cookies="",
                failures=0,
                error_code="",
                error_reason="",
                error_message="",
                error_detail="",
            )

    def fail(self, lease: UUID, failure: Failure) -> None:
        """End with an error that no retry cures."""
        self._move(
            Status.FAILED,
            lease,
            outcome=Outcome.FAILED,
            failure=failure,
            finished_at=Now(),
        )

    def retry_later(self, lease: UUID, failure: Failure, delay: float, failures: int, wait: Wait = Wait.NONE) -> None:
        """Put back into the queue, not to be claimed for `delay` seconds, nor before there is room for it."""
        self._move(
            Status.QUEUED,
            lease,
            outcome=Outcome.RETRY,
            failure=failure,
            failures=failures,
            available_at=Now() + timedelta(seconds=delay),
            waits_for=wait,
        )

    def hand_back(self, lease: UUID) -> None:
        """Put back into the queue: the worker stops, or was found dead. It counts as no failure."""
        self._move(Status.QUEUED, lease, outcome=Outcome.INTERRUPTED, available_at=None)

    def stopped(self, lease: UUID) -> None:
        """Do what the request in the row says, now that no process of the task is left.

        A deleted task is gone afterwards; `status` of a paused or cancelled one says so.
        """
        stop = self.stop_asked(lease)
        if stop == Stop.DELETE:
            if not Task.objects.filter(lease=lease).delete_row(self.pk):
                raise LeaseLost(self.pk)
        elif stop == Stop.CANCEL:
            self._move(Status.CANCELLED, lease, outcome=Outcome.STOPPED, finished_at=Now())
        elif stop == Stop.PAUSE:
            self._move(Status.PAUSED, lease, outcome=Outcome.STOPPED)

    def _move(
        self,
        target: Status,
        lease: UUID | None = None,
        *,
        only_from: frozenset[Status] | None = None,
        outcome: Outcome | None = None,
        failure: Failure | None = None,
        **changes: Any,  # noqa: ANN401  columns and their values or expressions, as in QuerySet.update
    ) -> None:
        """Change the state in one conditional UPDATE: a running row by its lease alone, any other without one."""
        held = Q(lease=lease) if lease else ~Q(status__in=RUNNING)
        if lease and target == Status.QUEUED:
            held &= Q(stop__in=GOES_ON)  # whoever asked it to stop must not find it in the queue again
        if target not in RUNNING:
            changes |= {"lease": None, "lease_expires_at": None, "stop": Stop.NONE, "speed": 0, "eta": 0}
        if target != Status.COMPLETED:
            changes |= {"file_name": "", "side_files": [], "stored_bytes": 0}  # a reserved place is given up
        if failure:
            changes |= {
                "error_code": failure.code,
                "error_reason": failure.reason,
                "error_message": failure.sentence,
                "error_detail": failure.detail,
                "needed_bytes": failure.needed_bytes,
                "usable_bytes": failure.usable_bytes,
            }
        with transaction.atomic():
            moved = Task.objects.filter(held, pk=self.pk, status__in=only_from or sources(target)).update(
                **{"status": target, "revision": F("revision") + 1, **_on_entering(target), **changes}
            )
            if moved and outcome:
                self._end_attempt(outcome, failure)
            if moved or not lease:
                self.refresh_from_db()  # in here, since somebody may delete the row as soon as it is let go
            if moved:
                WebhookDelivery.objects.announce(target, [self])
                Task.objects.derive(self.playlist_id)
        if not moved:
            raise LeaseLost(self.pk) if lease else MoveRefused(Status(self.status))
        if not lease:
            logger.info("The task is %s now", target, extra={"task": self.pk})

    def _end_attempt(self, outcome: Outcome, failure: Failure | None) -> None:
        self.attempts.filter(ended_at=None).update(
            ended_at=Now(),
            outcome=outcome,
            bytes_on_disk=Task.objects.filter(pk=self.pk).values("downloaded_bytes"),
            error_code=failure.code if failure else "",
            error_message=failure.sentence if failure else "",
        )


class Attempt(models.Model):
    """One run of one worker at one task, for whoever wants to know what happened when."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField(_("number"))
    worker = models.CharField(_("worker"), max_length=255)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    ended_at = models.DateTimeField(_("ended"), null=True)
    bytes_on_disk = models.BigIntegerField(_("bytes on disk at the end"), default=0)
    outcome = models.CharField(_("outcome"), max_length=12, choices=Outcome, blank=True)
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    error_message = models.TextField(_("what happened"), blank=True)
    notes = models.JSONField(_("what could not be had"), default=list, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(name="attempt_numbered_once", fields=["task", "number"]),
            models.UniqueConstraint(name="attempt_one_open", fields=["task"], condition=Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} #{self.number}"
