"""A task's verbs: who may do what, and what a lease is worth."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now

from downloads.models import LEASE, LeaseLost, MoveRefused, Task, new_task_id
from downloads.schemas import progress_json, task_json
from downloads.seen import seen
from downloads.states import RUNNING, Outcome, Status, Stop
from tests.service import wait_until
from tests.tasks import FACTS, FAILURE, abandoned_task, row, task_in

pytestmark = pytest.mark.django_db

STATES = sorted(Status.values)
IDLE = sorted(set(STATES) - RUNNING)
WORKER = "host:2"


def at_once(work, count=8):
    """What `work` gives in each of this many threads, which begin together on connections of their own."""
    barrier = threading.Barrier(count)

    def run(number):
        try:
            connection.ensure_connection()
            barrier.wait()
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def the_attempt(task):
    return task.attempts.order_by("-number").first()


# People's verbs


@pytest.mark.parametrize("status", ["pending", "paused", "failed", "cancelled"])
def test_what_is_queued_starts_with_a_clean_slate(status):
    task = task_in(status, failures=3, finished_at=Now(), available_at=Now(), error_code="X", error_message="Y")

    task.queue()

    assert (task.status, task.failures, task.finished_at, task.available_at) == ("queued", 0, None, None)
    assert (task.error_code, task.error_message) == ("", "")


@pytest.mark.parametrize("status", ["queued", "starting", "downloading", "processing", "completed"])
def test_what_waits_or_runs_or_is_completed_cannot_be_queued(status):
    task = task_in(status)
    before = row(task)

    with pytest.raises(MoveRefused) as refused:
        task.queue()

    assert refused.value.status == status
    assert row(task) == before


def test_a_queued_task_is_paused_at_once():
    task = task_in("queued")

    task.pause()

    assert task.status == "paused"


@pytest.mark.parametrize("status", ["starting", "downloading"])
def test_the_pause_of_a_running_task_is_a_request(status):
    task = task_in(status)

    task.pause()

    assert (task.status, task.stop) == (status, "pause")
    task.stopped(task.lease)
    assert (task.status, task.stop, task.finished_at) == ("paused", "", None)


@pytest.mark.parametrize("status", ["pending", "processing", "paused", "completed", "failed", "cancelled"])
def test_a_pause_is_refused_where_there_is_nothing_to_pause(status):
    task = task_in(status)
    before = row(task)

    with pytest.raises(MoveRefused) as refused:
        task.pause()

    assert refused.value.status == status
    assert row(task) == before


@pytest.mark.parametrize("status", ["pending", "queued", "paused"])
def test_a_task_that_nobody_holds_is_cancelled_at_once(status):
    task = task_in(status)

    task.cancel()

    assert task.status == "cancelled"
    assert task.finished_at is not None


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_the_cancel_of_a_running_task_is_a_request(status):
    task = task_in(status)

    task.cancel()

    assert (task.status, task.stop) == (status, "cancel")
    task.stopped(task.lease)
    assert (task.status, task.stop) == ("cancelled", "")
    assert task.finished_at is not None


def test_cancelling_twice_is_no_error():
    task = task_in("cancelled")
    before = row(task)

    task.cancel()

    assert row(task) == before


def test_cancelling_what_somebody_else_has_just_cancelled_is_no_error():
    task = task_in("queued")
    Task.objects.get(pk=task.pk).cancel()

    task.cancel()

    assert task.status == "cancelled"


def test_cancelling_what_was_cancelled_and_is_queued_again_cancels_it():
    task = task_in("cancelled")
    Task.objects.get(pk=task.pk).queue()

    task.cancel()

    assert row(task)["status"] == "cancelled"


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_cancel_is_refused_when_it_has_ended(status):
    task = task_in(status)
    before = row(task)

    with pytest.raises(MoveRefused) as refused:
        task.cancel()

    assert refused.value.status == status
    assert row(task) == before


@pytest.mark.parametrize("status", IDLE)
def test_a_task_that_nobody_holds_is_removed_at_once_with_its_attempts(status):
    task = task_in(status)
    task.attempts.create(number=1, worker=WORKER, ended_at=Now())

    assert task.remove() is True

    assert row(task) is None


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_the_removal_of_a_running_task_is_a_request(status):
    task = task_in(status)

    assert task.remove() is False

    assert (row(task)["status"], row(task)["stop"]) == (status, "delete")
    task.stopped(task.lease)
    assert row(task) is None


def test_removing_what_is_gone_removes_nothing():
    task = task_in("queued")
    task.remove()

    assert task.remove() is False


@pytest.mark.django_db(transaction=True)
def test_a_task_is_not_removed_while_a_worker_is_claiming_it():
    task = task_in("queued")
    claimed = []

    def claim():
        claimed.append(Task.objects.claim(task.pk, WORKER))
        connection.close()

    worker = threading.Thread(target=claim)
    after_the_first_look = iter([lambda: (worker.start(), worker.join(0.3))])

    def look(execute, *query):
        result = execute(*query)
        next(after_the_first_look, bool)()
        return result

    with connection.execute_wrapper(look):
        removed = task.remove()
    worker.join()

    assert (removed, claimed) == (True, [None])


@pytest.mark.parametrize(
    ("first", "then", "asked"),
    [
        ("pause", "pause", "pause"),
        ("pause", "cancel", "cancel"),
        ("pause", "remove", "delete"),
        ("cancel", "pause", "cancel"),
        ("cancel", "cancel", "cancel"),
        ("cancel", "remove", "delete"),
        ("remove", "pause", "delete"),
        ("remove", "cancel", "delete"),
        ("remove", "remove", "delete"),
    ],
)
def test_of_two_requests_the_stronger_one_stays(first, then, asked):
    task = task_in("downloading")

    getattr(task, first)()
    getattr(task, then)()

    assert task.stop_asked(task.lease) == asked


@pytest.mark.parametrize(
    "verbs", [["pause"], ["cancel"], ["remove"], ["pause", "cancel"], ["pause", "remove"], ["cancel", "remove"]]
)
def test_each_request_that_counts_is_news(verbs):
    task = task_in("downloading", revision=7)

    _ = [getattr(task, verb)() for verb in verbs]

    assert row(task)["revision"] == 7 + len(verbs)


@pytest.mark.parametrize("verb", ["pause", "cancel", "remove"])
def test_a_request_that_changes_nothing_is_no_news(verb):
    task = task_in("downloading")
    getattr(task, verb)()
    before = row(task)

    getattr(task, verb)()

    assert row(task) == before


# Claims


def test_a_claim_gives_a_lease_and_opens_an_attempt():
    task = Task.objects.claim(task_in("queued").pk, WORKER)

    assert (task.status, task.worker, task.stop) == ("starting", WORKER, "")
    assert task.lease is not None
    assert task.started_at is not None
    attempt = task.attempts.get()
    assert (attempt.number, attempt.worker, attempt.ended_at, attempt.outcome) == (1, WORKER, None, "")


def test_a_lease_lasts_half_a_minute():
    task = Task.objects.claim(task_in("queued").pk, WORKER)

    seconds = (task.lease_expires_at - datetime.now(UTC)).total_seconds()

    assert seconds == pytest.approx(30, abs=1)


@pytest.mark.parametrize("status", sorted(set(STATES) - {"queued"}))
def test_what_is_not_queued_cannot_be_claimed(status):
    task = task_in(status)
    before = row(task)

    assert Task.objects.claim(task.pk, WORKER) is None

    assert row(task) == before


def test_a_playlist_whose_items_wait_is_not_ready_itself():
    playlist = task_in("queued", is_playlist=True)

    assert not Task.objects.ready().exists()
    assert Task.objects.claim(playlist.pk, WORKER) is None


def test_what_is_not_there_cannot_be_claimed():
    assert Task.objects.claim("0123456789ab", WORKER) is None


def test_what_needs_more_room_than_there_is_waits_and_says_so():
    task = task_in("queued", needed_bytes=1000)

    assert Task.objects.claim(task.pk, WORKER, 999) is None
    assert [told.waits_for for told in Task.objects.tell_room(999, is_all=True)] == ["room"]
    assert Task.objects.tell_room(999, is_all=True) == []
    assert Task.objects.tell_room(1000, is_all=False) == []
    assert [told.waits_for for told in Task.objects.tell_room(1000, is_all=True)] == [""]
    claimed = Task.objects.claim(task.pk, WORKER, 1000)
    assert (claimed.status, claimed.needed_bytes) == ("starting", 0)


def test_below_the_floor_nothing_is_claimed():
    assert Task.objects.claim(task_in("queued").pk, WORKER, -1) is None


@pytest.mark.parametrize("verb", [Task.pause, Task.cancel])
def test_what_is_stopped_waits_for_no_room_any_more(verb):
    task = task_in("queued", needed_bytes=1000, waits_for="room")

    verb(task)

    assert (task.waits_for, task.needed_bytes) == ("", 0)


def test_what_others_on_the_same_machine_will_still_take_is_known():
    ours, theirs, _waiting = task_in("queued"), task_in("queued"), task_in("queued")
    for task, machine in ((ours, "here"), (theirs, "there")):
        claimed = Task.objects.claim(task.pk, WORKER, machine=machine)
        claimed.renew(claimed.lease, total_bytes=100, downloaded_bytes=30)

    assert list(Task.objects.running_on("here")) == [ours]
    assert Task.objects.running_on("here").bytes_to_come() == 70


def test_each_claim_gives_another_lease_and_the_next_attempt():
    first = Task.objects.claim(task_in("queued").pk, WORKER)
    first.hand_back(first.lease)
    second = Task.objects.claim(first.pk, "host:3")

    assert second.lease != first.lease
    assert list(second.attempts.values_list("number", "worker")) == [(1, WORKER), (2, "host:3")]


def test_when_it_first_started_stays():
    began = datetime(2026, 1, 1, tzinfo=UTC)

    task = Task.objects.claim(task_in("queued", started_at=began).pk, WORKER)

    assert task.started_at == began


@pytest.mark.django_db(transaction=True)
def test_of_many_that_claim_one_task_exactly_one_gets_it():
    task = task_in("queued")

    claims = at_once(lambda number: Task.objects.claim(task.pk, f"host:{number}"))

    (won,) = filter(None, claims)
    assert (row(task)["lease"], row(task)["worker"]) == (won.lease, won.worker)
    assert task.attempts.get().worker == won.worker


@pytest.mark.django_db(transaction=True)
def test_of_many_that_mend_an_abandoned_task_exactly_one_gets_it():
    task = abandoned_task()

    seized = at_once(lambda number: Task.objects.seize(f"host:{number}"))

    (won,) = chain.from_iterable(seized)
    assert (row(task)["lease"], row(task)["worker"]) == (won.lease, won.worker)


@pytest.mark.django_db(transaction=True)
def test_of_a_pause_and_a_claim_at_once_both_are_true():
    task = task_in("queued")
    verbs = [lambda: Task.objects.claim(task.pk, WORKER), Task.objects.get(pk=task.pk).pause]

    at_once(lambda number: verbs[number](), count=2)

    assert (row(task)["status"], row(task)["stop"]) in [("paused", ""), ("starting", "pause")]


# The database's clock


def test_what_is_to_be_tried_later_is_not_ready_before_its_time():
    task = task_in("downloading")

    task.retry_later(task.lease, FAILURE, delay=60, failures=1)

    assert not Task.objects.ready().exists()
    assert Task.objects.claim(task.pk, WORKER) is None
    assert (task.available_at - datetime.now(UTC)).total_seconds() == pytest.approx(60, abs=2)


def test_what_is_to_be_tried_later_is_ready_when_its_time_has_come():
    task = task_in("downloading")

    task.retry_later(task.lease, FAILURE, delay=1, failures=1)

    assert Task.objects.claim(task.pk, WORKER) is None
    claimed = wait_until(lambda: Task.objects.claim(task.pk, WORKER), limit=20)
    assert claimed.available_at is None


def test_a_machine_with_a_wrong_clock_sees_the_same_leases_and_the_same_queue(monkeypatch):
    alive, dead = task_in("downloading"), abandoned_task()
    early = task_in("queued", available_at=Now() + timedelta(minutes=1))
    due = task_in("queued", available_at=Now() - timedelta(minutes=1))

    wrong = datetime(2099, 1, 1, tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: wrong)
    monkeypatch.setattr("time.time", wrong.timestamp)

    assert set(Task.objects.abandoned()) == {dead}
    assert set(Task.objects.ready()) == {due}
    alive.renew(alive.lease)
    assert Task.objects.claim(early.pk, WORKER) is None
    assert set(Task.objects.abandoned()) == {dead}


# The lease

VERBS = {
    "renew": ("downloading", lambda task, lease: task.renew(lease, downloaded_bytes=5)),
    "stop_asked": ("downloading", lambda task, lease: task.stop_asked(lease)),
    "begin_download": ("starting", lambda task, lease: task.begin_download(lease, FACTS)),
    "begin_processing": ("downloading", lambda task, lease: task.begin_processing(lease)),
    "reserve": ("processing", lambda task, lease: task.reserve(lease, "film.mp4", 5)),
    "finish": ("processing", lambda task, lease: task.finish(lease, 5)),
    "fail": ("downloading", lambda task, lease: task.fail(lease, FAILURE)),
    "retry_later": ("downloading", lambda task, lease: task.retry_later(lease, FAILURE, delay=1, failures=1)),
    "hand_back": ("downloading", lambda task, lease: task.hand_back(lease)),
    "stopped to pause": ("downloading", lambda task, lease: task.stopped(lease)),
}
each_verb = pytest.mark.parametrize(("status", "verb"), VERBS.values(), ids=VERBS.keys())


@each_verb
def test_with_another_lease_a_verb_writes_nothing(status, verb):
    task = task_in(status)
    before = row(task)

    with pytest.raises(LeaseLost):
        verb(task, uuid4())

    assert row(task) == before
    assert the_attempt(task).ended_at is None


@each_verb
def test_after_another_worker_has_seized_it_a_verb_writes_nothing(status, verb):
    task = abandoned_task(status)
    Task.objects.seize(WORKER)
    before = row(task)

    with pytest.raises(LeaseLost):
        verb(task, task.lease)

    assert row(task) == before


@each_verb
def test_when_the_row_is_gone_a_verb_says_so(status, verb):
    task = task_in(status)
    Task.objects.filter(pk=task.pk).delete()

    with pytest.raises(LeaseLost):
        verb(task, task.lease)


@each_verb
def test_under_its_own_lease_a_verb_goes_through(status, verb):
    task = task_in(status)

    verb(task, task.lease)


@each_verb
def test_a_lease_that_ran_out_is_still_held_until_somebody_seizes_it(status, verb):
    task = abandoned_task(status)

    verb(task, task.lease)


def test_a_renewed_lease_does_not_run_out():
    task = abandoned_task()

    task.renew(task.lease, downloaded_bytes=7, progress_percentage=12.5)

    assert not Task.objects.abandoned().exists()
    assert (row(task)["downloaded_bytes"], row(task)["progress_percentage"]) == (7, 12.5)
    assert row(task)["lease"] == task.lease


def test_a_task_whose_lease_has_not_run_out_is_not_seized():
    task = task_in("downloading")

    assert Task.objects.seize(WORKER) == []

    assert row(task)["lease"] == task.lease


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_an_abandoned_task_is_seized_under_a_fresh_lease_and_its_attempt_stays_open(status):
    task = abandoned_task(status, stop="cancel")

    (seized,) = Task.objects.seize(WORKER)

    assert (seized.pk, seized.status, seized.stop, seized.worker) == (task.pk, status, "cancel", WORKER)
    assert seized.lease not in (None, task.lease)
    assert not Task.objects.abandoned().exists()
    assert the_attempt(seized).ended_at is None


def test_void_leases_are_seized_at_once():
    tasks = {task_in(status) for status in RUNNING}
    task_in("queued")

    assert Task.objects.void_leases() == 3

    assert set(Task.objects.seize(WORKER)) == tasks


# How attempts end

ENDINGS = {
    "finish": (
        "processing",
        lambda task: task.finish(task.lease, 900),
        ("completed", Outcome.COMPLETED, 900, ""),
    ),
    "fail": (
        "downloading",
        lambda task: task.fail(task.lease, FAILURE),
        ("failed", Outcome.FAILED, 700, FAILURE.code),
    ),
    "retry_later": (
        "downloading",
        lambda task: task.retry_later(task.lease, FAILURE, delay=1, failures=2),
        ("queued", Outcome.RETRY, 700, FAILURE.code),
    ),
    "hand_back": (
        "downloading",
        lambda task: task.hand_back(task.lease),
        ("queued", Outcome.INTERRUPTED, 700, ""),
    ),
    "pause": (
        "downloading",
        lambda task: (task.pause(), task.stopped(task.lease)),
        ("paused", Outcome.STOPPED, 700, ""),
    ),
    "cancel": (
        "downloading",
        lambda task: (task.cancel(), task.stopped(task.lease)),
        ("cancelled", Outcome.STOPPED, 700, ""),
    ),
}


@pytest.mark.parametrize(("status", "end", "ending"), ENDINGS.values(), ids=ENDINGS.keys())
def test_an_attempt_is_closed_with_its_outcome_and_its_bytes(status, end, ending):
    task = task_in(status, downloaded_bytes=700, speed=5, eta=5)

    end(task)

    attempt = the_attempt(task)
    assert (row(task)["status"], attempt.outcome, attempt.bytes_on_disk, attempt.error_code) == ending
    assert (row(task)["lease"], row(task)["speed"], row(task)["eta"]) == (None, 0, 0)
    assert attempt.ended_at is not None


def test_a_finished_task_says_what_it_is():
    task = task_in("processing", sealed_cookies="secret", failures=2, error_code="X", file_name="film.mp4")

    task.finish(task.lease, 900)

    assert (task.progress_percentage, task.file_size, task.downloaded_bytes, task.total_bytes) == (100, 900, 900, 900)
    assert (task.file_name, task.sealed_cookies, task.failures, task.error_code) == ("film.mp4", "", 0, "")
    assert task.finished_at is not None


def test_a_failed_task_says_why():
    task = task_in("processing")

    task.fail(task.lease, FAILURE)

    assert (task.error_code, task.error_reason, task.error_detail) == ("DOWNLOAD_FAILED", "network", "connection reset")
    assert task.error_message == FAILURE.sentence
    assert task.finished_at is not None


def test_what_was_handed_back_is_ready_at_once_and_has_not_failed():
    task = task_in("downloading", failures=1)

    task.hand_back(task.lease)

    assert Task.objects.ready().get() == task
    assert task.failures == 1


def test_what_the_look_up_found_is_written():
    task = task_in("starting")

    task.begin_download(task.lease, FACTS)

    assert {name: row(task)[name] for name in vars(FACTS)} == vars(FACTS)


def test_how_far_the_download_came_is_written_with_its_end():
    task = task_in("downloading")
    task.progress_percentage, task.downloaded_bytes, task.total_bytes, task.speed = 94.0, 1000, 1000, 50
    Task.objects.filter(pk=task.pk).update(lease_expires_at=Now())

    task.begin_processing(task.lease)

    found = Task.objects.get()
    assert (found.status, found.progress_percentage) == ("processing", 94.0)
    assert (found.downloaded_bytes, found.total_bytes, found.speed) == (1000, 1000, 0)
    assert not Task.objects.abandoned().exists()


# Requests that come too late


def test_a_pause_is_void_once_processing_begins():
    task = task_in("downloading")
    task.pause()

    task.begin_processing(task.lease)

    assert task.stop == Stop.NONE


@pytest.mark.parametrize(("verb", "asked"), [("cancel", Stop.CANCEL), ("remove", Stop.DELETE)])
def test_a_stronger_request_is_not_void_once_processing_begins(verb, asked):
    task = task_in("downloading")
    getattr(task, verb)()

    task.begin_processing(task.lease)

    assert task.stop == asked


@pytest.mark.parametrize("verb", ["cancel", "remove"])
def test_a_request_that_comes_too_late_for_the_end_is_void(verb):
    task = task_in("processing")
    getattr(task, verb)()

    task.finish(task.lease, 900)

    assert (task.status, task.stop) == ("completed", "")


@pytest.mark.parametrize(("asked", "then"), [("pause", "paused"), ("cancel", "cancelled"), ("remove", None)])
@pytest.mark.parametrize("verb", ["retry_later", "hand_back"])
def test_what_is_asked_to_stop_does_not_go_back_into_the_queue(verb, asked, then):
    status, end = VERBS[verb]
    task = task_in(status)
    getattr(task, asked)()
    before = row(task)

    with pytest.raises(LeaseLost):
        end(task, task.lease)

    assert row(task) == before
    task.stopped(task.lease)
    assert (row(task) or {}).get("status") == then


def test_with_nothing_asked_a_stop_moves_nothing():
    task = task_in("downloading")
    before = row(task)

    task.stopped(task.lease)

    assert row(task) == before


# Names


def test_a_reserved_name_is_in_the_row():
    task = task_in("processing")

    assert task.reserve(task.lease, "film.mp4", 900) is True

    assert (row(task)["file_name"], row(task)["file_size"]) == ("film.mp4", 900)


def test_a_name_that_another_task_has_cannot_be_reserved():
    task_in("completed", file_name="film.mp4")
    task = task_in("processing")

    assert task.reserve(task.lease, "film.mp4", 900) is False

    assert row(task)["file_name"] == ""


def test_a_name_can_be_reserved_again_by_the_same_task():
    task = task_in("processing", file_name="film.mp4")

    assert task.reserve(task.lease, "film.mp4", 900) is True


@pytest.mark.django_db(transaction=True)
def test_of_many_that_reserve_one_name_exactly_one_gets_it():
    tasks = [task_in("processing") for _ in range(8)]

    reserved = at_once(lambda number: tasks[number].reserve(tasks[number].lease, "film.mp4", 900))

    assert reserved.count(True) == 1
    assert Task.objects.get(file_name="film.mp4") == tasks[reserved.index(True)]


def test_the_names_of_files_beside_it_are_reserved_with_it():
    task = task_in("processing")

    task.reserve(task.lease, "a/film.mp4", 900, ["a/film.en.srt"])

    assert (task.side_files, row(task)["side_files"]) == (["a/film.en.srt"], ["a/film.en.srt"])


@pytest.mark.parametrize(("status", "end", "ending"), ENDINGS.values(), ids=ENDINGS.keys())
def test_only_a_completed_task_keeps_its_names(status, end, ending):
    task = task_in(status, file_name="film.mp4", side_files=["film.srt"])

    end(task)

    kept = ("film.mp4", ["film.srt"]) if ending[0] == "completed" else ("", [])
    assert (row(task)["file_name"], row(task)["side_files"]) == kept


def test_a_path_as_long_as_five_levels_of_folders_allow_is_kept():
    task = task_in("processing")
    path = "/".join([*["f" * 255] * 5, "n" * 255])

    assert task.reserve(task.lease, path, 900) is True

    assert row(task)["file_name"] == path


# The rest


def test_ids_are_twelve_lower_case_hexadecimal_characters():
    assert re.fullmatch(r"[0-9a-f]{12}", new_task_id())


def test_ids_do_not_repeat():
    assert len({new_task_id() for _ in range(10_000)}) == 10_000


def test_lists_are_newest_first():
    old = task_in("pending", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    new = task_in("pending", created_at=datetime(2026, 1, 2, tzinfo=UTC))

    assert list(Task.objects.newest_first()) == [new, old]


@pytest.mark.parametrize(
    ("named", "statuses"),
    [
        ("running", {"starting", "downloading", "processing"}),
        ("unfinished", {"pending", "queued", "starting", "downloading", "processing", "paused"}),
        ("finished", {"completed", "failed", "cancelled"}),
        ("ready", {"queued"}),
    ],
)
def test_a_set_holds_the_tasks_of_its_states(named, statuses):
    _ = [task_in(status) for status in STATES]

    found = getattr(Task.objects, named)()

    assert {task.status for task in found} == statuses


def test_a_lease_is_longer_than_the_leash_of_a_child():
    from downloads.engine.child import LEASH_LIMIT  # noqa: PLC0415  brings all of yt-dlp

    assert LEASE.total_seconds() > LEASH_LIMIT


def test_rows_that_are_only_read_are_shown_like_tasks():
    task_in(Status.DOWNLOADING, title="Running", choices={"subtitles": ["en"]})
    task_in(Status.COMPLETED, file_name="a.mp4", side_files=[".en.srt"], finished_at=Now(), has_picture=True)
    tasks = list(Task.objects.newest_first())

    rows = [each.task for each in seen(Task.objects.newest_first())]

    assert [task_json(row) for row in rows] == [task_json(task) for task in tasks]
    assert [progress_json(row) for row in rows] == [progress_json(task) for task in tasks]
