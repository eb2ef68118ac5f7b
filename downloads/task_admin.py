"""The administrator's view of tasks: everything to see, nothing to break. What is done goes by the common verbs."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from downloads import batches, operations
from downloads.batches import STOPPING, Verdicts
from downloads.models import Attempt, Task
from downloads.refusals import Refused
from downloads.states import RUNNING, Status
from downloads.wish_admin import TASK_FIELDSETS, TaskForm
from downloads.words import number_text

NAME_LENGTH: Final = 60  # a link without a blank would push every other column out of sight
AT_MOST: Final = 5_000  # tasks that one action takes
AT_ONCE: Final = 500  # of them in one transaction
NAMED: Final = 10  # of those that are about to be deleted


@dataclass(frozen=True)
class Deletion:
    """What goes when these tasks are deleted; the items of playlists go with them."""

    names: Sequence[str]
    unnamed: str
    task_count: int
    item_count: int
    running_count: int
    file_count: int
    file_size: str

    @classmethod
    def of(cls, ids: Sequence[str]) -> Self:
        """Count."""
        chosen = Task.objects.filter(pk__in=ids)
        is_item, has_file = ~Q(pk__in=ids), Q(status=Status.COMPLETED) & ~Q(file_name="")
        found = Task.objects.filter(Q(pk__in=ids) | Q(playlist__in=ids)).aggregate(
            tasks=Count("pk", filter=~is_item),
            items=Count("pk", filter=is_item),
            running=Count("pk", filter=Q(status__in=RUNNING, is_playlist=False)),
            files=Count("pk", filter=has_file),
            size=Coalesce(Sum("file_size", filter=has_file), 0),
        )
        names = [str(task) for task in chosen.newest_first()[:NAMED]]
        return cls(
            names=names,
            unnamed=number_text(found["tasks"] - len(names)) if found["tasks"] > len(names) else "",
            task_count=found["tasks"],
            item_count=found["items"],
            running_count=found["running"],
            file_count=found["files"],
            file_size=filesizeformat(found["size"]),
        )


class ErrorMixin:
    """For rows that may have failed."""

    @admin.display(description=_("what happened"))
    def what_happened(self, row: Task | Attempt) -> str:
        """Say the error in the reader's language; it is kept in English."""
        return gettext(row.error_message) if row.error_message else ""


class AttemptInline(ErrorMixin, admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    """What each run at the task came to."""

    model = Attempt
    fields = readonly_fields = (
        "number",
        "worker",
        "started_at",
        "ended_at",
        "outcome",
        "bytes_on_disk",
        "error_code",
        "what_happened",
    )
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ANN401, ARG002  Django's interface
        """Workers write these."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ANN401, ARG002
        """Workers write these."""
        return False


class TaskAdmin(ErrorMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Tasks, to add, see, start, cancel and delete. A saved form would overwrite what a worker has written since."""

    list_display = ("name", "status", "site", "progress", "size", "created_at")
    list_filter = ("status", "keep", "quality", "post_processing", "site")
    search_fields = ("title", "url", "uploader")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    list_per_page = 50
    show_full_result_count = False
    actions = ("start", "pause", "cancel", "retry", "keep_for_good", "keep_no_more", "delete_selected")
    inlines = (AttemptInline,)
    fieldsets = (
        (None, {"fields": ("id", "title", "url", "site", "uploader", "upload_date", "duration", "media_id")}),
        (_("What was asked for"), {"fields": ("quality", "post_processing", "choices", "custom_filename", "keep")}),
        (
            _("Playlist"),
            {"fields": ("is_playlist", "playlist", "playlist_index", "playlist_total", "playlist_skipped")},
        ),
        (
            _("How far it is"),
            {
                "fields": (
                    "status",
                    "stop",
                    "progress",
                    "size",
                    "speed",
                    "eta",
                    "worker",
                    "failures",
                    "available_at",
                    "waits_for",
                )
            },
        ),
        (_("When"), {"fields": ("created_at", "started_at", "finished_at")}),
        (
            _("How it ended"),
            {
                "fields": (
                    "file_name",
                    "side_files",
                    "file_size",
                    "what_happened",
                    "error_code",
                    "error_reason",
                    "error_detail",
                )
            },
        ),
    )
    readonly_fields = ("progress", "size", "what_happened")

    @admin.display(description=_("title"), ordering="title")
    def name(self, task: Task) -> str:
        """Show the title, or the link while there is none."""
        return Truncator(task).chars(NAME_LENGTH)

    @admin.display(description=_("progress"), ordering="progress_percentage")
    def progress(self, task: Task) -> str:
        """Draw a bar, and say it in figures."""
        percentage = f"{task.progress_percentage:.1f}"
        return format_html('<progress max="100" value="{}"></progress> {}%', percentage, percentage)

    @admin.display(description=_("size"), ordering="total_bytes")
    def size(self, task: Task) -> str:
        """Show what there is, and what there will be."""
        sizes = [filesizeformat(size) for size in (task.downloaded_bytes, task.total_bytes) if size]
        return " / ".join(dict.fromkeys(sizes)) or "–"

    def get_form(self, request: HttpRequest, obj: Task | None = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: ANN401, FBT001, FBT002  Django's interface
        """Ask for all that can be wished for, when there is no task yet."""
        return super().get_form(request, obj, change, **kwargs) if obj else TaskForm

    def get_fieldsets(self, request: HttpRequest, obj: Task | None = None) -> Any:  # noqa: ANN401
        """Show what there is, or what can be wished for."""
        return super().get_fieldsets(request, obj) if obj else TASK_FIELDSETS

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> Any:  # noqa: ANN401
        """A new one has nothing to show yet."""
        return super().get_readonly_fields(request, obj) if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Task | None) -> Any:  # noqa: ANN401
        """A new one has had no attempts."""
        return super().get_inlines(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: Task, form: Any, change: bool) -> None:  # noqa: ANN401, ARG002, FBT001
        """Add it as everybody else does."""
        obj.__dict__.update(operations.add(form.wish()).task.__dict__)

    def has_change_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:  # noqa: ARG002  Django's interface
        """Nobody edits a row that a worker may be writing."""
        return False

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Whoever may change tasks may start and cancel them."""
        return super().has_change_permission(request)

    def view_on_site(self, task: Task) -> str:
        """Lead to its own page, which is live."""
        return reverse("task", args=[task.pk])

    @admin.action(description=_("Start or resume selected tasks"), permissions=["control"])
    def start(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Start them, let them go on, or start them again."""
        count = self._do(request, tasks, batches.start_all)
        self._say(request, ngettext("%d task was started.", "%d tasks were started.", count), count)

    @admin.action(description=_("Pause selected tasks"), permissions=["control"])
    def pause(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Pause them; their bytes stay."""
        count = self._do(request, tasks, batches.pause_all)
        self._say(request, ngettext("%d task was paused.", "%d tasks were paused.", count), count)

    @admin.action(description=_("Cancel selected tasks"), permissions=["control"])
    def cancel(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Cancel them; their bytes go."""
        count = self._do(request, tasks, batches.cancel_all)
        self._say(request, ngettext("%d task was cancelled.", "%d tasks were cancelled.", count), count)

    @admin.action(description=_("Retry selected tasks"), permissions=["control"])
    def retry(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Try them again."""
        count = self._do(request, tasks, batches.retry_all)
        self._say(request, ngettext("%d task is tried again.", "%d tasks are tried again.", count), count)

    @admin.action(description=_("Keep selected tasks for good"), permissions=["control"])
    def keep_for_good(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Let no retention and no cleanup take them."""
        count = self._do(request, tasks, partial(_keep, keep=True))
        self._say(request, ngettext("%d task is kept for good.", "%d tasks are kept for good.", count), count)

    @admin.action(description=_("Do not keep selected tasks any more"), permissions=["control"])
    def keep_no_more(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Let retention and cleanup take them again."""
        count = self._do(request, tasks, partial(_keep, keep=False))
        self._say(request, ngettext("%d task is kept no more.", "%d tasks are kept no more.", count), count)

    @admin.action(description=_("Delete selected tasks"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, tasks: QuerySet[Task]) -> HttpResponse | None:
        """Ask first, and delete what was asked about: by then more tasks may match the same filters."""
        if "ids" in request.POST:
            self._delete(request, request.POST["ids"].split(","))
            return None
        ids = self._ids(request, tasks)
        return self._ask(request, ids) if ids else None

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Do the same for one."""
        if not self.has_delete_permission(request):
            raise PermissionDenied
        if not Task.objects.filter(pk=object_id).exists():
            return super().delete_view(request, object_id, extra_context)  # which says so
        if request.method != "POST":
            return self._ask(request, [object_id])
        self._delete(request, [object_id])
        return redirect("admin:downloads_task_changelist")

    def _ask(self, request: HttpRequest, ids: list[str]) -> HttpResponse:
        deletion = Deletion.of(ids)
        number = number_text(deletion.task_count)
        title = ngettext("Delete %s task?", "Delete %s tasks?", deletion.task_count) % number
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "deletion": deletion,
            "ids": ",".join(ids),
        }
        return render(request, "admin/downloads/task/deletion.html", context)

    def _delete(self, request: HttpRequest, ids: list[str]) -> None:
        delete_files = "delete_files" in request.POST
        chosen = Task.objects.filter(pk__in=ids[:AT_MOST])
        self.log_deletions(request, chosen)
        count = self._do(request, chosen, partial(batches.delete_all, delete_files=delete_files))
        self._say(request, ngettext("%d task was deleted.", "%d tasks were deleted.", count), count)

    def _ids(self, request: HttpRequest, tasks: QuerySet[Task]) -> list[str]:
        """Whose they are; none, and a message, where they are too many for one request."""
        ids = list(tasks.values_list("pk", flat=True)[: AT_MOST + 1])
        if len(ids) > AT_MOST:
            sentence = gettext("Select %s tasks at most; filters and dates narrow the list.")
            self.message_user(request, sentence % number_text(AT_MOST), messages.ERROR)
            return []
        return ids

    def _do(self, request: HttpRequest, tasks: QuerySet[Task], verb: Callable[[list[str]], Verdicts]) -> int:
        """Do it to all; say which refused and why, and return how many did not."""
        ids = self._ids(request, tasks)
        verdicts: Verdicts = {}
        for place in range(0, len(ids), AT_ONCE):
            try:
                verdicts |= verb(ids[place : place + AT_ONCE])
            except OSError as error:
                sentence = gettext("Tasks are deleted, but not all of their files: %s.") % (error.strerror or error)
                self.message_user(request, sentence, messages.ERROR)
        refused = {pk: gettext(str(verdict)) for pk, verdict in verdicts.items() if isinstance(verdict, Refused)}
        stopping = sum(verdict == STOPPING for verdict in verdicts.values())
        self._say_refusals(request, refused)
        self._say(request, ngettext("%d task is being stopped.", "%d tasks are being stopped.", stopping), stopping)
        return len(verdicts) - len(refused) - stopping

    def _say_refusals(self, request: HttpRequest, refused: dict[str, str]) -> None:
        """Say each sentence once: with the task, or with their number where it is about many."""
        for sentence, count in Counter(refused.values()).items():
            if count == 1:
                [pk] = (pk for pk, said in refused.items() if said == sentence)
                who = str(Task.objects.filter(pk=pk).first() or pk)
            else:
                who = ngettext("%d task", "%d tasks", count) % count
            self.message_user(request, f"{who}: {sentence}", messages.WARNING)

    def _say(self, request: HttpRequest, sentence: str, count: int) -> None:
        if count:
            self.message_user(request, sentence % count, messages.SUCCESS)


def _keep(ids: list[str], *, keep: bool) -> Verdicts:
    verdicts: Verdicts = {}
    for task_id in ids:
        try:
            operations.change(task_id, keep=keep)
            verdicts[task_id] = task_id
        except Refused as refused:
            verdicts[task_id] = refused
    return verdicts
