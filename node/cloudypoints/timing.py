"""Two clocks and what is read off them: UTC for stamps, monotonic for durations and ages."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

NS_PER_S = 1_000_000_000

utc_ns: Callable[[], int] = time.time_ns  # for stamps that leave the process
monotonic_s: Callable[[], float] = time.monotonic  # for waits, rates and ages within it


class Deadline:
    """One budget of seconds passed through several waits; None never ends."""

    def __init__(self, timeout_s: float | None, clock: Callable[[], float] = monotonic_s) -> None:
        self._clock = clock
        self._end_s = None if timeout_s is None else clock() + timeout_s

    def left_s(self) -> float | None:
        """Seconds left, never below 0; None without an end."""
        return None if self._end_s is None else max(0.0, self._end_s - self._clock())

    @property
    def over(self) -> bool:
        """Whether the budget is used up."""
        return self.left_s() == 0.0


class Rate:
    """Events per second over the last `window` gaps; falls towards 0 when they stop coming.

    One thread ticks, any thread may read.
    """

    def __init__(self, window: int = 30, clock: Callable[[], float] = monotonic_s) -> None:
        self._clock = clock
        self._window = window
        self._at_s: tuple[float, ...] = ()  # replaced as a whole, so that readers need no lock

    def tick(self) -> None:
        """Note that it happened, now."""
        self._at_s = (*self._at_s[-self._window :], self._clock())

    @property
    def hz(self) -> float:
        """0 before the second event."""
        at_s = self._at_s
        if len(at_s) < 2:
            return 0.0
        mean_s = (at_s[-1] - at_s[0]) / (len(at_s) - 1)
        # A silence longer than the usual gap counts as the gap that it already is.
        return 1.0 / max(mean_s, self._clock() - at_s[-1], 1e-9)

    @property
    def usual_s(self) -> float:
        """The median gap, which one long silence does not move; NaN before the second event."""
        gaps_s = [later - earlier for earlier, later in pairwise(self._at_s)]
        return float(np.median(gaps_s)) if gaps_s else float("nan")

    @property
    def silent_s(self) -> float:
        """Seconds since the last event; inf before the first."""
        at_s = self._at_s
        return self._clock() - at_s[-1] if at_s else float("inf")
