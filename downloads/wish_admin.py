"""The administrator's way to say what is wanted: presets, and tasks by all that can be wished for."""

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from downloads import operations
from downloads.choice_forms import ChoicesForm, WishForm, filled_in
from downloads.engine.formats import PostProcessing, Quality
from downloads.forms import POST_PROCESSING, QUALITIES
from downloads.models import Preset, Task
from downloads.operations import Wish
from downloads.refusals import Refused

WISHES: Final[tuple[Any, ...]] = (
    (_("Picture and sound"), {"fields": ("container", "video_codec", "max_height", "audio_format", "max_megabytes")}),
    (_("Subtitles"), {"fields": ("languages", "auto_subtitles", "subtitles_place")}),
    (_("What else goes along"), {"fields": ("thumbnail", "metadata", "chapters", "sponsorblock")}),
    (_("A part of it"), {"fields": ("section_from", "section_to")}),
    (_("Playlists and live streams"), {"fields": ("playlist_items", "skip_existing", "live_from_start")}),
)


class PresetForm(WishForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A preset, its finer wishes one field each."""

    class Meta:
        model = Preset
        fields = ("name", "description", "quality", "post_processing", "is_default")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as Django's forms
        """Fill in what the preset says."""
        preset = kwargs.get("instance")
        if preset:
            kwargs["initial"] = filled_in(preset.choices) | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)


class PresetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Named sets of wishes, one of which may be the default."""

    form = PresetForm
    list_display = ("name", "description", "quality", "post_processing", "wishes", "is_default")
    search_fields = ("name", "description")
    fieldsets = ((None, {"fields": ("name", "description", "is_default", "quality", "post_processing")}), *WISHES)

    @admin.display(description=_("finer wishes"))
    def wishes(self, preset: Preset) -> str:
        """Name them."""
        return ", ".join(preset.choices) or "–"

    def save_model(self, request: HttpRequest, obj: Preset, form: Any, change: bool) -> None:  # noqa: ANN401, ARG002, FBT001  Django's interface
        """Keep the finer wishes with the rest; as the default it is the only one."""
        obj.choices = operations.checked_choices(form.choices())
        obj.store()


class TaskForm(ChoicesForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A new task. What is left empty is as the preset says."""

    url = forms.CharField(label=_("Link"), max_length=8192, widget=forms.TextInput(attrs={"size": 80}))
    preset = forms.ModelChoiceField(
        label=_("Preset"), queryset=Preset.objects.all(), to_field_name="name", required=False, empty_label=_("default")
    )
    quality = forms.TypedChoiceField(
        label=_("Quality"),
        choices=(("", _("as the preset says")), *QUALITIES),
        coerce=Quality,
        empty_value=None,
        required=False,
    )
    post_processing = forms.TypedChoiceField(
        label=_("Format"),
        choices=(("", _("as the preset says")), *POST_PROCESSING),
        coerce=PostProcessing,
        empty_value=None,
        required=False,
    )
    custom_filename = forms.CharField(label=_("File name"), max_length=1000, required=False)
    cookies = forms.CharField(
        label=_("Cookies"), required=False, widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"})
    )
    auto_start = forms.BooleanField(label=_("Start it at once"), required=False, initial=True)

    class Meta:
        model = Task
        fields = ("url",)

    def clean(self) -> dict[str, Any]:
        """Refuse what the API would refuse, with its sentence."""
        cleaned = super().clean()
        if not self.errors:
            try:
                self.wish().task(None)
            except Refused as refused:
                field = refused.field if refused.field in self.fields else None
                self.add_error(field, gettext(str(refused)))
        return cleaned

    def wish(self) -> Wish:
        """What was filled in."""
        said = self.cleaned_data
        return Wish(
            url=said["url"],
            preset=said["preset"].name if said["preset"] else "",
            quality=said["quality"],
            post_processing=said["post_processing"],
            choices=self.choices(),
            cookies=said["cookies"],
            custom_filename=said["custom_filename"],
            auto_start=said["auto_start"],
        )


TASK_FIELDSETS: Final[tuple[Any, ...]] = (
    (
        None,
        {"fields": ("url", "preset", "quality", "post_processing", "custom_filename", "cookies", "auto_start")},
    ),
    *WISHES,
)
