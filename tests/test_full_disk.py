"""A disk that is full, for real: the service's data on a small file system of its own, in a namespace of its own."""

import shutil
import subprocess
import sys

import pytest

from tests.service import PROJECT, wait_until

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount():
    if shutil.which("unshare") is None:
        return False
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def cramped(fresh_service, tmp_path):
    """Start a service that has 24 MB, with more settings if need be."""

    def start(**environment):
        fresh_service.data.mkdir(parents=True)
        fresh_service.environment |= environment
        serve = f"exec {sys.executable} manage.py serve --port {fresh_service.port}"
        mount = f"mount -t tmpfs -o size=24m tmpfs {fresh_service.data}"
        fresh_service.log = tmp_path / "service.log"
        with fresh_service.log.open("ab") as output:
            fresh_service.process = subprocess.Popen(
                [*NAMESPACE, "sh", "-c", f"{mount} && {serve}"],
                cwd=PROJECT,
                env=fresh_service.environment,
                stdout=output,
                stderr=output,
            )
        fresh_service.wait_until_healthy()
        return fresh_service

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
