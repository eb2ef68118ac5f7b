"""The administrator's view of tasks: everything to see, nothing to break. What is done goes through `operations`."""

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from downloads import operations, subscriptions
from downloads.models import ApiKey, Attempt, CookieJar, Event, Preset, SiteRule, Task, WebhookDelivery, WebhookEndpoint
from downloads.refusals import Refused
from downloads.site_admin import CookieJarAdmin, SiteRuleAdmin
from downloads.wish_admin import TASK_FIELDSETS, PresetAdmin, TaskForm

NAME_LENGTH = 60  # a link without a blank would push every other column out of sight

admin.site.register(CookieJar, CookieJarAdmin)
admin.site.register(SiteRule, SiteRuleAdmin)
admin.site.register(Preset, PresetAdmin)


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


@admin.register(Task)
class TaskAdmin(ErrorMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Tasks, to add, see, start, cancel and delete. A saved form would overwrite what a worker has written since."""

    list_display = ("name", "status", "site", "progress", "size", "created_at")
    list_filter = ("status", "keep", "quality", "post_processing", "site")
    search_fields = ("title", "url", "uploader")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    list_per_page = 50
    show_full_result_count = False
    actions = ("start", "cancel", "keep", "keep_no_more")
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

    @admin.action(description=_("Start selected tasks"), permissions=["control"])
    def start(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Start them, or start them again."""
        done = self._each(operations.start, request, tasks)
        self._say(request, done, ngettext("%d task was started.", "%d tasks were started.", done))

    @admin.action(description=_("Cancel selected tasks"), permissions=["control"])
    def cancel(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Cancel them."""
        done = self._each(operations.cancel, request, tasks)
        self._say(request, done, ngettext("%d task was cancelled.", "%d tasks were cancelled.", done))

    @admin.action(description=_("Keep selected tasks for good"), permissions=["control"])
    def keep(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Let no retention and no cleanup take them."""
        done = self._each(partial(operations.change, keep=True), request, tasks)
        self._say(request, done, ngettext("%d task is kept for good.", "%d tasks are kept for good.", done))

    @admin.action(description=_("Do not keep selected tasks any more"), permissions=["control"])
    def keep_no_more(self, request: HttpRequest, tasks: QuerySet[Task]) -> None:
        """Let retention and cleanup take them again."""
        done = self._each(partial(operations.change, keep=False), request, tasks)
        self._say(request, done, ngettext("%d task is kept no more.", "%d tasks are kept no more.", done))

    def delete_model(self, request: HttpRequest, obj: Task) -> None:  # noqa: ARG002  Django's interface
        """Stop and delete it; the finished file stays."""
        _delete([obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:  # noqa: ARG002
        """Stop and delete them; finished files stay."""
        _delete(list(queryset.values_list("pk", flat=True)))

    def _each(self, verb: Callable[[str], object], request: HttpRequest, tasks: QuerySet[Task]) -> int:
        """Do it to each; say which refused and why, and return how many did not."""
        done = 0
        for task in tasks:
            try:
                verb(task.pk)
            except Refused as refused:
                self.message_user(request, f"{task}: {gettext(str(refused))}", messages.WARNING)
            else:
                done += 1
        return done

    def _say(self, request: HttpRequest, done: int, sentence: str) -> None:
        if done:
            self.message_user(request, sentence % done, messages.SUCCESS)


def _delete(ids: Iterable[str]) -> None:
    """Delete once the admin's own transaction is over: while it is open, no worker could write that it has stopped."""
    for task_id in ids:
        transaction.on_commit(partial(_delete_one, task_id))


def _delete_one(task_id: str) -> None:
    with contextlib.suppress(Refused):  # somebody else was faster
        operations.delete(task_id)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """API keys, to make and to revoke. What a key is good for never changes: make another one."""

    list_display = ("name", "public_id", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    search_fields = ("name", "public_id")
    actions = ("revoke",)
    fields = ("name", "may_read", "may_add", "may_manage", "expires_at")

    @admin.display(description=_("good for"))
    def scopes(self, key: ApiKey) -> str:
        """List them."""
        return ", ".join(key.scopes)

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:  # noqa: ARG002  Django's interface
        """Keys stay what they were made for."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may change keys may revoke them."""
        return super().has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: Any) -> None:  # noqa: ANN401
        """Draw the secret and show the key, this once."""
        text = obj.draw_secret()
        super().save_model(request, obj, form, change)
        sentence = gettext("The key is %s. Copy it now: it is not kept and cannot be shown again.")
        self.message_user(request, sentence % text, messages.WARNING)

    @admin.action(description=_("Revoke selected keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """Make them useless at once."""
        for key in keys:
            key.revoke()
        self.message_user(request, gettext("They open nothing any more."), messages.SUCCESS)


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A webhook, its address held to the same rules as in the API."""

    events = forms.MultipleChoiceField(
        label=_("Events"), choices=Event.choices, initial=Event.values, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = WebhookEndpoint
        fields = ("url", "events", "description", "active")
        widgets = {"url": AdminTextInputWidget(attrs={"size": 80})}

    def clean_url(self) -> str:
        """Take what the API would."""
        try:
            return subscriptions.checked_url(self.cleaned_data["url"])
        except Refused as refused:
            raise forms.ValidationError(gettext(str(refused))) from None


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Who is told of what."""

    form = WebhookForm
    list_display = ("__str__", "url", "active", "disabled_because", "created_at")
    list_filter = ("active",)
    search_fields = ("url", "description")
    readonly_fields = ("disabled_because", "created_at")
    actions = ("send_test",)

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Any:  # noqa: ANN401
        """A new one has no past to show yet."""
        return super().get_readonly_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:  # noqa: ANN401, FBT001  Django's interface
        """Show the secret of a new one, this once."""
        if obj.active:
            obj.disabled_because = ""
        secret = "" if change else obj.make_secret()
        super().save_model(request, obj, form, change)
        if secret:
            sentence = gettext("The secret is %s. Copy it now: it cannot be shown again.")
            self.message_user(request, sentence % secret, messages.WARNING)

    @admin.action(description=_("Send a test to selected webhooks"), permissions=["change"])
    def send_test(self, request: HttpRequest, webhooks: QuerySet[WebhookEndpoint]) -> None:
        """Send a message of the type `webhook.test`."""
        _for_each(self, request, webhooks, subscriptions.test, gettext("A test is on its way to %s."))


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """The log of what was sent, for 30 days."""

    list_display = ("id", "event", "endpoint", "task_id", "status", "attempts", "last_code", "created_at")
    list_filter = ("status", "event", "endpoint")
    list_select_related = ("endpoint",)
    search_fields = ("id", "task_id")
    ordering = ("-created_at", "-id")
    show_full_result_count = False
    actions = ("send_again",)
    fields = (
        "id",
        "endpoint",
        "event",
        "task_id",
        "status",
        "attempts",
        "created_at",
        "due_at",
        "ended_at",
        "last_code",
        "last_error",
        "last_answer",
        "last_duration",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  Django's interface
        """Deliveries come from what happens."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:  # noqa: ARG002
        """A log stays as it is."""
        return False

    def has_again_permission(self, request: HttpRequest) -> bool:
        """Whoever may change deliveries may send them once more."""
        return super().has_change_permission(request)

    @admin.action(description=_("Send selected deliveries again"), permissions=["again"])
    def send_again(self, request: HttpRequest, deliveries: QuerySet[WebhookDelivery]) -> None:
        """Send them once more, under the same ids."""
        _for_each(self, request, deliveries, subscriptions.redeliver, gettext("%s is on its way again."))


def _for_each(
    page: "admin.ModelAdmin[Any]",
    request: HttpRequest,
    rows: QuerySet[Any],
    verb: Callable[[str], object],
    sentence: str,
) -> None:
    """Do it to each, and say of each that it was done, or why not."""
    for row in rows:
        try:
            verb(row.pk)
        except Refused as refused:
            page.message_user(request, f"{row}: {gettext(str(refused))}", messages.WARNING)
        else:
            page.message_user(request, sentence % row, messages.SUCCESS)
