"""Behind a reverse proxy: under a path of it, with its word for who asks, with the files sent by it.

The service answers under the path itself, as behind a proxy that leaves the path alone, so no test needs a proxy.
"""

import json
import os
import subprocess
import sys

import httpx
import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from downloads.prefix import Prefixed
from tests.browser import needs_chromium, paste, row_of, state_of
from tests.service import PROJECT, Service

REMOTE = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service under /downie that trusts the proxy on this machine."""
    environment = {
        "DOWNIE_PATH_PREFIX": "/downie",
        "DOWNIE_TRUSTED_PROXIES": "127.0.0.1",
        "DOWNIE_ACCEL_PREFIX": "/_library/",
    }
    service = Service(tmp_path_factory.mktemp("proxy") / "data", **environment).start()
    yield service
    service.stop()


async def test_a_header_of_the_client_does_not_say_where_the_service_is():
    seen = []

    async def application(scope, _receive, _send):
        seen.append((scope["root_path"], scope["path"]))

    await Prefixed(application, "")({"type": "http", "path": "/x/api/health", "root_path": "/x"}, None, None)

    assert seen == [("", "/x/api/health")]


@pytest.mark.parametrize("path", ["/downie/", "/", "/downie/api/health", "/downie/static/downloads/page.js"])
def test_a_path_is_found_whether_the_proxy_cuts_the_prefix_off_or_not(service, path):
    assert service.http.get(path).status_code == 200


def test_without_its_slash_the_prefix_leads_to_the_page(service):
    answer = service.http.get("/downie")
    assert (answer.status_code, answer.headers["Location"]) == (301, "/downie/")


def test_the_installed_app_keeps_to_the_prefix(service):
    manifest = service.http.get("/downie/manifest.webmanifest").json()
    addresses = {manifest["id"], manifest["start_url"], manifest["scope"], manifest["share_target"]["action"]}
    assert addresses == {"/downie/", "/downie/add"}
    assert manifest["icons"][0]["src"].startswith("/downie/static/")


def test_cookies_are_for_the_prefix_alone(service):
    answer = service.http.get("/downie/")
    assert "Path=/downie/;" in answer.headers["Set-Cookie"]


def test_the_proxy_is_told_which_file_to_send(service, link):
    name = "Vidéo 50% 视频 #1"
    task_id = service.download(link(), custom_filename=f"{name}.mp4")
    task = service.wait_for(task_id)

    assert task["file_url"] == f"/downie/api/downloads/tasks/{task_id}/file"
    answer = service.http.get(task["file_url"])
    assert answer.headers["X-Accel-Redirect"] == "/_library/Vid%C3%A9o%2050%25%20%E8%A7%86%E9%A2%91%20%231.mp4"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''Vid%C3%A9o")
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.content == b""
    played = service.http.get(task["file_url"], params={"inline": "true"})
    assert played.headers["Content-Security-Policy"].startswith("sandbox")


def test_the_proxys_word_counts_for_who_asks(service):
    assert service.http.get("/downie/api/downloads/tasks").status_code == 200
    assert service.http.get("/downie/api/downloads/tasks", headers=REMOTE).status_code == 401


def test_the_proxys_word_counts_on_the_feed_as_well(service):
    address = f"ws://127.0.0.1:{service.port}/downie/api/downloads/ws"
    with connect(address) as socket:
        assert json.loads(socket.recv(timeout=10))["type"]
    with pytest.raises(Exception, match="403"), connect(address, additional_headers=REMOTE):
        pass


def test_over_tls_a_form_of_ours_is_taken(service):
    host = f"127.0.0.1:{service.port}"
    headers = {"X-Forwarded-Proto": "https", "Origin": f"https://{host}"}
    with httpx.Client(base_url=service.url, headers=headers) as browser:
        token = browser.get("/downie/").text.partition('csrfmiddlewaretoken" value="')[2][:64]
        answer = browser.post("/downie/theme", data={"theme": "dark", "csrfmiddlewaretoken": token})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/downie/")


def test_a_container_is_healthy_while_its_service_answers(service):
    def check(port):
        environment = {"PATH": os.environ["PATH"], "DOWNIE_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
        run = [sys.executable, PROJECT / "deploy" / "healthcheck.py"]
        return subprocess.run(run, env=environment, check=False, capture_output=True).returncode

    assert (check(service.port), check(1)) == (0, 1)


@needs_chromium
def test_the_page_works_and_asks_for_nothing_outside_of_the_prefix(visit, link, service):
    page, video, asked = visit("/downie/"), link(), []
    page.on("request", lambda request: asked.append(request.url))

    paste(page, video)
    expect(state_of(page, video)).to_have_text("Completed", timeout=15_000)
    save = row_of(page, video).get_by_role("link", name="Save file").get_attribute("href")
    row_of(page, video).locator("[data-part=title]").click()
    expect(page.locator("#play video")).to_be_visible()

    assert save.startswith("/downie/api/downloads/tasks/")
    assert page.url.startswith(f"{service.url}/downie/tasks/")
    assert [url for url in asked if not url.startswith((f"{service.url}/downie/", "data:"))] == []
