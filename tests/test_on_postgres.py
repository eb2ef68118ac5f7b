"""The same promises on PostgreSQL: the tests of the rows once more, and a service that downloads."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.postgres import Postgres, postgres
from tests.service import PROJECT, Service, wait_until


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
    names = (
        "task",
        "seen",
        "moments",
        "life_of_a_task",
        "turns",
        "machines",
        "worker_processes",
        "dashboard",
        "search_index",
        "tallies",
    )
    tests = [f"tests/test_{name}.py" for name in names]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": database_url, "LIVES": "10"},
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


def test_a_backup_of_an_older_version_comes_back_as_this_one_has_it(database_url, tmp_path):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE older")
    service = Service(tmp_path / "data", DATABASE_URL=urlsplit(database_url)._replace(path="/older").geturl())

    def manage(*arguments):
        run = [sys.executable, "manage.py", *arguments]
        subprocess.run(run, cwd=PROJECT, env=service.environment, check=True, capture_output=True)

    insert = "INSERT INTO downloads_answeredrequest (caller, key, fingerprint, answer) VALUES (%s, %s, '', '')"
    row = ("a\tb", "ü\\N")
    manage("migrate", "downloads", "0004")
    with psycopg.connect(service.environment["DATABASE_URL"]) as connection:
        connection.execute(insert, row)
    manage("backup", str(tmp_path / "older.tar.gz"))
    with psycopg.connect(service.environment["DATABASE_URL"]) as connection:
        connection.execute("DELETE FROM downloads_answeredrequest")
    manage("restore", "--overwrite", str(tmp_path / "older.tar.gz"))

    with psycopg.connect(service.environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT caller, key FROM downloads_answeredrequest").fetchall() == [row]
        assert connection.execute("SELECT count(*) FROM downloads_preset").fetchall() == [(0,)]
        connection.execute(insert, ("another", "number"))


def test_what_triggers_keep_comes_back_once(database_url, tmp_path):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE kept")
    address = urlsplit(database_url)._replace(path="/kept").geturl()
    service = Service(tmp_path / "data", DATABASE_URL=address)
    add = "from downloads.models import Task; Task.objects.create(url='1', title='音乐'); Task.objects.create(url='2')"
    for command in (
        ("migrate",),
        ("shell", "--no-imports", "-c", add),
        ("backup", str(tmp_path / "kept.tar.gz")),
        ("restore", "--overwrite", str(tmp_path / "kept.tar.gz")),
    ):
        run = [sys.executable, "manage.py", *command]
        subprocess.run(run, cwd=PROJECT, env=service.environment, check=True, capture_output=True)

    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT status, sum(count) FROM downloads_tally GROUP BY 1").fetchall() == [
            ("pending", 2)
        ]
        found = "SELECT url FROM downloads_task WHERE downloads_pieces(title, url, uploader) COLLATE \"C\" @> '{乐}'"
        assert connection.execute(found).fetchall() == [("1",)]


def test_a_server_that_was_started_anew_is_used_again(tmp_path):
    server = Postgres(tmp_path)
    service = Service(tmp_path / "data", DATABASE_URL=server.url).start()
    try:
        assert service.http.get("/api/stats").status_code == 200
        server.stop_at_once()
        assert service.http.get("/api/stats", timeout=30).status_code == 500
        server.start()
        wait_until(lambda: service.http.get("/api/stats", timeout=30).status_code == 200)
        assert [service.http.get("/api/stats").status_code for _ in range(20)] == [200] * 20
    finally:
        service.stop()
        server.stop()


def test_a_server_that_is_not_there_is_told_at_once(tmp_path):
    environment = Service(tmp_path / "data").environment | {
        "DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:1/name"
    }
    run = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert run.returncode == 1
    assert "The database cannot be reached, see DATABASE_URL: connection failed" in run.stderr
    assert "Connection refused" in run.stderr
    assert "hunter2" not in run.stderr + run.stdout
