"""What is done to tasks on the page: one at a time, many at once, by mouse and by keyboard; and how it is undone."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser import SLOW, choose, needs_chromium, paste, row_of, state_of
from tests.service import wait_until

pytestmark = needs_chromium


@pytest.fixture
def page(visit, service):
    """The page with five tasks that wait for their start, the newest e, and nothing else; it is live."""
    everything = [task["id"] for task in service.http.get("/api/downloads/tasks?limit=500").json()]
    service.http.post("/api/downloads/batch/delete", json=everything)
    urls = [{"url": f"https://example.com/{letter}"} for letter in "abcde"]
    service.http.post("/api/downloads/batch/add", json=urls)
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator("#connection")).to_have_text("Live")
    return page


def box(page, letter):
    return page.get_by_label(f"Select https://example.com/{letter}", exact=True)


def states(service):
    return {task["url"][-1]: task["status"] for task in service.http.get("/api/downloads/tasks").json()}


def confirm(page):
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()


def test_pause_and_resume_with_one_button(page, link):
    video = link("/direct/video.mp4", rate=SLOW)
    paste(page, video)
    expect(state_of(page, video)).to_have_text("Downloading")

    row_of(page, video).get_by_role("button", name="Pause").click()

    expect(state_of(page, video)).to_have_text("Paused")
    row_of(page, video).get_by_role("button", name="Resume").click()
    expect(state_of(page, video)).to_have_text("Downloading")


def test_a_deletion_can_be_undone(page, service):
    row = page.locator("#tasks > li").filter(has_text="/c")
    row.get_by_role("button", name="Delete https://example.com/c").click()
    confirm(page)
    expect(page.locator("#tasks > li")).to_have_count(4)
    assert "c" in states(service)

    page.get_by_role("button", name="Undo").click()

    expect(page.locator("#tasks > li")).to_have_count(5)
    expect(page.locator("#announcement")).to_have_text("Nothing was deleted.")
    assert "c" in states(service)


def test_a_deletion_is_done_after_five_seconds(page, service):
    page.get_by_role("button", name="Delete https://example.com/c").click()
    began = time.monotonic()
    confirm(page)

    wait_until(lambda: "c" not in states(service))

    assert 4.5 < time.monotonic() - began < 25
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_leaving_the_page_does_what_was_to_be_deleted(page, service):
    page.get_by_role("button", name="Delete https://example.com/c").click()
    confirm(page)
    assert "c" in states(service)

    page.goto("about:blank")

    wait_until(lambda: "c" not in states(service), limit=20)


def test_shift_and_a_click_select_all_in_between(page, service):
    box(page, "d").click()
    box(page, "b").click(modifiers=["Shift"])

    expect(page.get_by_text("3 selected", exact=True).first).to_be_visible()
    page.get_by_role("toolbar").get_by_role("button", name="Cancel").click()

    wait_until(lambda: [states(service)[letter] for letter in "bcd"] == ["cancelled"] * 3)
    assert states(service)["a"] == states(service)["e"] == "pending"
    expect(page.locator("#tasks .state", has_text="Cancelled")).to_have_count(3)


def test_what_cannot_be_done_to_some_is_said_and_done_to_the_others(page, service):
    box(page, "a").click()
    box(page, "b").click()

    page.get_by_role("toolbar").get_by_role("button", name="Pause").click()

    said = page.get_by_role("alert").filter(has_text="2 could not be done")
    expect(said).to_be_visible()
    service.add("https://example.com/f")
    expect(box(page, "f")).to_be_visible()
    page.wait_for_timeout(1500)  # the list asks anew
    expect(said).to_be_visible()


def test_many_are_deleted_at_once(page, service):
    box(page, "a").click()
    page.get_by_role("toolbar").get_by_role("button", name="Select all 5").click()
    expect(page.locator("#selected")).to_have_text("5 selected")
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 5 downloads?")).to_be_visible()

    confirm(page)

    expect(page.locator("#tasks > li")).to_have_count(0)
    expect(page.get_by_role("toolbar")).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#tasks > li")).to_have_count(5)


def test_links_are_copied(page):
    box(page, "a").click()
    box(page, "b").click()

    page.get_by_role("toolbar").get_by_role("button", name="Copy links").click()

    expect(page.locator(".toast")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "https://example.com/a\nhttps://example.com/b"


def test_the_link_of_one_is_copied_from_its_menu(page):
    choose(page, "https://example.com/d", "Copy the link")

    expect(page.locator(".toast")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "https://example.com/d"


def test_the_keyboard_alone_selects_and_deletes(page, service):
    page.locator("#main").focus()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#tasks > li").nth(1)).to_be_focused()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+j")
    expect(page.get_by_text("3 selected", exact=True).first).to_be_visible()
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator("#tasks > li")).to_have_count(2)
    page.keyboard.press("u")
    expect(page.locator("#tasks > li")).to_have_count(5)
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar")).to_be_hidden()


def test_keys_find_the_fields_and_show_their_list(page):
    page.locator("#main").focus()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.keyboard.type("n?")
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("n?")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#id_url")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_single_keys_can_be_switched_off(page):
    page.get_by_label("Settings").click()
    page.get_by_role("switch", name="Keyboard shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.locator("#main").focus()

    page.keyboard.press("/")

    expect(page.get_by_role("searchbox", name="Search")).not_to_be_focused()


def test_enter_on_a_row_leads_to_its_page(page):
    page.locator("#main").focus()
    page.keyboard.press("j")

    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/tasks/[0-9a-f]{12}$"))
    expect(page.get_by_text("It waits until you start it.")).to_be_visible()
    page.get_by_role("navigation", name="Where you are").get_by_role("link", name="Downloads").click()
    expect(page.locator("#tasks > li")).to_have_count(5)


def test_a_finished_file_plays_in_the_page(page, link):
    video = link("/direct/vp9.webm")
    paste(page, video)
    expect(state_of(page, video)).to_have_text("Completed")

    row_of(page, video).get_by_role("link", name=re.compile("^Play ")).click()

    player = page.get_by_role("dialog").locator("video")
    expect(player).to_be_visible()
    page.wait_for_function("video => video.currentTime > 0", arg=player.element_handle())
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row_of(page, video)).to_be_visible()


def test_the_tasks_of_all_pages_can_be_selected(page, service):
    urls = [{"url": f"https://example.com/more/{number}"} for number in range(55)]
    service.http.post("/api/downloads/batch/add", json=urls)
    expect(page.get_by_text("Page 1 of 2")).to_be_visible()
    page.locator("#tasks > li").first.focus()
    page.keyboard.press("Control+a")
    expect(page.locator("#selected")).to_have_text("50 selected")

    page.get_by_role("toolbar").get_by_role("button", name="Select all 60").click()
    expect(page.locator("#selected")).to_have_text("60 selected")
    page.get_by_role("toolbar").get_by_role("button", name="Cancel").click()

    wait_until(lambda: service.http.get("/api/downloads/counts").json()["cancelled"] == 60)
