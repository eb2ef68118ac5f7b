"""What can go wrong, made to go wrong: reason, code and sentence as a client of the API sees them."""

import os
import shutil
import signal
import ssl
import subprocess
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from downloads.engine.errors import SENTENCES, Reason
from tests.hostile_site import hostile_site
from tests.service import free_port, wait_until

MEDIASITE = "/Mediasite/Play/2db6c271681e4f199af3c60d1f82869b1d"


@pytest.fixture(scope="module")
def site():
    with hostile_site() as address:
        yield address


def failed(service, url, **fields):
    """The task once it has failed for good, with a sentence of the table."""
    task = service.wait_for(service.download(url, **fields), "failed", limit=60)
    assert task["error_message"] == SENTENCES[Reason(task["error_reason"])]
    return task["error_reason"], task["error_code"]


def retried(service, url, **fields):
    """The task as it waits for another attempt; it is cancelled then."""
    task_id = service.download(url, **fields)
    task = wait_until(lambda: (task := service.task(task_id))["status"] == "queued" and task["failures"] and task, 60)
    service.http.post(f"/api/downloads/cancel/{task_id}")
    assert task["next_attempt_at"] is not None
    return task["error_reason"], task["error_code"]


@pytest.mark.parametrize(
    ("path", "reason", "code"),
    [
        ("/page/none.html", "unsupported_site", "UNSUPPORTED_SITE"),
        ("/status/401", "login_needed", "EXTRACTION_FAILED"),
        ("/status/402", "members_only", "EXTRACTION_FAILED"),
        ("/status/403", "access_denied", "EXTRACTION_FAILED"),
        ("/status/404", "not_found", "EXTRACTION_FAILED"),
        ("/status/410", "removed", "EXTRACTION_FAILED"),
        ("/status/451", "geo_blocked", "EXTRACTION_FAILED"),
        ("/loop", "redirect_loop", "EXTRACTION_FAILED"),
        ("/redirect/302?to=http://10.0.0.1/video.mp4", "address_forbidden", "INVALID_URL"),
        ("/redirect/302?to=file:///etc/passwd", "invalid_url", "INVALID_URL"),
    ],
)
def test_what_a_look_up_meets_fails_at_once(service, origin, path, reason, code):
    assert failed(service, origin.base + path) == (reason, code)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/cloudflare.html", "bot_check"),
        (MEDIASITE, "extractor_broken"),
        ("/drm.m3u8", "drm"),
        ("/drm.mpd", "drm"),
    ],
)
def test_what_a_site_does_on_purpose_fails_at_once(service, site, path, reason):
    code = {"drm": "UNSUPPORTED_SITE"}.get(reason, "EXTRACTION_FAILED")
    assert failed(service, site + path) == (reason, code)


@pytest.mark.parametrize(
    ("path", "wish", "expected"),
    [
        ("/direct/video.mp4", {"max_filesize": 100_000}, ("file_too_large", "DOWNLOAD_FAILED")),
        ("/hls/plain/index.m3u8", {"max_filesize": 100_000}, ("file_too_large", "DOWNLOAD_FAILED")),
        ("/hls/plain/index.m3u8", {"section": {"from": 900}}, ("section_beyond", "EXTRACTION_FAILED")),
    ],
)
def test_what_cannot_be_as_it_was_wished_for_fails_at_once(service, origin, path, wish, expected):
    assert failed(service, origin.url(path), **wish) == expected


@pytest.mark.parametrize(
    ("path", "reason", "code"),
    [
        ("/status/429", "rate_limited", "EXTRACTION_FAILED"),
        ("/status/500", "server_error", "EXTRACTION_FAILED"),
        ("/status/503", "server_error", "EXTRACTION_FAILED"),
        ("/direct/video.mp4?status=403&skip=1&id=expired", "link_expired", "DOWNLOAD_FAILED"),
        ("/hls/plain/index.m3u8?on=seg002&status=503&id=broken", "server_error", "DOWNLOAD_FAILED"),
    ],
)
def test_what_may_pass_is_tried_again(service, origin, path, reason, code):
    assert retried(service, origin.base + path) == (reason, code)


def test_a_port_where_nobody_listens_is_a_matter_of_the_network(service):
    assert retried(service, f"http://127.0.0.1:{free_port()}/") == ("network", "EXTRACTION_FAILED")


@pytest.fixture
def self_signed(tmp_path):
    """A site on https whose certificate nobody knows."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_nobody_vouches_for_is_not_accepted(service, self_signed):
    assert failed(service, self_signed) == ("certificate", "EXTRACTION_FAILED")


def test_a_killed_process_is_tried_again(service, origin):
    task_id = service.download(origin.url("/direct/video.mp4", rate=100_000))
    service.wait_for_bytes(task_id, 1)
    os.kill(service.children()[0].pid, signal.SIGKILL)
    task = wait_until(lambda: (task := service.task(task_id))["failures"] and task)
    service.http.post(f"/api/downloads/cancel/{task_id}")
    assert (task["error_reason"], task["error_code"]) == ("killed", "DOWNLOAD_FAILED")


def test_a_file_that_ffmpeg_cannot_convert_is_kept_from_the_library(service, site):
    assert failed(service, f"{site}/broken.webm", post_processing="permute") == (
        "postprocessing_failed",
        "PROCESSING_FAILED",
    )


def test_a_library_that_cannot_be_written_to_is_said(fresh_service, origin):
    fresh_service.start()
    shutil.rmtree(fresh_service.library)
    fresh_service.library.write_text("a file, not a folder")
    assert failed(fresh_service, origin.url("/direct/small.mp4")) == ("storage", "PROCESSING_FAILED")


def test_what_is_no_video_after_all_is_not_kept(service, site):
    reason = failed(service, f"{site}/text.mp4")
    assert reason == ("incomplete", "DOWNLOAD_FAILED")
    assert not list(service.library.glob("text*"))


# The last test on this service: its only site rests from here on
def test_a_rest_that_a_site_asks_for_is_kept_by_every_download_from_it(service, origin):
    asked = service.download(origin.url("/status/503", retry_after=600))
    task = wait_until(lambda: (task := service.task(asked))["next_attempt_at"] and task)
    other = service.download(origin.url("/direct/small.mp4"))
    page = service.http.get(f"/tasks/{other}").text

    assert 590 < task["next_attempt_at"] - task["started_at"] < 620
    assert (service.task(other)["status"], service.task(other)["waits_for"]) == ("queued", "rest")
    assert "Its site has asked for a rest" in page
