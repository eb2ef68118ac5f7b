"""Which of the tasks that wait is next, and that nobody gets more than there is."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from downloads import turns
from downloads.hours import Hours
from downloads.models import Host, SiteRule, Task
from tests.tasks import FAILURE, task_in

pytestmark = pytest.mark.django_db

WORKER = "host:1"
CLOSED = Hours.of(f"{datetime.now(UTC) + timedelta(hours=2):%H:%M}-{datetime.now(UTC) + timedelta(hours=3):%H:%M}")


@pytest.fixture(autouse=True)
def _places_enough(settings):
    settings.MAX_CONCURRENT_DOWNLOADS = 100


def playlist_of(count, *, minutes_ago, status="queued"):
    """A playlist and its items, which somebody added so long ago."""
    playlist = task_in("queued", is_playlist=True, created_at=Now() - timedelta(minutes=minutes_ago))
    items = [
        task_in(status, playlist=playlist, created_at=playlist.created_at, url=f"https://{uuid4().hex}.example/v")
        for _ in range(count)
    ]
    return playlist, sorted(items, key=lambda item: item.pk)


def single(*, minutes_ago, **columns):
    columns = {"url": f"https://{uuid4().hex}.example/v"} | columns  # a site of its own
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


# Limits


def from_site(name, *, minutes_ago=1, **columns):
    return single(minutes_ago=minutes_ago, url=f"https://www.{name}/v", **columns)


def test_a_task_knows_the_site_of_its_link():
    one, other = from_site("example.co.uk"), Task(url="https://nowhere")
    Task.objects.bulk_create([other])

    assert (one.host, other.host) == ("example.co.uk", "nowhere")


def test_no_more_run_than_may_in_all(settings):
    settings.MAX_CONCURRENT_DOWNLOADS = 2
    _ = [from_site(f"{name}.com") for name in "abc"]

    assert [task is None for task in turns_taken(3)] == [False, False, True]


@pytest.mark.parametrize(("processing", "begin"), [(0, 2), (1, 2), (2, 2), (3, 1), (4, 0), (9, 0)])
def test_what_is_processed_takes_no_place_of_a_download_unless_it_is_very_much(settings, processing, begin):
    settings.MAX_CONCURRENT_DOWNLOADS, settings.MAX_CONVERSIONS = 2, 2
    _ = [task_in("processing") for _ in range(processing)]
    _ = [from_site(f"{name}.com") for name in "abc"]

    assert [task is not None for task in turns_taken(3)] == [True] * begin + [False] * (3 - begin)


def test_what_is_processed_asks_no_site_for_anything():
    taken = [from_site("example.com") and turns.claim_next(WORKER) for _ in range(3)]
    waiting = from_site("example.com")
    assert turns.claim_next(WORKER) is None

    Task.objects.filter(pk=taken[0].pk).update(status="processing")

    assert turns.claim_next(WORKER) == waiting


def test_no_more_run_from_a_site_than_may_and_the_next_site_takes_its_turn():
    _ = [from_site("example.com", minutes_ago=5) for _ in range(4)]
    other = from_site("example.org")

    taken = turns_taken(5)

    assert [task.host for task in taken[:3]] == ["example.com"] * 3
    assert taken[3:] == [other, None]


def test_when_one_has_ended_the_next_from_its_site_may_start():
    _ = [from_site("example.com") for _ in range(4)]
    first, *_others = turns_taken(3)

    first.fail(first.lease, FAILURE)

    assert turns.claim_next(WORKER).host == "example.com"


@pytest.mark.parametrize(("most", "started"), [(1, 1), (0, 5), (None, 3)])
def test_a_sites_rule_says_how_many_may_run(most, started):
    SiteRule.objects.create(site="example.com", max_downloads=most)
    _ = [from_site("example.com") for _ in range(5)]

    assert len(list(filter(None, turns_taken(5)))) == started


def test_the_rule_for_all_holds_where_a_sites_own_says_nothing():
    SiteRule.objects.create(site="", max_downloads=1)
    SiteRule.objects.create(site="example.com")
    _ = [from_site("example.com") for _ in range(2)]

    assert turns_taken(2)[1] is None


def test_between_two_starts_at_a_site_there_is_its_pause():
    SiteRule.objects.create(site="example.com", pause=60)
    _ = [from_site("example.com", minutes_ago=5) for _ in range(2)]
    other = from_site("example.org")

    assert turns_taken(3)[1:] == [other, None]

    Host.objects.update(started_at=Now() - timedelta(seconds=61))
    assert turns.claim_next(WORKER).host == "example.com"


def test_a_site_that_asks_for_a_rest_has_it():
    Host.objects.let_rest("example.com", 60)
    Host.objects.let_rest("example.com", 1)
    from_site("example.com", minutes_ago=5)
    other = from_site("example.org")

    assert turns_taken(2) == [other, None]

    Host.objects.update(rests_until=Now() - timedelta(seconds=1))
    assert turns.claim_next(WORKER).host == "example.com"


def test_outside_of_the_hours_nothing_starts(settings):
    settings.WORKING_HOURS = CLOSED
    from_site("example.com")

    assert turns.claim_next(WORKER) is None


@pytest.mark.django_db(transaction=True)
def test_many_who_look_at_once_start_no_more_than_may():
    _ = [from_site("example.com") for _ in range(6)]
    barrier = threading.Barrier(6)
    claimed = []

    def look():
        barrier.wait()
        claimed.append(turns.claim_next(WORKER))
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(6)]
    _ = [thread.start() for thread in threads]
    _ = [thread.join() for thread in threads]

    assert len(list(filter(None, claimed))) == 3


# What the others wait for


def test_a_task_that_may_start_waits_for_nothing_but_a_place():
    assert turns.waiting_for(from_site("example.com")).what == ""


def test_a_task_says_that_others_from_its_site_run():
    last = [from_site("example.com", minutes_ago=9 - number) for number in range(4)][-1]
    turns_taken(3)

    assert turns.waiting_for(last).what == "host"


def test_a_task_says_until_when_its_site_rests():
    Host.objects.let_rest("example.com", 60)

    waiting = turns.waiting_for(from_site("example.com"))

    assert (waiting.what, waiting.until) == ("rest", Host.objects.get().rests_until)


def test_a_task_says_how_long_the_pause_lasts():
    SiteRule.objects.create(site="example.com", pause=60)
    _first, second = from_site("example.com", minutes_ago=2), from_site("example.com")
    turns.claim_next(WORKER)

    waiting = turns.waiting_for(second)

    assert (waiting.what, waiting.until) == ("pause", Host.objects.get().started_at + timedelta(seconds=60))


def test_a_task_says_when_the_hours_begin(settings):
    settings.WORKING_HOURS = CLOSED

    waiting = turns.waiting_for(from_site("example.com"))

    assert waiting.what == "hours"
    assert waiting.until > timezone.now()


def test_a_task_says_that_it_waits_for_a_machine(settings):
    settings.SCALED = True
    task = from_site("example.com", machine="another", downloaded_bytes=5, queued_at=Now())

    assert turns.waiting_for(task).what == "machine"


@pytest.mark.parametrize("status", ["pending", "downloading", "completed"])
def test_who_is_not_queued_waits_for_nothing(status):
    Host.objects.let_rest("example.com", 60)

    assert turns.waiting_for(task_in(status)).what == ""


def test_sites_of_no_interest_any_more_are_forgotten():
    Host.objects.create(name="example.com", started_at=Now() - timedelta(days=2), rests_until=Now() - timedelta(days=2))
    Host.objects.let_rest("example.org", 60)

    assert [host.name for host in Host.objects.outdated()] == ["example.com"]
