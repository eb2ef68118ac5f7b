"""Figures for Prometheus: those of the database at each scrape, and those that this process has counted."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from prometheus_client.parser import text_string_to_metric_families

from downloads.metrics import registry
from downloads.states import Status
from tests.service import wait_until
from tests.tasks import FAILURE, task_in

EXAMPLE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def figures(service):
    """Every sample: its name and labels to its value."""
    answer = service.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_it_is_the_text_format_of_prometheus(service):
    answer = service.http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "# TYPE downie_tasks gauge" in answer.text


def test_open_metrics_is_spoken_too(service):
    answer = service.http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_what_one_process_counts_is_said_so(service):
    helps = [line for line in service.http.get("/metrics").text.splitlines() if line.startswith("# HELP")]
    here = [line.split()[2] for line in helps if "this process" in line]
    assert here == [
        "downie_http_requests_total",
        "downie_http_request_duration_seconds",
        "downie_websocket_clients",
        "downie_websocket_messages_sent_total",
        "downie_engine_start_seconds",
    ]


def test_a_download_leaves_its_traces(service, origin):
    before = figures(service)
    task_id = service.download(origin.url("/direct/small.mp4"))
    task = service.wait_for(task_id)
    after = figures(service)

    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    assert grown["downie_tasks", "completed"] == 1
    assert grown["downie_attempts", "completed"] == 1
    assert grown["downie_downloaded_bytes",] == task["file_size"]
    assert grown["downie_engine_start_seconds_count",] == 1


def test_the_engine_tells_its_version_and_age(service):
    engine = service.http.get("/api/health/ready").json()["checks"]["yt_dlp"]

    found = figures(service)

    assert found["downie_engine_info", engine["version"]] == 1
    assert found["downie_engine_age_days",] == engine["age_days"]


def test_requests_are_counted_by_route_never_by_path(service):
    before = figures(service)
    service.http.get(f"/api/downloads/tasks/{service.add(EXAMPLE)}")
    service.http.get("/api/downloads/tasks/000000000000")
    service.http.get("/no/such/page")
    service.http.request("BREW", "/api/health")
    after = figures(service)

    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    assert grown["downie_http_requests_total", "GET", "/api/downloads/tasks/<task_id>", "200"] == 1
    assert grown["downie_http_requests_total", "GET", "/api/downloads/tasks/<task_id>", "404"] == 1
    assert grown["downie_http_requests_total", "GET", "other", "404"] == 1
    assert grown["downie_http_requests_total", "other", "/api/health", "405"] == 1
    assert grown["downie_http_request_duration_seconds_count", "GET", "/api/downloads/tasks/<task_id>"] == 2
    assert "000000000000" not in service.http.get("/metrics").text


def test_websocket_clients_and_their_messages_are_counted(service):
    with service.feed() as feed:
        feed.hear()
        inside = figures(service)
        assert inside["downie_websocket_clients",] == 1
        assert inside["downie_websocket_messages_sent_total",] >= 1
    assert wait_until(lambda: figures(service)["downie_websocket_clients",] == 0)


def test_a_refused_websocket_is_no_client(service):
    with pytest.raises(Exception, match="403"), service.feed(origin="https://evil.example"):
        pass
    assert figures(service)["downie_websocket_clients",] == 0


# What the database says


def value(name, **labels):
    return registry.get_sample_value(name, labels)


def test_tasks_are_counted_by_status(db):
    task_in("downloading", speed=1000, downloaded_bytes=50)
    task_in("downloading", speed=500, downloaded_bytes=25)
    task_in("paused", downloaded_bytes=25)
    assert {status: value("downie_tasks", status=status) for status in Status} == dict.fromkeys(Status, 0) | {
        "downloading": 2,
        "paused": 1,
    }
    assert (value("downie_speed_bytes_per_second"), value("downie_downloaded_bytes")) == (1500, 100)


def test_failures_are_counted_by_code(db):
    (task := task_in("downloading")).fail(task.lease, FAILURE)
    (task := task_in("downloading")).retry_later(task.lease, FAILURE, 1, 1)
    task_in("starting")
    assert value("downie_attempt_failures", code=FAILURE.code) == 2
    assert [value("downie_attempts", outcome=outcome) for outcome in ("failed", "retry", "running")] == [1, 1, 1]


def test_an_empty_queue_has_no_age(db):
    task_in("pending")
    assert value("downie_queue_age_seconds") == 0


def test_the_queue_is_as_old_as_its_oldest_task_that_may_start(db):
    task_in("queued", queued_at=Now() - timedelta(seconds=100), available_at=Now() + timedelta(seconds=100))
    task_in("queued", queued_at=Now() - timedelta(seconds=50))
    task_in("queued", queued_at=Now() - timedelta(seconds=80), available_at=Now() - timedelta(seconds=60))
    assert 60 <= value("downie_queue_age_seconds") < 65


def test_a_task_that_is_queued_late_makes_the_queue_no_older(db):
    task = task_in("pending", created_at=Now() - timedelta(days=3))
    task.queue()
    assert value("downie_queue_age_seconds") < 5
