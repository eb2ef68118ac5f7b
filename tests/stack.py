"""The service as many processes: a PostgreSQL, a Redis, web processes and workers, each of them real."""

import contextlib
import signal
import subprocess
import sys
import time

import psycopg

from tests.postgres import postgres
from tests.redis_server import Redis
from tests.service import PROJECT, START_LIMIT, Service, wait_until


class Web(Service):
    """A process that serves and downloads nothing."""

    arguments = ("manage.py", "serve", "--web-only")


class Daphne(Service):
    """The same by another server: nothing of ours starts it."""

    arguments = ("-m", "daphne", "-b", "127.0.0.1", "downie_project.asgi:application")


class Worker:
    """A process that downloads. `within` is a command that starts its own, which comes after it."""

    def __init__(self, environment, log, within=()):
        self.within = within
        self.environment = environment
        self.log = log
        self.process = None

    def start(self, concurrency=2):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "manage.py", "worker", "--concurrency", str(concurrency)],
                cwd=PROJECT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        return self

    def wait_until_ready(self):
        wait_until(lambda: f":{self.process.pid} takes" in self.log.read_text(), START_LIMIT, self.log.read_text)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, limit=30):
        """TERM; returns the seconds that it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(limit)
        return time.monotonic() - began


class Stack:
    """One web process and two workers. The workers share a data folder and so are one machine; the web is another."""

    def __init__(self, folder, database_url, redis_server, **environment):
        self.redis = redis_server
        self.database = psycopg.connect(database_url, autocommit=True)
        shared = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_server.url,
            "DOWNIE_SECRET_KEY": "k" * 50,
            "DOWNIE_LIBRARY_DIR": str(folder / "library"),
            "DOWNIE_PICTURES_DIR": str(folder / "pictures"),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.web = Web(folder / "web", **shared)
        self.other_web = Daphne(folder / "other-web", **shared)
        self.web.library = self.other_web.library = folder / "library"
        self.machine = Service(folder / "machine", **shared)  # never started: it knows the workers' data folder
        self.machine.data.mkdir(parents=True)
        self.workers = [Worker(self.machine.environment, folder / f"worker-{number}.log") for number in (1, 2)]

    def start(self):
        _ = [worker.start() for worker in self.workers]
        self.web.start()
        _ = [worker.wait_until_ready() for worker in self.workers]
        return self

    def stop(self):
        for worker in self.workers:
            worker.process.poll() is None and worker.kill()
        self.web.stop()
        self.other_web.stop()
        self.database.close()

    def worker_of(self, task_id, limit=15):
        """The living process that holds this task, once there is one."""
        return wait_until(lambda: self._holder(task_id), limit)

    def _holder(self, task_id):
        query = "SELECT worker FROM downloads_task WHERE id = %s AND lease IS NOT NULL"
        held = self.database.execute(query, [task_id]).fetchone()
        alive = {str(worker.process.pid): worker for worker in self.workers if worker.process.poll() is None}
        return held and alive.get(held[0].rpartition(":")[2])

    def let_leases_run_out(self):
        """Spare the suite half a minute."""
        self.database.execute("UPDATE downloads_task SET lease_expires_at = now() WHERE lease IS NOT NULL")


@contextlib.contextmanager
def stack(folder, **environment):
    with postgres() as url, contextlib.ExitStack() as at_the_end:
        server = Redis().start()
        at_the_end.callback(server.stop)
        stack = Stack(folder, url, server, **environment)
        at_the_end.callback(stack.stop)
        yield stack.start()
