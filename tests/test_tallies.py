"""The numbers that the database keeps are those that one would count, whatever is written."""

from collections import Counter
from importlib import import_module

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from downloads.models import Task, sum_up
from downloads.models.tally import tallies
from downloads.states import Status
from tests.database import migrate
from tests.tasks import task_in

pytestmark = pytest.mark.django_db

is_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'")


def kept():
    """By kind and by bytes, without those that there were once."""
    return {
        (each.status, each.is_playlist, each.is_item): (each.count, each.fetched)
        for each in tallies()
        if each.count or each.fetched
    }


def counted():
    """The same by a look at every row."""
    counts, fetched = Counter(), Counter()
    for task in Task.objects.all():
        kind = (task.status, task.is_playlist, task.playlist_id is not None)
        counts[kind] += 1
        fetched[kind] += task.downloaded_bytes if task.finished_at else 0
    return {kind: (count, fetched[kind]) for kind, count in counts.items()}


@pytest.fixture
def library():
    playlist = task_in(Status.PENDING, is_playlist=True)
    items = [task_in(Status.PENDING, playlist=playlist) for _ in range(3)]
    singles = [task_in(status) for status in Status]
    Task.objects.bulk_create(
        Task(url="1", status=Status.COMPLETED, finished_at=timezone.now(), downloaded_bytes=100) for _ in range(5)
    )
    return playlist, items, singles


def by_hand(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


WRITES = {
    "nothing": lambda: None,
    "a move": lambda: Task.objects.filter(status=Status.QUEUED).get().cancel(),
    "a start": lambda: Task.objects.filter(playlist=None, is_playlist=False, status=Status.PENDING).get().queue(),
    "the moves of a playlist": lambda: [item.queue() for item in Task.objects.exclude(playlist=None)],
    "progress": lambda: Task.objects.running().update(downloaded_bytes=F("downloaded_bytes") + 7),
    "an end": lambda: Task.objects.filter(status=Status.QUEUED).update(finished_at=timezone.now(), downloaded_bytes=9),
    "bytes after the end": lambda: Task.objects.filter(status=Status.COMPLETED).update(downloaded_bytes=3),
    "many at once": lambda: Task.objects.filter(lease=None).update(status=Status.FAILED),
    "a task that becomes a playlist": lambda: Task.objects.filter(status=Status.PAUSED).update(is_playlist=True),
    "a playlist that is deleted": lambda: Task.objects.filter(is_playlist=True).delete(),
    "all that is deleted": lambda: Task.objects.all().delete(),
    "rows changed by hand": lambda: by_hand("UPDATE downloads_task SET status = 'failed' WHERE lease IS NULL"),
    "rows deleted by hand": lambda: by_hand("DELETE FROM downloads_task WHERE status = %s", Status.COMPLETED),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_is_kept_is_what_one_would_count(library, write):
    write()
    assert kept() == counted()
    sum_up()
    assert kept() == counted()


def test_lists_counts_and_stats_say_what_is_kept(library, client):
    Task.objects.running().update(downloaded_bytes=10, speed=2)
    whole = {status: Task.objects.filter(status=status).count() for status in Status}
    top_level = {status: Task.objects.top_level().filter(status=status).count() for status in Status}
    path = "/api/downloads"

    assert client.get(f"{path}/counts").json() == whole == Task.objects.count_by_status()
    assert client.get(f"{path}/counts?playlist=none").json() == top_level
    assert client.get(f"{path}/counts?status=failed").json() == dict.fromkeys(Status, 0) | {"failed": 1}
    assert client.get(f"{path}/tasks?status=failed,completed")["X-Total-Count"] == "7"
    assert client.get(f"{path}/tasks?playlist=none&limit=1")["X-Total-Count"] == str(sum(top_level.values()))
    assert client.get("/api/stats").json()["total_downloads"] == Task.objects.count()
    stats = client.get(f"{path}/stats").json()
    assert stats["total_tasks"] == Task.objects.filter(is_playlist=False).count()
    assert (stats["total_downloaded_bytes"], stats["current_speed"]) == (530, 6)
    assert f'<span class="count">{top_level["completed"]}</span>' in client.get("/").text


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_changes_are_rows_of_their_own_until_they_are_summed_up(library):
    def rows():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM downloads_tally")
            return cursor.fetchone()[0]

    before = rows()
    sum_up()
    assert rows() == len(kept()) < before
    by_hand("SET CONSTRAINTS ALL IMMEDIATE")
    by_hand("TRUNCATE downloads_task CASCADE")
    assert rows() == 0


@pytest.mark.django_db(transaction=True)
def test_tasks_from_before_the_tallies_count_and_the_way_back_is_open():
    migrate("0020_search")
    try:
        task_in(Status.COMPLETED, finished_at=timezone.now(), downloaded_bytes=5)
        task_in(Status.PENDING, playlist=task_in(Status.PENDING, is_playlist=True))
    finally:
        migrate()
    assert kept() == counted()
    Task.objects.all().delete()
    assert kept() == {}


@is_sqlite
def test_every_trigger_is_there_after_all_migrations():
    """One that makes `downloads_task` anew loses them: let it end with `RunPython(make_triggers)`, of 0020 and 0021."""
    wanted = {
        name
        for migration, triggers in (("0020_search", "TRIGGERS"), ("0021_tallies", "ON_SQLITE"))
        for name in getattr(import_module(f"downloads.migrations.{migration}"), triggers)
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'downloads_task'")
        assert {name for (name,) in cursor.fetchall()} >= wanted
