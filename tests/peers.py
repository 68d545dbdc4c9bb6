"""The two ends of a wire for tests, and ends that run as processes of their own.

python tests/peers.py publish FAST BULK      VGA clouds at 30 Hz until its standard input ends
python tests/peers.py subscribe FAST BULK    reads cloud/front until it is killed
"""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import zmq

from cloudypoints import Subscription, subscribe
from cloudypoints.messages import (
    KIND_OF,
    POINT,
    TOPICS,
    Cloud,
    Depth,
    Header,
    Ledger,
    Message,
    Status,
)
from cloudypoints.publisher import Publisher
from cloudypoints.recording.intake import Intake
from cloudypoints.timing import Deadline, utc_ns
from cloudypoints.wire import decode, encode

ANY_PORT = "tcp://127.0.0.1:*"
LIMIT_S = 20.0  # long enough for a busy machine; nothing waits that long unless it fails


def until(condition: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
    """Returns once the condition holds; fails when it does not come to hold."""
    deadline, pause = Deadline(limit_s), threading.Event()
    while not condition():
        assert not deadline.over, f"not within {limit_s} s"
        pause.wait(0.002)


def topic_name(message: Message) -> str:
    """`kind/camera` of a message."""
    return f"{KIND_OF[type(message)]}/{message.header.camera}"


def heard(send: Callable[[Message], Any], message: Message, subscription: Subscription) -> None:
    """Sends until the subscription hears it: only then has the node heard of the subscription.

    The last one, marked by its stamp, has arrived too then: nothing more is under way.
    """
    topic = topic_name(message)
    received = subscription.health(topic).received

    def has_come() -> bool:
        send(message)
        return subscription.health(topic).received > received

    until(has_come)
    last = replace(message, header=replace(message.header, stamp_ns=utc_ns()))
    send(last)
    until(lambda: _newest_stamp_ns(subscription, topic) == last.header.stamp_ns)


def heard_by(intake: Intake, publisher: Publisher) -> None:
    """Sends on both lanes until the intake hears both; nothing of it is under way then."""
    header, kinds = Header("marker"), set[str]()

    def have_come() -> bool:
        publisher.publish(Status(header))
        publisher.publish(Depth(header, np.ones((1, 1), np.float32)))
        kinds.update(KIND_OF[type(decode(parcel.parts))] for parcel in intake.take(0.01))
        return len(kinds) == 2

    until(have_come)
    while intake.take(0.2):
        pass


def _newest_stamp_ns(subscription: Subscription, topic: str) -> int:
    message = subscription.latest(topic)
    assert message is not None
    return message.header.stamp_ns


class RawNode:
    """Two PUB sockets that send whatever they are given: another's node, or a broken one."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._sockets = {lane: self._context.socket(zmq.PUB) for lane in ("fast", "bulk")}
        for socket in self._sockets.values():
            socket.bind(ANY_PORT)
        self.endpoint, self.bulk_endpoint = (
            socket.getsockopt_string(zmq.LAST_ENDPOINT) for socket in self._sockets.values()
        )

    def send(self, message: Message) -> None:
        """As it is: with its own session and sequence number."""
        self.send_parts(encode(message), TOPICS[KIND_OF[type(message)]].lane)

    def send_parts(self, parts: list[Any], lane: str) -> None:
        """Any parts at all."""
        self._sockets[lane].send_multipart(parts)

    def __enter__(self) -> RawNode:
        return self

    def __exit__(self, *_: object) -> None:
        for socket in self._sockets.values():
            socket.close(linger=0)
        self._context.term()


def publish_clouds(endpoint: str, bulk_endpoint: str) -> None:
    """4.9 MB at 30 Hz from a buffer pool; says its resident bytes, and the greatest, at the end."""
    process, peak = psutil.Process(), 0
    tick = Deadline(0)
    with Publisher(endpoint, bulk_endpoint=bulk_endpoint) as publisher:
        say(publisher.endpoint, publisher.bulk_endpoint)
        pool = publisher.buffers
        pool.give_back(pool.borrow((480, 640), POINT), None)
        before = process.memory_info().rss
        while not select.select([sys.stdin], [], [], tick.left_s())[0]:
            tick = Deadline(1 / 30)
            points = pool.borrow((480, 640), POINT)
            points["z"] = 5.0
            header = Header("front", ledger=Ledger(captured_ns=utc_ns()))
            pool.give_back(points, publisher.publish(Cloud(header, points)))
            peak = max(peak, process.memory_info().rss)
    say(before, peak)


def read_clouds(endpoint: str, bulk_endpoint: str) -> None:
    """Says when each cloud was captured and when it was handed over, ns."""
    for cloud in subscribe(endpoint, "cloud/front", bulk_endpoint=bulk_endpoint, max_age_s=0.5):
        say(cloud.header.ledger.captured_ns, utc_ns())


def say(*words: object) -> None:
    """A line for the parent."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"publish": publish_clouds, "subscribe": read_clouds}[sys.argv[1]](*sys.argv[2:])
