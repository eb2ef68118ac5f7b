"""The administrator's page of settings: one row, and what of it holds."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from downloads import retention
from downloads.fields import HoursField, RateField
from downloads.models import ALWAYS, ONLY, InForce, Preset, Task, Tuning
from downloads.rates import rate_text

DAY: Final = timedelta(days=1)
RETENTION: Final = ("retention_days", "retention_gb")
AT_ONCE: Final = ("max_downloads", "speed_limit", "task_speed_limit", "working_hours")
VARIABLES: Final = {
    "max_downloads": "DOWNIE_MAX_CONCURRENT_DOWNLOADS",
    "speed_limit": "DOWNIE_SPEED_LIMIT",
    "task_speed_limit": "DOWNIE_TASK_SPEED_LIMIT",
    "working_hours": "DOWNIE_WORKING_HOURS",
    "retention_days": "DOWNIE_RETENTION_DAYS",
    "retention_gb": "DOWNIE_RETENTION_GB",
}


class TuningForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The row, each part of it checked; what is empty shows what the environment says."""

    speed_limit = RateField(
        label=_("Speed limit"),
        help_text=_(
            "Bytes a second of all downloads together, such as 500K or 20M (K is 1,024); each gets the same part. "
            "0: no limit. What runs follows, but one that looks like a browser keeps the part that it began with."
        ),
    )
    task_speed_limit = RateField(
        label=_("Speed limit of each"),
        help_text=_("Bytes a second that one download may have at most, however few there are. 0: no limit."),
    )
    working_hours = HoursField(
        label=_("Working hours"),
        help_text=_(
            "When downloads run, such as 22:00-07:00 Europe/Berlin; UTC without a time zone. “always”: at any hour. At "
            "their end what runs stops, and goes on from its bytes when they begin again; a live stream is recorded to "
            "its end."
        ),
    )

    class Meta:
        model = Tuning
        fields = tuple(VARIABLES)
        labels = {"retention_days": _("Days"), "retention_gb": _("GiB in all")}
        help_texts = {
            "max_downloads": _("1 to 100, by all workers together. With fewer nothing that runs is stopped."),
            "retention_days": _("After so many days finished tasks are deleted with their files. 0: never."),
            "retention_gb": _(
                "When all finished files are larger than this together, the oldest are deleted. 0: no limit."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Django's interface
        """Show what the environment says where nothing is entered."""
        super().__init__(*args, **kwargs)
        said = _said_by_environment()
        for name, field in self.fields.items():  # there are none for somebody who may only look
            field.widget.attrs["placeholder"] = said[name]
            default = gettext("Empty: as {variable} says: {value}.").format(variable=VARIABLES[name], value=said[name])
            field.help_text = f"{field.help_text} {default}"


def _said_by_environment() -> dict[str, str]:
    """As it could be entered."""
    environment = settings.ENVIRONMENT
    return {
        "max_downloads": str(settings.MAX_CONCURRENT_DOWNLOADS),
        "speed_limit": rate_text(settings.SPEED_LIMIT),
        "task_speed_limit": rate_text(settings.TASK_SPEED_LIMIT),
        "working_hours": str(settings.WORKING_HOURS or ALWAYS),
        "retention_days": f"{environment.retention_days:g}",
        "retention_gb": f"{environment.retention_gb:g}",
    }


class TuningAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """What is changed while it runs. The list of rows is the only row."""

    form = TuningForm
    readonly_fields = ("in_force",)

    def get_fieldsets(self, request: HttpRequest, obj: Tuning | None = None) -> Any:  # noqa: ANN401, ARG002  Django's interface
        """By what they are about; for the rest it says where that is set."""
        retained = {
            "fields": RETENTION,
            "description": _("Looked at once an hour. What is kept for good stays, whatever is entered here."),
        }
        return [
            (None, {"fields": ("in_force",), "description": _elsewhere()}),
            (_("How much at once, and when"), {"fields": AT_ONCE}),
            (_("How long finished ones stay"), retained),
        ]

    @admin.display(description=_("In force now"))
    def in_force(self, row: Tuning) -> str:
        """Say what holds, in sentences."""
        return format_html_join(mark_safe("<br>"), "{}", ((sentence,) for sentence in _sentences(row.in_force())))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Tuning | None:  # noqa: ARG002  Django's interface
        """Find the only row, also before it is stored."""
        return Tuning.objects.the_row() if object_id == str(ONLY) else None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002  Django's interface
        """Go straight to the row."""
        return HttpResponseRedirect(reverse("admin:downloads_tuning_change", args=[ONLY]))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One name and one button are enough."""
        shown = {"title": _("Settings"), "subtitle": None, "show_save_and_continue": False}
        return super().changeform_view(request, object_id, form_url, shown | (extra_context or {}))

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  Django's interface
        """There is one already."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tuning | None = None) -> bool:  # noqa: ARG002  Django's interface
        """It is emptied instead."""
        return False

    def response_change(self, request: HttpRequest, obj: Tuning) -> HttpResponse:  # noqa: ARG002  Django's interface
        """Stay on the page, and say since when it holds."""
        self.message_user(request, gettext("Saved. It holds for every process within a second or two."))
        return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: Tuning, form: Any, change: bool) -> None:  # noqa: ANN401, FBT001  Django's interface
        """Save, and warn of what is deleted because of that."""
        super().save_model(request, obj, form, change)
        if set(RETENTION) & set(form.changed_data) and (going := retention.due()):
            sentence = ngettext(
                "{count} finished task with {size} is deleted within an hour, unless you change this before.",
                "{count} finished tasks with {size} are deleted within an hour, unless you change this before.",
                len(going),
            )
            size = filesizeformat(sum(each.weight for each in going))
            self.message_user(request, sentence.format(count=number_format(len(going)), size=size), messages.WARNING)


def _elsewhere() -> str:
    """Where what else one might look for here is set."""
    preset = Preset.objects.default()
    default = gettext("the preset “{name}”").format(name=preset.name) if preset else gettext("the best quality")
    sentence = gettext(
        "What is asked for where nobody says a quality: {default}; see {presets}. What holds for single sites, "
        "downloads at once among it: see {rules}."
    )
    links = {
        "presets": format_html('<a href="{}">{}</a>', reverse("admin:downloads_preset_changelist"), gettext("presets")),
        "rules": format_html(
            '<a href="{}">{}</a>', reverse("admin:downloads_siterule_changelist"), gettext("site rules")
        ),
    }
    return format_html(sentence, default=default, **links)


def _sentences(in_force: InForce) -> Iterator[str]:
    number = {"most": number_format(in_force.max_downloads), "running": number_format(Task.objects.running().count())}
    yield gettext("At most {most} downloads at once; {running} run now.").format(**number)
    if in_force.speed_limit:
        yield gettext("{rate}/s for all together.").format(rate=filesizeformat(in_force.speed_limit))
    if in_force.task_speed_limit:
        yield gettext("{rate}/s at most for each.").format(rate=filesizeformat(in_force.task_speed_limit))
    if not (in_force.speed_limit or in_force.task_speed_limit):
        yield gettext("No limit of speed.")
    if in_force.hours is None:
        yield gettext("Downloads run at any hour.")
    elif opens_at := in_force.opens_at():
        when = {"hours": in_force.hours, "time": date_format(localtime(opens_at), "DATETIME_FORMAT")}
        yield gettext("From {time} on downloads run again, by the working hours {hours}.").format(**when)
    else:
        yield gettext("Downloads run, by the working hours {hours}.").format(hours=in_force.hours)
    yield _stay(in_force)


def _stay(in_force: InForce) -> str:
    age = in_force.retention_age / DAY
    days = ngettext("{days} day", "{days} days", 1 if age == 1 else 2).format(days=f"{age:g}")
    size = filesizeformat(in_force.retention_size)
    if in_force.retention_age and in_force.retention_size:
        sentence = gettext("Finished ones are deleted after {days}, and the oldest beyond {size} in all.")
        return sentence.format(days=days, size=size)
    if in_force.retention_age:
        return gettext("Finished ones are deleted after {days}.").format(days=days)
    if in_force.retention_size:
        return gettext("The oldest finished ones are deleted beyond {size} in all.").format(size=size)
    return gettext("Finished ones stay until somebody deletes them.")
