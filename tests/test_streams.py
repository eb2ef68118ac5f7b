"""Which of several streams is the page's video."""

import pytest

from downloads.engine.candidates import Candidate, Kind, Standing
from downloads.engine.streams import Stream, choose


def stream(name, duration=None, *, kind=Kind.VIDEO, standing=Standing.PLAYED, near_player=True, **more):
    candidate = Candidate(f"https://a.test/{name}", kind, standing, near_player, "https://a.test/page")
    return Stream(candidate, [], duration=duration, **more)


HOUR = 3600
ASIDE = Standing.ASIDE
LINKED = Standing.LINKED


@pytest.mark.parametrize(
    "streams",
    [
        [stream("good", HOUR), stream("second", HOUR)],
        [stream("preview", 15), stream("good", HOUR)],
        [stream("preview", 15, kind=Kind.HLS), stream("good", HOUR)],
        [stream("preview", 15), stream("good", HOUR, standing=LINKED)],
        [stream("good", 20), stream("clip", 40)],
        [stream("good", 40), stream("film", HOUR)],
        [stream("preview", 15), stream("good", is_live=True)],
        [stream("preview", size=1_000_000), stream("good", size=100_000_000)],
        [stream("link", HOUR, standing=LINKED), stream("good", HOUR)],
        [stream("trailer", HOUR, standing=ASIDE, kind=Kind.HLS), stream("good", HOUR)],
        [stream("ad", HOUR, standing=ASIDE), stream("good", HOUR, standing=LINKED)],
        [stream("dash", HOUR, kind=Kind.DASH), stream("good", HOUR, kind=Kind.HLS)],
        [stream("audio", HOUR, kind=Kind.AUDIO), stream("good", HOUR)],
        [stream("far", HOUR, near_player=False), stream("good", HOUR)],
        [stream("v1?t=1", HOUR), stream("good", HOUR, variants=frozenset({"https://a.test/v1?t=2"}))],
        [stream("good"), stream("unknown")],
        [stream("good", 10, protection="DRM"), stream("other", 2)],
        [stream("good", HOUR, protection="DRM"), stream("preview", 15)],
        [stream("good", protection="DRM"), stream("preview", 15)],
        [stream("good", HOUR, protection="DRM"), stream("trailer", 120)],
        [stream("good", HOUR, protection="DRM"), stream("unknown")],
        [stream("protected", HOUR, protection="DRM"), stream("good", HOUR - 60)],
    ],
)
def test_the_video_is(streams):
    assert choose(streams).candidate.url.endswith("/good")


def test_nothing_of_nothing_is_nothing():
    assert choose([]) is None


def test_lists_that_name_each_other_are_both_there():
    one = stream("1", HOUR, variants=frozenset({"https://a.test/2"}))
    two = stream("2", HOUR, variants=frozenset({"https://a.test/1"}))
    assert choose([one, two]) is one


@pytest.mark.parametrize(
    ("first", "behind", "expected"),
    [
        (stream("a", HOUR), stream("b"), True),
        (stream("a", 12), stream("b"), False),
        (stream("a"), stream("b"), False),
        (stream("a", HOUR, standing=LINKED), stream("b", standing=LINKED), False),
        (stream("a", HOUR, protection="DRM"), stream("b"), False),
        (stream("a", HOUR, kind=Kind.HLS), stream("b", kind=Kind.HLS), False),
        (stream("a", HOUR, kind=Kind.HLS, variants=frozenset({"x"})), stream("b", kind=Kind.HLS), True),
        (stream("a", HOUR, kind=Kind.HLS), stream("b", kind=Kind.DASH), True),
    ],
)
def test_the_search_ends_where_nothing_can_win_any_more(first, behind, expected):
    assert first.beats(behind.candidate) is expected
