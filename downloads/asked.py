"""Which part of the list somebody looks at, as the address of the page says it."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import F
from django.db.models.functions import Lower
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from downloads.models import Task, TaskQuerySet
from downloads.words import TABS

PAGE_SIZE = 50
MAX_QUERY = 500  # characters that are searched for


class TaskPages(Paginator):  # type: ignore[type-arg]  # which it only takes for type checkers
    """The pages of a list of so many tasks."""

    def __init__(self, tasks: TaskQuerySet, count: int) -> None:
        """Take the number, since whoever shows the list has counted it."""
        super().__init__(tasks, PAGE_SIZE)
        self.count = count


# As the API orders, so that a page that is asked for later goes on where this one ends
ORDERS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "-created_at": (_("Newest first"), ("-created_at", "-id")),
    "created_at": (_("Oldest first"), ("created_at", "id")),
    "title": (_("By title"), (Lower("title"), "id")),
    "-file_size": (_("Largest first"), ("-file_size", "-id")),
    "-finished_at": (_("Last finished first"), (F("finished_at").desc(nulls_last=True), "-id")),
}


@dataclass(frozen=True)
class Asked:
    """Which part of the list somebody looks at. Nonsense in an address is passed over: it shows the whole list."""

    tab: str = "all"
    q: str = ""
    order: str = "-created_at"
    page: str = "1"
    playlist: str = ""

    @classmethod
    def by(cls, query: QueryDict) -> Self:
        """Read what the address says."""
        tab, order = query.get("tab", ""), query.get("order", "")
        return cls(
            tab=tab if tab in TABS else cls.tab,
            q=query.get("q", "").replace("\0", "").strip()[:MAX_QUERY],
            order=order if order in ORDERS else cls.order,
            page=query.get("page", cls.page),
        )

    def address(self, **changes: str) -> str:
        """The query string that leads there; empty for the list as it is first seen."""
        usual = Asked()
        wanted = asdict(replace(self, **{"page": "1", **changes}))
        said = {name: value for name, value in wanted.items() if name != "playlist" and value != getattr(usual, name)}
        return f"?{urlencode(said)}" if said else "?"

    @cached_property
    def candidates(self) -> TaskQuerySet:
        """What the tabs count: all that is searched for, or, without a search, all but the items of playlists."""
        if self.playlist:
            found: TaskQuerySet = Task.objects.filter(playlist=self.playlist)
        else:
            found = Task.objects.all() if self.q else Task.objects.top_level()
        return found.matching(self.q) if self.q else found

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many of them are in each state."""
        is_whole_list = not (self.q or self.playlist)
        return Task.objects.tally(is_top_level=True) if is_whole_list else self.candidates.count_by_status()

    def count(self, tab: str) -> int:
        """How many of them this tab shows."""
        return sum(self.counts[status] for status in TABS[tab])

    def tasks(self) -> Page[Task]:
        """One page of what the chosen tab shows."""
        found = self.candidates
        if self.tab != "all":
            found = found.in_states(TABS[self.tab])
        return TaskPages(found.order_by(*ORDERS[self.order][1]), self.count(self.tab)).get_page(self.page)
