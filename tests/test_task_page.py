"""A task's own page, as the server renders it, and what of it the API says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from downloads import files
from downloads.models import CookieJar, SiteRule, Task
from downloads.states import Outcome, Status, Stop
from tests.tasks import abandoned_task, task_in

pytestmark = pytest.mark.django_db

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9"}
FILE = "small film.mp4"


@pytest.fixture
def finished(settings, tmp_path, media):
    """A completed task whose file is there."""
    settings.LIBRARY_DIR = tmp_path
    content = (media / "direct" / "small.mp4").read_bytes()
    (tmp_path / FILE).write_bytes(content)
    return task_in(Status.COMPLETED, file_name=FILE, file_size=len(content), finished_at=timezone.now())


def test_a_task_that_is_not_there_is_said_to_be_gone(client):
    page = client.get("/tasks/0123456789ab")

    assert page.status_code == 404
    assert "There is no task with this id; it may have been deleted." in page.text


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (Status.PENDING, "It waits until you start it."),
        (Status.QUEUED, "It starts as soon as one of the 4 places is free."),
        (Status.DOWNLOADING, "When all bytes are here"),
        (Status.PAUSED, "It waits until you resume it"),
        (Status.FAILED, "Nothing, until you retry it"),
        (Status.CANCELLED, "Nothing, until you start it again"),
    ],
)
def test_what_happens_next_is_said_for_every_state(client, status, sentence):
    assert sentence in client.get(f"/tasks/{task_in(status).id}").text


def test_a_task_that_is_tried_again_says_when_and_how_often(client):
    task = task_in(Status.QUEUED, failures=2, available_at=timezone.now() + timedelta(minutes=5))

    page = client.get(f"/tasks/{task.id}").text

    assert "It is tried again by itself: attempt 3 after 2 of at most 5 failures." in page
    assert f'datetime="{task.available_at:%Y-%m-%dT%H:%M}' in page


def test_a_task_that_is_being_stopped_says_what_comes_of_it(client):
    task = task_in(Status.DOWNLOADING, stop=Stop.PAUSE)

    assert "It is paused as soon as its process has ended." in client.get(f"/tasks/{task.id}").text


def test_what_happened_is_told_in_order_with_its_reasons(client):
    task = abandoned_task()
    task.attempts.update(ended_at=timezone.now(), outcome=Outcome.RETRY, error_message="It <b>broke</b>.")

    page = client.get(f"/tasks/{task.id}").text

    assert page.index("Added.") < page.index("Attempt 1 began.") < page.index("Attempt 1 failed and is followed")
    assert "It &lt;b&gt;broke&lt;/b&gt;." in page


def test_what_could_not_be_had_is_said_with_the_attempt(client):
    task = task_in(Status.PROCESSING)
    task.finish(task.lease, 7, ["Without the subtitles de: HTTP Error 404: {gone}", "A note of {nobody}."])

    page = client.get(f"/tasks/{task.id}").text
    assert page.index("brought the whole file.") < page.index("Without the subtitles de: HTTP Error 404: {gone}")
    assert "A note of {nobody}." in page
    assert "没有 de 字幕：HTTP Error 404: {gone}" in client.get(f"/tasks/{task.id}", **CHINESE).text
    assert client.get(f"/api/downloads/tasks/{task.id}/attempts").json()[0]["notes"][1] == "A note of {nobody}."


def test_what_an_administrator_has_set_for_the_site_holds_and_is_said(client):
    task = task_in(Status.PENDING)
    SiteRule.objects.create(
        site="example.com", rate_limit=2 * 1024**2, impersonate="firefox", proxy="http://10.0.0.9:3128"
    )
    CookieJar.objects.create(site="example.com", sealed_cookies="x", changed_at=timezone.now())

    page = client.get(f"/tasks/{task.id}").text

    for words in ("2.0\xa0MB/s", "Firefox", "through a proxy", "those of the site&#x27;s jar"):
        assert f">{words}</dd>" in page
    assert "10.0.0.9" not in page


def test_what_was_asked_for_is_said_in_words(client):
    wanted = {"languages": ["en", "de"], "auto": True}
    choices = {"max_height": 720, "section": {"from": 30, "to": 90}, "subtitles": wanted, "skip_existing": True}
    task = task_in(Status.PENDING, quality="1080p", post_processing="mp4", choices=choices, sealed_cookies="x")

    page = client.get(f"/tasks/{task.id}").text

    for words in ("Up to 1080p", "MP4", "720p", "0:30 – 1:30", "given, and kept encrypted", "left out"):
        assert f">{words}</dd>" in page
    assert ">en, de · in the file · machine-made ones too</dd>" in page


def test_a_finished_file_shows_its_streams_and_plays(client, finished):
    page = client.get(f"/tasks/{finished.id}").text

    assert "H264 · 320 × 180 · 25 fps" in page
    assert "AAC · mono · 44.1 kHz" in page
    assert f'src="/api/downloads/tasks/{finished.id}/file?inline=true"' in page


def test_a_failed_task_can_be_changed_and_begins_again(client):
    task = task_in(Status.FAILED, quality="best", sealed_cookies="")

    answer = client.post(
        f"/tasks/{task.id}",
        {"quality": "480p", "post_processing": "audio", "cookies": "a=b", "custom_filename": "song"},
    )

    assert (answer.status_code, answer.url) == (302, f"/tasks/{task.id}")
    task.refresh_from_db()
    assert (task.status, task.quality, task.post_processing) == (Status.QUEUED, "480p", "audio")
    assert task.custom_filename == "song"
    assert task.sealed_cookies


def test_cookies_that_are_left_empty_stay(client):
    task = task_in(Status.FAILED, sealed_cookies="sealed")

    client.post(f"/tasks/{task.id}", {"quality": "480p", "post_processing": "none"})

    task.refresh_from_db()
    assert task.sealed_cookies == "sealed"


def test_a_change_that_is_refused_says_why(client):
    task = task_in(Status.FAILED)

    page = client.post(f"/tasks/{task.id}", {"quality": "480p", "post_processing": "none", "custom_filename": "a/b"})

    assert page.status_code == 400
    task.refresh_from_db()
    assert task.status == Status.FAILED


def test_a_task_that_runs_cannot_be_changed(client):
    assert "Save and start" not in client.get(f"/tasks/{task_in(Status.DOWNLOADING).id}").text


def test_a_playlist_lists_its_entries_in_their_order(client):
    playlist = task_in(Status.COMPLETED, is_playlist=True, title="A list", playlist_total=2)
    began = timezone.now()
    for number in (2, 1):
        item = {"playlist_index": number, "title": f"Part {number}", "file_name": f"{number}"}
        task_in(Status.COMPLETED, playlist=playlist, created_at=began + timedelta(seconds=number), **item)

    page = client.get(f"/tasks/{playlist.id}").text

    assert page.index("Part 1") < page.index("Part 2")
    assert "Playlist with 2 entries" in page
    assert "Part 1" not in client.get("/").text
    assert "Part 1" in client.get("/?q=part").text
    assert f'href="/tasks/{playlist.id}"' in client.get(f"/tasks/{Task.objects.get(playlist_index=1).id}").text


def test_the_page_is_there_in_chinese(client, finished):
    page = client.get(f"/tasks/{finished.id}", **CHINESE).text

    assert "接下来" in page
    assert "单声道" in page


def test_the_api_counts_by_state_what_a_list_would_hold(client):
    playlist = task_in(Status.COMPLETED, is_playlist=True)
    task_in(Status.COMPLETED, playlist=playlist, title="Cats")
    task_in(Status.FAILED, title="cats")
    task_in(Status.QUEUED)

    everything = client.get("/api/downloads/counts").json()
    assert {name: count for name, count in everything.items() if count} == {"completed": 2, "failed": 1, "queued": 1}
    top = client.get("/api/downloads/counts", {"playlist": "none"}).json()
    assert top["completed"] == 1
    found = client.get("/api/downloads/counts", {"q": "CATS"}).json()
    assert (found["completed"], found["failed"], found["queued"]) == (1, 1, 0)


def test_the_api_lists_the_attempts_at_a_task(client):
    task = abandoned_task()
    task.attempts.update(ended_at=timezone.now(), outcome=Outcome.RETRY, error_message="It broke.", bytes_on_disk=7)

    [attempt] = client.get(f"/api/downloads/tasks/{task.id}/attempts").json()

    assert attempt["started_at"] <= attempt["ended_at"]
    assert attempt | {"started_at": 0, "ended_at": 0} == {
        "number": 1,
        "started_at": 0,
        "ended_at": 0,
        "bytes_on_disk": 7,
        "outcome": "retry",
        "error_code": "",
        "error_message": "It broke.",
        "notes": [],
    }


def test_the_api_says_what_a_file_holds(client, finished):
    media = client.get(f"/api/downloads/tasks/{finished.id}/media").json()

    assert media["size"] == finished.file_size
    video, sound = media["streams"]
    assert (video["kind"], video["codec"], video["width"], video["height"]) == ("video", "h264", 320, 180)
    assert (sound["kind"], sound["codec"], sound["channels"]) == ("audio", "aac", 1)


def test_the_api_says_nothing_of_a_file_that_is_not_there(client):
    waiting = client.get(f"/api/downloads/tasks/{task_in(Status.QUEUED).id}/media")
    gone = client.get(f"/api/downloads/tasks/{task_in(Status.COMPLETED, file_name='x.mp4', file_size=9).id}/media")

    assert (waiting.status_code, waiting.json()["error_code"]) == (409, "TASK_NOT_COMPLETED")
    assert (gone.status_code, gone.json()["error_code"]) == (404, "FILE_NOT_FOUND")


def test_a_player_gets_the_file_with_a_type_of_ours_and_nothing_that_runs(client, finished):
    attached = client.get(f"/api/downloads/tasks/{finished.id}/file")
    played = client.get(f"/api/downloads/tasks/{finished.id}/file?inline=true")

    assert files.TYPE_HEADER not in attached.headers
    assert played.headers[files.TYPE_HEADER] == "video/mp4"
    assert played.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert played.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "film.mp4.html", "film", "subtitles.vtt"])
def test_what_is_no_usual_media_is_never_shown_in_a_page(client, finished, name):
    Task.objects.filter(pk=finished.pk).update(file_name=name)

    answer = client.get(f"/api/downloads/tasks/{finished.id}/file?inline=true")

    assert (answer.status_code, answer.json()["error_code"]) == (409, "FILE_NOT_PLAYABLE")
