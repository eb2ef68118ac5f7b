"""How a request asks the origin to misbehave. The parameters are described in server.py."""

from dataclasses import dataclass
from urllib.parse import urlencode

CARRIED = (
    "delay",
    "rate",
    "each",
    "cut",
    "cut_times",
    "status",
    "times",
    "skip",
    "retry_after",
    "norange",
    "nolength",
    "noetag",
    "etag",
    "weak",
    "modified",
    "id",
    "on",
    "need_cookie",
    "lasts",
    "speed",
    "window",
)
ALWAYS = float("inf")


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    delay: float = 0.0
    rate: int = 0
    each: int = 0
    cut: int | None = None
    cut_times: float = ALWAYS
    status: int = 0
    times: float = ALWAYS
    skip: int = 0
    retry_after: str = ""
    norange: bool = False
    nolength: bool = False
    noetag: bool = False
    etag: str = ""
    weak: bool = False
    modified: str = "Thu, 01 Jan 2026 00:00:00 GMT"

    @classmethod
    def asked_by(cls, query: dict[str, str]) -> "Behaviour":
        return cls(
            delay=float(query.get("delay", 0)),
            rate=int(query.get("rate", 0)),
            each=int(query.get("each", 0)),
            cut=int(query["cut"]) if "cut" in query else None,
            cut_times=float(query.get("cut_times", ALWAYS)),
            status=int(query.get("status", 0)),
            times=float(query.get("times", ALWAYS)),
            skip=int(query.get("skip", 0)),
            retry_after=query.get("retry_after", ""),
            norange="norange" in query,
            nolength="nolength" in query,
            noetag="noetag" in query,
            etag=query.get("etag", ""),
            weak="weak" in query,
            modified=query.get("modified", cls.modified),
        )


def is_aimed_at(path: str, query: dict[str, str], *, document: bool) -> bool:
    """Tell whether the behaviour in the query is meant for this path; a document is a manifest or a page."""
    on = query.get("on")
    if on is None:
        return not document
    if on == "manifest":
        return document
    return on in path


def carried(query: dict[str, str]) -> str:
    """Return the part of the query that a document's links take with them: "" or "?…"."""
    kept = {name: query[name] for name in CARRIED if name in query}
    return f"?{urlencode(kept)}" if kept else ""
