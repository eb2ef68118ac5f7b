import signal
import time

from benchmarks.bench import YT_DLP
from benchmarks.case import Case, Figure
from benchmarks.results import OURS

FILE = "64MiB.mp4?rate=1000000"


def ours(bench):
    (task_id,) = bench.begin(bench.url(FILE))
    bench.service.wait_for_bytes(task_id, 1_000_000)
    group = bench.service.group_of(task_id)
    began = time.monotonic()
    bench.service.http.post(f"/api/downloads/cancel/{task_id}").raise_for_status()
    while bench.service.processes_in(group) or bench.connections():
        time.sleep(0.005)
    return time.monotonic() - began


def yt_dlp(bench):
    with bench.running(*YT_DLP, bench.url(FILE)) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait()
        while bench.connections():
            time.sleep(0.005)
        return time.monotonic() - began


CASE = Case(
    figures=[
        Figure(
            name="cancel",
            counts="From the request to cancel a download that runs until no process of it and no connection to the "
            "server is left; of yt-dlp from Ctrl-C.",
            unit="s",
            target=0.6,
        )
    ],
    contenders={OURS: ours, "yt-dlp": yt_dlp},
)
