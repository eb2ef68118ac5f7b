"""Many processes as one service: PostgreSQL, Redis, a web process and two workers; and whatever of it is killed."""

import pytest

from tests.stack import stack


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    with stack(tmp_path_factory.mktemp("many")) as many:
        yield many


@pytest.fixture
def web(many):
    return many.web


def outcomes(many, task_id):
    query = "SELECT outcome FROM downloads_attempt WHERE task_id = %s ORDER BY number"
    return [outcome for (outcome,) in many.database.execute(query, [task_id])]


def slow(link):
    """A video that takes three seconds to come."""
    return link("/direct/video.mp4", rate=1_000_000)


def test_downloads_are_shared_among_the_workers_and_the_feed_of_the_web_tells_of_them(many, web, link):
    with web.feed() as feed:
        feed.hear()
        tasks = [web.download(slow(link)) for _ in range(3)]
        holders = {many.worker_of(task).process.pid for task in tasks}
        progress = feed.hear_until(lambda said: said["type"] == "progress" and said["progress"]["percentage"] > 0)
        _ = [
            feed.hear_until(lambda said, task=task: said.get("task", {}).get("id") == task and _is_done(said))
            for task in tasks[-1:]
        ]

    assert progress["task_id"] in tasks
    assert holders == {worker.process.pid for worker in many.workers}
    assert [web.wait_for(task)["status"] for task in tasks] == ["completed"] * 3
    assert all(web.file(task).stat().st_size == web.task(task)["file_size"] for task in tasks)


def _is_done(said):
    return said["type"] == "task" and said["task"]["status"] == "completed"


def test_a_cancel_at_the_web_reaches_the_worker_and_nothing_of_the_task_is_left(many, web, link):
    task_id = web.download(slow(link))
    group = many.machine.group_of(task_id)
    web.wait_for_bytes(task_id, 1)

    answer = web.http.post(f"/api/downloads/cancel/{task_id}")

    assert answer.status_code == 200, answer.text
    assert web.task(task_id)["status"] == "cancelled"
    assert many.machine.processes_in(group) == []
    assert not (many.machine.data / "work" / task_id).exists()


def test_when_a_worker_is_killed_another_goes_on_from_its_bytes_after_the_lease(many, web, link, origin):
    task_id = web.download(slow(link))
    web.wait_for_bytes(task_id, 100_000)
    worker = many.worker_of(task_id)

    worker.kill()
    many.let_leases_run_out()

    assert many.worker_of(task_id) is not worker
    assert web.wait_for(task_id)["status"] == "completed"
    assert outcomes(many, task_id) == ["interrupted", "completed"]
    assert max(record.range[0] for record in origin.requests if record.range) >= 100_000
    worker.start().wait_until_ready()


def test_a_worker_that_is_asked_to_end_gives_its_task_back_at_once_and_another_goes_on(many, web, link):
    task_id = web.download(slow(link))
    web.wait_for_bytes(task_id, 100_000)
    worker = many.worker_of(task_id)

    assert worker.terminate() < 8
    other = many.worker_of(task_id, limit=20)

    assert other is not worker
    assert web.wait_for(task_id)["status"] == "completed"
    assert outcomes(many, task_id) == ["interrupted", "completed"]
    worker.start().wait_until_ready()


def test_a_redis_that_is_gone_and_comes_back_empty_loses_nothing(many, web, link):
    with web.feed() as feed:
        feed.hear()
        running = web.download(slow(link))
        web.wait_for_bytes(running, 100_000)

        many.redis.stop()
        added = web.download(link())
        assert web.wait_for(added)["status"] == "completed"
        many.redis.start()

        assert web.wait_for(running)["status"] == "completed"
        later = web.download(link())
        feed.hear_until(
            lambda said: said["type"] == "task" and said["task"]["id"] == later and _is_done(said), limit=45
        )


def test_what_one_web_process_knows_of_a_client_every_other_does(many, web, link):
    other = many.other_web.start()
    body, key = {"url": link()}, {"Idempotency-Key": "the-same"}

    answers = [each.http.post("/api/downloads/add", json=body, headers=key) for each in (web, other)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    task = web.wait_for(web.download(link()))
    assert other.http.get(f"/api/downloads/tasks/{task['id']}/file", headers={"Range": "bytes=0-9"}).status_code == 206
    with other.feed() as feed:
        feed.hear()
        later = web.download(link())
        feed.hear_until(lambda said: said["type"] == "task" and said["task"]["id"] == later)
