"""What the admin has: tasks, what is set for sites, presets, API keys and webhooks."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from downloads import subscriptions
from downloads.models import ApiKey, CookieJar, Event, Preset, SiteRule, Task, Tuning, WebhookDelivery, WebhookEndpoint
from downloads.refusals import Refused
from downloads.site_admin import CookieJarAdmin, SiteRuleAdmin
from downloads.task_admin import TaskAdmin
from downloads.tuning_admin import TuningAdmin
from downloads.wish_admin import PresetAdmin

admin.site.register(Task, TaskAdmin)
admin.site.register(CookieJar, CookieJarAdmin)
admin.site.register(SiteRule, SiteRuleAdmin)
admin.site.register(Preset, PresetAdmin)
admin.site.register(Tuning, TuningAdmin)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """API keys, to make and to revoke. What a key is good for never changes: make another one."""

    list_display = ("name", "public_id", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    search_fields = ("name", "public_id")
    actions = ("revoke",)
    fields = ("name", "may_read", "may_add", "may_manage", "expires_at")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:  # noqa: ANN401, ARG002  Django's interface
        """A new one has no past to show yet."""
        past = ("public_id", "created_at", "last_used_at", "revoked_at") if obj else ()
        return (*self.fields, *past)

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
    list_display = ("__str__", "url", "active", "disabled_because", "log", "created_at")
    list_filter = ("active",)
    search_fields = ("url", "description")
    readonly_fields = ("disabled_because", "log", "created_at")
    actions = ("send_test",)

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Any:  # noqa: ANN401
        """A new one has no past to show yet."""
        return super().get_readonly_fields(request, obj) if obj else ()

    @admin.display(description=_("deliveries"))
    def log(self, endpoint: WebhookEndpoint) -> str:
        """Lead to what was sent there, from where it can be sent again."""
        address = f"{reverse('admin:downloads_webhookdelivery_changelist')}?endpoint__id__exact={endpoint.pk}"
        return format_html('<a href="{}">{}</a>', address, gettext("Show"))

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
