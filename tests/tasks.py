"""Rows of tasks in whatever state a test needs."""

from datetime import date, timedelta
from uuid import uuid4

from django.db.models.functions import Now

from downloads.engine.errors import Failure, Phase, Reason
from downloads.models import LEASE, Facts, Task
from downloads.states import RUNNING, Status

FACTS = Facts(
    title="A film",
    media_id="f1",
    site="example.com",
    uploader="Ann",
    duration=60.0,
    thumbnail="https://example.com/t",
    upload_date=date(2026, 3, 1),
)
FAILURE = Failure(reason=Reason.NETWORK, phase=Phase.DOWNLOAD, detail="connection reset")


def task_in(status, *, expires_in=LEASE, **columns):
    """A task in this state; a running one under a lease, with an open attempt."""
    held = {"lease": uuid4(), "lease_expires_at": Now() + expires_in, "worker": "host:1"}
    columns = {"url": "https://example.com/v"} | (held if status in RUNNING else {}) | columns
    task = Task.objects.create(status=status, **columns)
    if status in RUNNING:
        task.attempts.create(number=1, worker="host:1")
    task.refresh_from_db()
    return task


def abandoned_task(status=Status.DOWNLOADING, **columns):
    """A task whose worker is dead."""
    return task_in(status, expires_in=timedelta(seconds=-1), **columns)


def row(task):
    """Everything that the database knows of this task; None when it is gone."""
    return Task.objects.filter(pk=task.pk).values().first()
