"""Measure downloads beside yt-dlp and curl, in turn (A B A B), and print medians with spread and ratios.

`python -m benchmarks [CASE …] [--rounds 5] [--json FILE]`; the file is what `record` and `compare` read.
"""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.machine import machine
from benchmarks.results import described, target, text


def lines(result):
    """One for the figure, and one for each contender: median, least to most, and how many times as good we are."""
    wanted = f" ({target(result)})" if target(result) else ""
    yield f"{result['name']}, {result['unit']}{wanted}: {result['counts']}"
    for name, found in result["contenders"].items():
        spread = f"{text(found['least'])} to {text(found['most'])}"
        ratio = f"ours {text(result['ratios'][name]['median'])} times as good" if name in result["ratios"] else ""
        yield f"  {name:<12}{text(found['median']):>9}   {spread:<20}{ratio}".rstrip()


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where the results go")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    run = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "rounds": options.rounds,
        "results": [],
    }
    print(described(run), flush=True)
    for name in options.cases or CASES:
        found = CASES[name].run(options.rounds)
        print("\n" + "\n".join(line for each in found for line in lines(each)), flush=True)
        run["results"] += found
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    main()
