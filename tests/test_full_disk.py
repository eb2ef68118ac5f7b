"""A disk that is full, for real: the service's data on a small file system of its own, in a namespace of its own."""

import contextlib
import hashlib
import shutil

import pytest

from tests.service import Service, wait_until
from tests.small_disk import as_seen_by, can_mount, small_disk

MB = 1024 * 1024

pytestmark = pytest.mark.skipif(not can_mount(), reason="this system lets nobody mount in a namespace of their own")


class Cramped(Service):
    """A service that has 24 MB in all."""

    def start(self):
        self.within = small_disk(self.data, 24)
        self.log = self.data.parent / "service.log"
        return super().start()

    @property
    def disk(self):
        return as_seen_by(self.process.pid, self.data)

    def leave_free(self, size):
        """Fill the disk with something else, but for this many bytes."""
        with contextlib.suppress(OSError), (self.disk / "something-else").open("wb", buffering=0) as file:
            file.write(bytes(max(shutil.disk_usage(self.disk).free - size, 0)))  # a download may write meanwhile

    def make_room(self):
        (self.disk / "something-else").unlink()

    def wait_for_room(self, task_id):
        """The task once it waits for room."""

        def waiting():
            return (task := self.task(task_id))["waits_for"] == "room" and task

        return wait_until(waiting, 20, lambda: f"{self.task(task_id)}")

    def sha256(self, task_id):
        return hashlib.sha256((self.disk / "library" / self.task(task_id)["file_name"]).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that leaves 8 MB of its disk free."""
    service = Cramped(tmp_path_factory.mktemp("cramped") / "data", DOWNIE_FREE_SPACE_FLOOR_MB="8").start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def brimful(tmp_path_factory):
    """A service that fills its disk to the last byte; its database is elsewhere."""
    folder = tmp_path_factory.mktemp("brimful")
    database = f"sqlite:///{folder / 'elsewhere.sqlite3'}"
    service = Cramped(folder / "data", DATABASE_URL=database, DOWNIE_FREE_SPACE_FLOOR_MB="0").start()
    yield service
    service.stop()


@pytest.fixture
def wanted(media):
    return hashlib.sha256((media / "direct" / "video.mp4").read_bytes()).hexdigest()


def test_what_the_empty_disk_could_not_hold_fails_with_the_figures(service, link):
    task_id = service.download(link("/direct/big.bin", size=60_000_000, type="video/mp4"))
    task = service.wait_for(task_id)
    assert (task["status"], task["error_reason"], task["error_code"]) == ("failed", "disk_too_small", "DOWNLOAD_FAILED")
    assert (task["waits_for"], task["needed_bytes"]) == ("", pytest.approx(60_000_000, abs=100_000))
    assert 8 * MB < task["usable_bytes"] < 16 * MB
    page = service.http.get(f"/tasks/{task_id}").text
    assert "The disk is too small for this video" in page
    assert "It needs 57." in page


def test_what_does_not_fit_now_says_how_much_it_needs_and_starts_by_itself_when_there_is_room(service, link):
    service.leave_free(10 * MB)
    task_id = service.download(link("/direct/video.mp4"))
    task = service.wait_for_room(task_id)
    assert (task["status"], task["error_reason"], task["failures"]) == ("queued", "no_space", 0)
    assert task["usable_bytes"] < 2 * MB < task["needed_bytes"]
    page = service.http.get(f"/tasks/{task_id}").text
    assert "It goes on by itself as soon as there is room for 2." in page
    assert "Waits for room on the disk" in page
    service.make_room()
    assert service.wait_for(task_id)["status"] == "completed"


def test_below_the_floor_what_runs_waits_with_its_bytes_and_nothing_new_starts(service, origin, link, wanted):
    running = service.download(link("/direct/video.mp4", rate=1_000_000))
    service.wait_for_bytes(running, 600_000)
    service.leave_free(4 * MB)
    suspended = service.wait_for_room(running)
    assert (suspended["status"], suspended["failures"], suspended["error_reason"]) == ("queued", 0, "no_space")
    assert suspended["downloaded_bytes"] >= 600_000
    new = service.download(link("/direct/small.mp4", new=1))
    assert service.wait_for_room(new)["status"] == "queued"
    assert "It starts by itself as soon as there is room on the disk" in service.http.get(f"/tasks/{new}").text
    assert not [request for request in origin.requests if "new" in request.query]
    service.make_room()
    assert service.wait_for(running)["status"] == "completed"
    assert service.wait_for(new)["status"] == "completed"
    assert service.sha256(running) == wanted
    ranges = [request.range for request in origin.requests_for("/direct/video.mp4") if request.range]
    assert ranges[-1][0] >= 600_000  # what had come was not fetched again


@pytest.mark.parametrize(("path", "rate"), [("/direct/video.mp4", 600_000), ("/hls/plain/index.m3u8", 100_000)])
def test_a_disk_that_is_full_in_the_middle_of_a_write_costs_nothing_that_was_there(brimful, origin, path, rate, jobs):
    undisturbed = hashlib.sha256(jobs.run(origin.url(path)).file.read_bytes()).hexdigest()
    whole = origin.bytes_sent()
    origin.reset()
    task_id = brimful.download(origin.url(path, rate=rate))
    brimful.wait_for_bytes(task_id, 1_500_000)
    brimful.leave_free(100_000)
    full = brimful.wait_for_room(task_id)
    assert (full["status"], full["error_reason"]) == ("queued", "no_space")
    brimful.make_room()
    assert brimful.wait_for(task_id)["status"] == "completed"
    assert brimful.sha256(task_id) == undisturbed
    # What had come was not fetched again; what lay in buffers was, and the beginning, by the second look-up
    assert origin.bytes_sent() < whole + 1_200_000
