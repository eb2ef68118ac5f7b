"""What a task's own page says beyond its row: what is known, what was asked for, what happened and what comes next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import msgspec
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from downloads import rows, storage, turns
from downloads.engine.choices import Place, Section, Subtitles, VideoCodec
from downloads.engine.errors import PATIENT
from downloads.engine.ffmpeg import Media, NotMedia, Stream, ToolMissing, prepare_toolbox, probe
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.notes import template_of
from downloads.forms import AUDIO_FORMATS, CONTAINERS, POST_PROCESSING, QUALITIES, SPONSORS
from downloads.library import is_remote, library
from downloads.library.local import library_path
from downloads.models import MAX_FAILURES, Attempt, CookieJar, ProxyUnreadable, SiteRule, Task, Tuning
from downloads.models.site_rule import Browser
from downloads.states import Outcome, Status, Stop, Wait
from downloads.words import PHRASES

PROBE_LIMIT = 5.0  # seconds that one look into a file may take
PROBES_KEPT = 256

Text = str | Promise
Pairs = list[tuple[Text, Text]]


@dataclass(frozen=True)
class Happening:
    """One line of what happened, with what there is to add. `kind` colours it: `good`, `bad` or nothing."""

    at: datetime
    text: Text
    details: tuple[str, ...] = ()
    kind: str = ""


ENDINGS = {
    Outcome.COMPLETED: (_("Attempt {number} brought the whole file."), "good"),
    Outcome.FAILED: (_("Attempt {number} failed."), "bad"),
    Outcome.RETRY: (_("Attempt {number} failed and is followed by another."), "bad"),
    Outcome.STOPPED: (_("Attempt {number} was stopped on request."), ""),
    Outcome.INTERRUPTED: (_("Attempt {number} was interrupted; what it had fetched stays."), ""),
    Outcome.LISTED: (_("Attempt {number} found a playlist; its entries became downloads of their own."), "good"),
}
LAST = {
    Status.COMPLETED: (_("Completed."), "good"),
    Status.FAILED: (_("Failed for good."), "bad"),
    Status.CANCELLED: (_("Cancelled."), ""),
}
NEXT = {
    Status.PENDING: _("It waits until you start it."),
    Status.QUEUED: _("It starts as soon as one of the {places} places is free."),
    Status.STARTING: _("The site is being asked for the video; then its bytes come."),
    Status.DOWNLOADING: _("When all bytes are here, the file is put together, checked and moved into the library."),
    Status.PROCESSING: _("The file is put together and checked; then it appears in the library."),
    Status.PAUSED: _("It waits until you resume it, and then goes on from its last byte."),
    Status.COMPLETED: _("Nothing more: the file is in the library and stays there until you delete it."),
    Status.FAILED: _("Nothing, until you retry it; it goes on from its last byte where it can."),
    Status.CANCELLED: _("Nothing, until you start it again; what it had fetched was thrown away."),
}
WAITS = {
    Wait.HOURS: _("It starts by itself when the hours begin in which downloads run:"),
    Wait.REST: _("Its site has asked for a rest; it starts by itself after that:"),
    Wait.HOST: _("It starts by itself as soon as there are fewer downloads from its site."),
    Wait.PAUSE: _("There is a pause between downloads from its site; it starts by itself after that:"),
    Wait.MACHINE: _("It waits for a moment for the machine that has its bytes; then another begins anew."),
}
OF_PLAYLIST = _("It follows its entries: it is done when they are.")
STOPPING = {
    Stop.PAUSE: _("It is paused as soon as its process has ended."),
    Stop.CANCEL: _("It is cancelled as soon as its process has ended."),
    Stop.DELETE: _("It is deleted as soon as its process has ended."),
    Stop.FINISH: _("The recording ends; what there is of it becomes the file."),
}
PLACES = {Place.EMBED: _("in the file"), Place.BESIDE: _("beside the file")}
CODECS = {VideoCodec.H264: "H.264", VideoCodec.HEVC: "H.265", VideoCodec.VP9: "VP9", VideoCodec.AV1: "AV1"}
CHANNELS = {1: _("mono"), 2: _("stereo")}
KINDS = {"video": _("Video"), "audio": _("Sound"), "subtitle": _("Subtitles")}


def next_step(task: Task) -> Text:
    """What happens next, by itself or by whom; the page adds when, as far as that is known."""
    if task.stop:
        return STOPPING[Stop(task.stop)]
    if task.finished_at and is_let_go(task):
        return _end(task)
    if task.is_playlist:
        return OF_PLAYLIST
    if task.status == Status.QUEUED:
        return _wait(task)
    return NEXT[Status(task.status)]


def _wait(task: Task) -> Text:
    if task.waits_for == Wait.ROOM:
        return _wait_for_room(task)
    if what := waiting(task).what:
        return WAITS[what]
    if task.available_at:
        return _next_attempt(task)
    return str(NEXT[Status.QUEUED]).format(places=Tuning.objects.in_force().max_downloads)


def waiting(task: Task) -> turns.Waiting:
    """What a task waits for, beside a free place; `until` is when it goes on, for its next attempt as well."""
    if task.status == Status.QUEUED and task.available_at and task.available_at > timezone.now():
        return turns.Waiting(Wait.NONE, task.available_at)
    return turns.waiting_for(task)


def _next_attempt(task: Task) -> str:
    if task.error_reason in PATIENT:
        return gettext("It is tried again by itself, as often as it takes.")
    sentence = gettext("It is tried again by itself: attempt {number} after {failures} of at most {most} failures.")
    return sentence.format(number=task.failures + 1, failures=task.failures, most=MAX_FAILURES)


def is_let_go(task: Task) -> bool:
    """Whether retention takes such a task some day, unless it is kept: items go with their playlists."""
    in_force = Tuning.objects.in_force()
    return bool(in_force.retention_age or in_force.retention_size) and task.playlist_id is None


def _end(task: Task) -> str:
    """How long a finished task stays."""
    if task.keep:
        return gettext("Nothing more: it is kept for good, until you delete it.")
    in_force = Tuning.objects.in_force()
    if in_force.retention_age and task.finished_at:
        sentence = gettext("It is deleted with its files on {day}, or sooner where room is needed, unless you keep it.")
        if not in_force.retention_size:
            sentence = gettext("It is deleted with its files on {day}, unless you keep it.")
        return sentence.format(day=date_format(task.finished_at + in_force.retention_age))
    sentence = gettext(
        "It is deleted with its files when all files are larger than {size} together and it is the oldest, unless you "
        "keep it."
    )
    return sentence.format(size=filesizeformat(in_force.retention_size))


def _wait_for_room(task: Task) -> str:
    room = storage.room(0).free_bytes
    figures = {"free": filesizeformat(room), "floor": filesizeformat(settings.FREE_SPACE_FLOOR)}
    if task.needed_bytes:
        sentence = gettext(
            "It goes on by itself as soon as there is room for {needed} more on the disk; {free} are free, of which "
            "{floor} are kept free."
        )
        return sentence.format(needed=filesizeformat(task.needed_bytes), **figures)
    sentence = gettext(
        "It starts by itself as soon as there is room on the disk; {free} are free, and {floor} are kept free."
    )
    return sentence.format(**figures)


def history(task: Task) -> list[Happening]:
    """What happened, oldest first."""
    lines = [Happening(task.created_at, _("Added."))]
    attempts = list(task.attempts.all())
    for attempt in attempts:
        lines.extend(_lines_of(attempt))
    is_said = task.status in {attempt.outcome for attempt in attempts}  # completed or failed, by its last attempt
    if task.finished_at and task.status in LAST and not is_said:
        text, kind = LAST[Status(task.status)]
        lines.append(Happening(task.finished_at, text, kind=kind))
    return sorted(lines, key=lambda line: line.at)


def _lines_of(attempt: Attempt) -> Iterator[Happening]:
    yield Happening(attempt.started_at, gettext("Attempt {number} began.").format(number=attempt.number))
    if attempt.ended_at and attempt.outcome:
        text, kind = ENDINGS[Outcome(attempt.outcome)]
        reason = [gettext(attempt.error_message)] if attempt.error_message else []
        details = (*reason, *(_note(note) for note in attempt.notes))
        yield Happening(attempt.ended_at, str(text).format(number=attempt.number), details, kind)


def _note(note: str) -> str:
    template, filled = template_of(note)
    return gettext(template).format(**filled)


def options(task: Task) -> Pairs:
    """What holds for it: what was asked for, and what an administrator has set for its site.

    Names and words; finer wishes only where they are not as usual.
    """
    wishes = task.wishes
    said: list[tuple[Text, Text | None]] = [
        (_("Quality"), dict(QUALITIES)[Quality(task.quality)]),
        (_("Format"), dict(POST_PROCESSING)[PostProcessing(task.post_processing)]),
        (_("File name"), task.custom_filename),
        (_("Cookies"), _cookies(task)),
        (_("At most this high"), f"{wishes.max_height}p" if wishes.max_height else None),
        (_("At most this large"), filesizeformat(wishes.max_filesize) if wishes.max_filesize else None),
        (_("Container"), dict(CONTAINERS).get(wishes.container)),
        (_("Sound as"), dict(AUDIO_FORMATS).get(wishes.audio_format)),
        (_("Preferred codec"), CODECS.get(wishes.video_codec)),
        (_("Clip"), _clip(wishes.section) if wishes.section else None),
        (_("Subtitles"), _subtitles(wishes.subtitles) if wishes.subtitles else None),
        (_("Picture"), PLACES.get(wishes.thumbnail)),
        (_("Title, uploader and date"), PLACES[Place.EMBED] if wishes.metadata else None),
        (_("Chapters"), PLACES[Place.EMBED] if wishes.chapters else None),
        (_("Sponsored parts"), dict(SPONSORS).get(wishes.sponsorblock)),
        (_("Entries"), wishes.playlist_items),
        (_("Entries that are here already"), _("left out") if wishes.skip_existing else None),
        (_("Live streams"), _("from their start") if wishes.live_from_start else None),
        *_by_rule(task),
    ]
    return [(label, value) for label, value in said if value]


def _cookies(task: Task) -> Text | None:
    if task.sealed_cookies:
        return _("given, and kept encrypted")
    return _("those of the site's jar") if _is_to_run(task) and CookieJar.objects.of_site(task.url).exists() else None


def _subtitles(wanted: Subtitles) -> str:
    words = [", ".join(wanted.languages), str(PLACES[wanted.place])]
    return " · ".join([*words, gettext("machine-made ones too")] if wanted.auto else words)


def _is_to_run(task: Task) -> bool:
    """Whether what is set for its site today is of any consequence."""
    return task.status != Status.COMPLETED


def _by_rule(task: Task) -> list[tuple[Text, Text | None]]:
    """What an administrator has set for the site; of a proxy only that there is one."""
    if not _is_to_run(task):
        return []
    try:
        rules = SiteRule.objects.for_url(task.url)
    except ProxyUnreadable:
        return []  # the task itself says so when it fails
    limit = PHRASES["speed"].format(size=filesizeformat(rules.rate_limit)) if rules.rate_limit else None
    return [
        (_("Speed limit"), limit),
        (_("Way"), _("through a proxy") if rules.proxy else None),
        (_("From the address"), rules.source_address),
        (_("Looks like"), dict(Browser.choices).get(rules.impersonate)),
    ]


def _clip(section: Section) -> str:
    end = rows.clock(section.end) if section.end is not None else gettext("the end")
    return f"{rows.clock(section.start)} – {end}"


def media(task: Task) -> Media | None:
    """What the finished file holds; None while there is none, or where it cannot be told."""
    if task.status != Status.COMPLETED or not task.file_name:
        return None
    if is_remote():
        return msgspec.convert(task.held, Media) if task.held else None
    if not library().is_stored(task.file_name, task.file_size):
        return None
    return _probed(task.file_name, task.file_size)


@lru_cache(PROBES_KEPT)
def _probed(file_name: str, _size: int) -> Media | None:
    try:
        toolbox = prepare_toolbox(settings.TOOLS_DIR, settings.FFMPEG_DIR)
        return probe(toolbox, library_path(file_name), timeout=PROBE_LIMIT)
    except (NotMedia, ToolMissing):
        return None


def streams(found: Media) -> Pairs:
    """Each stream as its kind and what it is: `Video`, `H264 · 1920 × 1080 · 30 fps · 4.5 Mbit/s`."""
    return [(KINDS[stream.kind], _said(stream)) for stream in found.streams if _is_shown(stream)]


def _is_shown(stream: Stream) -> bool:
    return stream.kind in KINDS and not stream.is_attached_picture


def _said(stream: Stream) -> str:
    parts = [stream.codec.upper()]
    if stream.width:
        parts.append(f"{stream.width} × {stream.height}")
    if stream.fps:
        parts.append(gettext("{number} fps").format(number=f"{stream.fps:.4g}"))
    if stream.channels:
        parts.append(str(CHANNELS.get(stream.channels, _("{number} channels"))).format(number=stream.channels))
    if stream.sample_rate:
        parts.append(f"{number_format(stream.sample_rate / 1000, 1)} kHz")
    if stream.bit_rate:
        parts.append(f"{number_format(round(stream.bit_rate / 1000))} kbit/s")
    return " · ".join(parts)
