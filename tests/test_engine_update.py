"""`manage.py update-engine`: a later yt-dlp is used when it passes the self-check, and nothing changes otherwise."""

import logging
import sys
from datetime import date

import pytest
from django.core.management import CommandError, call_command

from downloads.engine import messages, releases, update
from downloads.engine.folders import folder_lock
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.process import Engine
from downloads.engine.releases import Release, choose, switch
from downloads.engine.selfcheck.fit import takes_the_same
from downloads.engine.update import UpdateFailed
from tests.releases import INSTALLED, LATER, LATEST, break_release, command, make_wheel, put_release, run_command
from tests.service import Service, wait_until

TITLED = ("yt_dlp/extractor/generic.py", "'title': self._generic_title(url)", "'title': 'By the later one'")
CRIPPLED = ("yt_dlp/downloader/external.py", "def _call_downloader(", "def _run_downloader(")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """What pip can see: a later yt-dlp whose titles tell that it is at work, and the solver scripts it names."""
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(folder, "yt-dlp", LATER, [TITLED])
    make_wheel(folder, "yt-dlp-ejs", "0.8.0")
    return folder


@pytest.fixture
def root(tmp_path):
    """A folder for updates, without any."""
    folder = tmp_path / "engine"
    folder.mkdir()
    return folder


@pytest.fixture
def start(root, tools, tmp_path, origin):
    """Start a child of an engine that takes its yt-dlp from `root`; all are stopped at the end."""
    engine = Engine(tmp_path / "home", tools.folder, root)
    children = []

    def start(path, name="job"):
        job = messages.Job(
            task_id="0123456789ab",
            url=origin.url(path),
            quality=Quality.BEST,
            post_processing=PostProcessing.NONE,
            folder=str(tmp_path / name),
            tools=str(tools.folder),
            cache=str(tmp_path / "cache"),
            allowed_networks=("127.0.0.0/8",),
        )
        children.append(engine.start(job))
        return children[-1]

    yield start
    _ = [child.stop() for child in children]
    engine.close()


def contents(service):
    return sorted(path.name for path in (service.data / "engine").iterdir())


# The command


def test_a_running_service_takes_the_update_with_its_next_download(fresh_service, origin, wheels):
    service = fresh_service.start()
    running = service.download(origin.url("/direct/video.mp4", rate=20_000))
    service.wait_for_bytes(running, 1)

    status, output, complaints = run_command(service, index=wheels)

    assert (status, complaints) == (0, ""), output
    assert [line[0] for line in output.splitlines()[2:-1]] == ["✓"] * 8
    assert output.splitlines()[-1] == f"yt-dlp {LATER} is in use from the next download on."
    later = service.wait_for(service.download(origin.url("/direct/small.mp4")))
    assert (later["status"], later["title"]) == ("completed", "By the later one")
    report = service.http.get("/api/health/ready").json()["checks"]
    assert (report["yt_dlp"]["version"], report["yt_dlp_ejs"]["status"]) == (LATER, "ok")
    assert service.wait_for_bytes(running, service.task(running)["downloaded_bytes"] + 1)["title"] == "video"
    assert contents(service) == [LATER, "current", "lock"]


def test_what_does_not_pass_the_self_check_is_not_used(tmp_path, wheels):
    service = Service(tmp_path / "data")
    make_wheel(tmp_path, "yt-dlp", LATEST, [CRIPPLED])

    status, output, complaints = run_command(service, index=f"{wheels} {tmp_path}")

    assert status == 1
    assert "✗ Every cure fits: yt-dlp has no FFmpegFD._call_downloader any more" in output.splitlines()
    assert complaints.splitlines() == [
        f"CommandError: yt-dlp {LATEST} did not pass the self-check, so {INSTALLED} stays in use."
    ]
    assert contents(service) == ["lock"]


def test_an_update_that_is_killed_changes_nothing_and_the_next_one_cleans_up(tmp_path, wheels):
    service = Service(tmp_path / "data")
    put_release(service.data / "engine", LATER)
    switch(service.data / "engine", [LATER])
    make_wheel(tmp_path, "yt-dlp", LATEST)
    process = command(service, index=f"{wheels} {tmp_path}")
    wait_until(lambda: list(service.data.glob("engine/staged-*/fetched/yt_dlp")), limit=30)

    process.kill()
    process.wait()

    assert choose(service.data / "engine").version == LATER
    status, _output, complaints = run_command(service, "--version", LATEST)
    assert status == 1
    assert complaints.startswith(f"CommandError: pip could not fetch yt-dlp=={LATEST}. It said:\n")
    assert f"No matching distribution found for yt-dlp=={LATEST}" in complaints
    assert contents(service) == [LATER, "current", "lock"]


def test_a_second_update_at_once_says_so(tmp_path):
    service = Service(tmp_path / "data")
    with folder_lock(service.data / "engine", limit=0):
        status, output, complaints = run_command(service, "--rollback")

    assert (status, output) == (1, "")
    assert complaints == "CommandError: Another update-engine is at work: wait for its end.\n"


def test_the_one_in_use_can_be_checked(tmp_path):
    service = Service(tmp_path / "data")
    break_release(put_release(service.data / "engine", LATER))
    switch(service.data / "engine", [LATER])

    status, output, complaints = run_command(service, "--check")

    assert status == 1
    assert output.splitlines() == [f"Checking yt-dlp {LATER} …", "✗ Every cure fits: RuntimeError: of no use"]
    assert complaints == (
        f"CommandError: yt-dlp {LATER} does not pass the self-check. "
        "Go back to an earlier one with: manage.py update-engine --rollback\n"
    )


def test_what_is_in_use_already_is_not_fetched_again(root, tools):
    put_release(root, LATER)
    switch(root, [LATER])
    said = []

    assert update.update(root, tools.folder, said.append, LATER) is None
    assert said == []


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ("2021.1.1", "yt-dlp 2021.1.1 is older than"),
        ("--proxy=x", "is no version of yt-dlp"),
        ("2099.1.1; x", "is no version of yt-dlp"),
        ("newest", "is no version of yt-dlp"),
    ],
)
def test_a_version_that_cannot_be_is_refused(root, tools, version, complaint):
    with pytest.raises(UpdateFailed, match=complaint):
        update.update(root, tools.folder, print, version)


def test_without_pip_the_cure_is_said(root, tools, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)

    with pytest.raises(UpdateFailed, match=r"There is no pip, which fetches the update: get it with .* -m ensurepip"):
        update.update(root, tools.folder, print)


def test_a_folder_that_cannot_be_used_is_said(tmp_path, settings):
    settings.UPDATES_DIR = tmp_path / "engine"
    settings.UPDATES_DIR.write_text("a file, not a folder")

    with pytest.raises(CommandError, match=r"The folder .*/engine cannot be used: File exists\."):
        call_command("update-engine", "--rollback")


# The way back


def test_the_way_back_leads_over_the_update_before_to_the_installation(root):
    _ = [put_release(root, version) for version in (LATER, LATEST)]
    switch(root, [LATEST, LATER])

    assert update.roll_back(root).version == LATER
    assert not (root / LATEST).exists()
    assert update.roll_back(root).version == INSTALLED
    assert not (root / LATER).exists()
    with pytest.raises(UpdateFailed, match=f"yt-dlp {INSTALLED} came with the installation"):
        update.roll_back(root)


def test_an_update_that_is_gone_is_no_way_back(root):
    put_release(root, LATEST)
    switch(root, [LATEST, LATER])

    assert update.roll_back(root).version == INSTALLED


def test_the_command_leads_back(tmp_path):
    service = Service(tmp_path / "data")
    put_release(service.data / "engine", LATER)
    switch(service.data / "engine", [LATER])

    status, output, _complaints = run_command(service, "--rollback")

    assert (status, output) == (0, f"yt-dlp {INSTALLED} is in use from the next download on.\n")
    assert choose(service.data / "engine").version == INSTALLED


# Which one is used


def test_a_folder_that_nobody_switched_to_is_not_used(root):
    put_release(root, LATER)

    assert choose(root) == releases.bundled()


@pytest.mark.parametrize("text", ["", "\n", "../../etc\n", "/\n", "\udcff\n", "2099\n", "current\n"])
def test_a_file_that_names_no_version_names_the_installation(root, text):
    (root / "current").write_bytes(text.encode(errors="surrogateescape"))

    assert choose(root) == releases.bundled()


def test_one_that_is_older_than_an_upgraded_installation_is_not_used(root, caplog):
    put_release(root, "2021.1.1")
    switch(root, ["2021.1.1"])

    assert [choose(root), choose(root)] == [releases.bundled()] * 2
    assert caplog.messages == [
        f"yt-dlp 2021.1.1 in {root} is older than {INSTALLED} of the installation, which is used."
    ]


def test_one_whose_files_are_gone_is_not_used(root, caplog):
    put_release(root, LATER)
    (root / LATER / "yt_dlp").unlink()
    switch(root, [LATER])

    assert choose(root) == releases.bundled()
    assert caplog.messages[0].endswith("manage.py update-engine --rollback")


def test_one_that_does_not_start_is_not_used_until_it_is_switched_to_again(root, start, origin, caplog):
    break_release(put_release(root, LATER))
    switch(root, [LATER])

    child = start("/direct/small.mp4")

    assert wait_until(lambda: [each for each in child.events(0.2) if isinstance(each, messages.Done)])
    wait_until(lambda: "of no use" in caplog.text)
    assert choose(root) == releases.bundled()
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    switch(root, [LATER])
    assert choose(root).version == LATER


def test_a_version_is_not_removed_while_a_child_runs_on_it(root, start, origin):
    folder = put_release(root, LATER)
    switch(root, [LATER])
    child = start("/hang")
    wait_until(lambda: origin.requests_for("/hang"))
    switch(root, [])
    other = start("/direct/small.mp4", name="other")
    wait_until(lambda: other.ended or other.events(0.2))

    releases.clean(root)
    assert folder.exists()

    child.stop()
    wait_until(lambda: releases.clean(root) or not folder.exists())


@pytest.mark.parametrize(
    ("version", "days"), [("2026.10.26", 60), ("2026.10.26.233012.dev0", 60), ("2026.12.25", 0), ("2026.12.31", 0)]
)
def test_a_version_tells_its_age(version, days):
    assert Release(version=version).age(date(2026, 12, 25)) == days


# What the self-check says of a cure


@pytest.mark.parametrize(
    ("cure", "original", "fits"),
    [
        (lambda a, b: 0, lambda a, c: 0, True),
        (lambda a, b=1: 0, lambda a, b=2: 0, True),
        (lambda *_: 0, lambda a, b, c: 0, True),
        (lambda a, *rest, **options: 0, lambda a, *rest, **options: 0, True),
        (lambda a, b: 0, lambda a: 0, False),
        (lambda a: 0, lambda a, b: 0, False),
        (lambda a: 0, lambda a, b=1: 0, False),
        (lambda a, b=1: 0, lambda a, c=1: 0, False),
        (lambda a: 0, lambda a, *, b: 0, False),
    ],
)
def test_a_cure_fits_when_it_can_be_called_as_the_original_is(cure, original, fits):
    assert takes_the_same(cure, original) == fits
