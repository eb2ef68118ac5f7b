"""Where the engine may connect: which URLs are taken, and which addresses a connection may reach.

A URL is judged by its text alone, without a look-up of its name. The guard judges what a connection really goes to, so
that redirects, manifests and DNS answers are held to the same rule.
"""

import ipaddress
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import idna

from downloads.engine.words import gettext_noop

MAX_URL_LENGTH: Final = 8192
MAX_HOST_LENGTH: Final = 253
MAX_REFUSALS: Final = 20

# `is_global` of Python 3.11 is true for each of these, or becomes true in a later Python for a part of them: NAT64,
# 6to4, Teredo and IPv4-compatible addresses carry an IPv4 address that nobody has judged; the rest is not the internet.
# IANA has given out nothing but 2000::/3 as global unicast, hence the two halves around it.
_NEVER: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "::/3",  # with ::/96, 64:ff9b::/96 and 64:ff9b:1::/48
        "2001::/32",
        "2002::/16",
        "3fff::/20",
        "4000::/2",
        "8000::/1",  # with fec0::/10
    )
)

_LOOPBACK_NAMES: Final = frozenset(
    {
        "localhost",
        "localhost4",
        "localhost6",
        "localhost.localdomain",
        "localhost4.localdomain4",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
    }
)

# What browsers and chat programs leave at the ends of copied text, unseen: byte order mark, zero-width, bidi marks.
_INVISIBLE_ENDS: Final = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"
_FORBIDDEN_CHARACTER: Final = re.compile(r"[\x00-\x20\x7f-\x9f\s\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_WEB_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_HOST: Final = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#:@\[\]\\]++)"
_NETLOC: Final = re.compile(rf"{_HOST}(?::[0-9]*)?")
_WITHOUT_SCHEME: Final = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?(?=[/?#]|$)")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
_NUMBER: Final = re.compile(r"0x(?P<hexadecimal>[0-9a-f]{1,16})|0(?P<octal>[0-7]{0,16})|(?P<decimal>[1-9][0-9]{0,16})")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_BYTES_OF_IPV4: Final = 4
_LARGEST_BYTE: Final = 255


_BAD_HOST: Final = gettext_noop("The host or the port of this address is not valid.")
_BAD_NUMBERS: Final = gettext_noop("The IP address in this address is not valid.")


class BadUrl(ValueError):
    """What was given cannot be the URL of a video; `str(error)` is one sentence for people."""


@dataclass(frozen=True)
class AddressPolicy:
    """Which addresses may be reached: the public internet, and the networks that were allowed explicitly."""

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def allows(self, address: str | IPv4Address | IPv6Address) -> bool:
        """Tell whether a connection to this numeric address may be made; a name is never allowed.

        An IPv4-mapped address is judged as the IPv4 address that it stands for. A scope (`fe80::1%eth0`) names a link
        of this machine, so it passes only inside an allowed network.
        """
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        scoped = isinstance(parsed, IPv6Address) and parsed.scope_id is not None
        return self._is_in_allowed_network(parsed) or (not scoped and _is_public(_unwrapped(parsed)))

    def allows_loopback(self) -> bool:
        """Tell whether names such as `localhost` may be reached."""
        return self.allows("127.0.0.1") or self.allows("::1")

    def _is_in_allowed_network(self, address: IPv4Address | IPv6Address) -> bool:
        # An address with a scope is not equal to the same one without, so the networks see it without.
        plain = IPv6Address(int(address)) if isinstance(address, IPv6Address) else address
        return any(
            candidate in network for network in self.allowed_networks for candidate in (plain, _unwrapped(plain))
        )


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Give the IPv4 address inside ::ffff:0:0/96, or the address itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in _NEVER)


def normalise_url(text: str, policy: AddressPolicy) -> str:
    """Give the one URL that this text means, its host in lower-case ASCII and any IP address in its usual notation.

    Nothing is looked up: a name is taken as it is, and the guard judges the address behind it.

    Raises:
        BadUrl: the text is no http(s) URL of at most 8,192 characters, carries credentials or yt-dlp's own data, or
            names an address of which the policy will not hear.
    """
    url = _with_scheme(_checked_text(text))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadUrl(_BAD_HOST) from None
    if "@" in parts.netloc:
        raise BadUrl(gettext_noop("User names and passwords in an address are not accepted; use cookies to sign in."))
    if not host:
        raise BadUrl(gettext_noop("This address does not name a host."))
    if not _NETLOC.fullmatch(parts.netloc) or port == 0:
        # `urlsplit` reads `x[::1]y` as ::1, and another reader may not.
        raise BadUrl(_BAD_HOST)
    result = urlunsplit(parts._replace(netloc=_netloc(parts, _checked_host(host, policy), port)))
    if len(result) > MAX_URL_LENGTH:
        raise BadUrl(f"An address can have at most {MAX_URL_LENGTH:,} characters.")
    return result


def _checked_text(text: str) -> str:
    url = text.strip().strip(_INVISIBLE_ENDS).strip()
    if not url:
        raise BadUrl(gettext_noop("The address is empty."))
    if len(url) > MAX_URL_LENGTH:
        raise BadUrl(f"An address can have at most {MAX_URL_LENGTH:,} characters.")
    if _FORBIDDEN_CHARACTER.search(url):
        raise BadUrl(gettext_noop("An address cannot have spaces, line breaks or control characters in it."))
    if "__youtubedl_smuggle" in unquote(url):
        # yt-dlp hands data from one extractor to another in this fragment, and would believe a stranger's.
        raise BadUrl(gettext_noop("This address carries internal data of the downloader and is not accepted."))
    return url


def _with_scheme(text: str) -> str:
    if _WEB_SCHEME.match(text):
        return text
    if text.startswith("//"):
        return f"https:{text}"
    bare = _WITHOUT_SCHEME.match(text)
    if bare and _is_plainly_a_host(bare["host"]):
        return f"https://{text}"
    raise BadUrl(gettext_noop("Only web addresses that begin with http:// or https:// can be downloaded."))


def _is_plainly_a_host(text: str) -> bool:
    """Tell `example.com` and `[::1]` from words and other schemes: `cats`, `tel:123`."""
    return "." in text or text.startswith("[") or text.lower() in _LOOPBACK_NAMES


def _netloc(parts: SplitResult, host: str, port: int | None) -> str:
    return host if port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{port}"


def _checked_host(host: str, policy: AddressPolicy) -> str:
    """Give the host as it belongs into the URL: an ASCII name, an IPv4 address, or an IPv6 address in brackets."""
    if ":" in host:
        return f"[{_allowed(_ipv6(host), policy)}]"
    name = _ascii_name(host).removesuffix(".")
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        return str(_allowed(_ipv4(name), policy))
    if len(name) > MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise BadUrl(_BAD_HOST)
    if (name in _LOOPBACK_NAMES or name.endswith(".localhost")) and not policy.allows_loopback():
        raise BadUrl(gettext_noop("This address leads to the server itself, which downloads may not reach."))
    return name


def _allowed(address: IPv4Address | IPv6Address, policy: AddressPolicy) -> IPv4Address | IPv6Address:
    if not policy.allows(address):
        raise BadUrl(f"The address {address} is not on the public internet, so downloads may not reach it.")
    return address


def _ipv6(host: str) -> IPv6Address:
    try:
        return IPv6Address(host)
    except ValueError:
        raise BadUrl(_BAD_NUMBERS) from None


def _ipv4(host: str) -> IPv4Address:
    """Read an IPv4 address as the C library does: up to four decimal, octal or hexadecimal numbers, the last one wide.

    Raises:
        BadUrl: there is no such address. A host that ends in a number is never a name.
    """
    *firsts, last = (_number(part) for part in host.split("."))
    bytes_left = _BYTES_OF_IPV4 - len(firsts)
    if bytes_left < 1 or last >= 256**bytes_left or any(number > _LARGEST_BYTE for number in firsts):
        raise BadUrl(_BAD_NUMBERS)
    return IPv4Address(bytes(firsts) + last.to_bytes(bytes_left, "big"))


def _number(text: str) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadUrl(_BAD_NUMBERS)
    if match["hexadecimal"]:
        return int(match["hexadecimal"], 16)
    return int(match["decimal"] or 0) or int(match["octal"] or "0", 8)


def _ascii_name(host: str) -> str:
    """Map a host name to lower-case ASCII (UTS 46), which also turns full-width digits and dots into plain ones."""
    if host.isascii():
        return host.lower()
    try:
        mapped = idna.uts46_remap(host[: MAX_HOST_LENGTH + 1], std3_rules=False)
        # Label by label: IDNA forbids in plain ASCII names what real ones have, such as `r3---sn-4g5e` and `a_b`.
        return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in mapped.split("."))
    except UnicodeError:
        raise BadUrl(_BAD_HOST) from None


class AddressRefused(PermissionError):
    """A connection of this process was refused by the guard."""


class Guard:
    """Refuses connections of Python's own sockets that the policy forbids, and remembers what it refused.

    Native code (curl_cffi, ffmpeg) and the name look-ups of the C library are not seen.
    """

    _EVENTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})

    def __init__(self, policy: AddressPolicy, egress: tuple[str, int] | None = None) -> None:
        self.refused: list[str] = []
        """The first refusals, 20 at most. Libraries hide a refusal behind an error that looks worth a retry."""
        self._policy = policy
        self._egress = egress
        self._thread = threading.local()

    @contextmanager
    def unnoted(self) -> Iterator[None]:
        """Refuse as ever, but do not note it: for requests of this thread without which the download goes on."""
        self._thread.is_unnoted = True
        try:
            yield
        finally:
            self._thread.is_unnoted = False

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        """Judge one audit event; every event of the interpreter comes through here.

        Raises:
            AddressRefused: the connection goes where the policy forbids.
        """
        if event in self._EVENTS and not self._is_egress(event, args[1]):
            self._judge(args[1])

    def _is_egress(self, event: str, address: object) -> bool:
        return event == "socket.connect" and self._egress is not None and address == self._egress

    def _judge(self, address: object) -> None:
        if address is None:  # sendmsg on a socket whose connection has been judged
            return
        host = _numeric_host(address)
        if host is None or not self._policy.allows(host):
            self._refuse(address if host is None else host)

    def _refuse(self, address: object) -> None:
        described = f"address not allowed: {address!r}"[:200]
        if len(self.refused) < MAX_REFUSALS and not getattr(self._thread, "is_unnoted", False):
            self.refused.append(described)
        raise AddressRefused(described)


def _numeric_host(address: object) -> str | None:
    """Give the host of an IPv4 or IPv6 socket address with its scope, or None for all other kinds (Unix, VSOCK, …)."""
    match address:
        case (str(host), int()) | (str(host), int(), int()) | (str(host), int(), int(), 0):
            return host
        case (str(host), int(), int(), int(scope)):
            return host if "%" in host else f"{host}%{scope}"
        case _:
            return None


def install_guard(policy: AddressPolicy, egress: tuple[str, int] | None = None) -> Guard:
    """Hold this process to the policy from now on; no code can take the guard away again.

    Connections to `egress`, the address and port of our own proxy, pass whatever the policy says: it judges for itself.

    To be called before the first request, since a connection that stands is not judged.
    """
    guard = Guard(policy, egress)
    sys.addaudithook(guard.hook)
    return guard
