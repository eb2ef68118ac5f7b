"""What is killed goes on where it was, and the result is that of an undisturbed download."""

import hashlib
import signal

import pytest

from tests.service import wait_until

VIDEO_BYTES = 2_987_301

KINDS = {
    "a direct file": "/direct/video.mp4",
    "HLS": "/hls/plain/index.m3u8",
    "encrypted HLS": "/hls/aes/index.m3u8",
    "DASH with separate audio and video": "/dash/manifest.mpd",
}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def undisturbed(fresh_service, origin):
    """The hash of a download that nobody disturbs, and afterwards the same service."""

    def download(path):
        task_id = fresh_service.download(origin.url(path))
        assert fresh_service.wait_for(task_id)["status"] == "completed"
        expected = digest(fresh_service.file(task_id))
        origin.reset()
        return expected

    fresh_service.start()
    return download


@pytest.mark.parametrize("path", KINDS.values(), ids=KINDS.keys())
def test_after_a_kill_of_the_service_the_task_goes_on_by_itself(fresh_service, origin, undisturbed, path):
    expected = undisturbed(path)
    task_id = fresh_service.download(origin.url(path, rate=700_000))
    fresh_service.wait_for_bytes(task_id, 500_000)

    fresh_service.kill()
    wait_until(lambda: not fresh_service.engine_processes(), limit=5)
    fresh_service.start()

    assert fresh_service.wait_for(task_id)["status"] == "completed"
    assert digest(fresh_service.file(task_id)) == expected
    assert not list((fresh_service.data / "work").iterdir())


def test_bytes_on_disk_are_not_fetched_again(fresh_service, origin):
    fresh_service.start()
    task_id = fresh_service.download(origin.url("/direct/video.mp4", rate=700_000))
    fresh_service.wait_for_bytes(task_id, 1_500_000)

    fresh_service.kill()
    fresh_service.start()
    fresh_service.wait_for(task_id)

    ranges = [record.range[0] for record in origin.requests_for("/direct/video.mp4") if record.range]
    assert max(start for start in ranges if start is not None) > 500_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_leaves_no_process_and_the_next_start_goes_on(fresh_service, origin, undisturbed, number):
    expected = undisturbed("/direct/video.mp4")
    task_id = fresh_service.download(origin.url("/direct/video.mp4", rate=700_000))
    fresh_service.wait_for_bytes(task_id, 500_000)

    seconds = fresh_service.interrupt(number)

    assert seconds < 5
    assert fresh_service.process.returncode == 0
    wait_until(lambda: not fresh_service.engine_processes(), limit=5)
    fresh_service.start()
    assert fresh_service.wait_for(task_id)["status"] == "completed"
    assert digest(fresh_service.file(task_id)) == expected


def test_a_killed_child_is_replaced_and_goes_on(fresh_service, origin, undisturbed):
    expected = undisturbed("/hls/plain/index.m3u8")
    task_id = fresh_service.download(origin.url("/hls/plain/index.m3u8", rate=100_000))
    fresh_service.wait_for_bytes(task_id, 300_000)

    (child,) = fresh_service.children()
    child.kill()

    task = fresh_service.wait_for(task_id)
    assert task["status"] == "completed"
    assert digest(fresh_service.file(task_id)) == expected


def test_a_cut_connection_is_taken_up_again(fresh_service, origin, undisturbed):
    expected = undisturbed("/direct/video.mp4")
    task_id = fresh_service.download(origin.url("/direct/video.mp4", cut=1_000_000, skip=1, cut_times=2))

    assert fresh_service.wait_for(task_id)["status"] == "completed"
    assert digest(fresh_service.file(task_id)) == expected
