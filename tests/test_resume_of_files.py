"""A partial file is continued if the server still has the same file, and else started anew: never spliced."""

import json
import random

import pytest
from yt_dlp.utils import DownloadError

from downloads.engine.resume import STARTS
from tests.origin import Origin

SIZE = 1_000_000
OLD, NEW = random.Random(1).randbytes(SIZE), random.Random(2).randbytes(SIZE)
SHORTER, LONGER = NEW[: SIZE - 50], NEW + b"x" * 50  # yt-dlp itself takes a file that is up to 100 bytes off for whole
CUT = 600_000
TODAY = "Fri, 02 Jan 2026 00:00:00 GMT"


@pytest.fixture
def site(tmp_path):
    """An origin with a file that a test may replace."""
    folder = tmp_path / "site" / "direct"
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(OLD)
    with Origin(tmp_path / "site") as origin:
        yield origin


@pytest.fixture
def interrupted(cured, downloader, site, tmp_path):
    """A download whose connection broke in the middle; then the file was replaced, and the requests are forgotten."""

    def interrupt(replaced_by, path="/direct/video.mp4", **behaviour):
        link = site.url(path, cut=CUT, skip=1, **behaviour)
        with pytest.raises(DownloadError):
            downloader(retries=0, fixup="never").download([link])
        (site.media / "direct" / "video.mp4").write_bytes(replaced_by)
        site.reset()

    return interrupt


@pytest.fixture
def go_on(downloader, site, tmp_path):
    """Download the same once more; what is in the file then."""

    def go_on(path="/direct/video.mp4", **behaviour):
        downloader(fixup="never").download([site.url(path, **behaviour)])
        assert sorted(file.name for file in tmp_path.glob("media*")) == ["media.mp4"]
        return (tmp_path / "media.mp4").read_bytes()

    return go_on


def asked_for(site):
    """Where the requests began that were for a part of the file."""
    return [record.range[0] for record in site.requests if record.range]


SAME = {
    "the same ETag": {},
    "the same ETag, no date": {"modified": ""},
    "no ETag, the same date": {"noetag": 1},
    "a weak ETag and the same date": {"weak": 1},
    "neither, the same length": {"noetag": 1, "modified": ""},
    "no length, the same ETag": {"nolength": 1},
}


@pytest.mark.parametrize("behaviour", SAME.values(), ids=SAME.keys())
def test_the_same_file_is_continued(interrupted, go_on, site, tmp_path, behaviour):
    interrupted(OLD, **behaviour)
    size = (tmp_path / "media.mp4.part").stat().st_size

    assert go_on(**behaviour) == OLD

    assert asked_for(site) == [size]


@pytest.mark.parametrize(("behaviour", "sent"), [({"etag": "a"}, '"a"'), ({"etag": "a", "weak": 1}, None)])
def test_a_server_is_asked_to_compare_a_strong_etag_and_no_weak_one(interrupted, go_on, site, behaviour, sent):
    interrupted(OLD, **behaviour)

    go_on(**behaviour)

    assert site.requests[-1].headers.get("If-Range") == sent


def test_hardly_anything_is_lost_when_a_connection_breaks(interrupted, tmp_path):
    interrupted(OLD, rate=CUT)

    assert (tmp_path / "media.mp4.part").stat().st_size > 0.9 * CUT


CHANGED = {
    "another ETag": (NEW, {"etag": "a"}, {"etag": "b"}),
    "another date": (NEW, {"noetag": 1}, {"noetag": 1, "modified": TODAY}),
    "another date, the same weak ETag": (NEW, {"etag": "a", "weak": 1}, {"etag": "a", "weak": 1, "modified": TODAY}),
    "another weak ETag": (NEW, {"etag": "a", "weak": 1}, {"etag": "b", "weak": 1}),
    "an ETag that is weak now": (NEW, {"etag": "a"}, {"etag": "a", "weak": 1}),
    "no ETag any more": (NEW, {}, {"noetag": 1}),
    "no date any more": (NEW, {"noetag": 1}, {"noetag": 1, "modified": ""}),
    "a shorter file, the same ETag": (SHORTER, {"etag": "a"}, {"etag": "a"}),
    "a longer file, nothing but its length": (LONGER, *[{"noetag": 1, "modified": ""}] * 2),
    "nothing to know it by": (NEW, *[{"noetag": 1, "modified": "", "nolength": 1}] * 2),
    "no length and another ETag": (NEW, {"nolength": 1, "etag": "a"}, {"nolength": 1, "etag": "b"}),
    "much shorter than what is here": (NEW[:1000], {"noetag": 1, "modified": ""}, {"noetag": 1, "modified": ""}),
    "a server that ignores Range": (NEW, {}, {"norange": 1, "etag": "b"}),
}


@pytest.mark.parametrize(("content", "before", "now"), CHANGED.values(), ids=CHANGED.keys())
def test_another_file_is_started_anew(interrupted, go_on, content, before, now):
    interrupted(content, **before)

    assert go_on(**now) == content


def test_a_file_that_is_hardly_shorter_than_what_is_here_is_started_anew(interrupted, go_on, site, tmp_path):
    interrupted(OLD, noetag=1, modified="")
    content = NEW[: (tmp_path / "media.mp4.part").stat().st_size - 50]
    (site.media / "direct" / "video.mp4").write_bytes(content)

    assert go_on(noetag=1, modified="") == content


def test_another_file_at_another_address_is_started_anew_where_the_server_says_nothing_but_its_length(
    interrupted, go_on, site
):
    (site.media / "direct" / "other.mp4").write_bytes(NEW)
    interrupted(OLD, noetag=1, modified="")

    assert go_on("/direct/other.mp4", noetag=1, modified="") == NEW


def test_the_same_file_at_another_address_is_continued(interrupted, go_on, site):
    (site.media / "direct" / "token.mp4").write_bytes(OLD)
    interrupted(OLD)

    assert go_on("/direct/token.mp4") == OLD

    assert site.bytes_sent("/direct/token.mp4") < SIZE
    assert asked_for(site) != []


def test_a_server_that_ignores_range_sends_the_same_file_whole(interrupted, go_on):
    interrupted(OLD, norange=1)

    assert go_on(norange=1) == OLD


# Within one attempt


@pytest.fixture
def replace_meanwhile(downloader, site):
    """Download while the file is replaced after its first bytes, and the connection breaks."""

    def download(content, **behaviour):
        def replace(_):
            (site.media / "direct" / "video.mp4").write_bytes(content)

        ydl = downloader(retries=3, fixup="never", progress_hooks=[replace])
        ydl.download([site.url("/direct/video.mp4", cut=CUT, cut_times=1, skip=1, **behaviour)])

    return download


@pytest.mark.usefixtures("cured")
@pytest.mark.parametrize("behaviour", [{}, {"noetag": 1, "modified": ""}], ids=["its ETag", "its length"])
def test_a_file_that_changes_while_it_is_fetched_is_started_anew(replace_meanwhile, tmp_path, behaviour):
    replace_meanwhile(LONGER, **behaviour)

    assert (tmp_path / "media.mp4").read_bytes() == LONGER


@pytest.mark.usefixtures("cured")
def test_a_file_that_changes_between_two_parts_of_it_is_started_anew(downloader, site, tmp_path):
    (site.media / "direct" / "video.mp4").write_bytes(OLD)
    ydl = downloader(fixup="never", http_chunk_size=300_000)
    ydl.add_progress_hook(lambda _: (site.media / "direct" / "video.mp4").write_bytes(LONGER))

    ydl.download([site.url("/direct/video.mp4")])

    assert (tmp_path / "media.mp4").read_bytes() == LONGER


@pytest.mark.usefixtures("cured")
def test_a_server_that_breaks_off_and_ignores_range_is_asked_a_few_times(downloader, site, tmp_path):
    ydl = downloader(retries=3, fixup="never")

    with pytest.raises(DownloadError, match=f"{STARTS} times in a row"):
        ydl.download([site.url("/direct/video.mp4", cut=CUT, skip=1, norange=1)])

    assert not list(tmp_path.glob("media*"))


# What is on disk


@pytest.mark.usefixtures("cured")
def test_a_partial_file_without_a_note_is_thrown_away(go_on, site, tmp_path):
    (tmp_path / "media.mp4.part").write_bytes(NEW[:CUT])

    assert go_on() == OLD

    assert asked_for(site) == []


NOTES = ["", "{", "[]", "\x00" * 50, '{"downloader": {"current_fragment": {"index": 3}, "part_size": 600000}}']


@pytest.mark.parametrize("note", NOTES)
def test_a_partial_file_with_a_note_that_cannot_be_read_is_thrown_away(interrupted, go_on, site, tmp_path, note):
    interrupted(OLD)
    (tmp_path / "media.mp4.ytdl").write_text(note)

    assert go_on() == OLD

    assert asked_for(site) == []


def test_a_partial_file_of_another_format_is_thrown_away(interrupted, go_on, site, tmp_path):
    interrupted(OLD)
    note = json.loads((tmp_path / "media.mp4.ytdl").read_text())
    (tmp_path / "media.mp4.ytdl").write_text(json.dumps({"source": note["source"] | {"form": "137/mp4"}}))

    assert go_on() == OLD

    assert asked_for(site) == []


def test_a_partial_file_that_is_longer_than_its_file_is_thrown_away(interrupted, go_on, tmp_path):
    interrupted(OLD)
    (tmp_path / "media.mp4.part").write_bytes(LONGER)

    assert go_on() == OLD


def test_a_partial_file_that_is_complete_becomes_the_file_without_a_request(interrupted, go_on, site, tmp_path):
    interrupted(NEW)
    (tmp_path / "media.mp4.part").write_bytes(OLD)

    assert go_on() == OLD

    assert len(site.requests) == 1  # the look-up


def test_a_partial_file_that_is_complete_without_anybody_knowing_is_started_anew(interrupted, go_on, tmp_path):
    interrupted(OLD, nolength=1)
    (tmp_path / "media.mp4.part").write_bytes(OLD)

    assert go_on(nolength=1) == OLD


def test_the_note_is_there_before_the_first_byte(cured, downloader, site, tmp_path):
    seen = []
    ydl = downloader(fixup="never")
    ydl.add_progress_hook(lambda _: seen.append(sorted(file.name for file in tmp_path.glob("media*"))))

    ydl.download([site.url("/direct/video.mp4")])

    assert seen[0] == ["media.mp4.part", "media.mp4.ytdl"]


# Without the cure


def test_yt_dlp_alone_splices(downloader, site, tmp_path):
    with pytest.raises(DownloadError):
        downloader(retries=0, fixup="never").download([site.url("/direct/video.mp4", cut=CUT, skip=1, etag="a")])
    (site.media / "direct" / "video.mp4").write_bytes(NEW)

    downloader(fixup="never").download([site.url("/direct/video.mp4", etag="b")])

    spliced = (tmp_path / "media.mp4").read_bytes()
    assert spliced not in (OLD, NEW), "yt-dlp has mended this: the cure can go"
