"""The index of searches: which tasks may hold a text, found without a look at each of them.

It knows the pieces of up to three characters of every title, link and uploader. It only narrows: what it names is
looked at all the same. The database keeps it in step by itself (migration 0020), whoever writes.
"""

import json
import re
from collections.abc import Iterator
from functools import reduce
from itertools import product
from operator import or_
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F, Func, Q, Value

from downloads.models.spelling import has_case, spellings

COLUMNS = ("title", "url", "uploader")
# So many tasks are looked at one by one. What is in more of them is met soon enough in any order.
FEW = 2_000
# Of the newest tasks PostgreSQL looks at so many first. If a text is in this share of them it is a common one, and
# enough that hold it are sooner found among the newest than by the index, which finds all before it names one: it is
# looked for in twice as many of them as should do.
FIRST, COMMON = 500, 0.2
SIZE = 3  # characters of a piece
# With it nearly all links begin: to look it up takes long, and narrows nothing
BEGIN_OF_LINKS = re.compile(r"^https?://(www\.)?", re.IGNORECASE)
# Letters whose case the index of SQLite does not know, beside all from here on: it is older than those
UNKNOWN_TO_SQLITE, UNKNOWN_FROM = "ıİͿ", "\u0528"
LAST_CHARACTER = "\U0010ffff"


class Among(Func):
    """Whether a row is one of these: one parameter however many they are, of which `IN` would want as many."""

    output_field = models.BooleanField()

    def __init__(self, ids: tuple[str, ...]) -> None:
        """Take their ids."""
        super().__init__(F("pk"))
        self.ids = ids

    def as_sqlite(self, compiler: Any, connection: Any, **_options: Any) -> tuple[str, tuple[Any, ...]]:  # noqa: ANN401, ARG002
        """Unpack JSON."""
        column, values = compiler.compile(self.source_expressions[0])
        return f"{column} IN (SELECT value FROM json_each(%s))", (*values, json.dumps(self.ids))  # noqa: S608  a column

    def as_postgresql(self, compiler: Any, connection: Any, **_options: Any) -> tuple[str, list[Any]]:  # noqa: ANN401, ARG002
        """Give an array."""
        column, values = compiler.compile(self.source_expressions[0])
        return f"{column} = ANY(%s)", [*values, list(self.ids)]


class Glob(Func):
    """SQLite's own pattern, which can name the cases of a letter; its LIKE knows those of ASCII alone."""

    template = "%(expressions)s"
    arg_joiner = " GLOB "
    output_field = models.BooleanField()


def holding(text: str) -> Q:
    """Title, link or uploader hold this text, whatever its case; nothing in it is a wild card."""
    if connection.vendor == "sqlite" and has_case(text):
        pattern = Value(f"*{''.join(map(_any_case, text))}*")
        return reduce(or_, (Q(Glob(F(column), pattern)) for column in COLUMNS))
    return reduce(or_, (Q((f"{column}__icontains", text)) for column in COLUMNS))


def candidates(text: str) -> tuple[str, ...]:
    """The ids of tasks that may hold this text: of all of them, or of more than `FEW` if there are so many."""
    find = _in_sqlite if connection.vendor == "sqlite" else _in_postgresql
    return tuple(find(text))


def _any_case(letter: str) -> str:
    """Stand for a letter in GLOB, or for a character that means something there."""
    several = spellings(letter)
    return f"[{''.join(sorted(several))}]" if len(several) > 1 or letter in "*?[" else letter


def pieces(text: str) -> list[str]:
    """What everything that holds the text holds as well; a text that is shorter than a piece is its own."""
    rest = BEGIN_OF_LINKS.sub("", text)
    text = rest if len(rest) >= SIZE else text
    last = max(len(text) - SIZE, 0)
    return sorted({text[start : start + SIZE] for start in (*range(0, last, SIZE), last)})


def _in_postgresql(text: str) -> list[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        if len(_among_newest(cursor, text, FIRST, FIRST)) >= FIRST * COMMON:
            found = _among_newest(cursor, text, int(2 * FEW / COMMON), FEW + 1)
            if len(found) > FEW:
                return found
        # A scan of all rows would cut each of them into pieces, and so would one of pages that stand for their rows
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL work_mem = '64MB'")
        every = pieces(text)
        rare = _rare(cursor, every)
        found = _with_pieces(cursor, rare or every)
        return found if len(found) <= FEW or len(rare) in (0, len(every)) else _with_pieces(cursor, every)


def _with_pieces(cursor: CursorWrapper, wanted: list[str]) -> list[str]:
    cursor.execute(
        'SELECT id FROM downloads_task WHERE downloads_pieces(title, url, uploader) COLLATE "C" @> '
        "(SELECT array_agg(upper(piece)) FROM unnest(%s::text[]) AS piece) LIMIT %s",
        [wanted, FEW + 1],
    )
    return [pk for (pk,) in cursor.fetchall()]


def _rare(cursor: CursorWrapper, wanted: list[str]) -> list[str]:
    """Those of the pieces that few of the newest tasks hold; what very many hold takes long and narrows little."""
    cursor.execute(
        "SELECT piece FROM unnest(%s::text[]) AS piece, "
        "(SELECT upper(title || ' ' || url || ' ' || uploader) AS text FROM downloads_task "
        "ORDER BY created_at DESC, id DESC LIMIT %s) AS newest "
        "GROUP BY piece HAVING count(*) FILTER (WHERE position(upper(piece) IN text) > 0) >= %s",
        [wanted, FIRST, FIRST * COMMON],
    )
    common = {piece for (piece,) in cursor.fetchall()}
    return [piece for piece in wanted if piece not in common]


def _among_newest(cursor: CursorWrapper, text: str, looked_at: int, most: int) -> list[str]:
    """The ids of those among so many of the newest tasks that hold this text, or of so many of them at most."""
    pattern = f"%{connection.ops.prep_for_like_query(text)}%"
    cursor.execute(
        "SELECT id FROM upper(%s) AS pattern, "
        "(SELECT id, title, url, uploader FROM downloads_task ORDER BY created_at DESC, id DESC LIMIT %s) AS newest "
        "WHERE upper(title) LIKE pattern OR upper(url) LIKE pattern OR upper(uploader) LIKE pattern LIMIT %s",
        [pattern, looked_at, most],
    )
    return [pk for (pk,) in cursor.fetchall()]


def _in_sqlite(text: str) -> Iterator[str]:
    if len(text) < SIZE:
        ranges = [
            (start, start + LAST_CHARACTER * (SIZE - len(text)))
            for start in map("".join, product(*map(spellings, text)))
        ]
        each = "SELECT doc FROM downloads_searchterm WHERE term BETWEEN %s AND %s"
        numbers = f"SELECT DISTINCT doc FROM ({' UNION ALL '.join([each] * len(ranges))})"  # noqa: S608  ours
        values = [bound for bounds in ranges for bound in bounds]
    else:
        numbers = "SELECT rowid FROM downloads_search WHERE downloads_search MATCH %s ORDER BY rowid DESC"
        values = [" AND ".join(_alternatives(piece, is_plain=text.isascii()) for piece in pieces(text))]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT task_id FROM downloads_searchedtask WHERE number IN ({numbers} LIMIT %s)",  # noqa: S608  ours
            [*values, FEW + 1],
        )
        yield from (pk for (pk,) in cursor.fetchall())


def _alternatives(piece: str, *, is_plain: bool) -> str:
    """What FTS5 shall look for; it knows most cases of a letter by itself."""
    spelled = [piece] if is_plain else sorted(map("".join, product(*map(_unknown_cases, piece))))
    quoted = ('"' + each.replace('"', '""') + '"' for each in spelled)
    return f"({' OR '.join(quoted)})"


def _unknown_cases(letter: str) -> set[str]:
    """The letter itself, and those cases of it that have to be asked for."""
    several = spellings(letter)
    return set(several) if _is_unknown(letter) else {letter, *filter(_is_unknown, several)}


def _is_unknown(letter: str) -> bool:
    return letter in UNKNOWN_TO_SQLITE or letter >= UNKNOWN_FROM
