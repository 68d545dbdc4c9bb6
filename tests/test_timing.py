"""Time by a clock that the test turns."""

import math

import pytest

from cloudypoints.timing import Deadline, Rate, monotonic_s, utc_ns


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def ticked(rate, clock, gaps_s):
    """The rate after an event now and one after each gap."""
    rate.tick()
    for gap_s in gaps_s:
        clock.now_s += gap_s
        rate.tick()
    return rate


def test_a_deadline_counts_down_to_zero_and_no_further(clock):
    deadline = Deadline(2.0, clock)
    clock.now_s += 0.5
    assert (deadline.left_s(), deadline.over) == (1.5, False)
    clock.now_s += 1.5
    assert (deadline.left_s(), deadline.over) == (0.0, True)
    clock.now_s += 9.0
    assert (deadline.left_s(), deadline.over) == (0.0, True)


def test_a_deadline_without_an_end_never_ends(clock):
    deadline = Deadline(None, clock)
    clock.now_s += 1e9
    assert (deadline.left_s(), deadline.over) == (None, False)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_deadline_of_no_time_is_over_at_once(timeout_s, clock):
    assert Deadline(timeout_s, clock).over


def test_a_rate_before_the_second_event_is_none(clock):
    rate = Rate(clock=clock)
    assert (rate.hz, rate.silent_s) == (0.0, math.inf)
    assert math.isnan(rate.usual_s)
    rate.tick()
    assert (rate.hz, rate.silent_s) == (0.0, 0.0)
    assert math.isnan(rate.usual_s)


def test_a_steady_rate_is_events_over_time(clock):
    #  11 events over 10 × 0.04 s
    assert ticked(Rate(clock=clock), clock, [0.04] * 10).hz == pytest.approx(25)


def test_a_rate_falls_while_nothing_comes(clock):
    rate = ticked(Rate(clock=clock), clock, [0.1] * 5)
    rates_hz = []
    for _ in range(4):
        clock.now_s += 1.0
        rates_hz.append(rate.hz)
    assert rates_hz == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert rate.silent_s == pytest.approx(4)


def test_a_rate_forgets_what_is_outside_its_window(clock):
    rate = ticked(Rate(window=4, clock=clock), clock, [10.0] * 5 + [0.5] * 4)
    assert rate.hz == pytest.approx(2)


def test_two_events_at_once_are_no_division_by_zero(clock):
    assert ticked(Rate(clock=clock), clock, [0.0]).hz > 1e6


def test_one_long_silence_does_not_change_what_is_usual(clock):
    rate = ticked(Rate(clock=clock), clock, [0.1, 0.1, 3600.0, 0.1])
    assert rate.usual_s == pytest.approx(0.1)


def test_stamps_are_utc_and_durations_monotonic():
    assert utc_ns() > 1_700_000_000_000_000_000
    assert monotonic_s() <= monotonic_s()
