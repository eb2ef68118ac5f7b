"""A disk that is full, for real: the service's data on a small file system of its own, in a namespace of its own."""

import pytest

from tests.service import wait_until
from tests.small_disk import can_mount, small_disk


@pytest.fixture
def cramped(fresh_service, tmp_path):
    """Start a service that has 24 MB, with more settings if need be."""

    def start(**environment):
        fresh_service.within = small_disk(fresh_service.data, 24)
        fresh_service.log = tmp_path / "service.log"
        fresh_service.environment |= environment
        return fresh_service.start()

    return start


def is_out_of_space(service, origin):
    """A download of 60 MB, as it waits for another attempt; it is cancelled then."""
    task_id = service.download(origin.url("/direct/big.bin", size=60_000_000, type="video/mp4"))
    task = wait_until(lambda: (task := service.task(task_id))["failures"] and task, 30)
    service.http.post(f"/api/downloads/cancel/{task_id}")
    return (task["status"], task["error_reason"], task["error_code"]) == ("queued", "no_space", "DOWNLOAD_FAILED")


@pytest.mark.skipif(not can_mount(), reason="this system lets nobody mount in a namespace of their own")
def test_a_full_disk_is_said_and_tried_again_and_the_service_goes_on(cramped, origin, tmp_path):
    database = f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}"
    service = cramped(DATABASE_URL=database, DOWNIE_FREE_SPACE_FLOOR_MB="0")
    assert is_out_of_space(service, origin)
    assert service.wait_for(service.download(origin.url("/direct/small.mp4")))["status"] == "completed"


@pytest.mark.skipif(not can_mount(), reason="this system lets nobody mount in a namespace of their own")
def test_a_download_leaves_the_database_the_room_that_it_needs(cramped, origin):
    service = cramped(DOWNIE_FREE_SPACE_FLOOR_MB="8")
    assert is_out_of_space(service, origin)
    assert service.wait_for(service.download(origin.url("/direct/small.mp4")))["status"] == "completed"
