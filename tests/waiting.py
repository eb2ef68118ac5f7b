"""What tests wait for, and ports that nobody has."""

import socket
import time


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
