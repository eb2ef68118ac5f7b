"""A link to a playlist becomes the tasks of its items, and the playlist is what they are."""

import pytest

from downloads.models import Facts, LeaseLost, Task
from downloads.states import Status, Stop, of_playlist
from tests.service import wait_until
from tests.tasks import task_in

FEED = "/page/feed.rss"
FACTS = Facts(title="A list", media_id="l", site="example.com", uploader="", duration=0, thumbnail="")


def items_of(service, playlist):
    return service.http.get("/api/downloads/tasks", params={"playlist": playlist, "order": "created_at"}).json()


def wait_until_listed(service, playlist):
    return wait_until(lambda: (task := service.task(playlist))["is_playlist"] and task)


@pytest.fixture
def slow(service, origin):
    """A playlist whose items take a while, as soon as one of them has begun."""
    playlist = service.download(origin.url(FEED, rate=15_000), playlist_items="1-2")
    wait_until(lambda: any(item["downloaded_bytes"] for item in items_of(service, playlist)))
    yield playlist
    service.http.delete(f"/api/downloads/tasks/{playlist}")
    wait_until(lambda: service.http.get(f"/api/downloads/tasks/{playlist}").status_code == 404)


def test_every_item_becomes_a_task_and_the_playlist_is_completed_with_the_last_of_them(service, origin):
    playlist = service.download(origin.url(FEED), post_processing="mp4", metadata=True)
    task = service.wait_for(playlist)
    items = items_of(service, playlist)
    assert (task["title"], task["is_playlist"], task["playlist_total"]) == ("A feed with three videos", True, 3)
    assert (task["status"], task["progress_percentage"], task["file_name"]) == ("completed", 100, "")
    assert [item["playlist_index"] for item in items] == [1, 2, 3]
    assert {item["status"] for item in items} == {"completed"}
    assert {(item["post_processing"], item["choices"]["metadata"]) for item in items} == {("mp4", True)}
    assert task["downloaded_bytes"] == sum(item["downloaded_bytes"] for item in items)


def test_videos_without_an_address_of_their_own_are_found_in_their_page_again(service, origin):
    playlist = service.download(origin.url("/page/playlist.html"))
    service.wait_for(playlist)
    items = items_of(service, playlist)
    assert [item["choices"] for item in items] == [{"playlist_items": str(place)} for place in (1, 2, 3)]
    assert len({item["file_size"] for item in items}) == 3


def test_only_the_items_that_were_asked_for_are_taken(service, origin):
    playlist = service.download(origin.url(FEED), playlist_items="2-3")
    service.wait_for(playlist)
    assert [item["playlist_index"] for item in items_of(service, playlist)] == [2, 3]


def test_a_single_item_is_a_task_like_any_other(service, origin):
    task = service.wait_for(service.download(origin.url(FEED), playlist_items="2"))
    assert (task["status"], task["is_playlist"]) == ("completed", False)


def test_items_that_are_in_the_library_already_are_left_out_on_request(service, origin):
    service.wait_for(service.download(origin.url(FEED, id="once")))
    again = service.wait_for(service.download(origin.url(FEED, id="once"), skip_existing=True))
    assert (again["status"], again["playlist_skipped"]) == ("completed", 3)
    assert items_of(service, again["id"]) == []


def test_a_long_playlist_is_cut_and_says_how_long_it_is(fresh_service, origin):
    fresh_service.environment["DOWNIE_PLAYLIST_LIMIT"] = "2"
    fresh_service.start()
    playlist = fresh_service.download(origin.url(FEED))
    task = fresh_service.wait_for(playlist)
    assert task["playlist_total"] == 3
    assert len(items_of(fresh_service, playlist)) == 2


def test_one_bad_item_fails_the_playlist_with_a_sentence_and_a_retry_tries_it_again(service, origin):
    playlist = service.download(origin.url(FEED, on="small.mp4", status=404, times=1, id="bad"))
    task = service.wait_for(playlist)
    items = items_of(service, playlist)
    assert [item["status"] for item in items] == ["completed", "failed", "completed"]
    assert (task["status"], task["error_code"]) == ("failed", items[1]["error_code"])
    assert task["error_message"].startswith("Some items of this playlist failed")
    assert service.http.post(f"/api/downloads/retry/{playlist}").status_code == 200
    assert service.wait_for(playlist, "completed")["error_message"] == ""


def test_a_playlist_in_a_playlist_is_said_and_the_others_arrive(service, origin):
    links = [origin.url("/page/playlist.html"), origin.url("/direct/small.mp4")]
    items = "".join(f"<item><title>One</title><link>{link}</link></item>" for link in links)
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Nested</title>{items}</channel></rss>'
    playlist = service.download(origin.serve("/t/nested.rss", feed))
    assert service.wait_for(playlist)["status"] == "failed"
    nested, single = items_of(service, playlist)
    assert (nested["status"], nested["error_reason"]) == ("failed", "playlist")
    assert single["status"] == "completed"


def test_a_cancel_stops_every_item_at_once_and_for_good(service, slow):
    assert service.http.post(f"/api/downloads/cancel/{slow}").status_code == 200
    assert service.task(slow)["status"] == "cancelled"
    assert {item["status"] for item in items_of(service, slow)} == {"cancelled"}
    assert not service.children()
    assert not [folder for folder in (service.data / "work").iterdir() if folder.name in str(items_of(service, slow))]


def test_a_pause_keeps_the_bytes_of_the_items_and_a_resume_goes_on(service, slow):
    assert service.http.post(f"/api/downloads/pause/{slow}").status_code == 200
    assert service.task(slow)["status"] == "paused"
    assert {item["status"] for item in items_of(service, slow)} == {"paused"}
    assert service.http.post(f"/api/downloads/resume/{slow}").status_code == 200
    wait_until(lambda: service.task(slow)["status"] == "downloading")


def test_a_deleted_playlist_takes_its_items_along(service, slow):
    items = items_of(service, slow)
    service.http.delete(f"/api/downloads/tasks/{slow}")
    wait_until(lambda: service.http.get(f"/api/downloads/tasks/{slow}").status_code == 404)
    assert {service.http.get(f"/api/downloads/tasks/{item['id']}").status_code for item in items} == {404}
    assert not service.children()


def test_the_batch_verbs_take_playlists_as_well(service, slow):
    [answer] = service.http.post("/api/downloads/batch/cancel", json=[slow]).json()["results"]
    assert answer == {"task_id": slow, "status": "stopping"}
    service.wait_for(slow, "cancelled")


def test_the_feed_tells_of_the_playlist_with_every_item(service, origin):
    with service.feed() as feed:
        playlist = service.download(origin.url(FEED))
        told = feed.hear_until(
            lambda heard: (
                heard["type"] == "task" and heard["task"]["id"] == playlist and heard["task"]["status"] == "completed"
            )
        )
    assert told["task"]["progress_percentage"] == 100


def test_a_playlist_has_no_file_of_its_own(service, origin):
    playlist = service.download(origin.url(FEED))
    service.wait_for(playlist)
    answer = service.http.get(f"/api/downloads/tasks/{playlist}/file")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "TASK_NOT_COMPLETED")


def test_after_a_kill_while_items_run_the_playlist_comes_to_its_end(fresh_service, origin):
    fresh_service.start()
    playlist = fresh_service.download(origin.url(FEED, rate=800_000))
    wait_until_listed(fresh_service, playlist)
    fresh_service.kill()
    fresh_service.start()
    assert fresh_service.wait_for(playlist)["status"] == "completed"


@pytest.mark.parametrize(
    ("items", "playlist"),
    [
        ([], "completed"),
        (["pending"], "pending"),
        (["queued", "completed"], "queued"),
        (["starting", "failed"], "downloading"),
        (["processing", "paused"], "downloading"),
        (["paused", "cancelled"], "paused"),
        (["completed", "cancelled"], "completed"),
        (["completed", "failed", "cancelled"], "failed"),
        (["cancelled", "cancelled"], "cancelled"),
    ],
)
def test_the_state_of_a_playlist_follows_from_those_of_its_items(items, playlist):
    assert of_playlist([Status(item) for item in items]) == playlist


@pytest.mark.django_db
def test_a_request_to_stop_that_comes_before_the_items_are_made_is_not_lost():
    task = task_in(Status.STARTING, stop=Stop.CANCEL)
    with pytest.raises(LeaseLost):
        task.expand(task.lease, FACTS, [Task(url="https://example.com/1", status=Status.QUEUED)], total=1, skipped=0)
    assert not Task.objects.filter(playlist=task).exists()


@pytest.mark.django_db
def test_a_playlist_runs_from_the_claim_of_its_first_item_on():
    playlist = task_in(Status.STARTING)
    item = Task(url="https://example.com/1", status=Status.QUEUED)
    playlist.expand(playlist.lease, FACTS, [item], total=1, skipped=0)
    Task.objects.claim(item.pk, "host:1")
    playlist.refresh_from_db()
    assert playlist.status == "downloading"


@pytest.mark.django_db
def test_the_figures_of_a_playlist_are_those_of_its_items_and_count_once():
    playlist = task_in(Status.STARTING)
    items = [Task(url=f"https://example.com/{n}", status=Status.QUEUED, playlist_index=n) for n in (1, 2)]
    playlist.expand(playlist.lease, FACTS, items, total=2, skipped=0)
    item = Task.objects.claim(items[0].pk, "host:1")
    item.begin_download(item.lease, FACTS)
    item.renew(item.lease, progress_percentage=50, downloaded_bytes=500, total_bytes=1000, speed=100)
    Task.objects.derive(playlist.pk)
    playlist.refresh_from_db()
    assert (playlist.status, playlist.progress_percentage, playlist.speed, playlist.eta) == ("downloading", 25, 100, 5)
    assert Task.objects.stats()["active_tasks"] == 1
    assert Task.objects.stats()["total_downloaded_bytes"] == 500
