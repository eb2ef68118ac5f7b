"""The page, rendered here first. With JavaScript it goes on live by the API and the feed, in the same words."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import get_language, gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from downloads import operations
from downloads.engine.errors import SENTENCES
from downloads.forms import AddForm
from downloads.models import Task
from downloads.operations import Wish
from downloads.refusals import Refused
from downloads.schemas import task_json
from downloads.states import RUNNING, UNFINISHED, Status, Stop

PAGE_SIZE = 50

STOPPING = {Stop.CANCEL: _("Cancelling…"), Stop.PAUSE: _("Pausing…"), Stop.DELETE: _("Deleting…")}
START_VERBS = {
    Status.PENDING: _("Start"),
    Status.PAUSED: _("Resume"),
    Status.FAILED: _("Retry"),
    Status.CANCELLED: _("Start again"),
}
WITH_BAR = RUNNING | {Status.PAUSED, Status.QUEUED, Status.FAILED}
WITH_ERROR = frozenset({Status.QUEUED, Status.FAILED})

PHRASES = {
    "bytes": _("{done} of {total}"),
    "speed": _("{size}/s"),
    "left": _("{time} left"),
    "retry": _("Trying again in {time} (attempt {number})"),
    "seconds": _("{s} s"),
    "minutes": _("{m} min {s} s"),
    "hours": _("{h} h {m} min"),
    "announced": _("{title}: {state}"),
    "connected": _("Live"),
    "reconnecting": _("Reconnecting…"),
    "unreachable": _("The service cannot be reached; check that it is running and try again."),
}

# Refusals that the page can meet, as their sources say them in English. Those that a source puts together are marked
# for the translators here, all others there.
REFUSALS = (
    "The address is empty.",
    gettext_noop("An address can have at most 8,192 characters."),
    "An address cannot have spaces, line breaks or control characters in it.",
    "This address carries internal data of the downloader and is not accepted.",
    "Only web addresses that begin with http:// or https:// can be downloaded.",
    "User names and passwords in an address are not accepted; use cookies to sign in.",
    "This address does not name a host.",
    "The host or the port of this address is not valid.",
    "The IP address in this address is not valid.",
    "This address leads to the server itself, which downloads may not reach.",
    "There is no task with this id; it may have been deleted.",
    "This task is completed; add the link again to download it once more.",
    "This task is waiting or running already.",
    gettext_noop("This task is completed; there is nothing to cancel."),
    gettext_noop("This task is failed; there is nothing to cancel."),
    "This task was completed before it could be cancelled.",
    gettext_noop("These are too many requests; Retry-After says how many seconds to wait."),
    "This needs an API key, sent as Authorization: Bearer or as X-API-Key; manage.py apikey create makes one.",
    "With a login instead of an API key this needs Django's CSRF token in X-CSRFToken.",
    "Something went wrong inside; the service's log says what.",
)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    """Show the page; posted to, add a link and start it."""
    return _add(request) if request.method == "POST" else _page(request, AddForm())


def _add(request: HttpRequest) -> HttpResponse:
    form = AddForm(request.POST)
    if form.is_valid():
        try:
            operations.start(operations.add(Wish(**form.cleaned_data)).task.id)
        except Refused as refused:
            form.add_error("url", gettext(str(refused)))
        else:
            return redirect("home")
    return _page(request, form, status=400)


@require_POST
def start(request: HttpRequest, task_id: str) -> HttpResponse:
    """Start a task, or start it again."""
    return _do(operations.start, request, task_id)


@require_POST
def cancel(request: HttpRequest, task_id: str) -> HttpResponse:
    """Cancel a task."""
    return _do(operations.cancel, request, task_id)


@require_POST
def delete(request: HttpRequest, task_id: str) -> HttpResponse:
    """Delete a task; its finished file stays."""
    return _do(operations.delete, request, task_id)


def _do(verb: Callable[[str], object], request: HttpRequest, task_id: str) -> HttpResponse:
    """Do it and go back to the page of the list that was looked at; a refusal is said there."""
    try:
        verb(task_id)
    except Refused as refused:
        messages.error(request, gettext(str(refused)))
    page = request.POST.get("page", "")
    return redirect(f"/?page={page}" if page.isdecimal() and page != "1" else "/")


def _page(request: HttpRequest, form: AddForm, status: int = 200) -> HttpResponse:
    tasks = Paginator(Task.objects.newest_first(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "tasks": tasks,
        "rows": [_row(task) for task in tasks],
        "script_data": _script_data(list(tasks), tasks.number),
    }
    return render(request, "downloads/page.html", context, status=status)


def _script_data(tasks: list[Task], page: int) -> dict[str, Any]:
    """Give the scripts what they go on from: the tasks on this page, and the rules and words that show them."""
    return {
        "tasks": [task_json(task) for task in tasks],
        "page": page,
        "page_size": PAGE_SIZE,
        "language": get_language(),
        "phrases": PHRASES,
        "states": dict(Status.choices),
        "stopping": STOPPING,
        "start_verbs": START_VERBS,
        "running": sorted(RUNNING),
        "unfinished": sorted(UNFINISHED),
        "with_bar": sorted(WITH_BAR),
        "with_error": sorted(WITH_ERROR),
        "sentences": {
            english: own for english in (*SENTENCES.values(), *REFUSALS) if (own := gettext(english)) != english
        },
    }


def _row(task: Task) -> dict[str, Any]:
    """Say a task as the list shows it, where empty texts are left out. `static/downloads/row.js` says the same."""
    status = Status(task.status)
    percentage = task.progress_percentage
    is_downloading = status == Status.DOWNLOADING
    wait = (task.available_at - timezone.now()).total_seconds() if task.available_at else 0
    return {
        "id": task.id,
        "url": task.url,
        "status": status.value,
        "title": task.title or task.url,
        "site": task.site or urlsplit(task.url).hostname,
        "state": STOPPING[Stop(task.stop)] if task.stop else status.label,
        "has_bar": status in WITH_BAR and (status in RUNNING or percentage > 0),
        "value": None if status in RUNNING and not (percentage or task.total_bytes) else f"{percentage:.1f}",
        "percent": f"{number_format(percentage, 1)}%" if status in WITH_BAR and percentage else "",
        "bytes": _bytes(task) if status in WITH_BAR and task.downloaded_bytes else "",
        "speed": PHRASES["speed"].format(size=filesizeformat(task.speed)) if is_downloading and task.speed else "",
        "left": PHRASES["left"].format(time=_duration(task.eta)) if is_downloading and task.eta else "",
        "error": gettext(task.error_message) if status in WITH_ERROR and task.error_message else "",
        "retry": _retry(wait, task) if status == Status.QUEUED and wait > 0 else "",
        "file": filesizeformat(task.file_size) if status == Status.COMPLETED else "",
        "start": START_VERBS.get(status, ""),
        "can_cancel": status in UNFINISHED and task.stop in (Stop.NONE, Stop.PAUSE),
        "can_delete": task.stop != Stop.DELETE,
    }


def _bytes(task: Task) -> str:
    done = filesizeformat(task.downloaded_bytes)
    return PHRASES["bytes"].format(done=done, total=filesizeformat(task.total_bytes)) if task.total_bytes else done


def _retry(wait: float, task: Task) -> str:
    return PHRASES["retry"].format(time=_duration(wait), number=task.failures + 1)


def _duration(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    h, m = divmod(minutes, 60)
    return PHRASES["hours" if h else "minutes" if m else "seconds"].format(h=h, m=m, s=s)
