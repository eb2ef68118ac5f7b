"""Moments come out of PostgreSQL as they went in, whoever reads them."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, connection
from psycopg.pq import Format

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the other database keeps moments as text"),
]


def read(text):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [text])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30 03:45:19.072123+00", datetime(2026, 11, 30, 3, 45, 19, 72123, UTC)),
        ("2026-11-30 03:45:19.5+05:30", datetime(2026, 11, 29, 22, 15, 19, 500000, UTC)),
        ("1970-01-01 00:00:00+00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31 23:59:59.999999+00", datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    ],
)
def test_a_moment_is_read_as_it_is(text, moment):
    found = read(text)

    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize("text", ["infinity", "0044-03-15 12:00:00+00 BC", "10000-01-01 00:00:00+00"])
def test_what_python_has_no_moment_for_is_an_error_as_ever(text):
    with pytest.raises(DataError):
        read(text)


def test_it_is_our_loader_that_reads():
    connection.ensure_connection()
    adapters = connection.connection.adapters

    loader = adapters.get_loader(adapters.types["timestamptz"].oid, Format.TEXT)

    assert loader.__module__ == "downie_project.moments"
