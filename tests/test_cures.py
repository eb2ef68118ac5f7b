"""What we change inside yt-dlp: that it still is what the cures were made for, and that they cure."""

import gzip
import hashlib
import inspect
import shutil
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest
from yt_dlp import YoutubeDL
from yt_dlp.downloader import fragment
from yt_dlp.downloader.common import FileDownloader
from yt_dlp.downloader.dash import DashSegmentsFD
from yt_dlp.downloader.external import FFmpegFD
from yt_dlp.downloader.fragment import FragmentFD
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking._curlcffi import CurlCFFIRH
from yt_dlp.networking._helper import InstanceStoreMixin, make_ssl_context
from yt_dlp.networking._requests import RequestsResponseAdapter, RequestsRH
from yt_dlp.networking.common import Request, RequestHandler
from yt_dlp.networking.exceptions import NoSupportingHandlers, ProxyError, RequestError, TransportError
from yt_dlp.networking.impersonate import ImpersonateRequestHandler, ImpersonateTarget
from yt_dlp.postprocessor.ffmpeg import FFmpegFixupM3u8PP, FFmpegPostProcessor, FFmpegPostProcessorError
from yt_dlp.utils import DownloadError
from yt_dlp.utils.networking import HTTPHeaderDict

from downloads.engine import bodies, cures, fragments, inherited, parts, resume
from downloads.engine.classification import classify
from downloads.engine.cookies import cookie_policy, parse_cookies
from downloads.engine.egress import refused_by
from downloads.engine.egress_proxy import EgressProxy
from downloads.engine.errors import Phase, Reason
from downloads.engine.ffmpeg import INPUT_WHITE_LISTS, probe
from downloads.engine.lists import LARGEST
from downloads.engine.network import AddressPolicy
from tests.origin import Listener
from tests.ytdlp import PATCHED

# What we replace, and what around it we rely on, as it reads in the version that the cures were made for
SOURCES = {
    FragmentFD._write_ytdl_file: "b20ea0c85aa275bd",
    FragmentFD._prepare_frag_download: "530db9740527c187",
    FragmentFD._read_ytdl_file: "deaffc294d8f30af",
    FragmentFD._append_fragment: "e4020c0642145633",
    FragmentFD._download_fragment: "ab06485f174f9d84",
    FragmentFD._prepare_and_start_frag_download: "8de42baed04fa8ac",
    FragmentFD._start_frag_download: "ae3f989a77d73aa9",
    FragmentFD.download_and_append_fragments: "26944c02279db7d5",
    FragmentFD.decrypter: "b9f72c7915cb5c82",
    HlsFD.real_download: "a0c474aa0334a9ec",
    DashSegmentsFD.real_download: "1ce59789d0223eaf",
    DashSegmentsFD._get_fragments: "a73beab83544173e",
    HttpFD.real_download: "f6fbc01e67c213ef",
    FileDownloader.download: "2a351bd6933752fb",
    FileDownloader.best_block_size: "927012a02b98825c",
    Request.headers.fset: "f3390dd213f86cde",
    FFmpegPostProcessor._configuration_args: "03e2e4adb44667fc",
    FFmpegPostProcessor.get_metadata_object: "b9e24ae42478c02d",
    FFmpegPostProcessor.get_audio_codec: "b860810484ac88db",
    FFmpegPostProcessor._get_version: "a96a4dfd74a79eb5",
    FFmpegPostProcessor._get_ffmpeg_version: "ee2b6ccc940c0e0c",
    FFmpegFixupM3u8PP.run: "4194734733d9aa21",
    FFmpegPostProcessor.real_run_ffmpeg: "bdfe92a9fbcb67ce",
    FFmpegFD._call_downloader: "fe86915738144594",
    FileDownloader.report_progress: "078d6706988df80b",
    YoutubeDL.urlopen: "77e1061f0952140d",
    YoutubeDL.dl: "a474bdd8b8fd4073",
    YoutubeDL.process_info: "fddc0e60d52cc5de",
    YoutubeDL.add_default_info_extractors: "3cdb7129934284c3",
    YoutubeDL._forceprint: "a59970cadc0ba417",
    YoutubeDL._YoutubeDL__forced_printings: "0be1a08f329aacae",
    RequestHandler._make_sslcontext: "f3db9c82b5563b77",
    make_ssl_context: "0df82d982e5563e9",
    RequestsResponseAdapter.__init__: "0b5ef034e632ce04",
    RequestsResponseAdapter._real_read: "a549d12407ac4127",
    RequestsResponseAdapter.read: "ae04eeb9de6d7b75",
    HlsFD._has_drm: "968309c98779dc58",
    HlsFD.can_download: "0e48c1e2bf9a5d22",
    FragmentFD.decrypter: "b9f72c7915cb5c82",
    fragment.aes_cbc_decrypt_bytes: "b40989d63b36dc21",
    CurlCFFIRH._send: "afc7f832200bba6b",
    CurlCFFIRH._create_instance: "e246ec1ad27034d2",
    InstanceStoreMixin._get_instance: "f221431c285da44a",
    RequestHandler._get_proxies: "2878732c68f37d9d",
    ImpersonateRequestHandler._validate: "79b768fa486ad0ed",
    ImpersonateRequestHandler.is_supported_target: "b778bfc626a8d20c",
}


@pytest.fixture
def spied_tools(tools, tmp_path):
    """ffmpeg and ffprobe that note how they are called; the folder, and what they noted."""
    folder = tmp_path / "spied"
    folder.mkdir()
    _ = [spy(program, folder) for program in (tools.ffmpeg, tools.ffprobe)]
    return folder


def spy(program, folder):
    script = folder / program.name
    script.write_text(f'#!/bin/sh\necho "{program.name} $*" >> {folder}/log\nexec {program} "$@"\n')
    script.chmod(0o700)


# The contract


@pytest.mark.parametrize(("function", "digest"), SOURCES.items(), ids=lambda value: getattr(value, "__qualname__", ""))
def test_what_is_cured_reads_as_it_did_when_the_cure_was_made(function, digest):
    source = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]

    assert source == digest, f"yt-dlp changed {function.__qualname__}: judge its cure anew, then note {source}"


@pytest.mark.parametrize(
    ("owner", "name"), sorted(PATCHED, key=str), ids=lambda value: getattr(value, "__name__", value)
)
def test_each_cure_is_applied(cured, owner, name):
    patch = inspect.getattr_static(owner, name)

    module = inspect.getmodule(getattr(patch, "fset", patch))
    assert module in (bodies, cures, fragments, inherited, parts, resume)


@pytest.mark.parametrize(
    ("original", "cure"),
    [
        (FragmentFD._write_ytdl_file, fragments.write_state),
        (FragmentFD._prepare_frag_download, fragments.prepare_fragments),
        (FragmentFD._prepare_and_start_frag_download, fragments.start_fragments),
        (FragmentFD._append_fragment, fragments.append_fragment),
        (FileDownloader.download, resume.download),
        (FileDownloader.best_block_size, bodies.best_block_size),
        (HttpFD.real_download, parts.download_file),
        (FFmpegPostProcessor.get_metadata_object, cures.whitelisted_metadata),
        (FFmpegPostProcessor.get_audio_codec, cures.audio_codec),
        (FFmpegPostProcessor._get_version, cures.presumed_version),
    ],
)
def test_a_cure_takes_what_the_original_takes(original, cure):
    assert len(inspect.signature(cure).parameters) == len(inspect.signature(original).parameters)


# Cure 3: headers


def test_the_range_of_one_request_does_not_stay_for_the_next(cured):
    headers = HTTPHeaderDict({"Referer": "https://example.com/"})

    first = Request("https://example.com/v", headers=headers)
    first.headers["Range"] = "bytes=700-"

    assert "Range" not in headers
    assert first.headers["Referer"] == "https://example.com/"


def test_without_the_cure_it_would_stay():
    headers = HTTPHeaderDict({"Referer": "https://example.com/"})

    first = Request("https://example.com/v", headers=headers)
    first.headers["Range"] = "bytes=700-"

    assert "Range" in headers, "yt-dlp has mended this: the cure can go"


# Cure 4: what ffmpeg reads


@pytest.mark.parametrize("path", ["/hls/plain/index.m3u8", "/hls/split/master.m3u8", "/dash/manifest.mpd"])
def test_every_input_of_ffmpeg_and_ffprobe_comes_after_the_white_lists(cured, downloader, origin, spied_tools, path):
    downloader(ffmpeg_location=str(spied_tools)).download([origin.url(path)])

    calls = (spied_tools / "log").read_text().splitlines()
    with_input = [call for call in calls if str(spied_tools.parent / "media.") in call]
    assert with_input
    assert [call for call in with_input if call.count(" ".join(INPUT_WHITE_LISTS)) != inputs_of(call)] == []


def inputs_of(call):
    return call.count(" -i ") if call.startswith("ffmpeg ") else 1


HOSTILE = {
    "a playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
    "a list of files": "ffconcat version 1.0\nfile '{target}'\n",
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile_file(request, tmp_path, media):
    """Named like a video, but it is a text that leads to another file beside it."""
    shutil.copy(media / "hls" / "plain" / "seg000.ts", tmp_path / "secret.ts")
    file = tmp_path / "hostile.mp4"
    file.write_text(request.param.format(target="secret.ts"))
    return file


@pytest.mark.usefixtures("cured")
def test_a_text_that_leads_to_another_file_is_not_converted(downloader, hostile_file, tmp_path):
    with pytest.raises(FFmpegPostProcessorError):
        FFmpegPostProcessor(downloader()).run_ffmpeg(str(hostile_file), str(tmp_path / "out.mp4"), ["-c", "copy"])

    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.usefixtures("cured")
def test_a_text_that_leads_to_another_file_has_no_streams(downloader, hostile_file):
    ffmpeg = FFmpegPostProcessor(downloader())

    assert not ffmpeg.get_metadata_object(str(hostile_file)).get("streams")
    assert ffmpeg.get_audio_codec(str(hostile_file)) is None


@pytest.mark.parametrize(("name", "codec"), [("video.mp4", "aac"), ("audio.mp3", "mp3"), ("vp9.webm", "opus")])
def test_the_codec_of_the_sound_is_what_the_original_says(downloader, media, cured, name, codec):
    assert FFmpegPostProcessor(downloader()).get_audio_codec(str(media / "direct" / name)) == codec


# Cure 26: what is known of the programs


def test_each_program_is_started_for_nothing_but_its_work(cured, downloader, origin, spied_tools):
    downloader(ffmpeg_location=str(spied_tools)).download([origin.url("/hls/plain/index.m3u8")])

    started = (spied_tools / "log").read_text().splitlines()
    assert [line.split()[0] for line in started] == ["ffprobe", "ffmpeg"]


def test_what_is_said_of_a_file_is_not_said_of_its_successor(downloader, media, cured, tmp_path):
    ffmpeg, file = FFmpegPostProcessor(downloader()), tmp_path / "file"
    for name, codec in {"video.mp4": "aac", "audio.mp3": "mp3"}.items():
        shutil.copy(media / "direct" / name, file)
        assert [ffmpeg.get_audio_codec(str(file)) for _ in range(2)] == [codec] * 2


# Cure 27: a full disk


@pytest.mark.usefixtures("cured")
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Error writing trailer: No space left on device", Reason.NO_SPACE),
        ("Error writing trailer: File too large", Reason.FILE_TOO_LARGE),
        ("Invalid data found when processing input", Reason.POSTPROCESSING_FAILED),
    ],
)
def test_what_the_system_said_before_the_last_line_counts(downloader, origin, spied_tools, said, reason):
    (spied_tools / "ffmpeg").write_text(f"#!/bin/sh\necho '{said}' >&2\necho 'Conversion failed!' >&2\nexit 1\n")
    ydl = downloader(ffmpeg_location=str(spied_tools))

    with pytest.raises(DownloadError) as caught:
        ydl.download([origin.url("/hls/plain/index.m3u8")])

    assert classify(caught.value, Phase.PROCESSING).reason is reason


# Cure 5: no network for ffmpeg


def test_ffmpeg_fetches_nothing(cured, downloader, origin):
    ydl = downloader(hls_prefer_native=False)

    with pytest.raises(DownloadError, match="not let into the network"):
        ydl.download([origin.url("/hls/plain/index.m3u8")])

    assert origin.requests_for("/hls/plain/seg") == []


# Cure 6: no line of progress


def test_progress_is_told_to_hooks_and_not_to_the_terminal(cured, downloader, origin, capsys):
    heard = []

    downloader(quiet=False, progress_hooks=[heard.append]).download([origin.url("/direct/small.mp4")])

    assert heard[-1]["status"] == "finished"
    assert "%" not in capsys.readouterr().out


# Cure 7: no page without end


@pytest.mark.parametrize(("size", "limit"), [(300_000, 300_000), (1, 300_000), (0, 300_000)])
def test_a_page_up_to_the_limit_is_read_whole(downloader, origin, monkeypatch, size, limit):
    monkeypatch.setattr(cures, "PAGE_LIMIT", limit)

    assert len(downloader().urlopen(origin.url("/direct/big.bin", size=size)).read()) == size


@pytest.mark.parametrize("nolength", [{}, {"nolength": 1}], ids=["announced", "chunked"])
def test_a_page_beyond_the_limit_is_refused(downloader, origin, monkeypatch, nolength):
    monkeypatch.setattr(cures, "PAGE_LIMIT", 300_000)

    with pytest.raises(TransportError, match="longer than 300000 bytes"):
        downloader().urlopen(origin.url("/direct/big.bin", size=300_001, **nolength)).read()


def test_a_file_is_read_in_parts_however_long_it_is(downloader, origin, monkeypatch):
    monkeypatch.setattr(cures, "PAGE_LIMIT", 1000)

    response = downloader().urlopen(origin.url("/direct/big.bin", size=5000))

    assert len(response.read(4000)) == 4000
    assert len(response.read(4000)) == 1000


class Bomb(BaseHTTPRequestHandler):
    """A page of 50 kB that unpacks to 50 MB."""

    BODY = gzip.compress(bytes(50_000_000), compresslevel=6)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(self.BODY)))
        self.end_headers()
        self.wfile.write(self.BODY)

    def log_message(self, *_):
        pass


def test_a_page_that_is_small_until_it_is_unpacked_is_refused(downloader):
    with ThreadingHTTPServer(("127.0.0.1", 0), Bomb) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        response = downloader().urlopen(f"http://127.0.0.1:{server.server_port}/")

        with pytest.raises(TransportError, match="longer than"):
            response.read()

        server.shutdown()


# Cures 8 and 9: what is protected


@pytest.fixture
def stream(origin, media):
    """Serve the encrypted stream with something replaced in its playlist, and with a key of the test's own."""

    def stream(old="", new="", key=bytes(range(16))):
        origin.serve("/t/key.bin", key)
        playlist = (media / "hls/aes/index.m3u8").read_text().replace(old, new)
        return origin.serve("/t/own.m3u8", playlist.replace("seg0", "/hls/aes/seg0").replace("key.bin", "/t/key.bin"))

    return stream


def test_a_stream_whose_samples_are_encrypted_is_refused_as_protected(cured, downloader, stream, origin):
    with pytest.raises(DownloadError, match="DRM"):
        downloader().download([stream("AES-128", "SAMPLE-AES")])

    assert origin.requests_for("/hls/aes/seg") == []


@pytest.mark.usefixtures("cured")
@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (b"a key of 20 bytes...", "disguises the key"),
        (b"", "disguises the key"),
        (bytes(range(1, 17)), "disguises the key"),
        (b"  <html>Log in</html>", "log in there"),
    ],
)
def test_a_key_that_does_not_fit_is_said_to_be_one(downloader, stream, tmp_path, key, sentence):
    with pytest.raises(DownloadError, match=sentence):
        downloader(concurrent_fragment_downloads=4).download([stream(key=key)])

    assert not (tmp_path / "media.mp4").exists()


@pytest.mark.usefixtures("cured")
def test_a_key_that_fits_decrypts(downloader, stream, tmp_path, tools):
    downloader().download([stream()])

    assert probe(tools, tmp_path / "media.mp4", timeout=30).duration == pytest.approx(12, abs=0.2)


# Cure 22: lists of HLS


def test_a_list_that_has_just_been_read_is_not_fetched_once_more(cured, downloader, origin, media, tmp_path):
    downloader().download([origin.url("/hls/plain/index.m3u8")])

    assert len(origin.requests_for("/hls/plain/index.m3u8")) == 1
    assert (tmp_path / "media.mp4").is_file()


def test_what_is_read_again_is_what_was_read(downloader, origin, media):
    ydl, link = downloader(), origin.url("/hls/plain/index.m3u8")
    first, _ = ydl.urlopen(link), ydl.urlopen(origin.url("/direct/small.mp4")).read()

    assert first.read(512) + first.read() == ydl.urlopen(link).read() == (media / "hls/plain/index.m3u8").read_bytes()
    assert ydl.urlopen(Request(link, headers={"Range": "bytes=0-6"})).read() == b"#EXTM3U"
    assert len(origin.requests_for("/hls/plain")) == 2


@pytest.mark.parametrize("size", [LARGEST - 1, LARGEST, LARGEST + 100_000])
def test_what_is_called_a_list_is_read_at_once_if_it_is_no_longer_than_lists_are(downloader, origin, size):
    text = "#EXTM3U\n#EXT-X-ENDLIST\n".ljust(size, "#")
    ydl, link = downloader(), origin.serve("/long.m3u8", text)
    response = ydl.urlopen(link)

    assert ydl.urlopen(link).read() == text.encode()
    assert len(origin.requests_for("/long")) == (1 if size <= LARGEST else 2)
    assert response.read(512) + response.read(700) + response.read() == text.encode()


def test_a_list_that_grows_is_read_anew(downloader, origin):
    ydl, link = downloader(), origin.serve("/growing.m3u8", "#EXTM3U\n#EXTINF:1,\nseg000.ts\n")
    _ = [ydl.urlopen(link).read() for _ in range(2)]

    assert len(origin.requests_for("/growing")) == 2


# Cures 23 to 25: what is made once


def test_every_extractor_is_there_in_the_order_in_which_yt_dlp_asks_them(downloader):
    original = YoutubeDL({"quiet": True})

    assert list(downloader()._ies) == list(original._ies)
    assert len(original._ies) > 1000


def context(**options):
    return RequestsRH(logger=None, **options)._make_sslcontext()


def test_the_certificates_are_read_once_for_each_way_to_use_them(cured):
    assert context() is context()
    assert (context().verify_mode, context().check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context().get_ca_certs()) > 50
    assert context(verify=False).verify_mode == ssl.CERT_NONE
    assert context(legacy_ssl_support=True) is not context()
    assert context(legacy_ssl_support=True).options & 4


def test_a_certificate_of_the_users_own_is_read_for_them_alone(cured, tmp_path):
    with pytest.raises(FileNotFoundError):
        context(client_cert={"client_certificate": str(tmp_path / "none.pem")})


# Cure 11: curl_cffi


@pytest.fixture
def open_route(cured):
    """Let curl_cffi through a route to these networks, and give the route."""
    with EgressProxy() as proxy:

        def make(*networks):
            route = proxy.open(AddressPolicy(tuple(map(ip_network, networks))))
            cures.use_egress(route.url)
            return route

        yield make


def as_a_browser(url, **options):
    return Request(url, extensions={"impersonate": ImpersonateTarget("chrome")}, **options)


def test_a_browser_is_impersonated_through_the_proxy(downloader, open_route, origin, media):
    open_route("127.0.0.1/32")
    ydl = downloader()

    bodies = [ydl.urlopen(as_a_browser(origin.url("/direct/small.mp4", id=each))).read() for each in range(3)]

    assert set(bodies) == {(media / "direct/small.mp4").read_bytes()}
    assert "Chrome/" in origin.requests[0].headers["User-Agent"]
    assert not [record for record in origin.requests if any(name.startswith("Proxy-") for name in record.headers)]


@pytest.mark.parametrize("proxies", [None, {"all": None}, {"no": "127.0.0.1", "all": "http://127.0.0.1:1"}])
def test_curl_cffi_never_connects_by_itself(downloader, open_route, monkeypatch, proxies):
    monkeypatch.setenv("no_proxy", "*")
    route = open_route()
    with Listener() as listener, pytest.raises(ProxyError) as refused:
        downloader().urlopen(as_a_browser(listener.url(), proxies=proxies))

    assert listener.connections == 0
    assert route.refused == ["address not allowed: '127.0.0.1'"]
    assert classify(refused.value, Phase.LOOKUP, refused_by(route.url)).reason is Reason.ADDRESS_FORBIDDEN


@pytest.mark.parametrize("scheme", ["http", "https", "ftp"])
def test_curl_cffi_follows_no_redirect_past_the_proxy(downloader, open_route, origin, scheme):
    open_route("127.0.0.1/32")
    with Listener("127.0.0.2") as listener:
        target = f"{scheme}://{listener.host}:{listener.port}/"
        with pytest.raises(TransportError):
            downloader().urlopen(as_a_browser(origin.url("/redirect/302", to=target)))

    assert listener.connections == 0


@pytest.mark.usefixtures("cured")
def test_without_a_proxy_there_is_no_browser_to_impersonate(downloader):
    ydl = downloader()
    with Listener() as listener, pytest.raises(RequestError, match="is not available"):
        ydl.urlopen(as_a_browser(listener.url()))

    assert listener.connections == 0
    assert not ydl._impersonate_target_available(ImpersonateTarget())  # extractors that can do without ask for this


@pytest.mark.usefixtures("cured")
def test_without_a_proxy_curl_cffi_is_no_last_resort(downloader):
    ydl = downloader()
    ydl._request_director.handlers = {"CurlCFFI": ydl._request_director.handlers["CurlCFFI"]}

    with Listener() as listener, pytest.raises(NoSupportingHandlers, match="no proxy to go through"):
        ydl.urlopen(listener.url())

    assert listener.connections == 0


def test_curl_cffi_takes_cookies_to_their_own_host_only(downloader, open_route, origin):
    open_route("127.0.0.0/8", "::1/128")
    ydl = downloader()
    ydl.cookiejar.set_policy(cookie_policy())
    _ = [ydl.cookiejar.set_cookie(cookie) for cookie in parse_cookies("pass=open", origin.base)]
    elsewhere = f"http://localhost:{origin.port}/direct/small.mp4"

    ydl.urlopen(as_a_browser(origin.url("/redirect/302", to=elsewhere))).read()
    ydl.urlopen(as_a_browser(elsewhere)).read()

    assert [record.headers.get("Cookie") for record in origin.requests] == ["pass=open", None, None]
