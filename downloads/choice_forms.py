"""The finer wishes as a form: what the API takes as fields and objects, in fields that people can fill in."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from downloads.engine.choices import (
    ITEMS,
    LANGUAGE,
    MAX_BYTES,
    MAX_LANGUAGES,
    MAX_SECONDS,
    AudioFormat,
    Choices,
    Container,
    Place,
    Sponsors,
    VideoCodec,
)
from downloads.engine.formats import PostProcessing, Quality
from downloads.forms import POST_PROCESSING, QUALITIES

USUAL: Final = Choices()
MEGABYTE: Final = 1024 * 1024
AUDIO_FORMATS: Final = (
    (AudioFormat.SOURCE, _("As it is")),
    *((each, each.upper()) for each in AudioFormat if each is not AudioFormat.SOURCE),
)
CONTAINERS: Final = (
    (Container.SOURCE, _("As it is")),
    *((each, each.upper()) for each in Container if each is not Container.SOURCE),
)
VIDEO_CODECS: Final = (
    (VideoCodec.ANY, _("Any")),
    (VideoCodec.H264, "H.264"),
    (VideoCodec.HEVC, "H.265 (HEVC)"),
    (VideoCodec.VP9, "VP9"),
    (VideoCodec.AV1, "AV1"),
)
PLACES: Final = ((Place.NONE, _("No")), (Place.EMBED, _("In the file")), (Place.BESIDE, _("Beside the file")))
SPONSORS: Final = (
    (Sponsors.KEEP, _("Leave as they are")),
    (Sponsors.MARK, _("Mark as chapters")),
    (Sponsors.CUT, _("Cut out")),
)
# Fields that are called as the wishes are, and hold what those hold
PLAIN: Final = (
    *("audio_format", "container", "video_codec", "max_height", "thumbnail", "metadata", "chapters", "sponsorblock"),
    *("live_from_start", "playlist_items", "skip_existing"),
)


class ChoicesForm(forms.Form):
    """All finer wishes; `choices()` is what they come to, as a `Choices` is in JSON."""

    container = forms.ChoiceField(label=_("Container"), choices=CONTAINERS, required=False)
    video_codec = forms.ChoiceField(label=_("Preferred video codec"), choices=VIDEO_CODECS, required=False)
    max_height = forms.IntegerField(
        label=_("Greatest height"), min_value=0, max_value=10_000, required=False, help_text=_("pixels")
    )
    audio_format = forms.ChoiceField(label=_("Audio format"), choices=AUDIO_FORMATS, required=False)
    max_megabytes = forms.FloatField(
        label=_("Greatest size"), min_value=0, max_value=MAX_BYTES / MEGABYTE, required=False, help_text=_("megabytes")
    )
    languages = forms.CharField(
        label=_("Subtitles"),
        max_length=200,
        required=False,
        help_text=_("languages such as en, zh-Hans; or all"),
    )
    auto_subtitles = forms.BooleanField(label=_("Machine-made subtitles too"), required=False)
    subtitles_place = forms.ChoiceField(label=_("Subtitles go"), choices=PLACES[1:], required=False)
    thumbnail = forms.ChoiceField(label=_("Picture"), choices=PLACES, required=False)
    metadata = forms.BooleanField(label=_("Title and uploader in the file"), required=False)
    chapters = forms.BooleanField(label=_("Chapters in the file"), required=False)
    sponsorblock = forms.ChoiceField(label=_("Sponsors' parts"), choices=SPONSORS, required=False)
    section_from = forms.FloatField(
        label=_("From"), min_value=0, max_value=MAX_SECONDS, required=False, help_text=_("seconds")
    )
    section_to = forms.FloatField(
        label=_("To"), min_value=0, max_value=MAX_SECONDS, required=False, help_text=_("seconds; empty for the end")
    )
    live_from_start = forms.BooleanField(label=_("Live streams from their start"), required=False)
    playlist_items = forms.RegexField(
        ITEMS,
        label=_("Items of a playlist"),
        max_length=500,
        required=False,
        help_text=_("numbers and ranges such as 1-10,15; empty for all"),
        error_messages={"invalid": _("Give numbers and ranges with commas between them, such as 1-10,15.")},
    )
    skip_existing = forms.BooleanField(label=_("Leave out items that are here already"), required=False)

    def clean_languages(self) -> list[str]:
        """Read them as the API would."""
        pattern = forms.RegexField(LANGUAGE)
        languages = [part.strip() for part in self.cleaned_data["languages"].split(",") if part.strip()]
        for language in languages:
            try:
                pattern.clean(language)
            except forms.ValidationError:
                raise forms.ValidationError(gettext("%s is no language; give one such as en.") % language) from None
        if len(languages) > MAX_LANGUAGES:
            sentence = ngettext("Give %d language at most.", "Give %d languages at most.", MAX_LANGUAGES)
            raise forms.ValidationError(sentence % MAX_LANGUAGES)
        return languages

    def clean(self) -> dict[str, Any]:
        """Hold beginning and end of a section against each other."""
        cleaned = super().clean() or self.cleaned_data
        start, end = cleaned.get("section_from") or 0, cleaned.get("section_to")
        if end is not None and end <= start:
            self.add_error("section_to", gettext("A section ends after it begins."))
        return cleaned

    def choices(self) -> dict[str, Any]:
        """What was filled in; what is as usual was not, so that a preset may say it."""
        said = self.cleaned_data
        choices = {name: said[name] for name in PLAIN if said.get(name) and said[name] != getattr(USUAL, name)}
        if said.get("max_megabytes"):
            choices["max_filesize"] = int(said["max_megabytes"] * MEGABYTE)
        if said.get("languages"):
            place = said.get("subtitles_place") or Place.EMBED
            choices["subtitles"] = {"languages": said["languages"], "auto": said["auto_subtitles"], "place": place}
        if said.get("section_from") or said.get("section_to"):
            choices["section"] = {"from": said.get("section_from") or 0, "to": said.get("section_to")}
        return choices


class WishForm(ChoicesForm):
    """The finer wishes with the two that everybody knows."""

    quality = forms.TypedChoiceField(label=_("Quality"), choices=QUALITIES, coerce=Quality)
    post_processing = forms.TypedChoiceField(label=_("Format"), choices=POST_PROCESSING, coerce=PostProcessing)


def filled_in(choices: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of the form hold for these."""
    subtitles, section = choices.get("subtitles") or {}, choices.get("section") or {}
    size = choices.get("max_filesize")
    return {name: choices[name] for name in PLAIN if name in choices} | {
        "max_megabytes": size / MEGABYTE if size else None,
        "languages": ", ".join(subtitles.get("languages", [])),
        "auto_subtitles": subtitles.get("auto", False),
        "subtitles_place": subtitles.get("place", Place.EMBED),
        "section_from": section.get("from"),
        "section_to": section.get("to"),
    }
