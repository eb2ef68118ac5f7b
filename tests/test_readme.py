"""README.md and README.zh-CN.md say the same: what needs no translation is the same in both."""

import re
from collections import Counter

import pytest

from downie_project.environment import Environment
from tests.service import PROJECT

ENGLISH, CHINESE = ((PROJECT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
CODE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def prose(text):
    return CODE.sub("", text)


def headings(text):
    return re.findall(r"^(#+) ", prose(text), re.MULTILINE)


def commands(text):
    """The blocks of code, without what their comments say."""
    return [re.sub(r" +# .*", "", block) for block in CODE.findall(text)]


def bullets(text):
    return len(re.findall(r"^- ", text, re.MULTILINE))


def settings(text):
    """The first cells of the table: the variables, and whether the admin may change them."""
    return re.findall(r"^\| ([^|]*[A-Z_]+`[^|]*) \|", text, re.MULTILINE)


def said_as_code(text):
    return Counter(re.findall(r"`[^`\n]+`", prose(text)))


def links(text):
    """Where they lead, pictures too, but for the way from one to the other."""
    return [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("README")]


@pytest.mark.parametrize("part", [headings, commands, bullets, settings, said_as_code, links])
def test_both_have_the_same(part):
    assert part(CHINESE) == part(ENGLISH)
    assert part(ENGLISH)


def test_each_leads_to_the_other():
    assert "(README.zh-CN.md)" in ENGLISH
    assert "(README.md)" in CHINESE


def test_every_setting_is_in_the_table():
    named = set(re.findall(r"`([A-Z_0-9]+)`", " ".join(settings(ENGLISH))))
    fields = {name: field.validation_alias for name, field in Environment.model_fields.items()}
    wanted = {alias.choices[0] if alias else f"DOWNIE_{name.upper()}" for name, alias in fields.items()}
    assert wanted - named == set()


def test_every_picture_is_there():
    missing = [target for target in links(ENGLISH) if "://" not in target and not (PROJECT / target).exists()]
    assert missing == []
