"""One bar over many streams."""

import threading
from itertools import pairwise

import pytest

from downloads.engine.progress import ProgressMeter

MB = 1_000_000
VIDEO = {"format_id": "137", "vcodec": "avc1", "filesize": 9 * MB}
AUDIO = {"format_id": "140", "vcodec": "none", "filesize": 1 * MB}
BOTH = {"duration": 60, "requested_formats": [VIDEO, AUDIO]}
UNKNOWN = {"format_id": "0"}


class Bench:
    """A meter, a clock that is turned by hand, and everything that was read off."""

    def __init__(self, info, *, converts=False):
        self.now = 100.0
        self.readings = []
        self.meter = ProgressMeter(info, self.readings.append, converts=converts, clock=lambda: self.now)

    def download(self, info, received, *, after=1.0, status="downloading", **more):
        self.now += after
        hook = {"status": status, "info_dict": info, "downloaded_bytes": received, **more}
        self.meter.on_download(hook)

    def finish(self, info, received, *, after=1.0):
        self.download(info, received, after=after, status="finished", total_bytes=received)

    @property
    def last(self):
        return self.readings[-1]

    @property
    def percentages(self):
        return [reading.percentage for reading in self.readings]


def is_ascending(numbers):
    return all(earlier <= later for earlier, later in pairwise(numbers))


def test_video_sound_and_merge_are_one_bar():
    bench = Bench(BOTH)
    bench.download(VIDEO, 0, total_bytes=9 * MB)
    bench.download(VIDEO, 4.5 * MB, total_bytes=9 * MB)
    bench.finish(VIDEO, 9 * MB)
    bench.download(AUDIO, 0.5 * MB, total_bytes=1 * MB)
    bench.finish(AUDIO, 1 * MB)
    bench.meter.on_postprocessor({"status": "started", "postprocessor": "Merger"})
    bench.meter.on_postprocessor({"status": "finished", "postprocessor": "Merger"})
    assert bench.percentages == [2.0, 43.4, 84.8, 89.4, 94.0, 94.0, 96.0]


def test_where_a_conversion_follows_it_has_its_share_of_the_bar():
    bench = Bench(BOTH, converts=True)
    bench.finish(VIDEO, 9 * MB)
    bench.finish(AUDIO, 1 * MB)
    bench.now += 1
    bench.meter.on_conversion(0.5)
    bench.meter.on_conversion(1.0)
    assert bench.percentages == [63.2, 70.0, 86.5, 99.0]


def test_a_hundred_is_never_said():
    bench = Bench(UNKNOWN)
    bench.finish(UNKNOWN, MB)
    bench.meter.on_conversion(7.0)
    bench.meter.on_postprocessor({"status": "finished", "postprocessor": "MoveFiles"})
    assert bench.last.percentage == 99.0


def test_the_bar_never_goes_back_when_a_server_starts_again_from_nothing():
    bench = Bench(VIDEO)
    bench.download(VIDEO, 6 * MB, total_bytes=9 * MB)
    bench.download(VIDEO, 7 * MB, total_bytes=9 * MB)
    bench.download(VIDEO, 1 * MB, total_bytes=9 * MB)
    assert (is_ascending(bench.percentages), bench.last.downloaded_bytes, bench.last.speed) == (True, MB, MB // 2)


def test_the_bar_never_goes_back_when_a_file_turns_out_larger_than_announced():
    bench = Bench(BOTH)
    bench.download(VIDEO, 8 * MB, total_bytes=9 * MB)
    bench.download(VIDEO, 9 * MB, total_bytes=90 * MB)
    bench.finish(VIDEO, 90 * MB)
    assert is_ascending(bench.percentages)


@pytest.mark.parametrize(("estimate", "expected"), [(26_000, 57.2), (9 * MB, 53.1), (40 * MB, 48.0)])
def test_fragments_are_counted_and_a_wild_estimate_moves_the_bar_by_one_fragment_at_most(estimate, expected):
    bench = Bench(UNKNOWN)
    fragments = {"fragment_count": 10, "fragment_index": 5, "total_bytes_estimate": estimate}
    bench.download(UNKNOWN, 5 * MB, **fragments)
    assert bench.last.percentage == expected


def test_an_index_beyond_the_count_of_fragments_is_not_the_end():
    bench = Bench(UNKNOWN)
    bench.download(UNKNOWN, 5 * MB, fragment_count=10, fragment_index=11)
    assert bench.last.percentage == 93.9


def test_the_size_of_a_stream_in_fragments_is_estimated_from_those_that_are_here():
    bench = Bench(UNKNOWN)
    bench.download(UNKNOWN, 2 * MB, fragment_count=10, fragment_index=2, total_bytes_estimate=26_000)
    assert bench.last.total_bytes == 10 * MB


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"filesize": 3 * MB}, 3 * MB),
        ({"filesize_approx": 3 * MB}, 3 * MB),
        ({"tbr": 400}, 3 * MB),
        ({"filesize": None, "filesize_approx": "big", "tbr": float("nan")}, 0),
        ({"filesize": MB // 2}, MB),
    ],
)
def test_the_total_is_the_best_figure_there_is_and_never_below_what_is_here(known, expected):
    stream = {"format_id": "1", **known}
    bench = Bench({**stream, "duration": 60})
    bench.download(stream, MB)
    assert bench.last.total_bytes == expected


def test_without_any_size_the_bar_waits_and_the_bytes_count():
    bench = Bench(UNKNOWN)
    bench.download(UNKNOWN, MB)
    bench.download(UNKNOWN, 3 * MB)
    assert (bench.last.percentage, bench.last.downloaded_bytes, bench.last.total_bytes, bench.last.eta) == (
        2.0,
        3 * MB,
        0,
        0,
    )


def test_bytes_from_an_earlier_attempt_count_as_downloaded_but_not_as_speed():
    bench = Bench(VIDEO)
    bench.download(VIDEO, 6 * MB, total_bytes=9 * MB)
    bench.download(VIDEO, 7 * MB, total_bytes=9 * MB)
    assert (bench.last.downloaded_bytes, bench.last.speed, bench.last.eta) == (7 * MB, MB, 2)


def test_a_file_that_is_there_already_is_reported_with_its_total_only():
    bench = Bench(BOTH)
    bench.meter.on_download({"status": "finished", "info_dict": VIDEO, "total_bytes": 9 * MB})
    assert (bench.last.downloaded_bytes, bench.last.percentage, bench.last.speed) == (9 * MB, 84.8, 0)


def test_the_speed_is_that_of_all_streams_together():
    bench = Bench(BOTH)
    bench.download(VIDEO, 0)
    bench.download(AUDIO, 0, after=0)
    bench.download(VIDEO, 2 * MB)
    bench.download(AUDIO, MB // 2, after=0.5)
    assert bench.last.speed == int(2.5 * MB / 1.5)


def test_the_speed_forgets_what_is_older_than_its_window():
    bench = Bench(VIDEO)
    bench.download(VIDEO, 0, total_bytes=9 * MB)
    bench.download(VIDEO, 5 * MB, total_bytes=9 * MB)
    bench.download(VIDEO, 5 * MB, total_bytes=9 * MB, after=4)
    bench.download(VIDEO, 5 * MB + 1000, total_bytes=9 * MB, after=4)
    bench.download(VIDEO, 5 * MB + 2000, total_bytes=9 * MB, after=4)
    assert bench.last.speed == 250


def test_no_speed_is_shown_while_ffmpeg_works():
    bench = Bench(VIDEO)
    bench.download(VIDEO, 0)
    bench.finish(VIDEO, 9 * MB)
    bench.meter.on_postprocessor({"status": "started", "postprocessor": "FixupM3u8"})
    assert (bench.last.speed, bench.last.eta, bench.last.total_bytes) == (0, 0, 9 * MB)


def test_readings_come_four_times_a_second_at_most():
    bench = Bench(VIDEO)
    bench.download(VIDEO, 1)
    bench.download(VIDEO, 2, after=0.1)
    bench.download(VIDEO, 3, after=0.1)
    bench.download(VIDEO, 4, after=0.06)
    assert [reading.downloaded_bytes for reading in bench.readings] == [1, 4]


def test_the_end_of_a_file_is_told_at_once():
    bench = Bench(BOTH)
    bench.download(VIDEO, 1)
    bench.finish(VIDEO, 9 * MB, after=0.01)
    assert bench.last.downloaded_bytes == 9 * MB


@pytest.mark.parametrize(
    "hook",
    [
        {"status": "downloading", "info_dict": {"format_id": "subtitles"}, "downloaded_bytes": 5},
        {"status": "downloading", "downloaded_bytes": 5},
        {"status": "error", "info_dict": VIDEO},
        {},
    ],
)
def test_what_is_no_stream_of_the_download_is_ignored(hook):
    bench = Bench(BOTH)
    bench.meter.on_download(hook)
    assert bench.readings == []


def test_hooks_from_many_threads_lose_no_byte_and_never_turn_the_bar_back():
    streams = [{"format_id": str(number), "filesize": MB} for number in range(8)]
    readings = []
    meter = ProgressMeter({"requested_formats": streams}, readings.append, converts=False)
    start = threading.Barrier(len(streams))

    def fetch(stream):
        start.wait()
        for received in range(0, MB, 1000):
            meter.on_download({"status": "downloading", "info_dict": stream, "downloaded_bytes": received})
        meter.on_download({"status": "finished", "info_dict": stream, "downloaded_bytes": MB})

    threads = [threading.Thread(target=fetch, args=(stream,)) for stream in streams]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert is_ascending([reading.percentage for reading in readings])
    assert (readings[-1].downloaded_bytes, readings[-1].percentage) == (8 * MB, 94.0)
