"""What the log says: one line per event, for people or as JSON, with the task it is about, and never a secret.

What says who somebody is, such as a link's query, is taken out of the text where it is written, whoever wrote it. What
no rule can know stays: a secret that a site makes part of a link's path is such a thing.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

FACTS = ("task", "attempt", "lease", "delivery")

_about: ContextVar[dict[str, object]] = ContextVar("about")

# In this order: what is gone already leads none of the later ones astray
SECRETS = [
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # Headers, also in the form of a dictionary
        (r"\b((?:proxy-)?authorization|x-api-key|x-csrftoken)(['\"]?\s*[:=]\s*).+", r"\1\2…"),
        (r"\b((?:set-)?cookies?)(['\"]?\s*[:=]\s*)[^=]*=.+", r"\1\2…"),
        (r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", r"\1 …"),
        (r"\bdownie_[0-9a-f]+_[\w-]+", "downie_…"),  # our own API keys
        # Links: whose they are, what they ask for, and what follows after `#`
        (r"\b([a-z][a-z0-9+.-]*://)[^\s/?#\"'<>]*@", r"\1…@"),
        (r"\?[^\s\"'<>?=&]+=[^\s\"'<>]*", "?…"),
        (r"(://[^\s\"'<>#?]*)[?#][^\s\"'<>…][^\s\"'<>]*", r"\1?…"),
        # Whatever else is called so
        (
            r"\b(passw(?:or)?d|token|secret|sessionid|api_?key|sig(?:nature)?)(['\"]?\s*[:=]\s*['\"]?)[^\s'\"&,;]+",
            r"\1\2…",
        ),
    )
]


@contextmanager
def about(**facts: object) -> Iterator[None]:
    """Say in every line that is logged meanwhile, in this thread, what it is about: some of `FACTS`."""
    token = _about.set(_about.get({}) | facts)
    try:
        yield
    finally:
        _about.reset(token)


def without_secrets(text: str) -> str:
    """The text without what would open something to its reader."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


class About(logging.Filter):
    """Lets everything pass, and adds what it is about; what the caller says in `extra` goes first."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add it to the record."""
        record.__dict__.update(
            {name: str(fact) for name, fact in _about.get({}).items() if name not in record.__dict__}
        )
        return True


class Console(logging.Formatter):
    """A line for people; the lines of a traceback follow it."""

    def __init__(self) -> None:
        """Take the one form that there is."""
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the base's name
        """Say it in one line, with what it is about at the end."""
        facts = " ".join(f"{name}={record.__dict__[name]}" for name in FACTS if name in record.__dict__)
        text = super().formatMessage(record).replace("\r", r"\r").replace("\n", r"\n")
        return f"{text} [{facts}]" if facts else text

    def format(self, record: logging.LogRecord) -> str:
        """Say it without secrets."""
        return without_secrets(super().format(record))


class Json(JsonFormatter):
    """An object in one line for programs: `time`, `level`, `logger`, `message`, `exc_info` and what it is about."""

    def __init__(self) -> None:
        """Take the one form that there is."""
        names = {"levelname": "level", "name": "logger"}
        super().__init__(
            ["levelname", "name", "message"], rename_fields=names, timestamp="time", json_ensure_ascii=False
        )

    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        """Take the secrets out of every text."""
        return {name: without_secrets(value) if isinstance(value, str) else value for name, value in log_data.items()}
