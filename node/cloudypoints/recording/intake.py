"""Everything that a node publishes, in the order in which it comes, for one who must miss nothing.

A thread of its own empties the sockets into a queue of bounded bytes, so that a slow disk holds up
no node; what does not fit is dropped and counted. (A `subscribe` keeps the newest alone.) Large
buffers of a node on this machine are not sent: they are looked at where they lie, and copied only
where the queue has grown, so that the node has its memory back.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from cloudypoints.errors import RecordingError, WireError
from cloudypoints.publisher import bulk_beside, is_local
from cloudypoints.sharing import Windows
from cloudypoints.subscriber import connect_lanes, shared_prefixes
from cloudypoints.timing import utc_ns

log = logging.getLogger(__name__)

# Messages that ZeroMQ holds while the thread is held up.
_HIGH_WATER = {"fast": 1000, "bulk": 64}
_ROUND = 32  # messages taken from one socket before the other has its turn
# Of the node's memory that waits in the queue; what comes behind it is copied. As much again may be
# with who took it last.
_HELD_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message's parts, and when it came (UTC)."""

    log_time_ns: int
    parts: list[Any]  # bytes-like

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(memoryview(part).nbytes for part in self.parts)

    def copied(self) -> Parcel:
        """The same without what lies in the node's memory."""
        parts = [part.copy() if isinstance(part, np.ndarray) else part for part in self.parts]
        return Parcel(self.log_time_ns, parts)


class Intake:
    """Receives from `with` on, until it is left. Raises EndpointError, WireError on entering."""

    def __init__(
        self,
        endpoint: str,
        topics: tuple[str, ...] = (),
        *,
        bulk_endpoint: str = "",
        most_bytes: int = 256_000_000,
    ) -> None:
        self.overrun = 0  # messages that found the queue full
        self.connected = threading.Event()  # set when every lane has been connected once
        self._endpoints = {"fast": endpoint, "bulk": bulk_endpoint or bulk_beside(endpoint)}
        self._topics = topics
        self._shared = shared_prefixes(topics) if is_local(self._endpoints["bulk"]) else []
        self._windows = Windows(self._shared)
        self._most_bytes = most_bytes
        self._sockets: list[Any] = []
        self._monitors: list[Any] = []
        self._changed = threading.Condition()  # guards all below
        self._queue: deque[Parcel] = deque()
        self._bytes = 0
        self._behind: Counter[bytes] = Counter()  # by topic: overrun since the last one kept
        self._ended = False
        self._error: Exception | None = None  # that ended it

    @property
    def unseen(self) -> int:
        """Of those overrun, how many came after the last one kept of their topic."""
        with self._changed:
            return self._behind.total()

    def take(self, timeout_s: float) -> list[Parcel]:
        """What has come, the oldest first; empty when nothing did within the time.

        Raises RecordingError when nothing can come any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ended, timeout_s)
            if self._error is not None and not self._queue:
                raise RecordingError(f"no longer listening: {self._error!r}") from self._error
            taken = list(self._queue)
            self._queue.clear()
            self._bytes = 0
        return taken

    def __enter__(self) -> Intake:
        self._context = zmq.Context()
        self._sockets = connect_lanes(
            self._context,
            self._endpoints,
            self._topics,
            {"bulk": self._shared},
            high_water=_HIGH_WATER,
            prepare=self._watch,
        )
        self._woken, self._wake = self._context.socket(zmq.PAIR), self._context.socket(zmq.PAIR)
        self._woken.bind("inproc://wake")
        self._wake.connect("inproc://wake")
        self._thread = threading.Thread(target=self._run, name="intake")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(zmq.Again):  # it has ended by itself
            self._wake.send(b"", zmq.NOBLOCK)
        self._thread.join()
        self._wake.close(linger=0)
        self._context.term()

    def _watch(self, socket: Any) -> None:
        """Before it connects: it may be connected at once."""
        self._monitors.append(socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED))

    def _run(self) -> None:
        try:
            self._until_woken()
        except Exception as error:
            log.exception("intake stopped")
            self._error = error
        finally:
            for socket in self._sockets:
                socket.disable_monitor()
            for socket in (self._woken, *self._monitors, *self._sockets):
                socket.close(linger=0)
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _until_woken(self) -> None:
        poller = zmq.Poller()
        for socket in (self._woken, *self._monitors, *self._sockets):
            poller.register(socket, zmq.POLLIN)
        unconnected = set(self._monitors)
        while True:
            ready = dict(poller.poll())
            if self._woken in ready:
                return
            for monitor in unconnected & ready.keys():
                unconnected.discard(monitor)
                poller.unregister(monitor)
            if not unconnected:
                self.connected.set()
            for socket in self._sockets:
                if socket in ready:
                    self._take_what_piled_up(socket)

    def _take_what_piled_up(self, socket: Any) -> None:
        for _ in range(_ROUND):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            parts = self._parts([frame.buffer for frame in frames], socket)
            if parts is not None:
                self._keep(Parcel(utc_ns(), parts))

    def _parts(self, parts: list[memoryview], socket: Any) -> list[Any] | None:
        """With the buffers where they lie; None when they are lost, as the topic's gap will say."""
        try:
            return self._windows.parts(parts, socket)
        except WireError:
            return list(parts)  # for the recorder to count as malformed

    def _keep(self, parcel: Parcel) -> None:
        topic = bytes(parcel.parts[0])
        if self._bytes > _HELD_BYTES:  # this thread alone makes it grow
            parcel = parcel.copied()
        with self._changed:
            if self._bytes + parcel.size > self._most_bytes:
                self.overrun += 1
                self._behind[topic] += 1
                return
            self._behind.pop(topic, None)
            self._queue.append(parcel)
            self._bytes += parcel.size
            self._changed.notify_all()
