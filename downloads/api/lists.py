"""How lists are narrowed, ordered and paged: by number (`offset`), or by a cursor that new tasks do not shift."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any

from django.core.signing import BadSignature, Signer
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Lower
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseNotModified
from django.utils.http import parse_etags
from ninja import Field, Schema
from pydantic import AfterValidator
from pydantic.config import JsonDict

from downloads.models import SAME_MOMENT, Task, TaskQuerySet
from downloads.refusals import Refused
from downloads.seen import Seen, seen
from downloads.states import Status

NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # when what is not finished counts as finished
# SQLite keeps a moment as text, in two spellings (.123 and .123000); adding nothing to it gives one. PostgreSQL: no-op.
NOTHING = Value(timedelta(0))
KEYS: dict[str, Any] = {
    "created_at": F("created_at") + NOTHING,
    "finished_at": Coalesce(F("finished_at") + NOTHING, Value(NEVER)),
    "title": Lower("title"),
    "file_size": F("file_size"),
    "status": F("status"),
}
MOMENTS = ("created_at", "finished_at")
NAMES = "|".join(Status)
Json = dict[str, Any]


class Order(StrEnum):
    """By what a list is ordered; a minus turns it round."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    TITLE = "title"
    TITLE_DOWN = "-title"
    FILE_SIZE = "file_size"
    FILE_SIZE_DOWN = "-file_size"
    FINISHED = "finished_at"
    FINISHED_DOWN = "-finished_at"
    STATUS = "status"
    STATUS_DOWN = "-status"

    @property
    def column(self) -> str:
        """What it looks at."""
        return self.removeprefix("-")

    @property
    def is_falling(self) -> bool:
        """Whether the greatest comes first."""
        return self.startswith("-")


def _in_utc(moment: datetime) -> datetime:
    try:
        in_utc = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        in_utc = NEVER - timedelta(1)
    if in_utc < NEVER:
        raise ValueError("Input should be a moment between the years 1970 and 9999")
    return in_utc


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("Input should have no NUL character in it")
    return text


Moment = Annotated[datetime, AfterValidator(_in_utc)]
MOMENT_SCHEMA: JsonDict = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ]
}


class Filters(Schema):
    """Which tasks."""

    status: str = Field(
        "",
        description="One status, or several with commas.",
        examples=["completed", "failed,cancelled"],
        json_schema_extra={"pattern": rf"^(({NAMES})(,({NAMES}))*)?$"},
    )
    q: Annotated[str, AfterValidator(_without_nul)] = Field(
        "", max_length=500, description="Text in the title, the link or the uploader, whatever its case."
    )
    playlist: str = Field(
        "",
        pattern=r"^([0-9a-f]{12}|none)?$",
        description="Only the items of the playlist with this id; `none` for what is in no playlist.",
    )
    created_after: Moment | None = Field(
        None,
        description="Added later than this: seconds since 1970, or ISO 8601 (in UTC unless it says otherwise).",
        json_schema_extra=MOMENT_SCHEMA,
    )
    created_before: Moment | None = Field(
        None,
        description="Added then or earlier, so that periods meet without a gap: seconds since 1970, or ISO 8601.",
        json_schema_extra=MOMENT_SCHEMA,
    )

    def narrowed(self) -> TaskQuerySet:
        """These tasks.

        Raises:
            Refused: VALIDATION_ERROR, an unknown status.
        """
        found: TaskQuerySet = Task.objects.all()
        if wanted := self._statuses():
            found = found.in_states(wanted)
        if self.q:
            found = found.matching(self.q)
        if self.playlist:
            found = found.top_level() if self.playlist == "none" else found.filter(playlist=self.playlist)
        # Exclusive here and inclusive there: so both spellings of a moment (see NOTHING) compare rightly as they are.
        if self.created_after:
            found = found.filter(created_at__gt=self.created_after)
        if self.created_before:
            found = found.filter(created_at__lte=self.created_before)
        return found

    def counts(self) -> tuple[dict[str, int], bool]:
        """How many of them are in each state, and whether that is only a part of them.

        Raises:
            Refused: VALIDATION_ERROR, an unknown status.
        """
        if self.is_tallied:
            wanted = self._statuses() or list(Status)
            kept = Task.objects.tally(is_top_level=self.playlist == "none")
            return {status: count if status in wanted else 0 for status, count in kept.items()}, False
        found = self.narrowed()
        return found.count_by_status(), not found.is_counted

    @property
    def is_tallied(self) -> bool:
        """Whether the database keeps the numbers of these anyway."""
        return not (self.q or self.created_after or self.created_before) and self.playlist in ("", "none")

    def _statuses(self) -> list[Status]:
        try:
            return [Status(name) for name in self.status.split(",") if name]
        except ValueError:
            sentence = f"A status in the filter is not known; there are {', '.join(Status)}."
            raise Refused("VALIDATION_ERROR", sentence, "status") from None


@dataclass(frozen=True)
class Listed:
    """A page of a list. `total` is how many there are on all pages; or more than that, if `is_part`."""

    tasks: list[Seen]
    total: int
    is_part: bool
    cursor: str  # of the next page; empty on the last


class ListQuery(Filters):
    """Which tasks, in which order, and how many of them."""

    limit: int = Field(50, ge=1, le=500, description="How many tasks at most.")
    offset: int = Field(0, ge=0, le=2**31, description="How many of the first to pass over.")
    order: Order = Field(
        Order.NEWEST, description="What is not finished has no time of its end, and counts as the oldest there."
    )
    cursor: str = Field(
        "",
        max_length=4096,
        pattern="^[A-Za-z0-9_.-]*(:[A-Za-z0-9_-]*){0,2}$",
        description="The `X-Next-Cursor` of the page before, asked for with the same order and filters.",
    )

    def page(self) -> Listed:
        """What is asked for.

        Raises:
            Refused: VALIDATION_ERROR, an unknown status or a cursor that is not ours.
        """
        found = self.narrowed()
        rest = self._after_cursor(found)
        if self.order.column not in MOMENTS:
            rest = rest.annotate(sort_key=KEYS[self.order.column])
        end = self.offset + self.limit
        rows = seen(rest.order_by(*self._ordering())[self.offset : end + 1])
        tasks = rows[: self.limit]
        cursor = self._cursor(tasks[-1].task) if len(rows) > self.limit else ""
        total = sum(self.counts()[0].values()) if self.is_tallied else found.counted().count()
        return Listed(tasks, total, not found.is_counted, cursor)

    def _ordering(self) -> tuple[Any, Any]:
        """By the plain column where that sorts alike: an index may serve it, and no row needs a function's call."""
        is_falling = self.order.is_falling
        if self.order.column == "finished_at":
            end = F("finished_at")
            first: Any = end.desc(nulls_last=True) if is_falling else end.asc(nulls_first=True)
        else:
            name = "created_at" if self.order.column == "created_at" else "sort_key"
            first = f"-{name}" if is_falling else name
        return first, "-id" if is_falling else "id"

    def _after_cursor(self, found: TaskQuerySet) -> TaskQuerySet:
        if not self.cursor:
            return found
        value, last_id = self._opened()
        side = "lt" if self.order.is_falling else "gt"
        if self.order.column == "created_at":  # a first cut that can use the index
            edge = value + SAME_MOMENT if self.order.is_falling else value - SAME_MOMENT
            found = found.filter(**{f"created_at__{side}": edge})
        beyond = Q(**{f"key__{side}": value}) | Q(**{"key": value, f"id__{side}": last_id})
        return found.alias(key=KEYS[self.order.column]).filter(beyond)

    def _cursor(self, task: Task) -> str:
        if self.order.column in MOMENTS:
            moment = getattr(task, self.order.column) or NEVER
            return self._signed(moment.isoformat(), task)
        return self._signed(task.sort_key, task)  # type: ignore[attr-defined]  # the annotation

    def _signed(self, key: str | int, task: Task) -> str:
        return Signer(salt="cursor").sign_object([self.order, key, task.id], compress=True)

    def _opened(self) -> tuple[Any, str]:
        try:
            order, value, last_id = Signer(salt="cursor").unsign_object(self.cursor)
        except BadSignature:
            sentence = "This cursor is not one of ours; take it from X-Next-Cursor as it is."
            raise Refused("VALIDATION_ERROR", sentence, "cursor") from None
        if order != self.order:
            sentence = f"This cursor belongs to a list in another order; ask with order={order}."
            raise Refused("VALIDATION_ERROR", sentence, "cursor")
        return datetime.fromisoformat(value) if self.order.column in MOMENTS else value, last_id


View = Callable[..., HttpResponse]


def with_etag(view: View) -> View:
    """Answer 304 without a body to a client that has this very answer; it changes whenever body or headers would."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # noqa: ANN401  whatever it takes
        response = view(request, *args, **kwargs)
        if response.status_code != 200:  # noqa: PLR2004
            return response
        said = [response.headers.get(name, "") for name in ("X-Total-Count", "X-Count-Is-Part", "X-Next-Cursor")]
        form = [request.GET.get("envelope", ""), request.headers.get("Accept", "")]
        digest = hashlib.sha256("\0".join([*said, *form]).encode() + response.content).hexdigest()
        etag = f'W/"{digest[:32]}"'
        known = parse_etags(request.headers.get("If-None-Match", ""))
        if etag in known or "*" in known:
            response = HttpResponseNotModified(
                headers={k: v for k, v in response.headers.items() if k.startswith("X-")}
            )
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, no-cache"  # keep it, and ask each time whether it still holds
        return response

    return answered
