"""What can go wrong with a download, what it means for the user, and whether another try is worth it.

Free of yt-dlp, since the parent process imports this too; `classification.py` makes these from yt-dlp's exceptions.
"""

import re
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from downloads.engine.filenames import clean_text
from downloads.engine.words import gettext_noop

MAX_DETAIL_LENGTH: Final = 500
MAX_RETRY_AFTER: Final = 86_400.0
"""A site may ask for a pause of one day at most, in seconds."""


class Phase(StrEnum):
    """How far a download had come."""

    LOOKUP = "lookup"
    DOWNLOAD = "download"
    PROCESSING = "processing"


class Reason(StrEnum):
    """What happened."""

    INVALID_URL = "invalid_url"
    ADDRESS_FORBIDDEN = "address_forbidden"
    SOURCE_ADDRESS = "source_address"
    PROXY = "proxy"

    UNSUPPORTED_SITE = "unsupported_site"
    DRM = "drm"
    LIVE = "live"

    NOT_A_VIDEO = "not_a_video"
    PLAYLIST = "playlist"
    NOT_FOUND = "not_found"
    REMOVED = "removed"
    NOT_LIVE_YET = "not_live_yet"
    UPCOMING = "upcoming"
    FORMAT_UNAVAILABLE = "format_unavailable"
    SECTION_BEYOND = "section_beyond"

    LOGIN_NEEDED = "login_needed"
    AGE_RESTRICTED = "age_restricted"
    MEMBERS_ONLY = "members_only"
    PASSWORD_PROTECTED = "password_protected"  # noqa: S105  a reason, no password
    PRIVATE = "private"
    GEO_BLOCKED = "geo_blocked"
    BOT_CHECK = "bot_check"
    ACCESS_DENIED = "access_denied"

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    NETWORK = "network"
    CERTIFICATE = "certificate"
    LINK_EXPIRED = "link_expired"
    LOOKUP_TIMED_OUT = "lookup_timed_out"
    REDIRECT_LOOP = "redirect_loop"
    PAGE_TOO_LARGE = "page_too_large"
    OUT_OF_MEMORY = "out_of_memory"
    STALLED = "stalled"
    KILLED = "killed"
    CANCELLED = "cancelled"

    NO_SPACE = "no_space"
    DISK_TOO_SMALL = "disk_too_small"
    FILE_TOO_LARGE = "file_too_large"
    STORAGE = "storage"
    LIBRARY = "library"

    INCOMPLETE = "incomplete"
    POSTPROCESSING_FAILED = "postprocessing_failed"
    EXTRACTOR_BROKEN = "extractor_broken"
    UNKNOWN = "unknown"


SENTENCES: Final[dict[Reason, str]] = {
    Reason.INVALID_URL: gettext_noop("This is not the address of a video; check it and add it again."),
    Reason.ADDRESS_FORBIDDEN: gettext_noop(
        "The download leads to an address that is not on the public internet; "
        "an administrator can allow that network in DOWNIE_ALLOWED_NETWORKS."
    ),
    Reason.SOURCE_ADDRESS: gettext_noop(
        "The source address that is set for this site cannot be used: it is no address of this server, or the site has "
        "none of its kind (IPv4 or IPv6); an administrator can change it in the admin, under site rules."
    ),
    Reason.PROXY: gettext_noop(
        "The proxy that is set for this site cannot be used; an administrator can change it in the admin, under site "
        "rules."
    ),
    Reason.UNSUPPORTED_SITE: gettext_noop("No video was found on this page, and its site is not supported."),
    Reason.DRM: gettext_noop("This video is protected by DRM and cannot be downloaded."),
    Reason.LIVE: gettext_noop("This live stream cannot be recorded; try again when it has ended."),
    Reason.NOT_A_VIDEO: gettext_noop("There is no video at this address; give the address of the page that plays it."),
    Reason.PLAYLIST: gettext_noop("This is a playlist inside of a playlist; add it by itself."),
    Reason.NOT_FOUND: gettext_noop("The site has nothing at this address; check it for a typing error."),
    Reason.REMOVED: gettext_noop("The video is no longer available on its site."),
    Reason.NOT_LIVE_YET: gettext_noop("The video has not been broadcast yet; try again after it has begun."),
    Reason.UPCOMING: gettext_noop("The broadcast has not begun yet; it is recorded by itself as soon as it does."),
    Reason.FORMAT_UNAVAILABLE: gettext_noop(
        "The video does not come in the quality that was asked for; choose another quality."
    ),
    Reason.SECTION_BEYOND: gettext_noop("The section begins after the end of the video; choose an earlier one."),
    Reason.LOGIN_NEEDED: gettext_noop(
        "The site shows this video to signed-in users only; add the cookies of your account."
    ),
    Reason.AGE_RESTRICTED: gettext_noop(
        "The site asks for proof of age; add the cookies of an account that may watch the video."
    ),
    Reason.MEMBERS_ONLY: gettext_noop(
        "The video is for paying members only; add the cookies of an account that may watch it."
    ),
    Reason.PASSWORD_PROTECTED: gettext_noop(
        "The video is protected by a password of its own, which cannot be given here."
    ),
    Reason.PRIVATE: gettext_noop("The video is private; ask its owner for access and add the cookies of your account."),
    Reason.GEO_BLOCKED: gettext_noop("The video is not available in the country that this server is in."),
    Reason.BOT_CHECK: gettext_noop(
        "The site takes this server for a robot; add the cookies of your browser, or try again later."
    ),
    Reason.ACCESS_DENIED: gettext_noop("The site refuses to hand out this video; cookies of your account may help."),
    Reason.RATE_LIMITED: gettext_noop(
        "The site has had too many requests from this server; wait before you try again."
    ),
    Reason.SERVER_ERROR: gettext_noop("The site's server has an error; try again later."),
    Reason.NETWORK: gettext_noop("The connection to the site failed; check the network of this server and try again."),
    Reason.CERTIFICATE: gettext_noop(
        "The site cannot prove who it is (its certificate is not valid), so nothing was downloaded."
    ),
    Reason.LINK_EXPIRED: gettext_noop("The link to the media file has expired; starting again looks it up afresh."),
    Reason.LOOKUP_TIMED_OUT: gettext_noop("The site took too long to show the video; try again later."),
    Reason.REDIRECT_LOOP: gettext_noop(
        "The site sends every visitor in a circle; cookies of your browser may help, or another address of the video."
    ),
    Reason.PAGE_TOO_LARGE: gettext_noop(
        "The site answered with a page that is far too large to be one; give the address of another page."
    ),
    Reason.OUT_OF_MEMORY: gettext_noop(
        "What the site sent needs more memory than a download may use; "
        "an administrator can allow more in DOWNIE_ENGINE_MEMORY_MB."
    ),
    Reason.STALLED: gettext_noop("The download did not get on for too long; start it again to go on where it was."),
    Reason.KILLED: gettext_noop("The download's process ended unexpectedly; start it again to go on."),
    Reason.CANCELLED: gettext_noop("The download was stopped."),
    Reason.NO_SPACE: gettext_noop(
        "There is too little room on the disk; the download goes on by itself as soon as there is more."
    ),
    Reason.DISK_TOO_SMALL: gettext_noop(
        "The disk is too small for this video, even when it is empty; choose a lower quality."
    ),
    Reason.FILE_TOO_LARGE: gettext_noop(
        "The file is larger than was allowed for it; allow a larger one, or choose a lower quality."
    ),
    Reason.STORAGE: gettext_noop(
        "The file could not be written; check the permissions and the state of the download folder."
    ),
    Reason.LIBRARY: gettext_noop(
        "The storage for finished files does not answer or refuses the file, and it is tried again by itself; "
        "an administrator can check its address, its bucket and its keys in the settings."
    ),
    Reason.INCOMPLETE: gettext_noop("What arrived is not the whole video; start the download again."),
    Reason.POSTPROCESSING_FAILED: gettext_noop(
        "The file was downloaded but could not be converted; try another conversion or none."
    ),
    Reason.EXTRACTOR_BROKEN: gettext_noop(
        "The site has changed and is not understood any more; an update of yt-dlp may help."
    ),
    Reason.UNKNOWN: gettext_noop("The download failed for an unknown reason; the details say more."),
}

_CODES: Final = {
    Reason.INVALID_URL: "INVALID_URL",
    Reason.UNSUPPORTED_SITE: "UNSUPPORTED_SITE",
    Reason.DRM: "UNSUPPORTED_SITE",
    Reason.LIVE: "UNSUPPORTED_SITE",
    Reason.POSTPROCESSING_FAILED: "PROCESSING_FAILED",
}
"""The API's code where the phase does not matter."""

_CODES_OF_PHASE: Final = {
    Phase.LOOKUP: "EXTRACTION_FAILED",
    Phase.DOWNLOAD: "DOWNLOAD_FAILED",
    Phase.PROCESSING: "PROCESSING_FAILED",
}

_RETRYABLE: Final = frozenset(
    {
        Reason.UPCOMING,
        Reason.RATE_LIMITED,
        Reason.SERVER_ERROR,
        Reason.NETWORK,
        Reason.LINK_EXPIRED,
        Reason.LOOKUP_TIMED_OUT,
        Reason.STALLED,
        Reason.KILLED,
        Reason.NO_SPACE,
        Reason.LIBRARY,
    }
)

PATIENT: Final = frozenset({Reason.NO_SPACE, Reason.LIBRARY})
"""What is tried again as often as it takes: the bytes are worth keeping, and people see to the rest."""

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_PREFIXES: Final = re.compile(r"^(?:\s*(?:ERROR:|\[download\]))+")
# What yt-dlp says to the users of its command line: where to report a bug, which options to give.
_ADVICE: Final = re.compile(
    r"""[;,]?\s*\bplease\ report\ this\ issue\ on\b.*
      | [;,]?\s*\b(?:and\ )?(?:try\ again\ with|use)\s+(?:the\s+)?[`"']?--?[a-z].*
      | [;,]?\s*\bsee\s+https://github\.com/yt-dlp/.*""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
# The query of a media URL holds the token that grants access to it.
_QUERY: Final = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]*")
_LOCAL_PATH: Final = re.compile(r"(?<![\w:/.])/(?:[^\s/'\":]+/)+(?=[^\s/'\":])")


def clean_detail(text: str) -> str:
    """Make a technical message fit to be shown: one line, at most 500 characters, no codes, advice, tokens or paths."""
    text = _PREFIXES.sub("", _ANSI.sub("", text[: 10 * MAX_DETAIL_LENGTH]))
    text = _LOCAL_PATH.sub("", _QUERY.sub(r"\1", _ADVICE.sub("", text)))
    return clean_text(text, MAX_DETAIL_LENGTH)


class Failure(msgspec.Struct, frozen=True):
    """One failed attempt, as the child tells it to its parent and the parent to the row.

    `detail` is technical text for the log and the task's page, `retry_after` the seconds that the site asked for.
    Where there is too little room, `needed_bytes` is how much the rest of it takes, 0 where that is unknown, and
    `usable_bytes` how much there was for it.
    However a failure is made, `detail` comes out cleaned (500 characters at most) and `retry_after` within 24 hours.
    """

    reason: Reason
    phase: Phase
    detail: str = ""
    retry_after: float | None = None
    needed_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    usable_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "detail", clean_detail(self.detail))
        if self.retry_after is not None:
            msgspec.structs.force_setattr(self, "retry_after", min(max(self.retry_after, 0.0), MAX_RETRY_AFTER))

    @property
    def code(self) -> str:
        """The `error_code` of the API."""
        if self.reason is Reason.ADDRESS_FORBIDDEN and self.phase is Phase.LOOKUP:
            return "INVALID_URL"
        return _CODES.get(self.reason) or _CODES_OF_PHASE[self.phase]

    @property
    def retryable(self) -> bool:
        """Whether the same download may succeed later without anybody changing anything."""
        if self.reason is Reason.INCOMPLETE:
            # The bytes of a finished download are on disk; another try would find the same ones.
            return self.phase is Phase.DOWNLOAD
        return self.reason in _RETRYABLE

    @property
    def sentence(self) -> str:
        """What happened and what to do, in English."""
        return SENTENCES[self.reason]
