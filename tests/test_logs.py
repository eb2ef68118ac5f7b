"""The log: a line for each event with the task it is about, as JSON if one likes, and never a secret in it."""

import json
import logging

import pytest

from downloads.logs import About, Console, Json, about, without_secrets
from tests.administrator import Administrator
from tests.service import Service, wait_until

SECRET = "hunter2-s3cr3t"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that says all that it has to say, as JSON."""
    environment = {"DOWNIE_LOG_FORMAT": "json", "DOWNIE_LOG_LEVEL": "DEBUG"}
    service = Service(tmp_path_factory.mktemp("logs") / "data", **environment).start()
    yield service
    service.stop()


def events(service, **facts):
    """What the log has about this."""
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if facts.items() <= line.items()]


def test_every_event_of_an_attempt_names_task_attempt_and_lease(service, link):
    task_id = service.download(link(), custom_filename="film.mp4")
    service.wait_for(task_id)
    wait_until(lambda: any("Completed" in line["message"] for line in events(service, task=task_id)), 20)

    added, queued, *attempt = events(service, task=task_id)
    assert [added["message"].partition(":")[0], queued["message"]] == ["Added, pending", "The task is queued now"]
    assert [line["message"].split()[0] for line in attempt] == ["Attempt", "Found", "Downloaded", "Completed"]
    assert {line["attempt"] for line in attempt} == {"1"}
    assert len({line["lease"] for line in attempt}) == 1
    assert {(line["level"], line["logger"]) for line in attempt} == {("INFO", "downloads.runner")}


def test_no_secret_is_in_the_log(service, link):
    with Administrator(service) as administrator:
        administrator.add("siterule", site="localhost", proxy=f"http://ann:{SECRET}@127.0.0.1:1")
        hook = {"url": f"http://127.0.0.1:1/hook?token={SECRET}", "events": ["task.failed"]}
        assert service.http.post("/api/webhooks", json=hook).status_code == 200
        cookies = {"cookies": f"pass={SECRET}"}
        fine = service.download(link("/hls/aes/index.m3u8", token=SECRET), **cookies)
        refused = service.download(link("/status/403", token=SECRET), **cookies)
        proxied = service.download(link("/direct/small.mp4", token=SECRET).replace("127.0.0.1", "localhost"))
        service.http.post("/api/downloads/add", json={"url": f"http://ann:{SECRET}@127.0.0.1/"})
        service.http.get(f"/api/nothing?api_key={SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
        service.http.get("/api/downloads/tasks", headers={"X-API-Key": SECRET, "Cookie": f"sessionid={SECRET}"})
        ends = [service.wait_for(task_id)["status"] for task_id in (fine, refused)]
        wait_until(lambda: any("Next attempt" in line["message"] for line in events(service, task=proxied)), 20)
        wait_until(lambda: "Webhook: " in service.log.read_text(), 20)
        administrator.clear("siterule")

    assert ends == ["completed", "failed"]
    assert [events(service, task=each) == [] for each in (fine, refused, proxied)] == [False] * 3
    assert "/hls/aes/index.m3u8?…" in service.log.read_text()
    assert SECRET not in service.log.read_text()


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("at https://ann:hunter2@host:8/a/b.mp4, then", "at https://…@host:8/a/b.mp4, then"),
        ("http://host/a?token=hunter2&b=1 ended", "http://host/a?… ended"),
        ("http://host/a?hunter2", "http://host/a?…"),
        ("http://host/a#access=hunter2", "http://host/a?…"),
        ("GET /a?token=hunter2", "GET /a?…"),
        ("postgresql://user:hunter2@/name?host=/run", "postgresql://…@/name?…"),
        ("Authorization: Bearer hunter2hunter2", "Authorization: …"),
        ("{'Cookie': 'a=hunter2; b=hunter2'}", "{'Cookie': …"),
        ("with Bearer hunter2hunter2.", "with Bearer …"),
        ("key downie_0a1b2c_hunter2-hunter2_ is unknown", "key downie_… is unknown"),
        ("password='hunter2'", "password='…'"),
        ("Is that so? Use --cookies: they help", "Is that so? Use --cookies: they help"),
    ],
)
def test_what_opens_something_is_taken_out_and_the_rest_stays(text, rest):
    assert without_secrets(text) == rest


def a_record(message, *arguments):
    error = ValueError(f"no answer from http://host/a?token={SECRET}")
    fields = {"name": "downloads.x", "levelname": "INFO", "msg": message, "args": arguments}
    record = logging.makeLogRecord(fields | {"exc_info": (ValueError, error, None)})
    About().filter(record)
    return record


def test_json_is_one_line_whatever_is_in_it():
    with about(task="abc", attempt=2):
        line = Json().format(a_record("%s", "two\nlines"))

    assert "\n" not in line
    said = json.loads(line)
    assert (said["task"], said["attempt"], said["message"]) == ("abc", "2", "two\nlines")
    assert said["exc_info"].endswith("http://host/a?…")
    assert set(said) == {"time", "level", "logger", "message", "exc_info", "task", "attempt"}


def test_for_people_the_facts_are_at_the_end_of_the_line_and_a_traceback_below():
    with about(task="abc", lease="def"):
        line, *traceback = Console().format(a_record("%s", "two\nlines")).splitlines()

    assert line.endswith(r" downloads.x: two\nlines [task=abc lease=def]")
    assert traceback[-1] == "ValueError: no answer from http://host/a?…"
    assert "task" not in vars(a_record("another"))
