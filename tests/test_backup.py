"""A backup is made while the service runs, and brings all of it back elsewhere."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
from contextlib import closing
from io import BytesIO

import pytest
from pydantic import SecretStr

from downloads.backup import archive, sqlite
from downloads.backup.errors import BackupProblem
from tests.database import POSTGRES
from tests.origin import Origin
from tests.service import PROJECT, Service


def manage(service, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=PROJECT,
        env=service.environment | {"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def work(service, media):
    """Tasks of a running service: one that is done, one that waits with cookies, one that runs."""
    with Origin(media) as origin:
        done = service.download(origin.url("/direct/small.mp4"))
        service.wait_for(done)
        service.http.put("/api/downloads/presets/small", json={"quality": "worst"})
        waiting = service.add(origin.url("/hls/aes/index.m3u8", need_cookie=1), cookies="pass=open")
        running = service.download(origin.url("/hang"))
        service.wait_for(running, "starting")
        yield {"done": done, "waiting": waiting, "running": running}


@pytest.fixture(scope="module")
def backup(service, work, tmp_path_factory):
    """What was made of it meanwhile."""
    file = tmp_path_factory.mktemp("backup") / "downie.tar.gz"
    run = manage(service, "backup", file)
    assert run.returncode == 0, run.stderr
    return file


def test_what_was_there_goes_on_elsewhere(service, work, backup, tmp_path):
    elsewhere = Service(tmp_path / "elsewhere", DOWNIE_LIBRARY_DIR=str(service.library))

    # A database on a server has its tables already.
    restored = manage(elsewhere, "restore", backup, *(["--overwrite"] if POSTGRES else []))

    assert restored.returncode == 0, restored.stderr
    assert f"DOWNIE_DATA_DIR='{service.data}'" in (elsewhere.data / "restored-settings.env").read_text()
    try:
        elsewhere.start()
        assert (
            elsewhere.http.get(f"/api/downloads/tasks/{work['done']}/file").content
            == service.file(work["done"]).read_bytes()
        )
        assert elsewhere.http.get(f"/api/downloads/tasks/{work['done']}/picture").status_code == 200
        assert elsewhere.wait_for(work["running"], "starting")["id"] == work["running"]
        found = elsewhere.http.get("/api/downloads/tasks", params={"q": "NEED_cookie=1"})
        assert [task["id"] for task in found.json()] == [work["waiting"]]
        assert sum(elsewhere.http.get("/api/downloads/counts").json().values()) == len(work)
        elsewhere.start_task(work["waiting"])
        assert elsewhere.wait_for(work["waiting"])["status"] == "completed"  # its cookies can be read
    finally:
        elsewhere.stop()


def test_nobody_else_can_read_it(backup):
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert list(backup.parent.iterdir()) == [backup]


def test_it_overwrites_nothing(backup):
    content = backup.read_bytes()
    with pytest.raises(BackupProblem, match="is there already; choose another name"):
        archive.make(backup)
    assert backup.read_bytes() == content


def test_a_running_service_is_not_restored(service, backup):
    run = manage(service, "restore", backup, "--overwrite")
    assert run.returncode == 1
    who = "Web processes or workers run on this" if POSTGRES else "Another Downie Enhanced is running on the"
    assert run.stderr.startswith(f"CommandError: {who} data folder")


@pytest.mark.skipif(bool(POSTGRES), reason="of a database on a server no file stays")
def test_what_was_there_stays_beside_what_replaces_it(backup, tmp_path):
    elsewhere = Service(tmp_path / "elsewhere")
    manage(elsewhere, "restore", backup)
    with closing(sqlite3.connect(elsewhere.data / "db.sqlite3")) as rows, rows:
        rows.execute("UPDATE downloads_preset SET quality = 'best'")

    assert manage(elsewhere, "restore", backup, "--overwrite").returncode == 0

    qualities = []
    for name in ("db.sqlite3", "db.sqlite3.before-restore"):
        with closing(sqlite3.connect(elsewhere.data / name)) as rows:
            qualities += rows.execute("SELECT quality FROM downloads_preset").fetchall()
    assert qualities == [("worst",), ("best",)]


# What is refused, with nothing changed


@pytest.fixture
def refusal(settings, tmp_path, db):
    """Why this installation, which has a database, does not take a backup."""
    settings.DATA_DIR = tmp_path

    def refusal(file, *, overwrite=True):
        with pytest.raises(BackupProblem) as problem:
            archive.restore(file, overwrite=overwrite)
        assert not list(tmp_path.glob("*restor*"))
        return str(problem.value)

    return refusal


def altered(backup, target, **changes):
    """The same backup, saying something else of itself."""
    with tarfile.open(backup) as old, tarfile.open(target, "w:gz") as new:
        said = json.loads(old.extractfile("backup.json").read()) | changes
        text = json.dumps(said).encode()
        entry = tarfile.TarInfo("backup.json")
        entry.size = len(text)
        new.addfile(entry, BytesIO(text))
        for member in old.getmembers():
            if member.name != "backup.json":
                new.addfile(member, old.extractfile(member))
    return target


def test_a_database_that_is_there_is_replaced_only_if_that_is_said(refusal, backup):
    assert "--overwrite replaces them all" in refusal(backup, overwrite=False)


def test_a_backup_with_another_key_than_the_setting_is_refused(refusal, backup, settings):
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"secret_key": SecretStr("k" * 50)})
    assert refusal(backup).startswith("DOWNIE_SECRET_KEY is not the key of this backup")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"database": "oracle"}, "a backup goes back to its own kind"),
        ({"migrations": [["downloads", "9999_tomorrow"]]}, "is newer than this one"),
        ({"format": 99}, "is no backup of Downie Enhanced that this version knows"),
        ({"more": 1}, "is no backup of Downie Enhanced that this version knows"),
    ],
)
def test_one_that_does_not_belong_here_is_refused(refusal, backup, tmp_path, changes, sentence):
    assert sentence in refusal(altered(backup, tmp_path / "other.tar.gz", **changes))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b broken"])
def test_what_is_no_backup_is_refused(refusal, tmp_path, content):
    file = tmp_path / "some.tar.gz"
    file.write_bytes(content)
    assert "cannot be read as a backup" in refusal(file)


def test_a_file_that_is_not_there_is_said(refusal, tmp_path):
    assert refusal(tmp_path / "nothing.tar.gz") == f"There is no {tmp_path / 'nothing.tar.gz'}."


def test_a_damaged_database_is_not_taken(tmp_path, settings):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "db.sqlite3").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(BackupProblem, match="is damaged"):
        sqlite.load(tmp_path / "rows", set())
