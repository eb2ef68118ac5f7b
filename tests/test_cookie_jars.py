"""Cookie jars: chosen by the task's site, sent nowhere else, shown nowhere, and tested with a button."""

import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.utils import timezone
from django.utils.formats import date_format

from downloads import cookie_jars
from downloads.models import CookieJar
from downloads.models.cookie_jar import Outcome
from tests.administrator import Administrator
from tests.service import Service, wait_until

JARS = "/admin/downloads/cookiejar/"
HLS = "/hls/aes/index.m3u8"
LATER = 4102444800  # the year 2100


def jar(text="a=b", site="example.com", **columns):
    made = CookieJar(site=site, **columns)
    made.fill(text)
    made.save()
    return made


def netscape(*cookies):
    """A cookies.txt; each cookie is its name, its value and its expiry."""
    lines = [f".example.com\tTRUE\t/\tTRUE\t{expiry}\t{name}\t{value}" for name, value, expiry in cookies]
    return "\n".join(["# Netscape HTTP Cookie File", *lines])


def submit(client, path="add/", **form):
    return client.post(f"{JARS}{path}", {"site": "example.com", "is_active": "on"} | form, follow=True)


def expiry_in(page):
    return re.search(r'<td class="field-expiry[^>]*>(.*?)</td>', page)[1]


def errors_of(answer):
    return [sentence for listed in answer.context["adminform"].form.errors.values() for sentence in listed]


# Which one it is


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("site", "url", "cookies"),
    [
        ("example.com", "https://example.com/v", "a=b"),
        ("example.com", "http://www.example.com:8080/v", "a=b"),
        ("example.com", "https://example.org/v", ""),
        ("example.com", "https://notexample.com/v", ""),
        ("example.com", "https://example.com.evil.test/v", ""),
        ("www.example.com", "https://www.example.com/v", ""),
        ("me.github.io", "https://you.github.io/v", ""),
        ("127.0.0.1", "http://127.0.0.1:8000/v", "a=b"),
        ("127.0.0.1", "http://localhost:8000/v", ""),
        ("youtube.com", "https://youtu.be/dQw4w9WgXcQ", "a=b"),
        ("x.com", "https://twitter.com/u/status/1", "a=b"),
    ],
)
def test_a_jar_is_chosen_by_the_registrable_domain(site, url, cookies):
    jar(site=site)
    assert CookieJar.objects.cookies_for(url) == cookies


@pytest.mark.django_db
def test_cookies_of_its_own_go_before_a_jar():
    jar()
    assert CookieJar.objects.cookies_for("https://example.com/v", "own=1") == "own=1"
    assert CookieJar.objects.get().last_used_at is None


@pytest.mark.django_db
def test_of_several_jars_the_active_one_that_was_filled_last_is_used():
    first, _second = jar("first=1", account="ann"), jar("second=1", account="bob")
    jar("third=1", account="eve", is_active=False)
    assert CookieJar.objects.cookies_for("https://example.com/v") == "second=1"
    first.fill("first=2")
    first.save()
    assert CookieJar.objects.cookies_for("https://example.com/v") == "first=2"


@pytest.mark.django_db
def test_using_a_jar_is_noted():
    used, other = jar(), jar(site="example.org")
    CookieJar.objects.cookies_for("https://example.com/v")
    used.refresh_from_db()
    other.refresh_from_db()
    assert timezone.now() - used.last_used_at < timedelta(seconds=10)
    assert other.last_used_at is None


@pytest.mark.django_db
def test_a_jar_that_cannot_be_read_is_passed_over_and_said(admin_client, caplog):
    jar("readable=1", account="ann")
    with override_settings(SECRET_KEY="another" * 8):
        lost = jar("lost=1", account="bob")

    with caplog.at_level(logging.WARNING, "downloads"):
        assert CookieJar.objects.cookies_for("https://example.com/v") == "readable=1"

    (record,) = caplog.records
    assert record.getMessage().startswith(f"Cookie jar {lost.pk} for example.com is passed over")
    assert "stored with another secret key" in admin_client.get(JARS).text
    assert cookie_jars.test(lost) == (Outcome.FAILED, cookie_jars.UNREADABLE)


# At the admin


@pytest.mark.parametrize(
    "text",
    [
        "a=b; c=d",
        netscape(("a", "b", LATER), ("c", "d", 0)),
        json.dumps([{"name": name, "value": "x", "domain": ".example.com"} for name in "ac"]),
    ],
    ids=["header", "netscape", "json"],
)
@pytest.mark.parametrize("way", ["cookies", "file"])
def test_a_jar_takes_all_three_forms_as_text_or_as_a_file(admin_client, text, way):
    given = {"cookies": text, "file": SimpleUploadedFile("cookies.txt", text.encode())}

    submit(admin_client, site="https://WWW.example.com/account", account="ann", **{way: given[way]})

    made = CookieJar.objects.get()
    assert (made.site, made.account, made.cookie_count, made.unsealed()) == ("example.com", "ann", 2, text)
    assert text not in made.sealed_cookies


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"site": "cats", "cookies": "a=b"}, "Give the name of a site, such as example.com."),
        ({"site": "http://10.0.0.1/", "cookies": "a=b"}, "Give the name of a site, such as example.com."),
        ({}, "Enter the cookies, or choose a file."),
        ({"cookies": "a=b", "file": SimpleUploadedFile("c", b"a=b")}, "Enter cookies or choose a file, not both."),
        ({"file": SimpleUploadedFile("c", b"a=\xff")}, "This is no text file in UTF-8."),
        ({"cookies": "S3CRET"}, "Part 1 of the cookies is not of the form name=value."),
        ({"cookies": '["S3CRET"]'}, "The cookies look like JSON, but not like a browser's list of cookies."),
        ({"cookies": netscape(("a", "b", 0)), "site": "example.org"}, "None of these cookies is for this site."),
        (
            {"cookies": "a=S3CRET", "test_url": "https://example.org/v"},
            "This address is not at the jar's site, so that its cookies are not sent.",
        ),
        (
            {"cookies": "a=S3CRET", "test_url": "file:///etc/passwd"},
            "Only web addresses that begin with http:// or https:// can be downloaded.",
        ),
        (
            {"cookies": "a=S3CRET", "account": "taken"},
            "There is a jar for this account of the site already; change that one.",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_nothing_entered_is_shown(admin_client, form, sentence):
    jar(account="taken")
    answer = submit(admin_client, **form)
    assert errors_of(answer) == [sentence]
    assert "S3CRET" not in answer.text
    assert CookieJar.objects.count() == 1


def test_a_jar_keeps_its_cookies_and_its_site_unless_others_are_entered(admin_client):
    made = jar("kept=1", account="ann")
    made.note_test(Outcome.PASSED, cookie_jars.PASSED)

    submit(admin_client, f"{made.pk}/change/", site="example.org", account="bob")
    made.refresh_from_db()
    assert (made.site, made.account, made.unsealed(), made.test_outcome) == ("example.com", "bob", "kept=1", "passed")

    submit(admin_client, f"{made.pk}/change/", account="bob", cookies="other=1")
    made.refresh_from_db()
    assert (made.unsealed(), made.test_outcome) == ("other=1", "")


def test_a_test_of_cookies_that_were_replaced_meanwhile_is_not_noted(db):
    tested = jar("old=1")
    now = CookieJar.objects.get()
    now.fill("new=1")
    now.save()
    tested.note_test(Outcome.PASSED, cookie_jars.PASSED)
    now.refresh_from_db()
    assert now.test_outcome == ""


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        ((-3, -2), '<span class="over">expired</span> {last}'),
        ((-3, 5), '<span class="soon">soon</span> {last}'),
        ((2, 30), "{last}"),
    ],
)
def test_the_list_shows_when_the_last_cookie_ends(admin_client, days, shown):
    first, last = [timezone.now().replace(microsecond=0) + timedelta(days=number) for number in days]
    made = jar(netscape(("session", "x", 0), ("a", "b", int(first.timestamp())), ("c", "d", int(last.timestamp()))))

    assert expiry_in(admin_client.get(JARS).text) == shown.format(last=date_format(last))
    assert date_format(first, "DATETIME_FORMAT") in admin_client.get(f"{JARS}{made.pk}/change/").text


def test_cookies_of_which_no_end_is_known_are_said_to_be_so(admin_client):
    jar("a=b")
    assert expiry_in(admin_client.get(JARS).text) == "no date known"


def test_an_expiry_beyond_all_time_is_no_error(admin_client):
    made = jar(json.dumps([{"name": "a", "value": "b", "domain": "example.com", "expirationDate": 1e18}]))
    assert made.expires_at == datetime(9999, 1, 1, tzinfo=UTC)
    assert "9999" in admin_client.get(JARS).text


def test_cookies_are_shown_neither_in_a_list_nor_in_a_form_nor_in_the_history(admin_client):
    submit(admin_client, account="ann", cookies="session=S3CRET")
    made = CookieJar.objects.get()
    submit(admin_client, f"{made.pk}/change/", account="ann", cookies="session=S3CRET2")

    pages = [admin_client.get(f"{JARS}{path}").text for path in ("", f"{made.pk}/change/", f"{made.pk}/history/")]
    history = [str(vars(entry)) for entry in LogEntry.objects.all()]

    assert len(history) == 2
    assert [text for text in (*pages, *history) if "S3CRET" in text or made.sealed_cookies in text] == []
    assert "ann" in pages[0]


def test_somebody_who_may_only_look_sees_no_cookies_either(client, django_user_model):
    looker = django_user_model.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_cookiejar"))
    client.force_login(looker)
    made = jar("session=S3CRET", account="ann")

    page = client.get(f"{JARS}{made.pk}/change/").text

    assert "ann" in page
    assert "S3CRET" not in page
    assert "Save and test" not in page
    assert client.post(f"{JARS}{made.pk}/change/", {"_continue": "test"}).status_code == 403


# With a running service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A running service that has little time for look-ups."""
    service = Service(tmp_path_factory.mktemp("service") / "data", DOWNIE_EXTRACT_TIME_LIMIT="3").start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def administrator(service):
    with Administrator(service) as administrator:
        yield administrator


@pytest.fixture
def add_jar(administrator):
    """Adds a jar to the running service by its admin; returns the page after it. The jars are gone after the test."""

    def add_jar(site="127.0.0.1", cookies="pass=open", **form):
        return administrator.add("cookiejar", site=site, cookies=cookies, **form)

    yield add_jar
    administrator.clear("cookiejar")


@pytest.fixture
def members_only(origin):
    """A video that is shown with the cookie `pass=open` alone."""
    return origin.url(HLS, need_cookie=1)


def cookies_sent(origin):
    return {request.headers.get("Cookie") for request in origin.requests}


def test_a_task_gets_the_cookies_of_its_site_by_itself(service, add_jar, administrator, origin, members_only):
    assert service.wait_for(service.download(members_only))["status"] == "failed"
    add_jar(account="ann")
    origin.reset()

    task = service.wait_for(task_id := service.download(members_only))

    assert task["status"] == "completed", task
    assert cookies_sent(origin) == {"pass=open"}
    files = [path for path in service.data.iterdir() if path.is_file()]
    assert service.log in files
    assert task_id.encode() in service.kept()
    assert b"pass=open" not in service.kept()
    assert [path for path in files if b"pass=open" in path.read_bytes()] == []
    assert "pass=open" not in service.http.get(f"/api/downloads/tasks/{task_id}").text
    assert "pass=open" not in administrator.page("cookiejar/") + administrator.page(f"task/{task_id}/change/")


def test_a_look_up_gets_them_too(service, add_jar, members_only):
    add_jar()
    answer = service.http.post("/api/downloads/extract", json={"url": members_only})
    assert answer.status_code == 200, answer.text


def test_a_jar_of_another_site_sends_nothing(service, add_jar, origin, members_only):
    add_jar(site="http://localhost/")
    add_jar(site="example.com")
    assert service.wait_for(service.download(members_only))["status"] == "failed"
    assert cookies_sent(origin) == {None}


def test_a_task_with_cookies_of_its_own_gets_no_others(service, add_jar, origin, members_only):
    add_jar()
    task_id = service.download(members_only, cookies="pass=mine")
    assert service.wait_for(task_id)["status"] == "failed"
    assert cookies_sent(origin) == {"pass=mine"}


@pytest.mark.parametrize(
    ("cookies", "path", "sentence"),
    [
        ("pass=open", f"{HLS}?need_cookie=1", cookie_jars.PASSED),
        ("pass=open", HLS, cookie_jars.OPEN),
        ("pass=wrong", f"{HLS}?need_cookie=1", "The site refuses to hand out this video"),
        ("pass=open", "/page/none.html", "No video was found on this page"),
    ],
)
def test_the_button_says_what_it_comes_to(add_jar, origin, cookies, path, sentence):
    page = add_jar(cookies=cookies, test_url=origin.url(path), _continue="test")
    assert "Save and test</button>" in page
    assert page.count(sentence) == 2  # as a message, and as what was kept


def test_a_test_that_takes_long_ends_and_nobody_waits_for_it(service, add_jar, origin):
    with ThreadPoolExecutor() as pool:
        testing = pool.submit(add_jar, test_url=origin.url("/hang"), _continue="test")
        wait_until(lambda: origin.requests_for("/hang"))
        waits = [writing_takes(service) for _ in range(10)]
        assert not testing.done()
        assert "The site took too long to show the video" in testing.result()
    assert max(waits) < 2  # the test itself takes 3


def writing_takes(service):
    """Seconds until something was written into the database."""
    began = time.monotonic()
    service.add("https://example.com/v")
    return time.monotonic() - began
