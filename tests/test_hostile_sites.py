"""Whatever a hostile site sends ends in a sentence, within bounds of memory and time, and harms nothing."""

import time
from urllib.parse import urlencode

import psutil
import pytest

from tests.hostile_site import hostile_site

LIBRARY_NAMES = [
    ("../../etc/x", "⧸etc⧸x"),
    ("-o /tmp/x", "_-o ⧸tmp⧸x"),
    ("%(exec)s", "%(exec)s"),
    ("$(id)`id`", "$(id)`id`"),
    ("two\nlines\r\x0b", "two lines"),
    ("evil\u202egpj.exe", "evilgpj.exe"),
    ("CON", "CON ["),
    (".desktop", "desktop"),
    ("<script>alert(1)</script>", "＜script＞alert(1)＜⧸script＞"),
]


@pytest.fixture(scope="module")
def site():
    with hostile_site() as address:
        yield address


def titled(site, origin, title, **query):
    return f"{site}/titled.html?{urlencode({'title': title, 'video': origin.url('/direct/small.mp4'), **query})}"


def peak_memory(service, task_id, *, limit=60):
    """The task at its end, and the most memory that a process of the engine had meanwhile, in bytes."""
    peak, deadline = 0, time.monotonic() + limit
    while time.monotonic() < deadline:
        for process in service.children():
            try:
                peak = max(peak, process.memory_info().rss)
            except psutil.Error:
                continue
        task = service.task(task_id)
        if task["status"] in ("completed", "failed"):
            return task, peak
        time.sleep(0.05)
    raise TimeoutError(task)


@pytest.mark.parametrize("path", ["/bomb.html", "/endless.m3u8", "/endless.rss"])
def test_what_is_too_large_to_be_a_page_is_refused_before_it_fills_the_memory(service, site, path):
    task, peak = peak_memory(service, service.download(site + path))
    assert (task["status"], task["error_reason"]) == ("failed", "page_too_large")
    assert task["error_code"] == "EXTRACTION_FAILED"
    assert peak < 300 * 1024 * 1024


def test_a_manifest_that_needs_too_much_memory_fails_alone(fresh_service, site):
    fresh_service.environment["DOWNIE_ENGINE_MEMORY_MB"] = "256"
    fresh_service.start()
    task = fresh_service.wait_for(fresh_service.download(f"{site}/deep.mpd"), limit=60)
    assert (task["status"], task["error_reason"]) == ("failed", "out_of_memory")
    assert fresh_service.http.get("/api/health").status_code == 200


def test_a_page_that_pins_the_processor_is_given_up_in_time(fresh_service, site):
    fresh_service.environment["DOWNIE_EXTRACT_TIME_LIMIT"] = "3"
    fresh_service.start()
    began = time.monotonic()
    answer = fresh_service.http.post("/api/downloads/extract", json={"url": f"{site}/forms.html"})
    assert answer.status_code in (400, 500)
    assert time.monotonic() - began < 25
    assert not fresh_service.children()


@pytest.mark.parametrize(("title", "name"), LIBRARY_NAMES)
def test_a_title_is_a_name_and_nothing_else(service, site, origin, title, name):
    task = service.wait_for(service.download(titled(site, origin, title)))
    assert task["status"] == "completed", task
    assert name in task["file_name"]
    file = service.file(task["id"])
    assert file.parent == service.library
    assert file.is_file()


def test_a_title_of_ten_megabytes_is_cut(service, site, origin):
    task = service.wait_for(service.download(titled(site, origin, "😀 ", times=2_000_000)), limit=60)
    assert task["status"] == "completed", task
    assert len(task["title"]) <= 500
    assert len(task["file_name"].encode()) <= 255


def test_redirects_without_an_end_are_given_up(service, origin):
    task = service.wait_for(service.download(origin.url("/loop")))
    assert task["status"] == "failed"
    assert task["error_reason"] == "redirect_loop"


@pytest.mark.parametrize("name", ["evil.desktop", "evil.exe", "evil.html", "evil.sh"])
def test_what_is_no_media_file_by_its_name_does_not_get_into_the_library(service, site, name):
    before = set(service.library.rglob("*"))
    task = service.wait_for(service.download(f"{site}/{name}"))
    assert task["status"] == "failed"
    assert set(service.library.rglob("*")) == before


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_cookies_do_not_follow_a_redirect_to_another_host(service, origin, status):
    elsewhere = origin.url("/direct/small.mp4", id=f"to-{status}").replace("127.0.0.1", "localhost")
    task = service.wait_for(service.download(origin.url(f"/redirect/{status}", to=elsewhere), cookies="pass=open"))
    assert task["status"] == "completed", task
    sent = {request.path: request.headers.get("Cookie") for request in origin.requests}
    assert sent == {f"/redirect/{status}": "pass=open", "/direct/small.mp4": None}
