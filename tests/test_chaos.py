"""Chaos, briefly; `make chaos` does it for minutes."""

import random
from functools import partial

import pytest

from tests.chaos import Chaos, Embedded, Scaled


@pytest.mark.parametrize("kind", [Embedded, partial(Scaled, frozen_for=5)], ids=["one service", "many processes"])
def test_whatever_befalls_an_installation_every_file_comes_out_right(tmp_path, origin, kind):
    installation = kind(tmp_path)
    seed = random.randrange(2**32)
    try:
        assert Chaos(installation, origin, seed).run(seconds=12, downloads=8) == [], seed
    finally:
        installation.stop()
