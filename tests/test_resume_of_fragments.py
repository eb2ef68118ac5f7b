"""Whole fragments on disk are continued if they still are those of the list, and else started anew: never spliced."""

import json
import re
import shutil

import pytest
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.utils import DownloadError

from downloads.engine.fragments import HEAD
from tests import ytdlp
from tests.origin import Origin

NATIVE = {
    "external_downloader": {"default": "native"},
    "skip_unavailable_fragments": False,
    "retries": 0,
    "fixup": "never",
    "noprogress": True,
}


@pytest.fixture
def site(tmp_path, media):
    """An origin with lists that a test may replace."""
    shutil.copytree(media / "hls", tmp_path / "site" / "hls")
    shutil.copytree(media / "dash", tmp_path / "site" / "dash")
    shutil.copytree(media / "direct", tmp_path / "site" / "direct")
    shutil.copytree(media / "hls" / "multi" / "180", tmp_path / "site" / "hls" / "list")
    with Origin(tmp_path / "site") as origin:
        yield origin


@pytest.fixture
def make(cured, tools):
    """A way to make a yt-dlp for a folder that leaves the fragments as they come."""
    opened = []

    def make(folder, **options):
        opened.append(ytdlp.make(folder, tools, **NATIVE | options))
        return opened[-1]

    yield make
    _ = [ydl.close() for ydl in opened]


@pytest.fixture
def undisturbed(make, site, tmp_path):
    """What a download gives that nobody disturbs."""

    def download(path, **options):
        make(tmp_path / "undisturbed", **options).download([site.url(path)])
        (file,) = (tmp_path / "undisturbed").glob("media*")
        return file.read_bytes()

    return download


@pytest.fixture
def interrupted(make, site, tmp_path):
    """A download that breaks off at some fragment; the link with which it can go on."""

    def interrupt(path, at, behaviour=None, **options):
        link = site.url(path, on=at, status=404, times=1, **behaviour or {})
        with pytest.raises(DownloadError, match="404"):
            make(tmp_path, **options).download([link])
        return link

    return interrupt


@pytest.fixture
def go_on(make, site, tmp_path):
    """Download to the same folder; what is in the file then, and which fragments were fetched for it."""

    def go_on(link, **options):
        before = len(site.requests)
        make(tmp_path, **options).download([link])
        (file,) = tmp_path.glob("media*")
        fragments = [record for record in site.requests[before:] if record.path.endswith((".ts", ".m4s"))]
        fetched = [record for record in fragments if not is_of_a_proof(record)]
        return file.read_bytes(), [record.path.rpartition("/")[2] for record in fetched]

    return go_on


def is_of_a_proof(record):
    return bool(record.range) and record.range[1] is not None and record.range[1] - record.range[0] == HEAD - 1


def names(*numbers):
    return [f"seg{number:03}.ts" for number in numbers]


# The same fragments

PATHS = ["/hls/plain/index.m3u8", "/hls/aes/index.m3u8", "/hls/numbered/index.m3u8"]


@pytest.mark.parametrize("path", PATHS)
def test_the_same_list_is_continued(undisturbed, interrupted, go_on, path):
    expected = undisturbed(path)

    content, asked = go_on(interrupted(path, "seg005"))

    assert content == expected
    assert asked == names(*range(5, 12))


@pytest.mark.parametrize("path", PATHS)
def test_what_other_threads_have_fetched_is_kept(undisturbed, interrupted, go_on, path):
    expected = undisturbed(path)
    link = interrupted(path, "seg000", concurrent_fragment_downloads=4)

    content, asked = go_on(link, concurrent_fragment_downloads=4)

    assert content == expected
    assert {*names(0)} <= {*asked} < {*names(*range(12))}


@pytest.fixture
def killed_without_a_name(make, site, tmp_path, monkeypatch):
    """What a kill leaves when every byte is there, and the file has not its name yet; the link."""

    def keep(downloader, part, name):
        shutil.copytree(tmp_path, kept, ignore=shutil.ignore_patterns("site", "kept"))
        rename(downloader, part, name)

    kept, rename = tmp_path / "kept", HlsFD.try_rename
    with monkeypatch.context() as patch:
        patch.setattr("downloads.engine.fragments.WRITE_EVERY", 0)  # so that no fragment has a file of its own by then
        patch.setattr(HlsFD, "try_rename", keep)
        make(tmp_path).download([site.url(PATHS[0])])
    (tmp_path / "media.mp4").unlink()
    _ = [file.rename(tmp_path / file.name) for file in kept.glob("media*")]
    return site.url(PATHS[0])


def test_what_was_whole_and_had_no_name_yet_is_not_fetched_again(undisturbed, killed_without_a_name, go_on):
    whole, fetched = go_on(killed_without_a_name)

    assert whole == undisturbed(PATHS[0])
    assert fetched == []


def test_a_list_of_dash_is_continued(undisturbed, interrupted, go_on):
    expected = undisturbed("/dash/manifest.mpd", format="bv")
    link = interrupted("/dash/manifest.mpd", "seg-2-004", format="bv")

    content, asked = go_on(link, format="bv")

    assert content == expected
    assert asked == ["seg-2-004.m4s", "seg-2-005.m4s", "seg-2-006.m4s"]


def test_parts_of_one_file_are_continued_where_they_say_no_offset(undisturbed, interrupted, go_on):
    expected = undisturbed("/hls/ranges/index.m3u8")
    link = interrupted("/hls/ranges/index.m3u8", "media.ts", behaviour={"skip": 5})

    content, asked = go_on(link)

    assert content == expected
    assert asked == ["media.ts"] * 7


def test_a_part_that_seems_complete_is_not_taken_without_a_note(undisturbed, interrupted, go_on, site, tmp_path):
    expected = undisturbed("/hls/ranges/index.m3u8")
    link = interrupted("/hls/ranges/index.m3u8", "media.ts", behaviour={"skip": 5})
    playlist = (site.media / "hls" / "ranges" / "index.m3u8").read_text()
    size = int(re.findall(r"#EXT-X-BYTERANGE:(\d+)", playlist)[5])
    (tmp_path / "media.mp4.part-Frag6.part").write_bytes(b"x" * size)

    content, _ = go_on(link)

    assert content == expected


def test_parts_of_one_file_are_not_taken_from_a_server_that_ignores_range(make, site, tmp_path):
    with pytest.raises(DownloadError, match="ignores which part"):
        make(tmp_path).download([site.url("/hls/ranges/index.m3u8", norange=1)])


@pytest.mark.parametrize("behaviour", [{"norange": 1}, {"nolength": 1}, {"norange": 1, "nolength": 1}])
def test_fragments_are_known_again_whatever_their_server_can_do(undisturbed, interrupted, go_on, behaviour):
    expected = undisturbed("/hls/plain/index.m3u8")

    content, asked = go_on(interrupted("/hls/plain/index.m3u8", "seg005", behaviour=behaviour))

    assert content == expected
    assert asked == names(*range(5, 12))


def test_the_same_fragments_at_other_addresses_are_continued(undisturbed, interrupted, go_on, site):
    expected = undisturbed("/hls/plain/index.m3u8")
    interrupted("/hls/plain/index.m3u8", "seg005")
    shutil.copytree(site.media / "hls" / "plain", site.media / "hls" / "token")

    content, asked = go_on(site.url("/hls/token/index.m3u8"))

    assert content == expected
    assert asked == names(*range(5, 12))


def test_tiny_parts_of_one_file_are_known_again(undisturbed, interrupted, go_on, site):
    """As small as an initial segment: what is compared ends with it."""
    path = site.media / "hls" / "ranges" / "index.m3u8"
    head = "#EXTINF:1.000000,\n#EXT-X-BYTERANGE:188@0\nmedia.ts\n#EXTINF"
    path.write_text(path.read_text().replace("#EXTINF", head, 1))
    expected = undisturbed("/hls/ranges/index.m3u8")
    link = interrupted("/hls/ranges/index.m3u8", "media.ts", behaviour={"skip": 5})

    content, asked = go_on(link)

    assert content == expected
    assert asked == ["media.ts"] * 9  # one of them is to know the tiny one by


def test_half_a_fragment_is_continued(undisturbed, make, site, go_on, tmp_path):
    expected = undisturbed("/hls/plain/index.m3u8")
    link = site.url("/hls/plain/index.m3u8", on="seg005", cut=100_000, times=1)
    with pytest.raises(DownloadError):
        make(tmp_path, fragment_retries=0).download([link])
    (half,) = tmp_path.glob("*-Frag*.part")
    size = half.stat().st_size

    content, _ = go_on(link, retries=3)

    assert content == expected
    assert site.requests_for("/hls/plain/seg005")[-1].range[0] >= size > 0


# Others


def replaced_by(folder):
    def replace(site):
        shutil.rmtree(site.media / "hls" / "list")
        shutil.copytree(site.media / "hls" / folder, site.media / "hls" / "list")

    return replace


def edited(pattern, replacement):
    def edit(site):
        path = site.media / "hls" / "list" / "index.m3u8"
        path.write_text(re.sub(pattern, replacement, path.read_text(), count=1))

    return edit


def other(name):
    """Another fragment at the same address, as a new initial segment may be."""

    def change(site):
        shutil.copy(site.media / "hls" / "multi" / "720" / name, site.media / "hls" / "list" / name)

    return change


def longer(name):
    def change(site):
        path = site.media / "hls" / "list" / name
        path.write_bytes(path.read_bytes() + path.read_bytes()[:188])

    return change


CHANGES = {
    "all fragments": replaced_by("multi/720"),
    "their encryption": replaced_by("aes"),
    "the first": other("seg000.ts"),
    "the end of the first": longer("seg000.ts"),
    "how many they are": edited(r"(#EXTINF:.*\nseg.*\n){11}(?=#EXT-X-ENDLIST)", ""),
}


@pytest.fixture(params=CHANGES.values(), ids=CHANGES.keys())
def change(request, site):
    """What happens to the list in /hls/list/."""
    return lambda: request.param(site)


@pytest.mark.parametrize("at", ["seg000", "seg001", "seg005"])
def test_what_has_changed_is_started_anew(undisturbed, interrupted, go_on, change, at):
    link = interrupted("/hls/list/index.m3u8", at, concurrent_fragment_downloads=2)
    change()

    content, _ = go_on(link, concurrent_fragment_downloads=2)

    assert content == undisturbed("/hls/list/index.m3u8")


def test_what_has_changed_where_it_would_go_on_is_started_anew(undisturbed, interrupted, go_on, site):
    link = interrupted("/hls/list/index.m3u8", "seg005")
    other("seg004.ts")(site)

    content, _ = go_on(link)

    assert content == undisturbed("/hls/list/index.m3u8")


def test_a_partial_file_of_another_format_is_started_anew(undisturbed, interrupted, go_on):
    expected = undisturbed("/hls/multi/master.m3u8", format="w")
    interrupted("/hls/multi/master.m3u8", "720/seg005", format="b")

    content, _ = go_on(interrupted("/hls/multi/master.m3u8", "180/seg011", format="w"), format="w")

    assert content == expected


def test_a_direct_file_does_not_continue_fragments(interrupted, go_on, media, site):
    interrupted("/hls/plain/index.m3u8", "seg005")

    content, _ = go_on(site.url("/direct/video.mp4"))

    assert content == (media / "direct" / "video.mp4").read_bytes()


def test_fragments_do_not_continue_a_direct_file(undisturbed, make, go_on, site, tmp_path):
    expected = undisturbed("/hls/plain/index.m3u8")
    with pytest.raises(DownloadError):
        make(tmp_path).download([site.url("/direct/video.mp4", cut=1_000_000, skip=1)])

    content, asked = go_on(site.url("/hls/plain/index.m3u8"))

    assert content == expected
    assert asked == names(*range(12))


# The partial file and its state


@pytest.fixture
def left(interrupted, tmp_path):
    """Five fragments on disk: the partial file, its state, and the link."""
    link = interrupted("/hls/plain/index.m3u8", "seg005")
    return tmp_path / "media.mp4.part", tmp_path / "media.mp4.ytdl", link


def test_the_state_says_what_is_in_the_partial_file(left, tmp_path):
    part, note, _ = left

    state = json.loads(note.read_text())["downloader"]

    assert state["current_fragment"] == {"index": 5}
    assert state["part_size"] == part.stat().st_size
    assert sorted(file.name for file in tmp_path.glob("media*")) == ["media.mp4.part", "media.mp4.ytdl"]


@pytest.mark.parametrize("more", [1, 5000])
def test_a_partial_file_is_cut_to_where_its_state_says(undisturbed, left, go_on, more):
    part, _, link = left
    part.write_bytes(part.read_bytes() + b"x" * more)

    content, asked = go_on(link)

    assert content == undisturbed("/hls/plain/index.m3u8")
    assert asked == names(*range(5, 12))


def test_a_partial_file_that_is_shorter_than_its_state_says_is_thrown_away(undisturbed, left, go_on):
    part, _, link = left
    part.write_bytes(part.read_bytes()[:-1])

    content, asked = go_on(link)

    assert content == undisturbed("/hls/plain/index.m3u8")
    assert asked == names(*range(12))


PIECE = '{"length": 1, "head": ""}'
STATE = f'{{"downloader": {{"current_fragment": {{"index": %s}}, "part_size": %s, "first": {PIECE}, "last": {PIECE}}}}}'


@pytest.mark.parametrize(
    "state",
    [
        STATE % (5, 10**9),
        STATE % (5, -1),
        STATE % (5, 0),
        STATE % (0, 5),
        STATE % (-1, 5),
        STATE % (5, "null"),
        STATE % (5, '"many"'),
        '{"downloader": {"current_fragment": {"index": 5}}}',
        '{"downloader": []}',
        "[]",
        "{",
        "",
        "\x00" * 50,
    ],
)
def test_a_partial_file_that_does_not_fit_its_state_is_thrown_away(undisturbed, left, go_on, state):
    _, note, link = left
    note.write_text(state)

    content, asked = go_on(link)

    assert content == undisturbed("/hls/plain/index.m3u8")
    assert asked == names(*range(12))


def test_a_partial_file_without_a_state_is_thrown_away(undisturbed, left, go_on):
    _, note, link = left
    note.unlink()

    content, asked = go_on(link)

    assert content == undisturbed("/hls/plain/index.m3u8")
    assert asked == names(*range(12))


def test_a_state_without_a_partial_file_is_thrown_away(undisturbed, left, go_on):
    part, _, link = left
    part.unlink()

    content, asked = go_on(link)

    assert content == undisturbed("/hls/plain/index.m3u8")
    assert asked == names(*range(12))


def test_half_a_fragment_without_a_note_is_thrown_away(undisturbed, left, go_on, tmp_path):
    _, _, link = left
    (tmp_path / "media.mp4.part-Frag6.part").write_bytes(b"x" * 100_000)

    content, asked = go_on(link)

    assert content == undisturbed("/hls/plain/index.m3u8")
    assert asked == names(*range(5, 12))


# Without the cures


@pytest.mark.parametrize(
    ("path", "broken"),
    [("/hls/numbered/index.m3u8", {"on": "seg005"}), ("/hls/ranges/index.m3u8", {"on": "media.ts", "skip": 5})],
)
def test_yt_dlp_alone_counts_wrong_when_it_goes_on(site, tools, tmp_path, path, broken):
    link = site.url(path, status=404, times=1, **broken)
    with pytest.raises(DownloadError):
        ytdlp.make(tmp_path, tools, **NATIVE).download([link])
    ytdlp.make(tmp_path, tools, **NATIVE).download([link])
    ytdlp.make(tmp_path / "undisturbed", tools, **NATIVE).download([site.url(path)])

    content, expected = (folder / "media.mp4" for folder in (tmp_path, tmp_path / "undisturbed"))
    assert content.read_bytes() != expected.read_bytes(), "yt-dlp has mended this: the cure can go"
