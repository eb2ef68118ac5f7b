"""What a site says about a link: one video, or a list of them. Shared by downloads and by `extract`."""

import math
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from yt_dlp.networking.impersonate import ImpersonateTarget

from downloads.engine import cures, messages, pictures
from downloads.engine.classification import classify
from downloads.engine.cookies import cookie_policy, parse_cookies
from downloads.engine.egress import refused_by
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.fetching import Fetcher, Unavailable
from downloads.engine.ffmpeg import prepare_toolbox
from downloads.engine.filenames import clean_text
from downloads.engine.formats import format_options
from downloads.engine.network import MAX_URL_LENGTH, Guard
from downloads.engine.scanner import GenericIE

ENTRIES = 500  # of a playlist that are described
FORMATS = 300
LISTS = 50  # of an entry's place up to which a list in a list is looked into
ITEMS_AT_ONCE = 100  # of 16 KiB at most each
PICTURE_LIMIT = 5.0  # seconds for the picture of a look-up
KEPT_LIMIT = 2 * 1024 * 1024  # bytes of a result that is kept for the download after it
# What urllib3 and yt-dlp say where the site has no address of the source address's family
OTHER_FAMILY = re.compile("Address family for hostname not supported|as source address")
SKIPPED_PROTOCOLS = frozenset({"mhtml"})  # storyboards: pictures, no video

Json = dict[str, Any]


class Wrong(Exception):
    """The download cannot be completed, for a reason of our own."""

    def __init__(
        self,
        reason: Reason,
        phase: Phase,
        detail: str = "",
        retry_after: float | None = None,
        **figures: int,
    ) -> None:
        """Take what happened, in how many seconds another try makes sense, and the figures, where they are known."""
        super().__init__(detail)
        self.failure = Failure(reason=reason, phase=phase, detail=detail, retry_after=retry_after, **figures)


class _Log:
    """yt-dlp's log goes nowhere: what matters arrives as an exception."""

    def debug(self, message: str) -> None:
        """Nothing: yt-dlp says here what it does."""

    def warning(self, message: str) -> None:
        """Nothing."""

    def error(self, message: str) -> None:
        """Nothing: the exception says the same."""


def options(job: messages.Job | messages.LookUpJob) -> Json:
    """What every run of yt-dlp is given; a download adds where its files go."""
    wants_subtitles = job.choices.subtitles is not None
    return {
        **format_options(job.quality, job.post_processing, job.choices),
        # Many extractors look for subtitles only then. yt-dlp itself is to fetch none of them.
        "writesubtitles": wants_subtitles,
        "writeautomaticsub": wants_subtitles,
        "subtitleslangs": ["-all"],
        "quiet": True,
        "noprogress": True,
        "no_warnings": True,
        "color": "never",
        "logger": _Log(),
        "cachedir": job.cache,
        "ffmpeg_location": job.tools,
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "ignoreerrors": False,
        "socket_timeout": 15,
        "retries": 5,
        "extractor_retries": 2,
    }


def way_out(job: messages.Job | messages.LookUpJob) -> Json:
    """The options for what an administrator has set for the link's site.

    Raises:
        Wrong: it cannot be kept to. Nothing goes out another way instead.
    """
    if job.source_address:
        _check_source_address(job.source_address)
    wanted = {
        "ratelimit": job.rate_limit or None,
        "impersonate": ImpersonateTarget.from_str(job.impersonate) if job.impersonate else None,
    }
    if not job.through_egress and not job.impersonate:
        return wanted | {"source_address": job.source_address or None}
    if not job.egress:
        raise Wrong(Reason.PROXY, Phase.LOOKUP, "the egress proxy was not opened")
    return wanted | {"proxy": job.egress}


def _check_source_address(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise Wrong(Reason.SOURCE_ADDRESS, Phase.LOOKUP, f"{address}: {error.strerror}") from None


def failure_of(error: Exception, phase: Phase, job: messages.Job | messages.LookUpJob, guard: Guard) -> Failure:
    """What happened, as far as the error, the guard and the job know it together."""
    failure = classify(error, phase, [*guard.refused, *refused_by(job.egress)])
    if job.source_address and failure.reason is Reason.NETWORK and OTHER_FAMILY.search(failure.detail):
        return Failure(reason=Reason.SOURCE_ADDRESS, phase=phase, detail=failure.detail)
    return failure


def give_cookies(ydl: cures.CappedYoutubeDL, cookies: str, url: str) -> None:
    """Let the cookies go to the link's own domain, from memory only."""
    ydl.cookiejar.set_policy(cookie_policy())
    for cookie in parse_cookies(cookies, url):
        ydl.cookiejar.set_cookie(cookie)


def look_up(ydl: cures.CappedYoutubeDL, url: str) -> Json:
    """yt-dlp's result for this link. A list with a single entry is that entry; a longer one has `_type` playlist.

    Raises:
        Wrong: the list is empty.
    """
    ydl.add_info_extractor(GenericIE())
    info = ydl.extract_info(url, download=False)
    if info.get("_type") not in ("playlist", "multi_video"):
        return dict(info)
    entries = _without_lists(ydl, list(info.get("entries") or []))
    if not entries:
        raise Wrong(Reason.NOT_A_VIDEO, Phase.LOOKUP)
    if len(entries) > 1:
        return {**info, "_type": "playlist", "entries": entries}
    ydl.params["extract_flat"] = False
    return dict(ydl.process_ie_result(entries[0], download=False))


def _without_lists(ydl: cures.CappedYoutubeDL, entries: list[Json]) -> list[Json]:
    """The entries, with those of a list in the place of an entry that is one: a channel is a list of its tabs."""
    flat: list[Json] = []
    for place, entry in enumerate(entries):
        inner = ydl.process_ie_result(entry, download=False) if place < LISTS and _is_list(ydl, entry) else {}
        flat += list(inner.get("entries") or [entry])
    return flat


def _is_list(ydl: cures.CappedYoutubeDL, entry: Json) -> bool:
    """Whether the extractor that this entry is for says that its addresses are no single videos."""
    if entry.get("_type") != "url" or not entry.get("ie_key"):
        return False
    return ydl.get_info_extractor(entry["ie_key"]).is_single_video(entry["url"]) is False


def items_of(info: Json, limit: int) -> Iterator[messages.Items]:
    """The first entries of a playlist, some at a time: all at once might not fit into one message."""
    entries = info["entries"]
    places = info.get("requested_entries") or []
    if len(places) != len(entries):
        places = range(1, len(entries) + 1)
    items = [_item(info, entry, place) for place, entry in zip(places[:limit], entries, strict=False)]
    for start in range(0, len(items), ITEMS_AT_ONCE):
        yield messages.Items(tuple(items[start : start + ITEMS_AT_ONCE]))


def _item(info: Json, entry: Json, place: int) -> messages.ListedItem:
    own = _web_address(entry.get("url"), MAX_URL_LENGTH) if entry.get("_type") in ("url", "url_transparent") else ""
    return messages.ListedItem(
        url=own or _web_address(info.get("original_url") or info.get("webpage_url"), MAX_URL_LENGTH),
        title=_text(entry.get("title"), 500),
        media_id=_text(entry.get("id"), 200),
        place=place,
        in_page=not own,
    )


class LookUp:
    """One look-up for `extract`: nothing is downloaded."""

    def __init__(self, job: messages.LookUpJob, say: messages.Say, guard: Guard) -> None:
        """Take the job, the way to the parent, and the guard that notes what it refused."""
        self._job = job
        self._say = say
        self._guard = guard

    def run(self) -> None:
        """Say `Described`, before it `Kept` where a download may go on from it, after it `Pictured`; or a `Failed`."""
        job = self._job
        wanted = options(job) | {"playlist_items": f"1:{ENTRIES}"}
        try:
            with cures.CappedYoutubeDL(wanted | way_out(job)) as ydl:
                give_cookies(ydl, job.cookies, job.url)
                info = look_up(ydl, job.url)
                if kept := keep(ydl, info):
                    self._say(messages.Kept(info=kept))
                self._say(described(info))
                if job.picture:
                    self._picture(Fetcher(ydl, _shown_by(info), self._guard))
        except Wrong as wrong:
            self._say(messages.Failed(failure=wrong.failure))
        except Exception as error:  # noqa: BLE001  this is the engine's border: whatever yt-dlp raises gets its name here
            self._say(messages.Failed(failure=failure_of(error, Phase.LOOKUP, job, self._guard)))

    def _picture(self, fetcher: Fetcher) -> None:
        """Fetch the site's picture, if it comes within its time."""
        folder = Path(self._job.folder)
        toolbox = prepare_toolbox(Path(self._job.tools), override=Path(self._job.tools))
        with suppress(Unavailable):
            made = fetcher.within(PICTURE_LIMIT, partial(pictures.of_site, fetcher, folder, toolbox))
            if made:
                self._say(messages.Pictured(made.page.name))


def _shown_by(info: Json) -> Json:
    """What has the picture: the result itself, or the first entry of a list that has none of its own."""
    if info.get("_type") != "playlist" or info.get("thumbnails") or info.get("thumbnail"):
        return info
    return next((entry for entry in info["entries"] if entry.get("thumbnails") or entry.get("thumbnail")), info)


def keep(ydl: cures.CappedYoutubeDL, info: Json) -> str:
    """The result as JSON for the download that may follow, without the cookies in it; empty where that is no use."""
    if info.get("_type") == "playlist" or info.get("is_live"):
        return ""
    result = ydl.sanitize_info(info, remove_private_keys=True)
    for holder in (result, *result.get("formats", []), *result.get("requested_formats", [])):
        holder.pop("cookies", None)
    text = messages.to_json(result)
    return text if len(text) <= KEPT_LIMIT else ""


def found(info: dict[str, Any]) -> messages.Found:
    """What the look-up says about the video, cleaned and cut: a site may say anything."""
    return messages.Found(
        title=clean_text(str(info.get("title") or ""), 500),
        media_id=clean_text(str(info.get("id") or ""), 200),
        site=clean_text(str(info.get("webpage_url_domain") or ""), 255),
        uploader=clean_text(str(info.get("uploader") or info.get("channel") or ""), 300),
        duration=_duration(info.get("duration")),
        thumbnail=_web_address(info.get("thumbnail")),
        upload_date=_date(info.get("upload_date")),
        is_live=bool(info.get("is_live")),
    )


def _date(value: object) -> date | None:
    """yt-dlp writes 20261231, and takes what extractors give it."""
    with suppress(ValueError):
        return date.fromisoformat(value) if isinstance(value, str) else None
    return None


def _duration(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else 0.0


def _web_address(value: object, limit: int = 4096) -> str:
    text = value if isinstance(value, str) else ""
    return text if text.startswith(("http://", "https://")) and len(text) <= limit else ""


def described(info: Json) -> messages.Described:
    """The result as `extract` answers it: fields of a white list, cleaned and cut."""
    listed = info.get("entries") or []
    formats = [each for each in info.get("formats") or [] if each.get("protocol") not in SKIPPED_PROTOCOLS]
    chosen = info.get("requested_formats") or ([info] if info.get("format_id") else [])
    return messages.Described(
        found=found(info),
        url=_web_address(info.get("webpage_url")),
        description=_text(info.get("description"), 5000),
        is_live=bool(info.get("is_live")),
        is_playlist=info.get("_type") == "playlist",
        formats=[_format(each) for each in formats[-FORMATS:]],  # the best come last
        selected_formats=[_text(each.get("format_id"), 100) for each in chosen],
        entries=[_entry(each) for each in listed],
        total_entries=max(_whole(info.get("playlist_count")), len(listed)),
    )


def _format(each: Json) -> messages.Format:
    height = _whole(each.get("height"))
    return messages.Format(
        format_id=_text(each.get("format_id"), 100),
        url=_web_address(each.get("url")),
        ext=_text(each.get("ext"), 20),
        quality=_quality(each, height),
        filesize=_whole(each.get("filesize") or each.get("filesize_approx")),
        width=_whole(each.get("width")),
        height=height,
        fps=round(_number(each.get("fps"))),
        video_codec=_codec(each.get("vcodec")),
        audio_codec=_codec(each.get("acodec")),
        bitrate=_number(each.get("tbr")),
        video_bitrate=_number(each.get("vbr")),
        audio_bitrate=_number(each.get("abr")),
        protocol=_text(each.get("protocol"), 40),
        language=_text(each.get("language"), 40),
        note=_text(each.get("format_note"), 100),
    )


def _quality(each: Json, height: int) -> str:
    if height:
        return f"{height}p"
    return "audio" if each.get("vcodec") == "none" else _text(each.get("format_note"), 40)


def _entry(each: Json) -> messages.Entry:
    return messages.Entry(
        url=_web_address(each.get("webpage_url") or each.get("url")),
        title=_text(each.get("title"), 500),
        duration=round(_number(each.get("duration"))),
        thumbnail=_web_address(each.get("thumbnail")),
    )


def _codec(value: object) -> str:
    """The codec's name; empty where there is no such stream, or the site does not say."""
    return "" if value in (None, "none") else _text(value, 60)


def _text(value: object, limit: int) -> str:
    return clean_text(str(value), limit) if isinstance(value, str | int | float) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else 0.0


def _whole(value: object) -> int:
    return int(_number(value))
