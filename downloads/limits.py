"""How much each client may ask. Counted in memory, or in Redis where many processes serve.

Windows are fixed: they begin with a client's first request and end all at once. That costs one counter a client, and
makes Retry-After true; a client may ask twice its share around the end of a window, which harms nobody.
"""

import functools
import logging
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import Self

from django.conf import settings
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

FAILED_LOGINS = "10/minute"  # passwords can be guessed
FAILED_KEYS = "60/minute"  # keys cannot; this spares the database

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """A limit under a name."""

    name: str
    item: RateLimitItem

    @classmethod
    def of(cls, name: str, text: str) -> Self:
        """Read a limit such as `600/minute`."""
        return cls(name, parse(text))

    def __str__(self) -> str:
        return f'"{self.name}";q={self.item.amount};w={self.item.get_expiry()}'


@dataclass(frozen=True)
class Count:
    """How much of a policy is left to a client, for how many seconds."""

    policy: Policy
    is_within: bool
    remaining: int
    seconds: int

    def __str__(self) -> str:
        return f'"{self.policy.name}";r={self.remaining};t={self.seconds}'


def policies_for(method: str | None, path: str) -> list[Policy]:
    """What holds for such a request; looking videos up costs more than anything else."""
    general = Policy.of("default", settings.RATE_LIMIT)
    if method == "POST" and path == "/api/downloads/extract":
        return [general, Policy.of("extract", settings.EXTRACT_RATE_LIMIT)]
    return [general]


def count(client: str, policies: Sequence[Policy]) -> list[Count]:
    """Count one request of this client; nothing is counted, and nothing refused, while Redis does not answer."""
    try:
        return [_count(client, policy) for policy in policies]
    except StorageError as error:
        logger.warning("Requests are not counted, since Redis does not answer: %s", error)
        return []


def failure_of(client: str, policy: Policy) -> Count | None:
    """Count one failed attempt of this client to say who they are; the count once there were too many."""
    return next((each for each in count(client, [policy]) if not each.is_within), None)


def failures_of(client: str, policy: Policy) -> Count | None:
    """Count nothing; the count if there were so many failed attempts that one more is too many."""
    try:
        if _limiter().test(policy.item, policy.name, client):
            return None
        return _standing(client, policy, is_within=False)
    except StorageError:
        return None


def headers_of(counts: Sequence[Count]) -> dict[str, str]:
    """The header fields that tell a client where it stands, as in draft-ietf-httpapi-ratelimit-headers."""
    if not counts:
        return {}
    exceeded = [each.seconds for each in counts if not each.is_within]
    headers = {
        "RateLimit-Policy": ", ".join(str(each.policy) for each in counts),
        "RateLimit": ", ".join(str(each) for each in counts),
    }
    return headers | ({"Retry-After": str(max(exceeded))} if exceeded else {})


def client_at(address: str) -> str:
    """Whom an address stands for: with IPv6 a client has a whole /64 to choose from."""
    try:
        mapped = IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return str(mapped or ip_network((int(IPv6Address(address)) >> 64 << 64, 64)))


class Sockets:
    """How many sockets each client has open in this process. For one thread: that of the event loop."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, client: str) -> Iterator[bool]:
        """Count one for as long as the block lasts; whether there is room for it."""
        self._open[client] += 1
        try:
            yield self._open[client] <= settings.MAX_SOCKETS_PER_CLIENT
        finally:
            self._open[client] -= 1
            self._open += Counter()  # whoever has none is forgotten


def _count(client: str, policy: Policy) -> Count:
    is_within = _limiter().hit(policy.item, policy.name, client)
    return _standing(client, policy, is_within=is_within)


def _standing(client: str, policy: Policy, *, is_within: bool) -> Count:
    resets_at, remaining = _limiter().get_window_stats(policy.item, policy.name, client)
    return Count(policy, is_within, remaining, max(math.ceil(resets_at - time.time()), 1))


@functools.cache
def _limiter() -> FixedWindowRateLimiter:
    """Made at the first request, since it starts a thread or connects."""
    uri = re.sub("^unix:", "redis+unix:", settings.REDIS_URL or "memory://")
    return FixedWindowRateLimiter(storage_from_string(uri, wrap_exceptions=True))
