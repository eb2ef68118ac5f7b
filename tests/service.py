"""The real service as a process of its own, and what a user does with it."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import psycopg
from websockets.sync.client import connect

from tests.database import DATABASE, POSTGRES, PROJECT, give_database, new_postgres_database
from tests.redis_server import Redis
from tests.waiting import free_port, wait_until

START_LIMIT = 120  # seconds; 4 where nothing else runs
# Those with rows that tests make, each before what its rows belong to; who is alive stays known
TABLES = [
    "downloads_attempt",
    "downloads_webhookdelivery",
    "downloads_webhookendpoint",
    "downloads_feedticket",
    "downloads_apikey",
    "downloads_task",
    "downloads_answeredrequest",
    "downloads_cookiejar",
    "downloads_host",
    "downloads_preset",
    "downloads_siterule",
    "downloads_tuning",
    "django_admin_log",
    "django_session",
    "auth_user",
]


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
            "PYTHONFAULTHANDLER": "1",
            "DOWNIE_ENV_FILE": os.devnull,
            "DOWNIE_DATA_DIR": str(self.data),
            "DOWNIE_ALLOWED_NETWORKS": "127.0.0.0/8",
            "DOWNIE_MAX_DOWNLOADS_PER_HOST": "100",  # every site of the tests is on one host
            **environment,
        }
        self.redis = None
        if POSTGRES and "DATABASE_URL" not in environment:
            self._use_postgres_and_redis()
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.log = self.data / "service.log"
        self.process = None

    def _use_postgres_and_redis(self):
        self.redis = Redis().start()
        self.environment |= {
            "DATABASE_URL": new_postgres_database(self.environment),
            "REDIS_URL": self.redis.url,
            "DOWNIE_SECRET_KEY": "k" * 50,
        }

    def start(self):
        self.data.mkdir(parents=True, exist_ok=True)
        if "DATABASE_URL" not in self.environment:
            give_database(self.data, self.environment)
        elif self.redis and self.process:  # spare the suite half a minute
            self.rows("UPDATE downloads_task SET lease_expires_at = now() WHERE lease IS NOT NULL")
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
        self.process.send_signal(signal.SIGABRT)  # its last words are what each of its threads did
        self.process.wait()
        raise TimeoutError(self.log.read_text())

    def kill(self):
        """KILL: no last words."""
        self.process.kill()
        self.process.wait()

    def interrupt(self, number=signal.SIGINT, limit=30):
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
        if self.redis:
            self.redis.stop()

    def forget(self):
        """Lose every row and every finished file; whatever runs finds that its lease is gone, and ends."""
        if "DATABASE_URL" in self.environment:
            self.rows(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        else:
            _ = [self.rows(f"DELETE FROM {table}") for table in TABLES]
        wait_until(lambda: not self.children(), limit=30)
        for path in self.library.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def rows(self, statement, *values):
        """What the database answers to this, `?` being each of the values: nothing, or the rows."""
        if url := self.environment.get("DATABASE_URL"):
            with psycopg.connect(url) as database:
                answer = database.execute(statement.replace("?", "%s"), values or None)
                return answer.fetchall() if answer.description else []
        with contextlib.closing(sqlite3.connect(self.data / DATABASE, timeout=30)) as database, database:
            return database.execute(statement, values).fetchall()

    def kept(self):
        """All that the database holds, in bytes."""
        if "DATABASE_URL" in self.environment:
            tables = [table for (table,) in self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
            return "".join(text for table in tables for (text,) in self.rows(f"SELECT t::text FROM {table} t")).encode()
        return b"".join(path.read_bytes() for path in self.data.glob(f"{DATABASE}*"))

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

    def group_of(self, task_id, limit=30):
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

    def wait_for(self, task_id, *statuses, limit=60):
        """The task once it has one of these states (one of the ends, unless said otherwise)."""
        wanted = statuses or ("completed", "failed", "cancelled")
        return wait_until(lambda: self._task_in(task_id, wanted), limit, lambda: f"{self.task(task_id)}")

    def _task_in(self, task_id, wanted):
        task = self.task(task_id)
        return task if task["status"] in wanted else None

    def wait_for_bytes(self, task_id, wanted, limit=60):
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

    def hear(self, limit=30):
        message = json.loads(self.socket.recv(timeout=limit))
        self.heard.append(message)
        return message

    def hear_until(self, wanted, limit=60):
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
