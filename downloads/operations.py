"""The verbs of people: the only door through which API, page, admin and command line touch tasks.

Each changes the row, and once that is committed sends the message and tells the feed.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from downloads import actors, batches, live, lookups, pictures, refusals, storage
from downloads.batches import RESUMABLE, RETRYABLE, Verdicts, announce, is_id, queue_many
from downloads.engine.choices import from_builtins, to_builtins
from downloads.engine.cookies import BadCookies, parse_cookies
from downloads.engine.filenames import checked_custom_filename
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.network import AddressPolicy, BadUrl, normalise_url
from downloads.library import is_reachable, library
from downloads.lookups import Look, Question
from downloads.models import STARTABLE, CookieJar, MoveRefused, Preset, Task
from downloads.refusals import Refused
from downloads.sealing import seal
from downloads.states import RUNNING, Status, Stop

STOP_WAIT = 3.0  # seconds that a request to stop is waited for
LOOK_EVERY = 0.05

logger = logging.getLogger(__name__)


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


def checked_choices(choices: Mapping[str, object]) -> dict[str, object]:
    """Finer wishes as they are kept: without what is as usual.

    Raises:
        Refused: VALIDATION_ERROR.
    """
    try:
        return to_builtins(from_builtins(choices))
    except msgspec.ValidationError as error:
        raise Refused("VALIDATION_ERROR", f"{error}.", "choices") from None


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


Form = tuple[str, str, str, str]  # what makes two tasks the same: link, quality, processing, finer wishes


class IfExists(StrEnum):
    """What an `add` does when the link is here already.

    `return` looks for the same link, quality, processing and choices, waiting or running. `ask` looks for the link
    alone, in any state but failed and cancelled. Both add nothing then; only `return` starts what is found.
    """

    NEW = "new"
    RETURN = "return"
    ASK = "ask"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody wants to have downloaded, as it was said.

    `choices` is what a `Choices` is in JSON, as far as it was said; `preset` names a preset, empty for the default one.
    """

    url: str
    preset: str = ""
    quality: Quality | None = None
    post_processing: PostProcessing | None = None
    choices: Mapping[str, object] = field(default_factory=dict)
    cookies: str = ""
    custom_filename: str = ""
    auto_start: bool = False
    if_exists: IfExists = IfExists.NEW

    def task(self, preset: Preset | None) -> Task:
        """The task that this asks for, checked and not stored yet. What it does not say, the preset says.

        Raises:
            Refused: INVALID_URL or VALIDATION_ERROR.
        """
        url = _checked_url(self.url)
        filename = _checked_filename(self.custom_filename)
        _check_cookies(self.cookies, url)
        preset = preset or Preset()
        return Task(
            url=url,
            quality=self.quality or preset.quality,
            post_processing=self.post_processing or preset.post_processing,
            choices=checked_choices({**preset.choices, **self.choices}),
            sealed_cookies=seal(self.cookies),
            custom_filename=filename,
            status=Status.QUEUED if self.auto_start else Status.PENDING,
        )


@dataclass(frozen=True)
class Added:
    """What became of a wish: a new task, or one that was there."""

    task: Task
    is_new: bool = True


def add(wish: Wish) -> Added:
    """Store a new task; it waits in `pending` for its start unless the wish says otherwise. Needs no network.

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
        here = _here(wishes)
        presets = _presets(wishes)
        for wish in wishes:
            result = _result(wish, presets, known, here)
            if isinstance(result, Added) and result.is_new:
                known[_form(result.task)] = here[result.task.url] = result.task
                new.append(result.task)
            results.append(result)
        for place, task in enumerate(new):
            task.created_at = Now() + timedelta(microseconds=place)  # keeps their order
        Task.objects.bulk_create(new)
        for task in new:
            logger.info("Added, %s: %s", task.status, task.url, extra={"task": task.pk})
        transaction.on_commit(partial(announce, new))
        waiting = [
            result.task
            for result, wish in zip(results, wishes, strict=True)
            if isinstance(result, Added)
            and wish.auto_start
            and wish.if_exists != IfExists.ASK
            and result.task.status == Status.PENDING
        ]
        if waiting:
            queue_many([task.pk for task in waiting])
    return results


def _presets(wishes: Sequence[Wish]) -> dict[str, Preset]:
    """The presets that these name, by name; the default one has none here."""
    presets = {preset.name: preset for preset in Preset.objects.filter(name__in={wish.preset for wish in wishes})}
    default = Preset.objects.default() if any(not wish.preset for wish in wishes) else None
    return presets | ({"": default} if default else {})


def _result(wish: Wish, presets: dict[str, Preset], known: dict[Form, Task], here: dict[str, Task]) -> Added | Refused:
    if wish.preset and wish.preset not in presets:
        return Refused("VALIDATION_ERROR", f"There is no preset called {wish.preset}.", "preset")
    try:
        task = wish.task(presets.get(wish.preset))
    except Refused as refused:
        return refused
    if wish.if_exists == IfExists.RETURN and _form(task) in known:
        return Added(known[_form(task)], is_new=False)
    if wish.if_exists == IfExists.ASK and task.url in here:
        return Added(here[task.url], is_new=False)
    return Added(task)


def _under_way(wishes: Sequence[Wish]) -> dict[Form, Task]:
    """Find what waits or runs already, if anybody asked for that; the newest of each form."""
    if not any(wish.if_exists == IfExists.RETURN for wish in wishes):
        return {}
    return {_form(task): task for task in Task.objects.under_way().order_by("created_at", "id")}


def _here(wishes: Sequence[Wish]) -> dict[str, Task]:
    """Find what has a link that somebody asks about, and was neither cancelled nor has failed; the newest of each."""
    urls = set()
    for wish in wishes:
        if wish.if_exists == IfExists.ASK:
            with contextlib.suppress(Refused):
                urls.add(_checked_url(wish.url))
    if not urls:
        return {}
    found = Task.objects.filter(url__in=urls).exclude(status__in=[Status.FAILED, Status.CANCELLED])
    return {task.url: task for task in found.order_by("created_at", "id")}


def _form(task: Task) -> Form:
    return task.url, task.quality, task.post_processing, json.dumps(task.choices, sort_keys=True)


def extract(asked: Question) -> Look:
    """Ask the site what it offers; blocks until it has answered, at most as long as the setting says.

    Without cookies, those of the site's jar go with it.

    Raises:
        Refused: INVALID_URL, UNSUPPORTED_SITE, EXTRACTION_FAILED, VALIDATION_ERROR, or RATE_LIMITED when too many
            look-ups run or wait already.
    """
    url = _checked_url(asked.url)
    _check_cookies(asked.cookies, url)
    cookies = CookieJar.objects.cookies_for(url, asked.cookies)
    try:
        return lookups.look_up(actors.engine(), replace(asked, url=url, cookies=cookies))
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
    if task.is_playlist:
        _, queued = queue_many([task_id], only_from)
        if not queued:
            raise refusal(Status(task.status))
        return task
    try:
        with _still_there():
            task.queue(only_from)
    except MoveRefused as refused:
        raise refusal(refused.status) from None
    transaction.on_commit(partial(announce, [task]))
    return task


def change(
    task_id: str,
    *,
    cookies: str | None = None,
    custom_filename: str | None = None,
    choices: Mapping[str, object] | None = None,
    keep: bool | None = None,
    **form: str,
) -> Task:
    """Change what was asked for; what is None stays. `form` is a `quality`, a `post_processing` or both.

    Whether it is kept for good may be changed in every state. `choices` are those that shall be other than they are.
    Bytes of another quality, processing or choice are thrown away.

    Raises:
        Refused: TASK_NOT_FOUND, TASK_NOT_EDITABLE or VALIDATION_ERROR.
    """
    task = find(task_id)
    columns: dict[str, object] = dict(form)
    if choices:
        columns["choices"] = checked_choices({**task.choices, **choices})
    if cookies is not None:
        _check_cookies(cookies, task.url)
        columns["sealed_cookies"] = seal(cookies)
    if custom_filename is not None:
        columns["custom_filename"] = _checked_filename(custom_filename)
    if columns:
        _edit(task, columns)
    if keep is not None:
        with _still_there():
            task.keep_for_good(is_kept=keep)
    if columns or keep is not None:
        live.task_changed(task)
    return task


def _edit(task: Task, columns: Mapping[str, object]) -> None:
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


def pause(task_id: str) -> Task:
    """Pause a task, and wait up to 3 s until no process of it is left. Its bytes stay.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_PAUSABLE.
    """
    task = find(task_id)
    if task.is_playlist:
        return _stop_items(task, batches.pause_all)
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
    task = find(task_id)
    try:
        with _still_there():
            task.end_recording()
    except MoveRefused:
        sentence = gettext_noop("This task is not recording a live stream; only such a one can be finished early.")
        raise Refused("TASK_NOT_LIVE", sentence) from None
    live.task_changed(task)
    _wait(lambda: _recorded(task))
    return task


def _recorded(task: Task) -> bool:
    with _still_there():
        task.refresh_from_db()
    return task.status != Status.DOWNLOADING


def _stop_items(playlist: Task, stop_all: Callable[[Collection[str]], Verdicts]) -> Task:
    """Pause or cancel the items, and wait for that."""
    verdict = stop_all([playlist.pk])[playlist.pk]
    if isinstance(verdict, Refused):
        raise verdict
    stopping = Task.objects.running().filter(playlist=playlist).exclude(stop=Stop.NONE)
    _wait(lambda: not stopping.exists())
    with _still_there():
        playlist.refresh_from_db()
    return playlist


def cancel(task_id: str) -> Task:
    """Cancel a task, and wait up to 3 s until no process of it is left. What it has on disk goes.

    Raises:
        Refused: TASK_NOT_FOUND or TASK_NOT_ACTIVE.
    """
    task = find(task_id)
    if task.is_playlist:
        return _stop_items(task, batches.cancel_all)
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
        Refused: TASK_NOT_FOUND, or LIBRARY_UNREACHABLE before anything is done.
    """
    task = find(task_id)
    if delete_file and not is_reachable():
        raise refusals.library_unreachable()
    if task.is_playlist:
        batches.delete_all([task_id], delete_files=delete_file)
        _wait(lambda: not Task.objects.filter(pk=task_id).exists())
        return
    if not _removed(task):
        live.task_changed(task)
        _wait(lambda: _removed(task))
    if delete_file and task.status == Status.COMPLETED:
        library().delete_stored(task.file_name, *task.side_files)


def _removed(task: Task) -> bool:
    """Whether the row is gone; asks again each time, since a task may move between states while we ask.

    Brings the task up to date as long as there is a row: it may complete before it can be stopped.
    """
    with contextlib.suppress(Task.DoesNotExist):
        task.refresh_from_db()
    if task.remove():
        storage.discard(task.id)
        pictures.discard([task.id])
        live.deleted(task)
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
