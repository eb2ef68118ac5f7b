"""Searches by the index find what a look at every row would, and the index follows whatever is written."""

import re

import pytest
from django.db import connection

from downloads.models import Task, search
from downloads.models.spelling import spellings
from downloads.states import Status
from tests.database import migrate
from tests.tasks import task_in

pytestmark = pytest.mark.django_db

is_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'")
is_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'")

TEXTS = [
    "Straße",
    "STRASSE",
    "ΟΔΟΣ οδος Οδός",
    "Ärger_im_Büro 100%",
    "ÄRGER im büro",
    "音乐视频",
    "音 乐",
    "乐",
    "Видео ВИДЕО видео",
    "Éclair e\u0301clair",
    "🎵🎶 music 👩‍👩‍👧",
    "\"quoted\" and 'quoted'",
    "a AND b OR NOT c NEAR(d)",
    "title:wild* ^start {x} [y] -z +w",
    "back\\slash",
    "q",
    "qz",
    "tab\tand\nnewline",
    "aaaaaaaa",
    "abababab",
    "C++ & C# [live] ?!",
    "",
]
QUERIES = [
    *TEXTS[:-1],
    *"ßαΣж乐音🎵qZ%_\"'*?[]^\\:-+.",
    *(
        "ße",
        "ss",
        "ος",
        "ΟΣ",
        "ις",
        "乐视",
        "音乐",
        "乐 ",
        "ÄR",
        "ärger_IM",
        "rger",
        "0%",
        "%_",
        "r_i",
        "a_p",
        "🎶 ",
        "👩‍👧",
    ),
    *("AND", "a and", "NEAR(", "title:", "d*", "^s", '"q', 'd" a', "'q", "k\\s", "\\", "b\ta", "D\nN", "éCLAIR", "вИд"),
    *(
        "aaa",
        "aaaaaaaaa",
        "bab",
        "ababababa",
        "[l",
        "[live]",
        "?!",
        "*",
        "nowhere",
        "zzz",
        "zq",
        "c++",
        "example.com/7",
        "ANN1",
    ),
]


def held(text):
    """The ids of what holds it, by a look at every row."""
    wanted = re.compile(re.escape(text), re.IGNORECASE)
    rows = Task.objects.values_list("pk", "title", "url", "uploader")
    return {pk for pk, *texts in rows if any(wanted.search(each) for each in texts)}


def found(text):
    return set(Task.objects.matching(text).values_list("pk", flat=True))


@pytest.fixture
def library():
    Task.objects.bulk_create(
        Task(title=title, url=f"https://example.com/{number}", uploader=f"Ann{number}")
        for number, title in enumerate(TEXTS)
    )


def test_a_search_finds_what_a_look_at_every_row_would(library):
    assert {text: found(text) for text in QUERIES} == {text: held(text) for text in QUERIES}


def test_a_text_in_the_link_or_the_uploader_is_found_as_well(library):
    task = task_in(Status.PENDING, url="https://ВИДЕО.example/ü", uploader="Žluťoučký kůň")
    assert found("видео.EXAMPLE/Ü") == found("ŽLUŤ") == found("ůŇ") == {task.pk}


def test_nothing_holds_a_nul(library):
    assert found("\0") == found("a\0") == set()


@is_sqlite
def test_a_text_ends_at_a_nul_as_it_does_for_sqlite():
    task = task_in(Status.PENDING, title="before\0after")
    assert found("before") == found("re") == found("e") == {task.pk}
    assert found("after") == set()


# Each of these is another one, too, but only as some letters that follow one another
COMPOSED = "\u0390\u03b0\u1fd3\u1fe3\ufb05\ufb06"
CASED = sorted({c for c in map(chr, range(0x110000)) if c.lower() != c or c.upper() != c} - set(COMPOSED))


def test_letters_have_the_cases_that_regular_expressions_know():
    together = "".join(CASED)
    known = {letter: set(re.findall(letter, together, re.IGNORECASE)) for letter in CASED[::7]}
    assert {letter: spellings(letter) for letter in known} == known


@is_sqlite
def test_letters_are_found_whatever_their_case():
    groups = {spellings(letter) for letter in CASED if not letter.isascii()}
    chosen = [group for group in groups if len(group) > 2] + [group for group in groups if len(group) == 2][::5]
    tasks = [Task(url="1", title=letter * 3) for group in chosen for letter in group]
    Task.objects.bulk_create(tasks)
    titles = {
        text: set(Task.objects.matching(text).values_list("title", flat=True))
        for group in chosen
        for text in (max(group), max(group) * 3)
    }
    assert titles == {text: {letter * 3 for letter in spellings(text[0])} for text in titles}


def test_whatever_is_written_is_found_at_once():
    task = task_in(Status.PENDING, title="first")
    other = task_in(Status.PENDING, title="other")
    assert found("first") == {task.pk}

    Task.objects.filter(pk=task.pk).update(title="second", uploader="乐视")
    assert (found("first"), found("second"), found("乐")) == (set(), {task.pk}, {task.pk})

    Task.objects.update(title="all of them")
    assert found("all of") == {task.pk, other.pk}

    with connection.cursor() as cursor:
        cursor.execute("UPDATE downloads_task SET title = 'by hand' WHERE id = %s", [task.pk])
        assert found("y h") == {task.pk}
        cursor.execute("DELETE FROM downloads_task WHERE id = %s", [task.pk])
    assert found("by hand") == set()
    assert found("all of them") == {other.pk}

    Task.objects.all().delete()
    assert index_rows() == 0


def index_rows():
    """How many the index of SQLite holds; PostgreSQL's has none of its own."""
    if connection.vendor == "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM downloads_searchedtask) + count(*) FROM downloads_searchterm")
        return cursor.fetchone()[0]


def test_the_index_is_asked_not_the_rows(library, monkeypatch):
    monkeypatch.setattr("downloads.models.task.candidates", lambda _text: ())
    assert found("Straße") == set()


@pytest.fixture
def few(monkeypatch):
    """Three tasks are many already."""
    for module in ("search", "task"):
        monkeypatch.setattr(f"downloads.models.{module}.FEW", 2)


@pytest.mark.parametrize("text", ["common", "co", "c", "COMMON ü"])
def test_of_very_many_all_are_listed_but_not_all_counted(few, text):
    tasks = [task_in(Status.FAILED, title=f"Common Ü {number}") for number in range(5)]
    matching = Task.objects.matching(text)

    assert set(matching.order_by("-created_at")) == set(tasks)
    assert matching.filter(status=Status.FAILED).counted().count() == 2
    assert matching.count_by_status()[Status.FAILED] == 2
    assert not matching.is_counted


def test_of_a_few_all_are_counted(few):
    _ = [task_in(Status.FAILED, title=title) for title in ("common", "common", "other", "other")]
    matching = Task.objects.matching("common")
    assert matching.count_by_status()[Status.FAILED] == 2
    assert matching.is_counted


@pytest.fixture
def old_and_new(few, monkeypatch):
    """Ten old tasks and ten new ones, of which the first two say what is common."""
    monkeypatch.setattr(search, "FIRST", 2)
    titles = [f"{age} {number} 100%_\\" for age in ("old", "new") for number in range(10)]
    tasks = [task_in(Status.FAILED, title=title) for title in titles]
    return {task.title: task.pk for task in tasks}


@is_postgresql
@pytest.mark.parametrize("text", ["new", "NEW", "100%_\\", "example.com"])
def test_what_is_common_is_found_among_the_newest(old_and_new, text):
    newest = [old_and_new[f"new {number} 100%_\\"] for number in (9, 8, 7)]
    assert list(search.candidates(text)) == newest


@is_postgresql
@pytest.mark.parametrize(("text", "number"), [("old", 10), ("new 9", 1), ("100%__", 0), ("%", 20), ("w 8", 1)])
def test_what_the_newest_do_not_hold_so_often_is_found_by_the_index(old_and_new, monkeypatch, text, number):
    monkeypatch.setattr(search, "FEW", 10)
    assert len(search.candidates(text)) == min(number, 11)


@pytest.mark.parametrize("few", [2, 100], ids=["few", "many"])
def test_what_most_of_the_newest_hold_narrows_the_search_all_the_same_where_it_has_to(monkeypatch, few):
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "FIRST", 4)
    wanted = [task_in(Status.COMPLETED, title="common abc").id for _ in range(2)]
    _ = [task_in(Status.COMPLETED, title="an abc") for _ in range(5)]
    _ = [task_in(Status.COMPLETED, title=f"common {number}") for number in range(4)]

    found = search.candidates("common abc")

    assert set(wanted) <= set(found)
    assert {task.id for task in Task.objects.matching("common abc")} == set(wanted)
    if few == 2:
        assert set(found) == set(wanted)


def test_the_api_and_the_page_say_that_there_may_be_more(few, client):
    _ = [task_in(Status.FAILED, title="common") for _ in range(5)]

    page = client.get("/api/downloads/tasks", {"q": "common", "limit": 4})
    counts = client.get("/api/downloads/counts", {"q": "common"})
    assert (len(page.json()), page["X-Total-Count"], page["X-Count-Is-Part"]) == (4, "2", "true")
    assert (counts.json()["failed"], counts["X-Count-Is-Part"]) == (2, "true")
    assert '<span class="count">2+</span>' in client.get("/", {"q": "common"}).text

    page = client.get("/api/downloads/tasks")
    counts = client.get("/api/downloads/counts")
    assert page["X-Total-Count"] == "5"
    assert not {"X-Count-Is-Part"} & {*page.headers, *counts.headers}
    assert '<span class="count">5</span>' in client.get("/").text


def test_pieces_of_a_text_are_in_whatever_holds_it():
    assert search.pieces("cooking") == ["coo", "ing", "kin"]
    assert search.pieces("cook") == ["coo", "ook"]
    assert (
        search.pieces("https://www.example.com") == search.pieces("HTTP://example.com") == search.pieces("example.com")
    )
    assert search.pieces("https://a") == ["//a", "htt", "ps:"]
    assert search.pieces("音") == ["音"]


@pytest.mark.django_db(transaction=True)
def test_tasks_from_before_the_index_are_found_and_the_way_back_is_open():
    migrate("0018_orders_and_sums")
    try:
        task = task_in(Status.PENDING, title="音乐 older")
    finally:
        migrate()
    assert found("older") == found("乐 ") == {task.pk}


@is_sqlite
@pytest.mark.django_db(transaction=True)
def test_vacuum_changes_nothing(library):
    Task.objects.filter(title="aaaaaaaa").delete()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
    assert found("straße") == held("straße")
    assert found("qz") == held("qz")
