"""The feed: from a real worker thread to a real socket."""

import contextlib
import json
import socket

import psutil
import pytest
from websockets.exceptions import InvalidStatus

PROGRESS_FIELDS = {
    "status": str,
    "percentage": float,
    "downloaded_bytes": int,
    "total_bytes": int,
    "speed": int,
    "eta": int,
    "progress_text": str,
    "speed_text": str,
}


def progress_of(task_id):
    return lambda message: message["type"] == "progress" and message["task_id"] == task_id


def state_of(task_id, status):
    return lambda message: progress_of(task_id)(message) and message["progress"]["status"] == status


def test_the_first_message_holds_every_task(service):
    task_id = service.add("https://example.com/video")
    with service.feed() as feed:
        initial = feed.hear()
    assert initial["type"] == "initial"
    assert task_id in [task["id"] for task in initial["tasks"]]


def test_a_download_is_followed_from_queued_to_completed(service, origin):
    task_id = service.add(origin.url("/direct/video.mp4", rate=1_500_000))
    with service.feed() as feed:
        feed.hear()
        service.start_task(task_id)
        last = feed.hear_until(state_of(task_id, "completed"))
    heard = [message["progress"] for message in feed.heard if progress_of(task_id)(message)]
    news = [progress for progress in heard if progress["status"] != "pending"]  # of the `add`, a moment ago
    assert {field: type(last["progress"][field]) for field in PROGRESS_FIELDS} == PROGRESS_FIELDS
    assert list(dict.fromkeys(each["status"] for each in news)) == [
        "queued",
        "starting",
        "downloading",
        "processing",
        "completed",
    ]
    assert [each["percentage"] for each in news] == sorted(each["percentage"] for each in news)
    assert news[-1]["percentage"] == 100.0
    assert news[-1]["progress_text"] == "100.0% (2.8 MB/2.8 MB)"
    assert any(0 < each["percentage"] < 90 and each["speed"] > 0 for each in news)


def test_one_bar_over_audio_video_and_merge_never_goes_back(service, origin):
    task_id = service.add(origin.url("/dash/manifest.mpd", rate=800_000))
    with service.feed() as feed:
        feed.hear()
        service.start_task(task_id)
        feed.hear_until(state_of(task_id, "completed"))
    bar = [message["progress"]["percentage"] for message in feed.heard if progress_of(task_id)(message)]
    assert bar == sorted(bar)
    assert len(set(bar)) > 5


def test_a_new_and_a_deleted_task_are_told(service):
    with service.feed() as feed:
        feed.hear()
        task_id = service.add("https://example.com/video")
        created = feed.hear_until(lambda message: message["type"] == "task")
        service.http.delete(f"/api/downloads/tasks/{task_id}")
        deleted = feed.hear_until(lambda message: message["type"] == "deleted")
    assert created["task"] == {
        **created["task"],
        "id": task_id,
        "status": "pending",
        "url": "https://example.com/video",
    }
    assert deleted == {"type": "deleted", "task_id": task_id}


def test_a_request_to_stop_is_told_before_it_is_done(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=200_000))
    service.wait_for(task_id, "downloading")
    with service.feed() as feed:
        feed.hear()
        service.http.post(f"/api/downloads/cancel/{task_id}")
        asked = feed.hear_until(lambda message: message["type"] == "task" and message["task"]["stopping"] == "cancel")
        feed.hear_until(state_of(task_id, "cancelled"))
    assert asked["task"]["status"] == "downloading"


def test_ping_is_answered_with_pong(service):
    with service.feed() as feed:
        feed.hear()
        feed.say({"type": "ping"})
        assert feed.hear() == {"type": "pong"}


@pytest.mark.parametrize("frame", ["not json", "[]", '{"type": "dance"}', "null", "[" * 5000])
def test_an_unknown_frame_is_answered_and_the_socket_stays_open(service, frame):
    with service.feed() as feed:
        feed.hear()
        feed.say(frame)
        assert feed.hear()["type"] == "error"
        feed.say({"type": "ping"})
        assert feed.hear() == {"type": "pong"}


@pytest.mark.parametrize("origin_header", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_site_may_not_listen(service, origin_header):
    with pytest.raises(InvalidStatus) as refusal, service.feed(origin=origin_header):
        pass
    assert refusal.value.response.status_code == 403


def test_our_own_page_may_listen(service):
    with service.feed(origin=service.url) as feed:
        assert feed.hear()["type"] == "initial"


def test_clients_that_do_not_read_cost_no_memory(service):
    """Four clients that do not read, while 40 MB of news pass them by: more than the system's own buffers take."""
    process = psutil.Process(service.process.pid)
    batch = [{"url": "https://example.com/" + "x" * 8000}] * 200
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(deaf_client(service))
        come_and_go(service, batch, times=5)
        before = process.memory_info().rss
        come_and_go(service, batch, times=6)
        assert process.memory_info().rss - before < 10 * 1024**2


def come_and_go(service, batch, times):
    for _ in range(times):
        added = service.http.post("/api/downloads/batch/add", json=batch).json()["results"]
        service.http.post("/api/downloads/batch/delete", json=[each["task_id"] for each in added])


def deaf_client(service):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", service.port))
    client.sendall(
        (
            f"GET /api/downloads/ws HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode()
    )
    assert b"101" in client.recv(100)
    return client


def test_a_task_of_any_script_arrives_as_it_is(service):
    with service.feed() as feed:
        feed.hear()
        service.add("https://例子.example/视频")
        text = json.dumps(feed.hear_until(lambda message: message["type"] == "task"), ensure_ascii=False)
    assert "https://" in text


def test_the_first_message_arrives_however_much_it_holds(service):
    urls = [{"url": f"https://example.com/{number}/{'x' * 400}"} for number in range(300)]
    added = service.http.post("/api/downloads/batch/add", json=urls).json()["results"]

    with service.feed(compression=None, max_size=None) as feed:
        first = feed.hear()

    assert {result["task_id"] for result in added} <= {task["id"] for task in first["tasks"]}
    service.http.post("/api/downloads/batch/delete", json=[result["task_id"] for result in added])
