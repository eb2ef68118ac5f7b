"""Finished files in a bucket: they come there whole or not at all, under a name of their own, and go out from there."""

import hashlib
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from downloads import recovery
from downloads.library import Finished, LibraryUnreachable, OutsideLibrary, s3
from downloads.models import Task
from tests.origin import Origin
from tests.s3 import BUCKET, KEY, SECRET, Line, S3Server
from tests.service import PROJECT, Service, wait_until
from tests.tasks import abandoned_task, task_in

TASK = "0123456789ab"
MB = 1024 * 1024
OPTIONS = {"bucket_name": BUCKET, "region_name": "us-east-1", "access_key": KEY, "secret_key": SECRET}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("s3") / "server.log")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def line(server):
    line = Line(server.port)
    yield line
    line.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory, line):
    service = Service(
        tmp_path_factory.mktemp("bucket") / "data",
        DOWNIE_S3_BUCKET=BUCKET,
        DOWNIE_S3_ENDPOINT=f"http://127.0.0.1:{line.port}",
        DOWNIE_S3_REGION="us-east-1",
        DOWNIE_S3_PREFIX="our/films",
        DOWNIE_S3_ACCESS_KEY=KEY,
        DOWNIE_S3_SECRET_KEY=SECRET,
        DOWNIE_FILENAME_TEMPLATE="{title} {task}",
    ).start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def large_origin(media, tmp_path_factory, tools):
    """An origin with a video of 36 MB, which goes in three parts."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "direct").mkdir()
    source, target = media / "direct" / "video.mp4", folder / "direct" / "large.mp4"
    subprocess.run([tools.ffmpeg, "-v", "error", "-stream_loop", "11", "-i", source, "-c", "copy", target], check=True)
    with Origin(folder) as origin:
        yield origin


@pytest.fixture
def slow(line):
    """A line on which the large video takes some seconds."""
    line.rate = 8 * MB
    yield line
    line.rate = None


def key_of(service, task_id):
    return f"our/films/{service.task(task_id)['file_name']}"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def sending(service, server, large_origin, number, parts=1):
    """A task whose file is on its way to the bucket, and the video itself."""
    large_origin.reset()
    task_id = service.download(large_origin.url("/direct/large.mp4", test=number))
    service.wait_for(task_id, "processing")
    wait_until(lambda: server.parts() >= parts, 30)
    return task_id, (large_origin.media / "direct" / "large.mp4").read_bytes()


# Through the whole service


def test_a_finished_file_is_in_the_bucket_and_is_fetched_from_there(service, server, link, media):
    task_id = service.download(link("/direct/small.mp4"))
    task = service.wait_for(task_id)
    small = (media / "direct" / "small.mp4").read_bytes()
    assert (task["status"], task["progress_percentage"], task["file_size"]) == ("completed", 100, len(small))
    assert server.read(key_of(service, task_id)) == small
    assert list((service.data / "library").iterdir()) == []
    assert not (service.data / "work" / task_id).exists()

    moved = service.http.get(task["file_url"])
    assert moved.status_code == 302
    assert (moved.headers["Cache-Control"], moved.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    fetched = httpx.get(moved.headers["Location"])
    assert fetched.content == small
    assert fetched.headers["Content-Disposition"].startswith("attachment; filename=")
    part = httpx.get(moved.headers["Location"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, small[100:200])
    assert "X-Amz-Signature=" in moved.headers["Location"]


def test_a_player_and_a_head_request_are_led_there_too(service, link):
    task_id = service.download(link("/direct/small.mp4"))
    task = service.wait_for(task_id)
    played = service.http.get(task["file_url"], params={"inline": True}, follow_redirects=True)
    assert played.headers["Content-Type"] == "video/mp4"
    assert played.headers["Content-Disposition"].startswith("inline")
    head = service.http.head(task["file_url"], follow_redirects=True)
    assert (head.status_code, int(head.headers["Content-Length"])) == (200, task["file_size"])
    policy = service.http.get("/").headers["Content-Security-Policy"]
    assert f"media-src 'self' {service.environment['DOWNIE_S3_ENDPOINT']}" in policy


def test_the_tasks_page_says_what_the_file_holds_without_fetching_it(service, link):
    task_id = service.download(link("/direct/small.mp4"))
    service.wait_for(task_id)
    assert "H264 · " in service.http.get(f"/tasks/{task_id}").text
    held = service.http.get(f"/api/downloads/tasks/{task_id}/media").json()
    assert [stream["codec"] for stream in held["streams"]] == ["h264", "aac"]


def test_files_beside_it_come_and_go_with_it(service, server, link):
    page = link("/page/described.html")
    task_id = service.download(page, thumbnail="beside")
    task = service.wait_for(task_id)
    keys = [f"our/films/{name}" for name in (task["file_name"], *task["side_files"])]
    assert len(keys) == 2
    assert set(keys) <= set(server.names())
    service.http.delete(f"/api/downloads/tasks/{task_id}", params={"delete_file": True})
    assert set(keys) & set(server.names()) == set()


def test_the_way_there_is_a_part_of_the_bar(service, server, slow, large_origin):
    with service.feed() as feed:
        task_id, video = sending(service, server, large_origin, 1)
        feed.hear_until(lambda said: said["type"] == "task" and said["task"]["status"] == "completed")
    bar = [
        (said["progress"]["status"], said["progress"]["percentage"])
        for said in feed.heard
        if said["type"] == "progress" and said["task_id"] == task_id
    ]
    assert bar == sorted(bar, key=lambda step: step[1])
    assert all(percentage <= 80 for status, percentage in bar if status == "downloading")
    assert len({percentage for status, percentage in bar if status == "processing" and 80 < percentage < 100}) > 3
    assert sha256(server.read(key_of(service, task_id))) == sha256(video)


def test_after_a_kill_on_the_way_nothing_half_done_stays_and_it_is_brought_anew(service, server, slow, large_origin):
    before = server.names()
    task_id, video = sending(service, server, large_origin, 2)
    service.kill()
    assert server.names() == before
    assert len(server.uploads()) == 1
    slow.rate = None
    service.start()
    assert service.wait_for(task_id)["status"] == "completed"
    assert server.uploads() == []
    assert sorted({*server.names()} - {*before}) == [key_of(service, task_id)]
    assert sha256(server.read(key_of(service, task_id))) == sha256(video)
    assert large_origin.bytes_sent() < 1.5 * len(video)  # the download itself was not done again


def test_what_is_cancelled_on_the_way_leaves_nothing(service, server, slow, large_origin):
    before = server.names()
    task_id, _ = sending(service, server, large_origin, 3)
    service.http.post(f"/api/downloads/cancel/{task_id}")
    assert service.wait_for(task_id, limit=30)["status"] == "cancelled"
    assert (server.names(), server.uploads()) == (before, [])


def test_a_bucket_that_cannot_be_reached_is_said_and_tried_again(service, server, line, link):
    line.is_cut = True
    task_id = service.download(link("/direct/small.mp4"))
    task = wait_until(lambda: (task := service.task(task_id))["failures"] and task, 40)
    assert (task["status"], task["error_reason"]) == ("queued", "library")
    assert task["error_message"].startswith("The storage for finished files does not answer")
    assert service.http.get("/api/health/ready").json()["checks"]["library"]["status"] == "failed"
    line.is_cut = False
    assert service.wait_for(task_id)["status"] == "completed"
    line.is_cut = True
    answers = [
        service.http.get(f"/api/downloads/tasks/{task_id}/file"),
        service.http.delete(f"/api/downloads/tasks/{task_id}", params={"delete_file": True}),
    ]
    line.is_cut = False
    assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [
        (503, "LIBRARY_UNREACHABLE")
    ] * 2
    assert service.task(task_id)["status"] == "completed"


def test_the_service_ends_at_once_though_a_file_is_on_its_way(service, server, slow, large_origin):
    task_id, _ = sending(service, server, large_origin, 4)
    assert service.interrupt() < 5
    assert server.uploads() == []
    assert service.rows("SELECT status, failures FROM downloads_task WHERE id = ?", task_id) == [("queued", 0)]


# The library alone


@pytest.fixture
def library(server):
    """The library in a part of the bucket that is this test's own."""
    library = s3.S3Library(**OPTIONS, endpoint_url=f"http://127.0.0.1:{server.port}", location="alone")
    yield library
    for key in server.names():
        _ = key.startswith("alone/") and server.client.delete_object(Bucket=BUCKET, Key=key)


@pytest.fixture
def finished(tmp_path):
    """A film in a small file, and subtitles beside it."""
    (tmp_path / "media.mp4").write_bytes(b"film")
    (tmp_path / "media.srt").write_bytes(b"words")
    return Finished(tmp_path / "media.mp4", {".en.srt": tmp_path / "media.srt"})


def large(finished):
    with finished.file.open("wb") as file:
        file.truncate(s3.PART + 1)
    return finished


def alone(server):
    return {key: server.read(key) for key in server.names() if key.startswith("alone/")}


def store(library, finished, name="film.mp4", reserve=lambda *_: True, keep=lambda _=None: None):
    return library.store(TASK, finished, name, reserve, keep)


def put(server, key, **fields):
    server.client.put_object(Bucket=BUCKET, Key=key, Body=b"a stranger's", **fields)


def test_a_name_that_a_file_of_others_has_is_not_taken(library, server, finished):
    put(server, "alone/film.en.srt")
    assert store(library, finished) == "film (2).mp4"
    assert alone(server) == {
        "alone/film.en.srt": b"a stranger's",
        "alone/film (2).en.srt": b"words",
        "alone/film (2).mp4": b"film",
    }


@pytest.mark.parametrize("size", [lambda finished: finished, large], ids=["small", "in parts"])
def test_a_name_that_is_taken_between_the_look_and_the_end_is_left_alone(library, server, finished, size):
    def a_stranger_is_faster(name, _):
        _ = name == "film.mp4" and put(server, "alone/film.mp4")
        return True

    assert store(library, size(finished), reserve=a_stranger_is_faster) == "film (2).mp4"
    found = alone(server)
    assert found["alone/film.mp4"] == b"a stranger's"
    assert set(found) == {"alone/film.mp4", "alone/film (2).en.srt", "alone/film (2).mp4"}
    assert server.uploads() == []


def test_what_is_withdrawn_is_the_tasks_own_and_nothing_of_others(library, server, finished):
    store(library, finished)
    put(server, "alone/other.mp4")
    put(server, "alone/theirs.mp4", Metadata={s3.OWNER: "ba9876543210"})
    begun = [server.client.create_multipart_upload(Bucket=BUCKET, Key=f"alone/{name}") for name in ("film.mp4", "x")]
    library.withdraw(TASK, ["film.mp4", "film.en.srt", "other.mp4", "theirs.mp4"], finished.file.parent)
    assert set(alone(server)) == {"alone/other.mp4", "alone/theirs.mp4"}
    assert [upload["Key"] for upload in server.uploads()] == ["alone/x"]
    server.client.abort_multipart_upload(Bucket=BUCKET, Key="alone/x", UploadId=begun[1]["UploadId"])


def test_uploads_that_nobody_knows_of_go_after_a_day(library, server, monkeypatch):
    for name in ("forgotten", "at-work"):
        server.client.create_multipart_upload(Bucket=BUCKET, Key=f"alone/{name}")
    with monkeypatch.context() as patch:
        patch.setattr(s3, "FORGOTTEN", timedelta(days=36_500))  # this server says of each that it is from 2010
        library.sweep({""})
        assert len(server.uploads()) == 2
    library.sweep({"at-work"})
    assert [upload["Key"] for upload in server.uploads()] == ["alone/at-work"]
    library.sweep(set())
    assert server.uploads() == []


def test_a_server_that_cannot_write_on_a_condition_gets_the_file_all_the_same(library, server, finished):
    def not_implemented(params, **_):
        if "If-None-Match" not in params["headers"]:
            return None
        answer = {"Error": {"Code": "NotImplemented", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 501}}
        return SimpleNamespace(status_code=501), answer

    library.client.meta.events.register("before-call.s3.PutObject", not_implemented)
    store(library, finished)
    assert alone(server)["alone/film.mp4"] == b"film"


def test_what_is_lost_on_the_way_is_broken_off(library, server, finished, monkeypatch):
    monkeypatch.setattr(s3, "KEEP_EVERY", 0)

    def lost(fraction):
        if fraction > 0:
            raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError):
        store(library, large(finished), keep=lost)
    assert (alone(server), server.uploads()) == ({}, [])


@pytest.mark.parametrize("name", ["", "../film.mp4", "a/../../film.mp4", "/film.mp4", "a//film.mp4"])
def test_no_name_leads_out_of_our_part_of_the_bucket(library, name):
    with pytest.raises(OutsideLibrary):
        library.delete_stored(name or "..")
    assert not library.is_stored(name, 4)


def test_a_bucket_that_is_not_there_is_said(server, finished):
    library = s3.S3Library(**OPTIONS | {"bucket_name": "nowhere"}, endpoint_url=f"http://127.0.0.1:{server.port}")
    with pytest.raises(LibraryUnreachable):
        library.check()
    with pytest.raises(LibraryUnreachable, match="NoSuchBucket"):
        store(library, finished)


def test_what_an_attempt_of_the_same_task_has_left_gives_way_to_the_next(library, server, finished):
    put(server, "alone/film.mp4", Metadata={s3.OWNER: TASK})
    assert store(library, finished) == "film.mp4"
    assert alone(server) == {"alone/film.en.srt": b"words", "alone/film.mp4": b"film"}


@pytest.fixture
def used(library, server, settings):
    """The same, as the library that the settings name."""
    options = OPTIONS | {"endpoint_url": f"http://127.0.0.1:{server.port}", "location": "alone"}
    backend = {"BACKEND": "downloads.library.s3.S3Library", "OPTIONS": options}
    settings.S3_BUCKET, settings.STORAGES = BUCKET, settings.STORAGES | {"library": backend}
    return library


FILES = {"file_name": "film.mp4", "file_size": 4, "side_files": ["film.en.srt"]}


@pytest.mark.django_db
def test_retention_deletes_from_the_bucket(used, server, finished, settings):
    settings.RETENTION_AGE = timedelta(days=1)
    store(used, finished)
    put(server, "alone/other.mp4")
    task_in("completed", finished_at=Now() - timedelta(days=2), stored_bytes=9, **FILES)
    call_command("retention", verbosity=0)
    assert set(alone(server)) == {"alone/other.mp4"}
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_a_file_whose_worker_died_when_it_was_there_completes_its_task(used, server, finished):
    store(used, finished)
    task = abandoned_task("processing", **FILES)
    recovery.sweep()
    task.refresh_from_db()
    assert (task.status, task.file_name) == ("completed", "film.mp4")
    assert set(alone(server)) == {"alone/film.en.srt", "alone/film.mp4"}


# Only where it is asked for


LOADED = """
import django, sys
django.setup()
from django.core.files.storage import storages
from downloads import recovery, runner, files, details
storages["library"]
print([name for name in ("boto3", "botocore", "storages") if name in sys.modules])
"""


def test_without_a_bucket_nothing_of_it_is_loaded():
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == "[]"
