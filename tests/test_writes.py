"""What was found is found again only after something was written, by whomever."""

import threading

import pytest
from django.db import connection, transaction

from downloads import writes
from downloads.models import ApiKey

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL does not say that nothing was written"),
]


@pytest.fixture
def find():
    """Says how many keys there are; `find.times` is how often it was asked."""

    def count():
        find.times += 1
        return ApiKey.objects.count()

    find = writes.until_written(count)
    find.times = 0
    return find


def in_another_thread(act):
    def run():
        act()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_what_was_found_holds_until_something_is_written(find):
    assert [find(), find(), find.times] == [0, 0, 1]
    ApiKey.objects.make("one")
    assert [find(), find(), find.times] == [1, 1, 2]
    in_another_thread(lambda: ApiKey.objects.make("two"))
    assert [find(), find(), find.times] == [2, 2, 3]
    in_another_thread(lambda: ApiKey.objects.all().delete())
    assert [find(), find(), find.times] == [0, 0, 4]


def test_a_transaction_finds_what_it_has_written_itself(find):
    assert find() == 0
    with transaction.atomic():
        ApiKey.objects.make("one")
        assert [find(), find(), find.times] == [1, 1, 3]
        transaction.set_rollback(True)
    assert find() == 0


def test_a_transaction_that_is_taken_back_has_written_nothing(find):
    assert find() == 0
    with transaction.atomic():
        ApiKey.objects.make("one")
        transaction.set_rollback(True)
    assert [find(), find.times] == [0, 1]


def test_what_is_written_while_it_is_found_counts_the_next_time(monkeypatch):
    def count_slowly():
        found = ApiKey.objects.count()
        in_another_thread(lambda: ApiKey.objects.make("late"))
        return found

    find = writes.until_written(count_slowly)
    assert [find(), find()] == [0, 1]
