"""The API as the specification writes it, asked of the running service."""

import re
import socket

import pytest

from tests.service import Service, wait_until

QUALITIES = ["auto", "best", "1080p", "720p", "480p", "360p", "worst"]
SITES = [
    "youtube.com",
    "youtu.be",
    "vimeo.com",
    "dailymotion.com",
    "tiktok.com",
    "instagram.com",
    "twitter.com",
    "x.com",
    "facebook.com",
    "bilibili.com",
    "xiaoeknow.com",
    "hjw01.com",
]
EXAMPLE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def is_error(answer, status, code):
    body = answer.json()
    return (
        answer.status_code == status
        and body["error_code"] == code
        and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"]) is not None
        and re.fullmatch(r"[^\n]+[.]", body["detail"]) is not None
    )


def test_health_is_as_specified(service):
    assert service.http.get("/api/health").json() == {
        "status": "healthy",
        "message": "Downie Enhanced Backend is running",
        "version": "1.0.0",
    }


def test_qualities_are_as_specified(service):
    assert service.http.get("/api/downloads/qualities").json() == {
        "qualities": QUALITIES,
        "post_processing": ["none", "audio", "mp4", "permute"],
    }


def test_the_featured_sites_are_as_specified(service):
    assert service.http.get("/api/downloads/supported-sites").json() == {"supported_sites": SITES, "total_sites": 12}


def test_stats_count_every_task(service):
    before = service.http.get("/api/stats").json()
    service.add(EXAMPLE)
    after = service.http.get("/api/stats").json()
    assert set(after) == {"active_downloads", "total_downloads", "supported_sites"}
    assert after["total_downloads"] == before["total_downloads"] + 1


def test_add_answers_with_the_id_of_a_pending_task(service):
    answer = service.http.post(
        "/api/downloads/add",
        json={
            "url": EXAMPLE,
            "quality": "720p",
            "post_processing": "mp4",
            "cookies": "",
            "custom_filename": "my_video.mp4",
        },
    )
    assert answer.status_code == 200
    assert re.fullmatch("[0-9a-f]{12}", answer.json().pop("task_id"))
    assert answer.json()["message"] == "Download task created successfully"
    assert answer.json()["status"] == "created"
    assert service.task(answer.json()["task_id"])["status"] == "pending"


def test_a_task_has_every_specified_field_under_its_type(service):
    task = service.task(service.add(EXAMPLE))
    specified = {
        "id": str,
        "url": str,
        "title": str,
        "status": str,
        "progress_percentage": float,
        "downloaded_bytes": int,
        "total_bytes": int,
        "speed": int,
        "eta": int,
        "created_at": float,
        "started_at": type(None),
        "completed_at": type(None),
        "error_message": str,
    }
    assert {field: type(task[field]) for field in specified} == specified


def test_cookies_are_never_returned(service):
    task_id = service.add(EXAMPLE, cookies="session=very-secret")
    assert "very-secret" not in service.http.get(f"/api/downloads/tasks/{task_id}").text
    assert "very-secret" not in service.http.get("/api/downloads/tasks").text
    assert task_id.encode() in service.kept()
    assert b"very-secret" not in service.kept()


def test_the_list_is_newest_first_and_says_how_many_there_are(service):
    first, second = service.add(EXAMPLE), service.add(EXAMPLE)
    answer = service.http.get("/api/downloads/tasks", params={"limit": 2})
    assert [task["id"] for task in answer.json()] == [second, first]
    assert int(answer.headers["X-Total-Count"]) >= 2
    assert service.http.get("/api/downloads/tasks", params={"limit": 1, "offset": 1}).json()[0]["id"] == first


def test_the_list_takes_several_states_with_commas(service):
    task_id = service.add(EXAMPLE)
    service.http.post(f"/api/downloads/cancel/{task_id}")
    answer = service.http.get("/api/downloads/tasks", params={"status": "cancelled,completed"})
    assert task_id in [task["id"] for task in answer.json()]
    assert {task["status"] for task in answer.json()} <= {"cancelled", "completed"}


def test_a_download_goes_from_start_to_a_whole_file(service, origin):
    task_id = service.add(origin.url("/direct/small.mp4"))
    answer = service.http.post(f"/api/downloads/start/{task_id}")
    assert answer.json() == {"message": "Download started", "task_id": task_id}
    task = service.wait_for(task_id)
    assert task["status"] == "completed"
    assert task["progress_percentage"] == 100.0
    assert task["downloaded_bytes"] == task["total_bytes"] == service.file(task_id).stat().st_size
    assert task["created_at"] <= task["started_at"] <= task["completed_at"]


def test_an_active_task_is_listed_as_active_and_cannot_be_started_again(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=300_000))
    service.wait_for(task_id, "downloading")
    assert [task["id"] for task in service.http.get("/api/downloads/tasks/active").json()] == [task_id]
    assert is_error(service.http.post(f"/api/downloads/start/{task_id}"), 409, "TASK_ALREADY_RUNNING")
    service.http.delete(f"/api/downloads/tasks/{task_id}")


def test_cancelling_a_running_task_answers_when_nothing_of_it_is_left(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=300_000))
    service.wait_for_bytes(task_id, 100_000)
    answer = service.http.post(f"/api/downloads/cancel/{task_id}")
    assert answer.json() == {"message": "Download cancelled", "task_id": task_id}
    assert service.task(task_id)["status"] == "cancelled"
    assert not service.children()
    assert not (service.data / "work" / task_id).exists()


def test_cancelling_a_hung_look_up_is_quick(service, origin):
    task_id = service.download(origin.url("/hang"))
    service.wait_for(task_id, "starting")
    answer = service.http.post(f"/api/downloads/cancel/{task_id}")
    assert answer.elapsed.total_seconds() < 10
    assert service.task(task_id)["status"] == "cancelled"
    assert not service.children()


def test_cancelling_twice_is_no_error(service):
    task_id = service.add(EXAMPLE)
    assert service.http.post(f"/api/downloads/cancel/{task_id}").status_code == 200
    assert service.http.post(f"/api/downloads/cancel/{task_id}").status_code == 200


def test_a_completed_task_can_be_neither_started_nor_cancelled(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    assert is_error(service.http.post(f"/api/downloads/start/{task_id}"), 409, "TASK_ALREADY_COMPLETED")
    assert is_error(service.http.post(f"/api/downloads/cancel/{task_id}"), 409, "TASK_NOT_ACTIVE")


def test_a_cancelled_task_starts_again_from_nothing(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=1_500_000))
    service.wait_for_bytes(task_id, 100_000)
    service.http.post(f"/api/downloads/cancel/{task_id}")
    service.start_task(task_id)
    assert service.wait_for(task_id)["status"] == "completed"


def test_deleting_a_running_task_stops_it_first(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=300_000))
    service.wait_for_bytes(task_id, 100_000)
    answer = service.http.delete(f"/api/downloads/tasks/{task_id}")
    assert answer.json() == {"message": "Task deleted", "task_id": task_id}
    assert is_error(service.http.get(f"/api/downloads/tasks/{task_id}"), 404, "TASK_NOT_FOUND")
    assert not service.children()
    assert not (service.data / "work" / task_id).exists()


@pytest.mark.parametrize(("query", "stays"), [({}, True), ({"delete_file": "true"}, False)])
def test_the_file_of_a_deleted_task_stays_unless_asked_otherwise(service, origin, query, stays):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    path = service.file(task_id)
    service.http.delete(f"/api/downloads/tasks/{task_id}", params=query)
    assert path.exists() is stays


def test_a_failed_task_says_why(service, origin):
    task_id = service.download(origin.url("/status/404"))
    task = service.wait_for(task_id)
    assert (task["status"], task["error_code"]) == ("failed", "EXTRACTION_FAILED")
    assert task["error_message"].endswith(".")
    assert is_error(service.http.get(f"/api/downloads/tasks/{task_id}/file"), 500, "EXTRACTION_FAILED")


def test_what_a_site_refuses_for_a_while_is_tried_again_by_itself(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4", status=503, times=1))
    task = wait_until(lambda: (task := service.task(task_id))["failures"] and task)
    assert (task["status"], task["failures"], task["error_reason"]) == ("queued", 1, "server_error")
    assert task["next_attempt_at"] is not None
    assert service.wait_for(task_id)["status"] == "completed"
    assert service.task(task_id)["error_message"] == ""


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "ftp://example.com/video.mp4",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://2130706433.0.0.0.0/",
        "http://user:password@example.com/video",
        "https://",
    ],
)
def test_what_cannot_be_a_video_is_an_invalid_url(service, url):
    assert is_error(service.http.post("/api/downloads/add", json={"url": url}), 400, "INVALID_URL")


@pytest.fixture
def strict_service(tmp_path):
    """A service that may fetch from the origin's address, and from no other of this machine."""
    service = Service(tmp_path / "data", DOWNIE_ALLOWED_NETWORKS="127.0.0.1/32").start()
    yield service
    service.stop()


def test_a_redirect_to_a_private_address_is_not_followed(strict_service, origin):
    with socket.create_server(("127.0.0.2", 0)) as listener:
        listener.settimeout(0)
        target = f"http://127.0.0.2:{listener.getsockname()[1]}/video.mp4"
        task_id = strict_service.download(origin.url("/redirect/302", to=target))
        task = strict_service.wait_for(task_id)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (task["status"], task["error_reason"]) == ("failed", "address_forbidden")
    assert is_error(strict_service.http.post("/api/downloads/add", json={"url": target}), 400, "INVALID_URL")


def test_private_addresses_are_refused_by_default(fresh_service):
    fresh_service.environment["DOWNIE_ALLOWED_NETWORKS"] = ""
    fresh_service.start()
    answer = fresh_service.http.post("/api/downloads/add", json={"url": "http://127.0.0.1:22/"})
    assert is_error(answer, 400, "INVALID_URL")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": 5},
        {"url": None},
        {"url": EXAMPLE, "quality": "4k"},
        {"url": EXAMPLE, "post_processing": "gif"},
        {"url": EXAMPLE, "custom_filename": "../../etc/passwd"},
        {"url": EXAMPLE, "cookies": "a\r\nb"},
        [],
        "text",
    ],
)
def test_a_body_with_wrong_fields_is_said_to_be_so(service, body):
    answer = service.http.post("/api/downloads/add", json=body)
    assert is_error(answer, 422, "VALIDATION_ERROR")
    assert answer.json()["errors"]


@pytest.mark.parametrize("content", [b"", b"{", b"not json", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_json_is_said_to_be_so(service, content):
    answer = service.http.post("/api/downloads/add", content=content, headers={"Content-Type": "application/json"})
    assert is_error(answer, 422, "VALIDATION_ERROR")


def test_a_body_that_does_not_claim_to_be_json_is_refused(service):
    answer = service.http.post("/api/downloads/add", content=b'{"url": "https://example.com"}')
    assert is_error(answer, 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"offset": -1}, {"status": "odd"}])
def test_a_query_out_of_range_is_said_to_be_so(service, query):
    assert is_error(service.http.get("/api/downloads/tasks", params=query), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/downloads/tasks/000000000000"),
        ("POST", "/api/downloads/start/000000000000"),
        ("POST", "/api/downloads/cancel/000000000000"),
        ("DELETE", "/api/downloads/tasks/000000000000"),
        ("GET", "/api/downloads/tasks/000000000000/file"),
        ("GET", "/api/downloads/tasks/%00"),
    ],
)
def test_an_unknown_id_is_not_found(service, method, path):
    assert is_error(service.http.request(method, path), 404, "TASK_NOT_FOUND")


def test_an_unknown_path_is_not_found_in_json(service):
    assert is_error(service.http.get("/api/nothing"), 404, "NOT_FOUND")


def test_a_wrong_method_is_not_allowed_in_json(service):
    assert is_error(service.http.put("/api/downloads/add"), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_may_not_act(service, headers):
    answer = service.http.post("/api/downloads/add", json={"url": EXAMPLE}, headers=headers)
    assert is_error(answer, 403, "FORBIDDEN_ORIGIN")


def test_our_own_page_may_act(service):
    answer = service.http.post("/api/downloads/add", json={"url": EXAMPLE}, headers={"Origin": service.url})
    assert answer.status_code == 200


def test_a_foreign_host_name_is_refused(service):
    answer = service.http.get("/api/health", headers={"Host": "evil.example"})
    assert is_error(answer, 400, "BAD_REQUEST")
    assert "DOWNIE_ALLOWED_HOSTS" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc"])
def test_the_documentation_comes_from_this_server_alone(service, path):
    page = service.http.get(path)
    assert page.status_code == 200
    assert "http://" not in page.text.replace(service.url, "")
    assert "https://" not in page.text
    scripts = re.findall(r'src="([^"]+)"', page.text)
    assert scripts
    assert [service.http.get(script).status_code for script in scripts] == [200] * len(scripts)


def test_the_document_names_every_endpoint(service):
    paths = service.http.get("/api/openapi.json").json()["paths"]
    assert {path.removeprefix("/api") for path in paths} >= {
        "/downloads/add",
        "/downloads/start/{task_id}",
        "/downloads/tasks",
        "/downloads/tasks/{task_id}",
        "/downloads/tasks/active",
        "/downloads/cancel/{task_id}",
        "/downloads/qualities",
        "/downloads/supported-sites",
        "/health",
        "/stats",
    }
