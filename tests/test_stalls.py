"""What does not get on is found, stopped, tried again and said: a dripping server, a hung child, an endless look-up."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from downloads.engine import messages
from downloads.engine.errors import Phase, Reason
from downloads.engine.stalls import SLOWEST, Watchdog
from tests.origin import Origin
from tests.service import Service, wait_until

# In the service


class Hostile(BaseHTTPRequestHandler):
    """Pages that lead on and on, and one in which regular expressions spin."""

    def do_GET(self):
        number = int(self.path.rpartition("/")[2])
        onwards = f'<meta http-equiv="refresh" content="0;URL=http://{self.headers["Host"]}/page/{number + 1}">'
        body = (b"<video " * 200_000) if self.path.startswith("/spin") else onwards.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hostile():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def site(media):
    with Origin(media) as origin:
        yield origin


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A service that loses its patience soon."""
    limits = {"DOWNIE_LOOKUP_TIME_LIMIT": "6", "DOWNIE_STALL_SECONDS": "2", "DOWNIE_MAX_CONCURRENT_DOWNLOADS": "12"}
    impatient = Service(tmp_path_factory.mktemp("stalls") / "data", **limits).start()
    yield impatient
    impatient.stop()


@pytest.fixture(scope="module")
def stuck(impatient, site, long_origin, hostile):
    """Tasks that do not get on, all at once."""
    links = {
        "a server that does not answer": site.url("/hang"),
        "a page of a byte a second": site.url("/drip", type="text/html"),
        "a page in which the extractor spins": f"{hostile}/spin/0",
        "a file of a byte a second": site.url("/drip"),
        "a fragment that does not come": site.url("/hls/plain/index.m3u8", on="seg005", delay=60),
        "a child that hangs in a look-up": site.url("/hang"),
        "a child that hangs in a download": site.url("/direct/video.mp4", rate=700_000),
    }
    converted = ("a conversion that hangs", "a child that hangs in a conversion")
    tasks = {name: impatient.download(link) for name, link in links.items()}
    for name in converted:
        tasks[name] = impatient.download(long_origin.url("/direct/long.webm"), post_processing="permute")
    hang_when(impatient, tasks["a child that hangs in a look-up"], "starting")
    impatient.wait_for_bytes(tasks["a child that hangs in a download"], 500_000)
    hang_when(impatient, tasks["a child that hangs in a download"], "downloading")
    hang_when_converting(impatient, tasks["a conversion that hangs"], only=("ffmpeg",))
    hang_when_converting(impatient, tasks["a child that hangs in a conversion"])
    return tasks


def hang_when(service, task_id, status):
    service.wait_for(task_id, status)
    _ = [each.suspend() for each in service.processes_in(service.group_of(task_id))]


def hang_when_converting(service, task_id, only=("",)):
    """Stop what is called so as it is, as soon as ffmpeg converts."""
    service.wait_for(task_id, "processing")
    group = service.group_of(task_id)
    wait_until(lambda: [each for each in service.processes_in(group) if "ffmpeg" in each.name()])
    _ = [each.suspend() for each in service.processes_in(group) for name in only if name in each.name()]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a server that does not answer", "lookup_timed_out"),
        ("a page of a byte a second", "lookup_timed_out"),
        ("a page in which the extractor spins", "lookup_timed_out"),
        ("a file of a byte a second", "stalled"),
        ("a fragment that does not come", "stalled"),
        ("a child that hangs in a look-up", "lookup_timed_out"),
        ("a conversion that hangs", "stalled"),
        ("a child that hangs in a conversion", "stalled"),
    ],
)
def test_what_does_not_get_on_is_stopped_and_tried_again(impatient, stuck, name, reason):
    task = wait_until(lambda: (task := impatient.task(stuck[name]))["failures"] and task, limit=60)

    assert task["error_reason"] == reason
    assert "too long" in task["error_message"]


def test_a_byte_now_and_then_does_not_start_the_count_of_failures_again(impatient, stuck):
    wait_until(lambda: impatient.task(stuck["a file of a byte a second"])["failures"] >= 2, limit=60)


def test_pages_that_lead_on_and_on_are_not_followed_for_ever(service, hostile):
    task = service.wait_for(service.download(f"{hostile}/page/0"))

    assert (task["status"], task["error_reason"]) == ("failed", "unsupported_site")


def test_a_server_that_redirects_to_itself_is_given_up(service, site):
    task = service.wait_for(service.download(site.url("/loop")))

    assert (task["status"], task["error_reason"]) == ("failed", "redirect_loop")


def test_a_child_that_hangs_in_a_download_is_killed_and_the_next_one_goes_on(impatient, stuck, site, media):
    task_id = stuck["a child that hangs in a download"]

    assert impatient.wait_for(task_id)["status"] == "completed"

    assert impatient.file(task_id).read_bytes() == (media / "direct" / "video.mp4").read_bytes()
    assert min(record.range[0] for record in site.requests_for("/direct/video.mp4") if record.range) > 300_000


# The watchdog


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watchdog(tmp_path, clock):
    return Watchdog(tmp_path, look_up_limit=100, stall_limit=60, clock=clock)


FOUND = messages.Found(title="", media_id="", site="", uploader="", duration=0, thumbnail="")
ENOUGH = 60 * SLOWEST


def progress(downloaded=0, percentage=0.0):
    return messages.Progress(percentage=percentage, downloaded_bytes=downloaded, total_bytes=0, speed=0, eta=0)


def after(watchdog, clock, seconds, *events):
    """What the watchdog says so many seconds later, when it has heard these."""
    _ = [watchdog.hear(event) for event in events]
    clock.now += seconds
    return watchdog.overdue()


def test_a_look_up_has_its_limit(watchdog, clock):
    assert after(watchdog, clock, 100) is None

    failure = after(watchdog, clock, 1)

    assert (failure.reason, failure.phase, failure.retryable) == (Reason.LOOKUP_TIMED_OUT, Phase.LOOKUP, True)
    assert failure.detail == "nothing happened for 100 s"


def test_a_download_gets_on_with_enough_bytes(watchdog, clock):
    assert after(watchdog, clock, 60, FOUND) is None
    assert after(watchdog, clock, 60, progress(ENOUGH)) is None
    assert after(watchdog, clock, 60, progress(2 * ENOUGH)) is None

    assert after(watchdog, clock, 1).reason == Reason.STALLED


def test_a_download_does_not_get_on_with_a_byte_now_and_then(watchdog, clock):
    assert after(watchdog, clock, 59, FOUND, progress(ENOUGH)) is None

    failure = after(watchdog, clock, 2, progress(2 * ENOUGH - 1, percentage=50))

    assert (failure.reason, failure.phase, failure.retryable) == (Reason.STALLED, Phase.DOWNLOAD, True)


def test_few_bytes_count_together(watchdog, clock):
    assert after(watchdog, clock, 50, FOUND, progress(ENOUGH // 2)) is None
    assert after(watchdog, clock, 50, progress(ENOUGH)) is None


def test_a_download_that_is_started_anew_gets_on(watchdog, clock):
    assert after(watchdog, clock, 50, FOUND, progress(5 * ENOUGH)) is None
    assert after(watchdog, clock, 50, progress(0)) is None
    assert after(watchdog, clock, 50, progress(ENOUGH)) is None


def test_processing_gets_on_with_each_percentage(watchdog, clock):
    assert after(watchdog, clock, 110, FOUND, messages.Processing(), progress(percentage=95)) is None
    assert after(watchdog, clock, 110, progress(percentage=95.1)) is None

    failure = after(watchdog, clock, 11, progress(percentage=95.1))

    assert (failure.reason, failure.phase) == (Reason.STALLED, Phase.PROCESSING)


def test_processing_gets_on_with_each_write(watchdog, clock, tmp_path):
    (tmp_path / "parts").mkdir()
    file = tmp_path / "parts" / "media.temp.mp4"
    file.touch()
    assert after(watchdog, clock, 110, FOUND, messages.Processing()) is None
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert after(watchdog, clock, 110) is None

    assert after(watchdog, clock, 121).reason == Reason.STALLED


def test_a_write_is_no_help_to_a_download(watchdog, clock, tmp_path):
    assert after(watchdog, clock, 50, FOUND) is None
    (tmp_path / "media.mp4.part").touch()

    assert after(watchdog, clock, 11).reason == Reason.STALLED
