"""Chaos: downloads of all kinds, while at random everything is killed, cut, frozen and filled; and then the reckoning.

`python -m tests.chaos` (`make chaos`) does it for minutes, `test_chaos.py` briefly. The seed that it prints chooses the
same troubles again; what they hit depends on the moment.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.origin import Origin, make_media, media_folder
from tests.postgres import Postgres
from tests.service import Service, wait_until
from tests.small_disk import as_seen_by, can_mount, full, small_disk
from tests.stack import Redis, Web, Worker

# Each kind: where it is, bytes a second of each connection, what is asked for
KINDS = {
    "direct": ("/direct/video.mp4", 300_000, {}),
    "HLS": ("/hls/plain/index.m3u8", 60_000, {}),
    "encrypted HLS": ("/hls/aes/index.m3u8", 60_000, {}),
    "DASH, merged": ("/dash/manifest.mpd", 100_000, {}),
    "HLS, merged": ("/hls/split/master.m3u8", 100_000, {}),
    "to MP3": ("/direct/video.mp4", 300_000, {"post_processing": "audio"}),
}
PAUSES = (0.5, 4.0)  # seconds between two troubles
FREEZE = 4.0  # seconds
FULL = 3.0  # seconds
LEASE = 35.0  # seconds, and a little more: a frozen worker loses its tasks
PATIENCE = (
    900  # seconds that all may take to come to an end: one that failed five times in a row rests for 300 and more
)


class Embedded:
    """A service on one machine, and what may befall it."""

    def __init__(self, folder):
        self.work = folder / "data" / "work"
        self.work.mkdir(parents=True)
        self.service = Service(
            folder / "data",
            within=small_disk(self.work, 100) if can_mount() else (),
            DOWNIE_MAX_CONCURRENT_DOWNLOADS="8",
            DOWNIE_FREE_SPACE_FLOOR_MB="0",
        )
        self.service.start()
        self.url = self.service.url

    def troubles(self):
        full = {"disk full": lambda _: self._fill()} if self.service.within else {}
        return {
            **full,
            "service killed": lambda _: self._restarted(self.service.kill),
            "service stopped": lambda _: self._restarted(lambda: self.service.interrupt(signal.SIGTERM)),
            "child killed": self._kill_child,
            "service frozen": lambda _: self._freeze(),
        }

    def _restarted(self, end):
        end()
        self.service.start()

    def _kill_child(self, chance):
        """A child of the engine, the fork server, or an ffmpeg."""
        kill_one(self.service.engine_processes(), chance)

    def _freeze(self):
        self.service.process.send_signal(signal.SIGSTOP)
        time.sleep(FREEZE)
        self.service.process.send_signal(signal.SIGCONT)

    def _fill(self):
        with full(self._work()):
            time.sleep(FULL)

    def _work(self):
        return as_seen_by(self.service.process.pid, self.work)

    def tick(self):
        """Nothing goes on in the background."""

    heal = tick

    def file(self, task):
        return self.service.library / task["file_name"]

    def files(self):
        return [path for path in self.service.library.rglob("*") if path.is_file()]

    def leftovers(self):
        """What nobody needs any more: working folders, and processes of tasks."""
        return [*inside(self._work()), *self.service.children()]

    def stop(self):
        self.service.stop()


class Scaled:
    """PostgreSQL, Redis, a web process, and three workers on two machines.

    The last has the second machine for itself, with a small disk and a clock that is a minute off.
    """

    def __init__(self, folder, frozen_for=LEASE):
        self.frozen_for = frozen_for
        self.postgres = Postgres(folder)
        self.redis = Redis().start()
        self.library = folder / "library"
        shared = {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "DOWNIE_SECRET_KEY": "k" * 50,
            "DOWNIE_LIBRARY_DIR": str(self.library),
            "DOWNIE_PICTURES_DIR": str(folder / "pictures"),
            "PYTHONUNBUFFERED": "1",
        }
        self.web = Web(folder / "web", **shared)
        self.web.library = self.library
        self.url = self.web.url
        wrong_clock = {"PYTHONPATH": str(Path(__file__).parent / "clock_off")}
        self.machines = [Service(folder / "first", **shared), Service(folder / "second", **shared, **wrong_clock)]
        self.works = [machine.data / "work" for machine in self.machines]
        for work in self.works:
            work.mkdir(parents=True)
        one, other = (machine.environment for machine in self.machines)
        disk = small_disk(self.works[1], 100) if can_mount() else ()
        self.workers = [
            Worker(one, folder / "0.log"),
            Worker(one, folder / "1.log"),
            Worker(other | {"DOWNIE_FREE_SPACE_FLOOR_MB": "0"}, folder / "2.log", within=disk),
        ]
        self.thaws = []
        self.web.start()
        self.all_start()

    def all_start(self):
        for worker in self.workers:
            if worker.process is None or worker.process.poll() is not None:
                worker.start(concurrency=4)

    def troubles(self):
        full = {"disk full": lambda _: self._fill()} if self.workers[-1].within else {}
        return {
            **full,
            "worker killed": self._kill_worker,
            "worker stopped": self._stop_worker,
            f"worker frozen for {self.frozen_for:.0f} s": self._freeze_worker,
            "child killed": lambda chance: kill_one(self._engine_processes(), chance),
            "web killed": lambda _: self._web_restarted(self.web.kill),
            "web stopped": lambda _: self._web_restarted(lambda: self.web.interrupt(signal.SIGTERM)),
            "Redis killed, and empty": lambda _: self._restarted(self.redis.stop, self.redis.start),
            "PostgreSQL crashed": lambda _: self._restarted(self.postgres.stop_at_once, self.postgres.start),
        }

    def _awake(self):
        return [worker for worker in self.workers if worker not in [frozen for frozen, _ in self.thaws]]

    def _kill_worker(self, chance):
        chance.choice(self._awake()).kill()
        self.all_start()

    def _stop_worker(self, chance):
        chance.choice(self._awake()).terminate()
        self.all_start()

    def _fill(self):
        disk = self._small_disk()
        if disk.is_dir() and disk.stat().st_dev != self.works[-1].stat().st_dev:  # otherwise its worker only begins
            with full(disk):
                time.sleep(FULL)

    def _small_disk(self):
        return as_seen_by(self.workers[-1].process.pid, self.works[-1])

    def _freeze_worker(self, chance):
        """One at a time."""
        if not self.thaws:
            worker = chance.choice(self.workers)
            worker.process.send_signal(signal.SIGSTOP)
            self.thaws = [(worker, time.monotonic() + self.frozen_for)]

    def _restarted(self, stop, start):
        stop()
        time.sleep(1)
        start()

    def _web_restarted(self, end):
        end()
        self.web.start()

    def tick(self):
        """Start who ended since the database was away, as a supervisor would; wake who has been frozen long enough."""
        self.all_start()
        for worker, until in list(self.thaws):
            if time.monotonic() >= until:
                worker.process.send_signal(signal.SIGCONT)
                self.thaws = []

    def heal(self):
        while self.thaws:
            time.sleep(0.2)
            self.tick()
        self.tick()

    def _engine_processes(self):
        return [each for machine in self.machines for each in machine.engine_processes()]

    def file(self, task):
        return self.library / task["file_name"]

    def files(self):
        return [path for path in self.library.rglob("*") if path.is_file()]

    def leftovers(self):
        folders = [folder for work in (self.works[0], self._small_disk()) for folder in inside(work)]
        return [*folders, *(each for machine in self.machines for each in machine.children())]

    def stop(self):
        self.heal()
        for worker in self.workers:
            worker.terminate()
        self.web.stop()
        self.redis.stop()
        self.postgres.stop()


def inside(work):
    return list(work.iterdir()) if work.is_dir() else []


def kill_one(processes, chance):
    if processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(processes).pid, signal.SIGKILL)


class Watcher:
    """A client of the feed that comes back whenever it is cut off, as the page does."""

    def __init__(self, url):
        self._address = url.replace("http", "ws", 1) + "/api/downloads/ws"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.statuses = {}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while not self._ended.is_set():
            with contextlib.suppress(OSError, WebSocketException, TimeoutError), connect(self._address) as socket:
                while not self._ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        self._hear(json.loads(socket.recv(timeout=0.2)))
            self._ended.wait(0.2)

    def _hear(self, message):
        if message["type"] == "initial":
            self.statuses |= {task["id"]: task["status"] for task in message["tasks"]}
        elif message["type"] == "task":
            self.statuses[message["task"]["id"]] = message["task"]["status"]


class Chaos:
    """Downloads in an installation, and what befalls it."""

    def __init__(self, installation, origin, seed):
        self.installation = installation
        self.origin = origin
        self.chance = random.Random(seed)
        self.hits = Counter()
        self.http = httpx.Client(base_url=installation.url, timeout=30)

    def run(self, seconds, downloads):
        """What is wrong at the end, in sentences; none if all is well."""
        usual = self._undisturbed()
        with Watcher(self.installation.url) as watcher:
            tasks = {self._download(kind): kind for kind in self.chance.choices(list(KINDS), k=downloads)}
            self._disturb(seconds)
            self.installation.heal()
            self._wait_for_all()
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not self.installation.leftovers(), limit=30)
                wait_until(lambda: self._unheard(watcher, tasks) == [], limit=10)
            return [*self._wrong(tasks, usual), *self._left(tasks, usual), *self._unheard(watcher, tasks)]

    def _undisturbed(self):
        """The digest of each kind."""
        tasks = {kind: self._download(kind, hurry=20) for kind in KINDS}
        self._wait_for_all()
        return {kind: self._digest(self._task(task_id)) for kind, task_id in tasks.items()}

    def _disturb(self, seconds):
        troubles = {**self.installation.troubles(), "connections cut": lambda _: self.origin.hang_up()}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(self.chance.uniform(*PAUSES))
            self.installation.tick()
            name = self.chance.choice(list(troubles))
            self.hits[name] += 1
            troubles[name](self.chance)

    def _download(self, kind, hurry=1):
        path, rate, wishes = KINDS[kind]
        link = self.origin.url(path, id=f"{kind} {self.chance.random()}", rate=rate * hurry)
        answer = self.http.post("/api/downloads/add", json={"url": link, "auto_start": True, **wishes})
        answer.raise_for_status()
        return answer.json()["task_id"]

    def _task(self, task_id):
        return self.http.get(f"/api/downloads/tasks/{task_id}").raise_for_status().json()

    def _wait_for_all(self):
        wait_until(self._is_idle, limit=PATIENCE, pause=0.5, explain=self._unfinished)

    def _is_idle(self):
        with contextlib.suppress(httpx.HTTPError):
            stats = self.http.get("/api/downloads/stats").raise_for_status().json()
            return stats["active_tasks"] == stats["pending_tasks"] == 0
        return False

    def _unfinished(self):
        tasks = self.http.get("/api/downloads/tasks", params={"limit": 500}).raise_for_status().json()
        left = [task for task in tasks if task["status"] not in ("completed", "failed", "cancelled")]
        return "\n".join(f"{task['status']}: {json.dumps(task, indent=1)}" for task in left)

    def _digest(self, task):
        return hashlib.sha256(self.installation.file(task).read_bytes()).hexdigest()

    def _wrong(self, tasks, usual):
        for task_id, kind in tasks.items():
            task = self._task(task_id)
            if task["status"] != "completed":
                yield f"{kind} is {task['status']}: {task['error_message']}"
            elif self._digest(task) != usual[kind]:
                yield f"{kind} is not what it is undisturbed: {task['file_name']}"

    def _left(self, tasks, usual):
        count = len(self.installation.files())
        if count != len(tasks) + len(usual):
            yield f"there are {count} files of {len(tasks) + len(usual)} tasks"
        for left in self.installation.leftovers():
            yield f"left over: {left}"

    def _unheard(self, watcher, tasks):
        statuses = {task_id: self._task(task_id)["status"] for task_id in tasks}
        heard = watcher.statuses
        return [
            f"the feed says {heard.get(task_id)} of what is {status}"
            for task_id, status in statuses.items()
            if heard.get(task_id) != status
        ]


def is_survived(installation, origin):
    """The suite's form: a minute of troubles, and until all is well again as much as it takes."""
    seed = random.randrange(2**32)
    try:
        wrong = Chaos(installation, origin, seed).run(seconds=60, downloads=20)
        assert not wrong, f"SEED={seed}: {wrong}"
    finally:
        installation.stop()


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--scaled", action="store_true", help="on many processes instead of one")
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--downloads", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    options = parser.parse_args()
    sys.stdout.write(f"SEED={options.seed}\n")
    with tempfile.TemporaryDirectory() as folder, Origin(make_media(media_folder())) as origin:
        installation = (Scaled if options.scaled else Embedded)(Path(folder))
        try:
            chaos = Chaos(installation, origin, options.seed)
            wrong = chaos.run(options.seconds, options.downloads)
        finally:
            installation.stop()
    sys.stdout.writelines(f"{count:>4} times: {name}\n" for name, count in chaos.hits.items())
    sys.stdout.writelines(f"WRONG: {sentence}\n" for sentence in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
