"""From an exception in the child to a `Failure`. Imports yt-dlp, so the parent process must not import this."""

import errno
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Final, TypeVar

from yt_dlp.networking.exceptions import (
    CertificateVerifyError,
    HTTPError,
    NoSupportingHandlers,
    TransportError,
    UnsupportedRequest,
)
from yt_dlp.utils import (
    ContentTooShortError,
    DownloadCancelled,
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    PostProcessingError,
    RegexNotFoundError,
    UnsupportedError,
    UserNotLive,
    YoutubeDLError,
)

from downloads.engine.cures import PageTooLarge
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.network import AddressRefused, BadUrl

_Kind = TypeVar("_Kind", bound=BaseException)

_LONGEST_CHAIN: Final = 50

_OF_KIND: Final[tuple[tuple[type[BaseException], Reason], ...]] = (
    (DownloadCancelled, Reason.CANCELLED),
    (KeyboardInterrupt, Reason.CANCELLED),
    (MemoryError, Reason.OUT_OF_MEMORY),
    (PageTooLarge, Reason.PAGE_TOO_LARGE),
    (BadUrl, Reason.INVALID_URL),
    (UnsupportedError, Reason.UNSUPPORTED_SITE),
    (GeoRestrictedError, Reason.GEO_BLOCKED),
    (UserNotLive, Reason.NOT_LIVE_YET),
)

_OF_DISK: Final = {
    errno.ENOSPC: Reason.NO_SPACE,
    errno.EDQUOT: Reason.NO_SPACE,
    errno.EFBIG: Reason.FILE_TOO_LARGE,
    errno.EACCES: Reason.STORAGE,
    errno.EPERM: Reason.STORAGE,
    errno.EROFS: Reason.STORAGE,
    errno.EIO: Reason.STORAGE,
    errno.ENAMETOOLONG: Reason.STORAGE,
}
# The same in the words of the C library, where ffmpeg has met it.
_TEXT_OF_DISK: Final = (
    (re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE), Reason.NO_SPACE),
    (re.compile(r"file too large|file is larger than max-filesize", re.IGNORECASE), Reason.FILE_TOO_LARGE),
)

_NETWORK_ERRORS: Final = (
    *(TransportError, ContentTooShortError, ConnectionError, TimeoutError),
    *(socket.gaierror, socket.herror, ssl.SSLError, HTTPException),
)
_BUGS: Final = (LookupError, TypeError, ValueError, AttributeError, AssertionError, ArithmeticError, RecursionError)

_FIRST_CLIENT_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_OF_STATUS: Final = {
    401: Reason.LOGIN_NEEDED,
    402: Reason.MEMBERS_ONLY,
    404: Reason.NOT_FOUND,
    408: Reason.SERVER_ERROR,
    410: Reason.REMOVED,
    425: Reason.SERVER_ERROR,
    429: Reason.RATE_LIMITED,
    451: Reason.GEO_BLOCKED,
}
# Links to media expire: what was there at the look-up is refused or gone an hour later, and a new look-up cures it.
_EXPIRED_LINK: Final = frozenset({403, 404, 410})
_STATUS_IN_TEXT: Final = re.compile(r"\bHTTP Error (\d{3})\b(?:: [^.(;]*)?")


# What extractors write, by the reason behind it. The first match counts, so the more particular comes first: most of
# these texts also ask to sign in.
_OF_TEXT: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for reason, pattern in (
        (Reason.DRM, r"\bDRM\b"),
        (Reason.UNSUPPORTED_SITE, r"\b(?:web)?site is (?:no longer|not) supported"),
        (
            Reason.BOT_CHECK,
            (
                r"not a (?:ro)?bot\b|anti-bot|\bcaptcha|client challenge|unusual (?:traffic|activity)"
                r"|blocked your IP\b|\bIP (?:address )?(?:is|has been) (?:likely )?(?:being )?(?:blocked|unable)"
                r"|request (?:has been|is) blocked"
            ),
        ),
        (Reason.RATE_LIMITED, r"rate[- ]?limit|too many requests"),
        (Reason.SERVER_ERROR, r"try again later|temporarily unavailable|internal (?:server )?error"),
        (
            Reason.AGE_RESTRICTED,
            (
                r"confirm your age|\bage[- ](?:restrict|verif|gate|limit|check)|inappropriate for some users"
                r"|adult verification|adults? only|older than \d|over 18\b|\b18 years"
            ),
        ),
        (
            Reason.GEO_BLOCKED,
            (
                r"\bgeo[- ]?(?:restrict|block)|\b(?:in|from|to|for) (?:your|this) (?:country|region|location)"
                r"|available (?:only )?in (?:[^.]{0,40}\bcountr|\w+ only)"
                r"|outside (?:of )?the (?:country|region|UK|US)\b"
            ),
        ),
        (
            Reason.MEMBERS_ONLY,
            (
                r"\bmembers?\b|\bsupporters?[- ]only|\bpremium\b|subscri(?:be|pt)|\bpurchase|\bpaid\b"
                r"|\bpatrons?\b|\brent(?:al|ed)?\b|payment"
            ),
        ),
        (Reason.PRIVATE, r"\bis private\b|\b(?:a )?private (?:video|playlist|show|sub|account|user|content|post)"),
        (
            Reason.NOT_LIVE_YET,
            (
                r"(?:not|n't) (?:yet )?(?:started|begun|aired)|will (?:begin|start|be available)|\bpremieres? in\b"
                r"|\bscheduled (?:for|to)\b|not available yet|not yet available|\bupcoming\b"
            ),
        ),
        (
            Reason.PASSWORD_PROTECTED,
            r"protected by a password|password[- ]protected|--video-password|(?:wrong|invalid) (?:video )?password",
        ),
        (
            Reason.LOGIN_NEEDED,
            (
                r"\blog(?:ged)?[- ]?in\b|\bsign(?:ed)?[- ]?in\b|\bregistered users|\bauthenticat|\bcookies\b"
                r"|\baccount (?:is )?(?:needed|required)|\blog into\b|not authorized|\btokens? (?:has|have|is|was)\b"
                r"|(?:not|n't) have (?:access|permission)"
            ),
        ),
        (
            Reason.REMOVED,
            (
                r"\b(?:removed|deleted|taken down|terminated)\b|no longer (?:available|exists?)|copyright"
                r"|\b(?:has|have|is|likely|link) expired|(?:live ?stream|live|broadcast|event) has ended"
            ),
        ),
        (Reason.NOT_LIVE_YET, r"(?:not|n't) (?:currently )?live\b|\bis offline\b"),
        (Reason.FORMAT_UNAVAILABLE, r"format is not available"),
        (
            Reason.NOT_FOUND,
            (
                r"do(?:es)?(?: not|n't) exist|\b(?:video|page|track|post|content|playlist|show) not found"
                r"|not found\.?$|^no such\b"
            ),
        ),
        (
            Reason.NOT_A_VIDEO,
            (
                r"\bno (?:[\w/]+ ){0,2}(?:video|media|audio)s?\b|\bnot a video"
                r"|do(?:es)?(?: not|n't) (?:contain|have) (?:any |a )?(?:video|media)"
            ),
        ),
        (Reason.REMOVED, r"\bunavailable\b|(?:is not|isn't) available"),
    )
)
_OWN_FAULT: Final = re.compile(r"^(?:unable|failed) to (?:extract|parse)\b", re.IGNORECASE)
_INVALID_URL: Final = re.compile(
    r"is not a valid URL|^invalid URL(?: '|$)|unsupported url scheme|file:// URLs are disabled"
    r"|^No connection adapters were found",
    re.IGNORECASE,
)


def classify(error: BaseException, phase: Phase, refused: Sequence[str] = ()) -> Failure:
    """Say what happened. `refused` is `Guard.refused`: connections that never left this process.

    A refusal goes before everything else, because libraries dress it up as a failed connection that looks worth a
    retry. Only the answer of a server speaks against it: then something was reached, and the refusal was about another
    address of the same host, or beside the point.
    """
    chain = list(_chain(error))
    reason = _reason(chain, phase, refused)
    detail = refused[0] if refused and reason is Reason.ADDRESS_FORBIDDEN else _message(chain)
    return Failure(reason, phase, detail, _retry_after(chain))


def disk_reason(text: str) -> Reason | None:
    """What happened to the disk, in the words of a program that met it; `None` where that is not what happened."""
    return _match(_TEXT_OF_DISK, [text])


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that led to it, nearest first; yt-dlp keeps causes in places of its own."""
    seen: set[int] = set()
    waiting: deque[object] = deque([error])
    while waiting and len(seen) < _LONGEST_CHAIN:
        current = waiting.popleft()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting.extend(_leading_to(current))


def _leading_to(error: BaseException) -> Iterator[object]:
    yield getattr(error, "cause", None)
    exc_info = getattr(error, "exc_info", None)
    if isinstance(exc_info, tuple):
        yield from exc_info[1:2]
    yield error.__cause__
    yield error.__context__
    if isinstance(error, NoSupportingHandlers):
        yield from error.unexpected_errors
        yield from error.unsupported_errors
    # urllib and urllib3 keep the socket's error here.
    yield getattr(error, "reason", None)


def _reason(chain: list[BaseException], phase: Phase, refused: Sequence[str]) -> Reason:
    if _is_refusal(chain, refused):
        return Reason.ADDRESS_FORBIDDEN
    return (
        _of_kind(chain)
        or _of_disk(chain)
        or _of_failed_processing(chain)
        or _of_connection(chain)
        or _of_answer_and_text(chain, phase)
        or _of_leftover(chain, phase)
    )


def _is_refusal(chain: list[BaseException], refused: Sequence[str]) -> bool:
    if _first(chain, AddressRefused):
        return True
    return bool(refused) and _first(chain, HTTPError) is None


def _of_kind(chain: list[BaseException]) -> Reason | None:
    """Judge by the exceptions that mean one thing, whatever their text."""
    if any(_INVALID_URL.search(text) for text in _said(chain)):
        return Reason.INVALID_URL
    return next((reason for kind, reason in _OF_KIND if _first(chain, kind)), None)


def _of_disk(chain: list[BaseException]) -> Reason | None:
    """Judge by the operating system's word on files; sockets fail with some of the same numbers."""
    is_about_sockets = _first(chain, *_NETWORK_ERRORS) is not None
    reasons = [_OF_DISK[error.errno] for error in chain if isinstance(error, OSError) and error.errno in _OF_DISK]
    certain = [reason for reason in reasons if not (is_about_sockets and reason is Reason.STORAGE)]
    return certain[0] if certain else _match(_TEXT_OF_DISK, _said(chain))


def _of_failed_processing(chain: list[BaseException]) -> Reason | None:
    return Reason.POSTPROCESSING_FAILED if _first(chain, PostProcessingError) else None


def _of_answer_and_text(chain: list[BaseException], phase: Phase) -> Reason | None:
    """Judge by the HTTP status and by what the extractor says.

    An overloaded server's status goes before any text. Otherwise the text knows better: a private video comes as 403.
    """
    status = _status(chain)
    by_status = None if status is None else _of_status(status, phase)
    if by_status in {Reason.RATE_LIMITED, Reason.SERVER_ERROR}:
        return by_status
    return _of_text(chain) or by_status


def _status(chain: list[BaseException]) -> int | None:
    answer = _first(chain, HTTPError)
    if answer is not None:
        return int(answer.status)
    # Fragments that were given up leave nothing but a message.
    found = next(filter(None, map(_STATUS_IN_TEXT.search, _said(chain))), None)
    return int(found[1]) if found else None


def _of_status(status: int, phase: Phase) -> Reason:
    if status >= _FIRST_SERVER_ERROR:
        return Reason.SERVER_ERROR
    if status < _FIRST_CLIENT_ERROR:  # a redirect is an error only when there have been too many
        return Reason.REDIRECT_LOOP
    if phase is not Phase.LOOKUP and status in _EXPIRED_LINK:
        return Reason.LINK_EXPIRED
    return _OF_STATUS.get(status, Reason.ACCESS_DENIED)


def _of_text(chain: list[BaseException]) -> Reason | None:
    if _first(chain, RegexNotFoundError):
        return None
    texts = [_STATUS_IN_TEXT.sub("", text) for text in _said(chain)]
    return _match(_OF_TEXT, [text for text in texts if not _OWN_FAULT.search(text)])


def _of_connection(chain: list[BaseException]) -> Reason | None:
    """Judge a connection that brought no answer; its texts are not read, for there are host names in them."""
    if _first(chain, HTTPError):
        return None
    if _first(chain, CertificateVerifyError):
        return Reason.CERTIFICATE
    return Reason.NETWORK if _first(chain, *_NETWORK_ERRORS) else None


def _of_leftover(chain: list[BaseException], phase: Phase) -> Reason:
    """Judge what nothing else has explained: the site's own words, a fault of the extractor, or nobody knows."""
    extractor = _first(chain, ExtractorError)
    if extractor is not None:
        return Reason.ACCESS_DENIED if extractor.expected else Reason.EXTRACTOR_BROKEN
    if phase is Phase.LOOKUP and _first(chain, *_BUGS, NoSupportingHandlers, UnsupportedRequest):
        return Reason.EXTRACTOR_BROKEN
    if phase is Phase.DOWNLOAD and _first(chain, DownloadError):
        # A downloader that gives up without a cause has received nothing, or not all.
        return Reason.INCOMPLETE
    return Reason.POSTPROCESSING_FAILED if phase is Phase.PROCESSING else Reason.UNKNOWN


def _first(chain: Iterable[BaseException], *kinds: type[_Kind]) -> _Kind | None:
    return next((error for error in chain if isinstance(error, kinds)), None)


def _match(rules: Iterable[tuple[re.Pattern[str], Reason]], texts: list[str]) -> Reason | None:
    return next((reason for pattern, reason in rules for text in texts if pattern.search(text)), None)


def _said(chain: list[BaseException]) -> list[str]:
    """Give what the extractors said, or else what the errors say.

    An extractor's own words come without the video's id and the cause, in which any word may stand; a file's name may
    hold any word too, so the operating system's errors count by their numbers alone.
    """
    words = [error.orig_msg for error in chain if isinstance(error, ExtractorError)]
    words = words or [str(error) for error in chain if isinstance(error, YoutubeDLError)]
    return [text.replace("’", "'") for text in words]


def _message(chain: list[BaseException]) -> str:
    """Give the fullest message there is: the outermost one that has any text."""
    return next(filter(None, map(str, chain)), "") or type(chain[0]).__name__


def _retry_after(chain: list[BaseException]) -> float | None:
    """Read the Retry-After header in either form (RFC 9110: seconds or a date), in seconds from now."""
    answer = _first(chain, HTTPError)
    text = answer.response.get_header("Retry-After") if answer is not None else None
    if not text:
        return None
    return _seconds_until(text.strip())


def _seconds_until(text: str) -> float | None:
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
