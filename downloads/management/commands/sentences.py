"""`manage.py sentences`: what the service says in English, and its Chinese, for the browser extension."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import gettext, override

from downloads.engine.errors import SENTENCES
from downloads.words import REFUSALS


class Command(BaseCommand):
    """A step of `make messages`: the extension shows the service's sentences, and is no part of its translations."""

    help = "Write the service's sentences and their Chinese into the browser extension."

    def handle(self, *_: Any, **__: Any) -> None:  # noqa: ANN401  Django's interface
        """Do it."""
        Path(settings.BASE_DIR, "extension", "sentences.zh-CN.json").write_text(chinese(), "utf-8")


def chinese() -> str:
    """What belongs into the file: each sentence with which an error can end, as far as it is translated."""
    with override("zh-hans"):
        sentences = {english: gettext(english) for english in (*SENTENCES.values(), *REFUSALS)}
    translated = {english: own for english, own in sentences.items() if own != english}
    return json.dumps(translated, ensure_ascii=False, indent=1) + "\n"
