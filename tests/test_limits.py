"""How much a client may ask, send and hold open."""

import contextlib
import re
import socket
import time
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from downloads import limits
from downloads.limits import Policy, Sockets
from downloads.models import ApiKey
from tests.keys import bearer, make_key
from tests.service import Service, wait_until
from tests.test_api import EXAMPLE, is_error

MB = 1024 * 1024
HEADERS = "POST /api/downloads/add HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def _nothing_counted_yet():
    limits._limiter.cache_clear()


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A running service with keys and with small limits."""
    service = Service(
        tmp_path_factory.mktemp("limited") / "data",
        DOWNIE_RATE_LIMIT="20/hour",
        DOWNIE_EXTRACT_RATE_LIMIT="2/hour",
        DOWNIE_MAX_SOCKETS_PER_CLIENT="3",
    ).start()
    yield service
    service.stop()


@pytest.fixture
def key(limited):
    """A key that nothing was asked with yet."""
    return bearer(make_key(limited))


def test_every_answer_says_where_the_client_stands(limited, key):
    first = limited.http.get("/api/stats", headers=key)
    second = limited.http.get("/api/nothing", headers=key)

    assert first.headers["RateLimit-Policy"] == '"default";q=20;w=3600'
    assert re.fullmatch(r'"default";r=19;t=3(599|600)', first.headers["RateLimit"])
    assert second.headers["RateLimit"].startswith('"default";r=18;')


def test_what_is_too_much_is_refused_and_says_for_how_long(limited, key):
    answers = [limited.http.get("/api/stats", headers=key) for _ in range(21)]

    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert is_error(answers[-1], 429, "RATE_LIMITED")
    assert 3590 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert answers[-1].headers["RateLimit"].startswith('"default";r=0;')
    assert limited.http.get("/api/health", headers=key).status_code == 200


def test_each_key_has_its_own_share(limited, key):
    other = bearer(make_key(limited))
    _ = [limited.http.get("/api/stats", headers=key) for _ in range(20)]

    assert limited.http.get("/api/stats", headers=key).status_code == 429
    assert limited.http.get("/api/stats", headers=other).status_code == 200


def test_looking_videos_up_has_a_limit_of_its_own(limited, key):
    answers = [limited.http.post("/api/downloads/extract", headers=key, json={}) for _ in range(3)]

    assert answers[0].headers["RateLimit-Policy"] == '"default";q=20;w=3600, "extract";q=2;w=3600'
    assert re.fullmatch(r'"default";r=19;t=\d+, "extract";r=1;t=\d+', answers[0].headers["RateLimit"])
    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert limited.http.get("/api/stats", headers=key).status_code == 200


def test_on_this_machine_nothing_is_limited_while_there_are_no_keys(fresh_service):
    fresh_service.environment["DOWNIE_RATE_LIMIT"] = "1/hour"
    fresh_service.start()

    answers = [fresh_service.http.get("/api/stats") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert "RateLimit" not in answers[0].headers


@pytest.mark.django_db
def test_from_elsewhere_everything_is_limited_even_if_everybody_may_ask(client, settings):
    settings.ALLOW_ANONYMOUS = True
    settings.RATE_LIMIT = "2/hour"

    answers = [client.get("/api/stats", REMOTE_ADDR="192.0.2.1") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert client.get("/api/stats", REMOTE_ADDR="192.0.2.2").status_code == 200


@pytest.mark.django_db
def test_wrong_keys_are_limited_by_address_but_the_right_one_still_lets_in(client, settings, key_text, monkeypatch):
    monkeypatch.setattr(limits, "FAILED_KEYS", "3/hour")

    answers = [client.get("/api/stats", headers={"X-API-Key": "wrong"}, REMOTE_ADDR="192.0.2.1") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) > 3590
    assert client.get("/api/stats", headers={"X-API-Key": key_text}, REMOTE_ADDR="192.0.2.1").status_code == 200
    assert client.get("/api/stats", headers={"X-API-Key": "wrong"}, REMOTE_ADDR="192.0.2.2").status_code == 401


@pytest.fixture
def key_text(db):
    return ApiKey.objects.make("a test")[1]


def test_passwords_are_not_looked_at_after_many_wrong_ones(client, admin_user):
    form = {"username": "admin", "password": "password"}

    wrong = [client.post("/admin/login/", form | {"password": "wrong"}) for _ in range(11)]

    assert [answer.status_code for answer in wrong] == [200] * 10 + [429]
    assert client.post("/admin/login/", form).status_code == 429
    assert client.post("/admin/login/", form, REMOTE_ADDR="192.0.2.2").status_code == 302


def test_logging_in_rightly_does_not_count(client, admin_user):
    answers = [client.post("/admin/login/", {"username": "admin", "password": "password"}) for _ in range(15)]

    assert {answer.status_code for answer in answers} == {302}


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1:2:3", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("", ""),
    ],
)
def test_an_address_stands_for_a_client(address, client):
    assert limits.client_at(address) == client


def test_a_share_is_there_again_when_retry_after_says_so():
    policy = [Policy.of("test", "2/second")]
    counts = [limits.count("somebody", policy)[0] for _ in range(3)]
    assert [each.is_within for each in counts] == [True, True, False]

    time.sleep(counts[-1].seconds)

    assert limits.count("somebody", policy)[0].is_within


# Sockets


def test_an_address_may_hold_so_many_sockets_open_and_no_more(limited, key):
    with contextlib.ExitStack() as stack:
        _ = [stack.enter_context(limited.feed(additional_headers=key)) for _ in range(3)]
        assert not comes_in(limited, key)

    assert wait_until(lambda: comes_in(limited, key))


def test_sockets_that_are_refused_or_gone_do_not_count(limited, key):
    assert [comes_in(limited, {}) for _ in range(10)] == [False] * 10
    assert [bool(wait_until(lambda: comes_in(limited, key))) for _ in range(10)] == [True] * 10


def comes_in(service, key):
    with contextlib.suppress(InvalidStatus), service.feed(additional_headers=key):
        return True
    return False


def test_clients_without_sockets_are_forgotten():
    sockets = Sockets()

    with sockets.one_more("somebody") as has_room:
        assert has_room
        assert sockets._open == {"somebody": 1}

    assert not sockets._open


# Bodies and addresses


def test_a_body_that_is_too_large_is_refused_with_the_reason(service):
    answer = service.http.post("/api/downloads/add", json={"url": EXAMPLE, "cookies": "x" * 3 * MB})

    assert is_error(answer, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "VALIDATION_ERROR")
    assert service.http.post("/api/downloads/add", json={"url": EXAMPLE}).status_code == 200


def test_a_body_just_within_the_limit_is_read(service):
    body = b'{"url": "' + EXAMPLE.encode() + b'"}'

    answer = service.http.post(
        "/api/downloads/add", content=body.ljust(2 * MB), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 200


def test_a_body_in_chunks_without_end_is_cut_off_and_kept_nowhere(service):
    """It is answered as soon as it is too large; what comes after is dropped, and after 5 s the line is cut."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(f"{HEADERS}Transfer-Encoding: chunked\r\n\r\n".encode())
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011  whichever way the line is cut
            _ = [(client.sendall(chunk), time.sleep(0.001)) for _ in range(100_000)]

    assert 4 < time.monotonic() - began < 25
    assert spooled_by(service) == 0


def test_a_body_without_end_is_answered_before_it_ends(service):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(f"{HEADERS}Transfer-Encoding: chunked\r\n\r\n".encode())
        client.sendall(chunk * 40)
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 Content Too Large\r\n")
    assert b'"error_code": "VALIDATION_ERROR"' in answer


def test_an_announced_body_that_is_too_large_is_answered_before_it_comes(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(f"{HEADERS}Content-Length: 3000000000\r\n\r\n".encode())
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")


def spooled_by(service):
    """Bytes in files without a name that the service holds open: what Twisted spools bodies to."""
    open_files = Path(f"/proc/{service.process.pid}/fd").iterdir()
    return sum(file.stat().st_size for file in open_files if str(file.readlink()).endswith(" (deleted)"))


@pytest.mark.parametrize("length", [20_000, 1_000_000])
def test_an_address_without_end_is_refused(service, length):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"GET /api/stats?" + b"x" * length + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert client.recv(4096).startswith((b"HTTP/1.1 400 ", b""))

    assert service.http.get("/api/stats").status_code == 200
