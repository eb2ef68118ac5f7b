"""What a large library costs: the same requests, claims and sweeps with 1,000 and with 1,000,000 finished tasks.

`make bench-growth` prints the median and the 95th percentile of each in milliseconds, on SQLite and on PostgreSQL, and
marks what is slower than it may be: three times what it is with 1,000, and 50 ms (a search: 200 ms).
"""

import argparse
import contextlib
import math
import os
import tempfile
import time
from itertools import count
from pathlib import Path

from benchmarks.bench import fill, taken
from tests.postgres import postgres
from tests.service import Service

SMALL = 1_000
MOST, MOST_OF_SEARCH = 50, 200  # ms
MANY_TIMES = 3
START = "start of the service"
REQUESTS = {
    "list, newest first": "/api/downloads/tasks?limit=50",
    "list, by title": "/api/downloads/tasks?limit=50&order=title",
    "list, largest first": "/api/downloads/tasks?limit=50&order=-file_size",
    "list, last finished first": "/api/downloads/tasks?limit=50&order=-finished_at",
    "list, failed ones": "/api/downloads/tasks?limit=50&status=failed",
    "list, failed ones by title": "/api/downloads/tasks?limit=50&status=failed&order=title",
    "list, by state": "/api/downloads/tasks?limit=50&order=status",
    "search, in all": "/api/downloads/tasks?limit=50&q=video",
    "search, in a quarter of all": "/api/downloads/tasks?limit=50&q=COOKING",
    "search, in one": "/api/downloads/tasks?limit=50&q=number+777+",
    "search, in none": "/api/downloads/tasks?limit=50&q=nowhere+to+be+found",
    "search, umlauts": "/api/downloads/tasks?limit=50&q=ÄPFEL",
    "search, two characters": "/api/downloads/tasks?limit=50&q=音乐",
    "search, one that is nowhere": "/api/downloads/tasks?limit=50&q=ж",
    "search, counts": "/api/downloads/counts?q=cooking",
    "search, on the page": "/?q=cooking",
    "counts": "/api/downloads/counts",
    "stats": "/api/downloads/stats",
    "the page": "/",
}


def requests(service):
    """The milliseconds of each."""

    def hear():
        with service.feed(max_size=None) as feed:
            feed.hear()

    def look(path):
        number = count()  # with it each address is another, so that no answer is one that was kept
        return lambda: service.http.get(f"{path}{'&' if '?' in path else '?'}asked={next(number)}").raise_for_status()

    return {name: taken(look(path)) for name, path in REQUESTS.items()} | {"WebSocket, first message": taken(hear)}


def measured(size, **settings):
    """The milliseconds of everything with so many tasks, and those of the start."""
    with tempfile.TemporaryDirectory(prefix="downie-growth-") as folder:
        service = Service(Path(folder) / "data", DOWNIE_RATE_LIMIT="1000000/second", **settings)
        service.http.timeout = 120
        claims_and_sweeps = fill(service, size)
        began = time.perf_counter()
        service.start()
        try:
            start = 1000 * (time.perf_counter() - began)
            return {START: [start], **claims_and_sweeps, **requests(service)}
        finally:
            service.stop()


def percentile(times, share):
    """The least of these that this share of them does not exceed."""
    return times[math.ceil(len(times) * share) - 1]


def lines(small, large):
    for name, times in large.items():
        before, now = (percentile(each, 0.95) for each in (small[name], times))
        most = MOST_OF_SEARCH if name.startswith("search") else MOST
        is_slow = name != START and (now > most or now > MANY_TIMES * before)
        figures = f"{percentile(small[name], 0.5):>9.1f}{before:>9.1f}{percentile(times, 0.5):>11.1f}{now:>9.1f}"
        yield f"  {name:<28}{figures}{'  slow' if is_slow else ''}"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--on", choices=["sqlite", "postgres"], nargs="+", default=["sqlite", "postgres"])
    options = parser.parse_args()
    for name in options.on:
        found = []
        for size in (SMALL, options.tasks):
            with (postgres if name == "postgres" else contextlib.nullcontext)() as url:
                found.append(measured(size, **({"DATABASE_URL": url} if url else {})))
        print(f"\n{name}, ms (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
        print(f"  {'':<28}{f'{SMALL:,}: median, 95 %':>18}{f'{options.tasks:,}: median, 95 %':>24}")
        print("\n".join(lines(*found)), flush=True)


if __name__ == "__main__":
    main()
