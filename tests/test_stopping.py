"""Cancel in every stage, pause up to the end of the download: no process is left within 2 s, bytes are kept or gone."""

import time

import pytest

from tests.origin import Origin
from tests.service import Service, wait_until

ENOUGH = 300_000  # bytes, that a download is on its way
# Seconds from the request until no process of the task is left, on a machine that the whole suite keeps busy. It is 2
# where it is not; `benchmarks/cancel.py` measures it.
LIMIT = 10

# What stops itself when it is to merge, as a hung ffmpeg would; anything else is the real one's
HUNG_MERGE = """#!/bin/sh
case "$*" in *.temp.*) [ -e {flag} ] && kill -STOP $$ ;; esac
exec {ffmpeg} "$@"
"""


@pytest.fixture(scope="module")
def site(media):
    with Origin(media) as origin:
        yield origin


@pytest.fixture(scope="module")
def merges_hang(tmp_path_factory):
    """A file: while it exists, each merge hangs."""
    return tmp_path_factory.mktemp("flag") / "flag"


@pytest.fixture(scope="module")
def service(tmp_path_factory, tools, merges_hang):
    folder = tmp_path_factory.mktemp("programs")
    (folder / "ffprobe").symlink_to(tools.ffprobe)
    (folder / "ffmpeg").write_text(HUNG_MERGE.format(flag=merges_hang, ffmpeg=tools.ffmpeg))
    (folder / "ffmpeg").chmod(0o700)
    service = Service(tmp_path_factory.mktemp("stopping") / "data", DOWNIE_FFMPEG_DIR=str(folder)).start()
    yield service
    service.stop()


class Stages:
    """Each brings a task to where it is called after; its id and its process group."""

    def __init__(self, service, site, long_origin, merges_hang):
        self.service = service
        self.site = site
        self.long_origin = long_origin
        self.merges_hang = merges_hang

    def look_up_at_a_server_that_hangs(self):
        return self._until("starting", self.site.url("/hang"))

    def look_up_of_a_page_that_drips(self):
        return self._until("starting", self.site.url("/drip", type="text/html"))

    def download_of_a_file(self):
        return self._until_bytes_come("/direct/video.mp4", rate=400_000)

    def download_of_fragments(self):
        return self._until_bytes_come("/hls/plain/index.m3u8", rate=100_000)

    def download_from_a_server_that_hangs(self):
        return self._until_bytes_come("/hls/plain/index.m3u8", on="seg005", delay=60)

    def download_whose_child_hangs(self):
        task_id, group = self.download_of_a_file()
        _ = [each.suspend() for each in self.service.processes_in(group)]
        return task_id, group

    def merge_that_hangs(self):
        self.merges_hang.touch()
        task_id, group = self._until("processing", self.site.url("/hls/split/master.m3u8"))
        wait_until(lambda: [each for each in self.service.processes_in(group) if each.status() == "stopped"])
        self.merges_hang.unlink()
        return task_id, group

    def conversion(self):
        link = self.long_origin.url("/direct/long.webm")
        task_id, group = self._until("processing", link, post_processing="permute")
        wait_until(lambda: self._ffmpeg(group))
        return task_id, group

    def conversion_that_hangs(self):
        task_id, group = self.conversion()
        _ = [each.suspend() for each in self._ffmpeg(group)]
        return task_id, group

    def _until(self, status, link, **fields):
        task_id = self.service.download(link, **fields)
        self.service.wait_for(task_id, status)
        return task_id, self.service.group_of(task_id)

    def _until_bytes_come(self, path, **behaviour):
        task_id = self.service.download(self.site.url(path, **behaviour))
        wait_until(lambda: on_disk(self.service, task_id) >= ENOUGH)
        return task_id, self.service.group_of(task_id)

    def _ffmpeg(self, group):
        return [each for each in self.service.processes_in(group) if "ffmpeg" in each.name()]


PAUSABLE = {
    "look-up at a server that hangs": Stages.look_up_at_a_server_that_hangs,
    "look-up of a page that drips": Stages.look_up_of_a_page_that_drips,
    "download of a file": Stages.download_of_a_file,
    "download of fragments": Stages.download_of_fragments,
    "download from a server that hangs": Stages.download_from_a_server_that_hangs,
    "download whose child hangs": Stages.download_whose_child_hangs,
}
PROCESSING = {
    "merge that hangs": Stages.merge_that_hangs,
    "conversion": Stages.conversion,
    "conversion that hangs": Stages.conversion_that_hangs,
}
ALL = PAUSABLE | PROCESSING


@pytest.fixture
def stages(service, site, long_origin, merges_hang):
    return Stages(service, site, long_origin, merges_hang)


@pytest.fixture
def ask(service):
    """Ask for something of a task; how many seconds there still was a process of it."""

    def ask(verb, task_id, group):
        began = time.monotonic()
        answer = service.http.post(f"/api/downloads/{verb}/{task_id}")
        assert answer.status_code == 200, answer.text
        wait_until(lambda: not service.processes_in(group))
        return time.monotonic() - began

    return ask


def on_disk(service, task_id):
    """How many bytes of a task are in its working folder and, half copied, in the library."""
    folders = (service.data / "work").glob(f"*{task_id}*/**/*"), service.library.glob(f".{task_id}*")
    return sum(path.stat().st_size for folder in folders for path in folder if path.is_file())


@pytest.mark.parametrize("stage", ALL.values(), ids=ALL.keys())
def test_a_cancel_leaves_no_process_and_nothing_on_disk(service, stages, ask, stage):
    task_id, group = stage(stages)

    seconds = ask("cancel", task_id, group)

    assert seconds < LIMIT
    assert service.task(task_id)["status"] == "cancelled"
    assert not list((service.data / "work").glob(f"*{task_id}*"))
    assert on_disk(service, task_id) == 0


@pytest.mark.parametrize("stage", PAUSABLE.values(), ids=PAUSABLE.keys())
def test_a_pause_leaves_no_process_and_every_byte(service, stages, ask, stage):
    task_id, group = stage(stages)
    came = service.task(task_id)["downloaded_bytes"]

    seconds = ask("pause", task_id, group)

    assert seconds < LIMIT
    assert service.task(task_id)["status"] == "paused"
    assert on_disk(service, task_id) >= came


@pytest.mark.parametrize("stage", PROCESSING.values(), ids=PROCESSING.keys())
def test_processing_cannot_be_paused(service, stages, ask, stage):
    task_id, group = stage(stages)

    answer = service.http.post(f"/api/downloads/pause/{task_id}")

    assert (answer.status_code, answer.json()["error_code"]) == (409, "TASK_NOT_PAUSABLE")
    assert service.processes_in(group)
    ask("cancel", task_id, group)
