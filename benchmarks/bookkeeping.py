import time

import psutil

from benchmarks.case import Case, Figure
from benchmarks.results import OURS
from tests.service import wait_until

NUMBER, SECONDS = 50, 10


def ours(bench):
    ids = bench.begin(*(bench.url(f"64MiB.mp4?rate=100000&n={number}") for number in range(NUMBER)))
    for task_id in ids:
        bench.service.wait_for(task_id, "downloading", limit=60)
    service = psutil.Process(bench.service.process.pid)  # alone, without those that download
    unwatched = service.cpu_percent(SECONDS)
    with bench.service.feed() as feed:
        service.cpu_percent()  # from here
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            feed.hear()
        watched = service.cpu_percent()
    bench.batch("cancel", ids)
    wait_until(lambda: not bench.service.children())
    return unwatched, watched


CASE = Case(
    figures=[
        Figure(
            name="bookkeeping",
            counts="Processor time of the service's own process while 50 downloads run, for 10 s: to hear of them and "
            "to keep what they say. Theirs is not in it.",
            unit="% of a core",
            target=10,
        ),
        Figure(
            name="bookkeeping, watched",
            counts="The same while one client of the feed hears of all of them, as an open page does.",
            unit="% of a core",
        ),
    ],
    contenders={OURS: ours},
    # One connection each: the origin shares the machine, and the service does not notice their number
    settings={"DOWNIE_MAX_CONCURRENT_DOWNLOADS": str(NUMBER), "DOWNIE_MAX_CONNECTIONS": "1"},
)
