"""Which of the tasks that wait is next, and that nobody gets more than there is."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from downloads import turns
from downloads.models import Task
from tests.tasks import task_in

pytestmark = pytest.mark.django_db

WORKER = "host:1"


def playlist_of(count, *, minutes_ago, status="queued"):
    """A playlist and its items, which somebody added so long ago."""
    playlist = task_in("queued", is_playlist=True, created_at=Now() - timedelta(minutes=minutes_ago))
    items = [task_in(status, playlist=playlist, created_at=playlist.created_at) for _ in range(count)]
    return playlist, sorted(items, key=lambda item: item.pk)


def single(*, minutes_ago, **columns):
    return task_in("queued", created_at=Now() - timedelta(minutes=minutes_ago), **columns)


def turns_taken(count):
    """Who they are whose turn it is, one after the other."""
    return [turns.claim_next(WORKER) for _ in range(count)]


def test_nobody_is_next_where_nobody_waits():
    task_in("pending"), task_in("paused"), playlist_of(0, minutes_ago=1)

    assert turns.claim_next(WORKER) is None


def test_who_was_added_first_is_next():
    late, early = single(minutes_ago=1), single(minutes_ago=2)

    assert turns_taken(3) == [early, late, None]


def test_a_claimed_task_is_held_under_a_lease_by_who_claimed_it():
    single(minutes_ago=1)

    task = turns.claim_next(WORKER)

    assert (task.status, task.worker, task.attempts.get().worker) == ("starting", WORKER, WORKER)
    assert task.lease is not None


def test_a_link_that_comes_later_does_not_wait_for_a_whole_playlist():
    playlist, _items = playlist_of(20, minutes_ago=5)
    late = single(minutes_ago=1)

    first, second, third = turns_taken(3)

    assert (first.playlist, second, third.playlist) == (playlist, late, playlist)


def test_two_playlists_take_turns():
    first, _items = playlist_of(5, minutes_ago=5)
    second, _items = playlist_of(5, minutes_ago=1)

    assert [task.playlist for task in turns_taken(4)] == [first, second, first, second]


def test_a_playlist_has_its_share_while_later_links_wait():
    playlist, _items = playlist_of(3, minutes_ago=5)
    _ = [single(minutes_ago=1) for _ in range(5)]

    taken = turns_taken(1)
    taken[0].hand_back(taken[0].lease)

    assert turns.claim_next(WORKER).playlist == playlist


def test_who_is_paused_in_the_moment_of_its_claim_does_not_keep_the_next_from_its_turn(monkeypatch):
    paused, other = single(minutes_ago=2), single(minutes_ago=1)
    claim = type(Task.objects).claim

    def too_late(tasks, task_id, *rest):
        Task.objects.filter(pk=paused.pk, status="queued").update(status="paused")
        return claim(tasks, task_id, *rest)

    monkeypatch.setattr(type(Task.objects), "claim", too_late)

    assert turns.claim_next(WORKER) == other


@pytest.mark.django_db(transaction=True)
def test_many_who_look_at_once_get_each_task_once():
    tasks = [single(minutes_ago=1) for _ in range(6)]
    claimed = []

    def look():
        while task := turns.claim_next(WORKER):
            claimed.append(task.pk)
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(8)]
    _ = [thread.start() for thread in threads]
    _ = [thread.join() for thread in threads]

    assert sorted(claimed) == sorted(task.pk for task in tasks)
