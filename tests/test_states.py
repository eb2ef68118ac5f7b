"""The nine states: which moves there are, at the model, and which rows the database takes."""

from itertools import product
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from downloads.models import LeaseLost, MoveRefused, Task
from downloads.states import RUNNING, Status, sources
from tests.tasks import row, task_in

pytestmark = pytest.mark.django_db

# Word by word as the states were agreed upon
MOVES = {
    "pending": {"queued", "cancelled"},
    "queued": {"starting", "paused", "cancelled"},
    "starting": {"downloading", "queued", "paused", "failed", "cancelled"},
    "downloading": {"processing", "queued", "paused", "failed", "cancelled"},
    "processing": {"completed", "queued", "failed", "cancelled"},
    "paused": {"queued", "cancelled"},
    "completed": set(),
    "failed": {"queued"},
    "cancelled": {"queued"},
}
ALLOWED = [(source, target) for source, targets in MOVES.items() for target in sorted(targets)]
FORBIDDEN = [pair for pair in product(MOVES, MOVES) if pair not in ALLOWED]


def move(task, target):
    """Move by the one door; `starting` has a door of its own, since only a claim gives a lease."""
    if target == Status.STARTING:
        return Task.objects.claim(task.pk, "host:1")
    return task._move(Status(target), task.lease)


def refused(task, target):
    try:
        return move(task, target) is None and target == Status.STARTING
    except (MoveRefused, LeaseLost):
        return True


def test_the_words_on_the_wire_are_these_nine():
    assert set(Status.values) == set(MOVES)


@pytest.mark.parametrize("target", MOVES)
def test_the_sources_of_a_state_are_those_that_lead_to_it(target):
    assert sources(Status(target)) == {source for source, targets in MOVES.items() if target in targets}


@pytest.mark.parametrize(("source", "target"), ALLOWED)
def test_an_allowed_move_is_made_and_counted(source, target):
    task = task_in(source, revision=7)

    move(task, target)

    moved = row(task)
    assert moved["status"] == target
    assert moved["revision"] == 8
    assert (moved["lease"] is not None) == (target in RUNNING)


@pytest.mark.parametrize(("source", "target"), FORBIDDEN)
def test_a_forbidden_move_is_refused_and_changes_nothing(source, target):
    task = task_in(source)
    before = row(task)

    assert refused(task, target)

    assert row(task) == before


@pytest.mark.parametrize("target", sorted(set(MOVES) - {"starting"}))
@pytest.mark.parametrize("source", sorted(RUNNING))
def test_a_running_task_is_not_moved_by_anybody_without_its_lease(source, target):
    task = task_in(source)
    before = row(task)

    with pytest.raises(MoveRefused):
        task._move(Status(target))

    assert row(task) == before


@pytest.mark.parametrize("target", sorted(set(MOVES) - {"starting"}))
@pytest.mark.parametrize("source", sorted(set(MOVES) - RUNNING))
def test_a_task_that_nobody_holds_is_not_moved_under_a_lease(source, target):
    task = task_in(source)
    before = row(task)

    with pytest.raises(LeaseLost):
        task._move(Status(target), uuid4())

    assert row(task) == before


def is_refused_by_the_database(task, **columns):
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.filter(pk=task.pk).update(**columns)
    return True


@pytest.mark.parametrize("word", ["resting", "", "QUEUED"])
def test_the_database_knows_no_other_state(word):
    assert is_refused_by_the_database(task_in("queued"), status=word)


@pytest.mark.parametrize("status", sorted(set(MOVES) - RUNNING))
@pytest.mark.parametrize("columns", [{"lease": uuid4()}, {"lease_expires_at": Now()}], ids=["lease", "expiry"])
def test_the_database_takes_no_lease_on_a_task_that_does_not_run(status, columns):
    assert is_refused_by_the_database(task_in(status), **columns)


@pytest.mark.parametrize("status", sorted(RUNNING))
@pytest.mark.parametrize("column", ["lease", "lease_expires_at"])
def test_the_database_takes_no_running_task_without_a_whole_lease(status, column):
    assert is_refused_by_the_database(task_in(status), **{column: None})


@pytest.mark.parametrize("status", sorted(set(MOVES) - RUNNING))
@pytest.mark.parametrize("stop", ["pause", "cancel", "delete"])
def test_the_database_takes_no_request_to_stop_what_does_not_run(status, stop):
    assert is_refused_by_the_database(task_in(status), stop=stop)


@pytest.mark.parametrize("percentage", [-0.001, 100.001, float("inf"), float("-inf"), float("nan")])
def test_the_database_takes_no_progress_but_a_percentage(percentage):
    assert is_refused_by_the_database(task_in("downloading"), progress_percentage=percentage)


@pytest.mark.parametrize("percentage", [0, 50.5, 100])
def test_the_database_takes_every_percentage(percentage):
    task = task_in("downloading")

    Task.objects.filter(pk=task.pk).update(progress_percentage=percentage)

    assert row(task)["progress_percentage"] == percentage


def test_the_database_gives_no_file_name_to_two_tasks():
    task_in("completed", file_name="film.mp4")

    assert is_refused_by_the_database(task_in("completed"), file_name="film.mp4")


def test_any_number_of_tasks_may_have_no_file_name():
    task_in("pending", file_name="")

    assert row(task_in("pending", file_name=""))["file_name"] == ""


def test_the_database_takes_no_second_open_attempt():
    task = task_in("downloading")

    with pytest.raises(IntegrityError), transaction.atomic():
        task.attempts.create(number=2, worker="host:2")


def test_the_database_takes_no_two_attempts_of_one_number():
    task = task_in("downloading")
    task.attempts.update(ended_at=Now())

    with pytest.raises(IntegrityError), transaction.atomic():
        task.attempts.create(number=1, worker="host:2")


def test_a_bulk_of_rows_is_held_to_the_same_rules():
    rows = [Task(url="https://example.com/1"), Task(url="https://example.com/2", stop="cancel")]

    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.bulk_create(rows)

    assert not Task.objects.exists()


def test_sql_by_hand_is_held_to_the_same_rules():
    task = task_in("queued")

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE downloads_task SET status = 'downloading' WHERE id = %s", [task.pk])
