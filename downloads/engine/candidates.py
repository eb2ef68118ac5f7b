"""What on a page may be its video: addresses in tags, scripts and data, in whatever form they are written.

Free of yt-dlp and of the network. A page is hostile: no more than `PAGE_LIMIT` of it is read, every pattern is linear
in its length, and whatever is decoded, counted or returned has a limit.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urldefrag, urljoin, urlsplit

from downloads.engine.cookies import is_same_site

PAGE_LIMIT: Final = 4 * 1024 * 1024  # characters of a page that are looked at
CANDIDATE_LIMIT: Final = 200
FRAME_LIMIT: Final = 20

_URL_LIMIT: Final = 4096  # characters
_HIT_LIMIT: Final = 1000  # of words that look like media
_ADDRESS_LIMIT: Final = 2000  # of addresses that are completed, the same one each time it stands there
_NESTED_LIMIT: Final = 200  # of texts in another encoding that are decoded
_NESTED_SIZE: Final = 65_535  # characters of one of them
_NESTED_DEPTH: Final = 3  # a script in an attribute holds base64 of an encoded address
_CONTAINER_REACH: Final = 5000  # characters before a value in which its containers are looked for
_CONTAINER_DEPTH: Final = 20
_PLAYER_REACH: Final = 300


class Kind(IntEnum):
    """What an address leads to, by its suffix or its tag; the best comes first, since a manifest has every quality."""

    HLS = 0
    DASH = 1
    VIDEO = 2
    AUDIO = 3


class Standing(IntEnum):
    """How likely it is that the page plays this; the best comes first."""

    PLAYED = 0
    """It stands in a tag, a script or an attribute."""
    LINKED = 1
    """It is a link, or a word in the text."""
    ASIDE = 2
    """Its own name, or that of what it stands in, says that it is an advertisement, a preview or another video."""


@dataclass(frozen=True)
class Candidate:
    """One address; `page` is the document that it stands in, and so its Referer."""

    url: str
    kind: Kind
    standing: Standing
    near_player: bool
    page: str

    @property
    def rank(self) -> tuple[Standing, Kind, bool]:
        """The lower, the better; among equals the one that stands first on its page goes first."""
        return self.standing, self.kind, not self.near_player

    @property
    def height(self) -> int | None:
        """The height in its name: 720 for `/v/film_720p.mp4`."""
        found = _HEIGHT.search(urlsplit(self.url).path)
        return int(found[1]) if found else None

    def is_quality_of(self, other: "Candidate") -> bool:
        """Tell whether both are one video, as their names differ in a height and in nothing else."""
        mine, its = (_HEIGHT.sub("*", urlsplit(each.url).path) for each in (self, other))
        return self.kind is other.kind and mine == its and None not in (self.height, other.height)


class Reading(NamedTuple):
    """What is on one page, best first: what may be its video, and the pages in its frames that may hold one."""

    candidates: list[Candidate]
    frames: list[str]


def read_page(text: str, url: str) -> Reading:
    """Find the media of a page, and its frames; `url` is the page's own, with http or https."""
    reader = _Reader(url)
    reader.read(_plain(text[:PAGE_LIMIT]))
    candidates = sorted(reader.candidates.values(), key=lambda each: each.rank)
    return Reading(candidates, sorted(reader.frames, key=lambda frame: not _PLAYER.search(frame)))


def kind_of(url: str) -> Kind | None:
    """Tell what an address leads to by the suffix of its path; None for what is no media."""
    try:
        name, _, suffix = urlsplit(url).path.rpartition("/")[2].rpartition(".")
    except ValueError:
        return None
    return _KINDS.get(suffix.lower()) if name else None


_KINDS: Final = {
    **dict.fromkeys(("m3u8", "m3u"), Kind.HLS),
    "mpd": Kind.DASH,
    **dict.fromkeys(("mp4", "m4v", "webm", "mov", "flv", "mkv", "ogv"), Kind.VIDEO),
    **dict.fromkeys(("mp3", "m4a", "aac", "ogg", "oga", "opus", "wav", "flac"), Kind.AUDIO),
}
KINDS_OF_TYPE: Final = {
    "application/x-mpegurl": Kind.HLS,
    "application/vnd.apple.mpegurl": Kind.HLS,
    "audio/mpegurl": Kind.HLS,
    "application/dash+xml": Kind.DASH,
}
"""Manifests by their MIME type."""

# Words

_ADVERTISEMENT: Final = frozenset(
    {
        *("ads", "adv", "advert", "adverts", "advertisement", "advertisements", "advertising", "adserver", "adsystem"),
        *("preroll", "midroll", "postroll", "vast", "vpaid", "sponsor", "sponsored", "commercial", "guanggao"),
        *("doubleclick", "googlesyndication", "googleads", "adservice", "imasdk", "adnxs"),
    }
)
_PREVIEW: Final = frozenset(
    {"preview", "previews", "trailer", "trailers", "teaser", "teasers", "thumb", "thumbs", "thumbnail", "storyboard"}
)
_OTHER_VIDEO: Final = frozenset(
    {"next", "prev", "previous", "related", "recommend", "recommended", "recommendations", "similar", "suggested"}
)
# "ad" alone is a part of the hash in many paths, but not as the name of a value, of a host or of the file itself.
_ASIDE_NAMES: Final = _ADVERTISEMENT | _PREVIEW | {"ad"}
_ASIDE_KEYS: Final = _ASIDE_NAMES | _OTHER_VIDEO
_NO_PLAYER: Final = _ADVERTISEMENT | {"ad", "recaptcha", "captcha", "disqus", "googletagmanager", "analytics"}

_KEY_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NAME_WORD: Final = re.compile(r"[a-z0-9]+")
_PLAYER: Final = re.compile(r"play|video|vod\b|hls|dash|stream|m3u8|embed|media|[?&]url=", re.IGNORECASE)
_HEIGHT: Final = re.compile(
    r"(?<![A-Za-z0-9])(2160|1440|1080|720|576|540|480|360|270|240|144)p?(?![A-Za-z0-9])", re.IGNORECASE
)

# Forms of writing

_ENTITY: Final = re.compile(r"&(?:(amp|quot|apos|lt|gt)|#([0-9]{1,5})|#[xX]([0-9a-fA-F]{1,4}));")
_ENTITIES: Final = {"amp": "&", "quot": '"', "apos": "'", "lt": "<", "gt": ">"}
# However many backslashes there are, as a script in a script doubles them; possessive, so that it stays linear.
_ESCAPE: Final = re.compile(r"""(?<!\\)\\++(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([/"'&=:?]))""")
_ENCODED: Final = re.compile(
    rf"(?:https?%(?:25){{0,2}}3A|%68%74%74%70)[^\s\"'`<>&\\]{{4,{_NESTED_SIZE}}}", re.IGNORECASE
)
# As it begins for "http", "//", "/", "{", "[{", and for "%68", an "h" that has been encoded before.
_BASE64: Final = re.compile(
    rf"(?<![A-Za-z0-9+/_-])(?:aHR0c|Ly9|L2|e[wy]|W3s|JTY4)[A-Za-z0-9+/_-]{{12,{_NESTED_SIZE}}}+={{0,2}}"
)

# Where addresses begin and end

_SUFFIX: Final = re.compile(rf"\.(?:{'|'.join(_KINDS)})(?![a-z0-9_])", re.IGNORECASE)
_INSIDE: Final = re.compile(rf"[^\s\"'`<>\\|^\[\]\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]{{0,{_URL_LIMIT}}}")
_BEFORE_VALUE: Final = frozenset("\"'`\\]=")
_ABSOLUTE: Final = re.compile(r"https?://(?=[^/])", re.IGNORECASE)
_RELATIVE: Final = re.compile(r"[^*${}(),;?#]{1,1000}(?:\?[^{}#]{0,3000})?(?:#[^{}]{0,100})?")
_AFTER_ADDRESS: Final = ".,;:!)}#$&"

_KEY: Final = re.compile(r"([\w$.-]{1,60})[\"']?\s{0,10}[:=(]\s{0,10}[\"'`\[(]{0,2}\Z")
_BRACKET: Final = re.compile(r"[{}\[\]]")

_TAG: Final = re.compile(r"<(video|audio|source|iframe|frame|embed|meta|base|a)\s([^<>]{0,8000})>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(
    r"""(?<![\w:-])([\w:-]{1,50})\s{0,20}=\s{0,20}(?:"([^"]*)"|'([^']*)'|([^\s"'>]{1,4096}))"""
)
_MEDIA_META: Final = frozenset(
    {"og:video", "og:video:url", "og:video:secure_url", "og:audio", "og:audio:url", "twitter:player:stream"}
)
_LINKED_DATA: Final = re.compile(r'"(contentUrl|embedUrl)"\s{0,20}:\s{0,20}"([^"\s]{1,4096})"')


class _Place(NamedTuple):
    """What is known about where a text stands; one inside of another has what the outer one has."""

    standing: Standing = Standing.PLAYED
    near_player: bool = False


_IN_PLAYER: Final = _Place(near_player=True)
_IN_LINK: Final = _Place(Standing.LINKED)


class _Reader:
    """Reads one page. An address that stands there more than once counts by its best place."""

    def __init__(self, url: str) -> None:
        self.candidates: dict[str, Candidate] = {}
        self.frames: list[str] = []
        self._page = url
        self._base = url
        self._hits = 0
        self._nested = 0
        self._completed = 0

    def read(self, text: str) -> None:
        rest = _TAG.sub(self._take_tag, text)
        for found in _LINKED_DATA.finditer(rest):
            self._take_named(found[2], is_media=found[1] == "contentUrl")
        self._read_words(rest, _Place(), depth=0)

    # Tags

    def _take_tag(self, tag: re.Match[str]) -> str:
        """Take what a tag names, and give what of it is still to be read as text."""
        name = tag[1].lower()
        attributes = {each[1].lower(): each[2] or each[3] or each[4] or "" for each in _ATTRIBUTE.finditer(tag[2])}
        source = attributes.get("src") or attributes.get("data-src") or ""
        if name == "a":
            link = attributes.get("href", "")
            if kind_of(link) is not None:
                self._add(link, _IN_LINK)
            return " "
        if name == "base":
            self._base = self._absolute(attributes.get("href", "")) or self._base
        elif name == "meta":
            self._take_meta(attributes)
        elif name in {"iframe", "frame", "embed"}:
            self._add_frame(source)
        elif not attributes.get("type", "").startswith("image/"):
            self._take_media(source, attributes, Kind.AUDIO if name == "audio" else Kind.VIDEO)
            return tag[0].replace(source, "") if source else tag[0]
        return tag[0]

    def _take_media(self, source: str, attributes: dict[str, str], kind: Kind) -> None:
        name = f"{attributes.get('id', '')} {attributes.get('class', '')}"
        place = _Place(Standing.ASIDE, near_player=True) if _words_of_key(name) & _ASIDE_NAMES else _IN_PLAYER
        mime = attributes.get("type", "").partition(";")[0].strip().lower()
        self._add(source, place, KINDS_OF_TYPE.get(mime, kind))

    def _take_meta(self, attributes: dict[str, str]) -> None:
        name = (attributes.get("property") or attributes.get("name") or "").lower()
        if name in _MEDIA_META:
            self._take_named(attributes.get("content", ""), is_media=True)
        elif name == "twitter:player":
            self._take_named(attributes.get("content", ""), is_media=False)

    def _take_named(self, address: str, *, is_media: bool) -> None:
        """Take what the page itself names as its video: a file or a manifest, or else the page of a player."""
        if is_media and kind_of(address) is not None:
            self._add(address, _IN_PLAYER)
        else:
            self._add_frame(address)

    # Words

    def _read_words(self, text: str, outer: _Place, depth: int) -> None:
        end = 0
        for hit in _SUFFIX.finditer(text):
            self._hits += 1
            if self._hits > _HIT_LIMIT:
                return
            if hit.start() >= end:
                word = _word_around(text, end, hit.start())
                end = word.end
                self._read_word(word, outer)
        if depth < _NESTED_DEPTH:
            self._read_nested(text, outer, depth)

    def _read_word(self, word: "_Word", outer: _Place) -> None:
        content = word.text[word.start : word.end]
        addresses = _absolute_in(content)
        if not addresses and word.is_value and _RELATIVE.fullmatch(content):
            addresses = [content]
        for address in addresses:
            media = [address] if kind_of(address) is not None else _in_query(address)
            for each in media:
                self._add(each, word.place(outer))

    def _read_nested(self, text: str, outer: _Place, depth: int) -> None:
        """Read what is written in another encoding as if it stood there in the clear."""
        for pattern, decode in ((_ENCODED, _percent_decoded), (_BASE64, _base64_decoded)):
            end = 0
            for found in pattern.finditer(text):
                self._nested += 1
                if self._nested > _NESTED_LIMIT:
                    return
                word = _Word(text, end, *found.span())
                end = word.end
                decoded = decode(found[0])
                if decoded:
                    self._read_words(f'"{_plain(decoded)}"', word.place(outer), depth + 1)

    # What is found

    def _add(self, address: str, place: _Place, kind: Kind | None = None) -> None:
        url = self._absolute(address)
        kind = kind_of(url) if kind_of(url) is not None else kind
        if not url or kind is None or len(self.candidates) >= CANDIDATE_LIMIT:
            return
        standing = Standing.ASIDE if _words_of_url(url) & _ASIDE_NAMES else place.standing
        candidate = Candidate(url, kind, standing, place.near_player, self._page)
        known = self.candidates.get(url)
        if known is None or candidate.rank < known.rank:
            self.candidates[url] = candidate

    def _add_frame(self, address: str) -> None:
        """Take a frame of the same site, or one of another site that looks like a player."""
        url = self._absolute(address)
        if not url or url == self._page or url in self.frames or len(self.frames) >= FRAME_LIMIT:
            return
        if kind_of(url) is not None:
            self._add(url, _IN_PLAYER)
        elif not _words_of_url(url) & _NO_PLAYER and (_PLAYER.search(url) or is_same_site(url, self._page)):
            self.frames.append(url)

    def _absolute(self, address: str) -> str:
        """Give the address with its host, or nothing for what is not on the web (`blob:`, `data:`, `file:`)."""
        address = address.strip()
        self._completed += 1
        if not address or len(address) > _URL_LIMIT or self._completed > _ADDRESS_LIMIT:
            return ""
        try:
            url = urldefrag(urljoin(self._base, address)).url
            url.encode()  # half of a surrogate pair cannot be sent
            parts = urlsplit(url)
            is_web = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            return ""
        return url if is_web and "@" not in parts.netloc else ""


class _Word(NamedTuple):
    """A stretch of a text without quotes or blanks in it; `floor` is where the one before it ends."""

    text: str
    floor: int
    start: int
    end: int

    @property
    def is_value(self) -> bool:
        """Whether it stands in a script, in data or in an attribute, and not in the text that people read."""
        return self.text[self.start - 1 : self.start] in _BEFORE_VALUE

    def place(self, outer: _Place) -> _Place:
        """Judge it by the names of its value and of what contains it, and by what is written before it."""
        names = list(_names_before(self.text, self.start))
        before = max(self.floor, self.start - _PLAYER_REACH)
        near = outer.near_player or any(map(_PLAYER.search, names)) or _PLAYER.search(self.text, before, self.start)
        if any(_words_of_key(name) & _ASIDE_KEYS for name in names):
            return _Place(Standing.ASIDE, bool(near))
        return _Place(max(outer.standing, Standing.PLAYED if self.is_value else Standing.LINKED), bool(near))


def _word_around(text: str, floor: int, hit: int) -> _Word:
    before = _INSIDE.match(text[max(floor, hit - _URL_LIMIT) : hit][::-1])
    after = _INSIDE.match(text, hit)
    return _Word(text, floor, hit - (before.end() if before else 0), after.end() if after else hit)


def _absolute_in(word: str) -> list[str]:
    """Give the addresses with a scheme in a word: the one in `play?url=https://…`, every one of `1$https://…#2$https://…`.

    What follows `=` in the query of a media file is a parameter of it, and stays.
    """
    beginnings = [found.start() for found in _ABSOLUTE.finditer(word)]
    found: list[str] = []
    for start, end in zip(beginnings, [*beginnings[1:], len(word)], strict=False):
        if found and found[-1].endswith("=") and kind_of(found[-1]) is not None:
            found[-1] += word[start:end]
        else:
            found.append(word[start:end])
    return [each.rstrip(_AFTER_ADDRESS) for each in found]


def _in_query(address: str) -> list[str]:
    try:
        return [
            value for _, value in parse_qsl(urlsplit(address).query, max_num_fields=50) if kind_of(value) is not None
        ]
    except ValueError:
        return []


def _names_before(text: str, start: int) -> Iterator[str]:
    """Yield the name of a value and those of the objects and lists around it: `url`, `items`, `related`."""
    yield _name_at(text, start)
    depth = found = 0
    for bracket in reversed(list(_BRACKET.finditer(text, max(0, start - _CONTAINER_REACH), start))):
        if bracket[0] in "}]":
            depth += 1
        elif depth:
            depth -= 1
        else:
            yield _name_at(text, bracket.start())
            found += 1
            if found == _CONTAINER_DEPTH:
                return


def _name_at(text: str, end: int) -> str:
    found = _KEY.search(text, max(0, end - 90), end)
    return found[1] if found else ""


def _words_of_key(name: str) -> frozenset[str]:
    """Split `preRoll_adUrl` into its words."""
    return frozenset(word.lower() for word in _KEY_WORD.findall(name))


def _words_of_url(url: str) -> frozenset[str]:
    """Split host and path into words without their numbers; "ad" counts in the host and in the file's name alone."""
    parts = urlsplit(url)
    folders, _, name = parts.path.lower().rpartition("/")
    words = {word.rstrip("0123456789") for word in _NAME_WORD.findall(folders)} - {"ad"}
    return frozenset(
        words | {word.rstrip("0123456789") for word in _NAME_WORD.findall(f"{parts.netloc.lower()} {name}")}
    )


def _plain(text: str) -> str:
    """Undo HTML entities and the escapes of JavaScript and JSON."""
    return _ESCAPE.sub(_unescaped, _ENTITY.sub(_character, text))


def _character(entity: re.Match[str]) -> str:
    name, decimal, hexadecimal = entity.groups()
    return _ENTITIES[name] if name else chr(int(decimal) if decimal else int(hexadecimal, 16))


def _unescaped(escape: re.Match[str]) -> str:
    unicode, byte, literal = escape.groups()
    return literal or chr(int(unicode or byte, 16))


def _percent_decoded(text: str) -> str:
    """Decode until an address stands there, as it may be encoded twice, and no further: its query is encoded too."""
    for _ in range(3):
        text = unquote(text)
        if _ABSOLUTE.match(text):
            break
    return text


def _base64_decoded(text: str) -> str:
    """Decode either alphabet, with or without padding; empty for what is no text."""
    digits = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
