"""The admin: everything about tasks to see, nothing to break, and every act by the same door as elsewhere."""

import html
import re
from unittest.mock import Mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from downloads import operations, task_admin
from downloads.library.local import LocalLibrary
from downloads.models import Preset, Task
from downloads.operations import Wish
from downloads.states import Status
from tests.tasks import task_in

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


@pytest.mark.parametrize(
    ("action", "before", "after", "sentence"),
    [
        ("start", "pending", "queued", "2 tasks were started."),
        ("start", "paused", "queued", "2 tasks were started."),
        ("pause", "queued", "paused", "2 tasks were paused."),
        ("cancel", "paused", "cancelled", "2 tasks were cancelled."),
        ("retry", "failed", "queued", "2 tasks are tried again."),
    ],
)
def test_an_action_is_done_to_all_with_a_count(admin, action, before, after, sentence):
    page = act(admin, action, task_in(before), task_in(before)).text

    assert set(Task.objects.values_list("status", flat=True)) == {after}
    assert sentence in page


@pytest.mark.parametrize(("action", "stop"), [("pause", "pause"), ("cancel", "cancel")])
def test_a_running_task_is_asked_to_stop_and_nobody_waits_for_it(admin, action, stop):
    task = task_in("downloading")

    page = act(admin, action, task).text

    task.refresh_from_db()
    assert (task.status, task.stop) == ("downloading", stop)
    assert "1 task is being stopped." in page


def test_a_refusal_of_many_is_said_once(admin):
    page = act(admin, "retry", task_in("paused"), task_in("paused")).text

    assert page.count("This task is paused") == 1
    assert "2 tasks: This task is paused; only a failed or cancelled one can be retried." in page


def test_a_refusal_is_said_in_the_readers_language(admin):
    page = act(admin, "retry", task_in("paused"), task_in("paused"), headers={"Accept-Language": "zh-CN"}).text

    assert "2 个任务: 此任务已暂停；只有失败或已取消的任务可以重试。" in page


def test_too_many_at_once_are_refused_with_what_to_do(admin, monkeypatch):
    monkeypatch.setattr(task_admin, "AT_MOST", 1)

    page = act(admin, "start", task_in("pending"), task_in("pending")).text

    assert "Select 1 tasks at most; filters and dates narrow the list." in page
    assert not Task.objects.filter(status=Status.QUEUED).exists()


# Deletion


@pytest.fixture
def library(settings, tmp_path):
    settings.LIBRARY_DIR, settings.WORK_DIR = tmp_path / "library", tmp_path / "work"
    settings.LIBRARY_DIR.mkdir()
    return settings.LIBRARY_DIR


def completed(library, name):
    (library / name).write_bytes(b"film")
    return task_in("completed", file_name=name, file_size=2 * 1024 * 1024, title=name)


def ask(admin, *tasks):
    """What is asked before anything is deleted, and the fields that the answer has to bring."""
    page = act(admin, "delete_selected", *tasks).text
    fields = dict(re.findall(r'<input type="hidden" name="(ids|_selected_action)" value="([^"]*)"', page))
    return html.unescape(page), fields | {"action": "delete_selected"}


def test_before_anything_is_deleted_it_is_said_what_goes(admin, library):
    playlist = Task.objects.create(url="https://example.com/list", is_playlist=True, title="A list")
    Task.objects.create(url="https://example.com/1", playlist=playlist)
    page, _ = ask(admin, completed(library, "a.mp4"), completed(library, "b.mp4"), task_in("downloading"), playlist)

    assert "Delete 4 tasks?" in page
    assert "A list" in page
    assert "1 item of a playlist goes along." in page
    assert "1 of these is running and is stopped first." in page
    assert "Finished files stay in the library unless you say otherwise." in page
    assert "Delete 2 finished files too (4.0\xa0MB)" in page
    assert Task.objects.count() == 5


def test_many_are_not_all_named(admin):
    page, _ = ask(admin, *(task_in("pending") for _ in range(12)))
    assert "and 2 more" in page


@pytest.mark.parametrize(("said", "stays"), [({}, True), ({"delete_files": "yes"}, False)])
def test_finished_files_go_only_if_somebody_says_so(admin, library, said, stays):
    _, fields = ask(admin, completed(library, "a.mp4"), completed(library, "b.mp4"))

    page = admin.post(LIST, fields | said, follow=True).text

    assert "2 tasks were deleted." in page
    assert not Task.objects.exists()
    assert (library / "a.mp4").exists() is stays


def test_what_was_not_asked_about_is_not_deleted(admin):
    _, fields = ask(admin, task_in("pending"))
    later = task_in("pending")

    admin.post(LIST, fields | {"select_across": "1"}, follow=True)

    assert Task.objects.get() == later


def test_a_file_that_cannot_be_deleted_is_said(admin, library, monkeypatch):
    monkeypatch.setattr(LocalLibrary, "delete_stored", Mock(side_effect=PermissionError(13, "Permission denied")))
    _, fields = ask(admin, completed(library, "a.mp4"))

    page = admin.post(LIST, fields | {"delete_files": "yes"}, follow=True).text

    assert "Tasks are deleted, but not all of their files: Permission denied." in page


def test_one_task_is_asked_about_and_deleted_in_the_same_way(admin, library):
    task = completed(library, "a.mp4")

    assert "Delete 1 finished file too" in admin.get(f"{LIST}{task.id}/delete/").text
    answer = admin.post(f"{LIST}{task.id}/delete/", follow=True)

    assert "1 task was deleted." in answer.text
    assert not Task.objects.exists()
    assert (library / "a.mp4").exists()


def test_deleting_a_running_task_asks_its_worker_to_stop(admin):
    task = task_in("downloading")

    page = admin.post(f"{LIST}{task.id}/delete/", follow=True).text

    task.refresh_from_db()
    assert (task.status, task.stop) == ("downloading", "delete")
    assert "1 task is being stopped." in page


def test_who_deleted_what_is_in_the_log_of_the_admin(admin, admin_user):
    task = task_in("pending", title="A film")
    admin.post(f"{LIST}{task.id}/delete/")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr, entry.is_deletion()) == (admin_user, "A film", True)


def test_a_task_that_is_gone_is_said_to_be_gone(admin):
    assert "doesn’t exist" in html.unescape(admin.get(f"{LIST}000000000000/delete/", follow=True).text)


def test_somebody_who_may_only_look_gets_no_buttons(client, django_user_model):
    looker = django_user_model.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(looker)
    task = Task.objects.create(url="https://example.com/")

    assert 'value="start"' not in client.get(LIST).text
    act(client, "start", task)
    act(client, "delete_selected", task, ids=task.id)
    assert client.post(f"{LIST}{task.id}/delete/").status_code == 403
    assert Task.objects.get().status == Status.PENDING


def test_the_page_of_a_task_leads_to_its_live_one(admin):
    task = task_in("pending")
    assert f'href="/tasks/{task.id}"' in admin.get(f"{LIST}{task.id}/change/").text


def act(client, action, *tasks, headers=None, **fields):
    data = {"action": action, "_selected_action": [task.id for task in tasks], **fields}
    return client.post(LIST, data, follow=True, headers=headers)
