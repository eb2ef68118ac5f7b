"""What does not stay for ever: finished tasks go by their age, and the oldest where their files weigh too much.

Off unless a setting says otherwise. A playlist goes as a whole, when all of it is finished; nothing goes that is kept,
nor a playlist with an item that is.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction

from downloads import live, pictures, storage
from downloads.library import library
from downloads.models import Task, Tuning
from downloads.states import Status

logger = logging.getLogger(__name__)


class Why(StrEnum):
    """Why a task goes."""

    AGE = "age"
    SIZE = "size"


@dataclass(frozen=True)
class Going:
    """A task that goes: a single one or a playlist. `weight` is what its files hold, in bytes."""

    task: Task
    why: Why
    weight: int


def due() -> list[Going]:
    """What would go now, in the order in which it goes."""
    going, in_force = [], Tuning.objects.in_force()
    if in_force.retention_age:
        going += [Going(task, Why.AGE, task.weight) for task in Task.objects.disposable(in_force.retention_age)]
    if in_force.retention_size:
        gone = {each.task.pk for each in going}
        excess = Task.objects.stored_bytes() - sum(each.weight for each in going) - in_force.retention_size
        going += _oldest(gone, excess)
    return going


def _oldest(gone: set[str], excess: int) -> Iterator[Going]:
    """The oldest of the others, until there are so many bytes less."""
    for task in Task.objects.disposable():
        if excess <= 0:
            return
        if task.weight and task.pk not in gone:
            excess -= task.weight
            yield Going(task, Why.SIZE, task.weight)


def carry_out() -> list[Going]:
    """Let it go, and return what went. What cannot be deleted stays, is logged, and is tried again the next time."""
    return [going for going in due() if _let_go(going)]


def _let_go(going: Going) -> bool:
    """Delete it, its files first: were the rows gone first, a crash in between would leave files that nobody knows.

    The rows are locked meanwhile, so that nobody keeps or starts again what goes.
    """
    try:
        with transaction.atomic():
            tasks = Task.objects.lock(Task.objects.with_items([going.task.pk]))
            if not Task.objects.disposable().filter(pk=going.task.pk).exists():
                return False
            for task in tasks:
                _delete_files(task)
            Task.objects.filter(pk=going.task.pk).delete()
    except OSError as error:
        logger.warning("It stays although its time is over (%s): %s", going.why, error, extra={"task": going.task.pk})
        return False
    storage.discard_all([task.pk for task in tasks])
    pictures.discard(task.pk for task in tasks)
    for task in tasks:
        live.deleted(task)
    about = {"task": going.task.pk}
    logger.info("It went by its %s: %r, %d bytes", going.why, str(going.task), going.weight, extra=about)
    return True


def _delete_files(task: Task) -> None:
    """Delete what is ours: a file that somebody has put in the place of the task's own stays, with all beside it."""
    if task.status != Status.COMPLETED or not task.file_name:
        return
    if library().is_stored(task.file_name, task.file_size) or not library().is_taken(task.file_name):
        library().delete_stored(task.file_name, *task.side_files)
    else:
        logger.info("%r is not the file that was stored; it stays", task.file_name, extra={"task": task.pk})
