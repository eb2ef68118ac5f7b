"""Subtitles: which are meant, how they come, what becomes of hostile ones, and where they end up."""

import re
import time

import pytest

from downloads.engine import messages, subtitles
from downloads.engine.choices import Subtitles
from downloads.engine.subtitles import choose, moved
from downloads.engine.timeline import Timeline
from tests.jobs import video

WHOLE = Timeline(((0.0, 60.0),))
WORDS = "1\n00:00:01,000 --> 00:00:01,800\nword 1\n"


@pytest.fixture
def run(jobs, origin):
    """Download two seconds with these subtitles on offer: paths of the origin or texts, by language."""

    def run(offered, path="/direct/small.mp4", wanted=None, **fields):
        url = origin.url(path)
        listed = {language: [track(origin, offer)] for language, offer in offered.items()}
        wishes = {"languages": list(offered), "place": "beside"} | (wanted or {})
        info = video(url, subtitles=listed, duration=None)
        return jobs.run(url, looked_up=info, subtitles=wishes, **fields)

    return run


def track(origin, offer):
    if offer.startswith("/"):
        return {"url": origin.base + offer, "ext": offer.partition("?")[0].rpartition(".")[2], "name": "Words"}
    return {"data": offer, "ext": "srt"}


def beside(outcome, language):
    return outcome.side_files[f".{language}.srt"].read_text()


def languages_of(outcome):
    streams = outcome.described()["streams"]
    return [(each["codec_name"], each["tags"]["language"]) for each in streams if each["codec_type"] == "subtitle"]


# ---- Chosen


def offer(*languages, ext="vtt", **more):
    return {language: [{"url": "https://example.com/", "ext": ext}] for language in languages} | more


def chosen(written, *languages, machine=None, auto=False, **facts):
    info = {"subtitles": written, "automatic_captions": machine or {}} | facts
    tracks = choose(info, Subtitles(languages=languages, auto=auto))
    return [f"{each.language}{'*' if each.is_automatic else ''}" for each in tracks]


@pytest.mark.parametrize(
    ("written", "languages", "expected"),
    [
        (offer("en", "de"), ["en"], ["en"]),
        (offer("en-GB", "en", "de"), ["en"], ["en", "en-GB"]),
        (offer("en-GB", "english"), ["en"], ["en-GB"]),
        (offer("en"), ["en-GB"], []),
        (offer("en_US"), ["EN-us"], ["en-US"]),
        (offer("eng", "enm"), ["en"], []),
        (offer("zh-Hans-CN", "zh-Hant"), ["zh-Hans"], ["zh-Hans-CN"]),
        (offer("fr", "de", "en"), ["de", "fr"], ["de", "fr"]),
        (offer("de", "en-GB"), ["en", "en-GB", "en"], ["en-GB"]),
        (offer("de", "en"), ["all"], ["de", "en"]),
        (offer("de", "en"), ["en", "all"], ["en", "de"]),
        (offer("live_chat", "danmaku", "../../x", "a-very-long-tag-of-20"), ["all"], []),
        (offer("en", ext="json3"), ["en"], []),
        ({"en": [{"ext": "vtt"}], "de": [], "fr": None}, ["all"], []),
        (None, ["en"], []),
    ],
)
def test_a_language_takes_all_that_begin_with_it_itself_first(written, languages, expected):
    assert chosen(written, *languages) == expected


@pytest.mark.parametrize(
    ("written", "machine", "languages", "expected"),
    [
        (offer("en"), offer("en", "de"), ["en", "de"], ["en", "de*"]),
        (offer("en-GB"), offer("en"), ["en"], ["en-GB"]),
        ({}, offer("en-orig", "en", "en-de"), ["en"], ["en*"]),
        ({}, offer("en-orig", "en-de"), ["en"], ["en-orig*"]),
        (offer("fr"), offer("ab", "de", "en", "fr"), ["all"], ["fr", "en*", "ab*", "de*"]),
    ],
)
def test_what_machines_made_comes_after_what_people_wrote(written, machine, languages, expected):
    assert chosen(written, *languages, machine=machine, auto=True, language="en") == expected
    assert not any("*" in each for each in chosen(written, *languages, machine=machine))


def test_there_are_never_more_than_twenty():
    assert len(chosen(offer(*(f"a{a}{b}" for a in "bcdef" for b in "bcdef")), "all")) == 20


@pytest.mark.parametrize(
    ("is_automatic", "expected"), [(False, ["vtt", "srt", "ttml"]), (True, ["ttml", "vtt", "srt"])]
)
def test_the_kind_that_comes_out_best_is_taken_first(is_automatic, expected):
    kinds = {"en": [{"url": "https://example.com/", "ext": ext} for ext in ("json3", "ttml", "srt", "vtt")]}
    info = {"automatic_captions" if is_automatic else "subtitles": kinds}
    (found,) = choose(info, Subtitles(languages=("en",), auto=True))
    assert [kind["ext"] for kind in found.kinds] == expected


# ---- On the file's timeline


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WORDS, WORDS),
        (WORDS.replace("\n", "\r\n"), WORDS),
        (WORDS.replace("word 1", "a\n\nb"), WORDS.replace("word 1", "a\nb")),
        (WORDS.replace("word 1", ""), ""),
        (WORDS.replace("00:00:01,8", "99:00:01,8"), WORDS.replace("00:00:01,8", "00:01:00,0")),
        (WORDS.replace("00:00:01,8", "00:00:00,8"), ""),
        ("", ""),
        ("nothing of the kind", ""),
    ],
)
def test_text_comes_out_clean_and_within_the_file(text, expected):
    assert moved(text, WHOLE) == expected


def test_text_moves_with_a_section():
    text = WORDS + "\n" + WORDS.replace("00:00:01", "00:00:11")
    assert moved(text, Timeline(((10.0, 20.0),))) == WORDS


def test_ten_megabytes_of_timings_are_read_in_time():
    began = time.monotonic()
    assert moved(WORDS * 100_000, WHOLE).count("-->") == 100_000
    assert time.monotonic() - began < 30


# ---- Fetched


@pytest.mark.parametrize("kind", ["vtt", "srt", "ttml"])
def test_every_kind_becomes_subrip_text_beside(run, kind):
    outcome = run({"en": f"/companions/words.{kind}"})
    assert beside(outcome, "en").startswith(WORDS)
    assert outcome.done.name == "media.mp4"


def test_text_that_the_site_has_in_its_answer_is_taken(run):
    assert beside(run({"en": WORDS}), "en") == WORDS


@pytest.mark.parametrize(
    ("text", "encoding"), [("été", "cp1252"), ("été", "utf-8-sig"), ("été", "utf-16"), ("字幕", "utf-8")]
)
def test_every_usual_encoding_is_read(text, encoding):
    assert subtitles._decoded(text.encode(encoding)) == text


def test_the_parts_of_a_playlist_are_put_together(jobs, origin):
    outcome = jobs.run(
        origin.url("/companions/hls/master.m3u8"),
        quality="worst",
        subtitles={"languages": ["en"], "place": "beside"},
    )
    assert re.findall("part .", beside(outcome, "en")) == ["part 0", "part 1", "part 2"]
    assert "00:00:04,500 --> 00:00:06,000\npart 1" in beside(outcome, "en")


def test_a_look_up_without_subtitles_is_done_again_where_they_are_wanted(jobs, origin):
    url = origin.url("/companions/hls/master.m3u8")
    outcome = jobs.run(url, quality="worst", looked_up=video(url), subtitles={"languages": ["en"], "place": "beside"})
    assert ".en.srt" in outcome.side_files


HOSTILE = {
    "binary": "/direct/small.mp4?type=text/vtt",
    "a playlist": "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "a list of files": "ffconcat version 1.0\nfile '/etc/passwd'\n",
    "a page": "<html>not found</html>",
    "nothing": "/status/404.vtt",
    "no bytes": " ",
    "too long": "/direct/big.bin?size=11000000&type=text/vtt",
    "at a private address": "http://127.0.0.2/words.vtt",
    "no web address": "file:///etc/passwd",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_subtitles_is_left_out_and_said(jobs, origin, text):
    is_address = text.startswith(("/", "http:", "file:"))
    address = origin.base + text if text.startswith("/") else text
    kind = {"url": address, "ext": "vtt"} if is_address else {"data": text, "ext": "vtt"}
    url = origin.url("/direct/small.mp4")
    listed = {"de": [kind], "en": [{"data": WORDS, "ext": "srt"}]}
    outcome = jobs.run(
        url,
        looked_up=video(url, duration=2, subtitles=listed),
        subtitles={"languages": ["de", "en"], "place": "beside"},
    )
    assert list(outcome.side_files) == [".en.srt"]
    (note,) = outcome.done.notes
    assert note.startswith("Without the subtitles de: ")


def test_entities_are_refused(run, jobs, origin):
    bomb = '<!DOCTYPE tt [<!ENTITY a "aaaa">]><tt xmlns="http://www.w3.org/ns/ttml">&a;</tt>'
    url = origin.url("/direct/small.mp4")
    info = video(url, duration=2, subtitles={"en": [{"data": bomb, "ext": "ttml"}]})
    outcome = jobs.run(url, looked_up=info, subtitles={"languages": ["en"]})
    assert "entities" in outcome.done.notes[0]


def test_a_server_that_sends_a_byte_a_second_does_not_hold_up_the_others(jobs, origin):
    """Each has a time of its own, which is shortened here from outside: by stopping the download."""
    url = origin.url("/direct/small.mp4")
    listed = {"en": [{"url": origin.url("/drip"), "ext": "vtt"}]}
    child, _ = jobs.start(url, looked_up=video(url, duration=2, subtitles=listed), subtitles={"languages": ["en"]})
    began = time.monotonic()
    said = []
    while not any(isinstance(event, messages.Processing) for event in said):
        said += child.events(0.2)
    assert time.monotonic() - began < 20  # the video itself does not wait
    child.stop()
    assert time.monotonic() - began < 25


def test_languages_that_are_not_there_are_said(run):
    outcome = run({"de": WORDS}, wanted={"languages": ["en"]})
    assert outcome.done.notes == ("The site has no subtitles in the languages that were asked for.",)


# ---- Embedded


@pytest.mark.parametrize(
    ("path", "fields", "codec"),
    [
        ("/direct/small.mp4", {}, "mov_text"),
        ("/direct/small.mp4", {"container": "mkv"}, "subrip"),
        ("/direct/vp9.webm", {}, "webvtt"),
        ("/direct/vp9.webm", {"post_processing": "mp4"}, "mov_text"),
    ],
)
def test_they_are_embedded_in_the_way_of_the_container(run, path, fields, codec):
    outcome = run({"en-GB": WORDS, "de": WORDS}, path, {"place": "embed"}, **fields)
    assert languages_of(outcome) == [(codec, "eng"), (codec, "deu")]
    assert (outcome.side_files, outcome.done.notes) == ({}, ())


def test_embedding_copies_the_streams(run, media, jobs):
    outcome = run({"en": WORDS}, "/direct/small.mp4", {"place": "embed"})
    original = media / "direct" / "small.mp4"
    assert outcome.media.is_fast_start
    assert [outcome.packets(kind) for kind in "va"] == [jobs.packets_of(original, kind) for kind in "va"]


@pytest.mark.parametrize("fields", [{"post_processing": "audio"}, {"path": "/direct/audio.mp3"}])
def test_what_holds_no_subtitles_has_them_beside(run, fields):
    assert beside(run({"en": WORDS}, wanted={"place": "embed"}, **fields), "en") == WORDS


def test_words_after_the_end_of_the_video_do_not_make_it_longer(run):
    late = WORDS + "\n" + WORDS.replace("00:00:01", "00:09:01")
    outcome = run({"en": late}, wanted={"place": "embed"}, container="mkv")
    assert outcome.media.duration == pytest.approx(2.0, abs=0.1)
    assert languages_of(outcome) == [("subrip", "eng")]
