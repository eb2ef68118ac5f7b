"""What SponsorBlock's users have marked: asked for in private, marked as chapters, or cut out."""

import hashlib
import json
import re
import subprocess
from itertools import pairwise

import pytest

from tests.jobs import video
from tests.origin import VIDEO_ID, Origin

CUE = re.compile(r"(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n(.*)")


@pytest.fixture
def run(jobs, origin):
    """Download twelve seconds, of which these parts are marked."""

    def run(marked, path="/direct/video.mp4", facts=None, **fields):
        url = origin.url(path)
        info = video(url) | (facts or {})
        return jobs.run(url, looked_up=info, sponsorblock_api=origin.url(f"/sponsors/{marked}"), **fields)

    return run


def moments(outcome, stream):
    """When each packet of a stream is shown, in seconds."""
    command = [outcome.toolbox.ffprobe, "-v", "error", "-select_streams", stream, "-of", "json"]
    said = subprocess.run([*command, "-show_entries", "packet=pts_time", outcome.file], capture_output=True, check=True)
    return sorted(float(packet["pts_time"]) for packet in json.loads(said.stdout)["packets"])


def widest_gap(times):
    return max(later - earlier for earlier, later in pairwise(times))


def decodes_cleanly(outcome):
    command = [outcome.toolbox.ffmpeg, "-v", "error", "-i", outcome.file, "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, check=False).stderr == b""


# ---- Cut


@pytest.mark.parametrize(
    ("marked", "left"),
    [
        ("sponsor,3,5", 10.0),
        ("sponsor,0,2;sponsor,4,5;sponsor,10,12", 7.0),
        ("sponsor,3,5;sponsor,4,6", 9.0),
        ("sponsor,3.1,4.9", 10.0),  # within a quarter of a second of key frames
    ],
)
def test_parts_between_key_frames_are_cut_without_encoding(run, marked, left):
    outcome = run(marked, sponsorblock="cut")
    assert outcome.media.duration == pytest.approx(left, abs=0.1)
    assert (outcome.codecs, outcome.media.videos[0].profile) == (["h264", "aac"], "Constrained Baseline")
    assert (decodes_cleanly(outcome), outcome.media.is_fast_start) == (True, True)
    assert widest_gap(moments(outcome, "v:0")) < 0.05
    assert widest_gap(moments(outcome, "a:0")) < 0.05


def test_a_copied_picture_lacks_the_packets_of_the_part_and_no_others(run, media, jobs):
    outcome = run("sponsor,3,5", sponsorblock="cut")
    before = packet_sums(jobs.toolbox, media / "direct" / "video.mp4")
    assert packet_sums(jobs.toolbox, outcome.file) == [*before[:75], *before[125:]]  # 25 frames a second


def packet_sums(toolbox, path):
    """A checksum for each packet of the picture."""
    command = [toolbox.ffmpeg, "-v", "error", "-i", path, "-map", "0:v:0", "-c", "copy", "-f", "framemd5", "-"]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    return [line.rpartition(",")[2] for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(
    ("marked", "left"), [("sponsor,3.4,5.5;sponsor,0,2.5", 7.4), ("sponsor,7.45,12;sponsor,1.2,2.5", 6.15)]
)
def test_elsewhere_the_picture_is_encoded_and_the_sound_is_copied(run, marked, left):
    outcome = run(marked, sponsorblock="cut")
    assert outcome.media.duration == pytest.approx(left, abs=0.1)
    assert outcome.media.videos[0].profile == "High"
    assert (decodes_cleanly(outcome), outcome.media.is_fast_start) == (True, True)
    assert [round(moments(outcome, stream)[-1] - left, 1) for stream in ("v:0", "a:0")] == [0.0, 0.0]
    assert widest_gap(moments(outcome, "v:0")) < 0.09  # a frame lasts 0.04 s
    assert widest_gap(moments(outcome, "a:0")) < 0.05


def test_the_sound_of_a_cut_is_that_of_the_source(run, media, jobs, tmp_path):
    """The packets before the cut are the first of the source, bit by bit."""
    outcome = run("sponsor,3.4,12", sponsorblock="cut")
    heads = [tmp_path / "cut.m4a", tmp_path / "source.m4a"]
    for source, head in zip([outcome.file, media / "direct" / "video.mp4"], heads, strict=True):
        copy = ["-v", "error", "-i", source, "-map", "0:a", "-c", "copy", "-frames:a", "100", head]
        subprocess.run([jobs.toolbox.ffmpeg, *copy], check=True)
    assert jobs.packets_of(heads[0], "a") == jobs.packets_of(heads[1], "a")


@pytest.mark.parametrize(
    ("path", "fields", "codecs", "left"),
    [
        ("/direct/vp9.webm", {}, ["vp9", "opus"], 3.0),
        ("/direct/vp9.webm", {"container": "mkv"}, ["h264", "opus"], 3.0),
        ("/direct/vp9.webm", {"post_processing": "permute"}, ["h264", "aac"], 3.0),
        ("/direct/vp9.webm", {"post_processing": "audio"}, ["opus"], 3.0),
        ("/direct/vp9.webm", {"post_processing": "audio", "audio_format": "mp3"}, ["mp3"], 3.0),
        ("/direct/audio.mp3", {"post_processing": "audio"}, ["mp3"], 11.0),
        ("/direct/audio.mp3", {}, ["mp3"], 11.0),
    ],
)
def test_every_form_can_be_cut(run, path, fields, codecs, left):
    outcome = run("sponsor,1.4,2.4", path, {"duration": None}, sponsorblock="cut", **fields)
    assert outcome.media.duration == pytest.approx(left, abs=0.1)
    assert [stream.codec for stream in (*outcome.media.videos, *outcome.media.audios)] == codecs
    assert decodes_cleanly(outcome)


def test_subtitles_and_chapters_move_with_the_cut(run, origin):
    words = {"en": [{"url": origin.url("/companions/words.srt"), "ext": "srt"}]}
    chapters = [
        {"start_time": 0, "end_time": 4, "title": "One"},
        {"start_time": 4, "end_time": 5, "title": "Gone"},
        {"start_time": 5, "end_time": 12, "title": "Three"},
    ]
    outcome = run(
        "sponsor,3,6",
        facts={"subtitles": words, "chapters": chapters},
        sponsorblock="cut",
        chapters=True,
        subtitles={"languages": ["en"], "place": "beside"},
    )
    cues = CUE.findall(outcome.side_files[".en.srt"].read_text())
    assert [words for _, _, words in cues] == [f"word {n}" for n in (1, 2, 6, 7, 8, 9, 10, 11)]
    assert cues[2][:2] == ("00:00:03,000", "00:00:03,800")
    parts = [(float(part["start_time"]), part["tags"]["title"]) for part in outcome.described()["chapters"]]
    assert parts == [(0.0, "One"), (3.0, "Three")]


def test_only_what_is_a_sponsors_is_cut(run, origin):
    outcome = run("intro,1,2;selfpromo,4,6", sponsorblock="cut")
    assert outcome.media.duration == 12.0
    assert json.loads(origin.requests_for("/sponsors/")[0].query["categories"]) == ["sponsor"]


def test_a_video_of_nothing_else_is_kept(run):
    assert run("sponsor,0,12", sponsorblock="cut").media.duration == 12.0


# ---- Marked


def test_parts_are_marked_between_the_sites_chapters(run):
    chapters = [
        {"start_time": 0, "end_time": 6, "title": "One"},
        {"start_time": 6, "end_time": 12, "title": "Two"},
    ]
    outcome = run("sponsor,2,4;intro,5,8", facts={"chapters": chapters}, sponsorblock="mark")
    parts = [(float(part["start_time"]), part["tags"]["title"]) for part in outcome.described()["chapters"]]
    assert parts == [
        (0.0, "One"),
        (2.0, "Sponsor"),
        (4.0, "One"),
        (5.0, "Intermission/Intro Animation"),
        (8.0, "Two"),
    ]
    assert outcome.media.duration == 12.0


def test_without_chapters_the_rest_bears_the_videos_title(run, media, jobs):
    outcome = run("sponsor,2,4", sponsorblock="mark")
    titles = [part["tags"]["title"] for part in outcome.described()["chapters"]]
    assert titles == ["A video", "Sponsor", "A video"]
    assert outcome.packets("v") == jobs.packets_of(media / "direct" / "video.mp4", "v")


# ---- Asked for


def test_the_server_does_not_learn_which_video_it_is(run, origin):
    run("sponsor,2,4", sponsorblock="mark")
    (request,) = origin.requests_for("/sponsors/")
    assert request.path.rpartition("/")[2] == hashlib.sha256(VIDEO_ID.encode()).hexdigest()[:4]
    assert VIDEO_ID not in str(request)


def test_other_sites_are_not_asked_about(run, origin):
    run("sponsor,2,4", facts={"extractor_key": "Generic"}, sponsorblock="cut")
    assert origin.requests_for("/sponsors/") == []


@pytest.mark.parametrize("wanted", ["mark", "cut"])
@pytest.mark.parametrize("marked", ["nonsense", "sponsor,nan,nan", "sponsor,5,inf", "sponsor,9,4", "unheard,1,2"])
def test_an_answer_that_makes_no_sense_changes_nothing(jobs, origin, wanted, marked):
    url = origin.url("/direct/small.mp4")
    with Origin(origin.media) as server:
        api = server.url(f"/sponsors/{marked}")
        outcome = jobs.run(url, looked_up=video(url, duration=2), sponsorblock_api=api, sponsorblock=wanted)
    assert outcome.media.duration == 2.0


def test_a_server_that_fails_is_said_and_the_download_goes_on(jobs, origin):
    url = origin.url("/direct/small.mp4")
    outcome = jobs.run(
        url, looked_up=video(url, duration=2), sponsorblock_api=origin.url("/status/500"), sponsorblock="cut"
    )
    assert outcome.media.duration == 2.0
    assert "Without what SponsorBlock knows" in outcome.done.notes[0]


def test_a_server_on_a_private_network_is_not_reached_and_the_download_goes_on(jobs, origin):
    url = origin.url("/direct/small.mp4")
    api = origin.url("/sponsors/sponsor,0,1").replace("127.0.0.1", "127.0.0.2")
    assert (
        jobs.run(url, looked_up=video(url, duration=2), sponsorblock_api=api, sponsorblock="cut").media.duration == 2.0
    )
    assert origin.requests_for("/sponsors/") == []
