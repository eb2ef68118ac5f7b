"""What a file says of itself: tags and chapters, from the site's word, cleaned, and where players look for them."""

import pytest

from downloads.engine.sponsors import Segment
from downloads.engine.tags import Chapter, as_ffmetadata, chapters, tags
from downloads.engine.timeline import Timeline
from tests.jobs import video

WHOLE = Timeline(((0.0, 60.0),))
SONG = {
    "title": "Artist - Song (Official)",
    "track": "Song",
    "artists": ["Ann", "Bob"],
    "uploader": "Records",
    "album": "Album",
    "track_number": 3,
    "genres": ["Pop"],
    "upload_date": "20260304",
    "release_year": 1999,
    "description": "one\r\ntwo\x00\u202e",
    "webpage_url": "https://example.com/watch?v=1",
}


def tags_of(outcome):
    """The tags of the file, wherever its container has them, their names in lower case."""
    said = outcome.described()
    streams = [stream.get("tags", {}) for stream in said["streams"] if stream["codec_type"] == "audio"]
    return {name.lower(): text for each in (*streams, said["format"].get("tags", {})) for name, text in each.items()}


def chapters_of(outcome):
    found = outcome.described()["chapters"]
    return [(float(part["start_time"]), float(part["end_time"]), part["tags"]["title"]) for part in found]


# ---- Made


def test_a_song_is_described_as_a_song():
    assert tags(SONG, with_description=True) == {
        "title": "Song",
        "artist": "Ann, Bob",
        "album": "Album",
        "track": "3",
        "genre": "Pop",
        "date": "2026-03-04",
        "comment": "https://example.com/watch?v=1",
        "purl": "https://example.com/watch?v=1",
        "description": "one\ntwo",
        "synopsis": "one\ntwo",
    }


def test_what_is_not_known_is_not_said():
    assert tags({"title": "x", "uploader": None, "upload_date": "soon"}, with_description=False) == {"title": "x"}


def test_of_a_bare_file_neither_the_query_nor_the_servers_date_is_told():
    address = "https://e.com/v.mp4?token=1"
    info = {"title": "x", "direct": True, "webpage_url": address, "url": address, "upload_date": "20260304"}
    assert tags(info, with_description=False) == {
        "title": "x",
        "comment": "https://e.com/v.mp4",
        "purl": "https://e.com/v.mp4",
    }


def test_a_text_of_any_length_is_cut():
    assert len(tags({"title": "x" * 9999}, with_description=False)["title"]) == 500
    assert len(tags({"description": "x" * 9999}, with_description=True)["description"]) == 5000


@pytest.mark.parametrize(
    "listed",
    [
        None,
        "nonsense",
        [{}],
        [{"start_time": None, "end_time": 1}],
        [{"start_time": 5, "end_time": 4, "title": "x"}],
        [{"start_time": float("nan"), "end_time": 4, "title": "x"}],
        [{"start_time": 70, "end_time": 80, "title": "x"}],
    ],
)
def test_chapters_that_make_no_sense_are_none(listed):
    assert chapters({"chapters": listed}, WHOLE) == ()


def test_chapters_move_with_a_section():
    listed = [{"start_time": 0, "end_time": 20, "title": "One"}, {"start_time": 20, "end_time": 60, "title": "Two"}]
    assert chapters({"chapters": listed}, Timeline(((10.0, 30.0),))) == (Chapter(0, 10, "One"), Chapter(10, 20, "Two"))


def test_of_marks_that_overlap_the_shorter_one_counts():
    marked = [Segment(10, 40, "Filler"), Segment(20, 30, "Sponsor")]
    assert [(part.start, part.title) for part in chapters({"title": "x"}, WHOLE, marked)] == [
        (0, "x"),
        (10, "Filler"),
        (20, "Sponsor"),
        (30, "Filler"),
        (40, "x"),
    ]


def test_no_text_breaks_out_of_its_line():
    text = as_ffmetadata({"title": "a=b;c#d\\e\n[CHAPTER]\nSTART=1"}, [])
    assert text == ";FFMETADATA1\ntitle=a\\=b\\;c\\#d\\\\e\\\n[CHAPTER]\\\nSTART\\=1\n"


# ---- In the file


def test_a_page_describes_its_video(jobs, origin):
    outcome = jobs.run(origin.url("/page/described.html"), metadata=True, chapters=True)
    found = tags_of(outcome)
    assert (found["title"], found["artist"], found["date"]) == ("All of it", "Ann", "2026-03-04")
    assert (found["description"], found["comment"]) == (
        "What it is about;\n# and = more",
        origin.url("/page/described.html"),
    )
    assert chapters_of(outcome) == [(0.0, 4.0, "Beginning"), (4.0, 12.0, "End")]
    assert outcome.media.is_fast_start


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/direct/small.mp4", {}),
        ("/direct/small.mp4", {"container": "mkv"}),
        ("/direct/vp9.webm", {}),
        ("/direct/audio.mp3", {}),
        ("/direct/audio.m4a", {}),
        ("/companions/audio.opus", {}),
        ("/companions/audio.ogg", {}),
        ("/companions/audio.flac", {}),
        ("/direct/small.mp4", {"post_processing": "audio", "audio_format": "wav"}),
    ],
)
def test_every_container_takes_the_tags(jobs, origin, path, fields):
    url = origin.url(path)
    outcome = jobs.run(url, looked_up=video(url, **SONG | {"duration": None}), metadata=True, **fields)
    found = tags_of(outcome)
    assert (found["title"], found["artist"]) == ("Song", "Ann, Bob")
    assert (found["comment"], found["date"]) == ("https://example.com/watch?v=1", "2026-03-04")
    assert ("major_brand" in found) is outcome.done.extension.startswith("m4a") or path == "/direct/small.mp4"
    assert outcome.done.notes == ()


@pytest.mark.parametrize("fields", [{}, {"container": "mkv"}, {"post_processing": "audio"}])
def test_chapters_are_in_the_file(jobs, origin, fields):
    url = origin.url("/direct/small.mp4")
    listed = [{"start_time": 0, "end_time": 1, "title": "One"}, {"start_time": 1, "end_time": 2, "title": "Two"}]
    outcome = jobs.run(url, looked_up=video(url, duration=2, chapters=listed), chapters=True, **fields)
    assert chapters_of(outcome) == [(0.0, 1.0, "One"), (1.0, 2.0, "Two")]


@pytest.mark.parametrize("wanted", ["flac", "wav"])
def test_sound_that_holds_no_chapters_is_made_without_and_that_is_said(jobs, origin, wanted):
    url = origin.url("/direct/small.mp4")
    info = video(url, duration=2, chapters=[{"start_time": 0, "end_time": 1, "title": "One"}])
    outcome = jobs.run(url, looked_up=info, post_processing="audio", audio_format=wanted, chapters=True)
    assert (chapters_of(outcome), tags_of(outcome)["title"]) == ([], "A video")
    assert outcome.done.notes == (f"Without chapters: a file of the type .{wanted} does not hold them.",)


def test_sound_alone_is_always_described(jobs, origin):
    url = origin.url("/direct/small.mp4")
    outcome = jobs.run(url, looked_up=video(url, **SONG | {"duration": 2}), post_processing="audio")
    found = tags_of(outcome)
    assert (found["title"], found["album"], found["track"]) == ("Song", "Album", "3")
    assert "description" not in found


def test_what_a_bare_file_says_of_itself_stays(jobs, origin, media):
    url = origin.url("/direct/audio.mp3")
    song = jobs.run(url, looked_up=video(url, **SONG), post_processing="audio")
    (media / "companions" / "tagged.mp3").write_bytes(song.file.read_bytes())
    found = tags_of(jobs.run(origin.url("/companions/tagged.mp3"), post_processing="audio"))
    assert (found["title"], found["artist"], found["comment"]) == ("Song", "Ann, Bob", SONG["webpage_url"])


def test_what_a_site_says_counts_before_what_the_file_says(jobs, origin, media):
    url = origin.url("/direct/audio.mp3")
    song = jobs.run(url, looked_up=video(url, **SONG), post_processing="audio")
    (media / "companions" / "again.mp3").write_bytes(song.file.read_bytes())
    again = origin.url("/companions/again.mp3")
    found = tags_of(jobs.run(again, looked_up=video(again, title="Better"), metadata=True))
    assert (found["title"], found["album"]) == ("Better", "Album")


def test_a_container_that_holds_no_tags_is_left_as_it_is_and_that_is_said(jobs, origin, media):
    url = origin.url("/hls/plain/seg000.ts")
    outcome = jobs.run(url, looked_up=video(url, duration=None), metadata=True)
    assert outcome.file.read_bytes() == (media / "hls" / "plain" / "seg000.ts").read_bytes()
    assert outcome.done.notes == ("Without tags and chapters: a file of the type .ts does not hold them.",)


def test_nothing_is_written_where_nothing_is_asked_for(jobs, origin, media):
    outcome = jobs.run(origin.url("/page/described.html"))
    assert outcome.file.read_bytes() == (media / "direct" / "video.mp4").read_bytes()
