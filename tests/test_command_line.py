"""`manage.py download`, as a user types it."""

import signal
import subprocess
import sys

import pytest

from tests.database import POSTGRES
from tests.service import PROJECT, Service, wait_until

alone = pytest.mark.skipif(bool(POSTGRES), reason="with Redis the workers of the installation do the work")


def download(service, *arguments):
    return subprocess.run(
        [sys.executable, "manage.py", "download", *arguments],
        cwd=PROJECT,
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def prepared(tmp_path):
    service = Service(tmp_path / "data")
    service.data.mkdir()
    return service


@alone
def test_alone_it_runs_the_downloads_itself(tmp_path, origin):
    service = prepared(tmp_path)
    run = download(service, origin.url("/direct/small.mp4"), origin.url("/hls/plain/index.m3u8"))
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in service.library.iterdir()) == ["index.mp4", "small.mp4"]
    assert "✓ small.mp4" in run.stdout
    assert "100.0%" in run.stdout
    wait_until(lambda: not service.engine_processes(), limit=20)


@alone
def test_the_choices_are_those_of_the_page(tmp_path, origin):
    service = prepared(tmp_path)
    run = download(service, origin.url("/direct/video.mp4"), "--quality", "720p", "--post-processing", "audio")
    assert run.returncode == 0, run.stderr
    assert [path.name for path in service.library.iterdir()] == ["video.m4a"]


@alone
def test_a_failed_download_is_an_exit_status(tmp_path, origin):
    run = download(prepared(tmp_path), origin.url("/status/404"), origin.url("/direct/small.mp4"))
    assert run.returncode == 1
    assert "✓ small.mp4" in run.stdout
    assert "✗" in run.stdout


def test_bad_input_is_one_sentence(tmp_path):
    run = download(prepared(tmp_path), "file:///etc/passwd")
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert "Traceback" not in run.stderr


def test_beside_a_running_service_it_follows_what_the_service_does(service, origin):
    run = download(service, origin.url("/direct/audio.mp3"))
    assert run.returncode == 0, run.stderr
    assert ("The workers of this installation" if POSTGRES else "A service is running") in run.stdout
    assert (service.library / "audio.mp3").exists()


@alone
def test_ctrl_c_keeps_the_bytes_for_the_next_start(tmp_path, origin):
    service = prepared(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "download", origin.url("/direct/video.mp4", rate=300_000)],
        cwd=PROJECT,
        env=service.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: list(service.data.glob("work/*/parts/*.part")), limit=20)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "keep their bytes" in complaint
    assert list(service.data.glob("work/*/parts/*.part"))
    wait_until(lambda: not service.engine_processes(), limit=20)
