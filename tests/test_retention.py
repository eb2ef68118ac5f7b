"""Finished tasks go by their age, or the oldest by what their files weigh; what is kept, running or not ours stays."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from downloads import pictures, recovery, retention, storage
from downloads.models import Task
from tests.tasks import task_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def library(settings, tmp_path):
    """A library, a work folder and a picture folder of this test's own; nothing is thrown away unless it says so."""
    settings.LIBRARY_DIR, settings.WORK_DIR = tmp_path / "library", tmp_path / "work"
    settings.PICTURES_DIR = tmp_path / "pictures"
    for folder in (settings.LIBRARY_DIR, settings.WORK_DIR, settings.PICTURES_DIR):
        folder.mkdir()
    return settings.LIBRARY_DIR


def stored(library, name, *, days=0, size=1000, beside=(), **columns):
    """A task that was completed so long ago, and its files: each beside it weighs 10 bytes."""
    path = library / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    for side in beside:
        (library / side).write_bytes(bytes(10))
    files = {"file_name": name, "file_size": size, "side_files": list(beside)}
    weight = size + 10 * len(beside)
    return task_in("completed", finished_at=Now() - days * DAY, stored_bytes=weight, **files, **columns)


def left():
    return set(Task.objects.values_list("pk", flat=True))


def files_in(library):
    return {str(path.relative_to(library)) for path in library.rglob("*") if path.is_file()}


def test_everything_stays_unless_it_is_asked_for(library):
    task = stored(library, "a.mp4", days=10_000)
    assert retention.carry_out() == []
    assert left() == {task.pk}


def test_what_is_too_old_goes_with_all_that_it_has(library, settings):
    settings.RETENTION_AGE = 30 * DAY
    old = stored(library, "Series/old.mp4", days=31, beside=["Series/old.en.srt"])
    young = stored(library, "young.mp4", days=29)
    failed = task_in("failed", finished_at=Now() - 31 * DAY)
    for task in (old, failed):
        storage.work_folder(task.pk).mkdir()
        (storage.work_folder(task.pk) / "media.mp4.part").write_bytes(b"part")
        pictures.path_of(task.pk).write_bytes(pictures.JPEG)

    assert {going.task.pk for going in retention.carry_out()} == {old.pk, failed.pk}
    assert left() == {young.pk}
    assert files_in(library) == {"young.mp4"}
    assert not (library / "Series").exists()
    assert list(settings.WORK_DIR.iterdir()) == list(settings.PICTURES_DIR.iterdir()) == []


def test_the_service_sees_to_it_by_itself(library, settings):
    settings.RETENTION_AGE = DAY
    stored(library, "a.mp4", days=2)
    recovery.forget()
    assert left() == set()


@pytest.mark.parametrize("status", ["pending", "queued", "starting", "downloading", "processing", "paused"])
def test_what_has_not_ended_stays_whatever_its_age(settings, status):
    settings.RETENTION_AGE, settings.RETENTION_SIZE = DAY, 1
    task = task_in(status, finished_at=Now() - 2 * DAY, created_at=Now() - 2 * DAY)
    assert retention.carry_out() == []
    assert left() == {task.pk}


def test_the_oldest_go_until_the_rest_weighs_no_more_than_it_may(library, settings):
    settings.RETENTION_SIZE = 2500
    first = stored(library, "1.mp4", days=4, beside=["1.srt"])
    second = stored(library, "2.mp4", days=3, keep=True)
    third = stored(library, "3.mp4", days=2)
    fourth = stored(library, "4.mp4", days=1)
    cancelled = task_in("cancelled", finished_at=Now() - 5 * DAY)  # holds nothing

    assert [(going.task.pk, going.weight) for going in retention.carry_out()] == [(first.pk, 1010), (third.pk, 1000)]
    assert left() == {second.pk, fourth.pk, cancelled.pk}
    assert files_in(library) == {"2.mp4", "4.mp4"}
    assert retention.carry_out() == []


def test_what_goes_by_its_age_counts_for_the_size(library, settings):
    settings.RETENTION_AGE, settings.RETENTION_SIZE = 3 * DAY, 1000
    stored(library, "old.mp4", days=4)
    young = stored(library, "young.mp4", days=1)
    assert [going.why for going in retention.carry_out()] == ["age"]
    assert left() == {young.pk}


def test_a_playlist_goes_as_a_whole_and_not_before_all_of_it_is_finished(library, settings):
    settings.RETENTION_AGE, settings.RETENTION_SIZE = DAY, 1
    playlist = task_in("completed", is_playlist=True, finished_at=Now() - 2 * DAY)
    items = [stored(library, f"{number}.mp4", days=2, playlist=playlist) for number in (1, 2)]
    waiting = task_in("queued", playlist=playlist)
    Task.objects.derive(playlist.pk)
    assert retention.carry_out() == []

    waiting.cancel()
    Task.objects.filter(pk=playlist.pk).update(finished_at=Now() - 2 * DAY)
    items[0].keep_for_good(is_kept=True)
    assert retention.carry_out() == []

    items[0].keep_for_good(is_kept=False)
    assert [(going.task.pk, going.weight) for going in retention.carry_out()] == [(playlist.pk, 2000)]
    assert left() == set()
    assert files_in(library) == set()


def test_a_file_that_somebody_has_put_in_the_place_of_ours_stays(library, settings):
    settings.RETENTION_AGE = DAY
    stored(library, "a.mp4", days=2, beside=["a.srt"])
    (library / "a.mp4").write_bytes(b"somebody's own")
    retention.carry_out()
    assert left() == set()
    assert files_in(library) == {"a.mp4", "a.srt"}


def test_what_cannot_be_deleted_stays_with_its_task_and_the_others_go(library, settings, caplog):
    settings.RETENTION_AGE = DAY
    stuck = stored(library, "stuck.mp4", days=3, beside=["stuck.srt"])
    stored(library, "other.mp4", days=2)
    (library / "stuck.srt").unlink()
    (library / "stuck.srt").mkdir()  # no file, so that deleting it fails
    retention.carry_out()
    assert left() == {stuck.pk}
    assert "stays although its time is over" in caplog.text


def test_a_dry_run_says_what_would_go_and_deletes_nothing(library, settings):
    settings.RETENTION_AGE = DAY
    task = stored(library, "a.mp4", days=2, title="A film")
    said = StringIO()
    call_command("retention", dry_run=True, stdout=said)
    assert said.getvalue().split()[0] == task.pk
    assert "is too old  A film" in said.getvalue()
    assert said.getvalue().splitlines()[-1] == "1 tasks would go, with 1000\u00a0bytes of files."
    assert (left(), files_in(library)) == ({task.pk}, {"a.mp4"})
    call_command("retention", stdout=said)
    assert said.getvalue().splitlines()[-1] == "1 tasks went, with 1000\u00a0bytes of files."
    assert left() == set()


def test_without_a_setting_the_command_says_that_everything_stays():
    said = StringIO()
    call_command("retention", stdout=said)
    assert said.getvalue().startswith("Everything stays")


# How it is kept


def change(client, task, **fields):
    return client.patch(
        f"/api/downloads/tasks/{task.pk}", json.dumps(fields), content_type="application/json", REMOTE_ADDR="127.0.0.1"
    )


@pytest.mark.parametrize("status", ["pending", "downloading", "completed"])
def test_a_task_is_kept_and_let_go_in_whatever_state_it_is(client, status):
    task = task_in(status)
    assert change(client, task, keep=True).json()["keep"] is True
    assert change(client, task, keep=False).json()["keep"] is False


def test_a_change_that_is_refused_keeps_nothing_either(client):
    task = task_in("completed")
    assert change(client, task, keep=True, quality="720p").status_code == 409
    task.refresh_from_db()
    assert not task.keep


def test_cleanup_leaves_what_is_kept(client):
    kept, other = task_in("failed", finished_at=Now() - DAY, keep=True), task_in("failed", finished_at=Now() - DAY)
    answer = client.post("/api/downloads/cleanup?max_age_hours=1")
    assert answer.json()["removed"] == 1
    assert (kept.pk in left(), other.pk in left()) == (True, False)


def test_a_tasks_own_page_says_how_long_it_stays_and_keeps_it_for_good(client, settings):
    settings.RETENTION_AGE = 30 * DAY
    task = task_in("completed", finished_at=Now())
    address = f"/tasks/{task.pk}"
    page = client.get(address).content.decode()
    assert "It is deleted with its files on " in page
    assert "Keep it for good" in page

    client.post(f"{address}/keep", {"next": address})
    page = client.get(address).content.decode()
    assert "it is kept for good, until you delete it" in page
    assert "Do not keep it any more" in page
    assert '<span data-part="kept">Kept for good</span>' in page

    client.post(f"{address}/release", {"next": address})
    task.refresh_from_db()
    assert not task.keep
