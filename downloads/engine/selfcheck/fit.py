"""Whether what we change inside yt-dlp is still there, and is still called in the same way."""

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

from yt_dlp import YoutubeDL

from downloads.engine import cures
from downloads.engine.selfcheck.findings import CheckFailed


def check_cures() -> None:
    """Compare every cure with what it takes the place of.

    Raises:
        CheckFailed: names what is missing or is called in another way.
    """
    for owner, name, cure in (*cures.PATCHES, (YoutubeDL, "urlopen", cures.CappedYoutubeDL.urlopen)):
        original = inspect.getattr_static(owner, name, None)
        if original is None:
            raise CheckFailed(f"yt-dlp has no {owner.__name__}.{name} any more")
        if not takes_the_same(_function(cure), _function(original)):
            raise CheckFailed(f"yt-dlp calls {owner.__name__}.{name} in another way now")


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


def _function(member: Any) -> Any:  # noqa: ANN401  a function, or the setter of a property
    return member.fset if isinstance(member, property) else member
