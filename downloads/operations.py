"""The verbs of people: the only door through which API, page, admin and command line touch tasks.

Each changes the row, and once that is committed sends the message and tells the feed.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce, Now

from downloads import actors, live, lookups, storage
from downloads.engine.cookies import BadCookies, parse_cookies
from downloads.engine.filenames import checked_custom_filename
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.messages import Described
from downloads.engine.network import AddressPolicy, BadUrl, normalise_url
from downloads.models import CLEAN_SLATE, STARTABLE, MoveRefused, Task
from downloads.sealing import seal
from downloads.states import FINISHED, PAUSABLE, RUNNING, UNFINISHED, WAITING, Status, Stop

STOP_WAIT = 3.0  # seconds that a request to stop is waited for
LOOK_EVERY = 0.05
CLEANED_AT_ONCE = 500  # rows in one transaction
RETRYABLE = frozenset({Status.FAILED, Status.CANCELLED})
RESUMABLE = frozenset({Status.PAUSED})


class Refused(Exception):
    """What was asked for cannot be done. `str()` is one sentence for people; `code` is the API's word for it."""

    def __init__(self, code: str, sentence: str, field: str = "", retry_after: int | None = None) -> None:
        """Take the code, the sentence, for bad input the field that it is about, and seconds until a retry is due."""
        super().__init__(sentence)
        self.code = code
        self.field = field
        self.retry_after = retry_after


def address_policy() -> AddressPolicy:
    """Where this installation may connect to."""
    return AddressPolicy(settings.ALLOWED_NETWORKS)


@contextlib.contextmanager
def _still_there() -> Iterator[None]:
    """Say so when somebody else deletes the task in this very moment."""
    try:
        yield
    except Task.DoesNotExist:
        raise _not_found() from None


def _checked_url(url: str) -> str:
    try:
        return normalise_url(url, address_policy())
    except BadUrl as error:
        raise Refused("INVALID_URL", str(error), "url") from None


def _check_cookies(cookies: str, url: str) -> None:
    try:
        parse_cookies(cookies, url)
    except BadCookies as error:
        raise Refused("VALIDATION_ERROR", str(error), "cookies") from None


def _checked_filename(name: str) -> str:
    try:
        return checked_custom_filename(name) if name else ""
    except ValueError as error:
        raise Refused("VALIDATION_ERROR", str(error), "custom_filename") from None


def find(task_id: str) -> Task:
    """The task of this id.

    Raises:
        Refused: TASK_NOT_FOUND.
    """
    with _still_there():
        return Task.objects.get(pk=task_id if _is_id(task_id) else "")


class IfExists(StrEnum):
    """What an `add` does when the same is waiting or running already."""

    NEW = "new"
    RETURN = "return"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody wants to have downloaded, as it was said."""

    url: str
    quality: Quality = Quality.BEST
    post_processing: PostProcessing = PostProcessing.NONE
    cookies: str = ""
    custom_filename: str = ""
    auto_start: bool = False
    if_exists: IfExists = IfExists.NEW

    def task(self) -> Task:
        """The task that this asks for, checked and not stored yet.

        Raises:
            Refused: INVALID_URL or VALIDATION_ERROR.
        """
        url = _checked_url(self.url)
        filename = _checked_filename(self.custom_filename)
        _check_cookies(self.cookies, url)
        return Task(
            url=url,
            quality=self.quality,
            post_processing=self.post_processing,
            sealed_cookies=seal(self.cookies),
            custom_filename=filename,
            status=Status.QUEUED if self.auto_start else Status.PENDING,
        )


@dataclass(frozen=True)
class Added:
    """What became of a wish: a new task, or one that was there."""

    task: Task
    is_new: bool = True


def add(
    url: str,
    *,
    quality: Quality = Quality.BEST,
    post_processing: PostProcessing = PostProcessing.NONE,
    cookies: str = "",
    custom_filename: str = "",
) -> Task:
    """Store a new task; it waits in `pending` for its start. Needs no network.

    Raises:
        Refused: INVALID_URL or VALIDATION_ERROR.
    """
    wish = Wish(
        url=url,
        quality=quality,
        post_processing=post_processing,
        cookies=cookies,
        custom_filename=custom_filename,
    )
    return add_wish(wish).task


def add_wish(wish: Wish) -> Added:
    """Do the same for whoever wants more: to start it at once, or to have the one that is there.

    Raises:
        Refused: INVALID_URL or VALIDATION_ERROR.
    """
    [result] = add_all([wish])
    if isinstance(result, Refused):
        raise result
    return result


def add_all(wishes: Sequence[Wish]) -> list[Added | Refused]:
    """Store as many of these as are sound, and say of each, in order, what became of it.

    Two adds with `IfExists.RETURN` at the very same moment may both make a task on PostgreSQL.
    """
    results: list[Added | Refused] = []
    new: list[Task] = []
    with transaction.atomic():
        known = _under_way(wishes)
        for wish in wishes:
            result = _result(wish, known)
            if isinstance(result, Added) and result.is_new:
                known[_form(result.task)] = result.task
                new.append(result.task)
            results.append(result)
        for place, task in enumerate(new):
            task.created_at = Now() + timedelta(microseconds=place)  # keeps their order
        Task.objects.bulk_create(new)
        transaction.on_commit(partial(_announce, new))
        waiting = [
            result.task
            for result, wish in zip(results, wishes, strict=True)
            if isinstance(result, Added) and wish.auto_start and result.task.status == Status.PENDING
        ]
        if waiting:
            start_all([task.pk for task in waiting])
    return results


def _result(wish: Wish, known: dict[tuple[str, str, str], Task]) -> Added | Refused:
    try:
        task = wish.task()
    except Refused as refused:
        return refused
    if wish.if_exists == IfExists.RETURN and _form(task) in known:
        return Added(known[_form(task)], is_new=False)
    return Added(task)


def _under_way(wishes: Sequence[Wish]) -> dict[tuple[str, str, str], Task]:
    """Find what waits or runs already, if anybody asked for that; the newest of each form."""
    if not any(wish.if_exists == IfExists.RETURN for wish in wishes):
        return {}
    return {_form(task): task for task in Task.objects.under_way().order_by("created_at", "id")}


def _form(task: Task) -> tuple[str, str, str]:
    return task.url, task.quality, task.post_processing


def _announce(tasks: Iterable[Task]) -> None:
    """Send for those that are queued, and tell the feed of all."""
    for task in tasks:
        if task.status == Status.QUEUED:
            actors.run_task.send(task.pk)
        live.task_changed(task)


def extract(url: str, *, quality: Quality, post_processing: PostProcessing, cookies: str) -> Described:
    """Ask the site what it offers; blocks until it has answered, at most as long as the setting says.

    Raises:
        Refused: INVALID_URL, UNSUPPORTED_SITE, EXTRACTION_FAILED, VALIDATION_ERROR, or RATE_LIMITED when too many
            look-ups run or wait already.
    """
    url = _checked_url(url)
    _check_cookies(cookies, url)
    try:
        return lookups.look_up(actors.engine(), url, quality=quality, post_processing=post_processing, cookies=cookies)
    except lookups.Busy as busy:
        sentence = f"Too many look-ups are under way; try again in {busy.retry_after} seconds."
        raise Refused("RATE_LIMITED", sentence, retry_after=busy.retry_after) from None
    except lookups.LookUpFailed as failed:
        raise Refused(failed.failure.code, failed.failure.sentence) from None


def start(task_id: str) -> Task:
    """Queue a task; a paused or failed one goes on from its bytes.

    Raises:
        Refused: TASK_NOT_FOUND, TASK_ALREADY_RUNNING or TASK_ALREADY_COMPLETED.
    """
    return _queue(task_id, STARTABLE, _not_startable)


def resume(task_id: str) -> Task:
    """Queue a paused task; it goes on from its bytes.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_PAUSED.
    """
    return _queue(task_id, RESUMABLE, _not_paused)


def retry(task_id: str) -> Task:
    """Queue a failed or cancelled task again.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_RETRYABLE.
    """
    return _queue(task_id, RETRYABLE, _not_retryable)


def _queue(task_id: str, only_from: frozenset[Status], refusal: Callable[[Status], Refused]) -> Task:
    task = find(task_id)
    try:
        with _still_there():
            task.queue(only_from)
    except MoveRefused as refused:
        raise refusal(refused.status) from None
    transaction.on_commit(partial(_announce, [task]))
    return task


def change(task_id: str, *, cookies: str | None = None, custom_filename: str | None = None, **form: str) -> Task:
    """Change what was asked for; what is None stays. `form` is a `quality`, a `post_processing` or both.

    Bytes of another quality or processing are thrown away.

    Raises:
        Refused: TASK_NOT_FOUND, TASK_NOT_EDITABLE or VALIDATION_ERROR.
    """
    task = find(task_id)
    columns = dict(form)
    if cookies is not None:
        _check_cookies(cookies, task.url)
        columns["sealed_cookies"] = seal(cookies)
    if custom_filename is not None:
        columns["custom_filename"] = _checked_filename(custom_filename)
    if not columns:
        return task
    try:
        # The row stays locked until the bytes are gone, so that nobody begins to go on from them.
        with _still_there(), transaction.atomic():
            if task.edit(**columns) and not storage.discard(task.pk):
                sentence = "A process of this task is still ending; try again in a few seconds."
                raise Refused("TASK_NOT_EDITABLE", sentence)
    except MoveRefused as refused:
        raise Refused(
            "TASK_NOT_EDITABLE",
            f"This task is {refused.status}; pause or cancel a task to change it, and add a completed one again.",
        ) from None
    live.task_changed(task)
    return task


def pause(task_id: str) -> Task:
    """Pause a task, and wait up to 3 s until no process of it is left. Its bytes stay.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_PAUSABLE.
    """
    task = find(task_id)
    try:
        with _still_there():
            task.pause()
    except MoveRefused as refused:
        raise _not_pausable(refused.status) from None
    live.task_changed(task)
    _wait(lambda: _settled(task))
    if task.status != Status.PAUSED and task.stop != Stop.PAUSE:
        raise _not_pausable(Status(task.status))
    return task


def finish(task_id: str) -> Task:
    """End the recording of a live stream and keep what there is.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_LIVE.
    """
    find(task_id)
    raise Refused("TASK_NOT_LIVE", "This task is no recording of a live stream; only such a one can be finished early.")


def cancel(task_id: str) -> Task:
    """Cancel a task, and wait up to 3 s until no process of it is left. What it has on disk goes.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_ACTIVE.
    """
    task = find(task_id)
    try:
        with _still_there():
            task.cancel()
    except MoveRefused as refused:
        raise _not_active(refused.status) from None
    if task.status == Status.CANCELLED:
        storage.discard(task.id)
    live.task_changed(task)
    _wait(lambda: _settled(task))
    if task.status == Status.COMPLETED:
        raise Refused("TASK_NOT_ACTIVE", "This task was completed before it could be cancelled.")
    return task


def delete(task_id: str, *, delete_file: bool = False) -> None:
    """Delete a task, stopping it first, and wait up to 3 s for that. The finished file stays unless asked otherwise.

    Raises:
        Refused: TASK_NOT_FOUND.
    """
    task = find(task_id)
    if not _removed(task):
        with contextlib.suppress(Task.DoesNotExist):
            task.refresh_from_db()
            live.task_changed(task)
        _wait(lambda: _removed(task))
    if delete_file and task.status == Status.COMPLETED:
        storage.delete_stored(task.file_name)


# Many at once: each task gets a word or a refusal, and nobody waits for those that run.

Verdicts = dict[str, str | Refused]
STOPPING = "stopping"  # the word for a task that a worker still holds; the feed says when it is done


def start_all(ids: Collection[str], only_from: frozenset[Status] = STARTABLE) -> Verdicts:
    """Queue these; the word is `started`."""
    return _queue_all(ids, only_from, "started", _not_startable)


def resume_all(ids: Collection[str]) -> Verdicts:
    """Queue the paused ones of these; the word is `resumed`."""
    return _queue_all(ids, RESUMABLE, "resumed", _not_paused)


def pause_all(ids: Collection[str]) -> Verdicts:
    """Pause these; the word is `paused`, or `stopping`."""
    return _stop_all(ids, Stop.PAUSE, Status.PAUSED, PAUSABLE, _not_pausable)


def cancel_all(ids: Collection[str]) -> Verdicts:
    """Cancel these; the word is `cancelled`, or `stopping`. What the cancelled ones have on disk goes."""
    verdicts = _stop_all(ids, Stop.CANCEL, Status.CANCELLED, UNFINISHED | {Status.CANCELLED}, _not_active)
    storage.discard_all({task_id for task_id, word in verdicts.items() if word == Status.CANCELLED})
    return verdicts


def delete_all(ids: Collection[str], *, delete_files: bool = False) -> Verdicts:
    """Delete these; the word is `deleted`, or `stopping`. Finished files stay unless asked otherwise."""
    with transaction.atomic():
        tasks = Task.objects.lock(filter(_is_id, ids))
        idle = [task for task in tasks if task.status not in RUNNING]
        running = [task for task in tasks if task.status in RUNNING]
        Task.objects.ask_to_stop(running, Stop.DELETE)
        _delete_locked(idle)
    _clear_away(idle, delete_files=delete_files)
    _announce_anew(running)
    words = dict.fromkeys([task.pk for task in idle], "deleted") | dict.fromkeys(
        [task.pk for task in running], STOPPING
    )
    return _verdicts(ids, [], words, _not_active)


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


def stats() -> dict[str, int]:
    """Count all tasks by what becomes of them, by one query."""
    numbers: dict[str, int] = Task.objects.aggregate(
        total_tasks=Count("pk"),
        active_tasks=Count("pk", filter=Q(status__in=RUNNING)),
        completed_tasks=Count("pk", filter=Q(status=Status.COMPLETED)),
        failed_tasks=Count("pk", filter=Q(status=Status.FAILED)),
        pending_tasks=Count("pk", filter=Q(status__in=WAITING)),
        total_downloaded_bytes=Coalesce(Sum("downloaded_bytes"), 0),
        current_speed=Coalesce(Sum("speed", filter=Q(status__in=RUNNING)), 0),
        cancelled_tasks=Count("pk", filter=Q(status=Status.CANCELLED)),
        paused_tasks=Count("pk", filter=Q(status=Status.PAUSED)),
    )
    return numbers


def _queue_all(
    ids: Collection[str], only_from: frozenset[Status], word: str, refusal: Callable[[Status], Refused]
) -> Verdicts:
    with transaction.atomic():
        tasks = Task.objects.lock(filter(_is_id, ids))
        chosen = [task for task in tasks if task.status in only_from]
        Task.objects.move_idle(chosen, Status.QUEUED, **CLEAN_SLATE)
        transaction.on_commit(partial(_announce_anew, chosen))
    return _verdicts(ids, tasks, dict.fromkeys([task.pk for task in chosen], word), refusal)


def _stop_all(
    ids: Collection[str],
    stop: Stop,
    target: Status,
    allowed: frozenset[Status],
    refusal: Callable[[Status], Refused],
) -> Verdicts:
    with transaction.atomic():
        tasks = Task.objects.lock(filter(_is_id, ids))
        idle = [task for task in tasks if task.status in allowed - RUNNING]
        running = [task for task in tasks if task.status in allowed & RUNNING]
        moving = [task for task in idle if task.status != target]
        Task.objects.move_idle(moving, target, **{"finished_at": Now()} if target in FINISHED else {})
        Task.objects.ask_to_stop(running, stop)
    _announce_anew([*moving, *running])
    words = dict.fromkeys([task.pk for task in idle], str(target))
    return _verdicts(ids, tasks, words | dict.fromkeys([task.pk for task in running], STOPPING), refusal)


def _verdicts(
    ids: Collection[str], tasks: Iterable[Task], words: dict[str, str], refusal: Callable[[Status], Refused]
) -> Verdicts:
    statuses = {task.pk: Status(task.status) for task in tasks}
    return {
        task_id: words.get(task_id) or (refusal(statuses[task_id]) if task_id in statuses else _not_found())
        for task_id in ids
    }


def _announce_anew(tasks: Collection[Task]) -> None:
    """Tell the feed how these are now, and send for those that are queued."""
    if tasks:
        _announce(Task.objects.filter(pk__in=[task.pk for task in tasks]))


def _delete_locked(tasks: Collection[Task]) -> None:
    Task.objects.filter(pk__in=[task.pk for task in tasks]).delete()


def _clear_away(tasks: Collection[Task], *, delete_files: bool) -> None:
    """Do what is left to do for tasks whose rows are gone."""
    storage.discard_all({task.pk for task in tasks})
    for task in tasks:
        if delete_files and task.status == Status.COMPLETED:
            storage.delete_stored(task.file_name)
        live.deleted(task.pk)


# Refusals that single and many share


def _is_id(text: str) -> bool:
    return text.isascii() and text.isalnum()


def _not_found() -> Refused:
    return Refused("TASK_NOT_FOUND", "There is no task with this id; it may have been deleted.")


def _not_startable(status: Status) -> Refused:
    if status == Status.COMPLETED:
        return Refused("TASK_ALREADY_COMPLETED", "This task is completed; add the link again to download it once more.")
    return Refused("TASK_ALREADY_RUNNING", "This task is waiting or running already.")


def _not_paused(status: Status) -> Refused:
    return Refused("TASK_NOT_PAUSED", f"This task is {status}; only a paused one can be resumed.")


def _not_retryable(status: Status) -> Refused:
    return Refused("TASK_NOT_RETRYABLE", f"This task is {status}; only a failed or cancelled one can be retried.")


def _not_pausable(status: Status) -> Refused:
    return Refused(
        "TASK_NOT_PAUSABLE", f"This task is {status}; only one that waits for its turn or downloads can be paused."
    )


def _not_active(status: Status) -> Refused:
    return Refused("TASK_NOT_ACTIVE", f"This task is {status}; there is nothing to cancel.")


def _removed(task: Task) -> bool:
    """Whether the row is gone; asks again each time, since a task may move between states while we ask."""
    if task.remove():
        storage.discard(task.id)
        live.deleted(task.id)
        return True
    return not Task.objects.filter(pk=task.pk).exists()


def _settled(task: Task) -> bool:
    """Whether the request to stop is done with, one way or the other; brings the task up to date."""
    current = Task.objects.filter(pk=task.pk).first()
    if current is None:
        task.status = Status.CANCELLED
        return True
    task.__dict__.update(current.__dict__)
    return task.status not in RUNNING or task.stop == Stop.NONE


def _wait(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + STOP_WAIT
    while not (finished := done()) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
    return finished
