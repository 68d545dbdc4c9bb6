"""Stamps that rise, whatever they are made of."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloudypoints.capture.frame import no_faults
from cloudypoints.capture.stamps import MediaClock, Rising

MS = 1_000_000
_TIMES = st.lists(st.one_of(st.none(), st.integers(0, 10**12)), min_size=1)


def media_clock(interval_ns: int = 40 * MS):
    clock = MediaClock(faults := no_faults())
    clock.begin_round(interval_ns)
    return clock, faults


@given(_TIMES)
def test_stamps_of_a_recording_rise_whatever_it_says(times_ns):
    clock, _faults = media_clock()
    stamps_ns = [clock.stamp_ns(time_ns) for time_ns in times_ns]
    assert all(a < b for a, b in pairwise([-1, *stamps_ns]))


@given(st.lists(st.integers(0, 10**12), min_size=1, unique=True).map(sorted))
def test_stamps_that_rise_are_left_alone(times_ns):
    clock, faults = media_clock()
    assert [clock.stamp_ns(time_ns) for time_ns in times_ns] == times_ns
    assert faults["unordered"] == faults["unstamped"] == 0


def test_missing_stamps_follow_the_usual_interval_and_are_counted():
    clock, faults = media_clock()
    assert [clock.stamp_ns(t) for t in (None, None, 80 * MS, None)] == [
        0,
        40 * MS,
        80 * MS,
        120 * MS,
    ]
    assert faults["unstamped"] == 3


def test_a_repeated_stamp_is_counted_and_moves_by_the_least():
    clock, faults = media_clock()
    stamps_ns = [clock.stamp_ns(t * MS) for t in (0, 40, 40, 80)]
    assert stamps_ns == [0, 40 * MS, 40 * MS + 1, 80 * MS]
    assert faults["unordered"] == 1


def test_a_jump_back_starts_a_new_stretch_with_its_own_intervals():
    clock, faults = media_clock()
    stamps_ns = [clock.stamp_ns(t * MS) for t in (5000, 5040, 0, 30, 60)]
    assert stamps_ns == [5000 * MS, 5040 * MS, 5080 * MS, 5110 * MS, 5140 * MS]
    assert faults["unordered"] == 1


def test_rounds_of_a_loop_follow_each_other_at_the_usual_interval():
    clock, faults = media_clock()
    stamps_ns = [clock.stamp_ns(t * MS) for t in (0, 40, 80)]
    clock.begin_round(40 * MS)
    stamps_ns += [clock.stamp_ns(t * MS) for t in (0, 40, 80)]
    assert stamps_ns == [t * MS for t in (0, 40, 80, 120, 160, 200)]
    assert faults.total() == 0


def test_a_hole_is_counted_and_kept():
    clock, faults = media_clock()
    assert [clock.stamp_ns(t * MS) for t in (0, 40, 1040)] == [0, 40 * MS, 1040 * MS]
    assert faults["gaps"] == 1


@given(st.lists(st.integers(10**18, 10**18 + 10**8), min_size=1))
def test_stamps_of_a_clock_never_repeat(times_ns):
    rising = Rising(no_faults())
    stamps_ns = [rising.stamp_ns(time_ns) for time_ns in times_ns]
    assert all(a < b for a, b in pairwise(stamps_ns))


def test_a_clock_that_was_set_back_is_believed():
    rising = Rising(no_faults())
    hour_ns = 3600 * 10**9
    assert rising.stamp_ns(2 * hour_ns) == 2 * hour_ns
    assert rising.stamp_ns(hour_ns) == hour_ns
