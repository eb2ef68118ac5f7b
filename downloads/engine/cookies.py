"""A user's cookies for one site, from the three forms in which people have them.

They live in memory only and go to the site that the user asked for. No error tells a cookie's name or value: in a
malformed text the one may stand where the other belongs.
"""

import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from http.cookiejar import Cookie, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from publicsuffixlist import PublicSuffixList

from downloads.engine.words import gettext_noop

MAX_TEXT_LENGTH: Final = 65_536
MAX_COOKIES: Final = 300
MAX_VALUE_LENGTH: Final = 8_192

_HTTP_ONLY_PREFIX: Final = "#HttpOnly_"
_NETSCAPE_FIELDS: Final = 7
# Wider than RFC 6265's token, since sites use brackets and colons; what a Cookie header cannot carry stays out.
_NAME: Final = re.compile(r"[!-:<>-~]{1,256}")
_VALUE: Final = re.compile(r"[ -:<-~\xa0-\xff]*")
_PATH: Final = re.compile(r"/[ -:<-~]{0,1023}")
# Browsers count expiry in seconds, some exports in milliseconds. A second count this large lies beyond the year 5000.
_MILLISECONDS_FROM: Final = 1e11
# Short or older names of sites, whose extractors ask the site under its own name and need its cookies there.
_OTHER_NAMES: Final = {
    "b23.tv": "bilibili.com",
    "dai.ly": "dailymotion.com",
    "fb.watch": "facebook.com",
    "redd.it": "reddit.com",
    "twitter.com": "x.com",
    "youtu.be": "youtube.com",
    "youtube-nocookie.com": "youtube.com",
}


class BadCookies(ValueError):
    """The text holds no cookies in a form that is known; `str(error)` is one sentence for people, without secrets."""


class _Exported(msgspec.Struct, rename={"host_only": "hostOnly", "expiration_date": "expirationDate"}):
    """One cookie in a browser extension's JSON; Playwright's `expires` counts like `expirationDate`."""

    name: str
    value: str = ""
    domain: str | None = None
    path: str | None = None
    host_only: bool | None = None
    secure: bool | None = None
    expiration_date: float | None = None
    expires: float | None = None


class _Site:
    """Whose cookies are taken: the registrable domain of a URL, or its host alone where there is no such domain."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.is_https = parts.scheme == "https"
        self.domain = _registrable_domain(self.host)
        if self.domain in _OTHER_NAMES:
            self.host = self.domain = _OTHER_NAMES[self.domain]

    def owns(self, domain: str) -> bool:
        if self.domain is None:
            return domain == self.host
        return domain == self.domain or domain.endswith(f".{self.domain}")

    def bare_cookie(self, name: str, value: str) -> Cookie:
        """Make a cookie of which only name and value are known: for the whole site, on https for https only.

        A `__Host-` cookie belongs to one host by its definition (RFC 6265bis), whatever a header leaves out.
        """
        host_only = name.startswith("__Host-")
        return self.cookie(name, value, domain=self.host if host_only else "", host_only=host_only)

    def cookie(  # noqa: PLR0913  a cookie has that many attributes
        self,
        name: str,
        value: str,
        *,
        domain: str = "",
        host_only: bool = False,
        path: str | None = None,
        secure: bool | None = None,
        expires: int | None = None,
    ) -> Cookie:
        host_only = host_only or self.domain is None
        owner = domain or self.domain or self.host
        return Cookie(
            version=0,
            name=name,
            value=value,
            port=None,
            port_specified=False,
            domain=_jar_host(owner) if host_only else f".{owner}",
            domain_specified=not host_only,
            domain_initial_dot=not host_only,
            path=path or "/",
            path_specified=True,
            secure=self.is_https if secure is None else secure,
            expires=expires,
            discard=expires is None,
            comment=None,
            comment_url=None,
            rest={},
        )


def site_of(url: str) -> str:
    """Give the site that a normalised URL belongs to: `example.co.uk` for one at `www.example.co.uk`.

    A host without a registrable domain is a site by itself. `youtu.be` and the like are the site that they lead to.
    """
    site = _Site(url)
    return site.domain or site.host


def parse_cookies(text: str, url: str) -> list[Cookie]:
    """Read the cookies that the site of a normalised URL may have, ready for `YoutubeDL.cookiejar.set_cookie`.

    The jar needs `cookie_policy` as well, or else a host's cookies reach the names below it.

    The text is a Cookie header (`a=b; c=d`), a Netscape cookies.txt or the JSON of a browser extension. Cookies of
    other sites are left out, so the list may be empty. A pair without a domain goes to the whole registrable domain of
    the URL; an IP address, a single-label host and a public suffix have none, and their cookies stay on the host. A
    short name such as `youtu.be` stands for the site that it leads to.

    Raises:
        BadCookies: the text is in none of the forms, too long (65,536 characters), holds more than 300 cookies for
            this site, or a cookie that no request can carry.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise BadCookies(gettext_noop("The cookies are too long; export those of this site only."))
    cookies = []
    for number, cookie in enumerate(_cookies(text.strip("\ufeff \r\n"), _Site(url)), start=1):
        if number > MAX_COOKIES:
            raise BadCookies(f"There are more than {MAX_COOKIES} cookies; export those of this site only.")
        _check(cookie, number)
        cookies.append(cookie)
    return cookies


def cookie_policy() -> DefaultCookiePolicy:
    """Give the policy for `YoutubeDL.cookiejar.set_policy` under which a host-only cookie stays on its host.

    Python's default sends it to every name below the host too: from `github.io` to whoever has a page there.
    """
    return DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)


def is_same_site(url: str, other: str) -> bool:
    """Tell whether two URLs are of one site: cookies for the second would go to the first."""
    return _Site(other).owns(urlsplit(url).hostname or "")


def _cookies(text: str, site: _Site) -> Iterator[Cookie]:
    if text.startswith(("[", "{")):
        return _from_json(text, site)
    if "\t" in text or text.startswith("#"):
        return _from_netscape(text, site)
    return _from_header(text, site)


def _check(cookie: Cookie, number: int) -> None:
    """Refuse what would break the header of a request, or begin another one."""
    fits = (
        _NAME.fullmatch(cookie.name)
        and _VALUE.fullmatch(cookie.value or "")
        and len(cookie.value or "") <= MAX_VALUE_LENGTH
        and _PATH.fullmatch(cookie.path)
    )
    if not fits:
        raise BadCookies(f"Cookie {number} has characters that a cookie cannot have, or is too long.")


def _from_header(text: str, site: _Site) -> Iterator[Cookie]:
    header = re.sub(r"^cookie:", "", text, flags=re.IGNORECASE)
    pairs = [pair.strip(" ") for pair in header.split(";")]
    for number, pair in enumerate(filter(None, pairs), start=1):
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadCookies(f"Part {number} of the cookies is not of the form name=value.")
        yield site.bare_cookie(name.rstrip(" "), value.lstrip(" "))


def _from_netscape(text: str, site: _Site) -> Iterator[Cookie]:
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.removeprefix(_HTTP_ONLY_PREFIX)
        if not content.strip() or content.startswith("#"):
            continue
        fields = content.split("\t")
        if len(fields) != _NETSCAPE_FIELDS:
            raise BadCookies(f"Line {number} of the cookie file does not have seven fields with tabs between them.")
        domain, with_subdomains, path, secure, expires, name, value = fields
        owner = _plain_domain(domain)
        if site.owns(owner):
            yield site.cookie(
                name,
                value,
                domain=owner,
                host_only=with_subdomains.upper() != "TRUE",
                path=path,
                secure=secure.upper() == "TRUE",
                expires=_expiry(_seconds(expires, number)),
            )


def _seconds(text: str, line: int) -> float:
    try:
        return float(text or 0)
    except ValueError:
        pass
    raise BadCookies(f"Line {line} of the cookie file has no valid expiry time.")


def _from_json(text: str, site: _Site) -> Iterator[Cookie]:
    for exported in _exported(text):
        owner = _plain_domain(exported.domain or "")
        if not owner:
            yield site.bare_cookie(exported.name, exported.value)
        elif site.owns(owner):
            host_only = exported.host_only
            yield site.cookie(
                exported.name,
                exported.value,
                domain=owner,
                host_only=not (exported.domain or "").startswith(".") if host_only is None else host_only,
                path=exported.path,
                secure=bool(exported.secure),
                expires=_expiry(exported.expiration_date or exported.expires or 0),
            )


def _exported(text: str) -> list[_Exported]:
    """Read a list of cookies, `{"cookies": [list]}`, or one object of names and values."""
    try:
        decoded = msgspec.json.decode(text)
        return msgspec.convert(list(_items(decoded)), list[_Exported], strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    # Raised out here, so that no context with the cookies in it hangs on the error.
    raise BadCookies(gettext_noop("The cookies look like JSON, but not like a browser's list of cookies."))


def _items(decoded: Any) -> Iterable[Any]:  # noqa: ANN401  whatever JSON there is
    if isinstance(decoded, dict):
        inner = decoded.get("cookies")
        return inner if isinstance(inner, list) else ({"name": k, "value": v} for k, v in decoded.items())
    return decoded if isinstance(decoded, list) else []


def _expiry(seconds: float) -> int | None:
    """Give the expiry in epoch seconds, or None for a cookie that ends with the session (0, -1, no number)."""
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return int(seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds)


def _plain_domain(domain: str) -> str:
    return domain.strip().lower().removeprefix(".").removesuffix(".")


def _jar_host(host: str) -> str:
    """Write a host as `http.cookiejar` compares it: IPv6 in brackets, and `.local` behind what has no dot."""
    name = f"[{host}]" if ":" in host else host
    return name if "." in name else f"{name}.local"


def _registrable_domain(host: str) -> str | None:
    """Give `example.co.uk` for `www.example.co.uk`, and None where cookies must not leave the host."""
    if "." not in host or _is_ip_address(host):
        return None
    return _suffix_list().privatesuffix(host)


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _suffix_list() -> PublicSuffixList:
    """Load the list that comes with its library, `github.io` included. A domain that it does not know is no suffix.

    Loading takes 60 ms (measured), so it waits for the first cookie.
    """
    return PublicSuffixList(accept_unknown=False)
