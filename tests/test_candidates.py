"""What is found on the text of a page, how it is ranked, and that no text takes long."""

import base64
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloads.engine.candidates import CANDIDATE_LIMIT, FRAME_LIMIT, PAGE_LIMIT, read_page

PAGE = "https://www.site.test/watch/7"
STREAM = "https://cdn.test/v/master.m3u8?sign=a%2Fb&t=1"


def found(text, page=PAGE):
    return [candidate.url for candidate in read_page(text, page).candidates]


def frames(text):
    return read_page(text, PAGE).frames


def base64_of(text):
    return base64.b64encode(text.encode()).decode()


def all_encoded(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize(
    "text",
    [
        f'<video src="{STREAM}"></video>',
        f"<video src={STREAM}></video>",
        f"<VIDEO\n SRC = '{STREAM}' >",
        f'<audio><source data-src="{STREAM}"></audio>',
        f'<source src="{STREAM.replace("&", "&amp;")}">',
        f'<meta property="og:video:secure_url" content="{STREAM}">',
        f'<meta content="{STREAM}" name="twitter:player:stream">',
        f'<div data-setup="{{&quot;src&quot;: &quot;{STREAM}&quot;}}">',
        f'<div data-setup="{{&#34;src&#x22;: &#x22;{STREAM}&#34;}}">',
        f'<a href="{STREAM}">',
        f"<p>Look at {STREAM}, it is good.</p>",
        f"<p>地址：{STREAM}，密码</p>",
        f"hls.loadSource('{STREAM}')",
        f"hls.loadSource(`{STREAM}`)",
        f'{{"contentUrl" : "{STREAM}"}}',
        '{"url":"' + STREAM.replace("/", r"\/") + '"}',
        '{"url":"' + STREAM.replace("/", r"\\\/") + '"}',
        '{"url":"' + STREAM.replace("/", r"\u002F").replace("&", r"\u0026") + '"}',
        r"JSON.parse('{\x22url\x22:\x22" + STREAM.replace("/", r"\x2f") + r"\x22}')",
        r'self.push([1,"{\"url\":\"' + STREAM.replace("/", r"\\u002f") + r'\"}"])',
        f'play("{quote(STREAM, safe="")}")',
        f'play("{quote(quote(STREAM, safe=""), safe="")}")',
        f'<iframe src="/player/?url={quote(STREAM, safe="")}&auto=1">',
        f'var player_data={{"encrypt":1,"url":"{all_encoded(STREAM)}"}}',
        f'var player_data={{"encrypt":2,"url":"{base64_of(all_encoded(STREAM))}"}}',
        f'atob("{base64_of(STREAM)}")',
        f'atob("{base64_of(STREAM).rstrip("=").replace("+", "-").replace("/", "_")}")',
        f'<div data-config="{base64_of(json.dumps({"src": STREAM}))}">',
        f'<iframe srcdoc="&lt;video src=&quot;{STREAM.replace("&", "&amp;")}&quot;&gt;">',
    ],
)
def test_every_form_of_writing_an_address_is_read(text):
    assert found(text) == [STREAM]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("v.mp4", "https://www.site.test/watch/v.mp4"),
        ("./a/v.mp4?x=1", "https://www.site.test/watch/a/v.mp4?x=1"),
        ("../../v.MP4", "https://www.site.test/v.MP4"),
        ("/media/v.mp4#t=10", "https://www.site.test/media/v.mp4"),
        ("//cdn.test:8443/v.mp4", "https://cdn.test:8443/v.mp4"),
        ("/中文/影片.mp4", "https://www.site.test/中文/影片.mp4"),
        ("/player?file=/media/v.mp4", "https://www.site.test/media/v.mp4"),
    ],
)
def test_a_relative_address_of_a_script_is_completed(address, url):
    assert found(f'start({{url: "{address}"}})') == [url]


def test_the_base_of_a_page_is_what_its_addresses_are_relative_to():
    assert found('<base href="https://other.test/x/"><video src="v.mp4">') == ["https://other.test/x/v.mp4"]


@pytest.mark.parametrize(
    "text",
    [
        '<video src="blob:https://www.site.test/1.mp4">',
        'x = "file:///etc/v.mp4"; y = "data:video/v.mp4"; z = "mp4:folder/v.mp4"',
        '<video src="https://user:password@cdn.test/v.mp4">',
        '<video src="http://[/v.mp4">',
        '<video src="http://a.test:99999/v.mp4">',
        '<video src="/&#xD800;.mp4">',
        'name + ".mp4"',
        'glob("*.mp4"); `${base}${name}.mp4`',
        "<p>Choose an .mp4 or a video.mp4 of yours</p>",
        '<picture><source src="/a" type="image/webp"></picture>',
        '<img src="/poster.jpg"><script src="/m3u8.js"></script>',
    ],
)
def test_what_is_no_address_on_the_web_is_not_taken(text):
    assert found(text) == []


def test_a_media_tag_needs_no_suffix():
    assert found('<video><source src="/stream/7" type="application/x-mpegURL"></video><video src="/play?id=7">') == [
        "https://www.site.test/stream/7",
        "https://www.site.test/play?id=7",
    ]


@pytest.mark.parametrize(
    "text",
    [
        'urls = "第1集$https://a.test/1.m3u8#第2集$https://a.test/2.m3u8"',
        'file: "[720p]https://a.test/1.m3u8,[480p]https://a.test/2.m3u8"',
        'file: "https://a.test/1.m3u8 or https://a.test/2.m3u8"',
        '["https://a.test/1.m3u8","https://a.test/2.m3u8"]',
    ],
)
def test_a_list_of_addresses_keeps_its_order(text):
    assert found(text) == ["https://a.test/1.m3u8", "https://a.test/2.m3u8"]


def test_an_address_in_the_query_of_a_media_file_is_a_part_of_it():
    assert found('"https://a.test/1.m3u8?from=https://a.test/x.mp4"') == [
        "https://a.test/1.m3u8?from=https://a.test/x.mp4"
    ]


# Ranks


@pytest.mark.parametrize(
    "text",
    [
        '<a href="/other.m3u8"></a><video src="/good.mp4">',
        'a = "/other.mp3"; b = "/good.mp4"',
        'a = "/other.mp4"; b = "/good.mpd"',
        'a = "/other.mpd"; b = "/good.m3u8"',
        f'a = "/other.m3u8"; {" " * 400} player.src("/good.m3u8")',
        'player.src("/good.m3u8"); player.queue("/other.m3u8")',
        'player = {"ads": [{"id": 1, "sources": ["/other.m3u8"]}], "url": "/good.mp4"}',
        'player = {"related": [{"title": "x", "video": {"hls": "/other.m3u8"}}], "video": {"mp4": "/good.mp4"}}',
        'player = {"url_next": "/other.m3u8", "url": "/good.mp4"}',
        f'player = {{"url_next": "{base64_of("https://a.test/other.m3u8")}", "url": "/good.mp4"}}',
        'player = {"previewUrl": "/other.m3u8", "adUrl": "/other.mpd", "url": "/good.mp4"}',
        '<div data-preview="/other.m3u8"></div><video src="/good.mp4">',
        '<video class="ad-video" src="/other.m3u8"></video><video src="/good.mp4">',
        'a = "/ads/other.m3u8"; b = "/good.mp4"',
        'a = "/v/ad-2.m3u8"; b = "/good.mp4"',
        'a = "https://ad.test/other.m3u8"; b = "/good.mp4"',
        'a = "/v/trailer.m3u8"; b = "/good.mp4"',
        'a = "/v/other.mp4"; b = "/ad/0f/good.m3u8"',
        'a = "/v/other.mp4"; b = "/v/a1ad9-loads-good.m3u8"',
    ],
)
def test_what_the_page_plays_comes_first(text):
    assert "good" in found(text)[0]
    assert len(found(text)) > 1


def test_an_address_counts_by_its_best_place():
    (candidate,) = read_page('<a href="/v.mp4">load</a> "related": ["/v.mp4"] <video src="/v.mp4">', PAGE).candidates
    assert candidate.standing.name == "PLAYED"


# Frames


@pytest.mark.parametrize(
    ("address", "is_followed"),
    [
        ("/any/page", True),
        ("https://media.site.test/x", True),
        ("https://other.test/player.html?id=1", True),
        ("https://other.test/embed/1", True),
        ("//jx.other.test/?url=7", True),
        ("https://other.test/page", False),
        ("https://ads.other.test/player", False),
        ("https://other.test/recaptcha/player", False),
        ("https://ad.doubleclick.test/embed", False),
        ("about:blank", False),
        ("javascript:void(0)", False),
        (PAGE, False),
    ],
)
def test_frames_of_the_same_site_are_followed_and_players_of_others(address, is_followed):
    assert bool(frames(f'<iframe allowfullscreen src="{address}"></iframe>')) is is_followed


@pytest.mark.parametrize(
    "text",
    [
        '<meta name="twitter:player" content="https://other.test/x/player">',
        '<meta property="og:video" content="https://other.test/x/player">',
        '{"embedUrl": "https://other.test/x/player"}',
        '<iframe data-src="https://other.test/x/player">',
        r'"html": "\u003ciframe src=\"https:\/\/other.test\/x\/player\"\u003e"',
    ],
)
def test_a_player_that_the_page_names_is_a_frame_of_it(text):
    assert frames(text) == ["https://other.test/x/player"]


def test_what_looks_like_a_player_is_the_first_frame():
    assert frames('<iframe src="/menu"></iframe><iframe src="/player/7"></iframe>')[0].endswith("/player/7")


def test_a_frame_that_is_a_file_is_a_candidate():
    assert found('<iframe src="/v.mp4"></iframe>') == ["https://www.site.test/v.mp4"]


# Hostile pages

SIZE = 1_000_000
HOSTILE = {
    "suffixes": ".mp4",
    "quoted suffixes": '".mp4"',
    "addresses": "http://a.test/c.mp4,",
    "schemes": "https://",
    "backslashes": "\\",
    "half escapes": "\\u00",
    "half entities": "&#",
    "entities": "&amp;",
    "open tags": "<video ",
    "one tag": "<video " + "x" * SIZE,
    "attributes": "<video " + 'a="' * 2000 + ">",
    "mixed quotes": "<video " + "a='a=\"" * 1000 + ">",
    "long attributes": "<video src=a " + "a" * 7900 + ">",
    "links": '<a href="x.mp4">',
    "frames": '<iframe src="/player/1">',
    "half base64": "aHR0c",
    "much base64": "eyJ" + "A" * 60_000 + " ",
    "base64": base64_of("https://a.test/v.mp4") + " ",
    "base64 in base64": base64_of('"' + base64_of('"' + base64_of('"/a.mp4"' * 3000) + '"') + '"') + " ",
    "half encoded": "http%3A",
    "encoded letters": "%68%74%74%70",
    "brackets": "{[",
    "brackets before an address": "{" * 4990 + '"x.mp4"',
    "names before brackets": "a:{" * 1600 + '"x.mp4"',
    "objects": '"ad":[{"url":"http://a/b.mp4"},',
    "linked data": '"contentUrl":"',
    "blanks": " ",
    "word": "a",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_page_of_a_megabyte_is_read_within_two_seconds(piece):
    text = (piece * (SIZE // len(piece) + 1))[:SIZE]
    began = time.process_time()
    reading = read_page(text, PAGE)
    assert time.process_time() - began < 2
    assert len(reading.candidates) <= CANDIDATE_LIMIT
    assert len(reading.frames) <= FRAME_LIMIT


def test_nothing_behind_the_limit_of_a_page_is_read():
    assert found(" " * PAGE_LIMIT + '<video src="/v.mp4">') == []


def test_candidates_and_frames_are_counted():
    many = "".join(f'<video src="/{number}.mp4"></video><iframe src="/player/{number}">' for number in range(1000))
    reading = read_page(many, PAGE)
    assert (len(reading.candidates), len(reading.frames)) == (CANDIDATE_LIMIT, FRAME_LIMIT)


def test_however_many_links_there_are_the_player_is_read():
    assert found('<a href="/page"></a>' * 5000 + '<video src="/v.mp4">') == ["https://www.site.test/v.mp4"]


ODD = (
    *(
        "<video src=",
        "<iframe src='",
        "<base href=",
        '"',
        "'",
        ">",
        "http://",
        "//[",
        "\\u",
        "\\/",
        "&#x",
        "%",
        "a.mp4",
    ),
    *("aHR0cHM6Ly9hLm1wNA==", "%68%74%74%70%3A//x.mp4", ":", "{", "]", "@", "\x00", "\ud800", "x.m3u8?u=", "é"),
)


@given(
    st.lists(
        st.sampled_from(ODD),
        max_size=30,
    )
)
def test_no_text_is_too_odd(pieces):
    reading = read_page("".join(pieces), PAGE)
    assert all(each.url.startswith(("http://", "https://")) for each in reading.candidates)
