"""The other form of every answer, for whoever asks for it."""

import re

import pytest

from tests.test_api import EXAMPLE

ACCEPT = {"Accept": "application/vnd.downie.envelope+json"}
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def enveloped(answer):
    assert answer.headers["Content-Type"] == "application/vnd.downie.envelope+json"
    assert "Accept" in answer.headers["Vary"]
    body = answer.json()
    assert re.fullmatch(TIMESTAMP, body.pop("timestamp"))
    return body


@pytest.mark.parametrize(
    "asked",
    [{"params": {"envelope": "true"}}, {"headers": ACCEPT}, {"headers": {"Accept": ACCEPT["Accept"] + ", */*"}}],
)
def test_whoever_asks_gets_the_envelope(service, asked):
    flat = service.http.get("/api/downloads/qualities").json()
    body = enveloped(service.http.get("/api/downloads/qualities", **asked))
    assert body == {"success": True, "data": flat, "message": "Operation successful"}


def test_what_an_answer_says_is_its_message(service):
    answer = service.http.post("/api/downloads/add", json={"url": EXAMPLE}, headers=ACCEPT)
    body = enveloped(answer)
    assert body["message"] == body["data"]["message"] == "Download task created successfully"


def test_a_list_is_enveloped_with_its_headers(service):
    service.add(EXAMPLE)
    answer = service.http.get("/api/downloads/tasks", headers=ACCEPT)
    assert int(answer.headers["X-Total-Count"]) >= 1
    assert enveloped(answer)["data"][0]["status"] == "pending"


@pytest.mark.parametrize(
    "asked", [{}, {"params": {"envelope": "false"}}, {"headers": {"Accept": "*/*"}}, {"headers": {"Accept": ""}}]
)
def test_whoever_does_not_ask_gets_the_flat_form(service, asked):
    answer = service.http.get("/api/health", **asked)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["status"] == "healthy"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("GET", "/api/downloads/tasks/000000000000", {}), 404, "TASK_NOT_FOUND"),
        (("GET", "/api/downloads/tasks/000000000000/file", {}), 404, "TASK_NOT_FOUND"),
        (("GET", "/api/nothing", {}), 404, "NOT_FOUND"),
        (("PUT", "/api/downloads/add", {}), 405, "METHOD_NOT_ALLOWED"),
        (("POST", "/api/downloads/add", {"json": {"url": "ftp://x"}}), 400, "INVALID_URL"),
        (("POST", "/api/downloads/add", {"json": {}}), 422, "VALIDATION_ERROR"),
        (("POST", "/api/downloads/add", {"content": b"{"}), 422, "VALIDATION_ERROR"),
        (("POST", "/api/downloads/add", {"headers": {"Origin": "https://evil.example"}}), 403, "FORBIDDEN_ORIGIN"),
        (("GET", "/api/health", {"headers": {"Host": "evil.example"}}), 400, "BAD_REQUEST"),
    ],
)
def test_errors_are_enveloped_whoever_makes_them(service, request_, status, code):
    method, path, options = request_
    answer = service.http.request(method, path, params={"envelope": "true"}, **options)
    assert answer.status_code == status
    body = enveloped(answer)
    assert (body["success"], body["data"], body["error_code"]) == (False, None, code)
    assert body["message"].endswith(".")


def test_the_fields_of_bad_input_are_named_there_as_well(service):
    body = enveloped(service.http.post("/api/downloads/add", json={"url": 5}, headers=ACCEPT))
    assert body["errors"][0]["field"] == "url"


def test_what_is_neither_true_nor_false_is_refused(service):
    answer = service.http.get("/api/health", params={"envelope": "perhaps"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/docs", "/api/redoc"])
def test_document_and_documentation_stay_as_they_are(service, path):
    answer = service.http.get(path, params={"envelope": "true"}, headers=ACCEPT)
    assert answer.status_code == 200
    assert "envelope" not in answer.headers["Content-Type"]


def test_a_finished_file_stays_as_it_is(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    answer = service.http.get(f"/api/downloads/tasks/{task_id}/file", params={"envelope": "true"})
    assert answer.content == service.file(task_id).read_bytes()


def test_nothing_is_enveloped_that_has_no_body(service):
    path = f"/api/downloads/tasks/{service.add(EXAMPLE)}"
    etag = service.http.get(path, headers=ACCEPT).headers["ETag"]
    answer = service.http.get(path, headers={**ACCEPT, "If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_the_document_has_both_forms_of_each_answer(service):
    paths = service.http.get("/api/openapi.json").json()["paths"]
    answers = [
        answer
        for operations in paths.values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        if "application/json" in answer.get("content", {})
    ]
    assert answers
    assert all("application/vnd.downie.envelope+json" in answer["content"] for answer in answers)
