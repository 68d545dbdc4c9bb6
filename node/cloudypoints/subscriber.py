"""The other end of the wire: the newest of each topic, how old it is, and what was lost.

    for cloud in cloudypoints.subscribe("tcp://127.0.0.1:5556", "cloud/front"):
        plan(cloud.xyz_m("vehicle"), cloud.header)

A thread of its own drains the sockets into one slot per topic, so that a slow reader finds the
newest message and never a backlog. Silence is told from an empty street by `health`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import zmq

from cloudypoints.errors import Closed, EndpointError, NoMessage, VersionError, WireError
from cloudypoints.messages import KIND_OF, TOPICS, Message, Topic
from cloudypoints.publisher import DEFAULT_ENDPOINT, bulk_beside
from cloudypoints.timing import Deadline, Rate, monotonic_s, utc_ns
from cloudypoints.wire import MAX_BUFFER_BYTES, check_camera_name, decode

log = logging.getLogger(__name__)

_ALIVE_PERIODS = 10  # of the expected or the observed rate
_BULK_HIGH_WATER = 8  # messages that the kernel side may hold while the drain thread is held up


@dataclass(slots=True)
class Health:
    """How one topic of one camera is doing, as its subscriber sees it."""

    kind: str
    camera: str
    received: int = 0
    lost: int = 0  # gaps in the sequence numbers plus the node's own drops
    skipped: int = 0  # replaced by a newer one before this reader came for it
    refused: int = 0  # older than max_age_s when they arrived
    rate: Rate = field(default_factory=Rate)
    last_seq: int = -1
    captured_ns: int = 0  # of the newest message
    arrived_s: float = float("-inf")  # monotonic

    @property
    def age_s(self) -> float:
        """Seconds since the newest message was captured (both clocks UTC); inf before the first."""
        return (utc_ns() - self.captured_ns) / 1e9 if self.received else float("inf")

    @property
    def rate_hz(self) -> float:
        """Messages per second of late; falls when they stop."""
        return self.rate.hz

    @property
    def alive(self) -> bool:
        """Whether it came within ten of its usual periods, and at most a second by default."""
        expected_hz = TOPICS[self.kind].rate_hz or 10.0
        return monotonic_s() - self.arrived_s < _ALIVE_PERIODS / expected_hz


class Subscription:
    """An open subscription; iterate it, `read` it with a timeout, or look at `latest`.

    The drain thread ends when `close` is called; it blocks on nothing else than its sockets, and
    `close` wakes it. One reader at a time may iterate; `latest` and `health` are for any thread.
    """

    def __init__(
        self, endpoint: str, topics: tuple[str, ...], *, bulk_endpoint: str, max_age_s: float
    ) -> None:
        self.endpoint = endpoint
        self._max_age_s = max_age_s
        self._changed = threading.Condition()  # guards the five below; notified on every message
        self._newest: dict[tuple[str, str], Message] = {}
        self._unread: dict[tuple[str, str], Message] = {}  # in order of arrival
        self._health: dict[tuple[str, str], Health] = {}
        self._error: Exception | None = None
        self._closed = False
        self.malformed = 0
        self._context = zmq.Context()
        self._sockets = _connect(self._context, endpoint, bulk_endpoint, topics)
        self._wake = self._context.socket(zmq.PAIR)
        self._wake.bind("inproc://wake")
        self._woken = self._context.socket(zmq.PAIR)
        self._woken.connect("inproc://wake")
        self._thread = threading.Thread(target=self._drain, name=f"subscription {endpoint}")
        self._thread.start()

    def read(self, timeout_s: float | None = None) -> Message:
        """The newest message not read yet, of the topic that has waited longest.

        Raises NoMessage when the time is up, Closed after `close`.
        """
        deadline = Deadline(timeout_s)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unread or self._over, deadline.left_s())
                if self._error is not None:
                    raise self._error
                if self._closed:
                    raise Closed("the subscription is closed")
                if not self._unread:
                    raise NoMessage(f"{self.endpoint}: nothing in {timeout_s} s; is the node up?")
                message = self._unread.pop(next(iter(self._unread)))
                if not self._too_old(message):
                    return message
                self._health[_key(message)].refused += 1

    def latest(self, topic: str) -> Message | None:
        """The newest of `kind/camera`, read or not, however old: see `health`. Does not block."""
        kind, camera = _split(topic)
        with self._changed:
            return self._newest.get((kind, camera))

    def health(self, topic: str) -> Health:
        """How `kind/camera` is doing, also before its first message."""
        kind, camera = _split(topic)
        with self._changed:
            return self._health.get((kind, camera)) or Health(kind, camera)

    @property
    def topics(self) -> list[str]:
        """The topics that have been heard, as `kind/camera`."""
        with self._changed:
            return [f"{kind}/{camera}" for kind, camera in self._health]

    def close(self) -> None:
        """End the thread and free the sockets; a blocked reader gets Closed. May be called twice."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._wake.send(b"")
        self._thread.join()
        self._wake.close(linger=0)
        self._context.term()

    def __iter__(self) -> Iterator[Message]:
        """Messages for ever, the newest of each topic; ends when the subscription is closed."""
        while True:
            try:
                message = self.read()
            except Closed:
                return
            yield message

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _drain(self) -> None:
        poller = zmq.Poller()
        for socket in (self._woken, *self._sockets):
            poller.register(socket, zmq.POLLIN)
        try:
            while not self._closed:
                ready = dict(poller.poll())
                for socket in self._sockets:
                    if socket in ready:
                        self._receive_all(socket)
        except VersionError as error:
            self._fail(error)
        except Exception as error:
            log.exception("subscription to %s stopped", self.endpoint)
            self._fail(error)
        finally:
            for socket in (self._woken, *self._sockets):
                socket.close(linger=0)

    def _receive_all(self, socket: Any) -> None:
        """Take what has piled up, so that only the newest of it is kept."""
        while True:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                message = decode([frame.buffer for frame in frames])
            except VersionError:
                raise
            except WireError as error:
                self._count_malformed(error)
            else:
                self._keep(message)

    def _keep(self, message: Message) -> None:
        key = _key(message)
        with self._changed:
            health = self._health.get(key)
            if health is None:
                health = self._health[key] = Health(*key)
            _note(health, message)
            self._newest[key] = message
            if self._too_old(message):
                health.refused += 1
                return
            health.skipped += key in self._unread
            self._unread[key] = message
            self._changed.notify_all()

    def _too_old(self, message: Message) -> bool:
        ledger = message.header.ledger
        born_ns = ledger.captured_ns or ledger.published_ns
        return utc_ns() - born_ns > self._max_age_s * 1e9

    def _count_malformed(self, error: WireError) -> None:
        self.malformed += 1
        if self.malformed == 1:
            log.warning("%s: not a message of ours: %s (more are counted)", self.endpoint, error)

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    @property
    def _over(self) -> bool:
        return self._closed or self._error is not None


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT,
    *topics: str,
    bulk_endpoint: str = "",
    max_age_s: float = 1.0,
) -> Subscription:
    """Listen to a node. `topics` are `kind/camera` or `kind` for all cameras; none means everything.

    `max_age_s`: what was captured longer ago is refused, never handed out late. The node may start
    later or restart: silence shows in `Subscription.health`. Raises EndpointError, WireError for an
    unknown topic.
    """
    for topic in topics:
        _split(topic)
    bulk_endpoint = bulk_endpoint or bulk_beside(endpoint)
    return Subscription(endpoint, topics, bulk_endpoint=bulk_endpoint, max_age_s=max_age_s)


def _connect(context: Any, endpoint: str, bulk_endpoint: str, topics: tuple[str, ...]) -> list[Any]:
    sockets = []
    for lane, address in (("fast", endpoint), ("bulk", bulk_endpoint)):
        prefixes = [_prefix(topic) for topic in topics if _topic(topic).lane == lane]
        if topics and not prefixes:
            continue
        socket = context.socket(zmq.SUB)
        sockets.append(socket)
        # Before connect: marks set later do not hold. A message larger than the wire allows ends
        # the connection before it is read into memory.
        socket.setsockopt(zmq.RCVHWM, _BULK_HIGH_WATER if lane == "bulk" else 100)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_BUFFER_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        for prefix in prefixes or [b""]:
            socket.subscribe(prefix)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            for opened in sockets:
                opened.close(linger=0)
            context.term()
            raise EndpointError(f"{address}: cannot be connected to: {error.strerror}") from error
    return sockets


def _note(health: Health, message: Message) -> None:
    """Count it in: gaps, drops, rate. A sequence that starts anew means that the node restarted."""
    header = message.header
    if header.seq > health.last_seq and health.last_seq >= 0:
        health.lost += header.seq - health.last_seq - 1
    health.lost += header.drops if health.received else 0
    health.received += 1
    health.last_seq = header.seq
    health.captured_ns = header.ledger.captured_ns or header.ledger.published_ns
    health.arrived_s = monotonic_s()
    health.rate.tick()


def _key(message: Message) -> tuple[str, str]:
    return KIND_OF[type(message)], message.header.camera


def _prefix(topic: str) -> bytes:
    kind, camera = _split(topic)
    return f"{kind}/{camera}".encode() + b"\0" if camera else f"{kind}/".encode()


def _split(topic: str) -> tuple[str, str]:
    kind, slash, camera = topic.partition("/")
    if kind not in TOPICS:
        raise WireError(f"topic {topic!r}: expected kind/camera, kind one of {', '.join(TOPICS)}")
    if slash:
        check_camera_name(camera)
    return kind, camera


def _topic(topic: str) -> Topic:
    return TOPICS[_split(topic)[0]]
