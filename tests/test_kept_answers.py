"""A list that is asked for again costs no query, and never says what is no longer so."""

import sqlite3
import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from downloads.api import lists
from downloads.models import ApiKey, Task
from downloads.seen import seen
from downloads.states import Status
from tests.tasks import task_in

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL does not say that nothing was written"),
]

TASKS = "/api/downloads/tasks"


def titles(client, **query):
    answer = client.get(TASKS, query)
    assert answer.status_code == 200, answer.content
    return [task["title"] for task in answer.json()]


def is_read(queries):
    return [query for query in queries.captured_queries if "downloads_task" in query["sql"]] != []


@pytest.fixture
def asked(client):
    """The list, and whether the database was asked for it."""

    def asked(**query):
        with CaptureQueriesContext(connection) as queries:
            found = titles(client, **query)
        return found, is_read(queries)

    return asked


@pytest.fixture
def task():
    return task_in(Status.PENDING, title="first")


def test_the_same_list_is_read_once(asked, task):
    assert [asked(), asked(), asked()] == [(["first"], True), (["first"], False), (["first"], False)]


def test_another_list_is_another_one(asked, task):
    assert asked() == (["first"], True)
    assert asked(q="second") == ([], True)
    assert asked(limit=1) == (["first"], True)
    assert asked() == (["first"], False)


def test_it_has_the_same_headers(client, task):
    task_in(Status.PENDING, title="second")
    first, second = (client.get(TASKS, {"limit": 1}) for _ in range(2))
    for name in ("X-Total-Count", "X-Next-Cursor", "ETag", "Content-Type"):
        assert first.headers[name] == second.headers[name] != ""


def test_whoever_writes_it_is_read_again(asked, task):
    def by_django():
        Task.objects.update(title="by Django")

    def by_another_thread():
        thread = threading.Thread(target=lambda: (Task.objects.update(title="by a thread"), connection.close()))
        thread.start()
        thread.join()

    def by_a_stranger():
        with sqlite3.connect(connection.settings_dict["NAME"]) as stranger:
            stranger.execute("UPDATE downloads_task SET title = 'by a stranger'")
        stranger.close()

    asked()
    for write, title in (
        (by_django, "by Django"),
        (by_another_thread, "by a thread"),
        (by_a_stranger, "by a stranger"),
    ):
        write()
        assert asked() == ([title], True)
        assert asked() == ([title], False)


def test_what_is_written_while_a_list_is_made_is_in_the_next_one(client, task, monkeypatch):
    def read_late(found):
        rows = seen(found)
        Task.objects.update(title="later")
        return rows

    monkeypatch.setattr(lists, "seen", read_late)
    assert titles(client) == ["first"]
    monkeypatch.undo()
    assert titles(client) == ["later"]


def test_a_transaction_sees_what_it_has_written_itself(asked, task):
    asked()
    with transaction.atomic():
        Task.objects.update(title="not yet")
        assert asked() == (["not yet"], True)
        transaction.set_rollback(True)
    assert asked() == (["first"], False)


def test_whoever_may_not_ask_gets_nothing_that_was_kept(client, task):
    _key, text = ApiKey.objects.make("one")
    answers = [client.get(TASKS, headers={"X-API-Key": text}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert client.get(TASKS).status_code == 401


def test_errors_are_not_kept(client):
    assert [client.get(TASKS, {"order": "odd"}).status_code for _ in range(2)] == [422, 422]


def test_few_answers_are_kept(asked, task):
    for limit in range(1, 10):
        asked(limit=limit)
    assert asked(limit=9) == (["first"], False)
    assert asked(limit=1) == (["first"], True)
