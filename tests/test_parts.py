"""A file comes over several connections where that is faster, and what goes wrong with one of them costs nothing."""

import contextlib
import errno
import json
import random
import time

import pytest
from yt_dlp.utils import DownloadError

from downloads.engine.bodies import Body
from downloads.engine.ramp import Ramp
from downloads.engine.resume import PartialFile
from downloads.engine.write_back import STEP, WriteBack
from tests.origin import Origin

SIZE = 4_000_000
RATE = 2_500_000  # bytes a second of each connection
SHORT = 1_500_000  # bytes
OLD, NEW = random.Random(1).randbytes(SIZE), random.Random(2).randbytes(SIZE)


@pytest.fixture
def site(tmp_path, cured):
    """An origin with a file that a test may replace."""
    folder = tmp_path / "site" / "direct"
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(OLD)
    with Origin(tmp_path / "site") as origin:
        yield origin


@pytest.fixture
def fetch(downloader, site, tmp_path):
    """Download the file over up to eight connections; what is in it then."""

    def fetch(hook=None, behaviour=None, **options):
        options = {"concurrent_fragment_downloads": 8, "fixup": "never", "retries": 0} | options
        ydl = downloader(progress_hooks=[hook] if hook else [], **options)
        ydl.download([site.url("/direct/video.mp4", **{"each": RATE} | (behaviour or {}))])
        assert [file.name for file in tmp_path.glob("media*")] == ["media.mp4"]
        return (tmp_path / "media.mp4").read_bytes()

    return fetch


@pytest.fixture
def short(site):
    """A shorter file in its place, which is worth two connections."""
    (site.media / "direct" / "video.mp4").write_bytes(OLD[:SHORT])
    return OLD[:SHORT]


def parts(site):
    """The requests for a part of the file."""
    return [record for record in site.requests if record.range]


@pytest.fixture
def tried(fetch, site, tmp_path):
    """The parts of a download, of the last of three where none before is as it should be.

    How many connections pay is measured, and on a machine that others keep busy a measurement may be off: so much that
    even the first connection is one of those that a server refuses.
    """

    def tried(content, is_right, **options):
        for last in (False, False, True):
            (tmp_path / "media.mp4").unlink(missing_ok=True)
            site.reset()
            with contextlib.nullcontext() if last else contextlib.suppress(DownloadError):
                assert fetch(**options) == content
                if is_right(parts(site)):
                    break
        return parts(site)

    return tried


def is_none(found):
    return found == []


def is_one(found):
    return len(found) == 1


def test_a_slow_server_is_asked_for_parts_and_all_come_at_once(tried, site):
    assert len(tried(OLD, lambda found: len(found) >= 3, behaviour={"each": 1_000_000})) >= 3
    assert max(record.bytes_sent for record in site.requests) < 0.7 * SIZE


def test_a_fast_server_is_asked_once(tried):
    assert tried(OLD, is_none, behaviour={"each": 0}) == []


@pytest.mark.parametrize(
    ("rate", "options"), [(SHORT, {"concurrent_fragment_downloads": 1}), (4 * SHORT, {"ratelimit": SHORT // 2})]
)
def test_no_more_connections_are_made_than_may_be_or_than_a_limit_leaves_work_for(tried, short, rate, options):
    assert tried(short, is_none, behaviour={"each": rate}, **options) == []


def test_a_rate_limit_holds_for_all_connections_together(tried):
    moments = [time.monotonic()]

    def is_parted(found):
        moments.append(time.monotonic())
        return len(found) >= 1

    assert len(tried(OLD, is_parted, behaviour={"each": 500_000}, ratelimit=1_250_000)) >= 1
    assert moments[-1] - moments[-2] > 0.9 * SIZE / 1_250_000


UNKNOWN = {
    "nothing but its length": {"noetag": 1, "modified": ""},
    "a weak ETag": {"weak": 1, "modified": ""},
}


@pytest.mark.parametrize("behaviour", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_file_whose_parts_cannot_be_known_to_be_of_the_same_is_not_parted(fetch, short, site, behaviour):
    assert fetch(behaviour={"each": SHORT} | behaviour) == short

    assert parts(site) == []


REFUSED = {
    "403": {"status": 403, "skip": 2},
    "416": {"status": 416, "skip": 2},
    "429": {"status": 429, "skip": 2},
    "the whole file instead of a part": {"norange": 1},
    "a short answer": {"cut": 50_000, "skip": 2},
}


@pytest.mark.parametrize("behaviour", REFUSED.values(), ids=REFUSED.keys())
def test_a_server_that_refuses_more_connections_is_not_asked_again_and_goes_on_with_those_there_are(
    tried, short, behaviour
):
    assert len(tried(short, is_one, behaviour={"each": SHORT} | behaviour)) == 1


def test_a_server_that_refuses_a_fourth_connection_keeps_three(tried):
    def refused(parts):
        return [record.status for record in parts].count(429)

    made = tried(OLD, lambda parts: refused(parts) <= 2, behaviour={"status": 429, "skip": 4})

    assert refused(made) <= 2


def test_one_of_several_connections_may_break(fetch, site):
    assert fetch(behaviour={"cut": 200_000, "cut_times": 1, "skip": 2}) == OLD


def test_a_file_that_changes_before_it_is_parted_is_fetched_as_it_was(fetch, site):
    replace = (site.media / "direct" / "video.mp4").write_bytes

    assert fetch(lambda _: replace(NEW)) == OLD

    assert len(parts(site)) == 1


def test_a_file_that_changes_after_it_was_parted_is_never_spliced(fetch, site):
    """Its last connections have what was there; any further request shows that it is another one now."""

    def replace(hook):
        if hook["downloaded_bytes"] > SIZE / 2:
            (site.media / "direct" / "video.mp4").write_bytes(NEW)

    assert fetch(replace) in (OLD, NEW)


def test_what_a_site_wants_asked_for_in_chunks_is_asked_for_in_chunks_by_each_connection(fetch, site):
    assert fetch(http_chunk_size=300_000) == OLD

    assert len(parts(site)) >= SIZE / 300_000
    assert {last - first < 300_000 for first, last in (record.range for record in parts(site))} == {True}


# What is on disk


@pytest.fixture
def stopped(fetch, site):
    """A download in parts that was stopped in the middle."""

    def stop(hook):
        if hook["downloaded_bytes"] > SIZE / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(stop)
    site.reset()


@pytest.fixture
def note(stopped, tmp_path):
    return tmp_path / "media.mp4.ytdl"


@pytest.mark.parametrize("most", [1, 8])
def test_a_file_in_parts_is_continued(stopped, fetch, site, most):
    assert fetch(concurrent_fragment_downloads=most) == OLD

    assert site.bytes_sent() < 0.75 * SIZE + 500_000  # the look-up's and what was under way included


def test_what_is_missing_is_noted(note, tmp_path):
    gaps = json.loads(note.read_text())["missing"]

    assert len(gaps) > 1
    part = (tmp_path / "media.mp4.part").read_bytes()
    there = sorted(
        set(range(0, SIZE, 1000)) - {at for begin, end in gaps for at in range(begin - begin % 1000, end, 1000)}
    )
    assert [part[at : at + 1000] == OLD[at : at + 1000] for at in there] == [True] * len(there)


def test_no_note_ever_says_that_there_is_what_is_not(fetch, monkeypatch):
    """Each is looked at as if the process had been killed right after it."""
    noted = []

    def note_gaps(partial, missing):
        real(partial, missing)
        part = partial.path.read_bytes()
        edges = [0, *(edge for gap in missing for edge in gap), SIZE]
        noted.append([part[begin:end] == OLD[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True)])

    real = PartialFile.note_gaps
    monkeypatch.setattr(PartialFile, "note_gaps", note_gaps)

    assert fetch() == OLD

    assert len(noted) > 2  # a busy machine reads more at a time
    assert [there for there in noted if not all(there)] == []


def test_a_file_in_parts_is_started_anew_if_the_machine_was_since(note, fetch, site):
    note.write_text(json.dumps(json.loads(note.read_text()) | {"boot": "another"}))

    assert fetch(behaviour={"each": 0}) == OLD

    assert parts(site) == []


def test_a_file_in_parts_is_started_anew_if_there_is_another_one(stopped, fetch, site):
    (site.media / "direct" / "video.mp4").write_bytes(NEW)

    assert fetch(behaviour={"each": 0}) == NEW


# How many


def test_connections_are_doubled_while_that_pays():
    ramp = Ramp(8)
    wanted = [ramp.wanted]
    for speed in (1e6, 1.5e6, 2.5e6, 4e6):
        ramp.judge(speed)
        wanted.append(ramp.wanted)

    assert wanted == [1, 2, 4, 8, 8]
    assert ramp.is_settled


def test_when_twice_as_many_are_twice_as_fast_there_are_as_many_as_may_be():
    ramp = Ramp(16)
    wanted = [ramp.wanted]
    for speed in (1e6, 2e6, 8e6):
        ramp.judge(speed)
        wanted.append(ramp.wanted)

    assert wanted == [1, 2, 16, 16]


def test_a_few_more_need_bring_less_than_twice_as_many():
    ramp = Ramp(8, first=6)
    for speed in (6e6, 7e6):
        ramp.judge(speed)

    assert (ramp.wanted, ramp.is_settled) == (8, True)


def test_those_that_did_not_pay_are_given_up():
    ramp = Ramp(8)
    for speed in (1e6, 1.7e6, 1.8e6):
        ramp.judge(speed)

    assert (ramp.wanted, ramp.is_settled) == (2, True)


def test_who_is_fast_enough_has_no_need_of_more():
    ramp = Ramp(8)
    ramp.judge(200e6)

    assert (ramp.wanted, ramp.is_settled) == (1, True)


# Straight from the connection


def all_of(body):
    view, pieces = memoryview(bytearray(50_000)), []
    while amount := body.read_into(view):
        pieces.append(bytes(view[:amount]))
    body.release()
    return b"".join(pieces)


@pytest.mark.usefixtures("cured")
def test_a_connection_serves_the_next_request_after_its_last_byte(downloader, origin, media):
    ydl, sockets = downloader(), []
    for _ in range(2):
        response = ydl.urlopen(origin.url("/direct/small.mp4"))
        sockets.append(response.fp._connection.sock.getsockname())
        body = Body(response, paced=False)
        assert all_of(body) == (media / "direct/small.mp4").read_bytes()
        assert body._direct is not None, "it was read through yt-dlp's own copies"

    assert sockets[0] == sockets[1]


# To the disk


def test_what_the_disk_does_not_take_is_said(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EIO, "the disk is broken")

    (tmp_path / "file").touch()
    monkeypatch.setattr("downloads.engine.write_back.os.fsync", refuse)
    write_back = WriteBack(tmp_path / "file")
    write_back.grow(STEP)

    with pytest.raises(OSError, match="broken"):
        write_back.end()
