"""Processes that run downloads say that they are alive; who has been silent for long is lost, and forgotten later."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from downloads import actors, recovery
from downloads.models import WorkerProcess
from downloads.recovery import Sweeper
from tests.service import wait_until

pytestmark = pytest.mark.django_db

VERSION = "1.0.0"


def process(name="host:1", **ago):
    """One whose times are so long ago."""
    moments = {column: Now() - length for column, length in ago.items()}
    return WorkerProcess.objects.create(name=name, concurrency=4, version=VERSION, **moments)


def beat(name="host:1", **options):
    WorkerProcess.objects.beat(name, **{"concurrency": 2, "version": VERSION} | options)


def test_the_first_sign_of_life_makes_the_row():
    beat()
    found = WorkerProcess.objects.with_signs().get()
    assert (found.name, found.concurrency, found.version, found.is_alive) == ("host:1", 2, VERSION, True)


def test_each_further_one_keeps_the_start():
    old = process(started_at=timedelta(hours=1), seen_at=timedelta(minutes=5))
    started_at = WorkerProcess.objects.get().started_at
    beat()
    found = WorkerProcess.objects.with_signs().get(pk=old.pk)
    assert (found.started_at, found.is_alive) == (started_at, True)


def test_a_process_that_starts_takes_over_the_row_of_its_name():
    process(started_at=timedelta(days=1), seen_at=timedelta(hours=1))
    before = WorkerProcess.objects.get().started_at
    beat(is_start=True)
    assert WorkerProcess.objects.get().started_at - before > timedelta(hours=23)


@pytest.mark.parametrize(("seconds", "is_alive"), [(25, True), (35, False)])
def test_half_a_minute_without_a_sign_and_it_is_lost(seconds, is_alive):
    process(seen_at=timedelta(seconds=seconds))
    assert WorkerProcess.objects.with_signs().get().is_alive is is_alive


def test_a_lost_one_is_forgotten_after_an_hour():
    process("long gone", seen_at=timedelta(minutes=61))
    process("lost", seen_at=timedelta(minutes=59))
    recovery.forget()
    assert WorkerProcess.objects.get().name == "lost"


def test_the_start_of_the_one_service_forgets_those_before_it():
    process()
    recovery.begin()
    assert not WorkerProcess.objects.exists()


def test_the_start_of_one_of_many_forgets_nobody(settings):
    settings.SCALED = True
    process()
    recovery.begin()
    assert WorkerProcess.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_sweep_gives_the_signs_and_its_end_takes_the_row_away(monkeypatch):
    monkeypatch.setattr(recovery, "SWEEP_EVERY", 0.01)
    sweeper = Sweeper(concurrency=7)
    sweeper.start()
    found = wait_until(WorkerProcess.objects.with_signs().first)
    assert (found.name, found.concurrency, found.is_alive) == (actors.worker_name(), 7, True)
    sweeper.stop()
    assert not WorkerProcess.objects.exists()
