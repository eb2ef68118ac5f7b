"""The list as a person meets it: tabs, search, order, pages, the header, and ten thousand tasks."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import SLOW, needs_chromium, paste, row_of, state_of

pytestmark = needs_chromium

MANY = 10_000


@pytest.fixture
def tasks(service):
    """Makes tasks that wait for their start, from a list of endings; the list holds nothing else then."""

    def make(*endings):
        service.http.post("/api/downloads/batch/delete", json=ids_of(service))
        urls = [{"url": f"https://example.com/{ending}"} for ending in endings]
        answer = service.http.post("/api/downloads/batch/add", json=urls).json()
        return [result["task_id"] for result in answer["results"]]

    return make


def ids_of(service):
    return [task["id"] for task in service.http.get("/api/downloads/tasks?limit=500").json()]


def titles(page):
    return page.locator("#tasks .task-title").all_inner_texts()


def tab(page, name):
    return page.get_by_role("navigation", name="Which downloads").get_by_role("link", name=name)


def test_tabs_show_their_counts_and_narrow_the_list(visit, service, tasks):
    first, _second, third = tasks("a", "b", "c")
    service.http.post(f"/api/downloads/cancel/{third}")
    page = visit()

    expect(tab(page, "All")).to_have_text("All 3")
    expect(tab(page, "Cancelled")).to_have_text("Cancelled 1")
    tab(page, "Waiting").click()

    expect(page.locator("#tasks > li")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?tab=waiting$"))
    service.http.post(f"/api/downloads/cancel/{first}")
    expect(page.locator("#tasks > li")).to_have_count(1)
    expect(tab(page, "Cancelled")).to_have_text("Cancelled 2")


def test_the_back_button_leads_back_through_the_tabs(visit, tasks):
    tasks("a", "b")
    page = visit()

    tab(page, "Completed").click()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.go_back()

    expect(page.locator("#tasks > li")).to_have_count(2)
    expect(tab(page, "All")).to_have_attribute("aria-current", "page")


def test_search_narrows_while_one_types_and_stays_after_a_reload(visit, tasks):
    tasks("cats", "dogs", "more-cats")
    page = visit()

    page.get_by_role("searchbox", name="Search").fill("cats")

    expect(page.locator("#tasks > li")).to_have_count(2)
    expect(tab(page, "All")).to_have_text("All 2")
    page.reload()
    expect(page.locator("#tasks > li")).to_have_count(2)
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("cats")


def test_the_list_can_be_ordered(visit, tasks):
    tasks("b", "a", "c")
    page = visit()
    expect(page.locator("#tasks > li")).to_have_count(3)
    assert titles(page) == [f"https://example.com/{ending}" for ending in "cab"]

    page.get_by_label("Order").select_option("Oldest first")

    expect(page.locator("#tasks > li").first).to_contain_text("/b")
    assert titles(page) == [f"https://example.com/{ending}" for ending in "bac"]


def test_tabs_search_and_pages_work_without_javascript(visit, tasks):
    tasks(*(f"film-{number:02}" for number in range(60)))
    page = visit(java_script_enabled=False)

    expect(page.locator("#tasks > li")).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#tasks > li")).to_have_count(10)
    page.get_by_role("searchbox", name="Search").fill("film-0")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#tasks > li")).to_have_count(10)
    tab(page, "Failed").click()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()


def test_a_download_that_ends_leaves_the_tab_of_the_active(visit, tasks, link, service):
    tasks()
    video = link(rate=SLOW)
    service.download(video)
    page = visit("/?tab=active")
    expect(row_of(page, video)).to_be_visible()

    expect(row_of(page, video)).to_have_count(0)

    expect(tab(page, "Completed")).to_have_text("Completed 1")


def test_a_playlist_is_one_row_and_its_page_holds_its_entries(visit, tasks, link, service):
    tasks()
    playlist = link("/page/playlist.html")
    page = visit()

    paste(page, playlist)

    expect(state_of(page, playlist)).to_have_text("Completed", timeout=20_000)
    expect(page.locator("#tasks > li")).to_have_count(1)
    expect(row_of(page, playlist)).to_contain_text("Playlist with 3 entries")
    row_of(page, playlist).get_by_role("link", name="A page with three videos").click()
    expect(page.locator("#tasks > li")).to_have_count(3)
    expect(page.locator("#tasks .state").first).to_have_text("Completed")
    expect(page.get_by_text("It follows its entries: it is done when they are.")).to_be_visible()


def test_the_header_counts_and_shows_the_speed(visit, tasks, link, service):
    tasks("waits")
    page = visit()
    expect(page.locator("#waiting")).to_have_text("1 waiting")
    expect(page.locator("#active")).to_have_text("0 active")

    running = service.download(link("/direct/video.mp4", rate=SLOW))

    expect(page.locator("#active")).to_have_text("1 active")
    expect(page.locator("#speed")).to_have_text(re.compile(r"^[\d.]+\sKB/s$"))
    expect(page.locator("#chart")).to_have_accessible_name(re.compile(r"^Speed of the last minutes: now [\d.]+\s"))
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#room")).to_have_text(re.compile(r"^[\d.]+\s.B free$"))
    service.http.post(f"/api/downloads/cancel/{running}")
    expect(page.locator("#active")).to_have_text("0 active")
    expect(page.locator("#speed")).to_be_hidden()


def test_little_room_is_said_before_it_is_none(visit, tasks, service):
    [task_id] = tasks("a")
    page = visit()
    expect(page.locator("#connection")).to_have_text("Live")
    said = service.http.get("/api/downloads/stats").json() | {"free_bytes": 3 * 1024**3, "is_space_short": True}
    page.route("**/api/downloads/stats", lambda route: route.fulfill(json=said))

    service.http.delete(f"/api/downloads/tasks/{task_id}")
    other = tasks("b")[0]
    expect(page.locator("#tasks > li")).to_have_count(1)
    service.http.post(f"/api/downloads/cancel/{other}")

    expect(page.locator("#room")).to_have_text(re.compile(r"^Only 3\.0\sGB free$"))
    expect(page.locator("#room")).to_have_attribute("data-short", "true")


def test_ten_thousand_tasks_are_found_and_never_all_in_the_page(visit, tasks, service):
    tasks()
    for start in range(0, MANY, 1000):
        tasks_of = [{"url": f"https://example.com/film/{number}"} for number in range(start, start + 1000)]
        service.http.post("/api/downloads/batch/add", json=tasks_of)

    page = visit()

    expect(page.locator("#tasks > li")).to_have_count(50)
    expect(page.locator("#waiting")).to_have_text("10,000 waiting")
    assert page.evaluate("document.querySelectorAll('*').length") < 4000
    page.get_by_role("searchbox", name="Search").fill("film/7777")
    expect(page.locator("#tasks > li")).to_have_count(1)
    page.get_by_role("searchbox", name="Search").fill("")
    expect(page.get_by_text("Page 1 of 200")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("Page 2 of 200")).to_be_visible()
    expect(page.locator("#tasks > li")).to_have_count(50)
    expect(page.locator("#connection")).to_have_text("Live")
