"""What every benchmark needs: the origin as a process of its own, a service, and what is done and seen with them."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import imageio_ffmpeg
import psutil

from benchmarks import site
from tests.service import PROJECT, Service, wait_until

# With our ffmpeg, so that a stream becomes the same kind of file as with us
YT_DLP = [
    *(str(Path(sys.executable).with_name("yt-dlp")), "--ignore-config", "--quiet", "--no-warnings", "--no-cache-dir"),
    *("--ffmpeg-location", imageio_ffmpeg.get_ffmpeg_exe()),
]
ROUNDS_OF_ACTS = 100
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
        """From the first `add` to the last `completed`, as a client of the feed hears it; all of it is deleted then."""
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
        self.batch("delete", sorted(ids), delete_file="true")
        return seconds

    def begin(self, *urls):
        """Add and start; the ids."""
        if len(urls) == 1:
            return [self.service.download(urls[0])]
        added = self.batch("add", [{"url": url, "custom_filename": f"{number}"} for number, url in enumerate(urls)])
        ids = [each["task_id"] for each in added]
        self.batch("start", ids)
        return ids

    def batch(self, verb, body, **query):
        answer = self.service.http.post(f"/api/downloads/batch/{verb}", json=body, params=query)
        return answer.raise_for_status().json()["results"]

    def processes(self):
        """All of the service: its own, and those of the engine, also one that has ended and waits to be reaped."""
        main = psutil.Process(self.service.process.pid)
        return [main, *main.children(recursive=True)]

    def cpu(self):
        """Seconds of processor time of the service so far, with all engine processes that have ended."""
        times = [times for process in self.processes() if (times := _cpu_of(process))]
        return sum(each.user + each.system + each.children_user + each.children_system for each in times)

    def connections(self):
        """Those to the origin that are open, whoever's they are."""
        port = urlsplit(self.base).port
        found = psutil.net_connections("tcp4")
        return [each for each in found if each.status == psutil.CONN_ESTABLISHED and each.raddr.port == port]

    def run(self, *command):
        """Seconds that a program takes, and its processor time."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            before, began = os.times(), time.monotonic()
            subprocess.run([*map(str, command)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            seconds, after = time.monotonic() - began, os.times()
        return seconds, after[2] + after[3] - before[2] - before[3]

    @contextlib.contextmanager
    def running(self, *command):
        """A program for a while, once the file that it downloads has bytes; its process."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen([*map(str, command)], cwd=folder, **quiet)
            try:
                wait_until(lambda: any(file.stat().st_size for file in Path(folder).iterdir()))
                yield process
            finally:
                process.kill()
                process.wait()


def _cpu_of(process):
    with contextlib.suppress(psutil.Error):
        return process.cpu_times()
    return None


def memory(processes):
    """Mebibytes that these hold (PSS: what several share counts once among them). Linux only."""
    return sum(process.memory_full_info().pss for process in processes) / 1024**2


@contextlib.contextmanager
def prepared(tasks=0, **settings):
    """A bench for a while, with so many finished tasks from before. Both the origin and the service are warm."""
    media = site.folder()
    with tempfile.TemporaryDirectory(prefix="downie-bench-", dir=media) as scratch:
        origin = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.origin", str(media), "--port", "0"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        service = Service(Path(scratch) / "data", **settings)
        try:
            if tasks:
                fill(service, tasks)
            bench = Bench(origin.stdout.readline().strip(), service.start(), Path(scratch))
            bench.seconds(bench.url("1MiB.mp4"))
            yield bench
        finally:
            service.stop()
            origin.terminate()
            origin.wait()


def fill(service, size):
    """Put so many finished tasks into the database of a service that does not run yet.

    The milliseconds of claims and sweeps there.
    """
    service.data.mkdir(parents=True, exist_ok=True)
    variables = service.environment | {"DJANGO_SETTINGS_MODULE": "downie_project.settings"}
    run = [sys.executable, "-m", "benchmarks.large_library", str(size)]
    filled = subprocess.run(run, cwd=PROJECT, env=variables, check=True, stdout=subprocess.PIPE)
    return json.loads(filled.stdout)


def taken(act):
    """Milliseconds of each time, in order."""
    times = []
    for _ in range(ROUNDS_OF_ACTS):
        began = time.perf_counter()
        act()
        times.append(1000 * (time.perf_counter() - began))
    return sorted(times)
