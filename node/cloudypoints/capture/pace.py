"""When the frames of a recording are due: at its own pace, from one schedule that never drifts."""

from __future__ import annotations

from collections.abc import Callable

from cloudypoints.timing import NS_PER_S, monotonic_s

# A reader may be late by this and catch up; what it is late beyond it shifts the schedule, so that
# a slow reader gets every frame at its own speed, never a burst after a pause.
_SLACK_S = 0.1


class Pacer:
    """A schedule, started by its first frame. `wait` sleeps for seconds and may return early."""

    def __init__(
        self,
        pace: float,
        wait: Callable[[float], object],
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        self._pace = pace  # 1: its own, 2: twice it, 0: do not wait
        self._wait = wait
        self._clock = clock
        self._start_s: float | None = None  # on `clock`, when stamp 0 is due

    def wait_until_due(self, stamp_ns: int) -> None:
        """Sleep until the frame of this stamp is due."""
        if not self._pace:
            return
        media_s = stamp_ns / NS_PER_S / self._pace
        now_s = self._clock()
        if self._start_s is None:
            self._start_s = now_s - media_s
        self._start_s = max(self._start_s, now_s - _SLACK_S - media_s)
        early_s = self._start_s + media_s - now_s
        if early_s > 0:
            self._wait(early_s)
