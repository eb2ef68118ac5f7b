"""How much a download may weigh: chosen for it, refused before a byte, stopped at the byte too many."""

import subprocess
import sys

import pytest
import yt_dlp

from downloads.engine import messages
from downloads.engine.errors import Reason
from downloads.engine.formats import PostProcessing, Quality, format_options
from downloads.engine.sizes import lighter
from tests.jobs import video

MB = 1_000_000


def picture(height, **size):
    facts = {"vcodec": "avc1.64001f", "acodec": "none", "ext": "mp4", "url": "http://127.0.0.1/"}
    return {"format_id": f"p{height}", "height": height, "width": height * 16 // 9, **facts, **size}


def sound(name, **size):
    return {
        "format_id": name,
        "vcodec": "none",
        "acodec": "mp4a.40.2",
        "ext": "m4a",
        "url": "http://127.0.0.1/",
    } | size


SIZED = [
    sound("low", filesize=1 * MB, tbr=50),
    sound("high", filesize=3 * MB, tbr=130),
    picture(360, filesize=10 * MB),
    picture(720, filesize=30 * MB),
    picture(1080, filesize=90 * MB),
]


def choose(formats, limit, quality=Quality.BEST, duration=100):
    options = {"quiet": True, "simulate": True, "cachedir": False, **format_options(quality, PostProcessing.NONE)}
    info = video("http://127.0.0.1/", formats=[dict(each) for each in formats], duration=duration)
    with yt_dlp.YoutubeDL(options, auto_init=False) as ydl:
        ydl.format_selector = lighter(ydl.format_selector, limit, duration)
        return ydl.process_ie_result(info, download=False)["format_id"]


# ---- Chosen


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(93 * MB, "p1080+high"), (93 * MB - 1, "p720+high"), (13 * MB, "p360+high"), (12 * MB, "p360+high")],
)
def test_the_best_that_is_light_enough_is_chosen(limit, expected):
    assert choose(SIZED, limit) == expected


def test_a_quality_holds_within_what_is_light_enough():
    assert choose(SIZED, 50 * MB, Quality.P360) == "p360+high"


def test_heavy_sound_gives_way_too():
    formats = [
        sound("low", filesize=1 * MB, tbr=50),
        sound("high", filesize=9 * MB, tbr=900),
        picture(360, filesize=5 * MB),
    ]
    assert choose(formats, 7 * MB) == "p360+low"


def test_estimates_count_where_there_is_nothing_better():
    assert choose([sound("a", tbr=100), picture(360, tbr=800), picture(720, tbr=4000)], 20 * MB) == "p360+a"


def test_rates_of_a_playlist_count_too():
    playlist = [
        picture(height, tbr=rate, acodec="mp4a.40.2", protocol="m3u8_native", manifest_url="http://127.0.0.1/m")
        for height, rate in ((360, 800), (720, 4000))
    ]
    assert choose(playlist, 20 * MB) == "p360"


def test_what_nobody_knows_the_size_of_is_not_left_out():
    assert choose([sound("a"), picture(360), picture(720)], 1) == "p720+a"


# ---- Refused before the first byte


def sized(origin, size):
    url = origin.url("/direct/small.mp4")
    return video(url, formats=[{"format_id": "1", "url": url, "ext": "mp4", "filesize": size}], duration=2)


def test_a_known_size_is_refused_before_the_first_byte(jobs, origin):
    outcome = jobs.run(origin.url("/x"), looked_up=sized(origin, 10 * MB), max_filesize=9 * MB)
    assert (outcome.failure.reason, outcome.failure.retryable) == (Reason.FILE_TOO_LARGE, False)
    assert origin.requests_for("/direct/") == []


def test_an_estimated_size_is_tried(jobs, origin):
    url = origin.url("/direct/small.mp4")
    formats = [{"format_id": "1", "url": url, "ext": "mp4", "filesize_approx": 10 * MB}]
    assert jobs.run(url, looked_up=video(url, formats=formats, duration=2), max_filesize=9 * MB).done


def test_a_length_that_the_server_announces_is_refused_with_the_first_block(jobs, origin):
    outcome = jobs.run(origin.url("/direct/big.bin", size=50 * MB, rate=5 * MB, type="video/mp4"), max_filesize=9 * MB)
    assert outcome.failure.reason == Reason.FILE_TOO_LARGE
    assert origin.bytes_sent("/direct/") < 9 * MB


# ---- Stopped


def test_a_file_of_unknown_length_is_stopped_at_the_limit(jobs, origin):
    url = origin.url("/direct/big.bin", size=50 * MB, nolength=1, rate=10 * MB, type="video/mp4")
    outcome = jobs.run(url, looked_up=video(url), max_filesize=2 * MB)
    assert outcome.failure.reason == Reason.FILE_TOO_LARGE
    assert 2 * MB <= origin.bytes_sent("/direct/") < 20 * MB


@pytest.mark.parametrize("path", ["/hls/multi/master.m3u8", "/hls/split/master.m3u8", "/dash/manifest.mpd"])
def test_fragments_are_weighed_together(jobs, origin, path):
    outcome = jobs.run(origin.url(path, rate=400_000), quality="best", max_filesize=450_000)
    assert outcome.failure.reason == Reason.FILE_TOO_LARGE


def test_what_is_just_light_enough_passes(jobs, origin, media):
    size = (media / "direct" / "small.mp4").stat().st_size
    assert jobs.run(origin.url("/direct/small.mp4"), max_filesize=size).done.size == size
    assert jobs.run(origin.url("/direct/small.mp4"), max_filesize=size - 1).failure.reason == Reason.FILE_TOO_LARGE


def test_a_conversion_that_makes_too_much_of_it_is_refused(jobs, origin):
    outcome = jobs.run(
        origin.url("/direct/audio.mp3"), post_processing="audio", audio_format="wav", max_filesize=1_000_000
    )
    assert outcome.failure.reason == Reason.FILE_TOO_LARGE
    assert outcome.said(messages.Done) == []


LAST_RESORT = """
import sys
from pathlib import Path
from downloads.engine import sizes
from downloads.engine.errors import Reason
from downloads.engine.classification import classify, disk_reason
from downloads.engine.errors import Phase
from downloads.engine.ffmpeg import FfmpegFailed, prepare_toolbox, run_ffmpeg
sizes._SLACK = 0
sizes.limit_files(100_000)
folder = Path(sys.argv[1])
tools = prepare_toolbox(folder / "tools")
try:
    (folder / "written").write_bytes(bytes(100_001))
except OSError as error:
    print(classify(error, Phase.DOWNLOAD).reason)
arguments = ["-f", "lavfi", "-i", "anoisesrc=d=60", f"file:{folder}/noise.wav"]
try:
    run_ffmpeg(tools, arguments, duration=60, on_progress=lambda _: None)
except FfmpegFailed as error:
    print(disk_reason(error.detail))
"""


@pytest.mark.parametrize(
    ("path", "wishes"), [("/live/plain/index.m3u8", {}), ("/direct/video.mp4", {"section": {"from": 5, "to": 9}})]
)
def test_what_ffmpeg_reads_leaves_the_disk_its_room(jobs, origin, path, wishes):
    outcome = jobs.run(origin.url(path), free_space_floor=2**60, **wishes)
    assert (outcome.failure.reason, outcome.failure.retryable) == (Reason.NO_SPACE, True)


def test_the_system_stops_this_process_and_ffmpeg_at_the_last(tmp_path):
    done = subprocess.run([sys.executable, "-c", LAST_RESORT, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["file_too_large", "file_too_large"]
