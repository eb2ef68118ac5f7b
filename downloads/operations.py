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
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from downloads import actors, live, lookups, refusals, storage
from downloads.engine.cookies import BadCookies, parse_cookies
from downloads.engine.filenames import checked_custom_filename
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.messages import Described
from downloads.engine.network import AddressPolicy, BadUrl, normalise_url
from downloads.models import CLEAN_SLATE, STARTABLE, CookieJar, MoveRefused, Task
from downloads.refusals import Refused
from downloads.sealing import seal
from downloads.states import RUNNING, Status, Stop

STOP_WAIT = 3.0  # seconds that a request to stop is waited for
LOOK_EVERY = 0.05
RETRYABLE = frozenset({Status.FAILED, Status.CANCELLED})
RESUMABLE = frozenset({Status.PAUSED})


def is_id(text: str) -> bool:
    """Whether this can be an id at all; anything else need not reach the database."""
    return text.isascii() and text.isalnum()


def address_policy() -> AddressPolicy:
    """Where this installation may connect to."""
    return AddressPolicy(settings.ALLOWED_NETWORKS)


@contextlib.contextmanager
def _still_there() -> Iterator[None]:
    """Say so when somebody else deletes the task in this very moment."""
    try:
        yield
    except Task.DoesNotExist:
        raise refusals.not_found() from None


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
        return Task.objects.get(pk=task_id if is_id(task_id) else "")


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
        transaction.on_commit(partial(announce, new))
        waiting = [
            result.task
            for result, wish in zip(results, wishes, strict=True)
            if isinstance(result, Added) and wish.auto_start and result.task.status == Status.PENDING
        ]
        if waiting:
            queue_many([task.pk for task in waiting])
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


def announce(tasks: Iterable[Task]) -> None:
    """Send for those that are queued, and tell the feed of all."""
    for task in tasks:
        if task.status == Status.QUEUED:
            actors.run_task.send(task.pk)
        live.task_changed(task)


def announce_anew(tasks: Collection[Task]) -> None:
    """Tell the feed how these are now, and send for those that are queued."""
    if tasks:
        announce(Task.objects.filter(pk__in=[task.pk for task in tasks]))


def queue_many(ids: Collection[str], only_from: frozenset[Status] = STARTABLE) -> tuple[list[Task], list[Task]]:
    """Queue those of these that are in one of the states; return all that there are, as they were, and the queued."""
    with transaction.atomic():
        tasks = Task.objects.lock(filter(is_id, ids))
        chosen = [task for task in tasks if task.status in only_from]
        Task.objects.move_idle(chosen, Status.QUEUED, **CLEAN_SLATE)
        transaction.on_commit(partial(announce_anew, chosen))
    return tasks, chosen


def extract(url: str, *, quality: Quality, post_processing: PostProcessing, cookies: str) -> Described:
    """Ask the site what it offers; blocks until it has answered, at most as long as the setting says.

    Without cookies, those of the site's jar go with it.

    Raises:
        Refused: INVALID_URL, UNSUPPORTED_SITE, EXTRACTION_FAILED, VALIDATION_ERROR, or RATE_LIMITED when too many
            look-ups run or wait already.
    """
    url = _checked_url(url)
    _check_cookies(cookies, url)
    cookies = CookieJar.objects.cookies_for(url, cookies)
    try:
        return lookups.look_up(actors.engine(), url, quality=quality, post_processing=post_processing, cookies=cookies)
    except lookups.Busy as busy:
        raise Refused("RATE_LIMITED", str(busy), retry_after=busy.retry_after) from None
    except lookups.LookUpFailed as failed:
        raise Refused(failed.failure.code, failed.failure.sentence) from None


def start(task_id: str) -> Task:
    """Queue a task; a paused or failed one goes on from its bytes.

    Raises:
        Refused: TASK_NOT_FOUND, TASK_ALREADY_RUNNING or TASK_ALREADY_COMPLETED.
    """
    return _queue(task_id, STARTABLE, refusals.not_startable)


def resume(task_id: str) -> Task:
    """Queue a paused task; it goes on from its bytes.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_PAUSED.
    """
    return _queue(task_id, RESUMABLE, refusals.not_paused)


def retry(task_id: str) -> Task:
    """Queue a failed or cancelled task again.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_RETRYABLE.
    """
    return _queue(task_id, RETRYABLE, refusals.not_retryable)


def _queue(task_id: str, only_from: frozenset[Status], refusal: Callable[[Status], Refused]) -> Task:
    task = find(task_id)
    try:
        with _still_there():
            task.queue(only_from)
    except MoveRefused as refused:
        raise refusal(refused.status) from None
    transaction.on_commit(partial(announce, [task]))
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
        raise refusals.not_pausable(refused.status) from None
    live.task_changed(task)
    _wait(lambda: _settled(task))
    if task.status != Status.PAUSED and task.stop != Stop.PAUSE:
        raise refusals.not_pausable(Status(task.status))
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
        raise refusals.not_active(refused.status) from None
    if task.status == Status.CANCELLED:
        storage.discard(task.id)
    live.task_changed(task)
    _wait(lambda: _settled(task))
    if task.status == Status.COMPLETED:
        raise Refused("TASK_NOT_ACTIVE", gettext_noop("This task was completed before it could be cancelled."))
    return task


def delete(task_id: str, *, delete_file: bool = False) -> None:
    """Delete a task, stopping it first, and wait up to 3 s for that. The finished file stays unless asked otherwise.

    Raises:
        Refused: TASK_NOT_FOUND.
    """
    task = find(task_id)
    if not _removed(task):
        live.task_changed(task)
        _wait(lambda: _removed(task))
    if delete_file and task.status == Status.COMPLETED:
        storage.delete_stored(task.file_name)


def _removed(task: Task) -> bool:
    """Whether the row is gone; asks again each time, since a task may move between states while we ask.

    Brings the task up to date as long as there is a row: it may complete before it can be stopped.
    """
    with contextlib.suppress(Task.DoesNotExist):
        task.refresh_from_db()
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
