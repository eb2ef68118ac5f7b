import itertools
import unicodedata
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from downloads.engine.filenames import (
    MAX_NAME_BYTES,
    MAX_STEM_BYTES,
    MAX_SUFFIX_BYTES,
    NameFacts,
    checked_custom_filename,
    clean_text,
    library_folders,
    library_name,
    numbered,
    side_name,
)
from downloads.engine.templates import FIELDS, BadTemplate, folder_templates, name_template

FAMILY = "👨\u200d👩\u200d👧"
HOSTILE = st.text(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from('/\\.:*?"<>| -\x00\n\u202e\u200b\u200d\u200c\ufe0f\u0301\ud800👍🏽👨👩é中'),
    ),
    max_size=400,
)
USUAL = name_template("{title} [{id}]")
RESERVED = ("con", "prn", "aux", "nul", "com1", "lpt9", "conin$")


def named(title, media_id="", extension="mp4", custom="", template=USUAL):
    return library_name(template, NameFacts(title=title, media_id=media_id), extension, custom)


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
        ("A film", "-x1", "A film [-x1].mp4"),
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
        ("CON", "x1", "CON [x1].mp4"),
        ("nul.tar", "x1", "_nul.tar [x1].mp4"),
        ("com1", "", "_com1.mp4"),
        ("LPT¹ .txt", "", "_LPT¹ .txt.mp4"),
        ("Conference", "", "Conference.mp4"),
    ],
)
def test_a_title_becomes_a_safe_name(title, media_id, name):
    assert named(title, media_id) == name


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
    assert named("A film", "x1", "webm", custom) == name


@pytest.mark.parametrize("extension", ["exe", "sh", "html", "srt", "vtt", "MP4", ".mp4", "mp4/../x", "", "part"])
def test_only_media_files_are_named(extension):
    with pytest.raises(ValueError, match="not kept"):
        named("A film", "x1", extension)


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
        ("-" + "a" * 300, "_-" + "a" * 220),
    ],
)
def test_a_long_title_is_cut_between_characters_and_keeps_its_id(title, stem):
    assert named(title, "x1") == f"{stem} [x1].mp4"


def test_an_id_that_stood_in_the_part_cut_off_is_given_again():
    assert named("a" * 300 + " x1", "x1").endswith("a [x1].mp4")


def test_a_long_id_leaves_room_for_the_title():
    assert named("A film", "x" * 500) == f"A film [{'x' * 100}].mp4"


def is_safe(name):
    """Whether it is one path component on every common system, and nobody is misled by it."""
    return (
        0 < len(name.encode()) <= MAX_NAME_BYTES
        and not set(name) & set('/\\<>:"|?*\x00\n\u202e\u200b\ud800')
        and not name.startswith((".", "-", " "))
        and not name.endswith((".", " "))
        and name.partition(".")[0].strip().lower() not in RESERVED
        and unicodedata.is_normalized("NFC", name)
    )


@given(HOSTILE, HOSTILE, st.sampled_from(["mp4", "webm", "3gp"]), HOSTILE)
@example("a" * 400, "\u200d" * 400, "mp4", "")
@example("a" + "\u0301" * 3_000, "", "mp4", "")
@example("/" * 400, "", "mp4", "")
@example("", "", "mp4", "-" * 400)
@example("con", "", "mp4", "")
def test_no_name_is_ever_dangerous(title, media_id, extension, custom):
    name = named(title, media_id, extension, custom)
    stem, _, end = name.rpartition(".")
    assert end == extension
    assert len(stem.encode()) <= MAX_STEM_BYTES
    assert is_safe(name)
    assert is_safe(stem)
    assert not stem.endswith("\u200d")


@given(HOSTILE, HOSTILE)
def test_every_number_up_to_999_fits_with_the_longest_ending(title, media_id):
    names = list(itertools.islice(numbered(named(title, media_id)), 999))
    assert len(set(names)) == 999
    assert len(side_name(names[-1], ".zh-Hant-TW-x-abc.webp").encode()) <= MAX_NAME_BYTES
    assert len(".zh-Hant-TW-x-abc.webp") == MAX_SUFFIX_BYTES


def test_the_number_stands_before_the_extension():
    assert list(itertools.islice(numbered("v1.2 [x].mp4"), 3)) == [
        "v1.2 [x].mp4",
        "v1.2 [x] (2).mp4",
        "v1.2 [x] (3).mp4",
    ]


def test_what_is_taken_is_asked_for_once_and_only_after_some_names():
    asked = []

    def taken():
        asked.append("once")
        return {f"a ({number}).mp4" for number in (*range(2, 2000), 2001)}

    names = numbered("a.mp4", taken)

    assert list(itertools.islice(names, 4)) == ["a.mp4", "a (2).mp4", "a (3).mp4", "a (4).mp4"]
    assert asked == []
    assert list(itertools.islice(names, 2)) == ["a (2000).mp4", "a (2002).mp4"]
    assert asked == ["once"]


# Templates


FACTS = NameFacts(
    title="A film",
    media_id="x1",
    uploader="Ann",
    site="example.com",
    upload_date=date(2026, 3, 1),
    height=1080,
    quality="best",
    playlist="A list",
    playlist_index=7,
    playlist_count=120,
    task_id="0123456789ab",
)
BARE = NameFacts(title="A film", media_id="x1")


@pytest.mark.parametrize(
    ("template", "known", "unknown"),
    [
        ("{title} [{id}]", "A film [x1]", "A film [x1]"),
        ("{title}", "A film", "A film"),
        ("{id}", "x1", "x1"),
        ("{uploader} - {title}", "Ann - A film", "A film"),
        ("{title} by {uploader}", "A film by Ann", "A film"),
        ("{uploader} - {date} {title}", "Ann - 2026-03-01 A film", "A film"),
        ("{title} ({resolution}, {quality}) [{id}]", "A film (1080p, best) [x1]", "A film [x1]"),
        ("{title} - {resolution} {id}", "A film - 1080p x1", "A film - x1"),
        ("{title} ({site} [{uploader}])", "A film (example.com [Ann])", "A film"),
        ("{title}（{uploader}）", "A film（Ann）", "A film"),
        ("{playlist} {playlist_index}. {title}", "A list 007. A film", "A film"),
        ("E{playlist_index}", "E007", "video"),
        ("{{{id}}} {title} )", "{x1} A film )", "{x1} A film )"),
        ("{task}", "0123456789ab", "video"),
        ("{title} (HD)", "A film (HD)", "A film (HD)"),
    ],
)
def test_a_template_names_what_is_known_and_nothing_is_left_of_what_is_not(template, known, unknown):
    assert library_name(name_template(template), FACTS, "mp4") == f"{known}.mp4"
    assert library_name(name_template(template), BARE, "mp4") == f"{unknown}.mp4"


def test_an_id_is_not_repeated_wherever_the_template_has_it():
    facts = NameFacts(title="A film x1", media_id="x1", uploader="Ann")
    assert library_name(name_template("{id} - {uploader} - {title}"), facts, "mp4") == "Ann - A film x1.mp4"


def test_the_title_is_what_is_cut():
    facts = NameFacts(title="中" * 300, media_id="x" * 40, uploader="Ann", upload_date=date(2026, 3, 1))
    name = library_name(name_template("{date} {uploader} - {title} [{id}]"), facts, "mp4")
    assert name == f"2026-03-01 Ann - {'中' * 55} [{'x' * 40}].mp4"


def test_other_fields_are_cut_only_where_hardly_anything_of_the_title_is_left():
    facts = NameFacts(title="t" * 300, media_id="i" * 60, uploader="u" * 300, playlist="p" * 300)
    name = library_name(name_template("{playlist} {uploader} {title} [{id}]"), facts, "mp4")
    assert name == f"{'p' * 38} {'u' * 100} {'t' * 24} [{'i' * 60}].mp4"


def test_parts_that_make_a_reserved_name_only_together_are_no_device():
    facts = NameFacts(title="N", uploader="CO")
    assert library_name(name_template("{uploader}{title}"), facts, "mp4") == "_CON.mp4"


def test_parts_are_composed_across_their_border():
    facts = NameFacts(title="\u1161", uploader="\u1100")
    assert library_name(name_template("{uploader}{title}"), facts, "mp4") == "가.mp4"


@pytest.mark.parametrize(
    ("template", "known", "unknown"),
    [
        ("", [], []),
        ("{site}", ["example.com"], []),
        ("{site}/{uploader}", ["example.com", "Ann"], []),
        ("Videos/{uploader}", ["Videos", "Ann"], ["Videos"]),
        ("{uploader} ({site})/{date}", ["Ann (example.com)", "2026-03-01"], []),
        ("{title}", ["A film"], ["A film"]),
    ],
)
def test_files_go_into_folders_and_a_level_without_a_value_is_left_out(template, known, unknown):
    assert library_folders(folder_templates(template), FACTS) == known
    assert library_folders(folder_templates(template), BARE) == unknown


@pytest.mark.parametrize(
    ("uploader", "folder"),
    [
        ("../../etc", "⧸..⧸etc"),
        ("..", "video"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("nul.", "_nul"),
        ("A. B. ", "A. B"),
        ("\u202egnp", "gnp"),
        ("中" * 300, "中" * 33),
    ],
)
def test_a_folder_is_as_safe_as_a_file(uploader, folder):
    facts = NameFacts(title="", uploader=uploader)
    assert library_folders(folder_templates("{uploader}"), facts) == [folder] * (folder != "video")


TEMPLATES = st.lists(
    st.one_of(st.sampled_from([f"{{{name}}}" for name in FIELDS]), st.text(" -_.()[]（）aA'", max_size=3)),
    min_size=1,
    max_size=12,
).map("".join)


def read(reader, text):
    """What a reader makes of a template, and what it complains about."""
    try:
        return reader(text), ""
    except BadTemplate as error:
        return None, str(error)


@given(TEMPLATES, HOSTILE, HOSTILE, HOSTILE, st.integers(0, 100))
@example("{uploader}{title}", "n", "", "co", 0)
def test_no_template_makes_a_dangerous_name(text, title, media_id, uploader, number):
    facts = NameFacts(
        title=title, media_id=media_id, uploader=uploader, playlist=uploader, playlist_index=number, height=number
    )
    template = read(name_template, text)[0] or USUAL
    levels = read(folder_templates, text)[0] or ()
    assert is_safe(library_name(template, facts, "mp4"))
    assert all(is_safe(level) for level in library_folders(levels, facts))


@given(st.text(max_size=30))
@example("{title.__class__}")
@example("{title:1000000000}")
def test_any_text_is_a_template_or_refused_in_one_line(text):
    for reader in (name_template, folder_templates):
        template, complaint = read(reader, text)
        assert (template is None) == bool(complaint)
        assert len(complaint.splitlines()) <= 1


# Beside the file


@pytest.mark.parametrize("suffix", [".en.srt", ".srt", ".zh-Hant.vtt", ".ass", ".lrc", ".jpg", ".png", ".webp"])
def test_a_file_beside_it_has_its_stem(suffix):
    assert side_name("a.b/v1.2 [x1] (2).mp4", suffix) == f"a.b/v1.2 [x1] (2){suffix}"


@pytest.mark.parametrize(
    "suffix",
    [
        ".exe",
        ".mp4",
        ".part-.mp4",
        ".html",
        ".srt.exe",
        "srt",
        "",
        ".",
        "..srt",
        "/x.srt",
        ".a.b.srt",
        ".srt\n",
        ". .srt",
    ],
)
def test_only_subtitles_and_pictures_lie_beside_a_file(suffix):
    with pytest.raises(ValueError, match="not kept beside"):
        side_name("film.mp4", suffix)


# What a user chose


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


@pytest.mark.parametrize("suffix", [".part-2.mp4", ".part-13.mkv", ".part-3.ts"])
def test_further_parts_of_a_recording_lie_beside_it_under_names_of_their_own(suffix):
    assert side_name("film.mp4", suffix) == f"film{suffix}"
