"""Chaos in one service, briefly; `make chaos` does it for minutes."""

from tests.chaos import Embedded, is_survived


def test_whatever_befalls_a_service_every_file_comes_out_right(tmp_path, origin):
    is_survived(Embedded(tmp_path), origin)
