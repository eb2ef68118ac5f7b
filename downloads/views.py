"""The pages, rendered here first. With JavaScript they go on live by the API and the feed, in the same words."""

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from downloads import details, operations, storage, words
from downloads.asked import ORDERS, PAGE_SIZE, Asked
from downloads.forms import AddForm, ChangeForm
from downloads.models import STARTABLE, Task
from downloads.operations import Added
from downloads.refusals import Refused
from downloads.rows import row_of, row_words, rows_html
from downloads.schemas import task_json
from downloads.seen import seen
from downloads.states import WAITING, Status
from downloads.words import PHRASES, TAB_NAMES, number_text

if TYPE_CHECKING:
    from downloads.models import TaskQuerySet

THEMES = {"system": _("System"), "light": _("Light"), "dark": _("Dark")}
THEME_KEPT = 365 * 24 * 3600  # seconds
A_LINK = re.compile(r"https?://[^\s<>\"]+")
VERBS: dict[str, Callable[[str], object]] = {
    "start": operations.start,
    "pause": operations.pause,
    "finish": operations.finish,
    "cancel": operations.cancel,
    "delete": operations.delete,
    "keep": partial(operations.change, keep=True),
    "release": partial(operations.change, keep=False),
}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    """Show the page; posted to, add links and start them."""
    return _add(request) if request.method == "POST" else _home(request, AddForm())


@never_cache
@require_safe
def add(request: HttpRequest) -> HttpResponse:
    """Show the page with a link in its field, and do nothing until somebody says so.

    This is where bookmarklets, launchers and the Share menu of a phone lead to. Some apps share a text that holds the
    link somewhere.
    """
    url = request.GET.get("url", "").strip()
    if not url:
        shared = f"{request.GET.get('text', '')} {request.GET.get('title', '')}"
        found = A_LINK.search(shared)
        url = found[0] if found else shared.strip()
    return _home(request, AddForm(initial={"url": url}), is_sent_here=True)


def _add(request: HttpRequest) -> HttpResponse:
    form = AddForm(request.POST)
    by_script = request.headers.get("Accept", "").startswith("application/json")
    if not form.is_valid():
        if by_script:
            return JsonResponse({"detail": form.sentence()}, status=400)
        return _home(request, form, status=400)
    links = form.cleaned_data["url"]
    results = [_said(link, result) for link, result in zip(links, operations.add_all(form.wishes()), strict=True)]
    if by_script:
        return JsonResponse({"results": results})
    left = [result for result in results if result["status"] != "created"]
    if not left:
        return redirect("home")
    if len(left) == 1 and left[0]["status"] == "error":
        form.add_error("url", left[0]["error"])
    return _home(request, form, status=400, left=left)


def _said(link: str, result: Added | Refused) -> dict[str, Any]:
    """What became of a link, as pages and scripts are told."""
    if isinstance(result, Refused):
        return {"url": link, "status": "error", "error": gettext(str(result))}
    task = result.task
    state = Status(task.status).label
    here = {"title": task.title or task.url, "sentence": PHRASES["here"].format(state=state)}
    return {"url": link, "task_id": task.id, "status": "created" if result.is_new else "exists", **here}


@require_POST
def act(request: HttpRequest, task_id: str, verb: str) -> HttpResponse:
    """Do it and go back to where the button was; a refusal is said there."""
    if verb not in VERBS:
        raise Http404
    try:
        if verb == "delete":
            operations.delete(task_id, delete_file="delete_file" in request.POST)
        else:
            VERBS[verb](task_id)
    except Refused as refused:
        messages.error(request, gettext(str(refused)))
    return redirect(_way_back(request))


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember whether the pages shall be light or dark."""
    response = redirect(_way_back(request))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie("theme", chosen, max_age=THEME_KEPT, path=reverse("home"), samesite="Lax", httponly=True)
    return response


def _way_back(request: HttpRequest) -> str:
    address = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(address, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return address
    return reverse("home")


def _home(request: HttpRequest, form: AddForm, status: int = 200, **extra: object) -> HttpResponse:
    asked = Asked.by(request.GET if request.path == reverse("home") else QueryDict())
    context = {"form": form, "view": _view(request), **_list(asked), **extra}
    return render(request, "downloads/page.html", context, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def task(request: HttpRequest, task_id: str) -> HttpResponse:
    """Show everything about a task; posted to, change what was asked for, and try again."""
    try:
        found = operations.find(task_id)
    except Refused as refused:
        context = {"view": _view(request), "sentence": gettext(str(refused)), "script_data": words.for_scripts()}
        return render(request, "downloads/gone.html", context, status=404)
    form = ChangeForm(request.POST or None, initial={"custom_filename": found.custom_filename, **_form_of(found)})
    if request.method == "POST" and form.is_valid() and _change(form, found):
        return redirect("task", found.id)
    return _task(request, found, form)


def _form_of(task: Task) -> dict[str, str]:
    return {"quality": task.quality, "post_processing": task.post_processing}


def _change(form: ChangeForm, task: Task) -> bool:
    """Whether it was changed and begun again; the form says why not."""
    given = form.cleaned_data
    cookies = given["cookies"].strip()
    try:
        operations.change(
            task.id,
            quality=given["quality"],
            post_processing=given["post_processing"],
            custom_filename=given["custom_filename"],
            cookies=cookies or None,
        )
        operations.start(task.id)
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, gettext(str(refused)))
        return False
    return True


def _task(request: HttpRequest, task: Task, form: ChangeForm) -> HttpResponse:
    asked = replace(Asked.by(request.GET), playlist=task.id, order="created_at")
    media = details.media(task) if not task.is_playlist else None
    told = task_json(task)
    context = {
        "view": _view(request),
        "task": task,
        "form": form,
        "can_change": task.status in STARTABLE and not task.is_playlist,
        "next_step": details.next_step(task),
        "until": details.waiting(task).until,
        "can_keep": details.is_let_go(task),
        "history": details.history(task),
        "options": details.options(task),
        "streams": details.streams(media) if media else [],
        "playlist": task.playlist,
        "side_files": told["side_files"],
        "row": row_of(task),
        **(_list(asked, task=told) if task.is_playlist else {"script_data": words.for_scripts(task=told)}),
    }
    return render(request, "downloads/task.html", context, status=400 if form.is_bound else 200)


def _list(asked: Asked, **more: object) -> dict[str, Any]:
    """What shows a page of the list, and what scripts go on from, with more that they are told."""
    page = asked.tasks()
    tasks = seen(cast("TaskQuerySet", page.object_list))
    or_more = "" if asked.candidates.is_counted else "+"
    tabs = [
        {
            "name": name,
            "label": label,
            "count": number_text(asked.count(name)) + or_more,
            "address": asked.address(tab=name),
            "is_chosen": name == asked.tab,
        }
        for name, label in TAB_NAMES.items()
    ]
    pages = page.paginator.num_pages
    return {
        "asked": asked,
        "tabs": tabs,
        "orders": [(name, label) for name, (label, _columns) in ORDERS.items()],
        "rows": rows_html(tasks),
        "page_words": PHRASES["page"].format(number=number_text(page.number), total=number_text(pages) + or_more),
        "newer": asked.address(page=str(page.number - 1)) if page.number > 1 else "",
        "older": asked.address(page=str(page.number + 1)) if page.number < pages else "",
        "script_data": words.for_scripts(
            tasks=[each.json for each in tasks],
            asked=asdict(asked) | {"page": page.number},
            usual=asdict(Asked()) | {"page": 1},
            total=page.paginator.count,
            is_part=bool(or_more),
            counts=asked.counts,
            page_size=PAGE_SIZE,
            **more,
        ),
    }


def _view(request: HttpRequest) -> dict[str, Any]:
    """What every page shows around its own part."""
    running = Task.objects.running().count()
    waiting = Task.objects.filter(status__in=WAITING, is_playlist=False).count()
    room = storage.room(Task.objects.bytes_to_come())
    chosen = request.COOKIES.get("theme", "system")
    return {
        "theme": chosen if chosen in THEMES else "system",
        "themes": THEMES.items(),
        "active": PHRASES["active"].format(number=number_text(running)),
        "waiting": PHRASES["waiting"].format(number=number_text(waiting)),
        "free_bytes": room.free_bytes,
        "is_short": room.is_short,
        "row": row_words(words.language()),
        "here": request.get_full_path() if request.method in ("GET", "HEAD") else reverse("home"),
    }


@never_cache
@require_safe
def send_here(request: HttpRequest) -> HttpResponse:
    """Tell how links come here from elsewhere: bookmarklet, address, Share menu, script."""
    base = request.build_absolute_uri(reverse("add"))
    bookmarklet = f"javascript:void(open('{base}?url='+encodeURIComponent(location.href)))"
    context = {"view": _view(request), "base": base, "bookmarklet": bookmarklet, "script_data": words.for_scripts()}
    return render(request, "downloads/send_here.html", context)


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  a view
    """Say how the page is installed as an app, and that links can be shared to it."""
    icons = [
        {"src": static(f"downloads/{name}"), "sizes": size, "type": kind, "purpose": purpose}
        for name, size, kind, purpose in (
            ("icon-192.png", "192x192", "image/png", "any"),
            ("icon-512.png", "512x512", "image/png", "any"),
            ("icon-maskable.png", "512x512", "image/png", "maskable"),
            ("icon.svg", "any", "image/svg+xml", "any"),
        )
    ]
    content = {
        "id": reverse("home"),
        "name": "Downie Enhanced",
        "short_name": "Downie",
        "description": gettext("Paste a link, get a finished file."),
        "lang": get_language(),
        "start_url": reverse("home"),
        "scope": reverse("home"),
        "display": "standalone",
        "background_color": "#f5f6f8",
        "theme_color": "#4353d8",
        "icons": icons,
        "share_target": {
            "action": reverse("add"),
            "method": "GET",
            "enctype": "application/x-www-form-urlencoded",
            "params": {"title": "title", "text": "text", "url": "url"},
        },
        "shortcuts": [{"name": gettext("Add a link"), "url": reverse("add")}],
    }
    return JsonResponse(content, content_type="application/manifest+json")


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  a view
    """Send the script of the installed app from the root, since it may look after no more than its own folder."""
    text = Path(settings.STATICFILES_DIRS[0], "downloads", "service-worker.js").read_text()
    return HttpResponse(text, content_type="text/javascript; charset=utf-8", headers={"Cache-Control": "no-cache"})
