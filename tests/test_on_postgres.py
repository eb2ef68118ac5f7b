"""The same promises on PostgreSQL: the tests of the rows once more, and a service that downloads."""

import os
import subprocess
import sys

import psycopg
import pytest

from tests.postgres import postgres
from tests.service import PROJECT, Service


@pytest.fixture(scope="module")
def database_url():
    """The address of a running server."""
    with postgres() as url:
        yield url


@pytest.fixture
def service_on_postgres(tmp_path, database_url):
    service = Service(tmp_path / "data", DATABASE_URL=database_url)
    yield service.start()
    service.stop()


def test_the_rows_keep_their_promises_on_postgresql_too(database_url):
    names = ("states", "task", "life_of_a_task", "worker_processes", "dashboard")
    tests = [f"tests/test_{name}.py" for name in names]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": database_url, "LIVES": "30"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout


def test_a_service_downloads_on_postgresql_behind_a_socket_in_a_folder(service_on_postgres, database_url, origin):
    assert "?host=/" in database_url

    task_id = service_on_postgres.download(origin.url("/direct/small.mp4"))
    task = service_on_postgres.wait_for(task_id)

    assert task["status"] == "completed", task
    assert service_on_postgres.file(task_id).stat().st_size == task["file_size"] > 0
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT id, status FROM downloads_task").fetchall()
    assert rows == [(task_id, "completed")]
    assert not (service_on_postgres.data / "db.sqlite3").exists()
