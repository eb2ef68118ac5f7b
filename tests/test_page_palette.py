"""The page's colours: every text can be read on every ground that it stands on, light and dark (WCAG 2.2 AA)."""

import re
from pathlib import Path

import pytest
from django.conf import settings

CSS = Path(settings.BASE_DIR, "static/downloads/page.css").read_text()
PALETTE = {name: colours for name, *colours in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)}
TEXTS = [
    ("text", "ground"),
    ("text", "card"),
    ("text", "tint"),
    ("text", "track"),
    ("soft", "ground"),
    ("soft", "card"),
    ("soft", "tint"),
    ("soft", "track"),
    ("accent", "ground"),
    ("accent", "card"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("done", "card"),
    ("bad", "ground"),
    ("bad", "card"),
    ("bad", "tint"),
    ("bad", "bad-tint"),
    ("card", "bad"),
    ("beware", "beware-tint"),
]
SHAPES = [("control-line", "card"), ("control-line", "ground"), ("accent", "tint"), ("accent", "track")]


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other, theme):
    brighter, darker = sorted((luminance(PALETTE[name][theme]) for name in (one, other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_can_be_read(text, ground, theme):
    assert contrast(text, ground, theme) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_controls_and_bars_can_be_seen(shape, ground, theme):
    assert contrast(shape, ground, theme) >= 3


def test_no_colour_is_outside_of_the_palette():
    rest = CSS[CSS.index('[data-theme="light"]') :]

    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rest)) == {"#fff", "#000"}  # on black, over pictures and films
