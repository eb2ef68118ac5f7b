"""Chaos, briefly; `make chaos` does it for minutes."""

import random

from tests.chaos import Chaos, Embedded


def test_whatever_befalls_a_service_every_file_comes_out_right(tmp_path, origin):
    installation = Embedded(tmp_path)
    seed = random.randrange(2**32)
    try:
        assert Chaos(installation, origin, seed).run(seconds=15, downloads=10) == [], seed
    finally:
        installation.stop()
