"""Form fields of our own: one line of text each, as the environment takes it, too."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils.translation import gettext_lazy as _

from downloads.hours import Hours
from downloads.models import ALWAYS
from downloads.rates import rate_of, rate_text


class RateField(forms.CharField):
    """Bytes a second; None where nothing is entered."""

    widget = AdminTextInputWidget

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  Django's interface
        super().__init__(required=False, max_length=20, **options)

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401  Django's interface
        """Show a rate as somebody would type it, and what somebody typed as it is."""
        return rate_text(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:  # noqa: ANN401  Django's interface
        """Read it."""
        text = super().to_python(value)
        try:
            return rate_of(text) if text else None
        except ValueError:
            sentence = _("Give bytes a second, 1K at least, such as 500K or 2M; 0 for no limit.")
            raise forms.ValidationError(sentence) from None

    def run_validators(self, value: Any) -> None:  # noqa: ANN401  Django's interface
        """None: a text's do not suit a number."""


class HoursField(forms.CharField):
    """The hours in which downloads run, in one form; empty where nothing is entered."""

    widget = AdminTextInputWidget

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  Django's interface
        super().__init__(required=False, max_length=80, **options)

    def to_python(self, value: Any) -> str:  # noqa: ANN401  Django's interface
        """Read them."""
        text = super().to_python(value) or ""
        if text.lower() in ("", ALWAYS):
            return text.lower()
        try:
            return str(Hours.of(text))
        except ValueError:
            sentence = _(
                "Give two different times of the day, and a time zone unless it is UTC, such as "
                "22:00-07:00 Europe/Berlin; or “always”."
            )
            raise forms.ValidationError(sentence) from None
