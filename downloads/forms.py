"""What the pages let people choose."""

import re
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from downloads.engine.choices import (
    LANGUAGE,
    MAX_LANGUAGES,
    MAX_SECONDS,
    AudioFormat,
    Container,
    Place,
    Sponsors,
    parse_clock,
)
from downloads.engine.formats import PostProcessing, Quality
from downloads.models import Preset
from downloads.operations import IfExists, Wish

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAX_LINKS = 1000

QUALITIES = (
    (Quality.BEST, _("Best quality")),
    (Quality.AUTO, _("Plays everywhere, up to 1080p")),
    (Quality.P2160, _("Up to 2160p (4K)")),
    (Quality.P1440, _("Up to 1440p")),
    (Quality.P1080, _("Up to 1080p")),
    (Quality.P720, _("Up to 720p")),
    (Quality.P480, _("Up to 480p")),
    (Quality.P360, _("Up to 360p")),
    (Quality.WORST, _("Smallest file")),
)
POST_PROCESSING = (
    (PostProcessing.NONE, _("Original")),
    (PostProcessing.AUDIO, _("Audio only")),
    (PostProcessing.MP4, _("MP4")),
    (PostProcessing.PERMUTE, _("MP4 for every device")),
)
CONTAINERS: tuple[tuple[str, "StrOrPromise"], ...] = (
    ("", _("As the site has it")),
    (Container.MP4, "MP4"),
    (Container.MKV, "MKV"),
    (Container.WEBM, "WebM"),
)
AUDIO_FORMATS: tuple[tuple[str, "StrOrPromise"], ...] = (
    ("", _("As the site has it")),
    (AudioFormat.M4A, "M4A"),
    (AudioFormat.MP3, "MP3"),
    (AudioFormat.OPUS, "Opus"),
    (AudioFormat.FLAC, "FLAC"),
    (AudioFormat.WAV, "WAV"),
)
SPONSORS: tuple[tuple[str, "StrOrPromise"], ...] = (
    ("", _("Leave them in")),
    (Sponsors.MARK, _("Mark them as chapters")),
    (Sponsors.CUT, _("Cut them out")),
)


class ClockField(forms.CharField):
    """A place in a video: seconds, or as players show it. `1:30` is 90.0; None where nothing is given."""

    def clean(self, value: Any) -> float | None:  # noqa: ANN401  as in Django
        """Take `90`, `1:30` and `1:02:03.5`."""
        text = super().clean(value)
        if not text:
            return None
        try:
            seconds = parse_clock(text)
        except ValueError:
            sentence = _("A place in the video is written like 1:30, or in seconds like 90.")
            raise forms.ValidationError(sentence) from None
        if seconds > MAX_SECONDS:
            raise forms.ValidationError(_("No video is that long."))
        return seconds


class LanguagesField(forms.CharField):
    """Languages with commas or spaces between them, as a list."""

    def clean(self, value: Any) -> list[str]:  # noqa: ANN401  as in Django
        """Take `en, zh-Hans`."""
        languages = re.split(r"[\s,;，、]+", super().clean(value).strip(" ,;，、"))
        languages = [language for language in languages if language]
        if len(languages) > MAX_LANGUAGES or any(not re.fullmatch(LANGUAGE, language) for language in languages):
            raise forms.ValidationError(_("Languages are given by their codes, such as en, zh-Hans."))
        return languages


class ChangeForm(forms.Form):
    """In which form a link is wanted, as far as that can still be changed later."""

    quality = forms.TypedChoiceField(
        label=_("Quality"), choices=QUALITIES, coerce=Quality, required=False, empty_value=Quality.BEST
    )
    post_processing = forms.TypedChoiceField(
        label=_("Format"),
        choices=POST_PROCESSING,
        coerce=PostProcessing,
        required=False,
        empty_value=PostProcessing.NONE,
    )
    custom_filename = forms.CharField(
        label=_("File name"),
        max_length=1000,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": _("as the site calls it"), "autocomplete": "off", "dir": "auto"}),
    )
    cookies = forms.CharField(
        label=_("Cookies"),
        max_length=64 * 1024,
        required=False,
        strip=False,
        help_text=_("A Cookie header, a cookies.txt, or what a browser extension exports. They are kept encrypted."),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"}),
    )

    def sentence(self) -> str:
        """Say what is wrong with the input; empty if nothing is."""
        return next((str(problem) for problems in self.errors.values() for problem in problems), "")


class AddForm(ChangeForm):
    """A link or many, and the form in which they are wanted."""

    url = forms.CharField(
        label=_("Link"),
        error_messages={"required": _("Paste a link first.")},
        widget=forms.TextInput(
            attrs={
                "type": "text",  # not `url`: a browser would refuse `example.com/video`, which we take
                "inputmode": "url",
                "enterkeyhint": "go",
                "placeholder": _("Paste a link to a video or a song"),
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "autofocus": True,
                "dir": "auto",
                "aria-describedby": "add-error",
            }
        ),
    )
    preset = forms.ModelChoiceField(
        label=_("Preset"), queryset=Preset.objects.all(), to_field_name="name", required=False, empty_label=_("None")
    )
    clip_from = ClockField(label=_("Clip from"), required=False, widget=forms.TextInput(attrs={"placeholder": "0:00"}))
    clip_to = ClockField(
        label=_("Clip to"), required=False, widget=forms.TextInput(attrs={"placeholder": _("the end")})
    )
    subtitles = LanguagesField(
        label=_("Subtitles"),
        required=False,
        max_length=300,
        help_text=_("Codes of languages; “all” takes every one."),
        widget=forms.TextInput(attrs={"placeholder": "en, zh-Hans", "autocomplete": "off"}),
    )
    auto_subtitles = forms.BooleanField(label=_("Machine-made subtitles too"), required=False)
    container = forms.ChoiceField(label=_("Container"), choices=CONTAINERS, required=False)
    audio_format = forms.ChoiceField(label=_("Sound as"), choices=AUDIO_FORMATS, required=False)
    sponsorblock = forms.ChoiceField(label=_("Sponsored parts"), choices=SPONSORS, required=False)
    tags = forms.BooleanField(label=_("Title, uploader and chapters in the file"), required=False)
    thumbnail = forms.BooleanField(label=_("Picture in the file"), required=False)
    playlist_items = forms.RegexField(
        label=_("Entries of a playlist"),
        regex=r"^[\d,\s-]*$",
        max_length=5000,
        required=False,
        error_messages={"invalid": _("Entries are given by their numbers, such as 1-10,15.")},
        widget=forms.TextInput(attrs={"placeholder": "1-10,15", "autocomplete": "off"}),
    )
    skip_existing = forms.BooleanField(label=_("Leave out entries that are here already"), required=False)
    max_height = forms.IntegerField(required=False, min_value=0, max_value=10_000, widget=forms.HiddenInput)
    again = forms.BooleanField(required=False, widget=forms.HiddenInput)

    ADVANCED = (
        "custom_filename",
        "cookies",
        "clip_from",
        "clip_to",
        "subtitles",
        "auto_subtitles",
        "container",
        "audio_format",
        "sponsorblock",
        "tags",
        "thumbnail",
        "playlist_items",
        "skip_existing",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as in Django
        """Where there are presets, quality and format may be left to them; the default one is chosen beforehand."""
        super().__init__(*args, **kwargs)
        presets = list(Preset.objects.all())
        for name, usual in (("quality", QUALITIES), ("post_processing", POST_PROCESSING)):
            choice = cast("forms.TypedChoiceField", self.fields[name])
            choice.choices = [*([("", _("As the preset says"))] if presets else []), *usual]
            choice.empty_value = None
        self.has_presets = bool(presets)
        if default := next((preset for preset in presets if preset.is_default), None):
            preset = cast("forms.ModelChoiceField[Preset]", self.fields["preset"])
            preset.empty_label, preset.initial = None, default.name

    def clean(self) -> dict[str, Any]:
        """See that the clip ends after it begins."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        end = cleaned.get("clip_to")
        if end is not None and end <= (cleaned.get("clip_from") or 0):
            self.add_error("clip_to", _("A clip ends after it begins."))
        return cleaned

    def clean_url(self) -> list[str]:
        """Take the links apart: one a line, or several with spaces between them; only what is one link stays whole."""
        lines = [line.strip() for line in self.cleaned_data["url"].splitlines()]
        links = [link for line in lines if line for link in _links_of(line)]
        if len(links) > MAX_LINKS:
            raise forms.ValidationError(_("At most 1,000 links at once; the others were left out."))
        return list(dict.fromkeys(links))

    def has_advanced(self) -> bool:
        """Whether something of the folded part was given, so that it is shown."""
        return self.is_bound and any(self.data.get(name) for name in self.ADVANCED)

    def wishes(self) -> list[Wish]:
        """What is asked for, a wish for each link; to be called when the form is valid."""
        given = self.cleaned_data
        preset = given["preset"]
        common = {
            "preset": preset.name if preset else "",
            "quality": given["quality"],
            "post_processing": given["post_processing"],
            "choices": self._choices(),
            "cookies": given["cookies"].strip(),
            "custom_filename": given["custom_filename"],
            "auto_start": True,
            "if_exists": IfExists.NEW if given["again"] else IfExists.ASK,
        }
        return [Wish(url=link, **common) for link in given["url"]]

    def _choices(self) -> dict[str, object]:
        given = self.cleaned_data
        section = {"from": given["clip_from"] or 0.0, "to": given["clip_to"]}
        wished = {
            "section": section if given["clip_from"] or given["clip_to"] else None,
            "subtitles": {"languages": given["subtitles"], "auto": given["auto_subtitles"]}
            if given["subtitles"]
            else None,
            "container": given["container"],
            "audio_format": given["audio_format"],
            "sponsorblock": given["sponsorblock"],
            "metadata": given["tags"],
            "chapters": given["tags"],
            "thumbnail": Place.EMBED if given["thumbnail"] else "",
            "playlist_items": re.sub(r"\s", "", given["playlist_items"]).strip(","),
            "skip_existing": given["skip_existing"],
            "max_height": given["max_height"],
        }
        return {name: value for name, value in wished.items() if value}


def _links_of(line: str) -> list[str]:
    parts = line.split()
    return parts if all("://" in part for part in parts) else [line]
