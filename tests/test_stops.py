"""What is asked of many running tasks is looked for by one query, and no lease is believed that is over."""

import threading
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from downloads.models import LeaseLost, Task
from downloads.states import Status, Stop
from downloads.stops import Stops
from tests.tasks import task_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def stops(monkeypatch):
    """For as long as the test takes, one look is good for everybody."""
    monkeypatch.setattr("downloads.stops.FRESH", 60)
    return Stops()


@pytest.fixture
def tasks(stops):
    tasks = [task_in(Status.DOWNLOADING) for _ in range(3)]
    _ = [stops.hold(task.id) for task in tasks]
    return tasks


def test_one_query_answers_all(stops, tasks, django_assert_num_queries):
    Task.objects.filter(pk=tasks[1].pk).update(stop=Stop.PAUSE)

    with django_assert_num_queries(1):
        asked = [stops.asked(task.id, task.lease) for task in tasks]

    assert asked == ["", Stop.PAUSE, ""]


def test_a_lease_that_somebody_else_has_is_lost(stops, tasks):
    Task.objects.filter(pk=tasks[0].pk).update(lease=uuid4())

    with pytest.raises(LeaseLost):
        stops.asked(tasks[0].id, tasks[0].lease)


def test_a_task_that_is_gone_is_lost(stops, tasks):
    Task.objects.filter(pk=tasks[0].pk).delete()

    with pytest.raises(LeaseLost):
        stops.asked(tasks[0].id, tasks[0].lease)


def test_a_task_that_was_claimed_anew_is_looked_at_anew(stops, tasks):
    stops.asked(tasks[0].id, tasks[0].lease)
    lease = uuid4()
    Task.objects.filter(pk=tasks[0].pk).update(lease=lease)

    stops.hold(tasks[0].id)

    assert stops.asked(tasks[0].id, lease) == ""


def written_by_another_connection(**columns):
    def write():
        Task.objects.update(**columns)
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL does not say that nothing was written")
@pytest.mark.django_db(transaction=True)
def test_nobody_looks_again_before_anything_is_written(monkeypatch):
    monkeypatch.setattr("downloads.stops.FRESH", 0)
    stops, task = Stops(), task_in(Status.DOWNLOADING)
    stops.hold(task.id)
    for ask in (Stop.NONE, Stop.PAUSE, Stop.CANCEL):
        written_by_another_connection(stop=ask)
        with CaptureQueriesContext(connection) as queries:
            assert [stops.asked(task.id, task.lease) for _ in range(3)] == [ask] * 3
        assert len(queries) == 1
