"""API keys: none, and this machine may ask; one, and everybody needs a key or a login."""

import contextlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from downloads import access, consumers
from downloads.access import Caller
from downloads.models import ApiKey, FeedTicket, Scope, api_key
from tests.administrator import PASSWORD, make_administrator
from tests.keys import bearer, id_of, make_key, revoke_key
from tests.service import PROJECT, Feed
from tests.test_api import EXAMPLE, is_error

NOWHERE = "000000000000"


def manage(service, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env={**service.environment, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture(scope="module")
def guarded(service):
    """A running service with a key, and with an administrator."""
    service.key = make_key(service)
    make_administrator(service)
    return service


@pytest.fixture
def browser(guarded):
    """A client that is logged in by the admin's form."""
    with httpx.Client(base_url=guarded.url, timeout=30) as client:
        client.get("/admin/login/")
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post("/admin/login/?next=/", data=form).headers["Location"] == "/"
        yield client


# At the command line


def test_a_key_is_shown_once_and_kept_hashed(guarded):
    key = manage(guarded, "apikey", "create", "a test").stdout.strip()

    assert re.fullmatch(r"downie_[0-9a-f]{12}_[\w-]{43}", key)
    shown = manage(guarded, "apikey", "list").stdout
    assert id_of(key) in shown
    assert key[20:] not in shown
    assert id_of(key).encode() in guarded.kept()
    assert key[20:].encode() not in guarded.kept()


def test_a_revoked_key_opens_nothing_from_then_on(guarded):
    key = make_key(guarded)
    assert guarded.http.get("/api/stats", headers=bearer(key)).status_code == 200

    manage(guarded, "apikey", "revoke", id_of(key))

    assert is_error(guarded.http.get("/api/stats", headers=bearer(key)), 401, "UNAUTHORIZED")
    assert "revoked" in manage(guarded, "apikey", "list").stdout


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["create", "x", "--scopes", "read,fly"], "scopes are read, add and manage"),
        (["create", "x", "--expires", "0"], "a whole number of days from 1"),
        (["create", "x", "--expires", "soon"], "a whole number of days from 1"),
        (["create", " "], "1 to 100 characters"),
        (["create", "x" * 101], "1 to 100 characters"),
        (["revoke", "nothing"], "apikey list shows them"),
    ],
)
def test_what_the_command_cannot_do_it_says_with_the_cure(arguments, cure, capsys):
    with pytest.raises(CommandError, match=cure):
        call_command("apikey", *arguments)

    assert capsys.readouterr().out == ""


# None


def test_without_keys_this_machine_may_ask_and_the_first_key_ends_that_at_once(fresh_service):
    fresh_service.start()
    assert fresh_service.http.get("/").status_code == 200
    assert fresh_service.http.get("/api/stats").status_code == 200

    key = make_key(fresh_service)

    assert is_error(fresh_service.http.get("/api/stats"), 401, "UNAUTHORIZED")
    assert fresh_service.http.get("/").status_code == 302
    revoke_key(fresh_service, key)
    assert fresh_service.http.get("/api/stats").status_code == 200


def test_it_listens_on_another_address_only_with_a_key(fresh_service):
    fresh_service.environment["DOWNIE_HOST"] = "0.0.0.0"
    with pytest.raises(RuntimeError, match=re.escape("manage.py apikey create NAME")):
        fresh_service.start()
    make_key(fresh_service)

    fresh_service.start()

    assert is_error(fresh_service.http.get("/api/stats"), 401, "UNAUTHORIZED")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.7", False),
        ("::ffff:192.168.1.7", False),
        ("2001:db8::1", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_without_keys_only_this_machine_may_ask(client, address, may):
    """So revoking the last key of a service that listens to the network does not open it to the network."""
    assert access.everybody_may(address) is may
    assert (client.get("/api/stats", REMOTE_ADDR=address).status_code == 200) is may
    assert (client.get("/", REMOTE_ADDR=address).status_code == 200) is may


@pytest.mark.django_db
def test_without_keys_everybody_may_ask_if_the_administrator_said_so(client, settings):
    settings.ALLOW_ANONYMOUS = True

    assert client.get("/api/stats", REMOTE_ADDR="192.168.1.7").status_code == 200


@pytest.mark.django_db
def test_the_end_of_the_last_key_opens_nothing(client):
    key, _text = ApiKey.objects.make("a test", expires_at="2020-01-01T00:00:00Z")

    assert client.get("/api/stats").status_code == 401
    key.revoke()
    assert client.get("/api/stats").status_code == 200


# With keys: what needs one


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/stats"),
        ("GET", "/api/downloads/tasks"),
        ("GET", f"/api/downloads/tasks/{NOWHERE}/file"),
        ("POST", "/api/downloads/add"),
        ("DELETE", f"/api/downloads/tasks/{NOWHERE}"),
        ("GET", "/api/docs"),
        ("GET", "/api/redoc"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/health/ready"),
        ("GET", "/api/nothing"),
        ("GET", "/api/health/"),
        ("GET", "/metrics"),
        ("POST", "/api/downloads/ws-ticket"),
        ("OPTIONS", "/api/stats"),
    ],
)
def test_with_keys_every_path_of_the_api_needs_one(guarded, method, path):
    answer = guarded.http.request(method, path)

    assert is_error(answer, 401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_health_is_always_open(guarded):
    assert guarded.http.get("/api/health").status_code == 200


@pytest.mark.parametrize("path", ["/", "/?page=2"])
def test_the_page_leads_to_the_login(guarded, path):
    answer = guarded.http.get(path)

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/?next=/")


def test_a_form_of_the_page_does_nothing_without_a_login(guarded):
    answer = guarded.http.post("/", data={"url": EXAMPLE})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/?next=/")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_lets_in_by_either_header(guarded, header):
    value = {"Authorization": f"bearer {guarded.key}", "X-API-Key": guarded.key}[header]

    assert guarded.http.get("/api/downloads/tasks", headers={header: value}).status_code == 200


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: f"{key}x",
        lambda key: key.replace("downie", "uppie"),
        lambda key: f"downie_{id_of(key)}_",
        lambda key: f"downie_{id_of(key)}_{'x' * 43}",
        lambda key: f"downie_{NOWHERE}_{key[20:]}",
        lambda key: "_" * 9,
        lambda key: "é",
        lambda key: "x" * 10_000,
    ],
)
def test_a_wrong_key_is_refused(guarded, spoil):
    answer = guarded.http.get("/api/stats", headers={"X-API-Key": spoil(guarded.key).encode("latin1")})

    assert is_error(answer, 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        ("read", {"look", "ticket"}),
        ("add", {"add", "start", "batch"}),
        ("manage", {"cancel", "delete", "cleanup"}),
        ("read,add", {"look", "ticket", "add", "start", "batch"}),
    ],
)
def test_a_key_does_what_its_scopes_say(guarded, scopes, may):
    headers = bearer(make_key(guarded, *scopes.split(",")))
    asked = {
        "look": guarded.http.get("/api/downloads/tasks", headers=headers),
        "ticket": guarded.http.post("/api/downloads/ws-ticket", headers=headers),
        "add": guarded.http.post("/api/downloads/add", headers=headers, json={"url": EXAMPLE}),
        "start": guarded.http.post(f"/api/downloads/start/{NOWHERE}", headers=headers),
        "batch": guarded.http.post("/api/downloads/batch/add", headers=headers, json=[]),
        "cancel": guarded.http.post(f"/api/downloads/cancel/{NOWHERE}", headers=headers),
        "delete": guarded.http.delete(f"/api/downloads/tasks/{NOWHERE}", headers=headers),
        "cleanup": guarded.http.post("/api/downloads/cleanup", headers=headers),
    }

    assert {what for what, answer in asked.items() if answer.status_code != 403} == may
    assert {answer.json()["error_code"] for answer in asked.values() if answer.status_code == 403} == {"FORBIDDEN"}


@pytest.mark.django_db
def test_an_expired_key_lets_nobody_in(client):
    _key, text = ApiKey.objects.make("a test", expires_at="2020-01-01T00:00:00Z")

    assert client.get("/api/stats", headers={"X-API-Key": text}).json()["error_code"] == "UNAUTHORIZED"


@pytest.mark.django_db
def test_the_last_use_is_noted_at_most_once_a_minute(client, django_assert_num_queries):
    key, text = ApiKey.objects.make("a test")
    client.get("/api/downloads/qualities", headers={"X-API-Key": text})
    key.refresh_from_db()
    assert key.last_used_at is not None

    with django_assert_num_queries(1):
        client.get("/api/downloads/qualities", headers={"X-API-Key": text})


# A login


def test_a_login_lets_in(browser):
    assert browser.get("/").status_code == 200
    assert browser.get("/api/downloads/tasks").status_code == 200
    assert browser.get("/api/docs").status_code == 200


def test_with_a_login_acting_needs_djangos_token(browser):
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/").text)[1]

    without = browser.post("/api/downloads/add", json={"url": EXAMPLE})
    answer = browser.post("/api/downloads/add", json={"url": EXAMPLE}, headers={"X-CSRFToken": token})

    assert is_error(without, 403, "FORBIDDEN")
    assert answer.status_code == 200


def test_a_wrong_key_is_refused_whoever_is_logged_in(browser):
    assert is_error(browser.get("/api/stats", headers={"X-API-Key": "wrong"}), 401, "UNAUTHORIZED")


# The admin


def test_the_admin_makes_a_key_shows_it_once_and_revokes_it(admin_client):
    page = admin_client.post("/admin/downloads/apikey/add/", {"name": "phone", "may_read": "on"}, follow=True).text

    text = re.search(r"downie_[0-9a-f]{12}_[\w-]{43}", page)[0]
    key = ApiKey.objects.find(text)
    assert key.scopes == [Scope.READ]
    again = admin_client.get("/admin/downloads/apikey/").text
    assert key.public_id in again
    assert text not in again
    admin_client.post("/admin/downloads/apikey/", {"action": "revoke", "_selected_action": [key.pk]})
    assert ApiKey.objects.find(text) is None


def test_the_admin_changes_no_key(admin_client):
    key, _text = ApiKey.objects.make("phone", [Scope.READ])

    admin_client.post(f"/admin/downloads/apikey/{key.pk}/change/", {"name": "phone", "may_manage": "on"})

    key.refresh_from_db()
    assert key.scopes == [Scope.READ]


# The feed


@contextlib.contextmanager
def feed(service, query="", **options):
    with connect(f"ws://127.0.0.1:{service.port}/api/downloads/ws{query}", **options) as socket:
        yield Feed(socket)


def is_refused(service, query="", **options):
    with pytest.raises(InvalidStatus) as refusal, feed(service, query, **options):
        pass
    return refusal.value.response.status_code == 403


def ticket_of(guarded, key):
    answer = guarded.http.post("/api/downloads/ws-ticket", headers=bearer(key)).json()
    assert answer["expires_in"] == 30
    return f"?ticket={answer['ticket']}"


def test_a_key_in_a_header_opens_the_feed_from_any_page(guarded):
    with feed(guarded, additional_headers=bearer(guarded.key), origin="chrome-extension://abc") as listener:
        assert listener.hear()["type"] == "initial"


@pytest.mark.parametrize("query", ["", "?ticket=", "?ticket=wrong", "?ticket=%00", "?ticket=%FF", "?ticket=a&ticket=b"])
def test_without_a_key_nobody_listens(guarded, query):
    assert is_refused(guarded, query)


def test_a_key_that_may_not_read_does_not_listen(guarded):
    assert is_refused(guarded, additional_headers=bearer(make_key(guarded, "add", "manage")))


def test_a_ticket_opens_the_feed_once(guarded):
    ticket = ticket_of(guarded, guarded.key)

    with feed(guarded, ticket, origin="chrome-extension://abc") as listener:
        assert listener.hear()["type"] == "initial"

    assert is_refused(guarded, ticket)


def test_of_many_who_come_with_one_ticket_at_once_one_gets_in(guarded):
    ticket = ticket_of(guarded, guarded.key)

    with ThreadPoolExecutor(10) as threads:
        came = list(threads.map(lambda _: comes_in(guarded, ticket), range(10)))

    assert sum(came) == 1


def comes_in(service, query):
    with contextlib.suppress(InvalidStatus), feed(service, query):
        return True
    return False


def test_the_ticket_of_a_revoked_key_opens_nothing(guarded):
    key = make_key(guarded)
    ticket = ticket_of(guarded, key)

    revoke_key(guarded, key)

    assert is_refused(guarded, ticket)


@pytest.mark.django_db
def test_a_ticket_that_nobody_used_in_time_is_worth_nothing_and_is_swept_out(monkeypatch):
    monkeypatch.setattr(api_key, "TICKET_LIFE", timedelta(seconds=-1))
    text = FeedTicket.objects.issue()

    assert FeedTicket.objects.redeem(text) is None
    FeedTicket.objects.issue()
    assert FeedTicket.objects.count() == 1


def test_a_login_opens_the_feed_for_our_own_page_alone(guarded, browser):
    cookies = {"Cookie": f"sessionid={browser.cookies['sessionid']}"}

    with feed(guarded, additional_headers=cookies, origin=guarded.url) as listener:
        assert listener.hear()["type"] == "initial"

    assert is_refused(guarded, additional_headers=cookies, origin="https://evil.example")
    assert is_refused(guarded, additional_headers={"Cookie": "sessionid=wrong"}, origin=guarded.url)


def test_the_socket_of_a_revoked_key_is_closed_within_a_minute(guarded):
    key = make_key(guarded)
    with feed(guarded, additional_headers=bearer(key)) as listener:
        revoke_key(guarded, key)
        with pytest.raises(ConnectionClosed) as closed:
            listener.hear_until(lambda message: message["type"] == "never", limit=60)

    assert closed.value.rcvd.code == consumers.UNAUTHORIZED


@pytest.mark.django_db
def test_whoever_is_not_welcome_any_more_is_known(admin_user, client):
    client.force_login(admin_user)
    key, _text = ApiKey.objects.make("a test")
    callers = [
        Caller(key=key.pk),
        Caller(user=admin_user.pk),
        Caller(user=admin_user.pk, session=client.session.session_key),
    ]
    assert [access.is_welcome(caller, "127.0.0.1") for caller in callers] == [True, True, True]
    assert not access.is_welcome(Caller(), "127.0.0.1")

    key.revoke()
    get_user_model().objects.update(is_active=False)

    assert [access.is_welcome(caller, "127.0.0.1") for caller in callers] == [False, False, False]
    assert access.is_welcome(Caller(), "127.0.0.1")
