"""What tests wait for, and ports that nobody has."""

import socket
import time

SOON, LATER = 0.03, 0.12  # seconds


def wait_until(condition, limit=30, explain=lambda: "", pause=None):
    """What the condition says once it is true; asked less often with time, unless the pause is given."""
    deadline, next_pause = time.monotonic() + limit, pause or SOON
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(next_pause)
        next_pause = pause or min(next_pause * 1.1, LATER)
    raise TimeoutError(f"not within {limit} s {explain()}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
