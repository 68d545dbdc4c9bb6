"""Two clocks and what is read off them: UTC for stamps, monotonic for durations and ages."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

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
    """Events per second over the last `window` events; falls towards 0 when they stop coming."""

    def __init__(self, window: int = 30, clock: Callable[[], float] = monotonic_s) -> None:
        self._clock = clock
        self._at_s: deque[float] = deque(maxlen=window + 1)

    def tick(self) -> None:
        """Note that it happened, now."""
        self._at_s.append(self._clock())

    @property
    def hz(self) -> float:
        """0 before the second event."""
        if len(self._at_s) < 2:
            return 0.0
        first_s, last_s = self._at_s[0], self._at_s[-1]
        mean_s = (last_s - first_s) / (len(self._at_s) - 1)
        silent_s = self._clock() - last_s
        # A silence longer than the usual gap counts as the gap that it already is.
        return 1.0 / max(mean_s, silent_s, 1e-9)
