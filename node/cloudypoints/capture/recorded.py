"""Recordings: every frame, at their own pace, twice it, or as fast as they can be read."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from cloudypoints.capture.feed import Feed, Shot
from cloudypoints.capture.frame import Frame, State
from cloudypoints.capture.interrupt import Interrupt
from cloudypoints.capture.pace import Pacer
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.capture.stamps import MediaClock
from cloudypoints.errors import SourceEnded, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.timing import utc_ns

log = logging.getLogger(__name__)

_CLOSE_S = 1.0  # how long `close` waits for a reader to leave


class RecordedSource:
    """A feed that is played, in rounds where it loops. Opened at once: faults show early."""

    def __init__(
        self,
        name: str,
        open_feed: Callable[[], Feed],
        settings: CaptureSettings,
        *,
        faults: Counter[str],
        camera: Camera | None = None,
    ) -> None:
        self.name = name
        self.live = settings.mode == "live"
        self.camera = camera
        self.faults = faults
        self.state: State = "opening"
        self._open_feed = open_feed
        self._loop = settings.loop
        self._closed = threading.Event()
        self._interrupt = Interrupt()
        self._using = threading.Lock()  # one thread at a time is inside the feed
        self._clock = MediaClock(faults)
        self._pacer = Pacer(settings.pace, self._closed.wait)
        self._size_px: tuple[int, ...] = ()
        self._feed = open_feed()
        self._shots = self._rounds()

    def read(self) -> Frame:
        """The next frame, when due. Raises SourceEnded at the end or closed, SourceError."""
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
        if not self._using.acquire(timeout=_CLOSE_S):
            log.warning("%s: still inside a read; it is freed when that returns", self.name)
            return
        try:
            self._feed.close()
        finally:
            self._using.release()

    def _next_frame(self) -> Frame:
        """Decoded and developed at once, handed out when due."""
        with self._using, self._interrupt:
            self._stop_if_closed()
            shot = next(self._shots, None)
            if shot is None:
                raise SourceEnded(f"{self.name}: no more frames")
            picture = shot.develop()
        self._note_size(picture.shape)
        stamp_ns = self._clock.stamp_ns(shot.media_ns)
        self._pacer.wait_until_due(stamp_ns)
        self._stop_if_closed()
        return Frame(picture, shot.number, stamp_ns, "media", utc_ns())

    def _rounds(self) -> Iterator[Shot]:
        """The shots of every round, numbered through."""
        first = 0
        while True:
            self._clock.begin_round(self._feed.interval_ns)
            number = -1
            for shot in self._feed:
                number = shot.number
                yield replace(shot, number=first + number)
            self._feed.close()
            if number < 0:
                raise SourceError(
                    f"{self.name}: no video frames in it, or none that can be decoded"
                )
            if not self._loop:
                return
            first += number + 1
            self._feed = self._open_feed()

    def _stop_if_closed(self) -> None:
        """Raises SourceEnded once closed."""
        if self._closed.is_set():
            raise SourceEnded(f"{self.name}: closed")

    def _note_size(self, size_px: tuple[int, ...]) -> None:
        """Count a picture of another size than the one before."""
        self.faults["resized"] += self._size_px not in ((), size_px)
        self._size_px = size_px
