"""What an administrator changes while it runs: it holds at once, what is empty is as the environment says."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import IntegrityError
from django.db.models.functions import Now

from downloads import retention, turns
from downloads.hours import Hours
from downloads.models import Tuning
from downloads.recovery import Sweeper
from downloads.runner import _fair_part_of_line
from tests.administrator import Administrator
from tests.service import wait_until
from tests.tasks import task_in

PAGE = "/admin/downloads/tuning/1/change/"
EMPTY = {
    "max_downloads": "",
    "speed_limit": "",
    "task_speed_limit": "",
    "working_hours": "",
    "retention_days": "",
    "retention_gb": "",
}
DAY = timedelta(days=1)
GIGABYTE = 1024**3


def closed():
    """Hours that begin in an hour."""
    now = datetime.now(UTC)
    return f"{now + timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"


# What holds


@pytest.mark.parametrize(
    ("columns", "holds"),
    [
        ({}, {"max_downloads": 4, "speed_limit": 500, "hours": Hours.of("22:00-07:00")}),
        ({}, {"retention_age": DAY, "retention_size": GIGABYTE}),
        ({"max_downloads": 9}, {"max_downloads": 9, "speed_limit": 500}),
        ({"speed_limit": 0}, {"speed_limit": 0}),
        ({"working_hours": "08:00-09:00"}, {"hours": Hours.of("08:00-09:00")}),
        ({"working_hours": "always"}, {"hours": None}),
        ({"retention_days": 0}, {"retention_age": 0 * DAY, "retention_size": GIGABYTE}),
        ({"retention_gb": 1.5}, {"retention_age": DAY, "retention_size": 3 * GIGABYTE // 2}),
    ],
)
def test_what_is_set_goes_before_what_the_environment_says(tune, settings, columns, holds):
    settings.MAX_CONCURRENT_DOWNLOADS, settings.SPEED_LIMIT, settings.WORKING_HOURS = 4, 500, Hours.of("22:00-07:00")
    settings.RETENTION_AGE, settings.RETENTION_SIZE = DAY, GIGABYTE
    in_force = tune(**columns).in_force()
    assert {name: getattr(in_force, name) for name in holds} == holds


@pytest.mark.django_db
def test_there_is_one_row_at_most():
    with pytest.raises(IntegrityError):
        Tuning.objects.create(pk=2)


def test_it_holds_at_once_in_this_process_and_within_a_second_in_others(tune):
    tune(max_downloads=3)
    assert Tuning.objects.in_force().max_downloads == 3
    Tuning.objects.update(max_downloads=5)  # as another process does
    wait_until(lambda: Tuning.objects.in_force().max_downloads == 5, limit=15)


def test_no_more_start_than_may_run_and_none_that_runs_is_stopped(tune):
    _ = [task_in(status) for status in ("downloading", "downloading", "queued", "queued")]
    tune(max_downloads=1)
    assert turns.claim_next("host:1") is None
    assert turns.startable().count() == 0
    tune(max_downloads=3)
    assert [turns.claim_next("host:1") is None for _ in range(2)] == [False, True]


def test_outside_of_the_working_hours_nothing_starts_and_a_task_says_when_it_does(tune):
    task = task_in("queued")
    tune(working_hours=closed())
    assert turns.claim_next("host:1") is None
    assert turns.waiting_for(task).what == "hours"
    assert turns.waiting_for(task).until > datetime.now(UTC)


def test_the_line_is_shared_by_the_new_limit(tune):
    task_in("downloading")
    tune(speed_limit=4000)
    assert _fair_part_of_line() == 4000


def test_what_is_too_old_by_the_new_age_goes(tune):
    task = task_in("completed", finished_at=Now() - 3 * DAY)
    assert retention.due() == []
    tune(retention_days=2)
    assert [each.task for each in retention.due()] == [task]


def test_a_worker_that_was_told_no_number_takes_as_many_as_may_run(tune):
    tune(max_downloads=7)
    assert (Sweeper().concurrency, Sweeper(2).concurrency) == (7, 2)


# At the admin


@pytest.fixture
def submit(admin_client, tune):
    """Sends the form; what is not named is empty."""
    return lambda **form: admin_client.post(PAGE, EMPTY | form, follow=True)


def text_of(answer):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())))


def test_the_list_leads_straight_to_the_only_row_before_it_is_stored(admin_client):
    answer = admin_client.get("/admin/downloads/tuning/", follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "Empty: as DOWNIE_MAX_CONCURRENT_DOWNLOADS says: 4." in text_of(answer)
    assert "At most 4 downloads at once; 0 run now." in text_of(answer)
    assert not Tuning.objects.exists()


@pytest.mark.parametrize(
    ("form", "columns"),
    [
        ({"max_downloads": "12"}, {"max_downloads": 12, "speed_limit": None, "working_hours": ""}),
        ({"speed_limit": "1.5m"}, {"speed_limit": 1_572_864}),
        ({"speed_limit": "0"}, {"speed_limit": 0}),
        ({"task_speed_limit": "2M"}, {"task_speed_limit": 2_097_152}),
        ({"working_hours": " 22:00-07:00 "}, {"working_hours": "22:00-07:00 UTC"}),
        ({"working_hours": "Always"}, {"working_hours": "always"}),
        ({"retention_days": "0.5", "retention_gb": "0"}, {"retention_days": 0.5, "retention_gb": 0}),
    ],
)
def test_what_is_entered_is_kept_and_shown_again(submit, form, columns):
    page = submit(**form)
    row = Tuning.objects.get()
    assert {name: getattr(row, name) for name in columns} == columns
    assert "Saved. It holds for every process within a second or two." in text_of(page)
    shown = page.context["adminform"].form
    assert not type(shown)(data={name: shown[name].value() for name in EMPTY}, instance=row).has_changed()


HOURS = (
    "Give two different times of the day, and a time zone unless it is UTC, such as 22:00-07:00 Europe/Berlin; "
    "or “always”."
)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"max_downloads": "0"}, "Ensure this value is greater than or equal to 1."),
        ({"max_downloads": "101"}, "Ensure this value is less than or equal to 100."),
        ({"max_downloads": "many"}, "Enter a whole number."),
        ({"speed_limit": "10"}, "Give bytes a second, 1K at least, such as 500K or 2M; 0 for no limit."),
        ({"working_hours": "at night"}, HOURS),
        ({"working_hours": "22:00-22:00"}, HOURS),
        ({"working_hours": "22:00-07:00 Atlantis"}, HOURS),
        ({"retention_days": "-1"}, "Ensure this value is greater than or equal to 0."),
        ({"retention_gb": "nan"}, "Enter a number."),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(submit, form, sentence):
    page = submit(**form)
    assert [*page.context["adminform"].form.errors.values()] == [[sentence]]
    assert not Tuning.objects.exists()


def test_who_changed_what_is_noted(submit, admin_user):
    submit(max_downloads="2", working_hours="always")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.get_change_message()) == (admin_user, "Changed Downloads at once and Working hours.")


def test_before_finished_tasks_go_because_of_a_change_it_says_how_many(submit):
    task_in("completed", finished_at=Now() - 3 * DAY, stored_bytes=2048)
    page = text_of(submit(retention_days="2"))
    assert "1 finished task with 2.0 KB is deleted within an hour, unless you change this before." in page
    assert "is deleted within an hour" not in text_of(submit(retention_days="2", max_downloads="3"))


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"speed_limit": "500K"}, "500.0 KB/s for all together."),
        ({"task_speed_limit": "100K"}, "100.0 KB/s at most for each."),
        ({"working_hours": "always"}, "Downloads run at any hour."),
        ({"working_hours": "00:00-23:59 Etc/GMT+12"}, "by the working hours 00:00-23:59 Etc/GMT+12."),
        ({"retention_days": "30"}, "Finished ones are deleted after 30 days."),
        ({"retention_gb": "2"}, "The oldest finished ones are deleted beyond 2.0 GB in all."),
        (
            {"retention_days": "30", "retention_gb": "2"},
            "Finished ones are deleted after 30 days, and the oldest beyond 2.0 GB in all.",
        ),
    ],
)
def test_the_page_says_what_is_in_force(submit, form, sentence):
    assert sentence in text_of(submit(**form))


@pytest.mark.parametrize(("permissions", "status"), [([], 403), (["view_tuning"], 200)])
def test_who_may_not_change_them_changes_nothing(client, django_user_model, db, permissions, status):
    user = django_user_model.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    assert client.get(PAGE).status_code == status
    assert client.post(PAGE, EMPTY | {"max_downloads": "2"}).status_code == 403
    assert not Tuning.objects.exists()


def test_the_dashboard_leads_there_and_says_when_downloads_go_on(admin_client, tune):
    tune(working_hours=closed())
    page = admin_client.get("/admin/")
    assert 'href="/admin/downloads/tuning/"' in page.content.decode()
    assert "on downloads run again, by the working hours." in text_of(page)


# With a service


def test_a_running_service_follows_without_a_restart(fresh_service, origin):
    fresh_service.environment["DOWNIE_MAX_CONCURRENT_DOWNLOADS"] = "1"
    fresh_service.start()
    with Administrator(fresh_service) as administrator:
        running, waiting = (
            fresh_service.download(origin.url("/direct/small.mp4", rate=2_000, test=each)) for each in range(2)
        )
        fresh_service.wait_for(running, "downloading")
        assert fresh_service.task(waiting)["status"] == "queued"

        administrator.change(PAGE, EMPTY | {"max_downloads": "2"})
        fresh_service.wait_for(waiting, "downloading")
        assert fresh_service.task(running)["status"] == "downloading"

        administrator.change(PAGE, EMPTY | {"max_downloads": "2", "working_hours": closed()})
        _ = [fresh_service.wait_for(each, "queued") for each in (running, waiting)]
        assert fresh_service.task(running)["waits_for"] == "hours"

        administrator.change(PAGE, EMPTY | {"max_downloads": "1", "working_hours": "always"})
        fresh_service.wait_for(running, "downloading")
        assert fresh_service.task(waiting)["status"] == "queued"
