"""The pace of recordings, on a clock that the test turns."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cloudypoints.capture.pace import Pacer

FRAME_NS = 40_000_000


class Clock:
    """Waiting turns it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


def handed_out(pace: float, work_s: list[float]) -> list[float]:
    """When frames of 25 Hz were handed to a reader who works this long on each; the first at 0."""
    clock = Clock()
    pacer = Pacer(pace, clock)
    times_s = []
    for index, busy_s in enumerate(work_s):
        clock.wait(max(0.0, pacer.early_s(index * FRAME_NS)))
        times_s.append(clock.now_s - 100)
        clock.wait(busy_s)
    return times_s


@pytest.mark.parametrize(("pace", "frame_s"), [(1.0, 0.04), (2.0, 0.02), (0.5, 0.08)])
def test_frames_come_when_they_are_due(pace, frame_s):
    assert handed_out(pace, [0.001] * 100) == pytest.approx([i * frame_s for i in range(100)])


def test_the_schedule_does_not_drift():
    # Ten minutes of frames, each worked on for almost as long as it lasts.
    assert handed_out(1.0, [0.039] * 15_000)[-1] == pytest.approx(14_999 * 0.04, abs=1e-6)


def test_pace_zero_never_waits():
    assert handed_out(0.0, [0.0] * 10) == [0.0] * 10


def test_a_short_delay_is_caught_up():
    times_s = handed_out(1.0, [0.0, 0.1, 0.0, 0.0, 0.0])
    assert times_s == pytest.approx([0, 0.04, 0.14, 0.14, 0.16])


def test_a_reader_who_pauses_shifts_the_schedule_instead_of_getting_a_burst():
    times_s = handed_out(1.0, [0.0, 10.0, *[0.0] * 20])
    steps_s = [b - a for a, b in pairwise(times_s[3:])]
    # Out of 10 s at most 0.1 s is caught up: two frames and a half.
    assert sum(step < 0.039 for step in steps_s) <= 3
    assert times_s[-1] == pytest.approx(0.04 + 10 + 20 * 0.04 - 0.1 - 0.04, abs=0.05)


def test_a_reader_who_is_always_too_slow_sets_the_pace_himself():
    assert handed_out(1.0, [0.06] * 50) == pytest.approx([i * 0.06 for i in range(50)])


def test_another_pace_begins_with_the_next_frame():
    clock = Clock()
    pacer = Pacer(1.0, clock)
    assert pacer.early_s(0) == 0
    pacer.restart(2.0)
    assert pacer.early_s(50 * FRAME_NS) == 0
    assert pacer.early_s(51 * FRAME_NS) == pytest.approx(0.02)
