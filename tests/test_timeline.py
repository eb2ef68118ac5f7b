"""Where a moment of the site's video is in the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloads.engine.timeline import Timeline, joined

WHOLE = Timeline(((0.0, 60.0),))
SECTION = Timeline(((10.0, 40.0),))
CUT = WHOLE.without([(5.0, 10.0), (20.0, 30.0)])


@pytest.mark.parametrize(
    ("timeline", "moment", "expected"),
    [
        (WHOLE, 12.5, 12.5),
        (SECTION, 10, 0),
        (SECTION, 5, 0),
        (SECTION, 25, 15),
        (SECTION, 50, 30),
        (CUT, 4, 4),
        (CUT, 7, 5),
        (CUT, 10, 5),
        (CUT, 25, 15),
        (CUT, 60, 45),
    ],
)
def test_a_moment_moves_up_by_what_is_not_there_before_it(timeline, moment, expected):
    assert timeline.at(moment) == expected


@pytest.mark.parametrize(
    ("timeline", "span", "expected"),
    [
        (CUT, (0, 4), (0, 4)),
        (CUT, (3, 12), (3, 7)),
        (CUT, (6, 9), None),
        (CUT, (55, 99), (40, 45)),
        (SECTION, (0, 9), None),
        (SECTION, (5, 15), (0, 5)),
    ],
)
def test_a_part_keeps_what_is_left_of_it(timeline, span, expected):
    assert timeline.span(*span) == expected


def test_a_section_can_be_cut_in_its_own_seconds():
    cut = SECTION.without([(5.0, 10.0)])
    assert (cut.kept, cut.duration) == (((10.0, 15.0), (20.0, 40.0)), 25.0)


def test_a_cut_can_be_cut_again():
    assert CUT.without([(4.0, 6.0)]).kept == ((0.0, 4.0), (11.0, 20.0), (30.0, 60.0))


def test_parts_that_overlap_or_leave_the_file_become_plain_ones():
    assert joined([(8, 9), (-5, 1), (3, 5), (4, 6), (6, 7), (50, 99), (2, 2)], 60) == [(0, 1), (3, 7), (8, 9), (50, 60)]


@given(st.lists(st.tuples(st.floats(-10, 70), st.floats(-10, 70)), max_size=8))
def test_no_cut_makes_more_of_a_file_or_turns_it_around(cuts):
    cut = WHOLE.without(cuts)
    assert 0 <= cut.duration <= 60
    assert [cut.at(moment) for moment in range(61)] == sorted(cut.at(moment) for moment in range(61))
    assert cut.duration == pytest.approx(60 - sum(end - start for start, end in joined(cuts, 60)), abs=1e-6)
