"""The verbs of people about cookie jars."""

from django.utils.translation import gettext_noop

from downloads import actors, lookups
from downloads.models import CookieJar
from downloads.models.cookie_jar import Outcome
from downloads.sealing import Unreadable

UNREADABLE = gettext_noop("These cookies were stored with another secret key and cannot be read; enter them again.")
PASSED = gettext_noop("The site shows it with these cookies, and not without them.")
OPEN = gettext_noop("The site shows it without these cookies, too; test with a video that only this account may watch.")


def test(jar: CookieJar) -> tuple[Outcome, str]:
    """Look the jar's test address up with its cookies and, where there is a video, without; the jar notes the outcome.

    Blocks for as long as two look-ups may take.

    Returns:
        The outcome, and one sentence about it for people.

    Raises:
        Busy: too many look-ups run or wait already; nothing is noted.
    """
    outcome, sentence = _tried(jar)
    jar.note_test(outcome, sentence)
    return outcome, sentence


def _tried(jar: CookieJar) -> tuple[Outcome, str]:
    try:
        cookies = jar.unsealed()
    except Unreadable:
        return Outcome.FAILED, UNREADABLE
    if sentence := _look_up(jar.address, cookies):
        return Outcome.FAILED, sentence
    if _look_up(jar.address, ""):
        return Outcome.PASSED, PASSED
    return Outcome.OPEN, OPEN


def _look_up(url: str, cookies: str) -> str:
    """Why there is no video; empty where there is one."""
    try:
        lookups.look_up(actors.engine(), lookups.Question(url=url, cookies=cookies))
    except lookups.LookUpFailed as failed:
        return failed.failure.sentence
    return ""
