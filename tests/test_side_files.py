"""Subtitles and pictures beside the finished file: what a child may hand over, and what becomes of it."""

import errno
import os
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from downloads import batches, operations, storage
from downloads.engine import messages
from downloads.engine.templates import folder_templates
from downloads.models import Task
from downloads.runner import run_next
from downloads.schemas import task_json
from tests.tasks import FACTS, task_in

pytestmark = pytest.mark.django_db(transaction=True)

FOUND = messages.Found(
    **{name: getattr(FACTS, name) for name in ("title", "media_id", "site", "uploader", "duration", "thumbnail")}
)
MAIN = b"film" * 1000
GIVEN = (("media.en.srt", ".en.srt"), ("media.jpg", ".jpg"))
BESIDE = ["Ann/A film [f1].en.srt", "Ann/A film [f1].jpg"]


class Child:
    """One that has put its files into the folder and says so; only what it says is its own here, not how."""

    ended = False

    def __init__(self, job, given):
        folder = Path(job.folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "media.mp4").write_bytes(MAIN)
        (folder / "media.en.srt").write_text("subtitles")
        (folder / "media.jpg").write_text("picture")
        (folder / "folder").mkdir(exist_ok=True)
        (folder / "link.srt").unlink(missing_ok=True)
        (folder / "link.srt").symlink_to("/etc/passwd")
        sides = tuple(messages.SideFile(name=name, suffix=suffix) for name, suffix in given)
        done = messages.Done(name="media.mp4", extension="mp4", size=len(MAIN), side_files=sides)
        self._words = [FOUND, messages.Processing(), done]

    def events(self, _timeout):
        words, self._words = self._words, []
        return words

    def stop(self):
        pass


class Engine:
    def __init__(self, given):
        self._given = given

    def way_out(self, *_):
        return nullcontext(SimpleNamespace(url=""))

    def start(self, job):
        return Child(job, self._given)


@pytest.fixture(autouse=True)
def library(settings, tmp_path):
    settings.WORK_DIR = tmp_path / "work"
    settings.LIBRARY_DIR = tmp_path / "library"
    settings.LIBRARY_DIR.mkdir()
    settings.FOLDER_TEMPLATE = folder_templates("{uploader}")
    return settings.LIBRARY_DIR


def ran(given=GIVEN):
    """A task after its run with a child that hands these over."""
    task = task_in("queued")
    run_next(engine=Engine(given), worker="here", stopping=threading.Event())
    task.refresh_from_db()
    return task


def entries(library):
    return sorted(str(path.relative_to(library)) for path in library.rglob("*"))


def test_they_lie_beside_the_file_and_are_in_its_row(library):
    task = ran()

    assert (task.status, task.file_name, task.side_files) == ("completed", "Ann/A film [f1].mp4", BESIDE)
    assert entries(library) == ["Ann", *BESIDE, "Ann/A film [f1].mp4"]
    assert (library / BESIDE[0]).read_text() == "subtitles"
    assert task_json(task)["side_files"] == BESIDE


def test_a_language_is_written_as_its_tag_is(library):
    assert ran([("media.en.srt", ".zh-Hans.srt")]).side_files == ["Ann/A film [f1].zh-Hans.srt"]


def test_the_same_once_more_is_numbered_as_a_whole(library):
    ran()

    task = ran()

    assert (task.file_name, task.side_files[0]) == ("Ann/A film [f1] (2).mp4", "Ann/A film [f1] (2).en.srt")
    assert len(entries(library)) == 7


@pytest.mark.parametrize(
    "given",
    [
        ("../media.en.srt", ".srt"),
        ("/etc/passwd", ".srt"),
        ("link.srt", ".srt"),
        ("folder", ".srt"),
        ("missing.srt", ".srt"),
        ("", ".srt"),
        ("media.en.srt", ".exe"),
        ("media.en.srt", ".mp4"),
        ("media.en.srt", "/../x.srt"),
        ("media.jpg", ".JPG"),
        ("media.jpg", ".EN.srt"),
    ],
    ids=" as ".join,
)
def test_a_child_that_lies_about_them_gets_nothing_into_the_library(library, given):
    task = ran([("media.en.srt", ".en.srt"), given])

    assert (task.status, task.error_reason, task.file_name, task.side_files) == ("failed", "storage", "", [])
    assert entries(library) == []


def test_a_suffix_that_is_none_does_not_pass_as_a_message():
    frame = messages.encode(
        messages.Done(
            name="a", extension="mp4", size=1, side_files=(messages.SideFile(name="a", suffix="/../../x.srt"),)
        )
    )

    with pytest.raises(messages.BadFrame, match="suffix"):
        messages.EventReader._decode(frame[4:])


def test_when_the_disk_is_full_in_between_nothing_of_it_stays(library, monkeypatch):
    link = os.link

    def full(source, target):
        if target.name == "A film [f1].mp4":
            raise OSError(errno.ENOSPC, "No space left on device")
        link(source, target)

    monkeypatch.setattr(os, "link", full)

    task = ran()

    assert (task.status, task.error_reason, task.file_name, task.side_files) == ("queued", "no_space", "", [])
    assert entries(library) == []
    assert (storage.work_folder(task.id) / "media.mp4").exists()


def test_whoever_lost_the_lease_takes_nothing_back(library, monkeypatch):
    link = os.link

    def lose_the_lease(source, target):
        link(source, target)
        if target.name == "A film [f1].jpg":
            Task.objects.update(lease=None, lease_expires_at=None, status="queued")
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", lose_the_lease)

    assert ran().status == "queued"

    assert entries(library) == ["Ann", *BESIDE]


@pytest.mark.parametrize(
    "delete",
    [
        lambda task, delete_file: operations.delete(task.id, delete_file=delete_file),
        lambda task, delete_file: batches.delete_all([task.id], delete_files=delete_file),
    ],
    ids=["one", "many"],
)
@pytest.mark.parametrize(("delete_file", "stays"), [(True, 0), (False, 4)])
def test_they_go_or_stay_with_the_file(library, delete, delete_file, stays):
    delete(ran(), delete_file)

    assert len(entries(library)) == stays
