"""A task as the list shows it, where empty texts are left out. `static/downloads/row.js` says the same.

Fifty rows are most of what a page takes to make, so those that were shown before are kept, what is the same in all of
them is made once, and addresses are put together here rather than looked up by the template.
"""

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import escape
from django.utils.translation import gettext, override

from downloads import files
from downloads.engine.errors import Reason
from downloads.models import Task
from downloads.schemas import file_url, picture_url
from downloads.seen import Seen
from downloads.states import PAUSABLE, RUNNING, UNFINISHED, Status, Stop, Wait
from downloads.words import CURES, PHRASES, ROW, START_VERBS, STOPPING, WITH_BAR, WITH_ERROR, language, number_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def rows_html(tasks: list[Seen]) -> list[str]:
    """The rows of these tasks, in the language of this request."""
    spoken = language()
    # What waits for its next attempt says how long that is
    return [_html(each.task, spoken) if each.task.available_at else each.made(_html, spoken) for each in tasks]


def _html(task: Task, spoken: str) -> str:
    with override(spoken):
        return render_to_string("downloads/_row.html", {"row": row_of(task), "view": {"row": row_words(spoken)}})


@cache
def row_words(spoken: str) -> dict[str, str]:
    """What is the same in every row, in this language."""
    with override(spoken):
        return {name: escape(str(phrase)) for name, phrase in ROW.items()}


def row_of(task: Task) -> dict[str, Any]:
    """Say this task."""
    status = Status(task.status)
    percentage = task.progress_percentage
    is_downloading = status == Status.DOWNLOADING
    has_file = status == Status.COMPLETED and not task.is_playlist
    has_error = status in WITH_ERROR and bool(task.error_message)
    title = task.title or task.url
    site = task.site or urlsplit(task.url).hostname or ""
    cure, field = _cure(task)
    return {
        "id": task.id,
        "url": task.url,
        "status": status.value,
        "title": title,
        "letter": site.removeprefix("www.")[:1].upper(),
        "page": f"{settings.PATH_PREFIX}/tasks/{task.id}",
        "picture": picture_url(task),
        "file": file_url(task),
        "is_playlist": task.is_playlist,
        "kept": PHRASES["kept"] if task.keep else "",
        "length": clock(task.duration) if task.duration else "",
        "site": site,
        "uploader": task.uploader,
        "state": STOPPING[Stop(task.stop)] if task.stop else status.label,
        "live": task.is_live and status in UNFINISHED,
        "entries": PHRASES["entries"].format(number=number_text(task.playlist_total)) if task.is_playlist else "",
        "has_bar": status in WITH_BAR and (status in RUNNING or percentage > 0),
        "value": None if status in RUNNING and not (percentage or task.total_bytes) else f"{percentage:.1f}",
        "percent": f"{number_format(percentage, 1)}%" if status in WITH_BAR and percentage else "",
        "bytes": _bytes(task) if status in WITH_BAR and task.downloaded_bytes else "",
        "size": filesizeformat(task.file_size) if has_file else "",
        "speed": PHRASES["speed"].format(size=filesizeformat(task.speed)) if is_downloading and task.speed else "",
        "left": PHRASES["left"].format(time=duration(task.eta)) if is_downloading and task.eta else "",
        "error": _error(task) if has_error else "",
        "retry": _retry(task) if status == Status.QUEUED else "",
        "cure": cure,
        "cure_field": field,
        "has_file": has_file,
        "can_play": has_file and files.is_playable(task.file_name),
        "start": START_VERBS.get(status, ""),
        "can_pause": status in PAUSABLE and task.stop == Stop.NONE,
        "can_finish": task.is_live and is_downloading and task.stop == Stop.NONE,
        "can_cancel": status in UNFINISHED and task.stop in (Stop.NONE, Stop.PAUSE, Stop.FINISH),
        "can_delete": task.stop != Stop.DELETE,
        "select_label": PHRASES["select"].format(title=title),
        "more_label": PHRASES["more"].format(title=title),
        "play_label": PHRASES["play"].format(title=title),
        "delete_label": PHRASES["delete"].format(title=title),
    }


def _cure(task: Task) -> tuple["StrOrPromise", str]:
    """What helps against the error, if anything of ours does, and the field that it needs."""
    if task.status != Status.FAILED or task.is_playlist or task.error_reason not in CURES:
        return "", ""
    return CURES[Reason(task.error_reason)]


def _bytes(task: Task) -> str:
    done = filesizeformat(task.downloaded_bytes)
    return PHRASES["bytes"].format(done=done, total=filesizeformat(task.total_bytes)) if task.total_bytes else done


def _error(task: Task) -> str:
    error = gettext(task.error_message)
    if task.usable_bytes is None:
        return error
    figures = PHRASES["figures"].format(
        needed=filesizeformat(task.needed_bytes), usable=filesizeformat(task.usable_bytes)
    )
    return f"{error} {figures}"


def _retry(task: Task) -> str:
    if task.waits_for == Wait.ROOM:
        return str(PHRASES["room"])
    wait = (task.available_at - timezone.now()).total_seconds() if task.available_at else 0
    return PHRASES["retry"].format(time=duration(wait), number=task.failures + 1) if wait > 0 else ""


def duration(seconds: float) -> str:
    """200 seconds are `3 min 20 s`."""
    minutes, s = divmod(round(seconds), 60)
    h, m = divmod(minutes, 60)
    return PHRASES["hours" if h else "minutes" if m else "seconds"].format(h=h, m=m, s=s)


def clock(seconds: float) -> str:
    """200 seconds are `3:20`, as players say how long something is."""
    minutes, s = divmod(round(seconds), 60)
    h, m = divmod(minutes, 60)
    return f"{h}:{m:02}:{s:02}" if h else f"{m}:{s:02}"
