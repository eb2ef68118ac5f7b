"""What every benchmark needs: the origin as a process of its own, a service, and rounds whose medians are printed."""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import site
from tests.service import Service

YT_DLP = [str(Path(sys.executable).with_name("yt-dlp")), "--ignore-config", "--quiet", "--no-cache-dir"]
ROUNDS_OF_ACTS = 40
CURL = ["curl", "--silent", "--fail"]


class Bench:
    """A running service and the address of the origin."""

    def __init__(self, base, service, scratch):
        self.base = base
        self.service = service
        self.scratch = scratch

    def url(self, path):
        return self.base + path

    def seconds(self, *urls):
        """From the first `add` to the last `completed`, as a client of the feed hears it; the files are thrown away."""
        with self.service.feed() as feed:
            feed.hear()
            began = time.monotonic()
            left = set(self.begin(*urls))
            ids = set(left)
            while left:
                message = feed.hear(limit=120)
                status = (message.get("progress") or {}).get("status")
                assert status != "failed", message
                if status == "completed":
                    left.discard(message["task_id"])
            seconds = time.monotonic() - began
        for task_id in ids:
            self.service.file(task_id).unlink()
        return seconds

    def begin(self, *urls):
        """Add and start; the ids."""
        if len(urls) == 1:
            return [self.service.download(urls[0])]
        added = self.batch("add", [{"url": url} for url in urls])
        ids = [each["task_id"] for each in added]
        self.batch("start", ids)
        return ids

    def batch(self, verb, body):
        answer = self.service.http.post(f"/api/downloads/batch/{verb}", json=body)
        return answer.raise_for_status().json()["results"]

    def cpu(self):
        """Seconds of processor time of the service so far, with all engine processes that have ended."""
        processes = [self.service.process.pid, *(each.pid for each in self.service.engine_processes())]
        times = [times for pid in processes if (times := _cpu_of(pid))]
        return sum(each.user + each.system + each.children_user + each.children_system for each in times)

    def run(self, *command):
        """Seconds that a program takes, and its processor time."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            before, began = os.times(), time.monotonic()
            subprocess.run([*map(str, command)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            seconds, after = time.monotonic() - began, os.times()
        return seconds, after[2] + after[3] - before[2] - before[3]


def _cpu_of(pid):
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).cpu_times()
    return None


@contextlib.contextmanager
def prepared(**settings):
    """A bench for a while. Both the origin and the service are warm."""
    media = site.folder()
    with tempfile.TemporaryDirectory(prefix="downie-bench-", dir=media) as scratch:
        origin = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.origin", str(media), "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        service = Service(Path(scratch) / "data", **settings)
        try:
            bench = Bench(origin.stdout.readline().strip(), service.start(), Path(scratch))
            bench.seconds(bench.url("1MiB.mp4"))
            yield bench
        finally:
            service.stop()
            origin.terminate()
            origin.wait()


def taken(act):
    """Milliseconds of each time, in order."""
    times = []
    for _ in range(ROUNDS_OF_ACTS):
        began = time.perf_counter()
        act()
        times.append(1000 * (time.perf_counter() - began))
    return sorted(times)


def compare(title, unit, measures, **settings):
    """Run these functions in turn, each with a bench, and print a line for each: median, least and most.

    A measure gives one figure, or several under names. Without curl on this machine there is no line for it.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not shutil.which(CURL[0]):
        measures.pop("curl", None)
    figures = {}
    with prepared(**settings) as bench:
        for _ in range(rounds):
            for name, measure in measures.items():
                result = measure(bench)
                for part, figure in (result if isinstance(result, dict) else {unit: result}).items():
                    figures.setdefault((name, part), []).append(figure)
    print(f"\n{title} ({rounds} rounds in turn; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    for (name, part), values in figures.items():
        median = statistics.median(values)
        print(f"  {name:<10}{median:>10.2f} {part:<14} {min(values):.2f} to {max(values):.2f}", flush=True)


def compare_file(title, file):
    """Do that with a single file: how many seconds it takes us, yt-dlp and curl."""
    compare(
        title,
        "s",
        {
            "ours": lambda bench: bench.seconds(bench.url(file)),
            "yt-dlp": lambda bench: bench.run(*YT_DLP, bench.url(file))[0],
            "curl": lambda bench: bench.run(*CURL, "-O", bench.url(file))[0],
        },
    )
