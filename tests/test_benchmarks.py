"""What is made of the benchmarks' numbers: medians, ratios, the record in docs/, and the comparison with it."""

import json
import sys
from copy import deepcopy
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as bench
from benchmarks import compare, machine, record
from benchmarks.case import Figure
from benchmarks.cases import CASES
from benchmarks.chart import chart
from benchmarks.results import change, noise, pace, paired, result, summary, text

TIME = Figure(name="a file", counts="From here to there.", unit="s", target=2)
SPEED = Figure(name="a large file", counts="Bytes by time.", unit="MB/s", target=500, more_is_better=True)
IDLE = Figure(name="at rest", counts="All that is held.", unit="MiB", target=150)
ABOUT = {"date": "2026-01-02", "machine": {"processor": "One", "cores": "2"}, "load": 0.1, "rounds": 5}
STEADY = [1.0, 1.01, 0.99, 1.0, 1.02]
SHAKEN = [1.0, 1.3, 0.8, 1.1, 0.9]


def run_of(*results):
    return {**ABOUT, "results": list(results)}


def timed(ours):
    return result(TIME, {"ours": ours, "yt-dlp": [4.0] * 5})


RUN = run_of(
    timed([2.0] * 5),
    result(SPEED, {"ours": [900.0] * 5, "yt-dlp": [600.0] * 5, "curl": [1000.0] * 5}),
    result(IDLE, {"ours": [140.0] * 5}),
)


def slower(by, ours):
    return run_of(timed([by * each for each in ours]))


def fallen(then, now):
    return [line for line, fell in compare.compared(then, now) if fell]


def test_a_summary_has_the_median_the_spread_and_all_rounds():
    expected = {"rounds": [3.0, 1.0, 2.0, 9.0, 2.5], "median": 2.5, "least": 1.0, "most": 9.0, "deviation": 0.5}
    assert summary([3.0, 1.0, 2.0, 9.0, 2.5]) == expected


def test_a_ratio_above_one_is_ours_whether_more_or_less_is_better():
    assert paired([2.0], [4.0], more_is_better=False) == [2.0]
    assert paired([900.0], [600.0], more_is_better=True) == [1.5]


def test_a_round_that_disturbs_both_leaves_the_ratio_as_it_is():
    found = result(TIME, {"ours": [1.0, 10.0, 1.0], "yt-dlp": [2.0, 20.0, 2.0]})["ratios"]["yt-dlp"]
    assert (found["rounds"], found["deviation"]) == ([2.0, 2.0, 2.0], 0.0)


def test_noise_grows_with_the_spread_of_either_run_and_is_never_below_its_least():
    steady, shaken = summary([1.0] * 5), summary(SHAKEN)
    assert noise(steady, steady) == 0.05
    assert noise(steady, shaken) == noise(shaken, steady) == pytest.approx(0.26, abs=0.005)
    assert noise(shaken, shaken) == pytest.approx(0.35, abs=0.005)


def test_no_noise_is_so_great_that_every_fall_is_within_it():
    wild = summary([1.0, 9.0, 0.2, 3.0, 0.1])
    assert 0.9 < noise(wild, wild) < 1


def test_a_change_is_a_share_of_what_was():
    assert change(summary([2.0]), summary([1.5])) == -0.25
    assert change(summary([2.0]), summary([3.0])) == 0.5


@pytest.mark.parametrize(
    ("factor", "rounds", "count"),
    [(1.2, STEADY, 1), (1.03, STEADY, 0), (0.5, STEADY, 0), (1.2, SHAKEN, 0), (3, SHAKEN, 1)],
)
def test_only_what_fell_by_more_than_the_noise_is_red(factor, rounds, count):
    assert len(fallen(slower(1, rounds), slower(factor, rounds))) == count


def test_less_where_more_is_better_has_fallen():
    now = deepcopy(RUN)
    now["results"][1] = result(SPEED, {"ours": [700.0] * 5, "yt-dlp": [600.0] * 5, "curl": [1000.0] * 5})
    assert [line[:38].split("×")[1].split()[0] for line in fallen(RUN, now)] == ["yt-dlp", "curl"]
    assert fallen(now, RUN) == []


def test_what_only_one_run_has_is_shown_and_not_judged():
    lines = [line for line, _ in compare.compared(RUN, run_of(timed([2.0] * 5)))]
    assert len(lines) == 4
    assert [line.split()[-1] for line in lines[1:]] == ["none", "none", "none"]
    assert fallen(RUN, run_of()) == fallen(run_of(), RUN) == []


def test_a_run_says_how_fast_its_machine_is():
    file = Figure(name="1 MiB", counts="", unit="s")
    slow = run_of(result(file, {"ours": [0.3] * 5, "yt-dlp": [1.5] * 5}))
    assert pace(slow).endswith("takes 0.75 s for the file of 1 MiB, and 1.50 s here: 2.00 times as long.")
    assert pace(RUN) == ""


@pytest.fixture
def compare_command(tmp_path, monkeypatch, capsys):
    """Runs the comparison of these with RUN as the record: how it ends, and what it prints."""

    def run(now, **variables):
        for name in ("FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TERM", "xterm")
        (tmp_path / "record.json").write_text(json.dumps(RUN))
        (tmp_path / "run.json").write_text(json.dumps(now))
        monkeypatch.setattr(compare, "RECORD", tmp_path / "record.json")
        monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path / "run.json")])
        return compare.main(), capsys.readouterr().out

    return run


def test_the_comparison_ends_with_an_error_if_a_ratio_fell(compare_command):
    assert compare_command(RUN)[0] == 0
    assert compare_command(slower(3, [2.0] * 5))[0] == 1


@pytest.mark.parametrize(
    ("variables", "is_red"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_what_fell_is_red_where_colours_are_wanted(compare_command, variables, is_red):
    assert ("\x1b[31m" in compare_command(slower(3, [2.0] * 5), **variables)[1]) == is_red


def test_too_few_rounds_are_not_compared(compare_command):
    with pytest.raises(SystemExit, match="2 rounds"):
        compare_command(RUN | {"rounds": 2})


def test_a_printed_figure_says_what_it_counts_and_how_good_we_are():
    head, ours, yt_dlp = bench.lines(RUN["results"][0])
    assert head == "a file, s (at most 2 s): From here to there."
    assert ours.split() == ["ours", "2.00", "2.00", "to", "2.00"]
    assert yt_dlp.endswith("ours 2.00 times as good")


@pytest.mark.parametrize(
    ("number", "expected"), [(0.0123, "0.012"), (1.234, "1.23"), (45.67, "45.7"), (1234.5, "1,234")]
)
def test_numbers_have_as_many_digits_as_say_something(number, expected):
    assert text(number) == expected


def test_a_page_has_for_each_figure_the_median_target_ratios_and_what_it_counts():
    page = record.page(RUN)
    assert "| **a file** | 2.00 s (2.00 to 2.00) | at most 2 s | yt-dlp 4.00 (× 2.00) | From here to there. |" in page
    assert "| at least 500 MB/s | yt-dlp 600 (× 1.50), curl 1,000 (× 0.9) | Bytes by time. |" in page
    assert "2026-01-02: processor One, cores 2; load before 0.1; 5 rounds" in page


def test_a_chart_has_a_bar_for_everybody_in_figures_with_others():
    bars = ET.fromstring(chart(RUN)).findall("{*}rect")[1:]
    widths = [float(bar.get("width")) for bar in bars]
    assert [bar.get("class") for bar in bars] == ["ours", "other", "ours", "other", "other"]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.01)
    assert widths[2] == pytest.approx(0.9 * widths[4], rel=0.01)


def test_a_record_has_every_figure_and_enough_rounds(tmp_path):
    figures = [figure for case in CASES.values() for figure in case.figures]
    whole = run_of(*(result(figure, {"ours": [1.0] * 5}) for figure in figures))
    with pytest.raises(ValueError, match=figures[-1].name):
        record.write(whole | {"results": whole["results"][:-1]}, tmp_path)
    with pytest.raises(ValueError, match="1 rounds"):
        record.write(whole | {"rounds": 1}, tmp_path)
    assert list(tmp_path.iterdir()) == []
    record.write(whole, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["performance.json", "performance.md", "performance.svg"]


def test_the_page_and_the_chart_in_docs_are_those_of_the_record():
    run = json.loads(record.RECORD.read_text())
    assert record.RECORD.with_suffix(".md").read_text() == record.page(run)
    assert record.RECORD.with_suffix(".svg").read_text() == chart(run)


def test_the_record_has_the_figures_that_are_measured():
    run = json.loads(record.RECORD.read_text())
    assert [each["name"] for each in run["results"]] == [each.name for case in CASES.values() for each in case.figures]


def test_the_machine_is_described():
    facts = machine.machine()
    assert {"processor", "cores", "memory", "kernel", "Python", "SQLite", "yt-dlp", "ffmpeg"} <= set(facts)
    assert all(facts.values())
