"""What was made of a row is used again for as long as the row is the same, and never for another one."""

import re

import msgspec
import pytest
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.translation import override

from downloads import seen as module
from downloads.models import Task
from downloads.rows import rows_html
from downloads.schemas import task_json
from downloads.seen import seen
from downloads.states import Status
from tests.tasks import task_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    monkeypatch.setattr(module, "_memory", module._Memory())


@pytest.fixture
def task():
    return task_in(Status.COMPLETED, title="one", file_name="one.mp4", finished_at=Now(), choices={"container": "mkv"})


def test_a_row_is_made_once(task):
    [first] = seen(Task.objects.all())
    [again] = seen(Task.objects.all())

    assert again is first
    assert again.json is first.json
    assert msgspec.json.decode(first.json) == task_json(Task.objects.get())


@pytest.mark.parametrize(
    "change",
    [
        {"title": "two"},
        {"downloaded_bytes": 1},
        {"choices": {"container": "mp4"}},
        {"keep": True},
        {"finished_at": Now()},
    ],
)
def test_a_row_that_is_another_one_by_now_is_made_anew(task, change):
    [before] = seen(Task.objects.all())
    assert before.json

    Task.objects.update(**change)

    [after] = seen(Task.objects.all())
    assert after is not before
    assert msgspec.json.decode(after.json) == task_json(Task.objects.get())


def test_what_is_known_and_what_is_new_come_in_their_order(task):
    seen(Task.objects.all())
    others = [task_in(Status.PENDING, title=title) for title in ("a", "z")]
    seen(Task.objects.filter(pk=others[1].pk))
    task_in(Status.PENDING, title="b")

    assert [each.task.title for each in seen(Task.objects.order_by("title"))] == ["a", "b", "one", "z"]


def test_what_is_read_beside_the_columns_is_there_too(task):
    [plain] = seen(Task.objects.all())
    [with_key] = seen(Task.objects.annotate(sort_key=Lower("uploader")))

    assert with_key is not plain
    assert with_key.task.sort_key == task.uploader.lower()


def test_nothing_is_found_where_there_is_nothing():
    assert seen(Task.objects.all()) == seen(Task.objects.none()) == []


def test_no_more_is_kept_than_it_may(monkeypatch, task):
    monkeypatch.setattr(module, "MOST", 2)
    tasks = [task, *(task_in(Status.PENDING) for _ in range(2))]
    first, second, third = (seen(Task.objects.filter(pk=each.pk))[0] for each in tasks)

    assert seen(Task.objects.filter(pk=tasks[2].pk)) == [third]
    assert seen(Task.objects.filter(pk=tasks[1].pk)) == [second]
    assert seen(Task.objects.filter(pk=tasks[0].pk)) != [first]


def test_the_page_says_each_row_in_the_language_of_who_asks(client, task):
    said = {}
    for language in ("en", "zh-hans", "en", "zh-hans"):
        text = client.get("/", headers={"Accept-Language": language}).content.decode()
        row = re.search(rf'<li class="task" id="task-{task.id}".*?</li>', text, re.DOTALL)[0]
        rest = re.sub(r'value="\w{64}"|nonce="[^"]*"', "", text)
        assert said.setdefault(language, (row, rest)) == (row, rest)
    assert "Everything about it" in said["en"][0]
    assert not re.search("Everything about it|Keyboard shortcuts|How large|Keep it", "".join(said["zh-hans"]))


def test_how_long_a_task_still_waits_is_said_anew(task):
    Task.objects.update(
        status=Status.QUEUED, finished_at=None, file_name="", available_at=timezone.now() + timezone.timedelta(hours=2)
    )
    with override("en"):
        first, second = (rows_html(seen(Task.objects.all())) for _ in range(2))

    assert first[0] is not second[0]
    assert "Trying again in" in first[0]


def test_what_scripts_are_told_cannot_end_the_script(client, task):
    Task.objects.update(title="</script><b>&amp;", uploader="<!--")

    text = client.get("/").content.decode()

    told = re.search(r'<script id="script-data" type="application/json">(.*?)</script>', text, re.DOTALL)[1]
    assert not set("<>&") & set(told)
    assert msgspec.json.decode(told)["tasks"] == [task_json(Task.objects.get())]
