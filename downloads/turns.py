"""Whose turn it is: which of the tasks that wait may start now, and which of those is next."""

from django.db import connection, transaction
from django.db.models import Case, Count, IntegerField, Value, When

from downloads.models import Task, TaskQuerySet

CLAIMS = 7_001  # the number of a lock in PostgreSQL: whoever holds it decides who is next
ANY_ROOM = 2**63 - 1  # bytes
RACES = 5  # how often a task may be paused or cancelled in the very moment of its claim


def startable(machine: str = "", room: int = ANY_ROOM) -> TaskQuerySet:
    """The tasks that may start now on this machine, where so many bytes of its disk are left for them; in no order."""
    return Task.objects.ready().fitting(room).for_machine(machine)


def claim_next(worker: str, machine: str = "", room: int = ANY_ROOM) -> Task | None:
    """Take the task whose turn it is under a fresh lease; None when none may start here now, as in `startable`.

    What is decided and what is written are one step: nobody else claims in between.
    """
    if not startable(machine, room).exists():
        return None
    with transaction.atomic():
        _wait_for_other_claims()
        for task_id in _in_turn(startable(machine, room)).values_list("pk", flat=True)[:RACES]:
            if task := Task.objects.claim(task_id, worker, room, machine):
                return task
    return None


def _in_turn(tasks: TaskQuerySet) -> TaskQuerySet:
    """The task that has waited longest comes first, but playlists take turns, with each other and with single tasks.

    The more of a playlist run already, the later its next one comes: so it always has its share, and never holds up
    what was added after it.
    """
    of_playlists = Task.objects.running().exclude(playlist=None).values_list("playlist").annotate(Count("pk"))
    counts = [When(playlist=playlist, then=Value(count)) for playlist, count in of_playlists]
    running = [Case(*counts, default=Value(0), output_field=IntegerField())] if counts else []
    return tasks.order_by(*running, "created_at", "id")


def _wait_for_other_claims() -> None:
    """Hold back every other claim until the transaction ends. SQLite does that by itself: it has one writer."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIMS])
