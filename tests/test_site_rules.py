"""Site rules: what an administrator sets for a site or for all, what of it holds, and that no password is shown."""

import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import override_settings
from yt_dlp.networking._curlcffi import CurlCFFIRH
from yt_dlp.networking.impersonate import ImpersonateTarget

from downloads import lookups
from downloads.engine.errors import Reason
from downloads.models import ProxyUnreadable, SiteRule, SiteSettings
from downloads.models.site_rule import NONE, Browser
from tests.administrator import Administrator
from tests.proxies import ForeignProxy

RULES = "/admin/downloads/siterule/"
URL = "https://www.example.com/v"
FIELDS = {"proxy": "", "source_address": "", "rate_limit": "", "impersonate": ""}


def submit(client, path="add/", **form):
    return client.post(f"{RULES}{path}", {"is_active": "on"} | FIELDS | form, follow=True)


def errors_of(answer):
    return [sentence for listed in answer.context["adminform"].form.errors.values() for sentence in listed]


# What holds


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("for_all", "for_site", "holds"),
    [
        ({}, {}, {}),
        ({"rate_limit": 1000, "impersonate": "chrome"}, {}, {"rate_limit": 1000, "impersonate": "chrome"}),
        ({"rate_limit": 1000}, {"rate_limit": 2000}, {"rate_limit": 2000}),
        ({"rate_limit": 1000}, {"impersonate": "edge"}, {"rate_limit": 1000, "impersonate": "edge"}),
        ({"rate_limit": 1000}, {"rate_limit": 0}, {}),
        ({"proxy": "http://a:1"}, {"proxy": "socks5://b:2"}, {"proxy": "socks5://b:2"}),
        ({"proxy": "http://a:1"}, {"source_address": "::1"}, {"proxy": "http://a:1", "source_address": "::1"}),
        (
            {"proxy": "http://a:1", "source_address": "::1", "rate_limit": 5, "impersonate": "chrome"},
            {"proxy": NONE, "source_address": NONE, "rate_limit": 0, "impersonate": NONE},
            {},
        ),
        ({"proxy": "http://a:1", "is_active": False}, {"rate_limit": 5, "is_active": False}, {}),
    ],
)
def test_a_sites_rule_goes_before_the_one_for_all_field_by_field(for_all, for_site, holds):
    SiteRule.objects.create(site="", **for_all)
    SiteRule.objects.create(site="example.com", **for_site)
    SiteRule.objects.create(site="example.org", proxy="http://c:3", rate_limit=1, impersonate="safari")
    assert SiteRule.objects.for_url(URL) == SiteSettings(**holds)


@pytest.mark.django_db
def test_without_any_rule_nothing_is_special():
    assert SiteRule.objects.for_url(URL) == SiteSettings()


@pytest.mark.parametrize("browser", [browser.value for browser in Browser if browser != NONE])
def test_every_browser_of_the_list_is_one_that_can_be_impersonated(browser):
    assert [target for target in CurlCFFIRH.supported_targets if ImpersonateTarget.from_str(browser) in target]


# At the admin


@pytest.mark.parametrize(
    ("form", "columns"),
    [
        ({"site": "https://www.example.com/v"}, {"site": "example.com"}),
        ({"site": ""}, {"site": ""}),
        ({"proxy": "http://Proxy.example:3128/"}, {"proxy": "http://proxy.example:3128"}),
        ({"proxy": "socks5://[2001:DB8::1]:1080"}, {"proxy": "socks5://[2001:db8::1]:1080"}),
        ({"proxy": "none"}, {"proxy": "none"}),
        ({"source_address": "2001:DB8:0::1"}, {"source_address": "2001:db8::1"}),
        ({"rate_limit": "0"}, {"rate_limit": 0}),
        ({"max_downloads": "2", "pause": "5"}, {"max_downloads": 2, "pause": 5}),
        ({"rate_limit": "2500"}, {"rate_limit": 2500}),
        ({"rate_limit": "500k"}, {"rate_limit": 512_000}),
        ({"rate_limit": "1.5M"}, {"rate_limit": 1_572_864}),
        ({"rate_limit": ""}, {"rate_limit": None}),
        ({"impersonate": "firefox"}, {"impersonate": "firefox"}),
    ],
)
def test_what_is_entered_is_kept_in_one_form(admin_client, form, columns):
    submit(admin_client, **form)
    rule = SiteRule.objects.get()
    assert {name: getattr(rule, name) for name in columns} == columns


PROXY = "Give a proxy as http://host:port or socks5://user:password@host:port."
RATE = "Give bytes a second, 1K at least, such as 500K or 2M; 0 for no limit."
ADDRESS = "Give an IP address of this server, such as 192.0.2.7."


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"site": "cats"}, "Give the name of a site, such as example.com."),
        ({"site": "taken.example"}, "There is a rule for this already; change that one."),
        ({"proxy": "proxy.example:3128"}, PROXY),
        ({"proxy": "https://proxy.example:3128"}, PROXY),
        ({"proxy": "http://proxy.example"}, PROXY),
        ({"proxy": "http://proxy.example:70000"}, PROXY),
        ({"proxy": "http://proxy.example:3128/path"}, PROXY),
        ({"proxy": "http://proxy.example:3128\r\nX: y"}, PROXY),
        ({"proxy": "http://***@proxy.example:1"}, "Another proxy has to be told the user name and the password again."),
        ({"source_address": "eth0"}, ADDRESS),
        ({"source_address": "0.0.0.0"}, ADDRESS),
        ({"source_address": "224.0.0.1"}, ADDRESS),
        ({"source_address": "fe80::1%eth0"}, ADDRESS),
        ({"rate_limit": "fast"}, RATE),
        ({"rate_limit": "-1"}, RATE),
        ({"rate_limit": "10"}, RATE),
        ({"rate_limit": "9999999G"}, RATE),
        ({"impersonate": "lynx"}, "Select a valid choice. lynx is not one of the available choices."),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(admin_client, form, sentence):
    SiteRule.objects.create(site="taken.example")
    assert errors_of(submit(admin_client, **form)) == [sentence]
    assert SiteRule.objects.count() == 1


@pytest.mark.parametrize(
    ("login", "upstream"),
    [
        ("user:S3CRET", "socks5://user:S3CRET@proxy.example:1080"),
        ("us%40er:S3CRET", "socks5://us%40er:S3CRET@proxy.example:1080"),
        ("user:S3CRET@:%", "socks5://user:S3CRET%40%3A%25@proxy.example:1080"),
        ("S3CRET", "socks5://S3CRET@proxy.example:1080"),
    ],
)
def test_the_login_of_a_proxy_is_used_and_never_shown(admin_client, login, upstream):
    submit(admin_client, proxy=f"socks5://{login}@proxy.example:1080")

    rule = SiteRule.objects.get()
    assert SiteRule.objects.for_url(URL).proxy == upstream
    pages = [admin_client.get(f"{RULES}{path}").text for path in ("", f"{rule.pk}/change/", f"{rule.pk}/history/")]
    kept = [*pages, *(str(vars(entry)) for entry in LogEntry.objects.all()), str(SiteRule.objects.values())]
    assert [text for text in kept if "S3CRET" in text] == []
    assert "socks5://***@proxy.example:1080" in pages[0]
    assert 'value="socks5://***@proxy.example:1080"' in pages[1]
    assert "S3CRET" not in repr(SiteRule.objects.for_url(URL))


@pytest.mark.parametrize(
    "proxy", ["http://user:S3CRET@proxy.example:1", "user:S3CRET@proxy.example", "http://u:S3@S3CRET@"]
)
def test_a_login_is_not_shown_either_when_something_else_is_wrong(admin_client, proxy):
    page = submit(admin_client, proxy=proxy, rate_limit="fast").text
    assert RATE in page
    assert "S3CRET" not in page
    assert "***@" in page


def test_a_login_stays_until_another_or_none_is_entered_and_goes_to_no_other_proxy(admin_client):
    submit(admin_client, proxy="http://user:S3CRET@proxy.example:1080")
    change = f"{SiteRule.objects.get().pk}/change/"

    submit(admin_client, change, proxy="http://***@proxy.example:1080", rate_limit="2M")
    assert SiteRule.objects.for_url(URL).proxy == "http://user:S3CRET@proxy.example:1080"

    refused = submit(admin_client, change, proxy="http://***@evil.example:1080")
    assert errors_of(refused) == ["Another proxy has to be told the user name and the password again."]

    submit(admin_client, change, proxy="http://proxy.example:1080")
    assert SiteRule.objects.for_url(URL).proxy == "http://proxy.example:1080"


def test_somebody_who_may_only_look_sees_no_login_either(client, django_user_model, admin_client):
    submit(admin_client, proxy="http://user:S3CRET@proxy.example:1")
    looker = django_user_model.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_siterule"))
    client.force_login(looker)

    page = client.get(f"{RULES}{SiteRule.objects.get().pk}/change/").text

    assert "http://proxy.example:1" in page
    assert "S3CRET" not in page


def test_a_form_shows_what_is_set_as_it_would_be_typed(admin_client):
    rule = SiteRule.objects.create(site="example.com", rate_limit=2 * 1024 * 1024, source_address="192.0.2.7")
    page = admin_client.get(f"{RULES}{rule.pk}/change/").text
    assert 'name="rate_limit" value="2M"' in page
    assert 'name="source_address" value="192.0.2.7"' in page


def test_the_list_shows_what_is_set(admin_client):
    SiteRule.objects.create(site="", rate_limit=2 * 1024 * 1024, impersonate="chrome")
    SiteRule.objects.create(
        site="example.com", proxy="http://proxy.example:1", source_address="192.0.2.7", rate_limit=0
    )
    page = admin_client.get(RULES).text
    shown = ("all sites", "example.com", "2.0\xa0MB/s", "Chrome", "http://proxy.example:1", "192.0.2.7", ">none<")
    assert [text for text in shown if text not in page] == []


@pytest.fixture
def unreadable(db):
    """A rule whose proxy has a login that was stored with another secret key."""
    rule = SiteRule(site="example.com", proxy="http://proxy.example:1")
    with override_settings(SECRET_KEY="another" * 8):
        rule.seal_login("user:S3CRET")
    rule.save()


def test_nothing_goes_out_without_the_login_of_its_proxy(unreadable, admin_client):
    with pytest.raises(ProxyUnreadable):
        SiteRule.objects.for_url(URL)
    assert "cannot be read any more; enter them again" in admin_client.get(RULES).text
    with pytest.raises(lookups.LookUpFailed) as failed:
        lookups.look_up(None, lookups.Question(url=URL))
    assert failed.value.failure.reason == Reason.PROXY


# With a running service


@pytest.fixture(scope="module")
def administrator(service):
    with Administrator(service) as administrator:
        yield administrator


@pytest.fixture
def add_rule(administrator):
    """Adds a rule to the running service by its admin. The rules are gone after the test."""
    yield lambda **form: administrator.add("siterule", **FIELDS | form)
    administrator.clear("siterule")


def test_the_rate_limit_for_all_sites_holds_for_a_task(service, add_rule, origin):
    add_rule(rate_limit="250K")
    began = time.monotonic()
    task = service.wait_for(service.download(origin.url("/direct/small.mp4")))
    assert task["status"] == "completed"
    assert time.monotonic() - began > 202_386 / (250 * 1024) * 0.9


def test_a_source_address_reaches_tasks_and_look_ups_of_its_site_alone(service, add_rule, origin):
    add_rule(site="127.0.0.1", source_address="192.0.2.200")
    url = origin.url("/direct/small.mp4")

    task = service.wait_for(service.download(url))
    looked_up = service.http.post("/api/downloads/extract", json={"url": url})
    elsewhere = service.wait_for(service.download(url.replace("127.0.0.1", "localhost")))

    assert (task["status"], task["error_reason"]) == ("failed", "source_address")
    assert looked_up.json()["detail"] == task["error_message"]
    assert elsewhere["status"] == "completed"


def test_a_browser_is_impersonated_for_its_site(service, add_rule, origin):
    add_rule(site="127.0.0.1", impersonate="chrome")
    url = origin.url("/direct/small.mp4")

    assert service.wait_for(service.download(url))["status"] == "completed"
    assert service.http.post("/api/downloads/extract", json={"url": url}).status_code == 200
    assert {"Chrome/" in request.headers["User-Agent"] for request in origin.requests} == {True}


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_all_of_a_task_goes_through_the_proxy_of_its_site(service, add_rule, origin, scheme):
    with ForeignProxy(scheme) as proxy:
        add_rule(site="127.0.0.1", proxy=proxy.url)
        assert service.wait_for(service.download(origin.url("/hls/plain/index.m3u8")))["status"] == "completed"
        assert len(proxy.asked_for) >= len(origin.requests) > 5
        assert set(proxy.asked_for) == {("127.0.0.1", origin.port)}
