"""The admin: everything about tasks to see, nothing to break, and every act by the same door as elsewhere."""

import html
import re

import pytest
from django.contrib.auth.models import Permission

from downloads import operations
from downloads.models import Preset, Task
from downloads.operations import Wish
from downloads.states import Status

LIST = "/admin/downloads/task/"


@pytest.fixture
def admin(admin_client):
    return admin_client


def test_the_list_shows_a_task(admin):
    Task.objects.create(
        url="https://example.com/1",
        title="A film",
        site="example.com",
        status=Status.PAUSED,
        progress_percentage=33.3,
        downloaded_bytes=1024 * 1024,
        total_bytes=3 * 1024 * 1024,
    )

    page = admin.get(LIST).text

    assert "A film" in page
    assert '<td class="field-status">Paused</td>' in page
    assert '<progress max="100" value="33.3"></progress> 33.3%' in page
    assert "1.0\xa0MB / 3.0\xa0MB" in page


@pytest.mark.parametrize("field", ["title", "url", "uploader"])
def test_search_finds_by_title_link_and_uploader(admin, field):
    Task.objects.create(**({"url": "https://example.com/1"} | {field: "https://needle.example/"}))
    Task.objects.create(url="https://example.com/2")

    page = admin.get(LIST, {"q": "needle"}).text

    assert "1 result" in page


def test_the_list_can_be_narrowed_to_a_state(admin):
    Task.objects.create(url="https://example.com/failed", status=Status.FAILED)
    Task.objects.create(url="https://example.com/paused", status=Status.PAUSED)

    page = admin.get(LIST, {"status__exact": "failed"}).text

    assert "https://example.com/failed" in page
    assert "https://example.com/paused" not in page


def test_a_task_cannot_be_edited(admin):
    task = Task.objects.create(url="https://example.com/")

    page = admin.get(f"{LIST}{task.id}/change/").text

    assert 'name="_save"' not in page
    assert not re.search(r'<(input|select|textarea)[^>]* name="(?!csrf|attempts-)', page)


def test_a_forged_save_changes_nothing(admin):
    task = Task.objects.create(url="https://example.com/")

    answer = admin.post(f"{LIST}{task.id}/change/", {"url": "https://evil.example/", "status": "completed"})

    assert answer.status_code == 403
    task.refresh_from_db()
    assert (task.url, task.status) == ("https://example.com/", Status.PENDING)


def test_a_task_is_added_with_all_that_can_be_wished_for(admin, django_capture_on_commit_callbacks):
    wishes = {
        "url": "example.com/video",
        "quality": "720p",
        "custom_filename": "film.mp4",
        "cookies": "session=secret",
        "languages": "en, zh-Hans",
        "subtitles_place": "beside",
        "max_megabytes": "1.5",
        "section_from": "10",
        "section_to": "20",
        "metadata": "on",
        "auto_start": "on",
    }
    with django_capture_on_commit_callbacks():
        answer = admin.post(f"{LIST}add/", wishes)
    assert answer.status_code == 302, answer.text
    task = Task.objects.get()
    assert (task.url, task.quality, task.status) == ("https://example.com/video", "720p", Status.QUEUED)
    assert task.choices == {
        "metadata": True,
        "max_filesize": 1_572_864,
        "subtitles": {"languages": ["en", "zh-Hans"], "place": "beside"},
        "section": {"from": 10.0, "to": 20.0},
    }


def test_what_is_left_as_it_is_is_as_the_preset_says(admin, django_capture_on_commit_callbacks):
    Preset.objects.create(name="phone", quality="480p", choices={"container": "mkv", "thumbnail": "embed"})
    wishes = {"url": "https://example.com/", "preset": "phone", "container": "source", "thumbnail": "beside"}
    with django_capture_on_commit_callbacks():
        admin.post(f"{LIST}add/", wishes)
    task = Task.objects.get()
    assert (task.quality, task.choices) == ("480p", {"container": "mkv", "thumbnail": "beside"})


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("url", "ftp://example.com/", "Only web addresses that begin with http:// or https:// can be downloaded."),
        ("custom_filename", "a/b", "A file name cannot have a slash or a backslash in it."),
        ("cookies", "no cookie", "Part 1 of the cookies is not of the form name=value."),
        ("languages", "--exec", "--exec is no language; give one such as en."),
        ("section_to", "5", "A section ends after it begins."),
        ("playlist_items", "1-", "Give numbers and ranges with commas between them, such as 1-10,15."),
    ],
)
def test_a_wish_that_cannot_be_is_refused_at_its_field(admin, field, value, sentence):
    wishes = {"url": "https://example.com/", "section_from": "10", field: value}
    assert sentence in html.unescape(admin.post(f"{LIST}add/", wishes).text)
    assert not Task.objects.exists()


def test_a_preset_is_made_and_changed_field_by_field(admin):
    preset = {"name": "phone", "quality": "480p", "post_processing": "mp4", "languages": "en", "is_default": "on"}
    admin.post("/admin/downloads/preset/add/", preset)
    stored = Preset.objects.get()
    assert (stored.is_default, stored.choices) == (True, {"subtitles": {"languages": ["en"]}})
    page = admin.get(f"/admin/downloads/preset/{stored.pk}/change/").text
    assert 'name="languages" value="en"' in page
    admin.post(f"/admin/downloads/preset/{stored.pk}/change/", preset | {"languages": "", "thumbnail": "embed"})
    stored.refresh_from_db()
    assert stored.choices == {"thumbnail": "embed"}


def test_cookies_are_never_shown(admin):
    task = operations.add(Wish(url="https://example.com/", cookies="session=secret")).task

    page = admin.get(f"{LIST}{task.id}/change/").text

    assert "secret" not in page
    assert task.sealed_cookies not in page


def test_attempts_are_shown_with_their_task(admin):
    task = Task.objects.create(url="https://example.com/", status=Status.QUEUED)
    Task.objects.claim(task.id, "worker-7")

    assert "worker-7" in admin.get(f"{LIST}{task.id}/change/").text


def test_start_starts_what_can_be_started_and_says_what_cannot(admin):
    waiting = Task.objects.create(url="https://example.com/waiting")
    completed = Task.objects.create(url="https://example.com/done", status=Status.COMPLETED)

    page = act(admin, "start", waiting, completed).text

    waiting.refresh_from_db()
    assert waiting.status == Status.QUEUED
    assert "1 task was started." in page
    assert "done: This task is completed" in page


def test_cancel_cancels_with_a_count(admin):
    tasks = [Task.objects.create(url=f"https://example.com/{number}") for number in range(2)]

    page = act(admin, "cancel", *tasks).text

    assert set(Task.objects.values_list("status", flat=True)) == {Status.CANCELLED}
    assert "2 tasks were cancelled." in page


def test_deleting_many_goes_through_operations(admin, deleted, django_capture_on_commit_callbacks):
    tasks = [Task.objects.create(url=f"https://example.com/{number}") for number in range(2)]

    with django_capture_on_commit_callbacks(execute=True):
        act(admin, "delete_selected", *tasks, post="yes")

    assert deleted == {task.id for task in tasks}


def test_deleting_one_goes_through_operations(admin, deleted, django_capture_on_commit_callbacks):
    task = Task.objects.create(url="https://example.com/")

    with django_capture_on_commit_callbacks(execute=True):
        admin.post(f"{LIST}{task.id}/delete/", {"post": "yes"})

    assert deleted == {task.id}


def test_deleting_a_running_task_asks_its_worker_to_stop(admin, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(operations, "STOP_WAIT", 0)
    task = Task.objects.create(url="https://example.com/", status=Status.QUEUED)
    Task.objects.claim(task.id, "a worker")

    with django_capture_on_commit_callbacks(execute=True):
        admin.post(f"{LIST}{task.id}/delete/", {"post": "yes"})

    task.refresh_from_db()
    assert (task.status, task.stop) == (Status.STARTING, "delete")


def test_somebody_who_may_only_look_gets_no_buttons(client, django_user_model):
    looker = django_user_model.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(looker)
    task = Task.objects.create(url="https://example.com/")

    assert 'value="start"' not in client.get(LIST).text
    act(client, "start", task)
    assert Task.objects.get().status == Status.PENDING


@pytest.fixture
def deleted(monkeypatch):
    """The ids that `operations.delete` was called with; they are deleted for real."""
    ids = set()
    delete = operations.delete
    monkeypatch.setattr(operations, "delete", lambda task_id: (ids.add(task_id), delete(task_id)))
    yield ids
    assert not Task.objects.filter(pk__in=ids).exists()


def act(client, action, *tasks, **fields):
    data = {"action": action, "_selected_action": [task.id for task in tasks], **fields}
    return client.post(LIST, data, follow=True)
