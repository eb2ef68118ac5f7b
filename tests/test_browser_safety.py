"""A hostile page in the user's own browser can neither act nor listen nor read; a page of a named origin may."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.administrator import PASSWORD, make_administrator
from tests.browser import ARGUMENTS, CHROMIUM, choose, row_of
from tests.keys import bearer, make_key, revoke_key
from tests.service import Service
from tests.test_api import EXAMPLE, is_error

APP = "https://app.example.org"
EXPOSED = {"x-total-count", "x-next-cursor", "etag", "ratelimit", "ratelimit-policy", "retry-after"}

# Each tries one thing and says what came of it; `base` is the service, `id` a task of it.
TRICKS = {
    "add with JSON": "post('/api/downloads/add', 'application/json')",
    "add with a simple type": "post('/api/downloads/add', 'text/plain')",
    "add like a form": "post('/api/downloads/add', 'application/x-www-form-urlencoded')",
    "add without CORS": "post('/api/downloads/add', 'text/plain', {mode: 'no-cors'})",
    "add without CORS, with cookies": "post('/api/downloads/add', '', {mode: 'no-cors', credentials: 'include'})",
    "add on the way out": "navigator.sendBeacon(base + '/api/downloads/add', body)",
    "start": "post('/api/downloads/start/' + id, 'text/plain', {mode: 'no-cors'})",
    "cancel": "post('/api/downloads/cancel/' + id, 'text/plain', {mode: 'no-cors'})",
    "delete": "post('/api/downloads/tasks/' + id, 'text/plain', {method: 'DELETE'})",
    "a ticket": "post('/api/downloads/ws-ticket', 'text/plain')",
    "read the tasks": "fetch(base + '/api/downloads/tasks').then(answer => answer.text())",
    "read the tasks without CORS": "fetch(base + '/api/stats', {mode: 'no-cors'}).then(answer => answer.text())",
    "read the page": "fetch(base + '/').then(answer => answer.text())",
    "listen": "listen()",
    "a form of the page": "form('/', {url: link})",
    "a form to the API": "form('/api/downloads/add', {url: link})",
    "a form that looks like JSON": "form('/api/downloads/add', {['{\"url\":\"http://a.at/']: '\"}'}, 'text/plain')",
    "a form that starts": "form('/tasks/' + id + '/start', {})",
    "a form that deletes": "form('/tasks/' + id + '/delete', {})",
}
HOSTILE = """<!doctype html><title>Cats</title><iframe name="hidden"></iframe><script>
const [base, id] = decodeURIComponent(location.hash.slice(1)).split(" ");
const link = "https://evil.example/video";
const body = JSON.stringify({url: link});
const post = (path, type, more) =>
  fetch(base + path, {method: "POST", headers: {"Content-Type": type}, body, ...more}).then(answer => answer.text());
const listen = () => new Promise((resolve, reject) => {
  const socket = new WebSocket(base.replace("http", "ws") + "/api/downloads/ws");
  socket.onmessage = message => resolve(message.data);
  socket.onclose = reject;
});
const form = (path, fields, enctype = "application/x-www-form-urlencoded") => new Promise(resolve => {
  const form = document.createElement("form");
  Object.assign(form, {method: "post", action: base + path, enctype, target: "hidden"});
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, {type: "hidden", name, value});
    form.append(input);
  }
  document.body.append(form);
  document.querySelector("iframe").onload = () => resolve("");
  form.submit();
});
const attempt = trick => Promise.resolve(eval(trick)).then(String, () => "");
</script>"""


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """A page on another origin: another port of this machine, so that cookies of `localhost` are sent along."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "index.html").write_text(HOSTILE)
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A running service with a key and an administrator."""
    service = Service(tmp_path_factory.mktemp("guarded") / "data").start()
    service.key = make_key(service)
    make_administrator(service)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A running service that is opened for one other origin."""
    service = Service(tmp_path_factory.mktemp("opened") / "data", DOWNIE_CORS_ORIGINS=APP).start()
    yield service
    service.stop()


def tasks_of(service, **headers):
    return [(task["id"], task["status"]) for task in service.http.get("/api/downloads/tasks", headers=headers).json()]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("trick", TRICKS)
def test_a_hostile_page_can_neither_act_nor_listen_nor_read(service, hostile_page, browser, trick):
    task_id = service.add(EXAMPLE)
    before = tasks_of(service)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{hostile_page}#{service.url} {task_id}")
        got = page.evaluate("trick => attempt(trick)", TRICKS[trick])

    assert got in ("", "true")
    assert tasks_of(service) == before


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_a_hostile_page_cannot_ride_on_a_login(guarded, hostile_page, browser):
    """Cookies do not know ports, so the login's cookie is sent along from this page; the page's own forms have it."""
    key = bearer(guarded.key)
    task_id = guarded.http.post("/api/downloads/add", json={"url": EXAMPLE}, headers=key).json()["task_id"]
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(guarded.url)
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_placeholder("Paste a link to a video or a song").wait_for()
        page.goto(f"{hostile_page}#{guarded.url} {task_id}")
        got = [page.evaluate("trick => attempt(trick)", trick) for trick in TRICKS.values()]

    assert set(got) <= {"", "true"}
    assert tasks_of(guarded, **key) == [(task_id, "pending")]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_the_page_works_behind_a_login(guarded, browser):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(guarded.url)
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_text("Live", exact=True).wait_for()
        page.get_by_placeholder("Paste a link to a video or a song").fill("https://example.com/behind-a-login")
        page.keyboard.press("Enter")
        choose(page, "https://example.com/behind-a-login", "Cancel")
        row_of(page, "https://example.com/behind-a-login").get_by_text("Cancelled", exact=True).wait_for()


# Origins


@pytest.mark.parametrize("path", ["/api/downloads/tasks", "/api/downloads/add"])
def test_other_origins_are_told_nothing_by_default(service, path):
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}

    assert not cors_headers(service.http.options(path, headers=asked))
    assert not cors_headers(service.http.get(path, headers={"Origin": APP}))


def cors_headers(answer):
    return [name for name in answer.headers if name.startswith("access-control-")]


def test_a_named_origin_may_read_and_act(opened):
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = opened.http.options("/api/downloads/add", headers=asked)
    answer = opened.http.post(
        "/api/downloads/add", json={"url": EXAMPLE}, headers={"Origin": APP, "Sec-Fetch-Site": "cross-site"}
    )

    assert preflight.headers["Access-Control-Allow-Origin"] == APP
    assert {"x-api-key", "authorization", "idempotency-key", "content-type"} <= names_in(
        preflight, "Access-Control-Allow-Headers"
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert names_in(answer, "Access-Control-Expose-Headers") >= EXPOSED
    assert "Access-Control-Allow-Credentials" not in answer.headers


def names_in(answer, header):
    return set(answer.headers[header].lower().split(", "))


def test_a_named_origin_may_listen(opened):
    with opened.feed(origin=APP) as feed:
        assert feed.hear()["type"] == "initial"


def test_a_named_origin_is_told_why_it_is_refused(opened):
    key = make_key(opened)

    answer = opened.http.get("/api/stats", headers={"Origin": APP})

    revoke_key(opened, key)
    assert is_error(answer, 401, "UNAUTHORIZED")
    assert answer.headers["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize("origin", ["https://evil.example", f"{APP}.evil.example", "http://app.example.org", "null"])
def test_every_other_origin_stays_outside(opened, origin):
    answer = opened.http.post("/api/downloads/add", json={"url": EXAMPLE}, headers={"Origin": origin})

    assert is_error(answer, 403, "FORBIDDEN_ORIGIN")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_key_in_a_header_passes_from_any_origin(guarded):
    headers = bearer(guarded.key) | {"Origin": "chrome-extension://abc", "Sec-Fetch-Site": "cross-site"}

    assert guarded.http.post("/api/downloads/start/000000000000", headers=headers).status_code == 404


def test_a_wrong_key_does_not_pass_the_check_of_the_origin(guarded):
    headers = bearer("wrong") | {"Origin": "https://evil.example"}

    assert is_error(httpx.post(f"{guarded.url}/api/downloads/add", headers=headers), 403, "FORBIDDEN_ORIGIN")
