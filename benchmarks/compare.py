"""Compare the ratios of a finished run with those on record, and end with 1 if one fell by more than the noise.

`python -m benchmarks.compare RUN.json` (`make bench-compare`) prints every one, in red where it fell;
`benchmarks.results.noise` says by how much one may. Figures with nobody beside us are only shown.
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.record import RECORD
from benchmarks.results import LEAST_ROUNDS, OURS, change, described, noise, text


def ratios(run):
    """All of them, by figure and whom they are to."""
    return {(each["name"], f"× {name}"): ratio for each in run["results"] for name, ratio in each["ratios"].items()}


def alone(run):
    """What we have in the figures that nobody else has, by figure and unit."""
    results = [result for result in run["results"] if not result["ratios"]]
    return {(each["name"], each["unit"]): each["contenders"][OURS] for each in results}


def compared(record, run):
    """A line for each ratio of either, and whether it fell by more than the noise; then the other figures, unjudged."""
    for of, is_ratio in ((ratios, True), (alone, False)):
        then, now = of(record), of(run)
        for name, other in then | now:
            was, is_now = then.get((name, other)), now.get((name, other))
            head = f"{name:<24}{other:<16}{_text(was):>9} → {_text(is_now):<9}"
            if is_ratio and was and is_now:
                by, allowed = change(was, is_now), noise(was, is_now)
                yield f"{head}{by:>+6.0%}, noise {allowed:.0%}", -by > allowed
            else:
                yield head.rstrip(), False


def _text(found):
    return text(found["median"]) if found else "none"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN.json")
    run = json.loads(parser.parse_args().run.read_text())
    record = json.loads(RECORD.read_text())
    if run["rounds"] < LEAST_ROUNDS:
        sys.exit(f"The run has {run['rounds']} rounds; fewer than {LEAST_ROUNDS} do not say what is noise.")
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for about in (record, run):
        console.print(described(about))
    found = list(compared(record, run))
    for line, fell in found:
        console.print(line, style="red" if fell else None)
    return 1 if any(fell for _, fell in found) else 0


if __name__ == "__main__":
    sys.exit(main())
