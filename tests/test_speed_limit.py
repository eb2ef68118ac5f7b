"""The speed limit of all downloads together: the same part for each, told anew when there are more or fewer."""

import threading
import time

import pytest

from downloads.engine import messages
from downloads.engine.throttle import Throttle
from downloads.models import SiteSettings
from downloads.runner import _curls_limit, _fair_part_of_line
from tests.jobs import heard
from tests.tasks import task_in

SIZE = 202_386  # bytes of the small video


def seconds(child):
    began = time.monotonic()
    events = list(heard(child))
    child.stop()
    assert isinstance(events[-1], messages.Done), events[-1]
    return time.monotonic() - began


def test_a_download_takes_no_more_than_its_share(jobs, origin):
    child, _folder = jobs.start(origin.url("/direct/small.mp4"), share=SIZE // 2)

    assert seconds(child) > 1.5


def test_a_share_that_grows_lets_a_running_download_go_faster(jobs, origin):
    child, _folder = jobs.start(origin.url("/direct/small.mp4"), share=SIZE // 40)
    threading.Timer(1, child.leave_share, [SIZE * 10]).start()

    assert seconds(child) < 20


def test_a_share_that_shrinks_holds_a_running_throttle_back():
    throttle = Throttle(0)
    throttle.pay(10**9)
    throttle.rate = 1000
    began = time.monotonic()

    _ = [throttle.pay(100) for _ in range(3)]

    assert time.monotonic() - began >= 0.3


def test_what_the_parent_says_of_a_share_is_understood_in_pieces_and_among_other_words():
    said = messages.ALIVE + messages.share_of(5) + messages.ALIVE + messages.share_of(1_048_576)

    assert messages.last_share(said[:8]) == 5
    assert messages.last_share(said) == 1_048_576
    assert messages.last_share(messages.ALIVE + messages.FINISH + b"r12") is None
    assert messages.FINISH not in messages.share_of(123_456_789)


@pytest.mark.django_db
def test_what_all_may_have_is_shared_out_evenly_among_those_that_fetch(settings):
    settings.SPEED_LIMIT = 1_000_000
    _ = [task_in(status) for status in ("starting", "downloading", "processing", "queued")]

    assert _fair_part_of_line() == 500_000


@pytest.mark.django_db
@pytest.mark.parametrize(("of_all", "limit"), [(0, 300_000), (1_000_000, 300_000), (400_000, 200_000)])
def test_one_gets_no_more_than_one_may_have(settings, of_all, limit):
    settings.SPEED_LIMIT, settings.TASK_SPEED_LIMIT = of_all, 300_000
    _ = [task_in("downloading") for _ in range(2)]

    assert _fair_part_of_line() == limit


@pytest.mark.django_db
def test_without_a_limit_there_is_none(settings):
    settings.SPEED_LIMIT = 0
    task_in("downloading")

    assert _fair_part_of_line() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("of_site", "of_all", "of_each", "limit"),
    [(0, 0, 0, 0), (500, 0, 0, 500), (0, 4000, 0, 1000), (5000, 4000, 0, 1000), (5000, 4000, 700, 700)],
)
def test_curl_whose_limit_cannot_change_gets_a_part_for_the_worst_case(settings, of_site, of_all, of_each, limit):
    settings.SPEED_LIMIT, settings.TASK_SPEED_LIMIT, settings.MAX_CONCURRENT_DOWNLOADS = of_all, of_each, 4

    assert _curls_limit(SiteSettings(rate_limit=of_site)) == limit
