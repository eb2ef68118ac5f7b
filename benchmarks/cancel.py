"""From the request to cancel until no process of the download is left, and so no connection."""

import time

from benchmarks.bench import compare


def seconds(bench):
    (task_id,) = bench.begin(bench.url("64MiB.mp4?rate=1000000"))
    bench.service.wait_for_bytes(task_id, 1_000_000)
    group = bench.service.group_of(task_id)
    began = time.monotonic()
    bench.service.http.post(f"/api/downloads/cancel/{task_id}").raise_for_status()
    while bench.service.processes_in(group):
        time.sleep(0.005)
    return time.monotonic() - began


if __name__ == "__main__":
    compare(__doc__, "s", {"ours": seconds})
