"""The verbs of people about presets: the door through which API and admin touch them."""

import re
from collections.abc import Mapping
from typing import Final

from django.db import IntegrityError
from django.utils.translation import gettext_noop

from downloads.engine.formats import PostProcessing, Quality
from downloads.models import Preset
from downloads.models.preset import NAME
from downloads.operations import checked_choices
from downloads.refusals import Refused

MAX_PRESETS: Final = 100


def find(name: str) -> Preset:
    """The preset of this name.

    Raises:
        Refused: PRESET_NOT_FOUND.
    """
    found = Preset.objects.filter(name=name).first() if re.fullmatch(NAME, name) else None
    if found is None:
        raise Refused("PRESET_NOT_FOUND", gettext_noop("There is no preset with this name; it may have been deleted."))
    return found


def put(  # noqa: PLR0913  a preset has that many parts
    name: str,
    *,
    description: str,
    quality: Quality,
    post_processing: PostProcessing,
    choices: Mapping[str, object],
    is_default: bool,
) -> Preset:
    """Store a preset under this name, in the place of one that is there. As the default it is the only one.

    Raises:
        Refused: VALIDATION_ERROR or TOO_MANY_PRESETS.
    """
    if not re.fullmatch(NAME, name):
        sentence = gettext_noop("A name has letters, digits, - and _ in it, and begins with a letter or a digit.")
        raise Refused("VALIDATION_ERROR", sentence, "name")
    preset = Preset.objects.filter(name=name).first() or Preset(name=name)
    if preset.pk is None and Preset.objects.count() >= MAX_PRESETS:
        raise Refused("TOO_MANY_PRESETS", f"There are {MAX_PRESETS} presets already; delete one first.")
    preset.description = description
    preset.quality = quality
    preset.post_processing = post_processing
    preset.choices = checked_choices(choices)
    preset.is_default = is_default
    try:
        preset.store()
    except IntegrityError:  # somebody else made one of this name in this very moment; theirs is replaced
        preset.pk = Preset.objects.get(name=name).pk
        preset.store()
    return preset


def delete(name: str) -> None:
    """Delete a preset; tasks that were made by it stay as they are.

    Raises:
        Refused: PRESET_NOT_FOUND.
    """
    find(name).delete()
