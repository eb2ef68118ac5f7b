"""A database of the first version is taken along, and later versions leave those before them running."""

import subprocess
import sys

import pytest
from django.db.migrations import AddField, DeleteModel, RemoveField, RenameField, RenameModel
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

from tests.database import POSTGRES
from tests.service import PROJECT, Service

# Run by `manage.py shell`, with nothing but what the first version had
FILL = """
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from downloads.sealing import seal

models = MigrationExecutor(connection).loader.project_state(("downloads", "0001_initial")).apps
Task, Attempt = models.get_model("downloads", "Task"), models.get_model("downloads", "Attempt")
now = datetime.now(UTC)
small, members = "{base}/direct/small.mp4", "{base}/hls/aes/index.m3u8?need_cookie=1"
done = {{"started_at": now, "finished_at": now}}
held = {{"lease": uuid4(), "lease_expires_at": now + timedelta(minutes={lease}), "worker": "elsewhere"}}
Task(id="completed001", url=small, status="completed", file_name="film.mp4", file_size={size}, **done).save()
Task(id="running00001", url=small, status="downloading", **held).save()
Attempt(task_id="running00001", number=1, worker="elsewhere").save()
Task(id="queued000001", url=members, status="queued", sealed_cookies=seal("pass=open")).save()
Task(id="pending00001", url=small, status="pending").save()
Task(id="paused000001", url=small, status="paused").save()
Task(id="cancelled001", url=small, status="cancelled", **done).save()
Task(id="failed000001", url=small, status="failed", error_code="DOWNLOAD_FAILED", error_message="no", **done).save()
"""


def manage(service, *arguments):
    subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=PROJECT, env=service.environment, check=True, capture_output=True
    )


@pytest.fixture
def upgraded(tmp_path, origin, media):
    """This version on the data folder of the first one."""
    service = Service(tmp_path / "data")
    service.library.mkdir(parents=True)
    content = (media / "direct" / "small.mp4").read_bytes()
    (service.library / "film.mp4").write_bytes(content)
    manage(service, "migrate", "downloads", "0001")
    lease = 0 if POSTGRES else 5  # where there may be others nobody takes it away before
    manage(service, "shell", "--no-imports", "-c", FILL.format(base=origin.base, size=len(content), lease=lease))
    yield service.start()
    service.stop()


def test_the_tasks_of_the_first_version_go_on(upgraded, media):
    assert upgraded.wait_for("queued000001")["status"] == "completed"  # its cookies can be read
    assert upgraded.wait_for("running00001")["status"] == "completed"
    file = upgraded.http.get("/api/downloads/tasks/completed001/file")
    assert file.content == (media / "direct" / "small.mp4").read_bytes()
    upgraded.start_task("paused000001")
    assert upgraded.wait_for("paused000001")["status"] == "completed"
    assert {task["id"]: task["status"] for task in upgraded.http.get("/api/downloads/tasks").json()} == {
        "completed001": "completed",
        "running00001": "completed",
        "queued000001": "completed",
        "pending00001": "pending",
        "paused000001": "completed",
        "cancelled001": "cancelled",
        "failed000001": "failed",
    }


# Before these nobody could update while the service ran
FIRST_WITH_OLD_CODE = 15


def test_a_migration_leaves_the_code_before_it_running():
    """CONTRIBUTING.md, "Add a migration", says what to do instead."""
    migrations = {key: each for key, each in MigrationLoader(None).disk_migrations.items() if key[0] == "downloads"}
    operations = [
        (name, operation)
        for (_app, name), migration in sorted(migrations.items())
        if int(name[:4]) >= FIRST_WITH_OLD_CODE
        for operation in migration.operations
    ]
    assert [(name, each) for name, each in operations if is_taking_away(each) or is_demanding(each)] == []


def is_taking_away(operation):
    """Whether code that runs already would miss something."""
    return isinstance(operation, RemoveField | DeleteModel | RenameField | RenameModel)


def is_demanding(operation):
    """Whether code that runs already, and does not know this column, could not store a row any more."""
    if not isinstance(operation, AddField):
        return False
    field = operation.field
    return not (field.null or field.many_to_many or field.db_default is not NOT_PROVIDED)
