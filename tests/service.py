"""The real service as a process of its own, and what a user does with it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
from websockets.sync.client import connect

from tests.database import DATABASE, PROJECT, give_database

START_LIMIT = 30
# Those with rows that tests make; who is alive stays known
TABLES = """
SELECT name FROM sqlite_master
WHERE type = 'table' AND (name LIKE 'downloads_%' OR name IN ('auth_user', 'django_session', 'django_admin_log'))
    AND name <> 'downloads_workerprocess'
"""


class Service:
    """Start it with `start`; it can be killed and started again on the same data folder and port.

    `within` is a command that starts the service's own, which comes after it.
    """

    arguments = ("manage.py", "serve")

    def __init__(self, data, *, within=(), **environment):
        self.data = Path(data)
        self.library = self.data / "library"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.within = within
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data),
            "DOWNIE_ENV_FILE": os.devnull,
            "DOWNIE_DATA_DIR": str(self.data),
            "DOWNIE_ALLOWED_NETWORKS": "127.0.0.0/8",
            "DOWNIE_MAX_DOWNLOADS_PER_HOST": "100",  # every site of the tests is on one host
            **environment,
        }
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.log = self.data / "service.log"
        self.process = None

    def start(self):
        self.data.mkdir(parents=True, exist_ok=True)
        if not (self.data / DATABASE).exists() and "DATABASE_URL" not in self.environment:
            give_database(self.data, self.environment)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, *self.arguments, "--port", str(self.port)],
                cwd=PROJECT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.wait_until_healthy()
        return self

    def wait_until_healthy(self):
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended at its start:\n{self.log.read_text()}")
            with contextlib.suppress(httpx.TransportError):
                if self.http.get("/api/health").status_code == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(self.log.read_text())

    def kill(self):
        """KILL: no last words."""
        self.process.kill()
        self.process.wait()

    def interrupt(self, number=signal.SIGINT, limit=10):
        """Ctrl-C; returns the seconds that it took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(limit)
        return time.monotonic() - began

    def stop(self):
        if self.process and self.process.poll() is None:
            try:
                self.interrupt(signal.SIGTERM)
            except subprocess.TimeoutExpired:
                self.kill()
        self.http.close()

    def forget(self):
        """Lose every row and every finished file; whatever runs finds that its lease is gone, and ends."""
        with contextlib.closing(sqlite3.connect(self.data / DATABASE, timeout=30)) as database, database:
            for (table,) in database.execute(TABLES).fetchall():
                database.execute(f"DELETE FROM {table}")
        wait_until(lambda: not self.children(), limit=30)
        for path in self.library.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def engine_processes(self):
        """Every process of the engine that lives: fork server, children, ffmpeg. All of them work in `<data>/home`."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd().startswith(str(self.data / "home")) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def children(self):
        """The children that download, without the fork server that they come from."""
        processes = self.engine_processes()
        leaders = {process.pid for process in processes}
        return [process for process in processes if parent_of(process) in leaders]

    def group_of(self, task_id, limit=10):
        """The process group of a task, once it runs: its number is that of the child, which holds the folder's lock."""
        lock = str(self.data / "work" / task_id / "lock")

        def leader():
            return next((each.pid for each in self.children() if holds(each, lock)), None)

        return wait_until(leader, limit)

    def processes_in(self, group):
        """Every process of the group that lives."""
        return [each for each in self.engine_processes() if is_in(each, group)]

    # What a user does

    def add(self, url, **fields):
        answer = self.http.post("/api/downloads/add", json={"url": url, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()["task_id"]

    def start_task(self, task_id):
        answer = self.http.post(f"/api/downloads/start/{task_id}")
        assert answer.status_code == 200, answer.text

    def download(self, url, **fields):
        """Add and start; the task's id."""
        task_id = self.add(url, **fields)
        self.start_task(task_id)
        return task_id

    def task(self, task_id):
        answer = self.http.get(f"/api/downloads/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, task_id, *statuses, limit=30):
        """The task once it has one of these states (one of the ends, unless said otherwise)."""
        wanted = statuses or ("completed", "failed", "cancelled")
        return wait_until(lambda: self._task_in(task_id, wanted), limit, lambda: f"{self.task(task_id)}")

    def _task_in(self, task_id, wanted):
        task = self.task(task_id)
        return task if task["status"] in wanted else None

    def wait_for_bytes(self, task_id, wanted, limit=30):
        """The task once this many bytes have come."""
        return wait_until(lambda: (task := self.task(task_id))["downloaded_bytes"] >= wanted and task, limit)

    def file(self, task_id):
        """The finished file's path in the library."""
        task = self.task(task_id)
        assert task["status"] == "completed", task
        return self.library / task["file_name"]

    @contextlib.contextmanager
    def feed(self, **options):
        with connect(f"ws://127.0.0.1:{self.port}/api/downloads/ws", **options) as socket_:
            yield Feed(socket_)


class Feed:
    """A WebSocket client that keeps what it heard."""

    def __init__(self, socket_):
        self.socket = socket_
        self.heard = []

    def hear(self, limit=10):
        message = json.loads(self.socket.recv(timeout=limit))
        self.heard.append(message)
        return message

    def hear_until(self, wanted, limit=30):
        deadline = time.monotonic() + limit
        while True:
            message = self.hear(limit=max(deadline - time.monotonic(), 0.01))
            if wanted(message):
                return message

    def say(self, message):
        self.socket.send(message if isinstance(message, str) else json.dumps(message))


def parent_of(process):
    with contextlib.suppress(psutil.Error):  # it has just ended
        return process.ppid()
    return None


def holds(process, path):
    with contextlib.suppress(psutil.Error):
        return path in {file.path for file in process.open_files()}
    return False


def is_in(process, group):
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(process.pid) == group
    return False


def wait_until(condition, limit=10, explain=lambda: "", pause=0.03):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(pause)
    raise TimeoutError(f"not within {limit} s {explain()}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
