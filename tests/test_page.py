"""The page without JavaScript: what the server renders and what its forms do."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.utils import timezone

from downloads import operations
from downloads.engine.errors import SENTENCES
from downloads.models import Task
from downloads.operations import Wish
from downloads.states import Status, Stop
from downloads.words import REFUSALS

pytestmark = pytest.mark.django_db

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9"}
MB = 1024 * 1024
DELETE = "Delete https://example.com/"  # by its name, since it shows a picture


@pytest.fixture
def task():
    return operations.add(Wish(url="https://example.com/watch")).task


def test_a_picture_stands_in_its_row_and_comes_from_here(client, task):
    letter = '<span class="letter" data-part="letter">E</span>'
    assert letter in client.get("/").text

    Task.objects.update(has_picture=True, thumbnail="https://pictures.example.com/1.jpg")

    page = client.get("/").text
    row = page[page.index("<li class") : page.index("</li>")]
    assert f'src="/api/downloads/tasks/{task.id}/picture"' in row
    assert letter not in row
    assert "<img" in row
    assert "pictures.example.com" not in row


def test_an_empty_list_tells_a_newcomer_what_to_do(client):
    page = client.get("/")

    assert page.status_code == 200
    assert "paste it into the field above" in text_of(page)


def test_posting_a_link_adds_and_starts_it(client):
    answer = client.post("/", {"url": " example.com/watch ", "quality": "720p", "post_processing": "audio"})

    assert (answer.status_code, answer.url) == (302, "/")
    task = Task.objects.get()
    assert (task.url, task.status) == ("https://example.com/watch", Status.QUEUED)
    assert (task.quality, task.post_processing) == ("720p", "audio")


def test_quality_and_format_may_be_left_out(client):
    client.post("/", {"url": "https://example.com/watch"})

    task = Task.objects.get()
    assert (task.quality, task.post_processing) == ("best", "none")


def test_a_refused_link_stays_in_the_field_with_the_reason(client):
    answer = client.post("/", {"url": "ftp://example.com/x", "quality": "480p"})

    assert answer.status_code == 400
    assert "Only web addresses that begin with http:// or https:// can be downloaded." in text_of(answer)
    assert 'value="ftp://example.com/x"' in answer.text
    assert '<option value="480p" selected>' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert not Task.objects.exists()


def test_an_empty_field_is_told_so(client):
    answer = client.post("/", {"url": "  "})

    assert answer.status_code == 400
    assert "Paste a link first." in text_of(answer)


def test_a_quality_that_does_not_exist_is_refused(client):
    answer = client.post("/", {"url": "https://example.com/watch", "quality": "8k"})

    assert answer.status_code == 400
    assert not Task.objects.exists()


def test_markup_in_a_link_and_a_title_is_text(client):
    Task.objects.create(url="https://example.com/?<script>", title="</script><img src=x>")

    page = client.get("/").text

    assert "<img src=x>" not in page
    assert "?<script>" not in page


def test_a_post_without_a_token_is_refused(client):
    client.handler.enforce_csrf_checks = True

    assert client.post("/", {"url": "https://example.com/watch"}).status_code == 403


def test_a_foreign_site_cannot_post(client):
    answer = client.post("/", {"url": "https://example.com/watch"}, HTTP_ORIGIN="https://evil.example")

    assert answer.status_code == 403


def test_start_queues_a_task(client, task):
    answer = client.post(f"/tasks/{task.id}/start")

    assert (answer.status_code, answer.url) == (302, "/")
    task.refresh_from_db()
    assert task.status == Status.QUEUED


def test_cancel_cancels_a_task(client, task):
    client.post(f"/tasks/{task.id}/cancel")

    task.refresh_from_db()
    assert task.status == Status.CANCELLED


def test_delete_deletes_a_task_and_keeps_its_file(client, settings, tmp_path):
    settings.LIBRARY_DIR = tmp_path
    (tmp_path / "film.mp4").write_bytes(b"film")
    task = Task.objects.create(url="https://example.com/", status=Status.COMPLETED, file_name="film.mp4", file_size=4)

    client.post(f"/tasks/{task.id}/delete")

    assert not Task.objects.exists()
    assert (tmp_path / "film.mp4").exists()


def test_a_verb_that_is_refused_says_why_above_the_list(client):
    task = Task.objects.create(url="https://example.com/", status=Status.COMPLETED)

    page = client.post(f"/tasks/{task.id}/cancel", follow=True)

    assert page.status_code == 200
    assert "This task is completed; there is nothing to cancel." in text_of(page)


def test_a_task_that_is_gone_is_said_to_be_gone(client):
    page = client.post("/tasks/0123456789ab/start", follow=True)

    assert "There is no task with this id" in text_of(page)


def test_a_verb_leads_back_to_where_its_button_was(client, task):
    assert client.post(f"/tasks/{task.id}/start", {"next": "/?tab=failed&page=2"}).url == "/?tab=failed&page=2"


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example/", "javascript:alert(1)"])
def test_a_verb_leads_to_no_other_host(client, task, address):
    assert client.post(f"/tasks/{task.id}/start", {"next": address}).url == "/"


def test_a_verb_that_does_not_exist_is_not_found(client, task):
    assert client.post(f"/tasks/{task.id}/explode").status_code == 404


@pytest.mark.parametrize("verb", ["start", "pause", "finish", "cancel", "delete"])
def test_looking_at_a_verb_does_nothing(client, task, verb):
    assert client.get(f"/tasks/{task.id}/{verb}").status_code == 405
    assert Task.objects.get().status == Status.PENDING


def test_a_running_task_shows_how_far_it_is(client, running):
    running(
        Status.DOWNLOADING, progress_percentage=45.7, downloaded_bytes=11 * MB, total_bytes=24 * MB, speed=MB, eta=73
    )

    page = client.get("/")

    assert "Downloading 45.7% 11.0 MB of 24.0 MB 1.0 MB/s 1 min 13 s left example.com" in text_of(page)
    assert re.search(r'<progress [^>]*value="45.7"', page.text)


def test_a_look_up_has_a_bar_without_a_value(client, running):
    running(Status.STARTING)

    assert re.search(r'<progress data-part="bar" max="100" aria-label="Progress"\s*></progress>', client.get("/").text)


def test_a_task_that_is_being_stopped_says_so(client, running):
    running(Status.DOWNLOADING, stop=Stop.CANCEL)

    assert "Cancelling…" in text_of(client.get("/"))
    assert buttons_of(client.get("/")) == ["Delete https://example.com/watch"]


def test_a_failed_task_says_what_happened(client):
    Task.objects.create(url="https://example.com/", status=Status.FAILED, error_message="The disk is full; do this.")

    page = client.get("/")

    assert "The disk is full; do this." in text_of(page)
    assert buttons_of(page) == ["Retry", DELETE]


def test_a_task_that_waits_for_its_next_attempt_says_when_and_why(client):
    soon = timezone.now() + timedelta(seconds=125)
    Task.objects.create(
        url="https://example.com/", status=Status.QUEUED, available_at=soon, failures=2, error_message="It failed."
    )

    page = text_of(client.get("/"))

    assert re.search(r"It failed\. Trying again in 2 min [45] s \(attempt 3\)", page)


def test_a_completed_task_offers_its_file_and_size(client):
    task = Task.objects.create(url="https://example.com/", status=Status.COMPLETED, file_name="a.mp4", file_size=5 * MB)

    page = client.get("/")

    assert "Completed" in text_of(page)
    assert "5.0 MB" in text_of(page)
    assert "Save file" in text_of(page)
    assert f'href="/api/downloads/tasks/{task.id}/file"' in page.text


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (Status.PENDING, ["Start", DELETE, "Cancel"]),
        (Status.QUEUED, ["Pause", DELETE, "Cancel"]),
        (Status.PAUSED, ["Resume", DELETE, "Cancel"]),
        (Status.CANCELLED, ["Start again", DELETE]),
        (Status.COMPLETED, [DELETE]),
    ],
)
def test_a_row_offers_what_can_be_done(client, status, wanted):
    Task.objects.create(url="https://example.com/", status=status)

    assert buttons_of(client.get("/")) == wanted


def test_fifty_tasks_are_on_a_page_newest_first(client):
    for number in range(51):
        Task.objects.create(
            url=f"https://example.com/{number}",
            title=f"Film {number:02}",
            created_at=timezone.now() + timedelta(seconds=number),
        )

    first, second = text_of(client.get("/")), text_of(client.get("/?page=2"))

    assert first.index("Film 50") < first.index("Film 01")
    assert "Film 00" not in first
    assert "Film 00" in second
    assert "Film 01" not in second
    assert "Page 1 of 2 Next" in first
    assert "Previous Page 2 of 2" in second


def test_a_browser_in_chinese_gets_chinese(client):
    Task.objects.create(url="https://example.com/", status=Status.COMPLETED, file_size=5 * MB)

    page = client.get("/", **CHINESE)

    assert '<html lang="zh-hans">' in page.text
    assert "已完成" in text_of(page)
    assert not re.search(r"[a-z]{4,} [a-z]{4,}", text_of(page).replace("cookies.txt", ""))


def test_a_refusal_is_said_in_chinese(client):
    answer = client.post("/", {"url": "cats"}, **CHINESE)

    assert "只能下载以 http:// 或 https:// 开头的网址。" in text_of(answer)


def test_an_error_of_the_engine_is_said_in_chinese(client):
    sentence = next(iter(SENTENCES.values()))
    Task.objects.create(url="https://example.com/", status=Status.FAILED, error_message=sentence)

    assert "这不是视频的地址；请检查后重新添加。" in text_of(client.get("/", **CHINESE))


def test_the_language_can_be_chosen(client):
    answer = client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/"}, follow=True)

    assert "还没有下载" in text_of(answer)


@pytest.mark.parametrize("link", ["https://", "https://u:p@example.com", "https://1.2.3.400", "https://ex ample.com"])
def test_the_page_knows_the_refusals_word_for_word(client, link):
    answer = client.post("/", {"url": link})

    assert any(sentence in text_of(answer) for sentence in REFUSALS)


def test_the_scripts_get_the_tasks_without_their_cookies(client):
    operations.add(Wish(url="https://example.com/watch", cookies="session=secret"))

    page = client.get("/").text

    data = json.loads(re.search(r'<script id="script-data" type="application/json">(.*?)</script>', page)[1])
    assert [task["url"] for task in data["tasks"]] == ["https://example.com/watch"]
    assert "secret" not in page


def test_nothing_in_the_page_needs_inline_script_or_style(client, task):
    page = client.get("/")

    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", page.text)
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_the_page_is_never_kept_by_a_cache(client):
    assert "no-store" in client.get("/").headers["Cache-Control"]


@pytest.fixture
def running():
    """Makes a task that a worker holds."""

    def make(status, **columns):
        task = operations.add(Wish(url="https://example.com/watch")).task
        task.queue()
        task = Task.objects.claim(task.id, "a worker")
        Task.objects.filter(pk=task.id).update(status=status, **columns)
        return task

    return make


class Reader(HTMLParser):
    """Reads what a person sees: no hidden elements, no templates, no data."""

    UNSEEN = frozenset({"head", "script", "template", "dialog", "option"})
    NEEDS_SCRIPT = "data-needs-script"
    WITHOUT_END = frozenset({"input", "img", "meta", "link"})

    def __init__(self, page):
        super().__init__()
        self.open, self.words, self.buttons = [], [], []
        self.feed(page.text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.WITHOUT_END:
            attributes = dict(attrs)
            is_unseen = tag in self.UNSEEN or "hidden" in attributes or self.NEEDS_SCRIPT in attributes
            self.open.append((tag, is_unseen, attributes))
            if "data-verb" in attributes and not any(unseen for _tag, unseen, _attributes in self.open):
                self.buttons.append(attributes.get("aria-label") or "")

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        if not data.strip() or any(is_unseen for _tag, is_unseen, _attributes in self.open):
            return
        self.words.append(data.replace("\xa0", " "))
        if "data-verb" in self.open[-1][2]:
            self.buttons[-1] = data


def text_of(page):
    return " ".join(" ".join(Reader(page).words).split())


def buttons_of(page):
    return Reader(page).buttons
