import time
from contextlib import ExitStack

import psutil

from benchmarks.bench import YT_DLP, memory
from benchmarks.case import Case, Figure
from benchmarks.results import OURS
from tests.service import wait_until

NUMBER = 10
WARM_UP = 2  # seconds, until each has as many connections as it will have


def links(bench):
    return [bench.url(f"64MiB.mp4?rate=400000&n={number}") for number in range(NUMBER)]


def ours(bench):
    ids = bench.begin(*links(bench))
    for task_id in ids:
        bench.service.wait_for(task_id, "downloading")
    time.sleep(WARM_UP)
    children = bench.service.children()
    assert len(children) == NUMBER
    total = memory(children)
    bench.batch("cancel", ids)
    wait_until(lambda: not bench.service.children())
    return total / NUMBER


def yt_dlp(bench):
    with ExitStack() as stack:
        processes = [stack.enter_context(bench.running(*YT_DLP, link)) for link in links(bench)]
        time.sleep(WARM_UP)
        return memory(psutil.Process(process.pid) for process in processes) / NUMBER


CASE = Case(
    figures=[
        Figure(
            name="memory of a download",
            counts="Memory (PSS) of each of 10 downloads at once: of its process, without the service.",
            unit="MiB",
            target=22,
        )
    ],
    contenders={OURS: ours, "yt-dlp": yt_dlp},
    settings={"DOWNIE_MAX_CONCURRENT_DOWNLOADS": str(NUMBER)},
)
