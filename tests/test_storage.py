"""Where bytes go: into the library under a name of their own, whole or not at all, and nothing is overwritten."""

import contextlib
import errno
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

from downloads import storage
from downloads.engine.folders import FolderBusy, folder_lock
from tests.service import PROJECT, wait_until

TASK = "0123456789ab"
SHARED_MEMORY = Path("/dev/shm")
HOLDER = """
import sys, time
from pathlib import Path
from downloads.engine.folders import folder_lock

with folder_lock(Path(sys.argv[1]), limit=1):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def library(settings, tmp_path):
    settings.LIBRARY_DIR = tmp_path / "library"
    settings.WORK_DIR = tmp_path / "work"
    settings.LIBRARY_DIR.mkdir()
    return settings.LIBRARY_DIR


@pytest.fixture
def source():
    """A finished file in the working folder of the task."""
    return finished_file(storage.work_folder(TASK))


def finished_file(folder):
    folder.mkdir(parents=True)
    file = folder / "media.mp4"
    file.write_bytes(b"film" * 1_000_000)
    return file


@contextlib.contextmanager
def held_by_another_process(folder):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def store(source, name, reserve=lambda _: True, keep=lambda: None):
    return storage.store(TASK, source, name, reserve, keep)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


# Into the library


def test_a_file_is_stored_whole_and_stays_in_the_working_folder(source, library):
    assert store(source, "film.mp4") == "film.mp4"

    assert (library / "film.mp4").read_bytes() == source.read_bytes()
    assert names(library) == ["film.mp4"]


def test_a_name_that_a_foreign_file_has_is_not_taken(source, library):
    (library / "film.mp4").write_text("mine")

    assert store(source, "film.mp4") == "film (2).mp4"

    assert (library / "film.mp4").read_text() == "mine"
    assert (library / "film (2).mp4").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=["folder", "dead link"])
def test_a_name_that_something_else_has_is_not_taken(source, library, make):
    make(library / "film.mp4")

    assert store(source, "film.mp4") == "film (2).mp4"


def test_a_name_that_another_task_has_reserved_is_not_taken(source, library):
    free = iter([False, False, True])

    assert store(source, "film.mp4", reserve=lambda _: next(free)) == "film (3).mp4"

    assert names(library) == ["film (3).mp4"]


def test_a_name_is_reserved_before_the_file_is_there(source, library):
    seen = []

    store(source, "film.mp4", reserve=lambda name: seen.append((name, names(library))) or True)

    assert seen == [("film.mp4", [])]


def test_a_name_that_is_taken_between_the_look_and_the_move_is_left_alone(source, library):
    def a_stranger_is_faster(name):
        (library / "film.mp4").write_text("mine")
        return True

    assert store(source, "film.mp4", reserve=a_stranger_is_faster) == "film (2).mp4"

    assert (library / "film.mp4").read_text() == "mine"


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", ".", "", "a/../../x", "out/x"])
def test_a_name_that_leads_out_of_the_library_is_refused(source, library, tmp_path, name):
    (library / "out").symlink_to(tmp_path)

    with pytest.raises(storage.OutsideLibrary):
        store(source, name)

    assert names(library) == ["out"]
    assert names(tmp_path) == ["library", "work"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..", "out/passwd"])
def test_nothing_outside_of_the_library_is_stored_or_deleted(library, name):
    (library / "out").symlink_to("/etc")

    assert storage.is_stored(name, Path("/etc/passwd").stat().st_size) is False
    with pytest.raises(storage.OutsideLibrary):
        storage.delete_stored(name)


def test_a_link_in_the_library_is_no_stored_file(library):
    (library / "link").symlink_to("/etc/passwd")

    assert storage.is_stored("link", Path("/etc/passwd").stat().st_size) is False


def test_deleting_a_link_leaves_what_it_points_to(library, tmp_path):
    (tmp_path / "mine").touch()
    (library / "link").symlink_to(tmp_path / "mine")

    storage.delete_stored("link")

    assert names(library) == []
    assert (tmp_path / "mine").exists()


def test_a_stored_file_is_known_by_its_size(source):
    store(source, "film.mp4")

    assert storage.is_stored("film.mp4", 4_000_000) is True
    assert storage.is_stored("film.mp4", 3_999_999) is False
    assert storage.is_stored("other.mp4", 4_000_000) is False


def test_deleting_what_is_gone_is_no_error():
    storage.delete_stored("film.mp4")


# Where there are no hard links, or not between these two places


def no_links(*_, **__):
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.fixture(params=["a library on another file system", "no hard links at all"])
def without_links(request, monkeypatch):
    """Once with real file systems, where there are two, and once with a file system that knows no links."""
    return request.getfixturevalue({"a": "_other_file_system", "n": "_no_links"}[request.param[0]])


@pytest.fixture
def _no_links(monkeypatch):
    monkeypatch.setattr(os, "link", no_links)


@pytest.fixture
def _other_file_system(settings, tmp_path):
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else tmp_path) as folder:
        settings.LIBRARY_DIR = Path(folder)
        yield


@pytest.mark.skipif(
    not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev,
    reason="there is only one file system",
)
def test_the_other_file_system_is_another_one(_other_file_system, settings, source):
    with pytest.raises(OSError, match="cross-device"):
        (settings.LIBRARY_DIR / "x").hardlink_to(source)


@pytest.mark.usefixtures("without_links")
def test_a_copy_is_whole_and_leaves_no_draft(source, settings):
    assert store(source, "film.mp4") == "film.mp4"

    assert (settings.LIBRARY_DIR / "film.mp4").read_bytes() == source.read_bytes()
    assert names(settings.LIBRARY_DIR) == ["film.mp4"]


@pytest.mark.usefixtures("without_links")
def test_a_copy_overwrites_nothing(source, settings):
    def a_stranger_is_faster(name):
        (settings.LIBRARY_DIR / "film.mp4").write_text("mine")
        return True

    assert store(source, "film.mp4", reserve=a_stranger_is_faster) == "film (2).mp4"

    assert (settings.LIBRARY_DIR / "film.mp4").read_text() == "mine"
    assert names(settings.LIBRARY_DIR) == ["film (2).mp4", "film.mp4"]


@pytest.mark.usefixtures("without_links")
def test_nothing_is_seen_under_the_name_while_a_copy_is_made(source, settings, monkeypatch):
    seen = []
    monkeypatch.setattr(storage, "KEEP_EVERY", -1)

    store(source, "film.mp4", keep=lambda: seen.extend(names(settings.LIBRARY_DIR)))

    (draft,) = set(seen)
    assert re.fullmatch(rf"\.{TASK}-[0-9a-f]+\.part", draft)


@pytest.mark.usefixtures("without_links")
def test_a_copy_that_is_broken_off_leaves_nothing_in_the_library(source, settings, monkeypatch):
    def lost():
        raise TimeoutError("the lease is lost")

    monkeypatch.setattr(storage, "KEEP_EVERY", -1)

    with pytest.raises(TimeoutError):
        store(source, "film.mp4", keep=lost)

    assert names(settings.LIBRARY_DIR) == []


@pytest.mark.usefixtures("without_links")
def test_what_a_crash_left_of_a_copy_goes_with_the_task(source, settings):
    (settings.LIBRARY_DIR / f".{TASK}-0011.part").write_text("half")
    (settings.LIBRARY_DIR / ".ba9876543210-0011.part").write_text("another task's")

    assert storage.discard(TASK) is True

    assert names(settings.LIBRARY_DIR) == [".ba9876543210-0011.part"]


def test_a_full_disk_is_said_and_leaves_nothing(source, library, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)

    with pytest.raises(OSError, match="No space left") as error:
        store(source, "film.mp4")

    assert error.value.errno in storage.NO_SPACE
    assert names(library) == []


# The working folder


def test_a_working_folder_is_thrown_away_whole(source, settings):
    assert storage.discard(TASK) is True

    assert names(settings.WORK_DIR) == []


def test_throwing_away_what_is_not_there_is_no_error():
    assert storage.discard(TASK) is True


def test_a_folder_that_a_process_holds_is_not_thrown_away(source):
    with held_by_another_process(source.parent):
        assert storage.is_held(TASK) is True
        assert storage.discard(TASK) is False

    assert source.exists()


def test_a_folder_is_free_as_soon_as_its_holder_is_dead(source):
    with held_by_another_process(source.parent) as process:
        process.kill()
        process.wait()

        assert storage.is_held(TASK) is False
        assert storage.discard(TASK) is True


def test_a_folder_that_is_not_there_is_held_by_nobody(settings):
    assert storage.is_held(TASK) is False

    assert not settings.WORK_DIR.exists()


def test_who_waits_for_a_folder_gets_a_fresh_one_after_it_was_thrown_away(source):
    folder = source.parent
    found = []

    def wait_for_it():
        with folder_lock(folder, limit=5):
            found.append(names(folder))

    with held_by_another_process(folder) as holder:
        waiter = threading.Thread(target=wait_for_it)
        waiter.start()
        wait_until(lambda: str(folder / "lock") in {file.path for file in psutil.Process().open_files()})
        folder.rename(folder.with_name("elsewhere"))  # what `discard` does while it holds the lock
        holder.kill()
        waiter.join()

    assert found == [["lock"]]


def test_a_lock_is_waited_for_no_longer_than_asked(tmp_path):
    with held_by_another_process(tmp_path / "folder"), pytest.raises(FolderBusy), folder_lock(tmp_path / "folder", 0.1):
        pass


@pytest.mark.parametrize("error", [FileNotFoundError, FolderBusy, KeyboardInterrupt])
def test_what_goes_wrong_under_the_lock_is_told_as_it_is(tmp_path, error):
    with pytest.raises(error, match="inside"), folder_lock(tmp_path / "folder", limit=0):
        raise error("inside")

    with folder_lock(tmp_path / "folder", limit=0):
        pass


def test_a_folder_that_is_gone_under_the_lock_is_let_go_all_the_same(tmp_path):
    with folder_lock(tmp_path / "work" / "folder", limit=0):
        (tmp_path / "work" / "folder").rename(tmp_path / "work" / "trash")

    assert names(tmp_path / "work") == ["trash"]


def test_the_folders_of_tasks_are_found_and_trash_is_emptied_on_the_way(source, settings):
    finished_file(settings.WORK_DIR / f"{storage.TRASH}{TASK}-0011")
    (settings.WORK_DIR / "a file").touch()

    assert list(storage.leftovers()) == [TASK]

    assert names(settings.WORK_DIR) == [TASK, "a file"]


def test_without_a_folder_for_work_there_is_nothing_left_over():
    assert list(storage.leftovers()) == []
