"""Readiness: each thing that downloads need is tried, and what does not work is said in a sentence."""

import shutil
import threading
import time

import pytest

from downloads import readiness
from downloads.readiness import Check, Finding, Readiness
from tests.service import Service, wait_until

CHECKS = [
    "database",
    "broker",
    "channel_layer",
    "library",
    "work_folder",
    "ffmpeg",
    "ffprobe",
    "javascript",
    "yt_dlp",
    "engine",
]


def ready(service):
    return service.http.get("/api/health/ready")


def when_not_ready(service):
    """The answer once it is 503; an earlier one may be given again for 5 s."""
    return wait_until(lambda: (answer := ready(service)).status_code == 503 and answer)


def test_every_check_of_a_fresh_service_passes(service):
    answer = ready(service)

    checks = answer.json()["checks"]
    assert list(checks) == CHECKS
    assert {name: check["status"] for name, check in checks.items() if name != "yt_dlp"} == dict.fromkeys(
        [name for name in CHECKS if name != "yt_dlp"], "ok"
    )
    assert answer.status_code == 200
    assert checks["library"]["free_bytes"] > 0
    assert [bool(checks[name]["version"]) for name in ("ffmpeg", "ffprobe", "javascript", "yt_dlp")] == [True] * 4
    assert checks["yt_dlp"]["age_days"] >= 0


def test_asking_often_costs_nothing(service):
    first = ready(service).json()
    began = time.monotonic()
    assert [ready(service).json() == first for _ in range(20)] == [True] * 20
    assert time.monotonic() - began < 2


def test_it_leaves_nothing_behind(service):
    ready(service)
    assert not list(service.library.glob(".readiness*"))


def test_a_library_that_cannot_be_written_to_is_said_so(fresh_service):
    fresh_service.start()
    shutil.rmtree(fresh_service.library)
    fresh_service.library.write_text("a file, not a folder")

    answer = when_not_ready(fresh_service)

    assert answer.json()["status"] == "not_ready"
    assert answer.json()["checks"]["library"]["detail"] == "The library cannot be written to: File exists."
    assert fresh_service.http.get("/api/health").status_code == 200
    enveloped = fresh_service.http.get("/api/health/ready", params={"envelope": "true"})
    assert enveloped.status_code == 503
    assert enveloped.json()["success"] is False
    assert enveloped.json()["data"]["status"] == "not_ready"


def test_an_ffmpeg_that_is_broken_is_said_so(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ffmpeg", "ffprobe"):
        (tools / name).write_text("#!/bin/sh\nexit 3\n")
        (tools / name).chmod(0o755)
    service = Service(tmp_path / "data", DOWNIE_FFMPEG_DIR=str(tools)).start()

    answer = when_not_ready(service)

    assert answer.json()["checks"]["ffmpeg"]["detail"].startswith("ffmpeg does not run: ")
    service.stop()


def test_a_fork_server_that_died_is_started_again(fresh_service):
    fresh_service.start()
    fresh_service.engine_processes()[0].kill()

    assert ready(fresh_service).json()["checks"]["engine"]["status"] == "ok"
    assert fresh_service.engine_processes()


# The checks themselves


@pytest.mark.parametrize(
    ("found", "status"),
    [(["ok", "ok"], "ready"), (["ok", "warning"], "degraded"), (["warning", "failed"], "not_ready")],
)
def test_the_worst_finding_decides(found, status):
    findings = {str(number): Finding(status=each, detail="") for number, each in enumerate(found)}
    assert readiness.Report(findings).status == status


def test_a_check_that_hangs_is_cut_off_and_not_started_twice(monkeypatch):
    monkeypatch.setattr(readiness, "TIME_LIMIT", 0.2)
    monkeypatch.setattr(readiness, "KEPT_FOR", 0.0)
    started, let_go = [], threading.Event()
    hanging = Check(lambda: (started.append(1), let_go.wait(10)) and Finding(detail="It works."), "It does not work")
    both = Readiness({"hanging": hanging, "quick": Check(lambda: Finding(detail="It works."), "")})

    began = time.monotonic()
    reports = [both.report(), both.report()]

    assert time.monotonic() - began < 1
    assert [report.checks["hanging"].detail for report in reports] == ["It does not work: no answer in time."] * 2
    assert [report.checks["quick"].status for report in reports] == ["ok", "ok"]
    assert len(started) == 1
    let_go.set()
    assert wait_until(lambda: both.report().status == "ready")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (OSError(28, "No space left on device"), "It does not work: No space left on device."),
        (ValueError("this.\nand that"), "It does not work: this."),
        (KeyError(), "It does not work: KeyError."),
    ],
)
def test_whatever_goes_wrong_is_one_sentence(error, detail):
    def look():
        raise error

    report = Readiness({"one": Check(look, "It does not work")}).report()

    assert (report.status, report.checks["one"].detail) == ("not_ready", detail)
