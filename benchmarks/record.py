"""Make a finished run the record: docs/performance.json, and what people read of it.

`python -m benchmarks.record RUN.json` (`make bench-record`)
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.chart import chart
from benchmarks.results import DEVIATIONS, LEAST_NOISE, LEAST_ROUNDS, OURS, described, pace, target, text

DOCS = Path(__file__).resolve().parent.parent / "docs"
RECORD = DOCS / "performance.json"
PAGE = """\
# Performance

{described}

In each round every program had its turn, one after the other. The files come from a server on the same machine
(`benchmarks/origin.py`), so it is the programs that are measured, not a network. `make bench` measures,
`make bench-record` writes this page, and [performance.json](performance.json) has the numbers of every round.

![Our medians beside those of yt-dlp and curl](performance.svg)

| | Median (least to most) | Target | Others, and how many times as good we are | What is counted |
|---|---|---|---|---|
{rows}

The targets are for a machine of 2 cores. {pace}

A ratio is the median of those of the rounds, each of our number and theirs in the same round: above 1 we are the better
ones, whether more or less is better.

## Compared with later runs

`make bench-compare` measures again and prints every ratio beside the one on record, in red where it fell by more than
the noise; it ends with an error then. The noise comes from the rounds of both runs. Of each we take the median absolute
deviation of the ratios, as a share of their median; d is the root of the sum of their squares. A ratio may fall to
e^(-{deviations} d) of what it was, and always by {least_noise:.0%}. Figures with nobody beside us are shown and not
judged: they say as much about the machine as about the program.
"""


def page(run):
    """The text of docs/performance.md."""
    return PAGE.format(
        described=described(run),
        pace=pace(run),
        rows="\n".join(_row(result) for result in run["results"]),
        deviations=DEVIATIONS,
        least_noise=LEAST_NOISE,
    )


def _row(result):
    ours = result["contenders"][OURS]
    median = f"{text(ours['median'])} {result['unit']} ({text(ours['least'])} to {text(ours['most'])})"
    others = ", ".join(
        f"{name} {text(result['contenders'][name]['median'])} (× {text(ratio['median'])})"
        for name, ratio in result["ratios"].items()
    )
    return f"| **{result['name']}** | {median} | {target(result)} | {others} | {result['counts']} |"


def write(run, docs):
    """Write all three of them into this folder.

    Raises:
        ValueError: the run does not have every figure, or too few rounds.
    """
    wanted = {figure.name for case in CASES.values() for figure in case.figures}
    if missing := wanted - {result["name"] for result in run["results"]}:
        raise ValueError(f"The run has no {'; '.join(sorted(missing))}: a record is made from all cases.")
    if run["rounds"] < LEAST_ROUNDS:
        raise ValueError(f"The run has {run['rounds']} rounds, and a record needs {LEAST_ROUNDS}.")
    (docs / "performance.json").write_text(json.dumps(run, indent=1) + "\n")
    (docs / "performance.md").write_text(page(run))
    (docs / "performance.svg").write_text(chart(run))


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN.json")
    try:
        write(json.loads(parser.parse_args().run.read_text()), DOCS)
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
