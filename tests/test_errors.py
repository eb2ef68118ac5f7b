import email.message
import email.utils
import errno
import io
import json
import ssl
import subprocess
import sys
import time

import msgspec
import pytest
import yt_dlp
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import (
    CertificateVerifyError,
    HTTPError,
    IncompleteRead,
    NoSupportingHandlers,
    ProxyError,
    TransportError,
    UnsupportedRequest,
)
from yt_dlp.utils import (
    ContentTooShortError,
    DownloadCancelled,
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    MaxDownloadsReached,
    PostProcessingError,
    RegexNotFoundError,
    SameFileError,
    UnavailableVideoError,
    UnsupportedError,
    UserNotLive,
    YoutubeDLError,
)

from downloads.engine.classification import classify
from downloads.engine.errors import MAX_DETAIL_LENGTH, SENTENCES, Failure, Phase, Reason
from downloads.engine.network import AddressRefused, BadUrl

LOGIN_HINT = (
    "Use --cookies-from-browser or --cookies for the authentication. "
    "See  https://github.com/yt-dlp/yt-dlp/wiki/FAQ#how-do-i-pass-cookies-to-yt-dlp  for how to manually pass cookies"
)


def http_error(status, **headers):
    message = email.message.Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return HTTPError(Response(io.BytesIO(), "https://site.test/v", message, status=status))


def as_yt_dlp_reports(error):
    """Let yt-dlp itself wrap what an extractor has raised."""
    ydl = quiet_yt_dlp(auto_init=False)
    ydl.add_info_extractor(Failing(error))
    with pytest.raises(DownloadError) as raised:
        ydl.extract_info("failing:", download=False)
    return raised.value


def failed_transfer(error):
    """Wrap what a downloader has raised the way `YoutubeDL.process_info` does."""
    try:
        raise error
    except type(error):
        with pytest.raises(DownloadError) as raised:
            quiet_yt_dlp(auto_init=False).report_error(f"unable to download video data: {error}")
    return raised.value


def quiet_yt_dlp(**options):
    return yt_dlp.YoutubeDL({"quiet": True, "cachedir": False, "logger": Silent()}, **options)


class Failing(InfoExtractor):
    """An extractor that fails as it is told."""

    _VALID_URL = r"failing:"

    def __init__(self, error):
        super().__init__()
        self._error = error

    def _real_extract(self, url):
        raise self._error


class Silent:
    def debug(self, message):
        pass

    warning = error = debug


def said(text, *, expected=True):
    return as_yt_dlp_reports(ExtractorError(text, expected=expected, ie="Some", video_id="login-private-drm"))


def failed_download(cause):
    """Wrap an error of the network the way `InfoExtractor._request_webpage` does."""
    return as_yt_dlp_reports(ExtractorError(f"Unable to download webpage: {cause}", cause=cause, expected=True))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sign in to confirm you’re not a bot. " + LOGIN_HINT, Reason.BOT_CHECK),
        (
            "Got HTTP Error 403 caused by Cloudflare anti-bot challenge; try again with  --extractor-args",
            Reason.BOT_CHECK,
        ),
        ("YouTube is requiring a captcha challenge before playback", Reason.BOT_CHECK),
        (
            "Sign in to confirm your age. This video may be inappropriate for some users. " + LOGIN_HINT,
            Reason.AGE_RESTRICTED,
        ),
        ("Login is required to access age-restricted content. " + LOGIN_HINT, Reason.AGE_RESTRICTED),
        ("Private video. Sign in if you've been granted access to this video. " + LOGIN_HINT, Reason.PRIVATE),
        ("Video unavailable. This video is private", Reason.PRIVATE),
        ("Join this channel to get access to members-only content like this video", Reason.MEMBERS_ONLY),
        ("This video is only available to Music Premium members", Reason.MEMBERS_ONLY),
        ("This video requires a subscription. " + LOGIN_HINT, Reason.MEMBERS_ONLY),
        ("Ticket purchase is required for this stream", Reason.MEMBERS_ONLY),
        ("This video is only available for registered users. " + LOGIN_HINT, Reason.LOGIN_NEEDED),
        ("You need to log in to access this content", Reason.LOGIN_NEEDED),
        ("Cookies (not necessarily logged in) are needed", Reason.LOGIN_NEEDED),
        ("This video is protected by a password, use the --video-password option", Reason.PASSWORD_PROTECTED),
        ("The uploader has not made this video available in your country", Reason.GEO_BLOCKED),
        ("Video unavailable. X has blocked it in your country on copyright grounds", Reason.GEO_BLOCKED),
        ("Track unavailable in your country due to licensing restrictions", Reason.GEO_BLOCKED),
        ("Video unavailable. This video has been removed by the uploader", Reason.REMOVED),
        (
            "This video is no longer available because the account associated with it has been terminated",
            Reason.REMOVED,
        ),
        ("Content not found; it has most likely expired", Reason.REMOVED),
        ("This livestream has ended", Reason.REMOVED),
        ("Video unavailable", Reason.REMOVED),
        ("This live event will begin in 3 hours.", Reason.NOT_LIVE_YET),
        ("Premieres in 20 minutes", Reason.NOT_LIVE_YET),
        ("This livestream has not yet started", Reason.NOT_LIVE_YET),
        ("Stream is offline", Reason.NOT_LIVE_YET),
        ("This video is DRM protected", Reason.DRM),
        ("This video is either unavailable in your region or is DRM protected", Reason.DRM),
        ("This content isn’t available, try again later. Your account has been rate-limited", Reason.RATE_LIMITED),
        ("Service temporarily unavailable", Reason.SERVER_ERROR),
        ("Requested format is not available. Use --list-formats for a list", Reason.FORMAT_UNAVAILABLE),
        ("Video 17 does not exist", Reason.NOT_FOUND),
        ("Lecture not found", Reason.NOT_FOUND),
        ("This website is no longer supported", Reason.UNSUPPORTED_SITE),
        ("All player responses are invalid. Your IP is likely being blocked by Youtube", Reason.BOT_CHECK),
        ("Only users older than 19 are able to watch this video", Reason.AGE_RESTRICTED),
        ("Youku said: Sorry, this video is available in China only", Reason.GEO_BLOCKED),
        ("You do not have access to this post", Reason.LOGIN_NEEDED),
        ("Your token has expired or is invalid", Reason.LOGIN_NEEDED),
        ("No video could be found in this tweet", Reason.NOT_A_VIDEO),
        ("No video/audio found at the provided url", Reason.NOT_A_VIDEO),
        ("'https://' is not a valid URL", Reason.INVALID_URL),
        ("Some said: computer says no", Reason.ACCESS_DENIED),
    ],
)
def test_an_extractors_words_give_the_reason(text, reason):
    assert classify(said(text), Phase.LOOKUP).reason is reason


@pytest.mark.parametrize(
    ("status", "reason", "code", "retryable"),
    [
        (401, Reason.LOGIN_NEEDED, "EXTRACTION_FAILED", False),
        (402, Reason.MEMBERS_ONLY, "EXTRACTION_FAILED", False),
        (403, Reason.ACCESS_DENIED, "EXTRACTION_FAILED", False),
        (404, Reason.NOT_FOUND, "EXTRACTION_FAILED", False),
        (410, Reason.REMOVED, "EXTRACTION_FAILED", False),
        (418, Reason.ACCESS_DENIED, "EXTRACTION_FAILED", False),
        (451, Reason.GEO_BLOCKED, "EXTRACTION_FAILED", False),
        (408, Reason.SERVER_ERROR, "EXTRACTION_FAILED", True),
        (425, Reason.SERVER_ERROR, "EXTRACTION_FAILED", True),
        (429, Reason.RATE_LIMITED, "EXTRACTION_FAILED", True),
        (500, Reason.SERVER_ERROR, "EXTRACTION_FAILED", True),
        (503, Reason.SERVER_ERROR, "EXTRACTION_FAILED", True),
        (522, Reason.SERVER_ERROR, "EXTRACTION_FAILED", True),
    ],
)
def test_a_status_in_the_lookup(status, reason, code, retryable):
    failure = classify(failed_download(http_error(status)), Phase.LOOKUP)
    assert (failure.reason, failure.code, failure.retryable) == (reason, code, retryable)


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (401, Reason.LOGIN_NEEDED, False),
        (403, Reason.LINK_EXPIRED, True),
        (404, Reason.LINK_EXPIRED, True),
        (410, Reason.LINK_EXPIRED, True),
        (429, Reason.RATE_LIMITED, True),
        (502, Reason.SERVER_ERROR, True),
    ],
)
def test_a_status_in_the_download(status, reason, retryable):
    failure = classify(failed_transfer(http_error(status)), Phase.DOWNLOAD)
    assert (failure.reason, failure.code, failure.retryable) == (reason, "DOWNLOAD_FAILED", retryable)


def test_fragments_that_were_given_up_tell_their_status_in_the_text_only():
    error = DownloadError("ERROR: \r[download] Got error: HTTP Error 404: Not Found. Giving up after 5 retries")
    assert classify(error, Phase.DOWNLOAD).reason is Reason.LINK_EXPIRED


def test_the_text_knows_better_than_a_refusing_status():
    error = as_yt_dlp_reports(ExtractorError("This video is private", cause=http_error(403), expected=True))
    assert classify(error, Phase.LOOKUP).reason is Reason.PRIVATE


def test_an_overloaded_server_goes_before_its_text():
    error = as_yt_dlp_reports(ExtractorError("Login required", cause=http_error(503), expected=True))
    assert classify(error, Phase.LOOKUP).reason is Reason.SERVER_ERROR


@pytest.mark.parametrize(
    ("error", "phase", "reason", "code", "retryable"),
    [
        (UnsupportedError("https://login.test/"), Phase.LOOKUP, Reason.UNSUPPORTED_SITE, "UNSUPPORTED_SITE", False),
        (GeoRestrictedError("Only in DE"), Phase.LOOKUP, Reason.GEO_BLOCKED, "EXTRACTION_FAILED", False),
        (UserNotLive(), Phase.LOOKUP, Reason.NOT_LIVE_YET, "EXTRACTION_FAILED", False),
        (BadUrl("No."), Phase.LOOKUP, Reason.INVALID_URL, "INVALID_URL", False),
        (
            RegexNotFoundError("Unable to extract login token"),
            Phase.LOOKUP,
            Reason.EXTRACTOR_BROKEN,
            "EXTRACTION_FAILED",
            False,
        ),
        (
            ExtractorError("Unable to extract cookies"),
            Phase.LOOKUP,
            Reason.EXTRACTOR_BROKEN,
            "EXTRACTION_FAILED",
            False,
        ),
        (
            ExtractorError("An extractor error has occurred.", cause=KeyError("x")),
            Phase.LOOKUP,
            Reason.EXTRACTOR_BROKEN,
            "EXTRACTION_FAILED",
            False,
        ),
        (KeyError("login"), Phase.LOOKUP, Reason.EXTRACTOR_BROKEN, "EXTRACTION_FAILED", False),
        (
            TransportError("Failed to connect to login.site.test"),
            Phase.LOOKUP,
            Reason.NETWORK,
            "EXTRACTION_FAILED",
            True,
        ),
        (IncompleteRead(10, 20), Phase.DOWNLOAD, Reason.NETWORK, "DOWNLOAD_FAILED", True),
        (ProxyError("no"), Phase.LOOKUP, Reason.NETWORK, "EXTRACTION_FAILED", True),
        (ContentTooShortError(10, 20), Phase.DOWNLOAD, Reason.NETWORK, "DOWNLOAD_FAILED", True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Phase.DOWNLOAD, Reason.NETWORK, "DOWNLOAD_FAILED", True),
        (TimeoutError(), Phase.DOWNLOAD, Reason.NETWORK, "DOWNLOAD_FAILED", True),
        (ssl.SSLError(1, "record layer failure"), Phase.DOWNLOAD, Reason.NETWORK, "DOWNLOAD_FAILED", True),
        (CertificateVerifyError("self-signed"), Phase.LOOKUP, Reason.CERTIFICATE, "EXTRACTION_FAILED", False),
        (OSError(errno.ENOSPC, "No space left on device"), Phase.DOWNLOAD, Reason.NO_SPACE, "DOWNLOAD_FAILED", True),
        (OSError(errno.EFBIG, "File too large"), Phase.DOWNLOAD, Reason.FILE_TOO_LARGE, "DOWNLOAD_FAILED", False),
        (OSError(errno.EROFS, "Read-only file system"), Phase.DOWNLOAD, Reason.STORAGE, "DOWNLOAD_FAILED", False),
        (
            TransportError(cause=OSError(errno.EACCES, "firewall")),
            Phase.LOOKUP,
            Reason.NETWORK,
            "EXTRACTION_FAILED",
            True,
        ),
        (
            PostProcessingError("Conversion failed!"),
            Phase.PROCESSING,
            Reason.POSTPROCESSING_FAILED,
            "PROCESSING_FAILED",
            False,
        ),
        (
            PostProcessingError("Error writing trailer: No space left on device"),
            Phase.PROCESSING,
            Reason.NO_SPACE,
            "PROCESSING_FAILED",
            True,
        ),
        (
            DownloadError("ERROR: Did not get any data blocks"),
            Phase.DOWNLOAD,
            Reason.INCOMPLETE,
            "DOWNLOAD_FAILED",
            True,
        ),
        (UnavailableVideoError("odd"), Phase.DOWNLOAD, Reason.UNKNOWN, "DOWNLOAD_FAILED", False),
        (SameFileError("x"), Phase.DOWNLOAD, Reason.UNKNOWN, "DOWNLOAD_FAILED", False),
        (RuntimeError("odd"), Phase.PROCESSING, Reason.POSTPROCESSING_FAILED, "PROCESSING_FAILED", False),
        (DownloadCancelled(), Phase.DOWNLOAD, Reason.CANCELLED, "DOWNLOAD_FAILED", False),
        (MaxDownloadsReached(), Phase.DOWNLOAD, Reason.CANCELLED, "DOWNLOAD_FAILED", False),
        (MemoryError(), Phase.DOWNLOAD, Reason.OUT_OF_MEMORY, "DOWNLOAD_FAILED", False),
    ],
)
def test_an_exception_gives_reason_code_and_retry(error, phase, reason, code, retryable):
    failure = classify(error, phase)
    assert (failure.reason, failure.code, failure.retryable) == (reason, code, retryable)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), TransportError("reset")])
def test_a_cause_is_found_through_the_wrapping_of_yt_dlp(error):
    assert classify(failed_transfer(error), Phase.DOWNLOAD).reason is classify(error, Phase.DOWNLOAD).reason


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://site.test/x", "https://", "javascript:alert(1)"])
def test_what_yt_dlp_itself_takes_for_no_url_is_invalid(url):
    with quiet_yt_dlp() as ydl, pytest.raises(YoutubeDLError) as raised:
        ydl.extract_info(url, download=False)
    assert classify(raised.value, Phase.LOOKUP).reason is Reason.INVALID_URL


def test_a_request_that_no_handler_can_send_for_another_reason_is_not_the_users_fault():
    error = NoSupportingHandlers([], [UnsupportedRequest("Unsupported impersonate target: chrome")])
    assert classify(error, Phase.LOOKUP).reason is Reason.EXTRACTOR_BROKEN


@pytest.mark.parametrize(
    ("phase", "code"),
    [(Phase.LOOKUP, "INVALID_URL"), (Phase.DOWNLOAD, "DOWNLOAD_FAILED"), (Phase.PROCESSING, "PROCESSING_FAILED")],
)
def test_a_refused_address_is_read_before_the_connection_error_that_hides_it(phase, code):
    failure = classify(failed_download(TransportError("timed out")), phase, ["address not allowed: '10.0.0.5'"])
    assert (failure.reason, failure.code, failure.retryable) == (Reason.ADDRESS_FORBIDDEN, code, False)
    assert failure.detail == "address not allowed: '10.0.0.5'"


def test_a_refusal_deep_in_the_chain_is_found_without_the_guards_list():
    error = failed_download(TransportError(cause=AddressRefused("address not allowed: '10.0.0.5'")))
    assert classify(error, Phase.LOOKUP).reason is Reason.ADDRESS_FORBIDDEN


def test_a_server_that_answered_was_not_refused():
    assert classify(failed_download(http_error(503)), Phase.LOOKUP, ["'64:ff9b::1'"]).reason is Reason.SERVER_ERROR


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("0", 0.0), ("9999999", 86_400.0), ("soon", None), ("-5", None), ("Wed, 99 Foo", None)],
)
def test_retry_after_in_seconds(header, seconds):
    assert classify(failed_download(http_error(429, Retry_After=header)), Phase.LOOKUP).retry_after == seconds


@pytest.mark.parametrize(("offset", "seconds"), [(300, 300), (-300, 0), (10**6, 86_400)])
def test_retry_after_as_a_date(offset, seconds):
    header = email.utils.formatdate(time.time() + offset, usegmt=True)
    failure = classify(failed_download(http_error(503, Retry_After=header)), Phase.LOOKUP)
    assert failure.retry_after == pytest.approx(seconds, abs=2)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (said("Unable to extract title", expected=False), "[Some] login-private-drm: Unable to extract title"),
        (said("Private video. " + LOGIN_HINT), "[Some] login-private-drm: Private video."),
        (DownloadError("ERROR: \r[download] Got error: odd\n thing"), "Got error: odd thing"),
        (OSError("[Errno 13] denied: '/srv/data/tasks/ab12/media.mp4'"), "[Errno 13] denied: 'media.mp4'"),
        (RuntimeError("at https://cdn.test/a.mp4?token=secret now"), "at https://cdn.test/a.mp4 now"),
        (RuntimeError("a\u202eb\x00c"), "abc"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_the_detail_is_cleaned(error, detail):
    assert classify(error, Phase.LOOKUP).detail == detail


def test_the_detail_is_short():
    assert len(classify(RuntimeError("x" * 10_000), Phase.LOOKUP).detail) == MAX_DETAIL_LENGTH


def test_a_chain_that_bites_its_own_tail_ends():
    first, second = DownloadError("a"), DownloadError("b")
    first.__context__, second.__context__ = second, first
    assert classify(first, Phase.DOWNLOAD).reason is Reason.INCOMPLETE


def test_a_failure_survives_the_pipe():
    failure = Failure(Reason.RATE_LIMITED, Phase.LOOKUP, "x" * 900, 1e9)
    assert msgspec.json.decode(msgspec.json.encode(failure), type=Failure) == failure
    assert json.loads(msgspec.json.encode(failure))["reason"] == "rate_limited"


@pytest.mark.parametrize(("phase", "retryable"), [(Phase.DOWNLOAD, True), (Phase.PROCESSING, False)])
def test_a_result_that_failed_its_proof_is_not_proven_again(phase, retryable):
    assert Failure(Reason.INCOMPLETE, phase).retryable is retryable


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_one_sentence(reason):
    sentence = Failure(reason, Phase.LOOKUP).sentence
    assert sentence == SENTENCES[reason]
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_the_parent_does_not_load_yt_dlp_with_the_reasons():
    program = "import sys, downloads.engine.errors; sys.exit('yt_dlp' in sys.modules or 'django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
