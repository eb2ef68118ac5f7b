"""What was lost beside the rows is made again from them."""

import datetime as dt
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from downloads import actors, recovery, storage
from downloads.engine.folders import folder_lock
from downloads.models import Task
from downloads.states import Status, Stop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def looked(monkeypatch):
    """How many places were to look for work, at each sweep."""
    looked = []
    monkeypatch.setattr(actors.places, "wake", looked.append)
    return looked


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.WORK_DIR = tmp_path / "work"
    settings.LIBRARY_DIR = tmp_path / "library"
    settings.LIBRARY_DIR.mkdir()


def abandoned(**columns):
    """A task whose worker died a minute ago."""
    task = Task.objects.create(url="https://example.com/video")
    Task.objects.filter(pk=task.pk).update(
        **{
            "status": Status.DOWNLOADING,
            "lease": uuid4(),
            "lease_expires_at": timezone.now() - dt.timedelta(minutes=1),
            **columns,
        }
    )
    task.attempts.create(number=1, worker="dead")
    task.refresh_from_db()
    return task


def partial_file(task):
    folder = storage.work_folder(task.id)
    folder.mkdir(parents=True)
    (folder / "media.mp4.part").write_bytes(b"half")
    return folder


def test_an_abandoned_task_waits_for_another_worker_with_its_bytes(looked):
    task = abandoned()
    folder = partial_file(task)
    recovery.sweep()
    task.refresh_from_db()
    assert (task.status, task.lease, task.failures) == (Status.QUEUED, None, 0)
    assert task.attempts.get().outcome == "interrupted"
    assert (folder / "media.mp4.part").exists()
    assert looked == [1]


@pytest.mark.parametrize(
    ("stop", "status", "bytes_stay"),
    [(Stop.CANCEL, Status.CANCELLED, False), (Stop.PAUSE, Status.PAUSED, True)],
)
def test_a_request_that_the_dead_worker_left_is_carried_out(stop, status, bytes_stay):
    task = abandoned(stop=stop)
    folder = partial_file(task)
    recovery.sweep()
    task.refresh_from_db()
    assert task.status == status
    assert folder.exists() is bytes_stay


def test_a_task_that_was_to_be_deleted_is_deleted():
    task = abandoned(stop=Stop.DELETE)
    folder = partial_file(task)
    recovery.sweep()
    assert not Task.objects.filter(pk=task.pk).exists()
    assert not folder.exists()


def test_a_file_that_is_in_its_reserved_place_already_completes_its_task(settings):
    (settings.LIBRARY_DIR / "video.mp4").write_bytes(b"whole")
    task = abandoned(status=Status.PROCESSING, file_name="video.mp4", file_size=5)
    folder = partial_file(task)
    recovery.sweep()
    task.refresh_from_db()
    assert (task.status, task.file_name, task.progress_percentage) == (Status.COMPLETED, "video.mp4", 100)
    assert not folder.exists()


def test_a_reserved_place_without_its_file_is_given_up():
    task = abandoned(status=Status.PROCESSING, file_name="video.mp4", file_size=5)
    recovery.sweep()
    task.refresh_from_db()
    assert (task.status, task.file_name) == (Status.QUEUED, "")


BESIDE = ["a/video.en.srt", "a/video.jpg"]


def reserved(library, *placed, **columns):
    """A task whose worker died when these of its files had their names already."""
    task = abandoned(
        **{"status": Status.PROCESSING, "file_name": "a/video.mp4", "file_size": 5, "side_files": BESIDE} | columns
    )
    folder = storage.work_folder(task.id)
    for path in (folder, library / "a"):
        path.mkdir(parents=True)
    for name in ("video.mp4", "video.en.srt", "video.jpg"):
        (folder / name).write_bytes(b"whole")
    for name in placed:
        (library / name).hardlink_to(folder / Path(name).name)
    return task


def in_library(library):
    return sorted(str(path.relative_to(library)) for path in library.rglob("*"))


@pytest.mark.parametrize("placed", [[], BESIDE[:1], BESIDE], ids=["none", "one", "all but the file"])
def test_files_whose_main_file_is_missing_are_taken_back(settings, placed):
    task = reserved(settings.LIBRARY_DIR, *placed)
    recovery.sweep()
    task.refresh_from_db()
    assert (task.status, task.file_name, task.side_files) == (Status.QUEUED, "", [])
    assert in_library(settings.LIBRARY_DIR) == []


def test_a_file_in_its_place_keeps_those_beside_it(settings):
    task = reserved(settings.LIBRARY_DIR, *BESIDE, "a/video.mp4")
    recovery.sweep()
    task.refresh_from_db()
    assert (task.status, task.file_name, task.side_files) == (Status.COMPLETED, "a/video.mp4", BESIDE)
    assert in_library(settings.LIBRARY_DIR) == ["a", *BESIDE, "a/video.mp4"]


@pytest.mark.parametrize("placed", [BESIDE, [*BESIDE, "a/video.mp4"]], ids=["all but the file", "all"])
@pytest.mark.parametrize("stop", [Stop.CANCEL, Stop.DELETE])
def test_what_was_to_be_stopped_leaves_nothing_in_the_library(settings, placed, stop):
    reserved(settings.LIBRARY_DIR, *placed, stop=stop)
    (settings.LIBRARY_DIR / "mine.mp4").touch()
    recovery.sweep()
    assert in_library(settings.LIBRARY_DIR) == ["mine.mp4"]


def test_a_strangers_file_in_a_reserved_place_stays(settings):
    reserved(settings.LIBRARY_DIR, BESIDE[0])
    (settings.LIBRARY_DIR / "a" / "video.mp4").write_text("another film")
    recovery.sweep()
    assert in_library(settings.LIBRARY_DIR) == ["a", "a/video.mp4"]


def test_a_task_is_left_alone_while_a_process_of_it_lives():
    task = abandoned()
    partial_file(task)
    with folder_lock(storage.work_folder(task.id), limit=0):
        recovery.sweep()
    task.refresh_from_db()
    assert task.status == Status.DOWNLOADING


def test_a_task_with_a_good_lease_is_left_alone():
    task = abandoned(lease_expires_at=timezone.now() + dt.timedelta(minutes=1))
    recovery.sweep()
    task.refresh_from_db()
    assert task.status == Status.DOWNLOADING


def test_the_start_voids_every_lease():
    task = abandoned(lease_expires_at=timezone.now() + dt.timedelta(minutes=1))
    recovery.begin()
    task.refresh_from_db()
    assert task.status == Status.QUEUED


def test_a_task_whose_message_is_lost_is_found_all_the_same(looked):
    Task.objects.create(url="https://example.com/1").queue()
    Task.objects.create(url="https://example.com/2").queue()
    recovery.sweep()
    assert looked == [2]


def test_nobody_looks_for_a_task_before_its_next_attempt_is_due(looked):
    task = Task.objects.create(url="https://example.com/1")
    task.queue()
    Task.objects.filter(pk=task.pk).update(available_at=timezone.now() + dt.timedelta(minutes=5))
    recovery.sweep()
    assert looked == [0]


@pytest.mark.parametrize(
    ("status", "stays"),
    [(Status.PAUSED, True), (Status.FAILED, True), (Status.CANCELLED, False), (Status.COMPLETED, False)],
)
def test_leftover_folders_of_ended_tasks_are_emptied_at_the_start(status, stays):
    task = Task.objects.create(url="https://example.com/video", status=status)
    folder = partial_file(task)
    recovery.begin()
    assert folder.exists() is stays


def test_the_folder_of_a_task_that_is_gone_is_emptied_at_the_start(settings):
    (settings.WORK_DIR / "0123456789ab").mkdir(parents=True)
    recovery.begin()
    assert not (settings.WORK_DIR / "0123456789ab").exists()
