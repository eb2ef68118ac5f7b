"""The page as a person meets it: the real service, a real browser, with JavaScript and without."""

import re

from playwright.sync_api import expect

from tests.browser import PASTE, SLOW, choose, needs_chromium, paste, row_of, state_of
from tests.service import wait_until

pytestmark = needs_chromium


def test_paste_and_enter_is_all_it_takes(visit, link, media):
    page, video = visit(), link("/direct/video.mp4", rate=SLOW * 6)

    paste(page, video)

    bar = row_of(page, video).get_by_role("progressbar")
    expect(page.get_by_placeholder(PASTE)).to_have_value("")
    expect(page.get_by_placeholder(PASTE)).to_be_focused()
    expect(state_of(page, video)).to_have_text("Downloading")
    expect(bar).to_have_attribute("value", re.compile(r"[1-9]"))
    seen = float(bar.get_attribute("value"))
    page.wait_for_function("([bar, seen]) => bar.value > seen", arg=[bar.element_handle(), seen])
    expect(state_of(page, video)).to_have_text("Completed", timeout=15_000)
    expect(bar).to_be_hidden()
    with page.expect_download() as download:
        row_of(page, video).get_by_role("link", name="Save file").click()
    assert download.value.path().read_bytes() == (media / "direct" / "video.mp4").read_bytes()


def test_whoever_is_faster_than_the_service_loses_no_link(visit, link):
    page, first, second = visit(), link(), link()
    page.route("/", lambda route: (page.wait_for_timeout(300), route.continue_()))

    paste(page, first)
    page.keyboard.press("Enter")
    paste(page, second)

    expect(row_of(page, first)).to_have_count(1)
    expect(row_of(page, second)).to_have_count(1)
    expect(page.get_by_placeholder(PASTE)).to_have_value("")


def test_an_empty_field_is_told_so_in_the_words_of_the_page(visit):
    page = visit()

    page.get_by_role("button", name="Download", exact=True).click()

    expect(page.get_by_role("alert").filter(has_text="Paste a link first.")).to_be_visible()


def test_without_the_feed_a_link_still_appears_at_once(visit, link):
    page, video = visit(sockets=lambda socket: socket.close()), link(rate=SLOW)
    expect(page.locator("#connection")).to_have_text("Reconnecting…")

    paste(page, video)

    expect(row_of(page, video)).to_be_visible()


def test_a_lost_feed_comes_back_and_catches_up(visit, link, service):
    sockets = []
    page = visit(sockets=lambda socket: (socket.connect_to_server(), sockets.append(socket)))
    video = link()
    expect(page.locator("#connection")).to_have_text("Live")

    sockets[0].close()
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    service.wait_for(service.download(video))

    expect(state_of(page, video)).to_have_text("Completed")
    expect(page.locator("#connection")).to_have_text("Live")


def test_a_refused_link_stays_and_the_reason_is_announced(visit):
    page = visit()

    paste(page, "cats")

    reason = "Only web addresses that begin with http:// or https:// can be downloaded."
    expect(page.get_by_role("alert").filter(has_text=reason)).to_be_visible()
    expect(page.get_by_placeholder(PASTE)).to_have_value("cats")
    expect(page.get_by_placeholder(PASTE)).to_be_focused()


def test_a_failed_download_says_why(visit, link):
    page, video = visit(), link("/status/404")

    paste(page, video)

    expect(state_of(page, video)).to_have_text("Failed")
    expect(row_of(page, video)).to_contain_text("The site has nothing at this address; check it for a typing error.")
    expect(row_of(page, video).get_by_role("button", name="Retry")).to_be_visible()


def test_cancel_and_start_again(visit, link):
    page, video = visit(), link("/direct/video.mp4", rate=SLOW)
    paste(page, video)
    expect(state_of(page, video)).to_have_text("Downloading")

    choose(page, video, "Cancel")

    expect(state_of(page, video)).to_have_text("Cancelled")
    expect(row_of(page, video).locator("[data-verb=cancel]")).to_be_hidden()
    row_of(page, video).get_by_role("button", name="Start again").click()
    expect(state_of(page, video)).to_have_text("Downloading")


def test_delete_asks_first_and_takes_the_file_along_if_told(visit, link, service):
    page, video = visit(), link()
    task_id = service.download(video)
    service.wait_for(task_id)
    file = service.file(task_id)
    row = row_of(page, video)

    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    expect(row).to_be_visible()
    assert file.exists()

    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_label("Also delete the file").check()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    wait_until(lambda: not file.exists())


def test_deleting_a_running_download_offers_no_file(visit, link):
    page, video = visit(), link("/direct/video.mp4", rate=SLOW)
    paste(page, video)
    expect(state_of(page, video)).to_have_text("Downloading")

    row_of(page, video).get_by_role("button", name="Delete").click()

    expect(page.get_by_label("Also delete the file")).to_be_hidden()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row_of(page, video)).to_have_count(0)


def test_what_another_page_does_shows_here(visit, link, service):
    page, video = visit(), link()
    expect(page.locator("#connection")).to_have_text("Live")

    task_id = service.download(video)

    expect(state_of(page, video)).to_have_text("Completed")
    service.http.delete(f"/api/downloads/tasks/{task_id}")
    expect(row_of(page, video)).to_have_count(0)


def test_the_choices_are_remembered(visit):
    page = visit()

    page.get_by_label("Quality").select_option("720p")
    page.get_by_label("Format", exact=True).select_option("audio")
    page.reload()

    expect(page.get_by_label("Quality")).to_have_value("720p")
    expect(page.get_by_label("Format", exact=True)).to_have_value("audio")


def test_everything_works_without_javascript(visit, link, media):
    page, video = visit(java_script_enabled=False), link()

    paste(page, video)

    expect(row_of(page, video)).to_be_visible()
    for _ in range(100):
        page.get_by_role("link", name="Show how far they are now").click()
        if state_of(page, video).text_content() == "Completed":
            break
        page.wait_for_timeout(100)
    with page.expect_download() as download:
        row_of(page, video).get_by_role("link", name="Save file").click()
    assert download.value.path().read_bytes() == (media / "direct" / "small.mp4").read_bytes()
    row_of(page, video).get_by_role("button", name="Delete").click()
    expect(row_of(page, video)).to_have_count(0)


def test_cancel_works_without_javascript(visit, link):
    page, video = visit(java_script_enabled=False), link("/direct/video.mp4", rate=SLOW)
    paste(page, video)

    choose(page, video, "Cancel")

    expect(state_of(page, video)).to_have_text("Cancelled")


def test_chinese_by_browser_stays_chinese_when_rows_change(visit, link):
    page, video = visit(locale="zh-CN"), link()

    page.get_by_placeholder("粘贴视频或音乐的链接").fill(video)
    page.keyboard.press("Enter")

    expect(state_of(page, video)).to_have_text("已完成")
    expect(row_of(page, video).get_by_role("link", name="保存文件")).to_be_visible()
    page.get_by_placeholder("粘贴视频或音乐的链接").fill("cats")
    page.keyboard.press("Enter")
    expect(page.get_by_text("只能下载以 http:// 或 https:// 开头的网址。")).to_be_visible()


def test_a_row_that_changes_is_not_made_anew(visit, link):
    page, video = visit(), link(rate=SLOW)
    paste(page, video)
    expect(row_of(page, video)).to_be_visible()
    row_of(page, video).evaluate("row => { row.marked = true }")

    expect(state_of(page, video)).to_have_text("Completed", timeout=15_000)

    assert row_of(page, video).evaluate("row => row.marked")


def test_the_admin_keeps_to_the_policy(visit):
    page = visit()

    page.goto("/admin/")

    expect(page.get_by_label("Username")).to_be_visible()
