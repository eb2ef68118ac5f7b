"""The hours in which downloads run: by the clocks of a place, also over midnight and over a change of these clocks."""

import threading
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from downloads import turns
from downloads.engine import messages
from downloads.hours import Hours
from downloads.runner import run_next
from tests.tasks import FACTS, FAILURE, task_in


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "moment", "is_open"),
    [
        ("09:00-17:00", "2026-03-01T09:00", True),
        ("09:00-17:00", "2026-03-01T16:59:59", True),
        ("09:00-17:00", "2026-03-01T17:00", False),
        ("22:00-07:00", "2026-03-01T23:30", True),
        ("22:00-07:00", "2026-03-01T06:59", True),
        ("22:00-07:00", "2026-03-01T07:00", False),
        ("22:00-07:00 Europe/Berlin", "2026-01-15T21:30", True),
        ("22:00-07:00 Europe/Berlin", "2026-01-15T20:30", False),
        ("22:00-07:00 Europe/Berlin", "2026-07-15T20:30", True),
        ("08:00-20:00 Asia/Shanghai", "2026-03-01T00:00", True),
    ],
)
def test_a_moment_is_within_them_or_not(hours, moment, is_open):
    assert (at(moment) in Hours.of(hours)) is is_open


@pytest.mark.parametrize(
    ("hours", "moment", "begin"),
    [
        ("22:00-07:00", "2026-03-01T12:00", "2026-03-01T22:00"),
        ("09:00-17:00", "2026-03-01T18:00", "2026-03-02T09:00"),
        ("09:00-17:00 Europe/Berlin", "2026-03-28T18:00", "2026-03-29T07:00"),  # summer time begins in that night
    ],
)
def test_they_begin_again_at_their_time(hours, moment, begin):
    assert Hours.of(hours).next_begin(at(moment)) == at(begin)


class Engine:
    """One whose child has found a video, fetches it without end, and is there when the hours are over."""

    ended = False

    def __init__(self, settings, *, is_live):
        self.settings = settings
        names = ("title", "media_id", "site", "uploader", "duration", "thumbnail")
        facts = {name: getattr(FACTS, name) for name in names}
        self.words = [[messages.Found(**facts, is_live=is_live)], [], [messages.Failed(failure=FAILURE)]]

    def way_out(self, *_):
        return nullcontext(SimpleNamespace(url=""))

    def start(self, _job):
        return self

    def events(self, _timeout):
        now = datetime.now(UTC)
        self.settings.WORKING_HOURS = Hours.of(f"{now + timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}")
        return self.words.pop(0)

    def stop(self):
        pass


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("is_live", "outcome"), [(False, "interrupted"), (True, "retry")])
def test_at_their_end_what_runs_goes_back_into_the_queue_but_a_live_stream_is_recorded_on(
    settings, tmp_path, is_live, outcome
):
    settings.WORK_DIR = tmp_path / "work"
    task = task_in("queued")

    run_next(engine=Engine(settings, is_live=is_live), worker="here", stopping=threading.Event())

    task.refresh_from_db()
    assert (task.status, task.attempts.get().outcome) == ("queued", outcome)
    assert turns.waiting_for(task).what == "hours"
