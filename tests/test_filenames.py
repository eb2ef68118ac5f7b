import itertools
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from downloads.engine.filenames import (
    MAX_NAME_BYTES,
    RESERVED_BYTES,
    checked_custom_filename,
    clean_text,
    library_name,
    numbered,
)

FAMILY = "👨\u200d👩\u200d👧"
HOSTILE = st.text(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from('/\\.:*?"<>| -\x00\n\u202e\u200b\u200d\u200c\ufe0f\u0301\ud800👍🏽👨👩é中'),
    ),
    max_size=400,
)


@pytest.mark.parametrize(
    ("title", "media_id", "name"),
    [
        ("A film", "x1", "A film [x1].mp4"),
        ("A film", "", "A film.mp4"),
        ("A film x1", "x1", "A film x1.mp4"),
        ("x1", "x1", "x1.mp4"),
        ("Part 12", "1", "Part 12 [1].mp4"),
        ("", "", "video.mp4"),
        ("", "x1", "video [x1].mp4"),
        ("...", "...", "video.mp4"),
        ("../../etc/passwd", "", "⧸..⧸etc⧸passwd.mp4"),
        ("..\\..\\windows", "", "⧹..⧹windows.mp4"),
        ("a", "../b", "a [⧸b].mp4"),
        ('What? "A": <B> | *C*', "", "What？ ＂A＂： ＜B＞ ｜ ＊C＊.mp4"),
        (".hidden", "", "hidden.mp4"),
        ("  . .hidden", "", "hidden.mp4"),
        ("\u200b.hidden", "", "hidden.mp4"),
        ("-rf", "", "_-rf.mp4"),
        ("The end...", "", "The end.mp4"),
        ("a \t\n  b\u3000c\u2028d", "", "a b c d.mp4"),
        ("a\x00b\x1bc\x7fd\x9fe", "", "abcde.mp4"),
        ("photo\u202egpj.exe", "", "photogpj.exe.mp4"),
        ("a\u200b\u2060\ufeff\u00adb", "", "ab.mp4"),
        ("a\ud800b", "", "ab.mp4"),
        (f"{FAMILY} ❤\ufe0f", "", f"{FAMILY} ❤\ufe0f.mp4"),
        ("e\u0301te\u0301", "", "été.mp4"),
        ("e\u200b\u0301", "", "é.mp4"),
        ("\u0301\u200da", "", "a.mp4"),
        ("a\u200d", "", "a.mp4"),
        ("\u200d\ufe0f\u3164", "", "video.mp4"),
        ("CON", "", "_CON.mp4"),
        ("nul.tar", "x1", "_nul.tar [x1].mp4"),
        ("com1", "", "_com1.mp4"),
        ("LPT¹ .txt", "", "_LPT¹ .txt.mp4"),
        ("Conference", "", "Conference.mp4"),
    ],
)
def test_a_title_becomes_a_safe_name(title, media_id, name):
    assert library_name(title, media_id, "mp4") == name


@pytest.mark.parametrize(
    ("custom", "name"),
    [
        ("holiday", "holiday.webm"),
        ("holiday.mp4", "holiday.webm"),
        ("holiday.MKV", "holiday.webm"),
        ("v1.2", "v1.2.webm"),
        ("notes.txt", "notes.txt.webm"),
        ("a/b", "a⧸b.webm"),
        ("nul.mp4", "_nul.webm"),
        ("...", "video.webm"),
    ],
)
def test_a_custom_name_goes_before_title_and_id(custom, name):
    assert library_name("A film", "x1", "webm", custom) == name


@pytest.mark.parametrize("extension", ["exe", "sh", "html", "srt", "vtt", "MP4", ".mp4", "mp4/../x", "", "part"])
def test_only_media_files_are_named(extension):
    with pytest.raises(ValueError, match="not kept"):
        library_name("A film", "x1", extension)


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("a" * 300, "a" * 222),
        ("中" * 300, "中" * 74),
        ("a" * 221 + "é" * 10, "a" * 221),
        ("a" * 220 + FAMILY * 9, "a" * 220),
        ("a" * 221 + "e\u0323\u0301" * 9, "a" * 221),
        ("a" * 217 + "👍🏽" * 9, "a" * 217),
        ("a" * 219 + "... " + "b" * 99, "a" * 219),
    ],
)
def test_a_long_title_is_cut_between_characters_and_keeps_its_id(title, stem):
    assert library_name(title, "x1", "mp4") == f"{stem} [x1].mp4"


def test_an_id_that_stood_in_the_part_cut_off_is_given_again():
    assert library_name("a" * 300 + " x1", "x1", "mp4").endswith("a [x1].mp4")


def test_a_long_id_leaves_room_for_the_title():
    assert library_name("A film", "x" * 500, "mp4") == f"A film [{'x' * 100}].mp4"


@given(HOSTILE, HOSTILE, st.sampled_from(["mp4", "webm", "3gp"]), HOSTILE)
@example("a" * 400, "\u200d" * 400, "mp4", "")
@example("a" + "\u0301" * 3_000, "", "mp4", "")
@example("/" * 400, "", "mp4", "")
@example("", "", "mp4", "-" * 400)
def test_no_name_is_ever_dangerous(title, media_id, extension, custom):
    name = library_name(title, media_id, extension, custom)
    assert len(name.encode()) <= MAX_NAME_BYTES - RESERVED_BYTES
    assert not set(name) & set('/\\<>:"|?*\x00\n\u202e\u200b\ud800')
    assert not name.startswith((".", "-", " "))
    assert name.endswith(f".{extension}")
    assert not name.removesuffix(f".{extension}").endswith((".", " ", "\u200d"))
    assert unicodedata.is_normalized("NFC", name)


@given(HOSTILE, HOSTILE)
def test_every_number_up_to_999_fits(title, media_id):
    names = list(itertools.islice(numbered(library_name(title, media_id, "mp4")), 999))
    assert len(set(names)) == 999
    assert max(len(name.encode()) for name in names) <= MAX_NAME_BYTES


def test_the_number_stands_before_the_extension():
    assert list(itertools.islice(numbered("v1.2 [x].mp4"), 3)) == [
        "v1.2 [x].mp4",
        "v1.2 [x] (2).mp4",
        "v1.2 [x] (3).mp4",
    ]


@pytest.mark.parametrize(
    "text",
    ["holiday", "holiday.mp4", "v1.2", "Été à Paris", "中文", FAMILY, "a b", "-rf", "console", "x" * 1_000],
)
def test_a_plain_name_is_taken_as_it_is(text):
    assert checked_custom_filename(text) == text


def test_a_decomposed_name_is_composed():
    assert checked_custom_filename("e\u0301te\u0301") == "été"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "empty"),
        ("\u200b\u200d", "empty"),
        (" ", "empty"),
        ("a/b", "slash"),
        ("a\\b", "slash"),
        ("../b", "slash"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control"),
        ("a:b", "characters <"),
        ("a?", "characters <"),
        ("<a>", "characters <"),
        ('"a"', "characters <"),
        ("a|b", "characters <"),
        ("a*", "characters <"),
        (".hidden", "dot"),
        ("..", "dot"),
        ("a.", "dot or a blank"),
        ("a ", "dot or a blank"),
        ("a\u3000", "dot or a blank"),
        ("CON", "Windows"),
        ("nul.mp4", "Windows"),
        ("Com1.tar.gz", "Windows"),
        ("lpt9 .x", "Windows"),
        ("conin$", "Windows"),
        ("a\u202eb", "direction"),
        ("a\u2066b", "direction"),
        ("a\ud800b", "Unicode"),
        ("x" * 1_001, "1,000"),
    ],
)
def test_a_name_that_is_no_plain_name_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ValueError, match=rf"^[A-Z][^\n]*{sentence}[^\n]*\.$"):
        checked_custom_filename(text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A film", "A film"),
        ("  a \n\t b  ", "a b"),
        ("a\u202eb\x00c\x1b[31md\u200b", "abc[31md"),
        ("\ud800", ""),
        ("e\u0301", "é"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        (FAMILY, FAMILY),
        ("0123456789", "0123456789"),
        ("0123456789x", "012345678…"),
        ("01234567 9x", "01234567…"),
        ("01234567👍🏽x", "01234567…"),
    ],
)
def test_a_strangers_text_becomes_one_clean_line(text, cleaned):
    assert clean_text(text, 10) == cleaned


@given(HOSTILE, st.integers(1, 50))
def test_a_cleaned_text_keeps_to_its_limit(text, limit):
    cleaned = clean_text(text, limit)
    assert len(cleaned) <= limit
    assert not set(cleaned) & set("\x00\n\u202e\u200b\ud800")
    assert unicodedata.is_normalized("NFC", cleaned)
