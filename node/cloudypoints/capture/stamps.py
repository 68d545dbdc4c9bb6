"""Stamps that rise, whatever a file, camera or clock says."""

from __future__ import annotations

from collections import Counter

from cloudypoints.timing import NS_PER_S

# Further back than this is another clock, not disorder.
_JUMP_NS = NS_PER_S
# Longer than this many usual intervals is a pause, or pictures that are missing.
_GAP_INTERVALS = 5


class MediaClock:
    """Presentation times of a recording, made to rise through disorder and rounds of a loop."""

    def __init__(self, faults: Counter[str]) -> None:
        self._faults = faults
        self._interval_ns = 0
        self._last_ns = 0
        self._shift_ns = 0  # from what the recording says to what is given out

    def begin_round(self, interval_ns: int, start_ns: int = 0) -> None:
        """The recording begins, again, at `start_ns`: one usual interval after the last frame."""
        self._shift_ns = self._last_ns + interval_ns - start_ns if self._interval_ns else 0
        self._interval_ns = interval_ns
        self._last_ns = start_ns + self._shift_ns - interval_ns

    def go_to(self, media_ns: int) -> None:
        """What follows keeps its own time, from here on: after a seek there are no rounds."""
        self._shift_ns = 0
        self._last_ns = media_ns - self._interval_ns

    def media_ns(self, stamp_ns: int) -> int:
        """What the recording itself calls the time of a stamp that was given out in this round."""
        return stamp_ns - self._shift_ns

    def stamp_ns(self, media_ns: int | None) -> int:
        """The stamp of the next frame; None where the recording gives none."""
        if media_ns is None:
            self._faults["unstamped"] += 1
            return self._give(self._last_ns + self._interval_ns)
        stamp_ns = media_ns + self._shift_ns
        if stamp_ns > self._last_ns:
            self._faults["gaps"] += stamp_ns - self._last_ns > _GAP_INTERVALS * self._interval_ns
            return self._give(stamp_ns)
        self._faults["unordered"] += 1
        if self._last_ns - stamp_ns < _JUMP_NS:
            return self._give(self._last_ns + 1)
        # Files glued together start anew in the middle: what follows keeps its own intervals.
        self._shift_ns += self._last_ns + self._interval_ns - stamp_ns
        return self._give(self._last_ns + self._interval_ns)

    def _give(self, stamp_ns: int) -> int:
        """Remember the stamp that is given out."""
        self._last_ns = stamp_ns
        return stamp_ns


class Rising:
    """Stamps of a running clock, no two the same; a clock that was set back is believed."""

    def __init__(self, faults: Counter[str]) -> None:
        self._faults = faults
        self._last_ns = 0

    def stamp_ns(self, clock_ns: int) -> int:
        """`clock_ns`, or just after the last stamp where it does not rise."""
        if 0 <= self._last_ns - clock_ns < _JUMP_NS:
            self._faults["unordered"] += 1
            clock_ns = self._last_ns + 1
        self._last_ns = clock_ns
        return clock_ns
