"""Memory (PSS) of each of 10 downloads at once, and of the service with all that belongs to it while it is idle."""

import re
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.bench import compare
from tests.service import wait_until

NUMBER = 10
MIB = 1024


def pss(pid):
    """Kibibytes; none of a process that is gone by now."""
    with suppress(ProcessLookupError, FileNotFoundError):
        return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])
    return 0


def each(bench):
    ids = bench.begin(*(bench.url(f"64MiB.mp4?rate=400000&n={number}") for number in range(NUMBER)))
    for task_id in ids:
        bench.service.wait_for(task_id, "downloading")
    time.sleep(2)  # until each has as many connections as it will have
    children = bench.service.children()
    assert len(children) == NUMBER
    total = sum(pss(child.pid) for child in children)
    bench.batch("cancel", ids)
    wait_until(lambda: not bench.service.children())
    return total / NUMBER / MIB


def idle(bench):
    processes = [bench.service.process.pid, *(process.pid for process in bench.service.engine_processes())]
    return sum(map(pss, processes)) / MIB


if __name__ == "__main__":
    compare(__doc__, "MiB", {"idle": idle, "each": each}, DOWNIE_MAX_CONCURRENT_DOWNLOADS=str(NUMBER))
