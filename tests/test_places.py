"""Places: as many threads as there may be downloads at once, and none that sleeps while there is work."""

import sys
import threading
import time
from queue import SimpleQueue

import pytest

from downloads.places import Places
from tests.service import wait_until


class Work:
    """Pieces of work that last until they are told to end."""

    def __init__(self, pieces):
        self.waiting = SimpleQueue()
        self.begun = []
        self.end = threading.Semaphore(0)
        _ = [self.waiting.put(piece) for piece in range(pieces)]

    def __call__(self):
        if self.waiting.empty():
            return False
        self.begun.append(self.waiting.get())
        self.end.acquire()
        return True


@pytest.fixture
def run():
    """Makes places for this much work, and ends it all."""
    opened = []

    def run(pieces, count):
        work = Work(pieces)
        places = Places(work)
        places.open(count)
        opened.append((places, work))
        return places, work

    yield run
    for places, work in opened:
        work.end.release(100)
        assert places.close(5)


def test_no_more_runs_at_once_than_there_are_places(run):
    places, work = run(pieces=5, count=2)

    before = set(threading.enumerate())
    places.wake(5)
    wait_until(lambda: len(work.begun) == 2)
    places.wake(5)

    assert [thread.name for thread in set(threading.enumerate()) - before].count("download") == 2
    assert len(work.begun) == 2


@pytest.fixture
def lending():
    """Places where each piece of work lends its place when it begins, at most this many of them."""
    opened = []

    def lending(pieces, count, most):
        work = Work(pieces)

        def lend_and_work():
            if not work.waiting.empty():
                places.lend(most)
            return work()

        places = Places(lend_and_work)
        places.open(count)
        opened.append((places, work))
        places.wake(pieces)
        return places, work

    yield lending
    for places, work in opened:
        work.end.release(100)
        assert places.close(5)


@pytest.mark.parametrize(("most", "at_once"), [(0, 2), (1, 3), (3, 5)])
def test_so_many_places_are_lent_and_no_more(lending, most, at_once):
    _places, work = lending(pieces=10, count=2, most=most)

    wait_until(lambda: len(work.begun) == at_once)
    time.sleep(0.1)

    assert len(work.begun) == at_once


def test_whose_place_is_taken_leaves_when_its_work_is_done(lending):
    places, work = lending(pieces=10, count=1, most=1)
    wait_until(lambda: len(work.begun) == 2)

    work.end.release(4)
    wait_until(lambda: len(work.begun) >= 6)
    time.sleep(0.1)

    assert len(work.begun) == 6  # still two at once
    assert len(places._threads) == 2


@pytest.fixture
def switching_often():
    """Threads take turns a hundred times as often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 100)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("switching_often")
def test_of_two_that_end_at_once_one_goes_on(lending):
    _places, work = lending(pieces=1000, count=1, most=1)
    work.end.release(1000)

    wait_until(lambda: len(work.begun) == 1000)


def test_a_place_that_becomes_free_takes_the_next_without_being_woken(run):
    places, work = run(pieces=3, count=1)

    places.wake()
    wait_until(lambda: len(work.begun) == 1)
    work.end.release()

    wait_until(lambda: len(work.begun) == 2)


def test_who_is_woken_while_its_last_look_is_under_way_looks_once_more():
    looks = []

    def look():
        looks.append(len(looks))
        looks[1:] or places.wake()
        return False

    places = Places(look)
    places.open(1)
    places.wake()

    wait_until(lambda: len(looks) == 2)
    assert places.close(5)


def test_an_error_gives_its_place_free():
    looks = []

    def look():
        looks.append(1)
        raise RuntimeError("the database is gone")

    places = Places(look)
    places.open(1)
    places.wake()
    wait_until(lambda: not places._threads)
    places.wake()

    wait_until(lambda: len(looks) == 2)


def test_without_places_nothing_runs(run):
    places, work = run(pieces=1, count=0)

    places.wake()

    assert (work.begun, places._threads) == ([], set())


def test_nothing_begins_after_the_end_and_who_does_not_stop_is_told(run):
    places, work = run(pieces=2, count=1)
    places.wake()
    wait_until(lambda: work.begun)

    assert places.close(0.1) is False
    work.end.release(2)

    assert places.close(5) is True
    assert len(work.begun) == 1
