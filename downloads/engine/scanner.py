"""Pages without an extractor of their own: yt-dlp's generic extractor, and a scanner for what it does not see.

It takes the generic one's place under the same key, so it stays the last that is asked: a URL that any other extractor
knows never comes here. What the generic one takes for a list, or hands on to another extractor, stays as it is. The
scanner has its say where that finds nothing, or one video that it has read off the page as the scanner does.

Candidates come from `candidates`, the rules that choose among them are those of `streams`. Frames are followed where
the page itself has nothing better than a link, a preview or something short. Nothing of that kind stands in for a video
that the site has refused either: the user is to learn that it wants cookies.

Every request is one of yt-dlp's own, so that the cookies, their sites and the address policy hold. The Referer is the
document in which a candidate stands.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urldefrag, urljoin

from yt_dlp.extractor import gen_extractor_classes
from yt_dlp.extractor.generic import GenericIE as BuiltInGenericIE
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError, RequestError
from yt_dlp.utils import (
    ExtractorError,
    base_url,
    clean_html,
    int_or_none,
    mimetype2ext,
    parse_duration,
    unsmuggle_url,
    urlhandle_detect_ext,
)

from downloads.engine.candidates import KINDS_OF_TYPE, PAGE_LIMIT, Candidate, Kind, Reading, Standing, read_page
from downloads.engine.filenames import clean_text
from downloads.engine.lengths import mp4_head, playlist_duration
from downloads.engine.protection import DISGUISED_KEY, KEY_LENGTH, KEY_WITHHELD, is_page, is_protected
from downloads.engine.streams import Stream, choose

ASKED: Final = 8  # candidates that are asked for at a time, with at most three requests each
QUALITIES: Final = 6  # files in other heights that are asked for
FRAMES: Final = 6  # pages in frames that are fetched
FRAME_DEPTH: Final = 2
HEAD: Final = 4096  # bytes of a file that are looked at

DRM: Final = "This video is DRM protected"  # as yt-dlp says it
NOT_THERE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN})
# What yt-dlp raises on the way to what a stranger has written there, and on its way through it
UNREADABLE: Final = (ExtractorError, RequestError, LookupError, TypeError, ValueError, ArithmeticError)
LOCAL: Final = ("blob:", "data:", "file:", "mediastream:")
NO_MEDIA: Final = re.compile(r"text/|image/|font/|application/(?:json|javascript|xml|xhtml|pdf|zip)")

_KEY_TAG: Final = re.compile(r"^#EXT-X-KEY:(.{0,8000})", re.MULTILINE)
_KEY_ADDRESS: Final = re.compile(r'URI="([^"]+)"')
_HEADING: Final = re.compile(r"<h1\b[^>]{0,500}>(.{1,1000}?)</h1>", re.DOTALL | re.IGNORECASE)
_AROUND_SITE: Final = " -|_–—·:»"

Json = dict[str, Any]
Answers = dict[str, Stream | Exception]  # by URL
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class NotMedia(ExtractorError):
    """What answered is neither a manifest nor a media file."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("this is no media", expected=True)


class GenericIE(BuiltInGenericIE):
    """The extractor `Generic`, as `YoutubeDL.add_info_extractor` takes it."""

    def _real_extract(self, url: str) -> Json:
        """Give what is at a URL, a page or the media itself; half of it, because the rest is protected, is nothing."""
        info: Json = super()._real_extract(url)
        if _has_drm(info.get("formats") or ()):
            raise ExtractorError(DRM, expected=True)
        return info

    def _extract_embeds(
        self, url: str, webpage: str, *, urlh: Response | None = None, info_dict: Mapping[str, Any] = NOTHING
    ) -> list[Json]:
        """Give what is on a page: the hook of yt-dlp's generic extractor, once it has the page.

        Other extractors call it for a part of a page, without a response, and get what they expect.

        Raises:
            ExtractorError: there is a video, but it is protected, or its site does not hand it out.
        """
        found = super()._extract_embeds(url, webpage, urlh=urlh, info_dict=info_dict)
        found = [entry for entry in map(_without_local, found) if entry]
        if urlh is None or len(found) > 1 or any(map(_extractor_of_entry, found)):
            return found
        return self._scan(found[0] if found else None, webpage, urldefrag(urlh.url).url)

    def _scan(self, found: Json | None, webpage: str, page: str) -> list[Json]:
        candidates, frames = read_page(webpage, page)
        answers: Answers = {}
        best = self._best(candidates, answers)
        if not _is_good(best):
            framed, embed = self._follow(frames, page, answers)
            candidates = [*framed, *candidates]
            best = self._best(candidates, answers)
            if embed and not _is_good(best):
                return [embed]
        if best is None:
            _raise_first(answers, _is_failure if found is None else _is_refusal)
            return [found] if found else []
        if not _is_good(best):
            _raise_first(answers, _is_refusal)
        if best.protection:
            raise ExtractorError(best.protection, expected=True)
        if found is None or best.candidate.url not in _addresses_of(found):
            found = self._described(best, candidates, answers)
        found.pop("id", None)  # that of the page is better than "page-1" for the first video tag of it
        return [found | self._about(webpage[:PAGE_LIMIT], best)]

    # What answers

    def _best(self, candidates: Sequence[Candidate], answers: Answers) -> Stream | None:
        """Ask for one candidate after the other, best first, until no other can win or enough are asked."""
        for candidate in sorted(candidates, key=lambda each: each.rank)[:ASKED]:
            if any(stream.beats(candidate) for stream in _streams(answers)):
                break
            self._answer(candidate, answers)
        return choose(_streams(answers))

    def _answer(self, candidate: Candidate, answers: Answers) -> Stream | Exception:
        if candidate.url not in answers:
            try:
                answers[candidate.url] = self._ask(candidate)
            except UNREADABLE as error:
                # That a mere link leads to nothing says nothing about the page.
                answers[candidate.url] = error if candidate.standing is Standing.PLAYED else NotMedia()
        return answers[candidate.url]

    def _ask(self, candidate: Candidate) -> Stream:
        if candidate.kind is Kind.HLS:
            return self._ask_for_hls(candidate)
        if candidate.kind is Kind.DASH:
            return self._ask_for_dash(candidate)
        return self._ask_for_file(candidate)

    def _ask_for_hls(self, candidate: Candidate) -> Stream:
        headers = {"Referer": candidate.page}
        playlist, url = self._playlist(candidate.url, headers)
        formats, subtitles = self._parse_m3u8_formats_and_subtitles(playlist, url, "mp4", m3u8_id="hls")
        if not formats:
            raise NotMedia
        variants = frozenset(each["url"] for each in formats) - {url}
        segments, segments_url = playlist, url
        if variants:
            pictures = [each for each in formats if each.get("vcodec") != "none"]
            segments, segments_url = self._playlist((pictures or formats)[0]["url"], headers)
        elif candidate.height:
            formats[0]["height"] = candidate.height
        has_drm = is_protected(playlist) or is_protected(segments)
        return Stream(
            candidate,
            formats,
            subtitles,
            duration=playlist_duration(segments),
            is_live="#EXT-X-ENDLIST" not in segments,
            protection=DRM if has_drm else self._disguise(segments, segments_url, headers),
            variants=variants,
        )

    def _playlist(self, url: str, headers: Json) -> tuple[str, str]:
        if not url.startswith(("http://", "https://")):
            raise NotMedia
        text, handle = self._download_webpage_handle(url, None, note=False, headers=headers)
        if not text.lstrip("\ufeff \r\n\t").startswith("#EXTM3U"):
            raise NotMedia
        return text, handle.url

    def _disguise(self, segments: str, url: str, headers: Json) -> str:
        """Fetch the first key of AES-128, as the download will: a site that refuses it refuses its video."""
        keys = (_KEY_ADDRESS.search(tag[1]) for tag in _KEY_TAG.finditer(segments) if "METHOD=AES-128" in tag[1])
        address = next((urljoin(url, key[1]) for key in keys if key), "")
        if not address.startswith(("http://", "https://")):
            return ""
        with closing(self._request_webpage(address, None, note=False, headers=headers)) as handle:
            key = handle.read(HEAD)
        if is_page(key):
            raise ExtractorError(KEY_WITHHELD, expected=True)
        return DISGUISED_KEY if len(key) != KEY_LENGTH else ""

    def _ask_for_dash(self, candidate: Candidate) -> Stream:
        document, handle = self._download_xml_handle(
            candidate.url, None, note=False, headers={"Referer": candidate.page}
        )
        if not document.tag.endswith("MPD"):
            raise NotMedia
        periods = self._parse_mpd_periods(document, "dash", base_url(handle.url), handle.url)
        formats, subtitles = self._merge_mpd_periods(periods)
        if not formats:
            raise NotMedia
        return Stream(
            candidate,
            formats,
            subtitles,
            duration=parse_duration(document.get("mediaPresentationDuration")),
            is_live=document.get("type") == "dynamic",
            protection=DRM if _has_drm(formats) else "",
        )

    def _ask_for_file(self, candidate: Candidate) -> Stream:
        headers = {"Referer": candidate.page, "Accept-Encoding": "identity"}
        head, handle = self._part(candidate.url, 0, headers)
        mime = _mime(handle)
        if head.startswith(b"#EXTM3U") or KINDS_OF_TYPE.get(mime) is Kind.HLS:
            return self._ask_for_hls(candidate)
        if b"<MPD" in head or KINDS_OF_TYPE.get(mime) is Kind.DASH:
            return self._ask_for_dash(candidate)
        if not head or NO_MEDIA.match(mime) or head.lstrip().startswith((b"<", b"{")):
            raise NotMedia
        said = mp4_head(head)
        size = _size(handle)
        if said.header_at and said.header_at < (size or 0) and handle.status == HTTPStatus.PARTIAL_CONTENT:
            said = mp4_head(self._part(candidate.url, said.header_at, headers)[0])
        height = candidate.height
        video = {
            "url": candidate.url,
            "format_id": f"http-{height}" if height else "http",
            "ext": urlhandle_detect_ext(handle, default=None) or mimetype2ext(mime),
            "height": height,
            "filesize": size,
            "vcodec": "none" if candidate.kind is Kind.AUDIO else None,
        }
        return Stream(candidate, [video], duration=said.duration, size=size)

    def _part(self, url: str, start: int, headers: Json) -> tuple[bytes, Response]:
        """Fetch a few bytes, from a server that knows ranges or from one that does not."""
        wanted = headers | {"Range": f"bytes={start}-{start + HEAD - 1}"}
        with closing(self._request_webpage(url, None, note=False, headers=wanted)) as handle:
            return handle.read(HEAD), handle

    # Frames

    def _follow(self, frames: Sequence[str], page: str, answers: Answers) -> tuple[list[Candidate], Json | None]:
        """Give what stands in the frames of a page and in theirs, and the first that another extractor knows."""
        waiting = deque((frame, page, 1) for frame in frames)
        candidates: list[Candidate] = []
        embed = None
        fetched = 0
        while waiting and fetched < FRAMES:
            frame, referer, depth = waiting.popleft()
            extractor = _extractor_of(frame)
            if extractor:
                embed = embed or self.url_result(frame, extractor)
                continue
            fetched += 1
            found, inner = self._read_frame(frame, referer, answers)
            candidates += found
            waiting.extend((each, frame, depth + 1) for each in inner if depth < FRAME_DEPTH)
        return candidates, embed

    def _read_frame(self, frame: str, referer: str, answers: Answers) -> Reading:
        try:
            with closing(self._request_webpage(frame, None, note=False, headers={"Referer": referer})) as handle:
                mime = _mime(handle)
                if mime in KINDS_OF_TYPE or mime.startswith(("video/", "audio/")):
                    kind = KINDS_OF_TYPE.get(mime, Kind.AUDIO if mime.startswith("audio/") else Kind.VIDEO)
                    return Reading([Candidate(handle.url, kind, Standing.PLAYED, near_player=True, page=referer)], [])
                text = self._webpage_read_content(handle, frame, None) if "html" in mime else ""
                return read_page(text, urldefrag(handle.url).url)
        except UNREADABLE as error:
            answers[frame] = error if _is_refusal(error) else NotMedia()
            return Reading([], [])

    # What is said of it

    def _described(self, best: Stream, candidates: Sequence[Candidate], answers: Answers) -> Json:
        """Give yt-dlp's description of a stream, with the same video in other heights where it comes in files."""
        others = [each for each in candidates if each.is_quality_of(best.candidate) and each != best.candidate]
        streams = [self._answer(each, answers) for each in islice(others, QUALITIES)]
        clear = [each for each in streams if isinstance(each, Stream) and not each.protection]
        formats = [each for stream in (*clear, best) for each in stream.formats]
        return {"formats": formats, "subtitles": best.subtitles}

    def _about(self, page: str, best: Stream) -> Json:
        """Give what the page says about its video, and what has been measured of it."""
        linked = self._search_json_ld(page, None, default={})
        heading = _HEADING.search(page)
        title = (
            self._og_search_title(page, default=None)
            or linked.get("title")
            or self._html_extract_title(page, default=None)
            or clean_html(heading[1] if heading else None)
        )
        thumbnails = linked.get("thumbnails") or [{}]
        about = {
            "title": _without_site(title, self._og_search_property("site_name", page, default=None)),
            "description": self._og_search_description(page, default=None) or linked.get("description"),
            "thumbnail": self._og_search_thumbnail(page, default=None) or thumbnails[0].get("url"),
            "uploader": linked.get("uploader") or self._html_search_meta("author", page, default=None),
            "duration": best.duration or _exact(linked.get("duration")),
            "timestamp": linked.get("timestamp"),
            "chapters": linked.get("chapters"),
            "live_status": "is_live" if best.is_live else None,
            "http_headers": {"Referer": best.candidate.page},
        }
        return {name: value for name, value in about.items() if value}

    def _search_json_ld(self, html: str, video_id: str | None, *args: Any, **kwargs: Any) -> Json:  # noqa: ANN401  yt-dlp's own
        """Give nothing where yt-dlp stumbles over linked data that is not as it expects: a name that is a list."""
        try:
            return dict(super()._search_json_ld(html, video_id, *args, **kwargs))
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
            return {}


def _exact(duration: float | None) -> float | None:
    """Drop whole minutes: a page that has rounded says nothing against which a file could be proven to be whole."""
    return duration if duration and duration % 60 else None


def _is_good(best: Stream | None) -> bool:
    """Tell whether nothing better is to be expected from the frames of a page."""
    return best is not None and best.candidate.standing is Standing.PLAYED and not best.is_short


def _streams(answers: Answers) -> list[Stream]:
    return [answer for answer in answers.values() if isinstance(answer, Stream)]


def _raise_first(answers: Answers, is_worth_saying: Callable[[Exception], bool]) -> None:
    """Raise the first answer that says more about the video than "none was found"."""
    for answer in answers.values():
        if isinstance(answer, Exception) and is_worth_saying(answer):
            raise answer


def _is_failure(answer: Exception) -> bool:
    """Tell whether there may be a video at another time, or for somebody else."""
    cause = getattr(answer, "cause", None) or answer
    if isinstance(cause, HTTPError):
        return cause.status not in NOT_THERE
    return isinstance(cause, RequestError) or _is_refusal(answer)


def _is_refusal(answer: Exception) -> bool:
    """Tell whether there may be a video for somebody else: by the status, or by what stands there instead."""
    cause = getattr(answer, "cause", None)
    if cause is not None:
        return isinstance(cause, HTTPError) and cause.status in REFUSED
    return isinstance(answer, ExtractorError) and answer.expected and not isinstance(answer, NotMedia)


def _has_drm(formats: Sequence[Json]) -> bool:
    """Tell whether the pictures or the sound, or both, come in protected formats only."""
    pictures = [each for each in formats if each.get("vcodec") != "none"]
    sounds = [each for each in formats if each.get("vcodec") == "none"]
    return any(group and all(each.get("has_drm") for each in group) for group in (pictures, sounds))


def _without_local(entry: Json) -> Json:
    """Take out what is not on the web; nothing is left of an entry that has nothing else."""
    if not entry.get("formats"):
        return {} if str(entry.get("url") or "").startswith(LOCAL) else entry
    formats = [each for each in entry["formats"] if not each["url"].startswith(LOCAL)]
    return entry | {"formats": formats} if formats else {}


def _extractor_of_entry(entry: Json) -> str:
    """Name the extractor that the generic one hands an entry on to."""
    if entry.get("_type", "video") == "video":
        return ""
    return entry.get("ie_key") or _extractor_of(unsmuggle_url(entry["url"])[0])


def _extractor_of(url: str) -> str:
    """Name the extractor that knows a URL, or none if it is only the generic one."""
    found = next(each for each in gen_extractor_classes() if each.suitable(url))
    return "" if found.ie_key() == BuiltInGenericIE.ie_key() else str(found.ie_key())


def _addresses_of(entry: Json) -> set[str]:
    formats = entry.get("formats") or ()
    return {each[name] for each in formats for name in ("url", "manifest_url") if each.get(name)}


def _mime(handle: Response) -> str:
    return str(handle.get_header("Content-Type") or "").partition(";")[0].strip().lower()


def _size(handle: Response) -> int | None:
    """Give the size of a file of which a part has been asked for."""
    whole = str(handle.get_header("Content-Range") or "").rpartition("/")[2] or handle.get_header("Content-Length")
    size: int | None = int_or_none(whole)
    return size


def _without_site(title: str | None, site: str | None) -> str:
    """Make a title of a page one line without the name of its site: "A film" of "A film - Example"."""
    cleaned = clean_text(title or "", 500)
    return (cleaned.removesuffix(site).rstrip(_AROUND_SITE) if site else cleaned) or cleaned
