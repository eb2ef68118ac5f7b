"""How many tasks there are in each state, and what they have fetched, as the database keeps it by itself (0021)."""

from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True)
class Tally:
    """Those in one state, of one kind. `fetched` is in bytes, of those that have ended."""

    status: str
    is_playlist: bool
    is_item: bool
    count: int
    fetched: int


def tallies() -> list[Tally]:
    """All there are; together they are all tasks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT status, is_playlist, is_item, sum(count), sum(fetched) FROM downloads_tally GROUP BY 1, 2, 3"
        )
        return [
            Tally(status, bool(is_playlist), bool(is_item), int(count), int(fetched))
            for status, is_playlist, is_item, count, fetched in cursor.fetchall()
        ]


def sum_up() -> None:
    """Make one row of all changes of a kind, on PostgreSQL; several processes may do so at once, each to some."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH gone AS (DELETE FROM downloads_tally RETURNING *) INSERT INTO downloads_tally "
                "SELECT status, is_playlist, is_item, sum(count), sum(fetched) FROM gone GROUP BY 1, 2, 3"
            )
