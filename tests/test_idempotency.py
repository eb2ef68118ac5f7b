"""A request whose answer was lost is sent again, and done once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.test_api import EXAMPLE, is_error

ADD, BATCH = "/api/downloads/add", "/api/downloads/batch/add"


def send(service, path, body, key):
    return service.http.post(path, json=body, headers={"Idempotency-Key": key})


def total(service):
    return service.http.get("/api/downloads/stats").json()["total_tasks"]


@pytest.mark.parametrize(("path", "body"), [(ADD, {"url": EXAMPLE}), (BATCH, [{"url": EXAMPLE}, {"url": "ftp://x/"}])])
def test_the_same_request_again_is_answered_and_not_done(service, path, body):
    key = f"again {path}".replace(" ", "-")
    first = send(service, path, body, key)
    before = total(service)
    second = send(service, path, body, key)
    assert (second.status_code, second.content) == (200, first.content)
    assert total(service) == before
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"


def test_a_task_is_made_once_and_started_once(service, origin):
    body = {"url": origin.url("/direct/small.mp4"), "auto_start": True}
    task_id = send(service, ADD, body, "started-once").json()["task_id"]
    service.wait_for(task_id, "completed")
    assert send(service, ADD, body, "started-once").json()["task_id"] == task_id
    assert service.task(task_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("path", "body"), [(ADD, {"url": EXAMPLE + "2"}), (ADD, {"url": EXAMPLE, "quality": "720p"}), (BATCH, [])]
)
def test_the_same_key_with_another_request_is_refused(service, path, body):
    send(service, ADD, {"url": EXAMPLE}, "mine")
    assert is_error(send(service, path, body, "mine"), 409, "IDEMPOTENCY_KEY_REUSED")


def test_without_a_key_each_request_makes_a_task(service):
    assert service.add(EXAMPLE) != service.add(EXAMPLE)


@pytest.mark.parametrize("key", ["", "with space", "x" * 256])
@pytest.mark.parametrize(("path", "body"), [(ADD, {"url": EXAMPLE}), (BATCH, [{"url": EXAMPLE}])])
def test_a_key_of_other_characters_is_refused(service, path, body, key):
    assert is_error(send(service, path, body, key), 422, "VALIDATION_ERROR")


def test_a_key_outside_of_ascii_is_refused(service):
    assert is_error(send(service, ADD, {"url": EXAMPLE}, "clé".encode()), 422, "VALIDATION_ERROR")


def test_a_refused_request_may_be_mended_under_the_same_key(service):
    assert is_error(send(service, ADD, {"url": "ftp://x"}, "mended"), 400, "INVALID_URL")
    assert send(service, ADD, {"url": EXAMPLE}, "mended").status_code == 200


@pytest.mark.parametrize("round_", range(3))
def test_of_many_at_the_same_time_one_makes_the_task(service, round_):
    before = total(service)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(service, ADD, {"url": EXAMPLE}, f"race-{round_}"), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["task_id"] for answer in answers}) == 1
    assert total(service) == before + 1


def test_an_answer_outlives_a_power_cut(fresh_service):
    fresh_service.start()
    first = send(fresh_service, ADD, {"url": EXAMPLE}, "outlived")
    fresh_service.kill()
    fresh_service.start()
    assert send(fresh_service, ADD, {"url": EXAMPLE}, "outlived").content == first.content


def test_a_day_later_the_key_is_new_and_the_old_answer_is_gone(service):
    first = send(service, ADD, {"url": EXAMPLE}, "yesterday")
    yesterday = (datetime.now(UTC) - timedelta(hours=25)).strftime("%Y-%m-%d %H:%M:%S")
    service.rows("UPDATE downloads_answeredrequest SET created_at = ?", yesterday)
    second = send(service, ADD, {"url": EXAMPLE}, "yesterday")
    assert second.json()["task_id"] != first.json()["task_id"]
    assert service.rows("SELECT count(*) FROM downloads_answeredrequest") == [(1,)]


def add(service, **fields):
    return service.http.post(ADD, json={"url": "https://example.com/same", **fields}).json()


def test_what_waits_already_is_answered_if_asked_for(service):
    first = add(service, quality="360p")
    second = add(service, quality="360p", if_exists="return")
    assert (second["task_id"], second["status"]) == (first["task_id"], "exists")


@pytest.mark.parametrize("fields", [{"if_exists": "new"}, {"quality": "480p", "if_exists": "return"}])
def test_otherwise_a_new_task_is_made(service, fields):
    first = add(service)
    second = add(service, **fields)
    assert (second["task_id"] != first["task_id"], second["status"]) == (True, "created")


def test_what_is_finished_is_made_anew(service):
    first = add(service, quality="worst")
    service.http.post(f"/api/downloads/cancel/{first['task_id']}")
    assert add(service, quality="worst", if_exists="return")["status"] == "created"


def test_what_waits_for_its_start_is_started_if_asked_for(service, origin):
    task_id = service.add(origin.url("/direct/small.mp4"))
    answer = add(service, url=origin.url("/direct/small.mp4"), if_exists="return", auto_start=True)
    assert answer["task_id"] == task_id
    assert service.wait_for(task_id)["status"] == "completed"


def test_a_batch_makes_the_same_once_if_asked_for(service):
    item = {"url": "https://example.com/twice", "if_exists": "return"}
    first, second = service.http.post(BATCH, json=[item, item]).json()["results"]
    assert (first["status"], second["status"]) == ("created", "exists")
    assert first["task_id"] == second["task_id"]


def test_anything_else_to_do_about_it_is_refused(service):
    answer = service.http.post(ADD, json={"url": EXAMPLE, "if_exists": "replace"})
    assert is_error(answer, 422, "VALIDATION_ERROR")
