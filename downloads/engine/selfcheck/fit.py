"""Whether what we change inside yt-dlp is still there, and is still called in the same way."""

import inspect
import sys
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any, NamedTuple

from yt_dlp import YoutubeDL

from downloads.engine import cures
from downloads.engine.selfcheck.findings import CheckFailed

OURS = "downloads."
Members = dict[type, dict[str, Any]]


class Change(NamedTuple):
    """A function of ours in a class of yt-dlp, and what was there before, if anything."""

    name: str
    cure: Any
    original: Any


def check_cures() -> None:
    """Apply the cures, and compare every function that they put in with the one that was there.

    Raises:
        CheckFailed: names what is missing or is called in another way.
    """
    before = _members()
    cures.apply()
    capped = Change("YoutubeDL.urlopen", cures.CappedYoutubeDL.urlopen, getattr(YoutubeDL, "urlopen", None))
    for change in (capped, *changes(before)):
        if change.original is None:
            raise CheckFailed(f"yt-dlp has no {change.name} any more")
        if not takes_the_same(change.cure, change.original):
            raise CheckFailed(f"yt-dlp calls {change.name} in another way now")


def changes(before: Members) -> Iterator[Change]:
    """What is ours now in classes that had these members."""
    for owner in before:
        for name, member in list(vars(owner).items()):
            cure = _function(member)
            if str(getattr(cure, "__module__", "")).startswith(OURS):
                originals = (before[base].get(name) for base in owner.__mro__ if base in before)
                original = next((each for each in originals if each is not None), None)
                yield Change(f"{owner.__name__}.{name}", cure, _function(original))


def takes_the_same(cure: Callable[..., Any], original: Callable[..., Any]) -> bool:
    """Whether the cure can be called as the original is: with what it has to be given, and with all that it may be."""
    wanted = inspect.signature(original).parameters.values()
    positional = [each for each in wanted if each.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    required = [each.name for each in positional if each.default is Parameter.empty]
    named = {each.name: None for each in positional if each.default is not Parameter.empty}
    only_named = {each.name: None for each in wanted if each.kind == Parameter.KEYWORD_ONLY}
    try:
        inspect.signature(cure).bind(*required)
        inspect.signature(cure).bind(*required, **named, **only_named)
    except TypeError:
        return False
    return True


def _members() -> Members:
    """What every class has that yt-dlp has loaded so far."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "yt_dlp"]
    found = (value for module in modules for value in list(vars(module).values()) if isinstance(value, type))
    return {owner: dict(vars(owner)) for owner in found if owner.__module__.startswith("yt_dlp.")}


def _function(member: Any) -> Any:  # noqa: ANN401  a function, or what wraps one
    if isinstance(member, property):
        return member.fset or member.fget
    return getattr(member, "__func__", member)
