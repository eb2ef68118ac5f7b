"""Readiness: each thing that downloads need is tried, and what does not work is said in a sentence."""

import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from packaging.version import Version
from yt_dlp.utils._jsruntime import DenoJsRuntime

from downloads import readiness
from downloads.engine.releases import switch
from downloads.management.commands import serve
from downloads.readiness import Check, Finding, Readiness
from tests import releases
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
    "yt_dlp_ejs",
    "curl_cffi",
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
    versioned = ("ffmpeg", "ffprobe", "javascript", "yt_dlp_ejs", "curl_cffi", "yt_dlp")
    assert [name for name in versioned if not checks[name]["version"]] == []
    assert checks["yt_dlp"]["age_days"] >= 0
    assert checks["javascript"]["detail"].endswith("/deno runs.")


def test_asking_often_costs_nothing(service):
    began = time.monotonic()
    reports = {ready(service).text for _ in range(20)}
    assert len(reports) <= 1 + (time.monotonic() - began) / readiness.KEPT_FOR


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

    # On a busy machine the start takes longer than a check may
    wait_until(lambda: ready(fresh_service).json()["checks"]["engine"]["status"] == "ok", limit=30)
    assert fresh_service.engine_processes()


# The engine


@pytest.fixture
def updates(tmp_path, settings):
    """A folder for updates of the engine, without any."""
    settings.UPDATES_DIR = tmp_path / "engine"
    return settings.UPDATES_DIR


def finding(name):
    """What one check finds by itself."""
    only = Check(readiness.readiness._checks[name]._look, "It does not work: {reason}.")
    return Readiness({name: only}).report().checks[name]


@pytest.mark.parametrize(("days", "status"), [(0, "ok"), (59, "ok"), (60, "warning"), (600, "warning")])
def test_an_engine_is_old_from_60_days_on(updates, monkeypatch, days, status):
    released = datetime(*map(int, releases.INSTALLED.split(".")[:3]), tzinfo=UTC)
    monkeypatch.setattr(readiness.timezone, "now", lambda: released + timedelta(days=days))

    found = finding("yt_dlp")

    assert (found.status, found.version, found.age_days) == (status, releases.INSTALLED, days)
    assert found.detail.endswith("update it with: manage.py update-engine") == (status == "warning")


def test_an_update_of_the_engine_is_what_is_in_use(updates):
    releases.put_release(updates, releases.LATER)
    switch(updates, [releases.LATER])

    assert finding("yt_dlp").version == releases.LATER


def test_an_update_of_the_engine_that_cannot_be_used_is_said_with_the_cure(updates):
    switch_to_nothing(updates)

    found = finding("yt_dlp")

    assert (found.status, found.version) == ("warning", releases.INSTALLED)
    assert found.detail == (
        f"yt-dlp {releases.LATER} cannot be used, so it is {releases.INSTALLED}. "
        "Go back to an earlier one with: manage.py update-engine --rollback"
    )


def switch_to_nothing(updates):
    updates.mkdir()
    switch(updates, [releases.LATER])


@pytest.mark.parametrize(
    ("requires", "name", "detail"),
    [
        ("yt-dlp-ejs==99.1; extra == 'default'", "yt_dlp_ejs", "takes yt-dlp-ejs==99.1 only, so YouTube will not work"),
        ("curl-cffi>99; extra == 'curl-cffi'", "curl_cffi", "takes curl-cffi>99 only, so sites that want a browser"),
    ],
)
def test_a_package_that_does_not_fit_the_engine_is_said(updates, requires, name, detail):
    releases.put_release(updates, releases.LATER, requires=[requires])
    switch(updates, [releases.LATER])

    found = finding(name)

    assert found.status == "warning"
    assert f"yt-dlp {releases.LATER} {detail}" in found.detail


def test_a_javascript_runtime_that_is_too_old_is_said(monkeypatch):
    monkeypatch.setattr(readiness, "OLDEST_DENO", Version("99"))

    found = finding("javascript")

    assert found.status == "warning"
    assert "is older than 99, so yt-dlp does not take it" in found.detail


def test_without_a_javascript_runtime_the_cure_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(readiness.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(readiness, "search_path", lambda _: str(tmp_path))

    assert finding("javascript").status == "warning"
    assert "install the Python package deno" in finding("javascript").detail


def test_the_oldest_deno_is_the_one_that_yt_dlp_names():
    assert DenoJsRuntime.MIN_SUPPORTED_VERSION[:2] == readiness.OLDEST_DENO.release


@pytest.mark.django_db
def test_the_service_says_at_its_start_that_the_engine_is_old(monkeypatch):
    monkeypatch.setattr(readiness, "OLD_ENGINE", 0)
    said = StringIO()

    serve.Command(stdout=said)._announce("127.0.0.1", 8000)

    assert "update it with: manage.py update-engine" in said.getvalue()


# The checks themselves


@pytest.mark.parametrize(
    ("found", "status"),
    [(["ok", "ok"], "ready"), (["ok", "warning"], "degraded"), (["warning", "failed"], "not_ready")],
)
def test_the_worst_finding_decides(found, status):
    findings = {str(number): Finding(status=each, sentence="") for number, each in enumerate(found)}
    assert readiness.Report(findings).status == status


def test_a_check_that_hangs_is_cut_off_and_not_started_twice(monkeypatch):
    monkeypatch.setattr(readiness, "TIME_LIMIT", 2)
    monkeypatch.setattr(readiness, "KEPT_FOR", 0.0)
    started, let_go = [], threading.Event()
    hanging = Check(
        lambda: (started.append(1), let_go.wait(10)) and Finding(sentence="It works."), "It does not work: {reason}."
    )
    both = Readiness({"hanging": hanging, "quick": Check(lambda: Finding(sentence="It works."), "")})

    began = time.monotonic()
    reports = [both.report(), both.report()]

    assert time.monotonic() - began < 9  # not 2 x 10
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

    report = Readiness({"one": Check(look, "It does not work: {reason}.")}).report()

    assert (report.status, report.checks["one"].detail) == ("not_ready", detail)
