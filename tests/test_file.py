"""The finished file: whole, in ranges, under its name, at the client's pace."""

import hashlib
import socket
import time
from urllib.parse import quote

import psutil
import pytest

from tests.service import wait_until

GIB = 1024**3


@pytest.fixture
def finished(service, origin):
    """A finished task and its file's content."""
    task_id = service.download(origin.url("/direct/small.mp4"), custom_filename="Vidéo 视频 “a”.mp4")
    service.wait_for(task_id)
    return f"/api/downloads/tasks/{task_id}/file", service.file(task_id).read_bytes()


def test_the_file_is_the_one_that_the_origin_has(service, finished, media):
    path, content = finished
    answer = service.http.get(path)
    assert answer.status_code == 200
    assert answer.content == content
    origin_file = next(media.rglob("small.mp4")).read_bytes()
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(origin_file).digest()


def test_a_name_with_spaces_is_told_in_the_form_that_curl_knows(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4"), custom_filename="my film.mp4")
    service.wait_for(task_id)
    answer = service.http.head(f"/api/downloads/tasks/{task_id}/file")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my film.mp4"'


def test_the_file_is_an_attachment_with_its_name_in_utf_8(service, finished):
    answer = service.http.get(finished[0])
    stem = quote("Vidéo 视频 “a”")
    assert answer.headers["Content-Disposition"].startswith(f"attachment; filename*=utf-8''{stem}")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "X-Downie-File" not in answer.headers


@pytest.mark.parametrize(
    ("wanted", "part"),
    [("bytes=0-99", slice(0, 100)), ("bytes=1000-", slice(1000, None)), ("bytes=-50", slice(-50, None))],
)
def test_a_range_is_answered_with_that_range(service, finished, wanted, part):
    path, content = finished
    answer = service.http.get(path, headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == content[part]
    assert answer.headers["Content-Range"].endswith(f"/{len(content)}")


def test_a_range_beyond_the_end_is_refused(service, finished):
    assert service.http.get(finished[0], headers={"Range": "bytes=999999999-"}).status_code == 416


def test_a_range_of_another_version_gives_the_whole_file(service, finished):
    path, content = finished
    etag = service.http.head(path).headers["ETag"]
    same = service.http.get(path, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = service.http.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (same.status_code, len(same.content)) == (206, 10)
    assert (other.status_code, len(other.content)) == (200, len(content))


def test_head_gives_the_length_without_the_file(service, finished):
    path, content = finished
    answer = service.http.head(path)
    assert int(answer.headers["Content-Length"]) == len(content)
    assert answer.content == b""


def test_a_task_that_is_not_completed_has_no_file_yet(service):
    task_id = service.add("https://example.com/video")
    answer = service.http.get(f"/api/downloads/tasks/{task_id}/file")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "TASK_NOT_COMPLETED")


def test_a_file_that_somebody_took_away_is_said_to_be_gone(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    service.file(task_id).unlink()
    answer = service.http.get(f"/api/downloads/tasks/{task_id}/file")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "FILE_NOT_FOUND")


def test_a_client_that_hardly_reads_costs_no_memory(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4"))
    service.wait_for(task_id)
    path = service.file(task_id)
    with path.open("r+b") as file:
        file.truncate(2 * GIB)
    make_database_agree(service, task_id, 2 * GIB)
    process = psutil.Process(service.process.pid)
    before = process.memory_info().rss

    with slow_client(service, f"/api/downloads/tasks/{task_id}/file") as client:
        time.sleep(2)
        assert b"200 OK" in client.recv(100)
        assert process.memory_info().rss - before < 32 * 1024**2

    health = service.http.get("/api/health")
    assert health.elapsed.total_seconds() < 5
    wait_until(lambda: open_files(process, path) == 0, limit=20)


def make_database_agree(service, task_id, size):
    service.rows("UPDATE downloads_task SET file_size = ? WHERE id = ?", size, task_id)


def open_files(process, path):
    return [file.path for file in process.open_files()].count(str(path))


def slow_client(service, path):
    client = socket.create_connection(("127.0.0.1", service.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n".encode())
    return client
