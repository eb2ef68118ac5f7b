"""Pages without an extractor: what the page scanner makes of them, in a look-up and in the service."""

import json

import pytest
import yt_dlp

from downloads.engine import messages, scanner
from downloads.engine.errors import Reason
from downloads.engine.ffmpeg import probe
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.lookup import LookUp
from downloads.engine.network import AddressPolicy, Guard
from tests.origin.content import SHAPES

STREAM = "/hls/multi/720/index.m3u8"
FILE = "/direct/video.mp4"
FOUND_IN = {
    "base64": STREAM,
    "data-attribute": STREAM,
    "escaped-slashes": STREAM,
    "file-m3u8": STREAM,
    "iframe": STREAM,
    "json-ld": FILE,
    "jwplayer": STREAM,
    "link": FILE,
    "mp4-in-script": FILE,
    "mpd-in-script": "/dash/manifest.mpd",
    "next-data": STREAM,
    "og-video": FILE,
    "relative": STREAM,
    "source": STREAM,
    "twitter-player": FILE,
    "unicode-escapes": STREAM,
    "url-encoded": STREAM,
    "video-src": FILE,
    "videojs-src": STREAM,
    "xgplayer": STREAM,
}


@pytest.fixture
def run(tools, tmp_path):
    """Look a URL up as a child of the engine does; everything that it says."""

    def run(url, quality=Quality.BEST, cookies=""):
        heard = []
        job = messages.LookUpJob(
            url=url,
            quality=quality,
            post_processing=PostProcessing.NONE,
            folder=str(tmp_path),
            tools=str(tools.folder),
            cache=str(tmp_path),
            cookies=cookies,
        )
        LookUp(job, heard.append, Guard(AddressPolicy())).run()
        return heard

    return run


@pytest.fixture
def look_up(run):
    """Look a URL up; what is said of it."""

    def look_up(url, **fields):
        *_, last = run(url, **fields)
        assert isinstance(last, messages.Described), last
        return last

    return look_up


@pytest.fixture
def failure(run):
    """Look a URL up in vain; the failure."""

    def failure(url, **fields):
        *_, last = run(url, **fields)
        assert isinstance(last, messages.Failed), last
        return last.failure

    return failure


@pytest.fixture
def page(origin):
    """Serve a page, or its body alone, at /t/page.html or another path; its URL."""

    def page(body, path="/t/page.html"):
        return origin.serve(path, f"<!DOCTYPE html><html><head><title>A page</title></head><body>{body}</body></html>")

    return page


def script(*addresses):
    return "".join(f'<script>start("{address}");</script>' for address in addresses)


def addresses_of(described, origin):
    return [each.url.removeprefix(origin.base) for each in described.formats]


# The forms in which sites write where their video is


def test_there_is_a_test_for_every_shape():
    assert set(FOUND_IN) == {shape.stem for shape in SHAPES.glob("*.html")}
    assert len(FOUND_IN) == 20


@pytest.mark.parametrize(("shape", "address"), FOUND_IN.items())
def test_the_video_of_every_shape_is_found(look_up, origin, shape, address):
    described = look_up(origin.url(f"/shape/{shape}.html"))

    assert addresses_of(described, origin)[-1].startswith(address)
    assert described.found.duration == 12
    assert described.found.media_id == shape
    assert f"<title>{described.found.title}</title>" in (SHAPES / f"{shape}.html").read_text()


@pytest.mark.parametrize(
    ("path", "streams"),
    [
        ("/shape/base64.html", ["aac", "h264"]),
        ("/shape/iframe.html", ["aac", "h264"]),
        ("/shape/mpd-in-script.html", ["aac", "h264"]),
        ("/shape/link.html", ["aac", "h264"]),
        ("/page/hidden.html", ["aac", "h264"]),
    ],
)
def test_the_service_downloads_what_a_page_hides(service, origin, tools, path, streams):
    task_id = service.download(origin.url(path))

    task = service.wait_for(task_id)

    assert task["status"] == "completed", task
    media = probe(tools, service.file(task_id), timeout=30)
    assert sorted(stream.codec for stream in media.streams) == streams


# Cookies and Referer


def protected_page(page):
    return page(script("/hls/aes/index.m3u8?need_cookie=1"))


def test_an_encrypted_stream_whose_key_needs_the_cookie_arrives_with_it(service, page, tools):
    task_id = service.download(protected_page(page), cookies="pass=open")

    task = service.wait_for(task_id)

    assert task["status"] == "completed", task
    assert probe(tools, service.file(task_id), timeout=30).duration == pytest.approx(12, abs=0.2)


def test_without_the_cookie_the_sentence_says_what_to_do(service, page):
    task = service.wait_for(service.download(protected_page(page)))

    assert (task["status"], task["error_reason"], task["error_code"]) == (
        "failed",
        "access_denied",
        "EXTRACTION_FAILED",
    )
    assert "cookies of your account" in task["error_message"]


def encrypted(origin, media, key, path="/t/own.m3u8"):
    """Serve a playlist of the origin's encrypted segments whose key is at another address."""
    playlist = (media / "hls/aes/index.m3u8").read_text()
    return origin.serve(path, playlist.replace("seg0", "/hls/aes/seg0").replace("key.bin", key))


def test_a_key_that_the_site_refuses_shows_in_the_look_up(failure, look_up, origin, media, page):
    url = page(script(encrypted(origin, media, "/hls/aes/key.bin?need_cookie=1")))

    assert failure(url).reason is Reason.ACCESS_DENIED
    assert look_up(url, cookies="pass=open").found.duration == 12


def test_cookies_stay_on_their_site_and_the_referer_is_the_page(service, origin, page):
    elsewhere = origin.base.replace("127.0.0.1", "localhost")
    url = page(f'<iframe src="{elsewhere}/shape/framed/player.html"></iframe>{script("/hls/plain/index.m3u8")}')

    assert service.wait_for(service.download(url, cookies="pass=open"))["status"] == "completed"

    asked = origin.requests_for("/hls/plain/")
    assert {request.headers.get("Cookie") for request in asked} == {"pass=open"}
    assert {request.headers.get("Referer") for request in asked} == {url}
    assert {request.path[-3:] for request in asked} == {"3u8", ".ts"}
    foreign = [request for request in origin.requests if request.headers["Host"].startswith("localhost")]
    assert {request.path for request in foreign} >= {"/shape/framed/player.html", "/hls/multi/master.m3u8"}
    assert [request.headers["Cookie"] for request in foreign if "Cookie" in request.headers] == []


def test_the_referer_of_what_is_in_a_frame_is_the_frame(look_up, origin):
    look_up(origin.url("/shape/iframe.html"))

    (framed,) = origin.requests_for("/shape/framed/")
    assert framed.headers["Referer"] == origin.url("/shape/iframe.html")
    (stream,) = origin.requests_for("/hls/multi/master")
    assert stream.headers["Referer"] == origin.url("/shape/framed/player.html")


# Which of several


def test_a_manifest_goes_before_a_file(look_up, origin, page):
    described = look_up(page(script("/direct/video.mp4", "/hls/multi/master.m3u8")))
    assert {each.quality for each in described.formats} == {"180p", "360p", "720p"}


def test_the_list_of_variants_goes_before_one_of_them(look_up, origin, page):
    described = look_up(page(script("/hls/multi/360/index.m3u8", "/hls/multi/master.m3u8")))
    assert {each.quality for each in described.formats} == {"180p", "360p", "720p"}


def test_what_a_player_plays_goes_before_a_link(look_up, origin, page):
    described = look_up(page('<a href="/hls/multi/master.m3u8">more</a>' + script("/direct/video.mp4")))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_of_equal_ones_it_is_the_first(look_up, origin, page, media):
    origin.serve("/t/other.mp4", (media / "direct/video.mp4").read_bytes())
    described = look_up(page(script("/direct/video.mp4", "/t/other.mp4")))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_one_video_in_several_heights_can_be_chosen_from(look_up, origin, page, media):
    for height in (360, 480, 720):
        origin.serve(f"/t/film_{height}p.mp4", (media / "direct/video.mp4").read_bytes())
    url = page(script("/t/film_480p.mp4", "/t/film_720p.mp4", "/t/film_360p.mp4", "/t/film_1080p.mp4"))

    described = look_up(url, quality=Quality.P480)

    assert sorted(each.quality for each in described.formats) == ["360p", "480p", "720p"]
    assert described.selected_formats == ["http-480"]


SHORT_PLAYLIST = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n/hls/plain/seg000.ts\n#EXTINF:1.0,\n/hls/plain/seg001.ts\n"
)


def late_header(file):
    """Put the header of an MP4 to its end, as most encoders leave it."""
    data = file.read_bytes()
    start = data.index(b"moov") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    return data[:start] + data[end:] + data[start:end]


def test_a_short_file_before_the_video_is_dropped(look_up, origin, page):
    described = look_up(page(script("/direct/small.mp4", "/direct/video.mp4")))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_a_short_stream_before_a_long_file_is_dropped(look_up, origin, page):
    origin.serve("/t/short.m3u8", SHORT_PLAYLIST + "#EXT-X-ENDLIST\n")
    described = look_up(page(script("/t/short.m3u8", "/direct/video.mp4")))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_a_short_video_of_the_page_itself_does_not_hide_the_long_one(look_up, origin, page):
    described = look_up(
        page('<video src="/direct/small.mp4" autoplay muted></video>' + script("/hls/multi/master.m3u8"))
    )
    assert described.found.duration == 12


def test_a_short_video_alone_is_the_video(look_up, origin, page):
    described = look_up(page(script("/direct/small.mp4")))
    assert addresses_of(described, origin) == ["/direct/small.mp4"]


def test_a_header_at_the_end_of_a_file_is_read_without_the_file(look_up, origin, page, media):
    origin.serve("/t/late.mp4", late_header(media / "direct/video.mp4"))
    origin.serve("/t/early.mp4", (media / "direct/small.mp4").read_bytes())

    described = look_up(page(script("/t/early.mp4", "/t/late.mp4")))

    assert addresses_of(described, origin) == ["/t/late.mp4"]
    assert described.found.duration == pytest.approx(12, abs=0.1)
    assert origin.bytes_sent("/t/late.mp4") <= 2 * scanner.HEAD


def test_where_no_header_says_it_the_size_does(look_up, origin, page, media):
    webm = (media / "direct/vp9.webm").read_bytes()
    origin.serve("/t/short.webm", webm)
    origin.serve("/t/long.webm", webm + bytes(6_000_000))

    described = look_up(page(script("/t/short.webm", "/t/long.webm")))

    assert addresses_of(described, origin) == ["/t/long.webm"]


def test_what_is_called_an_advertisement_is_the_last_choice(look_up, origin, page, media):
    origin.serve("/ads/spot.m3u8", (media / "hls/plain/index.m3u8").read_text().replace("seg0", "/hls/plain/seg0"))
    described = look_up(page(script("/ads/spot.m3u8", "/direct/video.mp4")))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_what_does_not_answer_as_media_is_passed_over(look_up, origin, page):
    origin.serve("/t/broken.mpd", '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation/>')
    origin.serve("/t/odd.mpd", "<MPD><Period><AdaptationSet><Representation/></AdaptationSet></Period></MPD>")
    origin.serve("/t/empty.m3u8", "")
    page("Log in first", "/t/no.mp4")
    bad = [
        "/t/gone.m3u8",
        "/t/empty.m3u8",
        "/t/broken.mpd",
        "/t/odd.mpd",
        "/t/no.mp4",
        "/direct/small.mp4?type=image/gif",
    ]

    described = look_up(page(script(*bad, "/direct/video.mp4")))

    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_a_page_with_a_hundred_dead_addresses_costs_few_requests(failure, origin, page):
    url = page(script(*(f"/t/{number}.mp4" for number in range(100))))

    assert failure(url).reason is Reason.UNSUPPORTED_SITE
    assert len(origin.requests) <= 1 + 2 * scanner.ASKED


def test_a_list_that_yt_dlp_finds_stays_a_list(look_up, origin):
    described = look_up(origin.url("/page/playlist.html"))
    assert (described.is_playlist, described.total_entries) == (True, 3)


def test_subtitles_of_the_video_tag_are_kept(run, page):
    tag = '<video src="/direct/video.mp4"><track kind="subtitles" srclang="en" src="/t/en.vtt"></video>'
    (kept,) = [event for event in run(page(tag)) if isinstance(event, messages.Kept)]
    info = json.loads(kept.info)
    assert list(info["subtitles"]) == ["en"]
    assert info["duration"] == 12


def test_a_stream_without_an_end_is_live(look_up, origin, page):
    origin.serve("/t/live.m3u8", SHORT_PLAYLIST)
    assert look_up(page(script("/t/live.m3u8", "/direct/video.mp4"))).is_live


# Frames


def test_a_frame_in_a_frame_is_followed_and_no_further(look_up, failure, page):
    page(script("/hls/plain/index.m3u8"), "/t/player/3.html")
    page('<iframe src="/t/player/3.html">', "/t/player/2.html")
    first = page('<iframe src="/t/player/2.html">', "/t/player/1.html")

    assert look_up(first).found.duration == 12
    assert failure(page(f'<iframe src="{first}">')).reason is Reason.UNSUPPORTED_SITE


def test_frames_that_hold_each_other_come_to_an_end(failure, origin, page):
    frames = "".join(f'<iframe src="/t/player/{number}.html"></iframe>' for number in range(30))
    _ = [page(frames, f"/t/player/{number}.html") for number in range(30)]

    assert failure(page(frames)).reason is Reason.UNSUPPORTED_SITE
    assert len(origin.requests_for("/t/player/")) <= scanner.FRAMES


def test_a_player_of_another_site_is_followed_and_an_advertisement_is_not(look_up, origin, page):
    elsewhere = origin.base.replace("127.0.0.1", "localhost")
    page(script("/hls/plain/index.m3u8"), "/t/embed/7.html")
    ads = f'<iframe src="{elsewhere}/ads/player.html"></iframe>'

    described = look_up(page(f'{ads}<iframe src="{elsewhere}/t/embed/7.html"></iframe>'))

    assert described.formats[0].url.startswith(f"{elsewhere}/hls/plain/")
    assert origin.requests_for("/ads/") == []


def test_a_frame_that_sends_a_video_is_the_video(look_up, origin, page):
    described = look_up(page('<iframe src="/direct/big.bin?size=50000&amp;type=video/mp4"></iframe>'))
    assert addresses_of(described, origin) == ["/direct/big.bin?size=50000&type=video/mp4"]


def test_a_short_video_of_a_page_gives_way_to_the_one_in_its_frame(look_up, origin, page):
    page(script("/direct/video.mp4"), "/t/player.html")
    described = look_up(page(script("/direct/small.mp4") + '<iframe src="/t/player.html"></iframe>'))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_the_title_is_that_of_the_page_and_not_of_its_frame(look_up, origin):
    assert look_up(origin.url("/shape/iframe.html")).found.title == "A player in a frame"


# What the page says


def linked_data(**fields):
    data = {"@context": "https://schema.org", "@type": "VideoObject", **fields}
    return f'<script type="application/ld+json">{json.dumps(data)}</script>'


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ('<meta property="og:title" content="Best &amp; first"><title>Worse</title>', "Best & first"),
        ("<title>Good\n  one</title><h1>Worse</h1>", "Good one"),
        ("<h1 class='x'>A <b>heading</b></h1>", "A heading"),
        ('<title>A film - Example</title><meta property="og:site_name" content="Example">', "A film"),
        ('<title>Example</title><meta property="og:site_name" content="Example">', "Example"),
        (linked_data(name="Linked") + "<title>Worse</title>", "Linked"),
        (linked_data(name=["odd"]) + "<title>Good</title>", "Good"),
        ("", "video"),
    ],
)
def test_the_title_comes_from_the_page(look_up, origin, head, title):
    url = origin.serve("/t/page.html", f"<!DOCTYPE html><html>{head}{script('/direct/video.mp4')}</html>")
    assert look_up(url).found.title == title


def test_what_else_the_page_says_is_taken(look_up, origin):
    head = (
        linked_data(uploadDate="2026-01-01", duration="PT9S")
        + """<meta property="og:image" content="https://a.test/p.jpg"><meta name="author" content="Ann">
        <meta property="og:description" content="About it">"""
    )
    url = origin.serve("/t/page.html", f"<!DOCTYPE html><html>{head}{script('/direct/audio.mp3')}</html>")

    described = look_up(url)

    assert (described.found.thumbnail, described.found.uploader) == ("https://a.test/p.jpg", "Ann")
    assert (described.description, described.found.duration) == ("About it", 9)
    assert described.formats[0].quality == "audio"


# Protection

WIDEVINE = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
SAMPLE_AES = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="/key"'
PROTECTED = '<ContentProtection schemeIdUri="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"/>'


def protected_playlist(origin, tag=SAMPLE_AES, path="/t/protected.m3u8"):
    segments = "".join("#EXTINF:1.0,\n/hls/plain/seg000.ts\n" for _ in range(12))
    return origin.serve(path, f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{tag}\n{segments}#EXT-X-ENDLIST\n")


def protected_manifest(origin, media, *, sound):
    text = (media / "dash/manifest.mpd").read_text().replace("$RepresentationID$", "x")
    pictures, rest = text.split("</AdaptationSet>", 1)
    pictures = pictures.replace("<Representation", f"{PROTECTED}<Representation", 1)
    rest = rest.replace("<Representation", f"{PROTECTED}<Representation", 1) if sound else rest
    return origin.serve("/t/protected.mpd", f"{pictures}</AdaptationSet>{rest}")


@pytest.mark.parametrize(
    "tag",
    [
        SAMPLE_AES,
        '#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="data:x",KEYFORMAT="com.microsoft.playready"',
        f'#EXT-X-KEY:METHOD=AES-128,URI="/key",KEYFORMAT="urn:uuid:{WIDEVINE}"',
        '#EXT-X-KEY:METHOD=AES-128,URI="skd://key"',
        '#EXT-X-SESSION-KEY:METHOD=AES-128,URI="/key",KEYFORMAT="com.apple.streamingkeydelivery"',
    ],
)
def test_a_protected_stream_is_said_to_be_one(failure, origin, page, tag):
    failed = failure(page(script(protected_playlist(origin, tag))))
    assert (failed.reason, failed.code) == (Reason.DRM, "UNSUPPORTED_SITE")


@pytest.mark.parametrize("sound", [True, False])
def test_a_protected_manifest_is_said_to_be_one_even_if_its_sound_is_clear(failure, origin, page, media, sound):
    manifest = protected_manifest(origin, media, sound=sound)
    assert failure(page(script(manifest))).reason is Reason.DRM
    assert failure(manifest).reason is Reason.DRM


def test_protection_in_the_playlist_of_a_variant_is_seen(failure, origin, page):
    protected_playlist(origin)
    origin.serve("/t/master.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000\n/t/protected.m3u8\n")
    assert failure(page(script("/t/master.m3u8"))).reason is Reason.DRM


def test_a_preview_does_not_stand_in_for_a_protected_video(failure, origin, page):
    assert failure(page(script(protected_playlist(origin), "/direct/small.mp4"))).reason is Reason.DRM


def test_a_clear_file_of_the_same_length_does(look_up, origin, page):
    described = look_up(page(script(protected_playlist(origin), "/direct/video.mp4")))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


def test_a_key_that_the_site_disguises_is_a_protection(failure, origin, media, page):
    origin.serve("/t/key.bin", b"a key of twenty byte")
    failed = failure(page(script(encrypted(origin, media, "/t/key.bin"))))
    assert (failed.reason, failed.code, failed.retryable) == (Reason.DRM, "UNSUPPORTED_SITE", False)


def test_a_page_instead_of_the_key_asks_for_a_login(failure, origin, media, page):
    origin.serve("/t/key.bin", "<html>Log in</html>")
    assert failure(page(script(encrypted(origin, media, "/t/key.bin")))).reason is Reason.LOGIN_NEEDED


def test_extract_answers_for_a_protected_video(service, origin, page):
    url = page(script(protected_playlist(origin)))
    answer = service.http.post("/api/downloads/extract", json={"url": url})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "UNSUPPORTED_SITE")
    assert "DRM" in answer.json()["detail"]


# What is not there


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/t/gone.m3u8", Reason.UNSUPPORTED_SITE),
        ("/direct/video.mp4?status=410", Reason.UNSUPPORTED_SITE),
        ("/direct/video.mp4?need_cookie=1", Reason.ACCESS_DENIED),
        ("/direct/video.mp4?status=401", Reason.LOGIN_NEEDED),
        ("/direct/video.mp4?status=503", Reason.SERVER_ERROR),
        ("http://127.0.0.1:1/v.mp4", Reason.NETWORK),
    ],
)
def test_a_video_that_its_site_does_not_hand_out_is_no_unsupported_site(failure, page, address, reason):
    assert failure(page(script(address))).reason is reason


@pytest.mark.parametrize(
    "other", ['<a href="/direct/video.mp4">Trailer</a>', '<video src="/direct/small.mp4"></video>']
)
def test_neither_a_link_nor_a_preview_stands_in_for_what_the_site_refuses(failure, page, other):
    assert failure(page(other + script("/hls/plain/index.m3u8?need_cookie=1"))).reason is Reason.ACCESS_DENIED


def test_a_server_that_is_gone_does_not_hide_the_rest(look_up, origin, page):
    described = look_up(page('<a href="/direct/video.mp4">Load</a>' + script("http://127.0.0.1:1/v.m3u8")))
    assert addresses_of(described, origin) == ["/direct/video.mp4"]


@pytest.mark.parametrize(
    "body", ["Nothing", '<a href="/direct/video.mp4?status=503">x</a>', "<video src='blob:x'></video>"]
)
def test_a_page_without_a_video_is_an_unsupported_site(failure, page, body):
    assert failure(page(body)).reason is Reason.UNSUPPORTED_SITE


def test_an_address_on_a_page_that_is_not_public_is_refused(service, page):
    task = service.wait_for(service.download(page(script("http://10.0.0.1/v.m3u8"))))
    assert (task["status"], task["error_reason"]) == ("failed", "address_forbidden")


# The last in line


def test_the_scanner_keeps_the_place_of_the_generic_extractor():
    with yt_dlp.YoutubeDL({"quiet": True, "cachedir": False}) as ydl:
        before = list(ydl._ies)
        ydl.add_info_extractor(scanner.GenericIE())
        assert list(ydl._ies) == before
        assert before[-1] == "Generic"
        assert isinstance(ydl._ies["Generic"], scanner.GenericIE)


def test_a_url_that_another_extractor_knows_never_comes_to_the_scanner(failure, origin, page):
    url = page(script("/direct/video.mp4"), f"/Mediasite/Play/{'0' * 32}")  # Mediasite's pages are on any host

    assert failure(url).detail.startswith("[Mediasite]")
    assert origin.requests_for("/direct/") == []
