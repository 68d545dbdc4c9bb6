"""Live cameras and streams: the newest picture, through outages, for months.

A thread of its own is the only one that touches the camera or stream. It leaves the newest picture
in a slot; `read` takes it from there, so that a reader can always be woken, whatever the network or
the driver does.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from cloudypoints.capture.feed import Feed, Shot, Unusable
from cloudypoints.capture.frame import Frame, State
from cloudypoints.capture.interrupt import Interrupt
from cloudypoints.capture.packets import LIVE_BYTES, Moment, Tape, pass_packets
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.capture.stamps import Rising
from cloudypoints.errors import Closed, CloudyPointsError, NoMessage, SourceEnded, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.latest import Lane, Mailbox
from cloudypoints.timing import monotonic_s

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.5
_STABLE_S = 10.0  # a stream that lived this long is tried again quickly
_CLOSE_S = 1.0  # how long `close` waits for the owner


class LiveSource:
    """Opens a feed again and again. The owner thread starts at the first `read`.

    `close` ends it: waits and FFmpeg calls are interrupted at once, what cannot be (looking up a
    host's name, a camera driver) ends at its own time-out. It is a daemon for that case alone: a
    driver that never returns must not keep the process from ending.
    """

    camera: Camera | None = None

    def __init__(
        self,
        name: str,
        open_feed: Callable[[], Feed],
        settings: CaptureSettings,
        *,
        faults: Counter[str],
    ) -> None:
        self.name = name
        self.live = settings.mode != "recorded"
        self.faults = faults
        self.tape = Tape(faults, LIVE_BYTES)  # empty unless packets are to be passed
        self._passes_packets = False
        self._open_feed = open_feed
        self._settings = settings
        self._mailbox: Mailbox[tuple[Shot, Moment]] = Mailbox()
        self._lane: Lane[tuple[Shot, Moment]] = (
            self._mailbox.newest_wins() if self.live else self._mailbox.lossless()
        )
        self._closed = threading.Event()
        self._interrupt = Interrupt()
        self._owner = threading.Thread(target=self._run, name=f"{name} owner", daemon=True)
        self._state: State = "opening"
        self._error: CloudyPointsError | None = None  # what ended it
        self._outage = ""  # what went wrong last; empty while pictures come
        self._attempts = 0  # since it was last stable
        self._next_index = 0
        self._since_s = 0.0  # when pictures began to come, on the monotonic clock
        self._last_shot_s = 0.0
        self._rising = Rising(faults)
        self._size_px: tuple[int, ...] = ()

    @property
    def state(self) -> State:
        """What it is doing; a silent camera is `reconnecting` even while its driver sleeps."""
        silent = monotonic_s() - self._last_shot_s > self._settings.read_timeout_s
        held_up = not self.live and bool(self._lane.items)  # by a slow reader, who loses nothing
        if self._state == "streaming" and silent and not held_up:
            return "reconnecting"
        return self._state

    def pass_packets(self) -> None:
        """Put every picture's packets on the tape, also of those that give way to newer ones.

        Where that cannot be, the first `read` says it.
        """
        self._passes_packets = True

    def read(self) -> Frame:
        """The next picture, through any number of outages.

        Raises SourceError where the first does not come in `open_timeout_s`, or when it broke and
        is not to reconnect; SourceEnded when closed.
        """
        try:
            return self._frame(*self._mailbox.take(self._patience_s()))
        except NoMessage:
            self._error = self._never_came()
            self.close()
        except Closed:
            pass
        raise self._error or SourceEnded(f"{self.name}: closed")

    def close(self) -> None:
        """Wakes the reader at once and ends the owner; waits for it up to a second."""
        self._closed.set()
        self._interrupt.set()
        self._mailbox.close()
        if self._owner.ident is None:
            self._state = "ended"
            return
        self._owner.join(_CLOSE_S)
        if self._owner.is_alive():
            log.warning(
                "%s: still inside a system call; its thread ends when that returns", self.name
            )

    # --- the reader's thread

    def _patience_s(self) -> float | None:
        """Until the first picture there is a limit; afterwards outages are survived."""
        if self._owner.ident is None and not self._closed.is_set():
            self._owner.start()
            return self._settings.open_timeout_s
        return None

    def _never_came(self) -> SourceError:
        """The error of a start that took too long, with what went wrong last."""
        why = f" ({self._outage})" if self._outage else ""
        return SourceError(
            f"{self.name}: no picture within {self._settings.open_timeout_s:g} s{why}; "
            f"check the address and the camera, or raise open_timeout_s for one that starts slowly"
        )

    def _frame(self, shot: Shot, moment: Moment) -> Frame:
        """The developed picture with its stamps."""
        picture = shot.develop()
        self.faults["resized"] += self._size_px not in ((), picture.shape)
        self._size_px = picture.shape
        return Frame(picture, moment.index, moment.stamp_ns, moment.clock, moment.captured_ns)

    # --- the owner's thread

    def _run(self) -> None:
        """Until closed, or until there is no use in going on; in any case the reader is told."""
        try:
            with self._interrupt:
                while not self._closed.is_set():
                    self._stream_until_it_breaks()
        except Closed:
            pass
        except CloudyPointsError as error:
            self._error = self._error or error
        except Exception as error:
            log.exception("%s: its thread broke", self.name)
            self._error = SourceError(f"{self.name}: {error}")
        finally:
            self._state = "failed" if self._error else "ended"
            self._lane.close()

    def _stream_until_it_breaks(self) -> None:
        """One connection, from its opening to its loss."""
        try:
            with closing(self._open_feed()) as feed:
                if self._passes_packets:
                    self._let_pass(feed)
                first = self._next_index
                for shot in feed:
                    self._deliver(replace(shot, number=first + shot.number))
            error = SourceError(f"{self.name}: gives no more pictures")
        except SourceError as broken:
            error = broken
        if not self._closed.is_set():
            self._survive(error)

    def _let_pass(self, feed: Feed) -> None:
        """Raises Unusable at the first connection; afterwards the pictures matter more."""
        try:
            pass_packets(feed, self.name)
        except SourceError as error:
            if self._next_index == 0:
                raise Unusable(str(error)) from error
            log.warning("%s", error)

    def _moment(self, shot: Shot) -> Moment:
        """By the clock that is wanted, where the shot has it."""
        if self._settings.stamps == "sender" and shot.sent_ns:
            stamp_ns = self._rising.stamp_ns(shot.sent_ns)
            return Moment(shot.number, stamp_ns, "sender", shot.arrived_ns)
        stamp_ns = self._rising.stamp_ns(shot.arrived_ns)
        return Moment(shot.number, stamp_ns, "host", shot.arrived_ns)

    def _deliver(self, shot: Shot) -> None:
        """Into the slot, and into the account of what this source is doing."""
        moment = self._moment(shot)
        self.tape.put(moment, shot.packets)
        self._lane.put((shot, moment))
        self._last_shot_s = monotonic_s()
        self._next_index = shot.number + 1
        self.faults["overrun"] = self._lane.dropped
        if self._state == "streaming":
            return
        log.info("%s: streaming", self.name)
        self._state, self._outage, self._since_s = "streaming", "", self._last_shot_s

    def _survive(self, error: SourceError) -> None:
        """Wait before the next attempt. Raises `error` where there is to be none."""
        started = self._next_index > 0
        if started and not self._settings.reconnect:
            raise error
        if not started and isinstance(error, Unusable):
            raise error
        if not self._outage:
            self._attempts *= self._last_shot_s - self._since_s < _STABLE_S
            log.warning("%s; trying again", error)
            self.faults["outages"] += started
        self._outage = str(error).removeprefix(f"{self.name}: ")
        self._state = "reconnecting" if started else "opening"
        self.faults["reconnects"] += 1
        self._closed.wait(self._wait_s())

    def _wait_s(self) -> float:
        """Twice as long each time, and never in step with the other cameras of the same site."""
        longest_s = self._settings.max_reconnect_wait_s
        wait_s = min(longest_s, _FIRST_WAIT_S * 2.0 ** min(self._attempts, 16))
        self._attempts += 1
        return wait_s * random.uniform(0.75, 1.0)
