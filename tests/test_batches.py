"""Many tasks in one request."""

import time

import pytest

from tests.service import wait_until
from tests.test_api import EXAMPLE, is_error

UNKNOWN = "000000000000"


def batch(service, verb, body, **query):
    return service.http.post(f"/api/downloads/batch/{verb}", json=body, params=query)


def results(service, verb, body, **query):
    answer = batch(service, verb, body, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def words(service, verb, body, **query):
    return {result["task_id"]: result["status"] for result in results(service, verb, body, **query)}


def add_many(service, url, count, **fields):
    return [result["task_id"] for result in results(service, "add", [{"url": url, **fields}] * count)]


def seconds(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_batch_is_answered_as_specified(service):
    first, second = results(
        service,
        "add",
        [
            {"url": "https://www.youtube.com/watch?v=video1", "quality": "720p", "post_processing": "none"},
            {"url": "https://www.youtube.com/watch?v=video2", "quality": "1080p", "post_processing": "audio"},
        ],
    )
    assert set(first) == {"task_id", "url", "status"}
    assert (first["url"], first["status"]) == ("https://www.youtube.com/watch?v=video1", "created")
    assert service.task(second["task_id"])["post_processing"] == "audio"


@pytest.mark.parametrize(
    ("item", "url", "code"),
    [
        ({"url": "ftp://example.com/v"}, "ftp://example.com/v", "INVALID_URL"),
        ({"url": EXAMPLE, "quality": "4k"}, EXAMPLE, "VALIDATION_ERROR"),
        ({"url": EXAMPLE, "custom_filename": "../x"}, EXAMPLE, "VALIDATION_ERROR"),
        ({"url": 5}, "", "VALIDATION_ERROR"),
        ({}, "", "VALIDATION_ERROR"),
        ("text", "", "VALIDATION_ERROR"),
        (None, "", "VALIDATION_ERROR"),
        ([], "", "VALIDATION_ERROR"),
    ],
)
def test_a_bad_item_gets_an_error_and_the_good_ones_are_created(service, item, url, code):
    before, bad, after = results(service, "add", [{"url": EXAMPLE}, item, {"url": EXAMPLE}])
    assert (before["status"], after["status"]) == ("created", "created")
    assert set(bad) == {"url", "status", "error", "error_code"}
    assert (bad["url"], bad["status"], bad["error_code"]) == (url, "error", code)
    assert bad["error"].endswith(".")


def test_tasks_of_a_batch_keep_their_order_in_the_list(service):
    ids = add_many(service, EXAMPLE, 60)
    listed = service.http.get("/api/downloads/tasks", params={"limit": 60}).json()
    assert [task["id"] for task in listed] == ids[::-1]


def test_items_of_a_batch_may_start_at_once(service, origin):
    [task_id] = add_many(service, origin.url("/direct/small.mp4"), 1, auto_start=True)
    assert service.wait_for(task_id)["status"] == "completed"


def test_a_batch_is_started_with_a_word_for_each(service, origin):
    done = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(done)
    fresh = service.add(origin.url("/direct/small.mp4"))
    started, completed, unknown = results(service, "start", [fresh, done, UNKNOWN])
    assert started == {"task_id": fresh, "status": "started"}
    assert (completed["status"], completed["error_code"]) == ("error", "TASK_ALREADY_COMPLETED")
    assert (unknown["task_id"], unknown["error_code"]) == (UNKNOWN, "TASK_NOT_FOUND")
    assert service.wait_for(fresh)["status"] == "completed"


def test_running_tasks_of_a_batch_stop_without_being_waited_for(service, origin):
    url = origin.url("/direct/video.mp4", rate=200_000)
    one, two, three = [service.download(url) for _ in range(3)]
    waiting = service.add(EXAMPLE)
    service.wait_for(one, "downloading")
    service.wait_for(two, "downloading")
    service.wait_for(three, "downloading")

    assert words(service, "pause", [one, waiting]) == {one: "stopping", waiting: "error"}
    assert words(service, "cancel", [two, waiting]) == {two: "stopping", waiting: "cancelled"}
    assert words(service, "delete", [three, waiting]) == {three: "stopping", waiting: "deleted"}

    service.wait_for(one, "paused")
    service.wait_for(two, "cancelled")
    gone = f"/api/downloads/tasks/{three}"
    wait_until(lambda: service.http.get(gone).status_code == 404)
    assert words(service, "resume", [one, two]) == {one: "resumed", two: "error"}
    assert words(service, "cancel", [two]) == {two: "cancelled"}
    service.http.delete(f"/api/downloads/tasks/{one}")
    assert not (service.data / "work" / two).exists()


def test_a_cancelled_batch_leaves_nothing_on_disk(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=300_000))
    service.wait_for_bytes(task_id, 100_000)
    service.http.post(f"/api/downloads/pause/{task_id}")
    assert words(service, "cancel", [task_id]) == {task_id: "cancelled"}
    assert not (service.data / "work" / task_id).exists()


@pytest.mark.parametrize(("query", "stays"), [({}, True), ({"delete_file": "true"}, False)])
def test_files_of_a_deleted_batch_stay_unless_asked_otherwise(service, origin, query, stays):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    path = service.file(task_id)
    assert words(service, "delete", [task_id], **query) == {task_id: "deleted"}
    assert path.exists() is stays


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "cancel", "delete"])
@pytest.mark.parametrize("task_id", ["", "' OR 1=1 --", "é" * 12, "x" * 5000])
def test_an_odd_id_is_answered_as_not_found(service, verb, task_id):
    [result] = results(service, verb, [task_id])
    assert (result["task_id"], result["error_code"]) == (task_id, "TASK_NOT_FOUND")


@pytest.mark.parametrize("verb", ["add", "start", "pause", "resume", "cancel", "delete"])
def test_an_empty_batch_is_answered_with_nothing(service, verb):
    assert results(service, verb, []) == []


@pytest.mark.parametrize("verb", ["add", "start", "pause", "resume", "cancel", "delete"])
@pytest.mark.parametrize("body", [{}, "text", None, 5, ["x"] * 1001])
def test_what_is_no_array_of_at_most_1000_is_refused(service, verb, body):
    assert is_error(batch(service, verb, body), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "cancel", "delete"])
@pytest.mark.parametrize("body", [[5], [None], [["x"]], [{"id": "x"}]])
def test_an_array_of_anything_but_ids_is_refused(service, verb, body):
    assert is_error(batch(service, verb, body), 422, "VALIDATION_ERROR")


def test_a_thousand_are_quick(fresh_service, origin, record_property):
    service = fresh_service.start()
    service.http.post("/api/downloads/batch/add", json=[])  # the first request imports what it needs
    ids = []
    times = {
        "add": seconds(lambda: ids.extend(add_many(service, origin.url("/hang"), 1000))),
        "start": seconds(lambda: results(service, "start", ids)),
        "pause": seconds(lambda: results(service, "pause", ids)),
        "resume": seconds(lambda: results(service, "resume", ids)),
        "cancel": seconds(lambda: results(service, "cancel", ids)),
        "delete": seconds(lambda: results(service, "delete", ids)),
    }
    record_property("seconds", times)
    assert len(set(ids)) == 1000
    assert max(times.values()) < 60
