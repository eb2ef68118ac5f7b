"""Tasks as they are read to be shown, and what was made of them: anew only where a row is another one by now.

Most of what is shown has been shown before, and what is finished does not change. A row is known again by all that was
read of it, as the database gave it, so that nothing here can be out of date.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, Final, TypeVar, cast

import msgspec
from django.db.models import QuerySet
from django.db.models.utils import create_namedtuple_class

from downloads.models import Task
from downloads.schemas import COLUMNS, task_json

MOST: Final = 1_000  # rows; the first message of the feed has 500

Made = TypeVar("Made")


class Seen:
    """One row, with names like those of a task, and what was made of it so far."""

    __slots__ = ("_made", "task")

    def __init__(self, task: Task) -> None:
        """Nothing was made of it yet."""
        self.task = task
        self._made: dict[Any, Any] = {}

    def made(self, make: Callable[..., Made], *more: str) -> Made:
        """What `make` makes of the task and of these, once for all time: of nothing else, such as the hour."""
        key = (make, *more)
        if key not in self._made:
            self._made[key] = make(self.task, *more)
        return cast("Made", self._made[key])

    @property
    def json(self) -> msgspec.Raw:
        """The task as lists and the feed show it, to be put into other JSON."""
        return self.made(_json)


def seen(tasks: QuerySet[Task]) -> list[Seen]:
    """Read these tasks, as far as it takes to show them."""
    names = (*COLUMNS, *tasks.query.annotation_select)
    compiler = tasks.values_list(*names).query.get_compiler(tasks.db)
    rows = [row for chunk in compiler.execute_sql() for row in chunk]
    found = _memory.find([(names, row) for row in rows])
    news = [row for row, each in zip(rows, found, strict=True) if each is None]
    if not news:
        return cast("list[Seen]", found)
    as_task = create_namedtuple_class(*names)._make
    read = [Seen(cast("Task", as_task(row))) for row in compiler.results_iter([news])]
    _memory.keep(zip([(names, row) for row in news], read, strict=True))
    left = iter(read)
    return [each or next(left) for each in found]


def _json(task: Task) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(task_json(task)))


Key = tuple[tuple[str, ...], tuple[Any, ...]]  # the names of what was read, and what that was


class _Memory:
    """The rows that were read last. For any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: OrderedDict[Key, Seen] = OrderedDict()

    def find(self, keys: list[Key]) -> list[Seen | None]:
        with self._lock:
            found = [self._rows.get(key) for key in keys]
            for key, each in zip(keys, found, strict=True):
                if each:
                    self._rows.move_to_end(key)
        return found

    def keep(self, rows: Iterable[tuple[Key, Seen]]) -> None:
        with self._lock:
            self._rows.update(rows)
            while len(self._rows) > MOST:
                self._rows.popitem(last=False)


_memory = _Memory()
