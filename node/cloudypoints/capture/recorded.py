"""Recordings: every frame, at their own pace, twice it, or as fast as they can be read."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

from cloudypoints.capture.feed import RecordedFeed, Shot
from cloudypoints.capture.frame import Frame, Picture, State
from cloudypoints.capture.interrupt import Interrupt
from cloudypoints.capture.packets import Moment, Tape, pass_packets
from cloudypoints.capture.playback import Playback
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.capture.stamps import MediaClock
from cloudypoints.errors import SourceEnded, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.timing import utc_ns

log = logging.getLogger(__name__)

_CLOSE_S = 1.0  # how long `close` waits for a reader to leave


class RecordedSource:
    """A feed that is played as `playback` says. Opened at once: faults show early."""

    def __init__(
        self,
        name: str,
        open_feed: Callable[[], RecordedFeed],
        settings: CaptureSettings,
        *,
        faults: Counter[str],
        camera: Camera | None = None,
    ) -> None:
        self.name = name
        self.live = settings.mode == "live"
        self.faults = faults
        self.tape = Tape(faults)  # empty unless packets are to be passed
        self.state: State = "opening"
        self._closed = threading.Event()
        self._interrupt = Interrupt()
        self._using = threading.Lock()  # one thread at a time is inside the feed
        self._feed = open_feed()
        self.camera = camera or self._feed.camera
        self.playback = Playback(
            name, settings, length_ns=self._feed.length_ns, interval_ns=self._feed.interval_ns
        )
        self._clock = MediaClock(faults)
        self._size_px: tuple[int, ...] = ()
        self._first = 0  # what this round adds to the feed's own numbers
        self._last = -1
        self._given = 0  # frames of this round; -1 where it began in its middle
        self._round_over = False
        self._restart = False
        self._clock.begin_round(self._feed.interval_ns, self.playback.start_ns)
        if self.playback.start_ns:
            self._feed.begin_at(self.playback.start_ns)
        self._shots = iter(self._feed)

    def pass_packets(self) -> None:
        """Put the packets of every frame on the tape. Raises SourceError where that cannot be."""
        pass_packets(self._feed, self.name)

    def read(self) -> Frame:
        """The next frame, when due. Raises SourceEnded at the end or closed, SourceError."""
        if self.state == "ended":
            raise SourceEnded(f"{self.name}: no more frames")
        try:
            frame = self._next_frame()
        except SourceEnded:
            self.state = "ended"
            raise
        except SourceError as error:
            self.state = "ended" if self._closed.is_set() else "failed"
            if self._closed.is_set():
                raise SourceEnded(f"{self.name}: closed") from error
            raise
        self.state = "streaming"
        return frame

    def close(self) -> None:
        """Wakes a reader, who ends with SourceEnded, and frees the file."""
        self._closed.set()
        self._interrupt.set()
        self.playback.close()
        if not self._using.acquire(timeout=_CLOSE_S):
            log.warning("%s: still inside a read; it is freed when that returns", self.name)
            return
        try:
            self._feed.close()
        finally:
            self._using.release()

    def _next_frame(self) -> Frame:
        """Decoded and developed at once, handed out when due; what a seek overtakes is dropped."""
        while True:
            with self._using, self._interrupt:
                self._stop_if_closed()
                developed = self._next_picture()
            if developed is None:
                self._pass_the_end()
                continue
            shot, picture = developed
            stamp_ns = self._clock.stamp_ns(shot.media_ns)
            if self.playback.wait_turn(stamp_ns):
                self._stop_if_closed()
                return self._handed_out(shot, picture, stamp_ns)

    def _next_picture(self) -> tuple[Shot, Picture] | None:
        """The next of the round, or that of a place that was sought; None at the end."""
        seek_ns = self.playback.take_seek()
        if seek_ns is not None:
            self._go_to(seek_ns)
        elif self._round_over:
            self._begin_round()
        shot = next(self._shots, None)
        end_ns = self.playback.end_ns
        if shot is None or (end_ns and shot.media_ns is not None and shot.media_ns >= end_ns):
            self._round_over = True
            return None
        return shot, shot.develop()

    def _go_to(self, media_ns: int) -> None:
        self._feed.begin_at(media_ns)
        self._shots = iter(self._feed)
        self._clock.go_to(media_ns)
        self._first, self._given = 0, -1
        self._round_over, self._restart = False, True

    def _begin_round(self) -> None:
        """From the start again; numbers and stamps go on."""
        start_ns = self.playback.start_ns
        self._feed.begin_at(start_ns)
        self._shots = iter(self._feed)
        self._clock.begin_round(self._feed.interval_ns, start_ns)
        self._given = 0
        self._round_over, self._restart = False, True

    def _pass_the_end(self) -> None:
        """Return where it goes on. Raises SourceEnded where it is over, SourceError where empty."""
        if self._given == 0:
            part = " in the part that is to be played" if self.playback.start_ns else ""
            raise SourceError(
                f"{self.name}: no video frames in it{part}, or none that can be decoded"
            )
        if not self.playback.wait_at_end():
            raise SourceEnded(f"{self.name}: no more frames")

    def _handed_out(self, shot: Shot, picture: Picture, stamp_ns: int) -> Frame:
        self.faults["resized"] += self._size_px not in ((), picture.shape)
        self._size_px = picture.shape
        if self._restart and self._given == 0:
            self._first = self._last + 1 - shot.number
        self._given += self._given >= 0
        self._last = self._first + shot.number
        frame = Frame(
            picture,
            self._last,
            self._feed.origin_ns + stamp_ns,
            self._feed.clock,
            utc_ns(),
            self._restart,
        )
        moment = Moment(frame.index, frame.stamp_ns, frame.clock, frame.captured_ns)
        self.tape.put(moment, shot.packets)
        self._restart = False
        media_ns = self._clock.media_ns(stamp_ns)
        self.playback.note(media_ns, frame.index, frame.stamp_ns, frame.clock)
        return frame

    def _stop_if_closed(self) -> None:
        """Raises SourceEnded once closed."""
        if self._closed.is_set():
            raise SourceEnded(f"{self.name}: closed")
