"""The words of the pages that scripts say as well, so that both say the same."""

import json
from functools import cache

import msgspec
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, gettext_noop, override
from django.utils.translation import gettext_lazy as _

from downloads.engine.errors import SENTENCES, Reason
from downloads.states import PAUSABLE, RUNNING, UNFINISHED, WAITING, Status, Stop

STOPPING = {
    Stop.CANCEL: _("Cancelling…"),
    Stop.PAUSE: _("Pausing…"),
    Stop.DELETE: _("Deleting…"),
    Stop.FINISH: _("Finishing…"),
}
START_VERBS = {
    Status.PENDING: _("Start"),
    Status.PAUSED: _("Resume"),
    Status.FAILED: _("Retry"),
    Status.CANCELLED: _("Start again"),
}
WITH_BAR = RUNNING | {Status.PAUSED, Status.QUEUED, Status.FAILED}
WITH_ERROR = frozenset({Status.QUEUED, Status.FAILED})

# The tabs of the list, and which states each of them shows
TABS = {
    "all": frozenset(Status),
    "active": RUNNING,
    "waiting": WAITING,
    "paused": frozenset({Status.PAUSED}),
    "completed": frozenset({Status.COMPLETED}),
    "failed": frozenset({Status.FAILED}),
    "cancelled": frozenset({Status.CANCELLED}),
}
TAB_NAMES = {
    "all": _("All"),
    "active": _("Active"),
    "waiting": _("Waiting"),
    "paused": _("Paused"),
    "completed": _("Completed"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
}

# What helps against an error: the words, and the field of the task's own page that they lead to
_COOKIES = (_("Add cookies and try again"), "id_cookies")
_QUALITY = (_("Choose another quality"), "id_quality")
_FORMAT = (_("Choose another format"), "id_post_processing")
CURES = {
    Reason.LOGIN_NEEDED: _COOKIES,
    Reason.AGE_RESTRICTED: _COOKIES,
    Reason.MEMBERS_ONLY: _COOKIES,
    Reason.PRIVATE: _COOKIES,
    Reason.BOT_CHECK: _COOKIES,
    Reason.ACCESS_DENIED: _COOKIES,
    Reason.FORMAT_UNAVAILABLE: _QUALITY,
    Reason.FILE_TOO_LARGE: _QUALITY,
    Reason.DISK_TOO_SMALL: _QUALITY,
    Reason.POSTPROCESSING_FAILED: _FORMAT,
}

PHRASES = {
    "bytes": _("{done} of {total}"),
    "speed": _("{size}/s"),
    "left": _("{time} left"),
    "retry": _("Trying again in {time} (attempt {number})"),
    "kept": _("Kept for good"),
    "room": _("Waits for room on the disk"),
    "figures": _("It needs {needed}, and {usable} can be used."),
    "seconds": _("{s} s"),
    "minutes": _("{m} min {s} s"),
    "hours": _("{h} h {m} min"),
    "entries": _("Playlist with {number} entries"),
    "select": _("Select {title}"),
    "more": _("More for {title}"),
    "play": _("Play {title}"),
    "delete": _("Delete {title}"),
    "connected": _("Live"),
    "reconnecting": _("Reconnecting…"),
    "unreachable": _("The service cannot be reached; check that it is running and try again."),
    "active": _("{number} active"),
    "waiting": _("{number} waiting"),
    "free": _("{size} free"),
    "low": _("Only {size} free"),
    "chart": _("Speed of the last minutes: now {now}, at most {most}"),
    "page": _("Page {number} of {total}"),
    "selected": _("{number} selected"),
    "select_all": _("Select all {number}"),
    "deleting": _("“{title}” will be deleted in 5 seconds."),
    "deleting_many": _("{number} downloads will be deleted in 5 seconds."),
    "undo": _("Undo"),
    "undone": _("Nothing was deleted."),
    "copied": _("Copied."),
    "not_copied": _("The browser does not let this page copy; the link is {link}"),
    "some_refused": _("{number} could not be done: {reason}"),
    "delete_many": _("Delete {number} downloads?"),
    "delete_one": _("Delete this download?"),
    "links": _("{number} links"),
    "download": _("Download"),
    "download_many": _("Download {number}"),
    "too_many_links": _("At most 1,000 links at once; the others were left out."),
    "no_links": _("There is no link in what you gave."),
    "remove_link": _("Remove {link}"),
    "here": _("This is here already: {state}."),
    "again": _("Download it all the same"),
    "looking": _("Asking the site…"),
    "live_now": _("This is live now; it is recorded until it ends or you finish it."),
    "of_entries": _("{number} of {total} entries chosen"),
    "first_entries": _("The first {number} of {total} are listed; name others by their numbers."),
    "unknown_size": _("size unknown"),
    "about": _("about {size}"),
    "ended": _("{title}: {state}"),
    "notify_denied": _("The browser allows no notifications from here; its settings for this page can change that."),
    "notify_on": _("You are told here when a download ends, as long as a tab with this page is open."),
    "bookmark": _("Drag this button to your bookmarks; a click on it there sends the page that you look at."),
}

# What is the same in every row
ROW = {
    "cancel": _("Cancel"),
    "copy": _("Copy the link"),
    "delete": _("Delete"),
    "details": _("Everything about it"),
    "file": _("Save file"),
    "finish": _("Finish"),
    "live": _("On air"),
    "more": _("More"),
    "pause": _("Pause"),
    "play": _("Play"),
    "progress": _("Progress"),
    "source": _("Open the page this comes from"),
}

# Refusals that the page can meet, as their sources say them in English. Those that a source puts together are marked
# for the translators here, all others there.
REFUSALS = (
    "The address is empty.",
    gettext_noop("An address can have at most 8,192 characters."),
    "An address cannot have spaces, line breaks or control characters in it.",
    "This address carries internal data of the downloader and is not accepted.",
    "Only web addresses that begin with http:// or https:// can be downloaded.",
    "User names and passwords in an address are not accepted; use cookies to sign in.",
    "This address does not name a host.",
    "The host or the port of this address is not valid.",
    "The IP address in this address is not valid.",
    "This address leads to the server itself, which downloads may not reach.",
    "There is no task with this id; it may have been deleted.",
    "This task is completed; add the link again to download it once more.",
    "This task is waiting or running already.",
    gettext_noop("This task is completed; there is nothing to cancel."),
    gettext_noop("This task is failed; there is nothing to cancel."),
    "This task was completed before it could be cancelled.",
    gettext_noop("This task is processing; only one that waits for its turn or downloads can be paused."),
    gettext_noop("This task is completed; only one that waits for its turn or downloads can be paused."),
    gettext_noop("This task is failed; only one that waits for its turn or downloads can be paused."),
    "This task is not recording a live stream; only such a one can be finished early.",
    gettext_noop("These are too many requests; Retry-After says how many seconds to wait."),
    "This needs an API key, sent as Authorization: Bearer or as X-API-Key; manage.py apikey create makes one.",
    "With a login instead of an API key this needs Django's CSRF token in X-CSRFToken.",
    "Something went wrong inside; the service's log says what.",
    "The storage for finished files does not answer; try again later.",
)
# Sentences that rows show beside those of the engine
OF_PLAYLISTS = ("Some items of this playlist failed; each says why, and a retry tries those again.",)


def number_text(number: int) -> str:
    """10000 is `10,000` in both languages, as `Intl` writes it; Django groups Chinese by four."""
    return f"{number:,}"


def language() -> str:
    """The language of this request."""
    return get_language() or settings.LANGUAGE_CODE


def for_scripts(**more: object) -> SafeString:
    """Everything that the scripts need to say tasks as the server says them, in the language of this request.

    And more of the page's own, as JSON that can stand in HTML.
    """
    said = msgspec.json.encode({**_said(language()), **more}, enc_hook=str).decode()
    return SafeString(said.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026"))


@cache
def _said(spoken: str) -> dict[str, msgspec.Raw]:
    with override(spoken):
        said = (*SENTENCES.values(), *REFUSALS, *OF_PLAYLISTS)
        found = {
            "language": spoken,
            "phrases": PHRASES,
            "states": dict(Status.choices),
            "stopping": STOPPING,
            "start_verbs": START_VERBS,
            "cures": {reason: {"text": text, "field": field} for reason, (text, field) in CURES.items()},
            "tabs": {name: sorted(states) for name, states in TABS.items()},
            "running": sorted(RUNNING),
            "unfinished": sorted(UNFINISHED),
            "pausable": sorted(PAUSABLE),
            "with_bar": sorted(WITH_BAR),
            "with_error": sorted(WITH_ERROR),
            "sentences": {english: own for english in said if (own := gettext(english)) != english},
        }
        return {name: msgspec.Raw(json.dumps(value, cls=DjangoJSONEncoder)) for name, value in found.items()}
