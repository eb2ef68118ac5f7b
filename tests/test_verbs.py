"""Pausing, resuming, retrying and changing a task, asked of the running service."""

import pytest

from tests.service import wait_until
from tests.test_api import EXAMPLE, is_error


def post(service, verb, task_id):
    return service.http.post(f"/api/downloads/{verb}/{task_id}")


def patch(service, task_id, **fields):
    return service.http.patch(f"/api/downloads/tasks/{task_id}", json=fields)


@pytest.fixture
def running(service, origin):
    """A task in the middle of its download."""
    task_id = service.download(origin.url("/direct/video.mp4", rate=300_000))
    service.wait_for_bytes(task_id, 100_000)
    yield task_id
    service.http.delete(f"/api/downloads/tasks/{task_id}")


@pytest.fixture
def failed(service, origin):
    """A task that a site has refused."""
    task_id = service.download(origin.url("/status/404"))
    service.wait_for(task_id, "failed")
    return task_id


def test_a_running_task_is_paused_when_the_answer_comes_and_keeps_its_bytes(service, running):
    answer = post(service, "pause", running)
    assert answer.json() == {"message": "Download paused", "task_id": running}
    assert service.task(running)["status"] == "paused"
    assert not service.children()
    assert any((service.data / "work" / running).iterdir())


def test_a_paused_task_goes_on_to_its_end(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=1_500_000))
    service.wait_for_bytes(task_id, 100_000)
    post(service, "pause", task_id)
    bytes_before = service.task(task_id)["downloaded_bytes"]
    answer = post(service, "resume", task_id)
    assert answer.json() == {"message": "Download resumed", "task_id": task_id}
    assert service.wait_for(task_id)["status"] == "completed"
    assert 0 < bytes_before < service.task(task_id)["downloaded_bytes"]


def test_a_failed_task_is_tried_again(service, failed):
    answer = post(service, "retry", failed)
    assert answer.json() == {"message": "Download retried", "task_id": failed}
    assert service.wait_for(failed)["status"] == "failed"


def test_a_cancelled_task_is_tried_again(service, origin):
    task_id = service.add(origin.url("/direct/small.mp4"))
    post(service, "cancel", task_id)
    assert post(service, "retry", task_id).status_code == 200
    assert service.wait_for(task_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        ("pause", "TASK_NOT_PAUSABLE"),
        ("resume", "TASK_NOT_PAUSED"),
        ("retry", "TASK_NOT_RETRYABLE"),
        ("finish", "TASK_NOT_LIVE"),
    ],
)
def test_a_verb_that_makes_no_sense_is_refused(service, verb, code):
    task_id = service.add(EXAMPLE)
    assert is_error(post(service, verb, task_id), 409, code)
    assert service.task(task_id)["status"] == "pending"


@pytest.mark.parametrize(("verb", "code"), [("resume", "TASK_NOT_PAUSED"), ("retry", "TASK_NOT_RETRYABLE")])
def test_a_running_task_can_be_neither_resumed_nor_retried(service, running, verb, code):
    assert is_error(post(service, verb, running), 409, code)


@pytest.mark.parametrize("verb", ["pause", "resume", "retry", "finish"])
@pytest.mark.parametrize("task_id", ["000000000000", "%00", "no-such-id"])
def test_a_verb_on_an_unknown_id_is_not_found(service, verb, task_id):
    assert is_error(post(service, verb, task_id), 404, "TASK_NOT_FOUND")


def test_a_task_may_start_as_soon_as_it_is_added(service, origin):
    answer = service.http.post(
        "/api/downloads/add", json={"url": origin.url("/direct/small.mp4"), "auto_start": True}
    ).json()
    assert (answer["message"], answer["status"]) == ("Download task created successfully", "created")
    assert service.wait_for(answer["task_id"])["status"] == "completed"


def test_what_was_asked_for_may_be_changed_before_the_start(service):
    task_id = service.add(EXAMPLE, quality="720p", custom_filename="old.mp4")
    changed = patch(service, task_id, quality="1080p", post_processing="audio", custom_filename="new.mp4").json()
    assert (changed["quality"], changed["post_processing"]) == ("1080p", "audio")
    assert changed["custom_filename"] == "new.mp4"
    assert service.task(task_id) == changed


def test_what_is_not_mentioned_stays(service):
    task_id = service.add(EXAMPLE, quality="720p", custom_filename="old.mp4")
    changed = patch(service, task_id, custom_filename="").json()
    assert (changed["quality"], changed["custom_filename"]) == ("720p", "")


def test_new_cookies_are_taken_and_not_shown(service):
    task_id = service.add(EXAMPLE)
    answer = patch(service, task_id, cookies="session=very-secret")
    assert answer.status_code == 200
    assert "very-secret" not in answer.text


@pytest.mark.parametrize(
    ("field", "value", "keeps"), [("quality", "480p", False), ("quality", "best", True), ("custom_filename", "a", True)]
)
def test_bytes_of_another_quality_are_thrown_away(service, running, field, value, keeps):
    post(service, "pause", running)
    changed = patch(service, running, **{field: value}).json()
    assert (service.data / "work" / running).exists() is keeps
    assert (changed["downloaded_bytes"] > 0) is keeps


def test_a_running_task_cannot_be_changed(service, running):
    assert is_error(patch(service, running, quality="480p"), 409, "TASK_NOT_EDITABLE")


def test_a_completed_task_cannot_be_changed(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    assert is_error(patch(service, task_id, quality="480p"), 409, "TASK_NOT_EDITABLE")


@pytest.mark.parametrize(
    "fields", [{"quality": "4k"}, {"custom_filename": "../x"}, {"cookies": "a\r\nb"}, {"post_processing": 5}]
)
def test_a_change_to_something_wrong_is_refused(service, fields):
    assert is_error(patch(service, service.add(EXAMPLE), **fields), 422, "VALIDATION_ERROR")


def test_a_change_of_an_unknown_task_is_not_found(service):
    assert is_error(patch(service, "000000000000", quality="480p"), 404, "TASK_NOT_FOUND")


def test_the_feed_tells_of_a_change(service):
    task_id = service.add(EXAMPLE)
    with service.feed() as feed:
        feed.hear()
        patch(service, task_id, quality="480p")
        feed.hear_until(lambda message: (message["type"], quality_of(message, task_id)) == ("task", "480p"))


def quality_of(message, task_id):
    """What the message says of this task."""
    task = message.get("task", {})
    return task["quality"] if task.get("id") == task_id else None


def test_stats_count_as_specified(service, running):
    before = service.http.get("/api/downloads/stats").json()
    post(service, "cancel", service.add(EXAMPLE))
    service.add(EXAMPLE)
    after = service.http.get("/api/downloads/stats").json()
    assert set(after) == {
        "total_tasks",
        "active_tasks",
        "completed_tasks",
        "failed_tasks",
        "pending_tasks",
        "total_downloaded_bytes",
        "current_speed",
        "cancelled_tasks",
        "paused_tasks",
        "free_bytes",
        "is_space_short",
    }
    assert after["active_tasks"] == 1
    assert after["total_tasks"] == before["total_tasks"] + 2
    assert after["pending_tasks"] == before["pending_tasks"] + 1
    assert after["cancelled_tasks"] == before["cancelled_tasks"] + 1
    assert wait_until(lambda: service.http.get("/api/downloads/stats").json()["current_speed"]) > 0


def cleanup(service, **query):
    return service.http.post("/api/downloads/cleanup", params=query)


def test_cleanup_removes_nothing_that_is_young(service, failed):
    answer = cleanup(service)
    assert answer.json() == {"message": "Cleaned up tasks older than 24 hours", "removed": 0}
    assert service.task(failed)["status"] == "failed"


@pytest.mark.parametrize(("query", "stays"), [({}, True), ({"delete_files": "true"}, False)])
def test_cleanup_removes_what_is_finished_and_leaves_files_unless_asked_otherwise(
    service, origin, failed, query, stays
):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    path = service.file(task_id)
    waiting = service.add(EXAMPLE)
    with service.feed() as feed:
        feed.hear()
        answer = cleanup(service, max_age_hours=0, **query).json()
        feed.hear_until(lambda message: message == {"type": "deleted", "task_id": task_id})
    assert answer["message"] == "Cleaned up tasks older than 0 hours"
    assert answer["removed"] >= 2
    assert is_error(service.http.get(f"/api/downloads/tasks/{task_id}"), 404, "TASK_NOT_FOUND")
    assert not (service.data / "work" / failed).exists()
    assert path.exists() is stays
    assert service.task(waiting)["status"] == "pending"


@pytest.mark.parametrize("query", [{"max_age_hours": -1}, {"max_age_hours": "x"}, {"max_age_hours": 10**30}])
def test_cleanup_with_a_query_out_of_range_is_refused(service, query):
    assert is_error(cleanup(service, **query), 422, "VALIDATION_ERROR")
