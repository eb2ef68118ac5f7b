"""A task's life on one screen.

pending ─start─▶ queued ─claim─▶ starting ─▶ downloading ─▶ processing ─▶ completed
                   ▲                │  │          │              │
                   └── retry later, crash, shutdown, resume ─────┘
 queued/starting/downloading ─▶ paused        any unfinished ─▶ cancelled
 starting/downloading/processing ─▶ failed    paused/failed/cancelled ─start─▶ queued
"""

from collections.abc import Collection

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Status(TextChoices):
    """Where a task is in its life; the values are the words on the wire."""

    PENDING = "pending", _("Added")
    QUEUED = "queued", _("Waiting")
    STARTING = "starting", _("Starting")
    DOWNLOADING = "downloading", _("Downloading")
    PROCESSING = "processing", _("Processing")
    PAUSED = "paused", _("Paused")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class Stop(TextChoices):
    """What somebody asked of a running task.

    It is done when no process of the task is left; `finish` ends the recording of a live stream and keeps what there
    is.
    """

    NONE = "", _("nothing")
    FINISH = "finish", _("finish")
    CANCEL = "cancel", _("cancel")
    PAUSE = "pause", _("pause")
    DELETE = "delete", _("delete")


class Wait(TextChoices):
    """What a queued task waits for, beside a free place and its time."""

    NONE = "", _("nothing")
    ROOM = "room", _("room on the disk")
    HOURS = "hours", _("the hours in which downloads run")
    REST = "rest", _("the end of a rest that its site has asked for")
    HOST = "host", _("other downloads from its site")
    PAUSE = "pause", _("a pause between downloads from its site")
    MACHINE = "machine", _("the machine that has its bytes")


class Outcome(TextChoices):
    """How an attempt ended."""

    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    RETRY = "retry", _("Failed, to be tried again")
    STOPPED = "stopped", _("Stopped on request")
    INTERRUPTED = "interrupted", _("Interrupted")
    LISTED = "listed", _("Found a playlist")


WAITING = frozenset({Status.PENDING, Status.QUEUED})
RUNNING = frozenset({Status.STARTING, Status.DOWNLOADING, Status.PROCESSING})
FINISHED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
UNFINISHED = frozenset(Status) - FINISHED
PAUSABLE = frozenset({Status.QUEUED, Status.STARTING, Status.DOWNLOADING})
# What a playlist is, by the states of its items: the first of these that one of them is in. One whose items have all
# ended is failed if one of them is, cancelled if all of them are, and completed otherwise.
LEADING = (
    (RUNNING, Status.DOWNLOADING),
    (frozenset({Status.QUEUED}), Status.QUEUED),
    (frozenset({Status.PAUSED}), Status.PAUSED),
    (frozenset({Status.PENDING}), Status.PENDING),
    (frozenset({Status.FAILED}), Status.FAILED),
    (frozenset({Status.COMPLETED}), Status.COMPLETED),
    (frozenset({Status.CANCELLED}), Status.CANCELLED),
)

MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.QUEUED: frozenset({Status.STARTING, Status.PAUSED, Status.CANCELLED}),
    Status.STARTING: frozenset(
        {Status.DOWNLOADING, Status.QUEUED, Status.PAUSED, Status.FAILED, Status.CANCELLED},
    ),
    Status.DOWNLOADING: frozenset(
        {Status.PROCESSING, Status.QUEUED, Status.PAUSED, Status.FAILED, Status.CANCELLED},
    ),
    Status.PROCESSING: frozenset({Status.COMPLETED, Status.QUEUED, Status.FAILED, Status.CANCELLED}),
    Status.PAUSED: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset({Status.QUEUED}),
}


def sources(target: Status) -> frozenset[Status]:
    """The states from which a task may move to the target."""
    return frozenset(source for source, targets in MOVES.items() if target in targets)


def of_playlist(items: Collection[Status]) -> Status:
    """The state of a playlist whose items are in these; without any it is completed."""
    return next((leading for states, leading in LEADING if states & set(items)), Status.COMPLETED)


def _check() -> None:
    if set(MOVES) != set(Status):
        raise AssertionError("every state needs its row in MOVES")
    reached = {target for targets in MOVES.values() for target in targets} | {Status.PENDING}
    if reached != set(Status):
        raise AssertionError(f"no move leads to {set(Status) - reached}")
    if {*WAITING, *RUNNING, *FINISHED, Status.PAUSED} != set(Status):
        raise AssertionError("every state is waiting, running, paused or finished")
    if frozenset().union(*(states for states, _leading in LEADING)) != set(Status):
        raise AssertionError("every state of an item says something of its playlist")
    if any(sources(target) & RUNNING == frozenset() for target in RUNNING - {Status.STARTING}):
        raise AssertionError("only `starting` is entered from outside of the running states")


_check()
