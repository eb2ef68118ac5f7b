"""What the page lets people choose."""

from django import forms
from django.utils.translation import gettext_lazy as _

from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.network import MAX_URL_LENGTH

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


class AddForm(forms.Form):
    """A link and the form in which it is wanted; `cleaned_data` is what a `Wish` is made of."""

    url = forms.CharField(
        label=_("Link"),
        max_length=MAX_URL_LENGTH,
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

    def sentence(self) -> str:
        """Say what is wrong with the input; empty if nothing is."""
        return next((str(problem) for problems in self.errors.values() for problem in problems), "")
