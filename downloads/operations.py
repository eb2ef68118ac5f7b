"""The verbs of people: the only door through which API, page, admin and command line touch tasks.

Each changes the row, and once that is committed sends the message and tells the feed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

from django.conf import settings
from django.db import transaction

from downloads import actors, live, lookups, storage
from downloads.engine.cookies import BadCookies, parse_cookies
from downloads.engine.filenames import checked_custom_filename
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.messages import Described
from downloads.engine.network import AddressPolicy, BadUrl, normalise_url
from downloads.models import MoveRefused, Task
from downloads.sealing import seal
from downloads.states import RUNNING, Status, Stop

STOP_WAIT = 3.0  # seconds that a request to stop is waited for
LOOK_EVERY = 0.05


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
        raise Refused("TASK_NOT_FOUND", "There is no task with this id; it may have been deleted.") from None


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


def find(task_id: str) -> Task:
    """The task of this id.

    Raises:
        Refused: TASK_NOT_FOUND.
    """
    with _still_there():
        return Task.objects.get(pk=task_id)


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
    url = _checked_url(url)
    try:
        custom_filename = checked_custom_filename(custom_filename) if custom_filename else ""
    except ValueError as error:
        raise Refused("VALIDATION_ERROR", str(error), "custom_filename") from None
    _check_cookies(cookies, url)
    task = Task.objects.create(
        url=url,
        quality=quality,
        post_processing=post_processing,
        sealed_cookies=seal(cookies),
        custom_filename=custom_filename,
    )
    task.refresh_from_db()
    transaction.on_commit(partial(live.task_changed, task))
    return task


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
    task = find(task_id)
    try:
        with _still_there():
            task.queue()
    except MoveRefused as refused:
        if refused.status == Status.COMPLETED:
            raise Refused(
                "TASK_ALREADY_COMPLETED", "This task is completed; add the link again to download it once more."
            ) from None
        raise Refused("TASK_ALREADY_RUNNING", "This task is waiting or running already.") from None
    transaction.on_commit(partial(actors.run_task.send, task.id))
    transaction.on_commit(partial(live.task_changed, task))
    return task


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
        raise Refused("TASK_NOT_ACTIVE", f"This task is {refused.status}; there is nothing to cancel.") from None
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
