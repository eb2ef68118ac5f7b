"""What becomes of the numbers of all rounds: medians, their spread, ratios, and how they are compared and said.

A result is a dictionary of what JSON knows, and everything that prints, draws or compares is made from it.
"""

import math
import statistics
from dataclasses import asdict

OURS = "ours"  # the contender that the others are beside
LEAST_ROUNDS = 3  # from fewer nobody can tell what is noise
LEAST_NOISE = 0.05
DEVIATIONS = 3
FILE, ITS_TIME = "1 MiB", 0.75  # seconds that yt-dlp took for this file on the machine for which the targets are


def result(figure, numbers):
    """That of a figure, from the numbers of each contender in the order of the rounds."""
    others = [name for name in numbers if name != OURS]
    ratios = {name: paired(numbers[OURS], numbers[name], figure.more_is_better) for name in others}
    return asdict(figure) | {
        "contenders": {name: summary(values) for name, values in numbers.items()},
        "ratios": {name: summary(values) for name, values in ratios.items()},
    }


def paired(ours, theirs, more_is_better):
    """How many times as good as theirs ours is, for each round: what disturbs the machine in a round concerns both."""
    pairs = zip(ours, theirs, strict=True)
    return [our / their if more_is_better else their / our for our, their in pairs]


def summary(values):
    """All of them, their median, the least, the most, and the median absolute deviation from the median."""
    median = statistics.median(values)
    deviation = statistics.median(abs(value - median) for value in values)
    figures = {"median": median, "least": min(values), "most": max(values), "deviation": deviation}
    return {"rounds": [_short(value) for value in values]} | {name: _short(value) for name, value in figures.items()}


def change(then, now):
    """By which share a ratio is above what it was; negative when it is below."""
    return now["median"] / then["median"] - 1


def noise(then, now):
    """By which share a ratio may fall without meaning anything.

    Of both runs we take the median absolute deviation of the paired ratios, as a share of their median; `d` is the root
    of the sum of their squares, as independent errors are added. A ratio may fall to e^(-3 d) of what it was: by about
    3 d where that is little, and never by all. It may always fall by 5 %, because two runs differ by more than the
    rounds of one: in where the memory lies, in what the machine's other guests do. Where 5 rounds scatter by 3 %, one
    in 300 ratios of equal programs falls by more.
    """
    shares = (each["deviation"] / each["median"] for each in (then, now))
    return max(LEAST_NOISE, 1 - math.exp(-DEVIATIONS * math.hypot(*shares)))


def described(run):
    """When and on what it was made, in a sentence."""
    machine = ", ".join(f"{name} {fact}" for name, fact in run["machine"].items())
    return f"{run['date']}: {machine}; load before {run['load']}; {run['rounds']} rounds in turn."


def pace(run):
    """How fast this machine is beside the one that the targets are for, in a sentence; nothing without that figure."""
    found = next((each["contenders"].get("yt-dlp") for each in run["results"] if each["name"] == FILE), None)
    if found is None:
        return ""
    here = f"{text(found['median'])} s here: {text(found['median'] / ITS_TIME)} times as long"
    return f"On the one that they are made for, yt-dlp takes {ITS_TIME} s for the file of {FILE}, and {here}."


def text(number):
    """With as many digits as say something."""
    layout = next((layout for least, layout in ((100, ",.0f"), (10, ".1f"), (1, ".2f")) if number >= least), ".2g")
    return format(number, layout)


def target(figure):
    """As text, with its unit; nothing where there is none."""
    if figure["target"] is None:
        return ""
    return f"{'at least' if figure['more_is_better'] else 'at most'} {figure['target']:g} {figure['unit']}"


def _short(number):
    return float(f"{number:.4g}")
