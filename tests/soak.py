"""The soak: thousands of small downloads through one service, and what it holds before and after them.

`python -m tests.soak` (`make soak`) prints a table, and fails if what a service holds grows with what it has done.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import psutil

from tests.origin import Origin, make_media, media_folder
from tests.service import Service, wait_until

WARM = 100  # downloads before the first look: caches are full then
# Tasks that are there from the first on, and wait: SQLite keeps 2 MB of pages for each connection, and would fill these
# little by little as the database grows
WAITING = 4000
BATCH = 100  # as many as one request may have
MB = 1_000_000
# What may be more at the end than when it was warm
MEMORY_SLACK = 20 * MB
COUNT_SLACK = 3


@dataclass(frozen=True)
class Held:
    """What a service's processes hold together. `memory` is in bytes (PSS: what is shared counts once)."""

    memory: int
    files: int
    threads: int
    processes: int

    @classmethod
    def by(cls, service):
        main = psutil.Process(service.process.pid)
        processes = [main, *main.children(recursive=True)]
        return cls(
            memory=sum(process.memory_full_info().pss for process in processes),
            files=sum(process.num_fds() for process in processes),
            threads=sum(process.num_threads() for process in processes),
            processes=len(processes),
        )

    def is_flat(self, before):
        counts = zip(astuple(self)[1:], astuple(before)[1:], strict=True)
        no_more = all(now <= then + COUNT_SLACK for now, then in counts)
        return no_more and self.memory <= before.memory + MEMORY_SLACK


def download(service, links):
    """Download these, and wait until none is left; all of them have to be completed."""
    service.http.post("/api/downloads/batch/start", json=add(service, links)).raise_for_status()
    wait_until(lambda: is_idle(service), limit=10 * len(links))


def add(service, links):
    """The ids."""
    added = service.http.post("/api/downloads/batch/add", json=[{"url": link} for link in links])
    assert added.status_code == 200, added.text
    return [each["task_id"] for each in added.json()["results"]]


def is_idle(service):
    stats = service.http.get("/api/downloads/stats").json()
    return stats["active_tasks"] == 0 and stats["pending_tasks"] == WAITING


def settled(service):
    """What it holds once everything of the last download is gone."""
    wait_until(lambda: not service.children(), limit=30)
    time.sleep(2)
    return Held.by(service)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--downloads", type=int, default=2000)
    wanted = parser.parse_args().downloads
    sys.stdout.write(f"{'downloads':>10}{'memory':>10}{'files':>7}{'threads':>9}{'processes':>11}{'seconds':>9}\n")
    with tempfile.TemporaryDirectory() as folder, Origin(make_media(media_folder())) as origin:
        service = Service(Path(folder)).start()
        looks, done, began = [], 0, time.monotonic()
        try:
            for first in range(0, WAITING, BATCH):
                add(service, [origin.url("/direct/small.mp4", waits=first + each) for each in range(BATCH)])
            while done < wanted:
                download(service, [origin.url("/direct/small.mp4", soak=done + each) for each in range(BATCH)])
                done += BATCH
                origin.reset()
                if done in (WARM, wanted) or done % 500 == 0:
                    looks.append(settled(service))
                    memory, *counts = astuple(looks[-1])
                    files, threads, processes = counts
                    line = f"{done:>10}{memory / MB:>7.1f} MB{files:>7}{threads:>9}{processes:>11}"
                    sys.stdout.write(f"{line}{time.monotonic() - began:>9.0f}\n")
                    sys.stdout.flush()
            completed = service.http.get("/api/downloads/stats").json()["completed_tasks"]
        finally:
            service.stop()
    sys.stdout.write(f"{completed} of {wanted} completed\n")
    return 0 if completed == wanted and looks[-1].is_flat(looks[0]) else 1


if __name__ == "__main__":
    sys.exit(main())
