"""Rates as people write them: bytes a second, with K, M or G behind them or not. K is 1,024."""

import re
from typing import Final

LOWEST: Final = 1024  # bytes a second: with less nothing gets on
HIGHEST: Final = 2**40
_RATE: Final = re.compile(r"(?P<number>[0-9]{1,13}(?:\.[0-9]{1,3})?)(?P<unit>[KMG]?)", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def rate_of(text: str) -> int:
    """Read `500K`, `1.5M` or `0`.

    Raises:
        ValueError: it is none, or a rate out of all reason; 0 is none of these.
    """
    found = _RATE.fullmatch(text.strip())
    rate = int(float(found["number"]) * _UNITS[found["unit"].upper()]) if found else -1
    if rate and not LOWEST <= rate <= HIGHEST:
        raise ValueError("no rate")
    return rate


def rate_text(rate: int | None) -> str:
    """The rate as somebody would type it; nothing for None."""
    if rate is None:
        return ""
    unit = next((unit for unit in "GMK" if rate and rate % _UNITS[unit] == 0), "")
    return f"{rate // _UNITS[unit]}{unit}"
