"""Letters and their cases, in every script: what a search takes for the same."""

from collections import defaultdict
from functools import cache

# Between these are all letters that share a capital or a small letter with another one, as `ς` does with `σ`
FIRST, LAST = 0x80, 0x2C00
DOT_ABOVE = "\u0307"  # the small letter of the Turkish `İ` is an `i` with this


@cache
def spellings(letter: str) -> frozenset[str]:
    """Every letter that is this one but for its case; of `Σ` those are `Σ`, `σ` and `ς`. Others are only themselves."""
    found: set[str] = set()
    new = {letter}
    while new:
        found |= new
        new = {other for each in new for other in _cases(each) | _twins().get(each, set())} - found
    return frozenset(found)


def has_case(text: str) -> bool:
    """Whether there is a letter with another case in it, beside those of ASCII."""
    return any(len(spellings(letter)) > 1 for letter in text if not letter.isascii())


def _cases(letter: str) -> set[str]:
    """Without those that are more than one letter, such as the `SS` of `ß`; but a dot too many does not matter."""
    cases = {letter.lower().removesuffix(DOT_ABOVE), letter.upper(), letter.casefold()}
    return {case for case in cases if len(case) == 1}


@cache
def _twins() -> dict[str, set[str]]:
    """Which other letters have this one as a case."""
    found = defaultdict(set)
    for letter in map(chr, range(FIRST, LAST)):
        for case in _cases(letter):
            found[case].add(letter)
    return dict(found)
