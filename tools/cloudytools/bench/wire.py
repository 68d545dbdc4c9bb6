"""Publisher and Subscription against bare ZeroMQ sockets that carry the same parts."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any, Protocol

import numpy as np
import zmq

import cloudypoints
from cloudypoints.errors import NoMessage
from cloudypoints.messages import POINT, Cloud, Header
from cloudypoints.publisher import Publisher
from cloudypoints.wire import encode
from cloudytools.bench.figures import Effort, Figure, Target, alternated_ms, medians
from cloudytools.bench.latency import SIZE_PX
from cloudytools.bench.throughput import ANY_PORT

_BURST = 6  # clouds sent before any is read
_HIGH_WATER = 2 * _BURST  # nothing is lost: the newest would be
_PATIENCE_S = 10.0


def wire(effort: Effort) -> list[Figure]:
    """640×480 clouds published and received: one at a time, and in bursts."""
    with closing(Ours()) as ours, closing(Bare()) as bare:
        return [
            _compared("wire one by one", effort, ours, bare, burst=1),
            _compared("wire in bursts", effort, ours, bare, burst=_BURST),
        ]


def cloud() -> Cloud:
    """With a header as long as they are."""
    header = Header(
        camera="front",
        model="bench",
        digest="0" * 64,
        vehicle_from_camera=tuple(np.eye(4).ravel().tolist()),
        intrinsics=(*SIZE_PX, 500.0, 500.0, 319.5, 239.5),
    )
    return Cloud(header, np.zeros(SIZE_PX[::-1], POINT))


def _compared(name: str, effort: Effort, ours: Pair, bare: Pair, *, burst: int) -> Figure:
    """Clouds per second of ours over bare sockets'."""
    times = round(effort.pick(100, 5))
    pairs = [
        alternated_ms(lambda: ours.exchange(burst), lambda: bare.exchange(burst), times)
        for _ in range(effort.rounds)
    ]
    our_ms, bare_ms = map(list, zip(*pairs, strict=True))
    ratios = tuple(peer / our for our, peer in pairs)
    beside = medians(our_ms=our_ms, bare_ms=bare_ms) | {"clouds": float(burst)}
    return Figure(name, Target("≥", 0.95), ratios, beside)


class Pair(Protocol):
    """A sender and a receiver of the same process."""

    def exchange(self, count: int) -> None:
        """Send as many, and return when the last one has been handed over."""

    def close(self) -> None:
        """Let go of both."""


class Ours:
    """A publisher and a subscription, connected."""

    def __init__(self) -> None:
        self._cloud = cloud()
        self._open = ExitStack()
        self._publisher = self._open.enter_context(Publisher(ANY_PORT, high_water=_HIGH_WATER))
        ends = self._publisher.endpoint, self._publisher.bulk_endpoint
        subscription = cloudypoints.subscribe(
            ends[0], "cloud", bulk_endpoint=ends[1], max_age_s=_PATIENCE_S
        )
        self._subscription = self._open.enter_context(subscription)
        self._sent = 0
        self._connect()

    def exchange(self, count: int) -> None:
        """Newest wins: what an impatient reader skips is not waited for."""
        for _ in range(count):
            self._publish()
        while self._subscription.read(_PATIENCE_S).header.seq < self._sent - 1:
            pass

    def close(self) -> None:
        """Let go of both."""
        self._open.close()

    def _publish(self) -> None:
        self._publisher.publish(self._cloud)
        self._sent += 1

    def _connect(self) -> None:
        """ZeroMQ tells nobody when a subscription has arrived: send until one is heard."""
        while True:
            self._publish()
            try:
                self._subscription.read(0.1)
            except NoMessage:
                continue
            return


class Bare:
    """A PUB and a SUB socket, connected, without copies on either side."""

    def __init__(self) -> None:
        self._parts: list[Any] = list(encode(cloud()))
        self._newest: Any = None  # held while the next one comes, as every reader does
        self._open = ExitStack()
        self._pub = self._socket(zmq.PUB, zmq.SNDHWM)
        self._sub = self._socket(zmq.SUB, zmq.RCVHWM)
        port = self._pub.bind_to_random_port("tcp://127.0.0.1")
        self._sub.subscribe(b"")
        self._sub.connect(f"tcp://127.0.0.1:{port}")
        while not self._sub.poll(100):
            self._pub.send_multipart(self._parts, copy=False)
        while self._sub.poll(100):
            self._sub.recv_multipart(copy=False)

    def exchange(self, count: int) -> None:
        """All of them arrive."""
        for _ in range(count):
            self._pub.send_multipart(self._parts, copy=False)
        for _ in range(count):
            self._newest = self._sub.recv_multipart(copy=False)

    def close(self) -> None:
        """Let go of both."""
        self._open.close()

    def _socket(self, kind: int, mark: int) -> zmq.Socket[bytes]:
        """One with a context of its own, as in two processes."""
        context = self._open.enter_context(zmq.Context())
        socket = self._open.enter_context(context.socket(kind))
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(mark, _HIGH_WATER)
        return socket
