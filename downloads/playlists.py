"""A link that turns out to be a playlist becomes the tasks of its items."""

import logging
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from downloads import live, storage
from downloads.engine.errors import SENTENCES, Reason
from downloads.engine.messages import ListedItem
from downloads.engine.network import AddressPolicy, BadUrl, normalise_url
from downloads.library import LibraryUnreachable, library
from downloads.models import Facts, Task
from downloads.states import Status

logger = logging.getLogger(__name__)


def expand(task: Task, lease: UUID, facts: Facts, listed: Sequence[ListedItem], *, total: int) -> None:
    """Make the items of this playlist, queued, and let the task be derived from them from now on.

    Workers find them by themselves within a second.

    Raises:
        LeaseLost: see there; nothing was made.
    """
    present = _present(facts.site, listed) if task.wishes.skip_existing else set()
    items = [_item(task, facts, entry) for entry in listed if _key(entry) not in present]
    task.expand(lease, facts, items, total=total, skipped=len(listed) - len(items))
    storage.discard(task.id)
    live.tasks_changed([task, *Task.objects.filter(playlist=task)])
    logger.info("A playlist; %d of its %d entries are tasks now", len(items), total)


def progressed(playlist_id: str) -> None:
    """Let the playlist follow an item of it that has come further."""
    with transaction.atomic():
        Task.objects.derive(playlist_id)
    if playlist := Task.objects.filter(pk=playlist_id).first():
        live.progressed(playlist)


def _item(playlist: Task, facts: Facts, entry: ListedItem) -> Task:
    """A task for this entry, in the form that was asked for; one that leads nowhere has failed before it begins."""
    choices = {
        name: value for name, value in playlist.choices.items() if name not in ("playlist_items", "skip_existing")
    }
    if entry.in_page:
        choices["playlist_items"] = str(entry.place)
    task = Task(
        url=entry.url,
        title=entry.title,
        media_id=entry.media_id,
        site=facts.site,
        quality=playlist.quality,
        post_processing=playlist.post_processing,
        choices=choices,
        sealed_cookies=playlist.sealed_cookies,
        status=Status.QUEUED,
        playlist_index=entry.place,
    )
    try:
        task.url = normalise_url(entry.url, AddressPolicy(settings.ALLOWED_NETWORKS))
    except BadUrl:
        task.status = Status.FAILED
        task.finished_at = Now()
        task.error_code = "INVALID_URL"
        task.error_reason = Reason.INVALID_URL
        task.error_message = SENTENCES[Reason.INVALID_URL]
    return task


def _present(site: str, listed: Sequence[ListedItem]) -> set[tuple[str, int]]:
    """Which of these have their file in the library: by their link, or by site and id."""
    urls = {entry.url for entry in listed if not entry.in_page}
    ids = {entry.media_id for entry in listed if entry.media_id}
    completed = Task.objects.filter(Q(url__in=urls) | Q(site=site, media_id__in=ids), status=Status.COMPLETED)
    kept = [task for task in completed if _is_there(task)]
    urls, ids = {task.url for task in kept}, {task.media_id for task in kept if task.site == site}
    return {_key(entry) for entry in listed if entry.media_id in ids or (entry.url in urls and not entry.in_page)}


def _is_there(task: Task) -> bool:
    """Whether its file is in the library; one that cannot be asked is believed to have what it was given."""
    try:
        return library().is_stored(task.file_name, task.file_size)
    except LibraryUnreachable:
        return True


def _key(entry: ListedItem) -> tuple[str, int]:
    return entry.url, entry.place
