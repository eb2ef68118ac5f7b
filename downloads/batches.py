"""The verbs of people for many tasks: each gets a word or a refusal, and nobody waits for those that run."""

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from downloads import live, refusals, storage
from downloads.models import STARTABLE, Task
from downloads.operations import RESUMABLE, announce_anew, is_id, queue_many
from downloads.refusals import Refused
from downloads.states import FINISHED, PAUSABLE, RUNNING, UNFINISHED, Status, Stop

CLEANED_AT_ONCE = 500  # rows in one transaction
Verdicts = dict[str, str | Refused]
STOPPING = "stopping"  # the word for a task that a worker still holds; the feed says when it is done


def start_all(ids: Collection[str], only_from: frozenset[Status] = STARTABLE) -> Verdicts:
    """Queue these; the word is `started`."""
    return _queue_all(ids, only_from, "started", refusals.not_startable)


def resume_all(ids: Collection[str]) -> Verdicts:
    """Queue the paused ones of these; the word is `resumed`."""
    return _queue_all(ids, RESUMABLE, "resumed", refusals.not_paused)


def pause_all(ids: Collection[str]) -> Verdicts:
    """Pause these; the word is `paused`, or `stopping`."""
    return _stop_all(ids, Stop.PAUSE, Status.PAUSED, PAUSABLE, refusals.not_pausable)


def cancel_all(ids: Collection[str]) -> Verdicts:
    """Cancel these; the word is `cancelled`, or `stopping`. What the cancelled ones have on disk goes."""
    verdicts = _stop_all(ids, Stop.CANCEL, Status.CANCELLED, UNFINISHED | {Status.CANCELLED}, refusals.not_active)
    storage.discard_all({task_id for task_id, word in verdicts.items() if word == Status.CANCELLED})
    return verdicts


def delete_all(ids: Collection[str], *, delete_files: bool = False) -> Verdicts:
    """Delete these; the word is `deleted`, or `stopping`. Finished files stay unless asked otherwise."""
    with transaction.atomic():
        tasks = Task.objects.lock(filter(is_id, ids))
        idle = [task for task in tasks if task.status not in RUNNING]
        running = [task for task in tasks if task.status in RUNNING]
        Task.objects.ask_to_stop(running, Stop.DELETE)
        _delete_locked(idle)
    _clear_away(idle, delete_files=delete_files)
    announce_anew(running)
    words = dict.fromkeys([task.pk for task in idle], "deleted") | dict.fromkeys(
        [task.pk for task in running], STOPPING
    )
    return _verdicts(ids, [], words, refusals.not_active)


def cleanup(max_age: timedelta, *, delete_files: bool = False) -> int:
    """Remove what finished longer ago than this, with what it has left on disk; return how many tasks that were.

    The files of completed ones stay unless asked otherwise.
    """
    removed = 0
    while True:
        with transaction.atomic():
            tasks = list(Task.objects.older_than(max_age).order_by("pk").select_for_update()[:CLEANED_AT_ONCE])
            _delete_locked(tasks)
        if not tasks:
            return removed
        _clear_away(tasks, delete_files=delete_files)
        removed += len(tasks)


def _queue_all(
    ids: Collection[str], only_from: frozenset[Status], word: str, refusal: Callable[[Status], Refused]
) -> Verdicts:
    tasks, queued = queue_many(ids, only_from)
    return _verdicts(ids, tasks, dict.fromkeys([task.pk for task in queued], word), refusal)


def _stop_all(
    ids: Collection[str],
    stop: Stop,
    target: Status,
    allowed: frozenset[Status],
    refusal: Callable[[Status], Refused],
) -> Verdicts:
    with transaction.atomic():
        tasks = Task.objects.lock(filter(is_id, ids))
        idle = [task for task in tasks if task.status in allowed - RUNNING]
        running = [task for task in tasks if task.status in allowed & RUNNING]
        moving = [task for task in idle if task.status != target]
        Task.objects.move_idle(moving, target, **{"finished_at": Now()} if target in FINISHED else {})
        Task.objects.ask_to_stop(running, stop)
    announce_anew([*moving, *running])
    words = dict.fromkeys([task.pk for task in idle], str(target))
    return _verdicts(ids, tasks, words | dict.fromkeys([task.pk for task in running], STOPPING), refusal)


def _verdicts(
    ids: Collection[str], tasks: Iterable[Task], words: dict[str, str], refusal: Callable[[Status], Refused]
) -> Verdicts:
    statuses = {task.pk: Status(task.status) for task in tasks}
    return {
        task_id: words.get(task_id) or (refusal(statuses[task_id]) if task_id in statuses else refusals.not_found())
        for task_id in ids
    }


def _delete_locked(tasks: Collection[Task]) -> None:
    Task.objects.filter(pk__in=[task.pk for task in tasks]).delete()


def _clear_away(tasks: Collection[Task], *, delete_files: bool) -> None:
    """Do what is left to do for tasks whose rows are gone."""
    storage.discard_all({task.pk for task in tasks})
    for task in tasks:
        if delete_files and task.status == Status.COMPLETED:
            storage.delete_stored(task.file_name, *task.side_files)
        live.deleted(task.pk)
