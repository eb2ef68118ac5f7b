import json
import traceback

import pytest
import yt_dlp

from downloads.engine.cookies import MAX_COOKIES, MAX_TEXT_LENGTH, BadCookies, cookie_policy, parse_cookies, site_of

URL = "https://www.example.com/v/1"
LATER = 4102444800  # the year 2100: the same in every process that collects these tests


def sent(text, url, *, to):
    """Give the Cookie header that yt-dlp's own jar sends to another URL."""
    with yt_dlp.YoutubeDL({"quiet": True, "cachedir": False}) as ydl:
        ydl.cookiejar.set_policy(cookie_policy())
        for cookie in parse_cookies(text, url):
            ydl.cookiejar.set_cookie(cookie)
        return ydl.cookiejar.get_cookie_header(to)


def netscape(*lines):
    return "\n".join(["# Netscape HTTP Cookie File", "", *("\t".join(line) for line in lines)])


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a=b", "a=b"),
        ("a=b; c=d", "a=b; c=d"),
        ("a=b;c=d;", "a=b; c=d"),
        ("Cookie: a=b", "a=b"),
        ("cookie:a=b", "a=b"),
        ("  a=b \r\n", "a=b"),
        ("a=x=y; empty=", "a=x=y; empty="),
        ('a="q w"; b[c]=d,e', 'a="q w"; b[c]=d,e'),
        ("a=é", "a=é"),
        (netscape((".example.com", "TRUE", "/", "TRUE", "0", "a", "b")), "a=b"),
        (netscape(("example.com", "TRUE", "/", "FALSE", str(LATER), "a", "b")), "a=b"),
        (netscape(("#HttpOnly_www.example.com", "FALSE", "/", "TRUE", f"{LATER}.5", "a", "b")), "a=b"),
        (netscape((".example.com", "TRUE", "/", "TRUE", "", "a", "b")).replace("\n", "\r\n"), "a=b"),
        (netscape((".example.com", "TRUE", "/", "TRUE", "1", "expired", "b")), None),
        (netscape((".example.com", "TRUE", "/other", "TRUE", "0", "a", "b")), None),
        ('[{"name": "a", "value": "b", "domain": ".example.com", "hostOnly": false}]', "a=b"),
        ('[{"name": "a", "value": "b", "domain": "www.example.com", "sameSite": "lax", "storeId": null}]', "a=b"),
        (json.dumps([{"name": "a", "value": "b", "domain": ".example.com", "expirationDate": LATER + 0.5}]), "a=b"),
        (json.dumps([{"name": "a", "value": "b", "domain": ".example.com", "expirationDate": LATER * 1000}]), "a=b"),
        (json.dumps([{"name": "a", "value": "b", "domain": ".example.com", "expirationDate": 1}]), None),
        ('{"cookies": [{"name": "a", "value": "b", "domain": ".example.com", "expires": -1}], "origins": []}', "a=b"),
        ('[{"name": "a", "value": "b"}]', "a=b"),
        ('{"a": "b", "c": "d"}', "a=b; c=d"),
        ("\ufeff[]", None),
        ("[]", None),
        ("{}", None),
        ("", None),
        (netscape(), None),
    ],
)
def test_each_form_reaches_the_page_that_it_was_given_for(text, header):
    assert sent(text, URL, to=URL) == header


@pytest.mark.parametrize(
    ("to", "header"),
    [
        ("https://www.example.com/other", "a=b"),
        ("https://example.com/", "a=b"),
        ("https://cdn.example.com/v.m3u8", "a=b"),
        ("http://www.example.com/", None),
        ("https://example.org/", None),
        ("https://notexample.com/", None),
        ("https://example.com.evil.test/", None),
    ],
)
def test_a_bare_pair_goes_to_its_own_site_only_and_stays_encrypted(to, header):
    assert sent("a=b", URL, to=to) == header


def test_a_bare_pair_for_an_unencrypted_page_is_sent_there():
    assert sent("a=b", "http://example.com/", to="http://example.com/") == "a=b"


@pytest.mark.parametrize(
    ("url", "to"),
    [
        ("https://me.github.io/v", "https://you.github.io/"),
        ("https://github.io/v", "https://you.github.io/"),
        ("https://www.example.co.uk/v", "https://www.other.co.uk/"),
        ("https://nas.home/v", "https://other.home/"),
        ("https://93.184.216.34/v", "https://1.93.184.216.34/"),
    ],
)
def test_neighbours_under_one_public_suffix_get_nothing(url, to):
    assert sent("a=b", url, to=to) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://www.example.co.uk/v",
        "https://me.github.io/v",
        "https://github.io/v",
        "https://nas.home/v",
        "https://xn--bcher-kva.example/v",
        "http://127.0.0.1:8000/v",
        "http://localhost:8000/v",
        "http://intranet/v",
        "http://[2606:4700::1]:8000/v",
    ],
)
def test_every_kind_of_host_gets_its_own_cookies_back(url):
    assert sent("a=b", url, to=url) == "a=b"


def test_a_host_only_cookie_does_not_reach_the_rest_of_the_site():
    text = netscape(("www.example.com", "FALSE", "/", "TRUE", "0", "a", "b"))
    assert sent(text, URL, to=URL) == "a=b"
    assert sent(text, URL, to="https://cdn.example.com/") is None
    assert sent(text, URL, to="https://a.www.example.com/") is None


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://youtu.be/dQw4w9WgXcQ", "youtube.com"),
        ("https://v.redd.it/x", "reddit.com"),
        ("https://www.example.co.uk/v", "example.co.uk"),
        ("https://me.github.io/v", "me.github.io"),
        ("http://127.0.0.1:8000/v", "127.0.0.1"),
        ("http://[2606:4700::1]:8000/v", "2606:4700::1"),
        ("http://intranet/v", "intranet"),
    ],
)
def test_a_url_belongs_to_a_site(url, site):
    assert site_of(url) == site


def test_the_cookies_for_a_short_link_go_to_the_site_that_it_leads_to():
    text = json.dumps([{"name": "a", "value": "b", "domain": ".youtube.com"}])
    assert sent(text, "https://youtu.be/x", to="https://www.youtube.com/watch?v=x") == "a=b"
    assert sent("a=b", "https://youtu.be/x", to="https://www.youtube.com/watch?v=x") == "a=b"
    assert sent("a=b", "https://youtu.be/x", to="https://youtu.be/x") is None


def test_a_host_prefix_binds_a_bare_pair_to_its_host():
    assert sent("__Host-a=b", URL, to=URL) == "__Host-a=b"
    assert sent("__Host-a=b", URL, to="https://cdn.example.com/") is None


@pytest.mark.parametrize(
    "domain",
    ["evil.test", ".evil.test", "notexample.com", "example.com.evil.test", ".com", "com", "m.example.org"],
)
@pytest.mark.parametrize(
    "form",
    [
        lambda domain: netscape((domain, "TRUE", "/", "FALSE", "0", "a", "b")),
        lambda domain: json.dumps([{"name": "a", "value": "b", "domain": domain}]),
    ],
    ids=["netscape", "json"],
)
def test_the_cookies_of_other_sites_are_dropped(form, domain):
    assert parse_cookies(form(domain), URL) == []


def test_a_cookie_for_an_ip_address_is_not_given_to_another_one():
    text = netscape(("1.127.0.0.1", "TRUE", "/", "FALSE", "0", "a", "b"))
    assert parse_cookies(text, "http://127.0.0.1/") == []


def test_a_bad_cookie_of_another_site_does_no_harm():
    text = json.dumps([{"name": "a b", "value": "\n", "domain": "other.test"}])
    assert parse_cookies(text, URL) == []


@pytest.mark.parametrize(
    "text",
    [
        "S3CRET",
        "a=b; S3CRET",
        "a=S3CRET\r\nX-Header: y",
        "a=S3CRET\x00",
        "a=S3CRET\x7f",
        "a=S3CRET中",
        "a b=S3CRET",
        "=S3CRET",
        "a=" + "S3CRET" * 2_000,
        "n" * 300 + "=S3CRET",
        "x" * MAX_TEXT_LENGTH + "S3CRET",
        "; ".join(f"a{number}=S3CRET" for number in range(MAX_COOKIES + 1)),
        netscape((".example.com", "TRUE", "/", "TRUE", "0", "a")) + "S3CRET",
        netscape((".example.com", "TRUE", "/", "TRUE", "S3CRET", "a", "b")),
        netscape((".example.com", "TRUE", "S3CRET", "TRUE", "0", "a", "b")),
        netscape((".example.com", "TRUE", "/", "TRUE", "0", "S3 CRET", "b")),
        "# a=S3CRET\n.example.com TRUE / TRUE 0 a S3CRET",
        '[{"name": "a b", "value": "S3CRET"}]',
        '[{"name": "a", "value": "S3CRET; c=d"}]',
        '[{"name": "a", "value": "S3CRET\\nX: y"}]',
        '[{"name": 1, "value": "S3CRET"}]',
        '[{"value": "S3CRET"}]',
        '["S3CRET"]',
        '{"a": ["S3CRET"]}',
        '[{"name": "a", "value": "S3CRET"',
        '[{"name": "a", "value": "S3CRET", "expirationDate": "soon"}]',
        "[" * 50_000 + '"S3CRET"',
        '["\ud800S3CRET"]',
    ],
)
def test_what_no_request_can_carry_is_refused_without_telling_it(text):
    with pytest.raises(BadCookies, match=r"^[A-Z][^\n]+\.$") as raised:
        parse_cookies(text, URL)
    assert "S3CRET" not in str(raised.value)
    assert raised.value.__context__ is None
    assert "S3CRET" not in "".join(traceback.format_exception(raised.value, limit=0))


def test_no_file_and_no_network_is_needed_for_the_suffix_list(monkeypatch):
    monkeypatch.setattr("socket.socket.connect", None)
    assert len(parse_cookies("a=b", URL)) == 1
