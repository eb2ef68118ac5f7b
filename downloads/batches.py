"""The verbs of people for many tasks: each gets a word or a refusal, and nobody waits for those that run.

What is done to a playlist is done to its items.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models.functions import Now

from downloads import actors, live, pictures, refusals, storage
from downloads.library import is_reachable, library
from downloads.models import CLEAN_SLATE, STARTABLE, Task
from downloads.refusals import Refused
from downloads.states import FINISHED, PAUSABLE, RUNNING, UNFINISHED, Status, Stop

RETRYABLE = frozenset({Status.FAILED, Status.CANCELLED})
RESUMABLE = frozenset({Status.PAUSED})
CLEANED_AT_ONCE = 500  # rows in one transaction
Verdicts = dict[str, str | Refused]
STOPPING = "stopping"  # the word for a task that a worker still holds; the feed says when it is done


def is_id(text: str) -> bool:
    """Whether this can be an id at all; anything else need not reach the database."""
    return text.isascii() and text.isalnum()


def announce(tasks: Iterable[Task]) -> None:
    """Wake workers for those that are queued, and tell the feed of all."""
    tasks = list(tasks)
    actors.ring(sum(task.status == Status.QUEUED and not task.is_playlist for task in tasks))
    live.tasks_changed(tasks)


def announce_anew(tasks: Collection[Task]) -> None:
    """Tell the feed how these are now, and wake workers for those that are queued."""
    if tasks:
        announce(Task.objects.filter(pk__in=[task.pk for task in tasks]))


def queue_many(ids: Collection[str], only_from: frozenset[Status] = STARTABLE) -> tuple[list[Task], list[Task]]:
    """Queue those of these that are in one of the states; return all that there are, as they were, and the queued."""
    with transaction.atomic():
        tasks = _locked(ids)
        chosen = [task for task in tasks if task.status in only_from and not task.is_playlist]
        Task.objects.move_idle(chosen, Status.QUEUED, **CLEAN_SLATE)
        transaction.on_commit(partial(announce_anew, chosen))
    return tasks, chosen


def _locked(ids: Collection[str]) -> list[Task]:
    """These tasks and the items of the playlists among them; none of them moves until the transaction ends."""
    return Task.objects.lock(Task.objects.with_items(filter(is_id, ids)))


def start_all(ids: Collection[str], only_from: frozenset[Status] = STARTABLE) -> Verdicts:
    """Queue these; the word is `started`."""
    return _queue_all(ids, only_from, "started", refusals.not_startable)


def resume_all(ids: Collection[str]) -> Verdicts:
    """Queue the paused ones of these; the word is `resumed`."""
    return _queue_all(ids, RESUMABLE, "resumed", refusals.not_paused)


def retry_all(ids: Collection[str]) -> Verdicts:
    """Queue the failed and cancelled ones of these again; the word is `retried`."""
    return _queue_all(ids, RETRYABLE, "retried", refusals.not_retryable)


def pause_all(ids: Collection[str]) -> Verdicts:
    """Pause these; the word is `paused`, or `stopping`."""
    return _stop_all(ids, Stop.PAUSE, Status.PAUSED, PAUSABLE, refusals.not_pausable)


def cancel_all(ids: Collection[str]) -> Verdicts:
    """Cancel these; the word is `cancelled`, or `stopping`. What the cancelled ones have on disk goes."""
    return _stop_all(ids, Stop.CANCEL, Status.CANCELLED, UNFINISHED | {Status.CANCELLED}, refusals.not_active)


def delete_all(ids: Collection[str], *, delete_files: bool = False) -> Verdicts:
    """Delete these; the word is `deleted`, or `stopping`. Finished files stay unless asked otherwise."""
    if delete_files and not is_reachable():
        return {task_id: refusals.library_unreachable() for task_id in ids}
    with transaction.atomic():
        tasks = _locked(ids)
        running = [task for task in tasks if task.status in RUNNING and not task.is_playlist]
        waited_for = {task.playlist_id for task in running}
        staying = [task for task in tasks if task.is_playlist and task.pk in waited_for]
        going = [task for task in tasks if task not in running and task not in staying]
        Task.objects.ask_to_stop(running, Stop.DELETE)
        Task.objects.delete_with_last_item(staying)
        _delete_locked(going)
    _clear_away(going, delete_files=delete_files)
    announce_anew([*running, *staying])
    words = dict.fromkeys([task.pk for task in going], "deleted")
    words |= dict.fromkeys([task.pk for task in [*running, *staying]], STOPPING)
    return _verdicts(ids, tasks, words, refusals.not_active)


def cleanup(max_age: timedelta, *, delete_files: bool = False) -> int:
    """Remove what finished longer ago than this, with what it has left on disk; return how many tasks that were.

    A playlist goes as a whole; what is kept for good stays. The files of completed ones stay unless asked otherwise.

    Raises:
        Refused: LIBRARY_UNREACHABLE; nothing was removed.
    """
    if delete_files and not is_reachable():
        raise refusals.library_unreachable()
    removed = 0
    while True:
        with transaction.atomic():
            old = Task.objects.disposable(max_age).values_list("pk", flat=True)
            tasks = _locked(old[:CLEANED_AT_ONCE])
            _delete_locked(tasks)
        if not tasks:
            return removed
        _clear_away(tasks, delete_files=delete_files)
        removed += len(tasks)


def _queue_all(
    ids: Collection[str], only_from: frozenset[Status], word: str, refusal: Callable[[Status], Refused]
) -> Verdicts:
    tasks, queued = queue_many(ids, only_from)
    return _verdicts(ids, tasks, _words(queued, word), refusal)


def _stop_all(
    ids: Collection[str],
    stop: Stop,
    target: Status,
    allowed: frozenset[Status],
    refusal: Callable[[Status], Refused],
) -> Verdicts:
    with transaction.atomic():
        tasks = _locked(ids)
        single = [task for task in tasks if not task.is_playlist]
        idle = [task for task in single if task.status in allowed - RUNNING]
        running = [task for task in single if task.status in allowed & RUNNING]
        moving = [task for task in idle if task.status != target]
        Task.objects.move_idle(moving, target, **{"finished_at": Now()} if target in FINISHED else {})
        Task.objects.ask_to_stop(running, stop)
    if stop == Stop.CANCEL:
        storage.discard_all({task.pk for task in idle})
    announce_anew([*moving, *running])
    words = _words(idle, str(target)) | _words(running, STOPPING)
    return _verdicts(ids, tasks, words, refusal)


def _words(tasks: Iterable[Task], word: str) -> dict[str, str]:
    """One word for each of these, and for each playlist that one of them is in."""
    return {pk: word for task in tasks for pk in (task.pk, task.playlist_id) if pk}


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
    Task.objects.derive_all(tasks)


def _clear_away(tasks: Collection[Task], *, delete_files: bool) -> None:
    """Do what is left to do for tasks whose rows are gone."""
    storage.discard_all({task.pk for task in tasks})
    pictures.discard(task.pk for task in tasks)
    for task in tasks:
        if delete_files and task.status == Status.COMPLETED:
            library().delete_stored(task.file_name, *task.side_files)
        live.deleted(task)
