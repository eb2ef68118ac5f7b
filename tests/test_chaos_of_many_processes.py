"""Chaos in many processes, briefly; `make chaos` does it for minutes."""

from tests.chaos import Scaled, is_survived


def test_whatever_befalls_web_workers_redis_and_postgresql_every_file_comes_out_right(tmp_path, origin):
    is_survived(Scaled(tmp_path), origin)
