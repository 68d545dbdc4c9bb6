"""When the frames of a recording are due: at its own pace, from one schedule that never drifts."""

from __future__ import annotations

from collections.abc import Callable

from cloudypoints.timing import NS_PER_S, monotonic_s

# A reader may be late by this and catch up; what it is late beyond it shifts the schedule, so that
# a slow reader gets every frame at its own speed, never a burst after a pause.
_SLACK_S = 0.1


class Pacer:
    """A schedule, started by its first frame."""

    def __init__(self, pace: float, clock: Callable[[], float] = monotonic_s) -> None:
        self._clock = clock
        self.restart(pace)

    def restart(self, pace: float) -> None:
        """Begin anew with the next frame; `pace` 1: its own, 2: twice it, 0: do not wait."""
        self._pace = pace
        self._start_s: float | None = None  # on the clock, when stamp 0 is due

    def early_s(self, stamp_ns: int) -> float:
        """How long until the frame of this stamp is due; 0 or less where it is."""
        if not self._pace:
            return 0.0
        media_s = stamp_ns / NS_PER_S / self._pace
        now_s = self._clock()
        if self._start_s is None:
            self._start_s = now_s - media_s
        self._start_s = max(self._start_s, now_s - _SLACK_S - media_s)
        return self._start_s + media_s - now_s
