"""How many points to draw and how often, from how long drawing really takes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cloudypoints.timing import monotonic_s

log = logging.getLogger(__name__)

START_POINTS = 20_000  # what a software renderer draws in about 0.1 s
FEWEST_POINTS = 4_000
SLOWEST_S, EASY_S = 0.24, 0.12  # of one draw: points are taken away above, added below
_SHORTEST_S = 1 / 30  # between two draws
_ROOM = 1.3  # share of time left to others: the renderer is never given more than it can finish
_MEASURE_S = 2.0  # between two measurements, each of which costs a draw
_HURRY_S = 0.3  # the same while the number of points has not settled
_WARM_UP = 3  # draws that say nothing: the driver still compiles


class Pace:
    """Thins to hold more than three draws a second, and leaves time to the node beside it."""

    def __init__(self, clock: Callable[[], float] = monotonic_s) -> None:
        self._clock = clock
        self.points = START_POINTS  # to draw, of all cameras together
        self.draw_s = 0.0  # that a draw takes
        self._took_s = 0.5 * (EASY_S + SLOWEST_S)  # that the last measured one took
        self._drew_s = float("-inf")
        self._measured_s = float("-inf")
        self._draws = 0
        self._settled = False

    @property
    def due(self) -> bool:
        """Whether the next draw may begin."""
        return self._clock() - self._drew_s >= max(_SHORTEST_S, _ROOM * self.draw_s)

    @property
    def measurement_due(self) -> bool:
        """Whether the draw that is due is to be measured."""
        wait_s = _MEASURE_S if self._settled else _HURRY_S
        return self._draws > _WARM_UP and self._clock() - self._measured_s >= wait_s

    def drew(self) -> None:
        """Note that a draw has begun."""
        self._drew_s = self._clock()
        self._draws += 1

    def measured(self, took_s: float, available: int) -> None:
        """Learn from a draw that took `took_s`, of clouds that have `available` points.

        One slow or fast draw is chance; it takes two to change anything.
        """
        self._measured_s = self._clock()
        slow_s, fast_s = min(self._took_s, took_s), max(self._took_s, took_s)
        self._took_s = took_s
        self.draw_s = slow_s
        points = self.points
        if slow_s > SLOWEST_S:
            points = max(FEWEST_POINTS, round(points * max(0.4, 0.9 * SLOWEST_S / slow_s)))
        elif fast_s < EASY_S and points < available:
            points = min(2 * points, available)
        self._settled = points == self.points and took_s <= SLOWEST_S
        if points != self.points:
            log.info("%d points at most from now on: a draw takes %.0f ms", points, took_s * 1e3)
        self.points = points
