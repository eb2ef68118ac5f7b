"""How far many running tasks are is written by few statements, and only where the lease still holds."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from downloads import reports as module
from downloads.models import LEASE, Task
from downloads.reports import Reports
from downloads.states import Status
from tests.tasks import task_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture
def tasks():
    tasks = [task_in(Status.DOWNLOADING) for _ in range(3)]
    Task.objects.update(lease_expires_at=Now())
    return tasks


def advance(task, size):
    task.progress_percentage, task.downloaded_bytes, task.total_bytes, task.speed, task.eta = 12.5, size, 1000, 7, 3
    return task


def rows():
    return list(Task.objects.order_by("pk").values_list("downloaded_bytes", flat=True))


def test_what_is_noted_within_a_second_is_written_together(reports, tasks, monkeypatch, django_assert_max_num_queries):
    reports.note(advance(tasks[0], 100), tasks[0].lease)  # the first for a long time is written at once
    assert sorted(rows()) == [0, 0, 100]

    for task in tasks:
        reports.note(advance(task, 200), task.lease)
    assert sorted(rows()) == [0, 0, 100]
    monkeypatch.setattr(module, "WRITE_EVERY", 0)
    with django_assert_max_num_queries(2 + 2):  # and the savepoint of this test
        reports.write_if_due()

    assert rows() == [200] * 3
    written = Task.objects.get(pk=tasks[0].pk)
    assert (written.progress_percentage, written.total_bytes, written.speed, written.eta) == (12.5, 1000, 7, 3)


def test_the_leases_are_renewed_by_the_clock_of_the_database(reports, tasks):
    reports.note(tasks[0], tasks[0].lease)

    renewed = Task.objects.filter(lease_expires_at__gt=Now() + LEASE - timedelta(seconds=5))
    assert renewed.get() == tasks[0]
    assert not Task.objects.abandoned().filter(pk=tasks[0].pk)


def test_a_lease_that_is_lost_writes_nothing(reports, tasks):
    before = tasks[0].lease
    Task.objects.filter(pk=tasks[0].pk).update(lease=uuid4())

    reports.note(advance(tasks[0], 100), before)

    assert rows() == [0] * 3


def test_what_is_forgotten_is_not_written(reports, tasks, monkeypatch):
    reports.note(tasks[1], tasks[1].lease)
    reports.note(advance(tasks[0], 100), tasks[0].lease)

    reports.forget(tasks[0].pk)
    monkeypatch.setattr(module, "WRITE_EVERY", 0)
    reports.write_if_due()

    assert rows() == [0] * 3


def test_a_playlist_follows_its_items_once(reports, monkeypatch):
    playlist = Task.objects.create(url="https://example.com/list", is_playlist=True, status=Status.QUEUED)
    items = [task_in(Status.DOWNLOADING, playlist=playlist) for _ in range(2)]
    reports.note(items[0], items[0].lease)
    followed = []
    monkeypatch.setattr(module.playlists, "progressed", followed.append)
    monkeypatch.setattr(module, "WRITE_EVERY", 3600)
    for item in items:
        reports.note(advance(item, 100), item.lease)
    monkeypatch.setattr(module, "WRITE_EVERY", 0)

    reports.write_if_due()

    assert followed == [playlist.pk]
