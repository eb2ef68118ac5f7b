"""A live stream is recorded until it ends or somebody says so, and what was recorded is a good file."""

import re

import pytest

from downloads.engine.ffmpeg import prepare_toolbox, probe
from tests.service import wait_until

LIVE = "/live/plain/index.m3u8"


@pytest.fixture(scope="module")
def toolbox(tmp_path_factory):
    return prepare_toolbox(tmp_path_factory.mktemp("tools"))


def is_recording(service, task_id):
    return wait_until(lambda: (task := service.task(task_id))["is_live"] and task["downloaded_bytes"] and task, 30)


def test_a_broadcast_is_recorded_to_its_end(service, origin, toolbox):
    task_id = service.download(origin.url(LIVE, id="end", lasts=6, speed=2))
    task = service.wait_for(task_id, limit=60)
    assert (task["status"], task["is_live"]) == ("completed", True), task
    assert probe(toolbox, service.file(task_id), timeout=30).duration > 3


def test_a_recording_is_finished_on_request_and_kept(service, origin, toolbox):
    task_id = service.download(origin.url(LIVE, id="finish"))
    task = is_recording(service, task_id)
    assert (task["total_bytes"], task["eta"]) in ((0, 0), (task["downloaded_bytes"], 0))  # nobody knows when it ends
    assert len(re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", task["title"])) == 1
    answer = service.http.post(f"/api/downloads/finish/{task_id}")
    assert answer.json() == {"message": "Recording finished", "task_id": task_id}
    assert service.wait_for(task_id)["status"] == "completed"
    assert probe(toolbox, service.file(task_id), timeout=30).duration > 0.5
    assert not service.children()


def test_a_recording_that_is_cancelled_leaves_nothing(service, origin):
    task_id = service.download(origin.url(LIVE, id="cancel"))
    is_recording(service, task_id)
    assert service.http.post(f"/api/downloads/cancel/{task_id}").status_code == 200
    assert service.task(task_id)["status"] == "cancelled"
    assert not service.children()
    assert not (service.data / "work" / task_id).exists()


def test_what_was_recorded_before_a_kill_is_in_the_file(fresh_service, origin, toolbox):
    fresh_service.start()
    task_id = fresh_service.download(origin.url(LIVE, id="kill", speed=2))
    is_recording(fresh_service, task_id)
    fresh_service.kill()
    fresh_service.start()
    before = fresh_service.task(task_id)["downloaded_bytes"]
    wait_until(lambda: fresh_service.task(task_id)["downloaded_bytes"] > before, 30)
    fresh_service.http.post(f"/api/downloads/finish/{task_id}")
    assert fresh_service.wait_for(task_id)["status"] == "completed"
    assert probe(toolbox, fresh_service.file(task_id), timeout=30).duration > 1


def test_a_limit_ends_a_recording(fresh_service, origin):
    fresh_service.environment["DOWNIE_LIVE_LIMIT_HOURS"] = "0.0008"  # 2.9 s
    fresh_service.start()
    task = fresh_service.wait_for(fresh_service.download(origin.url(LIVE, id="limit")), limit=60)
    assert task["status"] == "completed", task


def test_what_is_no_recording_is_not_finished(service, origin):
    task_id = service.add(origin.url("/direct/small.mp4"))
    answer = service.http.post(f"/api/downloads/finish/{task_id}")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "TASK_NOT_LIVE")


def test_a_section_is_all_that_is_kept(service, origin, toolbox):
    task_id = service.download(origin.url("/direct/video.mp4"), section={"from": 2, "to": 5})
    assert service.wait_for(task_id)["status"] == "completed", service.task(task_id)
    assert probe(toolbox, service.file(task_id), timeout=30).duration == pytest.approx(3, abs=1.1)
