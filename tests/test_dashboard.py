"""The admin's first page: what the rows come to, and how it is said. These tests run on PostgreSQL, too."""

import html
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db.models.functions import Now
from django.utils import timezone

from downloads import dashboard, figures, storage
from downloads.engine.errors import SENTENCES, Reason
from downloads.figures import Disk
from downloads.models import Task, WorkerProcess
from downloads.readiness import Check, Finding, Readiness
from downloads.states import Status, Wait
from tests.tasks import task_in

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 2, 8, 23, 59, tzinfo=UTC)
GIGABYTE = 1024**3


@pytest.fixture
def at_noon(monkeypatch):
    """It is noon of a day in March, by the server's clock."""
    monkeypatch.setattr(figures.timezone, "now", lambda: NOON)


def ended(status=Status.COMPLETED, at=NOON, **columns):
    """A task that ended at this time."""
    return Task.objects.create(url="https://example.com/v", status=status, finished_at=at, **columns)


# Days


def test_each_of_the_last_30_days_is_there(at_noon):
    found = figures.days()
    assert [found[0].date, found[-1].date, len(found)] == [date(2026, 2, 9), date(2026, 3, 10), 30]
    assert {(day.completed, day.failed, day.file_bytes) for day in found} == {(0, 0, 0)}


def test_what_ended_on_a_day_is_summed_up(at_noon):
    ended(stored_bytes=100)
    ended(stored_bytes=23)
    ended(Status.FAILED)
    ended(Status.CANCELLED)
    ended(is_playlist=True)
    today = figures.days()[-1]
    assert (today.completed, today.failed, today.file_bytes) == (2, 1, 123)


@pytest.mark.parametrize(("zone", "day"), [("UTC", date(2026, 3, 9)), ("Asia/Shanghai", date(2026, 3, 10))])
def test_a_day_begins_at_midnight_of_the_servers_time_zone(at_noon, settings, zone, day):
    settings.TIME_ZONE = zone
    ended(at=datetime(2026, 3, 9, 20, tzinfo=UTC))
    assert [each.date for each in figures.days() if each.completed] == [day]


def test_what_ended_before_is_left_out(at_noon):
    ended(at=LONG_AGO, site="example.com")
    ended(Status.FAILED, at=LONG_AGO)
    assert sum(day.completed for day in figures.days()) == 0
    assert figures.sites() == []
    assert figures.failures() == []


# Sites, failures


def test_the_sites_with_most_downloads_come_first(at_noon):
    ended(site="b.example", stored_bytes=5)
    ended(site="b.example", stored_bytes=6)
    ended(site="a.example")
    ended(Status.FAILED, site="a.example")
    ended(Status.FAILED)
    found = [(site.name, site.completed, site.failed, site.file_bytes) for site in figures.sites()]
    assert found == [("b.example", 2, 0, 11), ("a.example", 1, 1, 0), ("", 0, 1, 0)]


def test_failures_are_counted_by_reason_with_the_newest(at_noon):
    ended(Status.FAILED, error_reason=Reason.NETWORK)
    newest = ended(Status.FAILED, at=NOON + timedelta(minutes=1), error_reason=Reason.NETWORK)
    ended(Status.FAILED, at=NOON - timedelta(minutes=1), error_reason=Reason.NETWORK)
    other = ended(Status.FAILED, error_reason=Reason.DRM)
    found = [(group.reason, group.count, group.newest) for group in figures.failures()]
    assert found == [("network", 3, newest), ("drm", 1, other)]


def test_what_failed_by_the_clock_of_the_database_is_the_newest_of_its_reason():
    ended(Status.FAILED, at=timezone.now() - timedelta(minutes=1), error_reason=Reason.NETWORK)
    newest = ended(Status.FAILED, at=Now(), error_reason=Reason.NETWORK)
    other = ended(Status.FAILED, at=Now(), error_reason=Reason.DRM)
    found = [(group.reason, group.count, group.newest.pk) for group in figures.failures()]
    assert found == [("network", 2, newest.pk), ("drm", 1, other.pk)]


# The queue, the workers, the disk


def test_what_waits_is_told_apart():
    task_in("pending")
    task_in("queued", queued_at=Now() - timedelta(seconds=100))
    task_in("queued", available_at=Now() + timedelta(hours=1))
    task_in("queued", waits_for=Wait.ROOM)
    task_in("downloading", speed=1000)
    task_in("processing")
    Task.objects.create(url="https://example.com/", is_playlist=True, status=Status.QUEUED)
    found = figures.queue()
    assert (found.running, found.speed, found.ready, found.later, found.unstarted) == (2, 1000, 1, 1, 1)
    assert found.others == {Wait.ROOM: 1}
    assert 100 <= found.oldest.total_seconds() < 110


def test_a_worker_is_shown_with_what_it_holds(monkeypatch):
    monkeypatch.setattr(figures, "TASKS_OF_A_WORKER", 2)
    WorkerProcess.objects.beat("host:1", concurrency=4, version="1.0.0")
    WorkerProcess.objects.create(name="host:2", concurrency=4, version="1.0.0", seen_at=Now() - timedelta(minutes=5))
    tasks = [task_in("downloading", started_at=Now() + timedelta(seconds=number)) for number in range(3)]
    busy, lost = figures.workers()
    assert (busy.process.is_alive, busy.tasks, busy.task_count) == (True, tasks[:2], 3)
    assert (lost.process.is_alive, lost.tasks, lost.task_count) == (False, [], 0)


def test_the_room_that_files_take_is_summed_up(settings, tmp_path):
    settings.WORK_DIR = tmp_path
    ended(stored_bytes=2 * GIGABYTE)
    ended(stored_bytes=GIGABYTE)
    ended(Status.FAILED, stored_bytes=GIGABYTE)
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "media.mp4.part").write_bytes(bytes(100_000))
    assert Task.objects.stored_bytes() == 3 * GIGABYTE
    assert 100_000 <= figures.work_bytes() < 200_000


def test_one_file_system_is_shown_once(settings, tmp_path):
    settings.LIBRARY_DIR, settings.WORK_DIR = tmp_path, tmp_path / "work"
    settings.WORK_DIR.mkdir()
    [disk] = figures.disks()
    assert disk.folders == [settings.LIBRARY_DIR, settings.WORK_DIR]
    assert disk.total > disk.free > 0


# How it is said


@pytest.fixture
def checks(monkeypatch):
    """What the checks find, all well: those of the real ones that need nothing but words."""
    found = {
        "database": Finding(sentence="{database} answers.", blanks={"database": "sqlite"}),
        "yt_dlp": Finding(sentence="yt-dlp is {days} days old.", blanks={"days": 3}, version="2026.10.26", age_days=3),
    }
    monkeypatch.setattr(
        dashboard.readiness,
        "readiness",
        Readiness({name: Check(lambda name=name: found[name], "{reason}") for name in found}),
    )
    monkeypatch.setattr(storage, "room", lambda _: storage.Room(100 * GIGABYTE, is_short=False))
    monkeypatch.setattr(figures, "disks", lambda: [Disk([], 200 * GIGABYTE, 100 * GIGABYTE)])
    return found


@pytest.fixture
def worker(checks):
    WorkerProcess.objects.beat("host:1", concurrency=4, version="1.0.0")


def first_page(client, **headers):
    """Its words, without the tags between them."""
    answer = client.get("/admin/", headers=headers)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def test_all_is_well(admin_client, worker):
    page = first_page(admin_client)
    assert "All is well." in page
    assert "host:1 alive · 0 of 4 downloads at once" in page
    assert "yt-dlp 2026.10.26 · 3 days old" in page
    assert "days and times are those of UTC" in page


def test_without_a_worker_it_says_what_to_do(admin_client, checks):
    page = first_page(admin_client)
    assert "Something does not work." in page
    assert "No worker gave a sign of life lately, so nothing is downloaded: start one" in page


def test_a_lost_worker_and_an_old_engine_need_attention(admin_client, worker, checks):
    WorkerProcess.objects.create(name="nas:7", concurrency=4, version="1.0.0", seen_at=Now() - timedelta(minutes=5))
    checks["yt_dlp"] = Finding(
        status="warning",
        sentence="yt-dlp is {days} days old; sites change, so update it with: manage.py update-engine",
        blanks={"days": 90},
    )
    page = first_page(admin_client)
    assert "All works; something needs your attention." in page
    assert "The worker nas:7 was lost 5 min" in page
    assert "yt-dlp: yt-dlp is 90 days old; sites change, so update it with: manage.py update-engine" in page


@pytest.mark.parametrize(
    ("free", "words"),
    [(1000, "so downloads wait until there are more than 200.0 MB: make room."), (4 * GIGABYTE, "make room soon.")],
)
def test_a_disk_that_fills_up_is_said_in_time(admin_client, worker, monkeypatch, free, words):
    monkeypatch.setattr(storage, "room", lambda _: storage.Room(free, is_short=True))
    monkeypatch.setattr(figures, "disks", lambda: [Disk([], 200 * GIGABYTE, free)])
    assert words in first_page(admin_client)


def test_a_failure_is_said_in_words_and_leads_to_its_task(admin_client, worker):
    failed = ended(
        Status.FAILED,
        at=timezone.now(),
        title="<b>A film</b>",
        error_reason=Reason.NETWORK,
        error_message=SENTENCES[Reason.NETWORK],
    )
    page = admin_client.get("/admin/").text
    assert SENTENCES[Reason.NETWORK] in html.unescape(page)
    assert f'href="/admin/downloads/task/{failed.id}/change/"' in page
    assert "<b>A film</b>" not in page
    [address] = re.findall(r'href="([^"]*error_reason=[^"]*)"', page)
    assert "1 task" in admin_client.get(html.unescape(address)).text


@pytest.mark.parametrize("row", range(5))
def test_what_waits_leads_to_its_list(admin_client, worker, row):
    task_in("queued", waits_for=Wait.ROOM)
    address = dashboard.dashboard()["queue"][row]["address"]
    assert admin_client.get(address).status_code == 200


def test_numbers_and_days_are_said_in_both_languages(admin_client, worker, at_noon):
    ended(stored_bytes=GIGABYTE, site="example.com")
    assert "March 10 1 0 1.0 GB" in first_page(admin_client)
    chinese = first_page(admin_client, **{"Accept-Language": "zh-CN"})
    assert "03月10日 1 0 1.0 GB" in chinese
    assert "yt-dlp 2026.10.26 · 发布已 3 天" in chinese
    assert "yt-dlp 发布已 3 天。" in chinese


def test_somebody_who_may_not_see_tasks_sees_no_dashboard(client, django_user_model):
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(clerk)
    answer = client.get("/admin/")
    assert answer.status_code == 200
    assert 'id="dashboard"' not in answer.text


def test_a_list_of_one_app_has_no_dashboard(admin_client):
    assert 'id="dashboard"' not in admin_client.get("/admin/downloads/").text


def test_a_fixed_number_of_queries_whatever_there_is(admin_client, worker, django_assert_max_num_queries):
    for number in range(30):
        ended(Status.FAILED, at=timezone.now(), error_reason=f"r{number}", site=f"s{number}")
    with django_assert_max_num_queries(20):
        dashboard.dashboard()
