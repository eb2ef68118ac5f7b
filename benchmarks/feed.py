import bisect
import json
import resource
import statistics
import subprocess
import sys
from contextlib import contextmanager

from benchmarks.bench import memory
from benchmarks.case import Case, Figure
from benchmarks.results import OURS
from tests.service import PROJECT, wait_until

CLIENTS, NUMBER, SECONDS = 1_000, 50, 10
WARM_UP = 20  # clients


def ours(bench):
    raise_limit()
    grown = memory_of_clients(bench)
    names = [f"64MiB.mp4?rate=100000&n={number}" for number in range(NUMBER)]
    ids = bench.begin(*map(bench.url, names))
    for task_id in ids:
        bench.service.wait_for(task_id, "downloading", limit=60)
    with listeners(bench, SECONDS) as heard:
        pass
    bench.batch("cancel", ids)
    wait_until(lambda: not bench.service.children())
    return late(bench, dict(zip(ids, names, strict=True)), heard), grown


def raise_limit():
    """A socket is a file, in the service as well, which inherits this."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 10 * CLIENTS), hard))


def memory_of_clients(bench):
    """Kilobytes of the service's own process for each."""
    main = bench.processes()[:1]
    with listeners(bench, 0, WARM_UP):
        before = memory(main)
    with listeners(bench, 0):
        return (memory(main) - before) * 1024 / CLIENTS


@contextmanager
def listeners(bench, seconds, number=CLIENTS):
    """So many clients, for so long and until the block ends; what they heard."""
    command = [sys.executable, "-m", "benchmarks.listeners", str(bench.service.port), str(number), str(seconds)]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate()


def late(bench, names, heard):
    """The 99th percentile, in milliseconds, of how long after the byte that it tells of a message has come.

    That is when the origin had sent it, which is before the engine has it: a little more than from the hook.
    """
    sent = bench.service.http.get(bench.url("sent")).json()
    delays = []
    for moment, task_id, size in heard:
        went = sent[f"/{names[task_id]}"][-1]  # those before were the look-up's
        index = bisect.bisect_left(went, size, key=lambda each: each[1])
        delays.append(1000 * (moment - went[index][0]))
    return statistics.quantiles(delays, n=100)[98]


CASE = Case(
    figures=[
        Figure(
            name="feed",
            counts=f"{CLIENTS:,} clients hear of {NUMBER} downloads: from when a byte left the origin until a client "
            "has heard that it is here. The 99th percentile, of 20 of the clients, in 10 s.",
            unit="ms",
            target=250,
        ),
        Figure(
            name="memory of a client",
            counts=f"Memory (PSS) of the service for each of {CLIENTS:,} clients of the feed.",
            unit="kB",
            target=50,
        ),
    ],
    contenders={OURS: ours},
    # One connection each, as in the case of the bookkeeping; and all clients are at one address
    settings={
        "DOWNIE_MAX_CONCURRENT_DOWNLOADS": str(NUMBER),
        "DOWNIE_MAX_CONNECTIONS": "1",
        "DOWNIE_MAX_SOCKETS_PER_CLIENT": str(CLIENTS + 10),
    },
)
