"""How links come in: one and many, pasted, dropped, looked at first, there already, and sent from elsewhere."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import PASTE, SLOW, needs_chromium, paste, row_of, state_of

pytestmark = needs_chromium

PASTE_ANYWHERE = """text => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    const init = { clipboardData: data, bubbles: true, cancelable: true };
    document.activeElement.dispatchEvent(new ClipboardEvent("paste", init));
}"""
DROP_FILE = """text => {
    const data = new DataTransfer();
    data.items.add(new File([text], "links.txt", { type: "text/plain" }));
    for (const type of ["dragover", "drop"]) {
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    }
}"""


@pytest.fixture
def page(visit):
    page = visit()
    expect(page.locator("#connection")).to_have_text("Live")
    return page


def links(page):
    return page.locator("#links li").all_inner_texts()


def test_a_paste_of_many_lines_becomes_a_list_that_is_downloaded_at_once(page, link):
    first, second = link(), link()
    page.evaluate(PASTE_ANYWHERE, f"see {first},\nand <{second}>.")

    expect(page.locator("#links li")).to_have_count(2)
    assert links(page) == [first, second]
    page.get_by_role("button", name="Download 2").click()

    expect(state_of(page, first)).to_have_text("Completed")
    expect(state_of(page, second)).to_have_text("Completed")
    expect(page.locator("#links")).to_be_hidden()
    expect(page.get_by_placeholder(PASTE)).to_have_value("")


def test_a_link_is_taken_wherever_it_is_pasted_and_starts_nothing(page, link, service):
    video = link()
    page.locator("#main").focus()

    page.evaluate(PASTE_ANYWHERE, video)

    expect(page.get_by_placeholder(PASTE)).to_have_value(video)
    expect(page.get_by_placeholder(PASTE)).to_be_focused()
    assert service.http.get("/api/downloads/tasks", params={"q": video}).json() == []


def test_a_paste_into_another_field_is_that_fields_own(page):
    page.get_by_role("searchbox", name="Search").focus()

    page.evaluate(PASTE_ANYWHERE, "https://example.com/a https://example.com/b")

    expect(page.locator("#links")).to_be_hidden()


def test_a_dropped_text_file_becomes_a_list(page):
    page.evaluate(DROP_FILE, "example.com/one\nexample.com/two\n\nnot a link at all\n")

    expect(page.locator("#links li")).to_have_count(2)
    page.get_by_label("Remove example.com/one").click()
    assert links(page) == ["example.com/two"]


def test_of_many_links_the_bad_ones_stay_with_their_reasons(page, link):
    video = link()
    page.evaluate(PASTE_ANYWHERE, f"{video}\nhttp://user:secret@example.com/")

    page.get_by_role("button", name="Download 2").click()

    expect(row_of(page, video)).to_be_visible()
    expect(page.get_by_text("User names and passwords in an address are not accepted")).to_be_visible()
    assert links(page) == ["http://user:secret@example.com/"]


def test_what_is_here_already_is_said_and_can_be_had_all_the_same(page, link, service):
    video = link()
    paste(page, video)
    expect(state_of(page, video)).to_have_text("Completed")

    paste(page, video)

    expect(page.get_by_text("This is here already: Completed.")).to_be_visible()
    assert len(service.http.get("/api/downloads/tasks", params={"q": video}).json()) == 1
    page.get_by_role("button", name="Download it all the same").click()
    expect(row_of(page, video)).to_have_count(2)
    expect(page.get_by_text("This is here already")).to_have_count(0)


def test_what_is_here_already_is_said_without_javascript_too(visit, link, service):
    page, video = visit(java_script_enabled=False), link()
    service.wait_for(service.download(video))

    paste(page, video)

    expect(page.get_by_text("This is here already: Completed.")).to_be_visible()
    page.get_by_role("button", name="Download it all the same").click()
    expect(row_of(page, video)).to_have_count(2)


def test_a_look_first_shows_what_there_is_and_downloads_what_is_chosen(page, link, service):
    video = link("/hls/multi/master.m3u8")
    page.get_by_placeholder(PASTE).fill(video)

    page.get_by_role("button", name="Look first").click()

    sheet = page.get_by_role("dialog", name="master")
    expect(sheet.get_by_role("radio")).to_have_count(3)
    expect(sheet.get_by_role("radio", name="720p")).to_be_checked()
    sheet.get_by_text("All formats").click()
    expect(sheet.get_by_role("row")).to_have_count(4)
    expect(sheet.locator("tr[data-taken]")).to_contain_text("1280 × 720")
    sheet.get_by_role("radio", name="180p").check()
    sheet.get_by_role("button", name="Download").click()
    expect(state_of(page, video)).to_have_text("Completed")
    [task] = service.http.get("/api/downloads/tasks", params={"q": video}).json()
    assert task["choices"] == {"max_height": 180}


@pytest.fixture
def preset(service):
    """A preset that is there for one test."""
    service.http.put("/api/downloads/presets/phone", json={"quality": "360p"}).raise_for_status()
    yield "phone"
    service.http.delete("/api/downloads/presets/phone")


def test_a_look_shows_what_a_download_by_the_chosen_preset_takes(preset, page, link):
    page.get_by_label("Preset").select_option(preset)
    page.get_by_placeholder(PASTE).fill(link("/hls/multi/master.m3u8"))

    page.get_by_role("button", name="Look first").click()

    expect(page.get_by_role("dialog").get_by_role("radio", name="360p")).to_be_checked()


def test_the_picture_is_seen_at_the_look_and_in_the_row_and_comes_from_here(page, link):
    video = link("/page/titled.html", title="A film", picture="/companions/picture.jpg")
    page.get_by_placeholder(PASTE).fill(video)
    page.get_by_role("button", name="Look first").click()

    sheet = page.get_by_role("dialog", name="A film")
    expect(sheet.locator("img")).to_have_js_property("naturalWidth", 640)
    sheet.get_by_role("button", name="Download").click()

    expect(state_of(page, video)).to_have_text("Completed")
    expect(row_of(page, video).locator("img")).to_have_js_property("naturalWidth", 640)
    expect(row_of(page, video).locator(".letter")).to_be_hidden()


def test_a_look_at_a_playlist_lets_one_choose_its_entries(page, link, service):
    playlist = link("/page/playlist.html")
    page.get_by_placeholder(PASTE).fill(playlist)
    page.get_by_role("button", name="Look first").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("checkbox")).to_have_count(3)
    expect(sheet.get_by_text("3 of 3 entries chosen")).to_be_visible()

    sheet.get_by_role("searchbox").fill("(2)")
    expect(sheet.get_by_role("checkbox")).to_have_count(1)
    sheet.get_by_role("button", name="None").click()
    expect(sheet.get_by_label("Numbers")).to_have_value("1,3")
    sheet.get_by_label("Numbers").fill("2-3")
    expect(sheet.get_by_text("2 of 3 entries chosen")).to_be_visible()
    sheet.get_by_role("button", name="Download").click()

    expect(state_of(page, playlist)).to_have_text("Completed", timeout=20_000)
    [task] = service.http.get("/api/downloads/tasks", params={"q": playlist, "playlist": "none"}).json()
    items = service.http.get("/api/downloads/tasks", params={"playlist": task["id"], "order": "created_at"}).json()
    assert [item["playlist_index"] for item in items] == [2, 3]


def test_a_look_at_nothing_says_why(page, link):
    page.get_by_placeholder(PASTE).fill(link("/status/404"))

    page.get_by_role("button", name="Look first").click()

    expect(page.get_by_text("The site has nothing at this address; check it for a typing error.")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Look first")).to_be_enabled()


def test_finer_wishes_are_kept_with_the_task(page, link, service):
    video = link()
    page.get_by_text("Advanced").click()
    page.get_by_label("File name").fill("My film")
    page.get_by_label("Clip from").fill("0:01")
    page.get_by_label("Clip to").fill("2.5")
    page.get_by_label("Subtitles", exact=True).fill("en, zh-Hans")
    page.get_by_label("Title, uploader and chapters in the file").check()

    paste(page, video)

    expect(row_of(page, video)).to_be_visible()
    [task] = service.http.get("/api/downloads/tasks", params={"q": video}).json()
    assert task["custom_filename"] == "My film"
    assert task["choices"] == {
        "section": {"from": 1.0, "to": 2.5},
        "subtitles": {"languages": ["en", "zh-Hans"]},
        "metadata": True,
        "chapters": True,
    }
    expect(page.get_by_label("Clip from")).to_have_value("")


def test_a_link_from_elsewhere_waits_until_somebody_says_so(visit, link, service):
    video = link()

    page = visit(f"/add?url={video.replace('&', '%26')}")

    expect(page.get_by_placeholder(PASTE)).to_have_value(video)
    expect(page.get_by_text("Nothing happens until you say so.")).to_be_visible()
    assert service.http.get("/api/downloads/tasks", params={"q": video}).json() == []
    page.get_by_role("button", name="Download", exact=True).click()
    expect(state_of(page, video)).to_have_text("Completed")


def test_a_failed_download_leads_to_where_another_form_is_chosen(page, link, service):
    video = link("/hls/aes/index.m3u8", need_cookie=1)
    paste(page, video)
    expect(state_of(page, video)).to_have_text("Failed")

    row_of(page, video).get_by_role("link", name="Add cookies and try again").click()

    expect(page).to_have_url(re.compile(r"/tasks/\w+#id_cookies$"))
    expect(page.get_by_label("Cookies")).to_be_focused()
    page.get_by_label("Cookies").fill("pass=open")
    page.get_by_role("button", name="Save and start").click()
    expect(page.locator("#this-task .state")).to_have_text("Completed")
    expect(page.get_by_text("Attempt 2 brought the whole file.")).to_be_visible()


def test_the_page_of_a_task_follows_it(visit, link, service):
    task_id = service.download(link("/direct/video.mp4", rate=SLOW * 4))
    page = visit(f"/tasks/{task_id}")
    expect(page.get_by_text("When all bytes are here, the file is put together")).to_be_visible()

    expect(page.get_by_text("Nothing more: the file is in the library")).to_be_visible(timeout=15_000)

    expect(page.get_by_text(re.compile(r"H264 · \d+ × \d+ · \d+ fps"))).to_be_visible()
    expect(page.get_by_text("Attempt 1 brought the whole file.")).to_be_visible()
    expect(page.locator("#play video")).to_be_visible()
