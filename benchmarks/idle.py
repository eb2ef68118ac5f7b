import time

from benchmarks.bench import memory
from benchmarks.case import Case, Figure
from benchmarks.results import OURS

REST = 3  # seconds


def ours(bench):
    bench.seconds(bench.url("1MiB.mp4"))
    for path in ("/", "/api/downloads/tasks"):
        bench.service.http.get(path).raise_for_status()
    time.sleep(REST)
    return memory(bench.processes())


CASE = Case(
    figures=[
        Figure(
            name="memory when idle",
            counts="Memory (PSS) of all processes of the service, 3 s after a download, a page and a list.",
            unit="MiB",
            target=150,
        )
    ],
    contenders={OURS: ours},
)
