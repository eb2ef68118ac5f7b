"""What users see is there in every language."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import gettext, override

from downloads.engine.errors import SENTENCES
from downloads.words import REFUSALS

FOLDER = Path(settings.BASE_DIR, "locale", "zh_Hans", "LC_MESSAGES")
CATALOG = (FOLDER / "django.po").read_text("utf-8")
COMPILED = (FOLDER / "django.mo").read_bytes()
ENTRIES = [entry for entry in CATALOG.strip().split("\n\n")[1:] if "#~ " not in entry]  # the first describes the file
BLANK = re.compile(r"%\w|\{\w*\}")


def field(name, entry):
    """What stands under this name in an entry; it may go over several lines."""
    lines = re.search(rf'^{name}((?: ?"[^\n]*"\n?)+)', entry, re.MULTILINE)[1]
    return "".join(ast.literal_eval(line.strip()) for line in lines.splitlines())


def english(entry):
    return field("msgid", entry)


def chinese(entry):
    return field(r"msgstr(?:\[0\])?", entry)


@pytest.mark.parametrize("entry", ENTRIES, ids=english)
def test_every_text_is_translated_and_compiled(entry):
    assert chinese(entry)
    assert "#, fuzzy" not in entry
    assert chinese(entry).encode() in COMPILED


@pytest.mark.parametrize("entry", ENTRIES, ids=english)
def test_a_translation_has_the_blanks_of_its_text(entry):
    assert sorted(BLANK.findall(chinese(entry))) == sorted(BLANK.findall(english(entry)))


def test_no_translation_is_left_over():
    assert "#~ " not in CATALOG


@pytest.mark.parametrize("sentence", [*SENTENCES.values(), *REFUSALS])
def test_every_sentence_has_its_chinese(sentence):
    assert sentence in [english(entry) for entry in ENTRIES]
    with override("zh-hans"):
        assert gettext(sentence) != sentence
