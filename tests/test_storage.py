"""Where bytes go: into the library under a name of their own, whole or not at all, and nothing is overwritten."""

import contextlib
import errno
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from downloads import storage
from downloads.engine.folders import FolderBusy, folder_lock
from downloads.library import Finished, OutsideLibrary, local
from downloads.library.local import LocalLibrary
from tests.service import PROJECT, wait_until

TASK = "0123456789ab"
LIBRARY = LocalLibrary()
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


def store(source, name, reserve=lambda *_: True, keep=lambda: None, beside=None):
    return LIBRARY.store(TASK, Finished(source, beside or {}), name, reserve, keep)


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

    assert store(source, "film.mp4", reserve=lambda *_: next(free)) == "film (3).mp4"

    assert names(library) == ["film (3).mp4"]


def test_a_name_is_reserved_before_the_file_is_there(source, library):
    seen = []

    store(source, "film.mp4", reserve=lambda name, _: seen.append((name, names(library))) or True)

    assert seen == [("film.mp4", [])]


def test_a_name_that_is_taken_between_the_look_and_the_move_is_left_alone(source, library):
    def a_stranger_is_faster(*_):
        (library / "film.mp4").write_text("mine")
        return True

    assert store(source, "film.mp4", reserve=a_stranger_is_faster) == "film (2).mp4"

    assert (library / "film.mp4").read_text() == "mine"


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", ".", "", "a/../../x", "out/x"])
def test_a_name_that_leads_out_of_the_library_is_refused(source, library, tmp_path, name):
    (library / "out").symlink_to(tmp_path)

    with pytest.raises(OutsideLibrary):
        store(source, name)

    assert names(library) == ["out"]
    assert names(tmp_path) == ["library", "work"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..", "out/passwd"])
def test_nothing_outside_of_the_library_is_stored_or_deleted(library, name):
    (library / "out").symlink_to("/etc")

    assert LIBRARY.is_stored(name, Path("/etc/passwd").stat().st_size) is False
    with pytest.raises(OutsideLibrary):
        LIBRARY.delete_stored(name)


def test_a_link_in_the_library_is_no_stored_file(library):
    (library / "link").symlink_to("/etc/passwd")

    assert LIBRARY.is_stored("link", Path("/etc/passwd").stat().st_size) is False


def test_deleting_a_link_leaves_what_it_points_to(library, tmp_path):
    (tmp_path / "mine").touch()
    (library / "link").symlink_to(tmp_path / "mine")

    LIBRARY.delete_stored("link")

    assert names(library) == []
    assert (tmp_path / "mine").exists()


def test_a_stored_file_is_known_by_its_size(source):
    store(source, "film.mp4")

    assert LIBRARY.is_stored("film.mp4", 4_000_000) is True
    assert LIBRARY.is_stored("film.mp4", 3_999_999) is False
    assert LIBRARY.is_stored("other.mp4", 4_000_000) is False


def test_deleting_what_is_gone_is_no_error():
    LIBRARY.delete_stored("film.mp4")


# Folders in the library


@pytest.mark.parametrize("name", ["a/film.mp4", "a/b/c/d/e/film.mp4", "例え/фильм.mp4"])
def test_folders_are_made_where_they_are_missing(source, library, name):
    assert store(source, name) == name

    assert (library / name).read_bytes() == source.read_bytes()
    assert LIBRARY.is_stored(name, 4_000_000) is True


def test_the_number_stands_in_the_name_and_not_in_the_folder(source, library):
    (library / "v1.2").mkdir()
    (library / "v1.2" / "film.mp4").write_text("mine")

    assert store(source, "v1.2/film.mp4") == "v1.2/film (2).mp4"


def test_no_folder_is_made_through_a_link_that_leads_out(source, library, tmp_path):
    (library / "out").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OutsideLibrary, match="leads out of the library"):
        store(source, "out/a/film.mp4")

    assert names(tmp_path) == ["library", "work"]


def test_a_link_to_another_folder_of_the_library_is_followed(source, library):
    (library / "films").mkdir()
    (library / "videos").symlink_to("films")

    assert store(source, "videos/film.mp4") == "videos/film.mp4"

    assert names(library / "films") == ["film.mp4"]


def test_a_file_where_a_folder_should_be_is_left_alone_and_said(source, library):
    (library / "a").write_text("mine")

    with pytest.raises(OSError, match="File exists"):
        store(source, "a/film.mp4")

    assert (library / "a").read_text() == "mine"


@pytest.mark.parametrize("name", ["film.mp4", "a/b/film.mp4"])
def test_a_library_that_is_gone_is_not_made_anew(source, library, name):
    library.rmdir()

    with pytest.raises(FileNotFoundError):
        store(source, name)

    assert not library.exists()


def test_a_folder_that_somebody_removes_in_that_very_moment_is_made_again(source, library, monkeypatch):
    link = os.link

    def late(*arguments):
        monkeypatch.setattr(os, "link", link)
        (library / "a").rmdir()
        link(*arguments)

    monkeypatch.setattr(os, "link", late)

    assert store(source, "a/film.mp4") == "a/film.mp4"


def test_many_may_store_into_and_delete_from_one_folder_at_once(source, library):
    def come_and_go(number):
        for _ in range(30):
            LIBRARY.delete_stored(store(source, f"a/b/{number}.mp4"))

    with ThreadPoolExecutor(4) as threads:
        _ = list(threads.map(come_and_go, range(4)))

    assert names(library) == []


def test_the_last_file_takes_its_empty_folders_with_it(source, library):
    store(source, "a/b/film.mp4")
    (library / "a" / "mine").touch()

    LIBRARY.delete_stored("a/b/film.mp4")

    assert names(library) == ["a"]
    assert names(library / "a") == ["mine"]


def test_the_library_itself_stays(source, library):
    store(source, "film.mp4")

    LIBRARY.delete_stored("film.mp4")

    assert library.is_dir()


# Beside the file


@pytest.fixture
def beside(source):
    """Finished files that go beside that of the task."""
    files = {".en.srt": source.with_name("media.en.srt"), ".jpg": source.with_name("media.jpg")}
    _ = [file.write_text(suffix) for suffix, file in files.items()]
    return files


def test_files_beside_it_have_its_name_and_their_own_endings(source, library, beside):
    assert store(source, "a/film.mp4", beside=beside) == "a/film.mp4"

    assert names(library / "a") == ["film.en.srt", "film.jpg", "film.mp4"]
    assert (library / "a" / "film.en.srt").read_text() == ".en.srt"


def test_their_names_are_reserved_with_that_of_the_file(source, library, beside):
    seen = []

    store(source, "a/film.mp4", lambda name, sides: seen.append((name, sides, names(library))) or True, beside=beside)

    assert seen == [("a/film.mp4", ["a/film.en.srt", "a/film.jpg"], [])]


@pytest.mark.parametrize("taken", ["film.mp4", "film.en.srt", "film.jpg"])
def test_when_one_name_is_taken_all_move_on(source, library, beside, taken):
    (library / taken).write_text("mine")

    assert store(source, "film.mp4", beside=beside) == "film (2).mp4"

    assert names(library) == sorted([taken, "film (2).en.srt", "film (2).jpg", "film (2).mp4"])
    assert (library / taken).read_text() == "mine"


def test_a_file_in_its_place_has_all_its_files_beside_it(source, library, beside, monkeypatch):
    order = []
    link = os.link
    monkeypatch.setattr(os, "link", lambda *paths: order.append(paths[1].name) or link(*paths))

    store(source, "film.mp4", beside=beside)

    assert [name for name in order if not name.startswith(".")] == ["film.en.srt", "film.jpg", "film.mp4"]


def test_an_ending_that_is_not_kept_is_refused_before_anything_is_placed(source, library):
    with pytest.raises(ValueError, match="not kept beside"):
        store(source, "film.mp4", beside={".exe": source})

    assert names(library) == []


def test_they_are_deleted_with_it(source, library, beside):
    store(source, "a/film.mp4", beside=beside)
    (library / "a" / "film.de.srt").write_text("mine")

    LIBRARY.delete_stored("a/film.mp4", "a/film.en.srt", "a/film.jpg")

    assert names(library / "a") == ["film.de.srt"]


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
    def a_stranger_is_faster(*_):
        (settings.LIBRARY_DIR / "film.mp4").write_text("mine")
        return True

    assert store(source, "film.mp4", reserve=a_stranger_is_faster) == "film (2).mp4"

    assert (settings.LIBRARY_DIR / "film.mp4").read_text() == "mine"
    assert names(settings.LIBRARY_DIR) == ["film (2).mp4", "film.mp4"]


@pytest.mark.usefixtures("without_links")
def test_nothing_is_seen_under_the_name_while_a_copy_is_made(source, settings, monkeypatch):
    seen = []
    monkeypatch.setattr(local, "KEEP_EVERY", -1)

    store(source, "film.mp4", keep=lambda: seen.extend(names(settings.LIBRARY_DIR)))

    (draft,) = set(seen)
    assert re.fullmatch(rf"\.{TASK}-[0-9a-f]+\.part", draft)


@pytest.mark.usefixtures("without_links")
def test_a_copy_that_is_broken_off_leaves_nothing_in_the_library(source, settings, monkeypatch):
    def lost():
        raise TimeoutError("the lease is lost")

    monkeypatch.setattr(local, "KEEP_EVERY", -1)

    with pytest.raises(TimeoutError):
        store(source, "film.mp4", keep=lost)

    assert names(settings.LIBRARY_DIR) == []


@pytest.mark.usefixtures("without_links")
@pytest.mark.parametrize("taken", ["film.mp4", "film.en.srt", "film.jpg"])
def test_a_copy_that_comes_too_late_for_one_name_moves_on_with_all(source, settings, beside, taken):
    def a_stranger_is_faster(*_):
        (settings.LIBRARY_DIR / taken).write_text("mine")
        return True

    assert store(source, "film.mp4", a_stranger_is_faster, beside=beside) == "film (2).mp4"

    assert names(settings.LIBRARY_DIR) == sorted([taken, "film (2).en.srt", "film (2).jpg", "film (2).mp4"])
    assert (settings.LIBRARY_DIR / taken).read_text() == "mine"
    assert (settings.LIBRARY_DIR / "film (2).en.srt").read_text() == ".en.srt"


def test_a_full_disk_is_said_and_leaves_nothing(source, library, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)

    with pytest.raises(OSError, match="No space left") as error:
        store(source, "film.mp4")

    assert error.value.errno in storage.NO_SPACE
    assert names(library) == []


# What is killed at any point, and taken back


CHANGES = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.utime"}
LAST_STEP = 24
FILES = {"film.en.srt": b".en.srt", "film.jpg": b".jpg", "film.mp4": b"film" * 1_000_000}


@pytest.fixture(params=["links", "a library on another file system", "no hard links at all"])
def any_file_system(request, settings):
    """Each way in which a file can come into the library."""
    request.getfixturevalue({"l": "library", "a": "_other_file_system", "n": "_no_links"}[request.param[0]])
    return settings


def store_until(step, source, beside, library, row):
    """Store in a process of its own that is killed before its change of this number in the library; its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    number = itertools.count(1)

    def kill_at_the_step(event, arguments):
        is_change = event in CHANGES and str(library) in " ".join(map(str, arguments)) and arguments[1] != "r"
        if is_change and next(number) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(kill_at_the_step)
        store(source, "a/film.mp4", lambda *names: row.write_text(json.dumps(names)) or True, beside=beside)
        os._exit(0)
    finally:
        os._exit(1)


def recover(row):
    """Do what recovery does with what the row says."""
    name, beside = json.loads(row.read_text()) if row.exists() else ("", [])
    if LIBRARY.is_stored(name, 4_000_000):
        LIBRARY.settle(TASK, name)
    elif name:
        LIBRARY.withdraw(TASK, [name, *beside], storage.work_folder(TASK))


def contents(library):
    return {str(file.relative_to(library)): file.is_file() and file.read_bytes() for file in library.rglob("*")}


@pytest.mark.parametrize("step", range(1, LAST_STEP))
def test_a_kill_at_any_point_leaves_all_or_nothing_once_it_is_mended(any_file_system, source, beside, tmp_path, step):
    library, row = any_file_system.LIBRARY_DIR, tmp_path / "row"

    status = store_until(step, source, beside, library, row)
    visible = {file.name: file.read_bytes() for file in library.rglob("[!.]*.*")}
    recover(row)

    assert status in (0, -signal.SIGKILL)
    assert all(content in (FILES[name], b"") for name, content in visible.items())
    whole = {"a": False} | {f"a/{name}": content for name, content in FILES.items()}
    assert contents(library) in ({}, whole)
    assert source.exists()


def test_so_many_points_are_all_that_there_are(any_file_system, source, beside, tmp_path):
    library = any_file_system.LIBRARY_DIR

    first, last = (store_until(step, source, beside, library, tmp_path / "row") for step in (1, LAST_STEP))

    assert (first, last) == (-signal.SIGKILL, 0)


def test_a_strangers_file_under_a_reserved_name_is_not_taken_back(source, library, beside):
    (library / "film.en.srt").write_text("mine")

    LIBRARY.withdraw(TASK, ["film.mp4", "film.en.srt", "film.jpg"], storage.work_folder(TASK))

    assert names(library) == ["film.en.srt"]


def test_a_copy_of_another_task_under_a_reserved_name_is_not_taken_back(source, library, beside):
    (library / "film.en.srt").write_bytes(beside[".en.srt"].read_bytes())

    LIBRARY.withdraw(TASK, ["film.en.srt"], storage.work_folder(TASK))

    assert names(library) == ["film.en.srt"]


def test_what_cannot_be_taken_back_is_logged_and_holds_up_nothing_else(source, library, beside, caplog, tmp_path):
    (library / "out").symlink_to(tmp_path)
    store(source, "film.mp4", beside=beside)

    LIBRARY.withdraw(TASK, ["out/film.mp4", "film.mp4", "film.en.srt", "film.jpg"], storage.work_folder(TASK))

    assert names(library) == ["out"]
    assert "'out/film.mp4' stays in the library" in caplog.text


def test_what_a_crash_left_of_a_copy_goes_with_its_place(source, library):
    (library / "a").mkdir()
    (library / "a" / f".{TASK}-0011.part").write_text("half")
    (library / "a" / ".ba9876543210-0011.part").write_text("another task's")

    LIBRARY.withdraw(TASK, ["a/film.mp4"], storage.work_folder(TASK))

    assert names(library / "a") == [".ba9876543210-0011.part"]


# On the disk


def test_the_bytes_are_on_the_disk_before_they_have_a_name_and_the_names_before_the_end(
    any_file_system, source, beside, monkeypatch
):
    synced = []
    library = any_file_system.LIBRARY_DIR

    def note(descriptor):
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name[:5], names(library / "a")))

    monkeypatch.setattr(os, "fsync", note)

    LIBRARY.settle(TASK, store(source, "a/film.mp4", beside=beside))

    visible = [[name for name in there if not name.startswith(".")] for _, there in synced]
    assert [name for name, _ in synced] == [".0123", ".0123", ".0123", "a", library.name[:5]]
    assert visible == [[], [], [], sorted(FILES), sorted(FILES)]


def test_the_lease_is_kept_while_the_disk_is_slow(source, monkeypatch):
    kept = []
    monkeypatch.setattr(local, "KEEP_EVERY", 0.02)
    monkeypatch.setattr(os, "fsync", lambda _: time.sleep(0.5))

    store(source, "film.mp4", keep=lambda: kept.append(time.monotonic()))

    assert len(kept) > 4


def test_a_file_system_that_cannot_sync_a_folder_is_no_obstacle(source, library, monkeypatch, caplog):
    name = store(source, "film.mp4")

    def refuse(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    caplog.set_level("INFO")

    LIBRARY.settle(TASK, name)

    assert "power cut" in caplog.text


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
