"""On several machines: who has the bytes of a task goes on with it, and nobody waits for ever for who has them."""

from contextlib import closing
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from downloads import recovery, storage, turns
from downloads.installation import AlreadyRunning, lock_data_folder
from downloads.models import Task
from tests.tasks import abandoned_task, row, task_in

pytestmark = pytest.mark.django_db

WORKER = "host:1"
LONG_AGO = timedelta(seconds=31)


@pytest.fixture(autouse=True)
def here(settings, tmp_path):
    """The name of this machine, whose work folder is empty."""
    settings.DATA_DIR = tmp_path
    settings.WORK_DIR = tmp_path / "work"
    settings.LIBRARY_DIR = tmp_path / "library"
    settings.LIBRARY_DIR.mkdir()
    return storage.machine()


def waiting(machine, status="queued", **columns):
    """A task that has half of its bytes on this machine."""
    progress = {"downloaded_bytes": 500, "total_bytes": 1000, "progress_percentage": 50}
    return task_in(status, **{"machine": machine, "queued_at": Now(), **progress, **columns})


def partial_file(task):
    folder = storage.work_folder(task.id)
    folder.mkdir(parents=True)
    (folder / "media.mp4.part").write_bytes(b"half")
    return folder


def test_a_machine_keeps_its_name(here, settings, tmp_path):
    assert storage.machine() == here == (tmp_path / "machine").read_text()

    settings.DATA_DIR = tmp_path / "another"
    settings.DATA_DIR.mkdir()

    assert storage.machine() != here


def test_the_machine_that_has_the_bytes_goes_on_with_them(here):
    waiting(here)

    task = turns.claim_next(WORKER, here)

    assert (task.machine, task.downloaded_bytes, task.begins_anew) == (here, 500, False)


def test_a_task_waits_for_the_machine_that_has_its_bytes(here):
    waiting("another")

    assert turns.claim_next(WORKER, here) is None


def test_but_not_for_ever_and_then_it_begins_anew(here):
    waiting("another", queued_at=Now() - LONG_AGO)

    task = turns.claim_next(WORKER, here)

    assert (task.machine, task.begins_anew) == (here, True)
    assert (task.downloaded_bytes, task.total_bytes, task.progress_percentage) == (0, 0, 0)


def test_a_task_without_bytes_waits_for_nobody(here):
    waiting("another", downloaded_bytes=0)

    assert turns.claim_next(WORKER, here).machine == here


def test_what_has_bytes_since_before_there_were_machines_goes_on_with_them(here):
    waiting("")

    task = turns.claim_next(WORKER, here)

    assert (task.machine, task.downloaded_bytes, task.begins_anew) == (here, 500, False)


def test_after_a_change_of_the_format_no_machine_goes_on_from_its_bytes(here):
    task = waiting(here, status="paused")
    task.edit(quality="720p")
    task.queue()

    assert turns.claim_next(WORKER, here).begins_anew


def test_a_machine_throws_away_what_another_one_works_on_now(here):
    stale, ours = partial_file(waiting("another")), partial_file(waiting(here))

    recovery.empty_leftover_folders()

    assert (stale.exists(), ours.exists()) == (False, True)


def test_a_machine_throws_away_what_was_cancelled_elsewhere(here):
    folder = partial_file(waiting(here, status="cancelled"))

    recovery.empty_leftover_folders()

    assert not folder.exists()


def test_a_dead_workers_task_is_mended_by_whoever_comes_first(here):
    task = abandoned_task(machine="another")

    assert Task.objects.seize(WORKER, here) == [task]


def test_files_on_their_way_into_the_library_are_left_to_the_machine_that_has_them(here):
    task = abandoned_task("processing", machine="another", file_name="video.mp4", file_size=5)

    assert Task.objects.seize(WORKER, here) == []
    assert Task.objects.seize(WORKER, "another") == [task]


def test_but_not_for_ever(here):
    task = abandoned_task("processing", machine="another", file_name="video.mp4", file_size=5)
    Task.objects.filter(pk=task.pk).update(lease_expires_at=Now() - LONG_AGO)

    assert Task.objects.seize(WORKER, here) == [task]


def test_with_many_processes_the_start_of_one_leaves_the_leases_of_others_alone(settings):
    settings.SCALED = True
    task = task_in("downloading")
    before = row(task)

    recovery.begin()

    assert row(task) == before


def test_processes_share_their_machines_data_folder_but_not_with_a_service_that_is_one_process(settings, tmp_path):
    settings.DATA_DIR, settings.SCALED = tmp_path, True

    with closing(lock_data_folder()), closing(lock_data_folder()):
        settings.SCALED = False
        with pytest.raises(AlreadyRunning):
            lock_data_folder()
