"""What holds on every page: it can be used by everybody, in both languages, both themes, on every screen."""

import gzip
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import expect

from tests.browser import PASTE, needs_chromium, paste, state_of
from tests.origin import Origin
from tests.service import wait_until

pytestmark = needs_chromium

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
TITLES = [
    "x" * 300,
    "تعلم الرسم بالألوان المائية",
    "【4K】深夜东京街头漫步",
    "👩‍👩‍👧‍👦 family 🎬",
    "a\u202eb <b>c</b> &amp;",
]
FOCUS_SEEN = "document.activeElement.matches(':focus-visible')"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WIDTHS = [320, 390, 768, 1280, 1600]
MAX_SCRIPT = 150_000  # bytes, compressed


@pytest.fixture(scope="module")
def seeded(service, media):
    """The service with a task in every state that is easily had, and titles of all kinds; a few ids."""
    with Origin(media) as origin:
        done = service.download(origin.url("/direct/small.mp4", seeded=1))
        playlist = service.download(origin.url("/page/playlist.html", seeded=1))
        failed = service.download(origin.url("/hls/aes/index.m3u8", need_cookie=1, padding="x" * 400))
        for task_id in (done, playlist, failed):
            service.wait_for(task_id)
    cancelled = service.add("https://example.com/cancelled")
    service.http.post(f"/api/downloads/cancel/{cancelled}")
    titled = [(title, service.add("https://example.com/titled")) for title in TITLES]
    for title, task_id in titled:  # as if a site had called them so
        service.rows("UPDATE downloads_task SET title = ? WHERE id = ?", title, task_id)
    return {"done": done, "playlist": playlist, "failed": failed}


def complaints_of(page):
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{page.url} {each['id']}: {node['html'][:100]}" for each in found for node in each["nodes"]]


def test_axe_finds_nothing_on_any_page_by_day_and_by_night(visit, seeded):
    page = visit(bypass_csp=True)  # axe sets styles of its own
    found = []
    tasks = [f"/tasks/{task_id}" for task_id in seeded.values()]

    for path in ("/?q=nothing-like-this", "/add?url=https://example.com/", "/send-here", "/tasks/0123456789ab", *tasks):
        page.goto(path)
        for colours, size in (("light", DESKTOP), ("dark", PHONE)):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=colours)
            found += complaints_of(page)

    assert found == []


def test_axe_finds_nothing_in_what_opens(visit, seeded):
    page = visit(bypass_csp=True)
    expect(page.locator("#connection")).to_have_text("Live")
    page.get_by_text("Advanced").click()
    page.locator(".pick input").first.click()
    page.get_by_label("Settings").click()
    found = complaints_of(page)
    page.keyboard.press("Escape")
    page.locator("#tasks .menu > summary").first.click()
    found += complaints_of(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    found += complaints_of(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("^Delete https|^Delete 【|^Delete x")).first.click()
    found += complaints_of(page)

    covered = "target-size"  # what an open menu covers in part is small as long as it is open
    assert [text for text in found if covered not in text] == []


def test_no_screen_and_no_title_makes_a_page_scroll_sideways(visit, seeded):
    page = visit()
    tasks = [f"/tasks/{task_id}" for task_id in seeded.values()]

    for path in ("/", "/send-here", *tasks):
        page.goto(path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_titles_are_text_and_keep_their_direction(visit, seeded):
    page = visit("/?order=title")

    arabic = page.get_by_role("link", name="تعلم الرسم بالألوان المائية", exact=True)
    expect(arabic).to_be_visible()
    assert arabic.evaluate("link => getComputedStyle(link.parentElement).direction") == "rtl"
    expect(page.get_by_role("link", name="a\u202eb <b>c</b> &amp;", exact=True)).to_be_visible()


def test_the_theme_follows_the_system_until_one_is_chosen(visit, seeded):
    page = visit(color_scheme="dark")
    ground = expect(page.locator("body"))  # a choice loads the page anew
    ground.to_have_css("background-color", "rgb(18, 20, 24)")

    page.get_by_label("Settings").click()
    page.get_by_role("button", name="Light").click()

    ground.to_have_css("background-color", "rgb(246, 247, 249)")
    page.reload()
    ground.to_have_css("background-color", "rgb(246, 247, 249)")
    page.get_by_label("Settings").click()
    page.get_by_role("button", name="System").click()
    ground.to_have_css("background-color", "rgb(18, 20, 24)")


def test_the_language_can_be_chosen_and_says_everything_in_it(visit, seeded):
    page = visit()
    page.get_by_label("Settings").click()
    page.get_by_role("button", name="简体中文").click()

    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.locator("#connection")).to_have_text("实时更新")
    expect(page.locator("#room")).to_have_text(re.compile("^可用 "))
    page.locator(".pick input").first.click()
    expect(page.locator("#selected")).to_have_text("已选 1 项")
    page.goto(f"/tasks/{seeded['done']}")
    expect(page.get_by_role("heading", name="接下来")).to_be_visible()


@pytest.mark.parametrize(("locale", "live"), [("en-US", "Live"), ("zh-CN", "实时更新")])
def test_the_first_rendering_is_what_the_scripts_render(visit, seeded, locale, live):
    plain = visit("/?order=title", java_script_enabled=False, locale=locale)
    page = visit("/?order=title", locale=locale)
    rows, first = page.locator("#tasks > li"), plain.locator("#tasks > li").all_inner_texts()
    expect(page.locator("#connection")).to_have_text(live)

    page.locator("#order").select_option("created_at")
    page.wait_for_url("**/?order=created_at")
    page.locator("#order").select_option("title")
    page.wait_for_url("**/?order=title")
    expect(rows).to_have_text([re.compile(re.escape(text.split("\n")[0])) for text in first])

    assert rows.all_inner_texts() == first
    for part in ("#active", "#waiting", ".tabs", "#page-number"):
        assert page.locator(part).text_content() == plain.locator(part).text_content(), part


def test_everything_is_reached_by_tab_and_seen(visit, seeded):
    page = visit()
    reached = set()

    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUS_SEEN)
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))

    assert {"look", "download", "id_quality", "q", "order"} <= reached


def test_a_file_can_be_sought_in_while_it_plays(service, seeded):
    address = f"/api/downloads/tasks/{seeded['done']}/file"

    part = service.http.get(f"{address}?inline=true", headers={"Range": "bytes=0-9"})
    whole = service.http.get(address)

    assert (part.status_code, len(part.content)) == (206, 10)
    assert part.headers["Content-Type"] == "video/mp4"
    assert part.headers["Content-Disposition"].startswith("inline")
    assert part.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert part.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Content-Disposition"].startswith("attachment")


def test_a_notification_comes_only_for_those_who_asked_and_look_elsewhere(visit, service, link):
    page = visit(permissions=["notifications"])
    page.evaluate("navigator.serviceWorker.ready.then(() => {})")
    titles = "navigator.serviceWorker.ready.then(w => w.getNotifications()).then(n => n.map(each => each.title))"
    hide = "Object.defineProperty(document, 'visibilityState', { get: () => 'hidden', configurable: true })"
    page.evaluate(hide)
    first, second = link(), link()
    paste(page, first)
    expect(state_of(page, first)).to_have_text("Completed")
    expect(page.locator("#announcement")).to_have_text("small: Completed")
    assert page.evaluate(titles) == []

    page.get_by_label("Settings").click()
    page.get_by_role("switch", name="Tell me when a download ends").check()
    expect(page.get_by_text("as long as a tab with this page is open")).to_be_visible()
    page.keyboard.press("Escape")
    paste(page, second)
    expect(state_of(page, second)).to_have_text("Completed")

    wait_until(lambda: page.evaluate(titles) == ["small"])


def test_a_refusal_of_notifications_is_said(visit):
    page = visit()
    page.evaluate("Notification.requestPermission = async () => 'denied'")
    page.get_by_label("Settings").click()

    page.get_by_role("switch", name="Tell me when a download ends").click()

    expect(page.get_by_text("The browser allows no notifications from here")).to_be_visible()
    expect(page.get_by_role("switch", name="Tell me when a download ends")).not_to_be_checked()


def test_the_first_paint_waits_for_no_socket(visit, seeded):
    page = visit(sockets=lambda socket: None)

    expect(page.locator("#tasks > li").first).to_be_visible()
    expect(page.get_by_placeholder(PASTE)).to_be_enabled()


def test_the_scripts_are_light():
    scripts = [
        *Path(settings.BASE_DIR, "static/downloads").glob("*.js"),
        *Path(settings.BASE_DIR, "static/vendor").rglob("*.js"),
    ]

    assert len(scripts) > 10
    assert sum(len(gzip.compress(script.read_bytes())) for script in scripts) < MAX_SCRIPT
