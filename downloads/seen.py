"""Tasks as they are read to be shown, and what was made of them: anew only where a row is another one by now.

Most of what is shown has been shown before, and what is finished does not change. A row is known again by all that was
read of it, as the database gave it, so that nothing here can be out of date.
"""

import itertools
from collections.abc import Callable
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
    beside = tuple(tasks.query.annotation_select)
    compiler = tasks.values_list(*COLUMNS, *beside).query.get_compiler(tasks.db)
    rows = [row for chunk in compiler.execute_sql() for row in chunk]
    keys = [row + beside for row in rows] if beside else rows
    found = _memory.find(keys)
    unknown = [index for index, each in enumerate(found) if each is None]
    if not unknown:
        return cast("list[Seen]", found)
    as_task = create_namedtuple_class(*COLUMNS, *beside)._make
    read = compiler.results_iter([[rows[index] for index in unknown]])
    fresh = {keys[index]: Seen(cast("Task", as_task(row))) for index, row in zip(unknown, read, strict=True)}
    _memory.keep(fresh)
    return [each or fresh[key] for each, key in zip(found, keys, strict=True)]


def _json(task: Task) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(task_json(task)))


Key = tuple[Any, ...]  # what was read, and the names of what is beside the columns


class _Memory:
    """The rows that were read for the first time last. For any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: dict[Key, Seen] = {}

    def find(self, keys: list[Key]) -> list[Seen | None]:
        with self._lock:
            return [self._rows.get(key) for key in keys]

    def keep(self, rows: dict[Key, Seen]) -> None:
        with self._lock:
            self._rows.update(rows)
            for key in list(itertools.islice(self._rows, max(len(self._rows) - MOST, 0))):
                del self._rows[key]


_memory = _Memory()
