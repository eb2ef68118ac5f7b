"""Lists: searched, narrowed, ordered, paged, and not sent twice."""

from datetime import UTC, datetime

import pytest

from downloads.api.schemas import TaskOut
from tests.test_api import EXAMPLE, is_error

TASKS = "/api/downloads/tasks"


def listed(service, **query):
    answer = service.http.get(TASKS, params=query)
    assert answer.status_code == 200, answer.text
    return [task["id"] for task in answer.json()]


def write(service, task_id, **columns):
    """Give a task what a look-up would find out."""
    names = ", ".join(f"{name} = ?" for name in columns)
    service.rows(f"UPDATE downloads_task SET {names} WHERE id = ?", *columns.values(), task_id)


@pytest.fixture
def tasks(service):
    """Five tasks, oldest first."""
    service.http.post("/api/downloads/batch/delete", json=listed(service, limit=500))
    titles = ["banana", "Apple", "cherry 100%", "Ärger_im_Büro", "aPPle pie"]
    ids = [service.add(f"https://example.com/{number}") for number in range(5)]
    for number, (task_id, title) in enumerate(zip(ids, titles, strict=True)):
        write(service, task_id, title=title, uploader=f"Uploader{number}", file_size=number * 10)
    return ids


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("apple", [4, 1]),
        ("APPLE PIE", [4]),
        ("uploader2", [2]),
        ("example.com/3", [3]),
        ("0%", [2]),
        ("%", [2]),
        ("r_i", [3]),
        ("a_p", []),
        ("ärger", [3]),
        ("BÜRO", [3]),
        (".", [4, 3, 2, 1, 0]),
        ("é.*", []),
        ("'", []),
        ("\\", []),
    ],
)
def test_search_looks_into_title_link_and_uploader_without_wild_cards(service, tasks, text, found):
    assert listed(service, q=text) == [tasks[number] for number in found]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("-created_at", [4, 3, 2, 1, 0]),
        ("created_at", [0, 1, 2, 3, 4]),
        ("title", [1, 4, 0, 2, 3]),
        ("-title", [3, 2, 0, 4, 1]),
        ("file_size", [0, 1, 2, 3, 4]),
        ("-file_size", [4, 3, 2, 1, 0]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 500])
def test_a_cursor_leads_through_the_whole_list_in_every_order(service, tasks, order, found, limit):
    assert walk(service, order=order, limit=limit) == [tasks[number] for number in found]


@pytest.mark.parametrize("order", ["finished_at", "-finished_at", "status", "-status"])
def test_equal_ones_are_each_listed_once(service, tasks, order):
    service.http.post("/api/downloads/batch/cancel", json=tasks[:3])
    walked = walk(service, order=order, limit=1)
    assert walked == listed(service, order=order)
    assert sorted(walked) == sorted(tasks)
    assert set(walked[2:] if order in ("finished_at", "-status") else walked[:3]) >= set(tasks[:2])


def walk(service, **query):
    """Every id, page by page."""
    answer = service.http.get(TASKS, params=query)
    ids = [task["id"] for task in answer.json()]
    while cursor := answer.headers.get("X-Next-Cursor"):
        answer = service.http.get(TASKS, params={**query, "cursor": cursor})
        ids += [task["id"] for task in answer.json()]
    return ids


def test_tasks_of_one_moment_are_walked_through_once_each(service, tasks):
    service.http.post("/api/downloads/batch/add", json=[{"url": EXAMPLE}] * 30)
    moment = "2026-01-01 10:00:00.123"
    for task_id in tasks:
        write(service, task_id, created_at=moment)
    assert walk(service, limit=1, q="example.com") == sorted(tasks, reverse=True)
    assert walk(service, limit=1, q="example.com", order="created_at") == sorted(tasks)
    assert len(walk(service, limit=7)) == 35


def test_new_tasks_and_deleted_ones_do_not_shift_the_next_page(service, tasks):
    first = service.http.get(TASKS, params={"limit": 2})
    service.add(EXAMPLE)
    service.http.delete(f"{TASKS}/{tasks[3]}")
    assert listed(service, limit=2, cursor=first.headers["X-Next-Cursor"]) == [tasks[2], tasks[1]]


def test_the_total_counts_every_page(service, tasks):
    answer = service.http.get(TASKS, params={"limit": 2, "q": "apple"})
    assert answer.headers["X-Total-Count"] == "2"
    assert "X-Next-Cursor" not in answer.headers


@pytest.mark.parametrize("cursor", ["x", "a:b", "WyItY3JlYXRlZF9hdCJd:signature", "é", "\0", "x" * 9000])
def test_a_forged_cursor_is_refused(service, cursor):
    assert is_error(service.http.get(TASKS, params={"cursor": cursor}), 422, "VALIDATION_ERROR")


def test_a_cursor_of_another_order_is_refused(service, tasks):
    cursor = service.http.get(TASKS, params={"limit": 2}).headers["X-Next-Cursor"]
    answer = service.http.get(TASKS, params={"order": "title", "cursor": cursor})
    assert is_error(answer, 422, "VALIDATION_ERROR")


def iso(moment):
    return datetime.fromtimestamp(moment, UTC).isoformat()


@pytest.mark.parametrize("spelling", [str, iso])
def test_periods_of_time_meet_without_gap_or_overlap(service, tasks, spelling):
    middle = spelling(service.task(tasks[2])["created_at"])
    assert listed(service, created_after=middle) == [tasks[4], tasks[3]]
    assert listed(service, created_before=middle) == [tasks[2], tasks[1], tasks[0]]


def test_filters_work_together(service, tasks):
    service.http.post(f"/api/downloads/cancel/{tasks[1]}")
    assert listed(service, q="apple", status="cancelled,failed", created_after=0) == [tasks[1]]


@pytest.mark.parametrize(
    "query",
    [
        {"order": "cookies"},
        {"order": ""},
        {"created_after": "yesterday"},
        {"created_after": "0001-01-01T00:00:00+10:00"},
        {"created_before": "1e400"},
        {"q": "x" * 501},
        {"q": "\0"},
        {"status": "pending,odd"},
        {"cursor": "\ud800".encode("utf-8", "surrogatepass")},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(service, query):
    assert is_error(service.http.get(TASKS, params=query), 422, "VALIDATION_ERROR")


def again(service, answer, path, **query):
    return service.http.get(path, params=query, headers={"If-None-Match": answer.headers["ETag"]})


@pytest.mark.parametrize("path", [TASKS, f"{TASKS}/{{}}"])
def test_what_has_not_changed_is_not_sent_again(service, path):
    path = path.format(service.add(EXAMPLE))
    answer = service.http.get(path)
    same = again(service, answer, path)
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["ETag"] == answer.headers["ETag"]
    assert same.headers.get("X-Total-Count") == answer.headers.get("X-Total-Count")


@pytest.mark.parametrize("path", [TASKS, f"{TASKS}/{{}}"])
def test_what_has_changed_is_sent_again(service, path):
    task_id = service.add(EXAMPLE)
    path = path.format(task_id)
    answer = service.http.get(path)
    service.http.patch(f"{TASKS}/{task_id}", json={"custom_filename": "other.mp4"})
    assert again(service, answer, path).status_code == 200


def test_a_list_of_the_same_tasks_changes_with_the_total(service):
    task_id = service.add("https://example.com/etag")
    answer = service.http.get(TASKS, params={"limit": 1, "order": "created_at"})
    service.http.delete(f"{TASKS}/{task_id}")
    assert again(service, answer, TASKS, limit=1, order="created_at").status_code == 200


def test_the_other_form_has_another_etag(service):
    path = f"{TASKS}/{service.add(EXAMPLE)}"
    answer = service.http.get(path)
    assert again(service, answer, path, envelope="true").status_code == 200


def test_every_task_of_a_list_has_the_fields_that_the_document_names(service, tasks):
    found = service.http.get(TASKS, params={"limit": 500}).json()

    assert [TaskOut.model_validate(task, strict=False).model_dump(mode="json") for task in found] == found
