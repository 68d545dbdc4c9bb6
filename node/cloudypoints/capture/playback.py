"""How a recording is played: set by any thread, obeyed by the one that reads it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from cloudypoints.capture.frame import Clock
from cloudypoints.capture.pace import Pacer
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.control import PlayState
from cloudypoints.errors import SourceError
from cloudypoints.timing import NS_PER_S, monotonic_s

_MAX_RATE = 1000.0


class Playback:
    """Pause, steps, seeks, rate and loop of one recording; times are from the recording's start.

    The reader asks `wait_turn` before it hands out a frame and `take_seek` before it reads one.
    """

    def __init__(
        self,
        source: str,
        settings: CaptureSettings,
        *,
        length_ns: int,
        interval_ns: int,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        """`length_ns` 0: unknown. Raises SourceError for a part that lies beyond the end."""
        self.start_ns, self.end_ns = _part(source, settings, length_ns)
        self._source = source
        self._length_ns = length_ns
        self._interval_ns = interval_ns
        self._changed = threading.Condition()  # guards all below; notified at every change
        self._pacer = Pacer(settings.pace, clock)
        self._rate = settings.pace
        self._loop = settings.loop
        self._playing = True
        self._granted = 0  # frames that may pass while it is paused
        self._seek_ns: int | None = None
        self._over = False
        self._closed = False
        self._position_ns = self.start_ns
        self._frame, self._stamp_ns = -1, 0
        self._clock_name: Clock = "media"

    # --- for any thread

    def state(self) -> PlayState:
        """Where it is; a seek that is under way counts as done."""
        with self._changed:
            return PlayState(
                source=self._source,
                playing=self._playing,
                ended=self._over,
                rate=self._rate,
                loop=self._loop,
                position_s=self._place_ns() / NS_PER_S,
                start_s=self.start_ns / NS_PER_S,
                end_s=(self.end_ns or self._length_ns or math.nan) / NS_PER_S,
                frame=self._frame,
                stamp_ns=self._stamp_ns,
                clock=self._clock_name,
            )

    def play(self) -> None:
        """Go on."""
        self._set_playing(True)

    def pause(self) -> None:
        """Stay at the last frame."""
        self._set_playing(False)

    def step(self, frames: int) -> None:
        """Pause, and move by so many frames; back by as many usual intervals."""
        with self._changed:
            self._playing = False
            if frames > 0:
                self._granted += frames
            elif frames < 0:
                # Half an interval more, so that the frame that is meant lies behind the place.
                self._go_to(self._place_ns() + round((frames - 0.5) * self._interval_ns))
            self._changed.notify_all()

    def seek(self, to_s: float) -> None:
        """Go on from the first frame at or after this; paused, show that one."""
        if not math.isfinite(to_s):
            raise SourceError(f"{self._source}: seek to {to_s}: expected seconds from the start")
        with self._changed:
            self._go_to(round(to_s * NS_PER_S))
            self._changed.notify_all()

    def set_rate(self, rate: float) -> None:
        """1: its own pace, 0: as fast as possible."""
        if not 0 <= rate <= _MAX_RATE:
            raise SourceError(f"{self._source}: rate {rate}; expected 0 to {_MAX_RATE:g}")
        with self._changed:
            self._rate = rate
            self._pacer.restart(rate)
            self._changed.notify_all()

    def set_loop(self, loop: bool) -> None:
        """Whether it begins again at its end."""
        with self._changed:
            self._loop = loop
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._closed = self._over = True
            self._changed.notify_all()

    # --- for the thread that reads

    def take_seek(self) -> int | None:
        """Where to go on from, once for each seek; None where it just goes on."""
        with self._changed:
            seek_ns, self._seek_ns = self._seek_ns, None
            if seek_ns is not None:
                self._position_ns = seek_ns
                self._granted = 0 if self._playing else self._granted + 1
                self._pacer.restart(self._rate)
            return seek_ns

    def wait_turn(self, due_ns: int) -> bool:
        """Wait until a frame may pass that is due at this stamp.

        False where it is not wanted any more: a seek came, or the end of all.
        """
        with self._changed:
            while not (self._closed or self._seek_ns is not None):
                if self._granted:
                    self._granted -= 1
                    return True
                early_s = self._pacer.early_s(due_ns) if self._playing else math.inf
                if early_s <= 0:
                    return True
                self._changed.wait(None if early_s == math.inf else early_s)
            return False

    def wait_at_end(self) -> bool:
        """Whether it goes on behind the last frame: in a loop, or from where somebody seeks.

        While it is paused there it waits.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._playing or self._granted or self._seek_ns is not None or self._closed
            )
            if self._seek_ns is None and self._loop and not self._closed:
                self._pacer.restart(self._rate)
                return True
            self._over = self._seek_ns is None or self._closed
            return not self._over

    def note(self, media_ns: int, frame: int, stamp_ns: int, clock: Clock) -> None:
        """The frame of this number has been handed out."""
        with self._changed:
            self._position_ns = media_ns
            self._frame, self._stamp_ns, self._clock_name = frame, stamp_ns, clock

    # ---

    def _set_playing(self, playing: bool) -> None:
        with self._changed:
            self._playing = playing
            self._granted = 0
            self._pacer.restart(self._rate)
            self._changed.notify_all()

    def _place_ns(self) -> int:
        return self._position_ns if self._seek_ns is None else self._seek_ns

    def _go_to(self, media_ns: int) -> None:
        """Within the part that is played."""
        end_ns = self.end_ns or self._length_ns
        if end_ns:
            media_ns = min(media_ns, end_ns - self._interval_ns)
        self._seek_ns = max(media_ns, self.start_ns)
        self._granted = 0  # of the place that it leaves; steps from now on are steps from there


def _part(source: str, settings: CaptureSettings, length_ns: int) -> tuple[int, int]:
    """From where to where to play; the end is 0 where it is that of the recording."""
    start_ns, end_ns = round(settings.start_s * NS_PER_S), round(settings.end_s * NS_PER_S)
    if end_ns and start_ns >= end_ns:
        raise SourceError(
            f"{source}: from {settings.start_s:g} s to {settings.end_s:g} s is nothing"
        )
    if length_ns and start_ns >= length_ns:
        raise SourceError(
            f"{source}: starts at {settings.start_s:g} s, but it is {length_ns / NS_PER_S:.3f} s "
            f"long"
        )
    return start_ns, end_ns
