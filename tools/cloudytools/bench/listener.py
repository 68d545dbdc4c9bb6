"""A subscriber in a process of its own, which notes when each cloud reached its reader.

    python -m cloudytools.bench.listener ENDPOINT BULK_ENDPOINT MAX_AGE_S [TOPIC ...]

It says `ready`, then `first` and `tenth` at those clouds, and its rows when its input closes.
"""

from __future__ import annotations

import json
import sys
import threading
from itertools import pairwise
from typing import NamedTuple, Protocol

import cloudypoints
from cloudypoints.inbox import Health
from cloudypoints.messages import Message
from cloudypoints.timing import utc_ns
from cloudytools.bench.processes import Reporter

MODULE = "cloudytools.bench.listener"
_WORDS = {1: "first", 10: "tenth"}
_WARM_NS = 200_000_000  # of what is heard first and left out: caches, buffers and threads settle


class Arrival(NamedTuple):
    """One cloud: when its reader had it and when each stage of the node did; UTC nanoseconds."""

    arrived_ns: int
    frame: int
    captured_ns: int
    received_ns: int
    inference_start_ns: int
    inference_end_ns: int
    projected_ns: int
    published_ns: int
    lost: int = 0  # until then, as its subscription counts: by the node, or on the way
    skipped: int = 0  # until then, because its reader was not there

    @property
    def age_ms(self) -> float:
        """From capture to the reader."""
        return (self.arrived_ns - self.captured_ns) / 1e6


class Node(Protocol):
    """Whatever can be listened to: a publisher, or a node in another process."""

    endpoint: str
    bulk_endpoint: str


def listening(node: Node, *topics: str, max_age_s: float = 30.0) -> Reporter:
    """A listener in another process, connected or about to be; without topics it hears all."""
    return Reporter(MODULE, node.endpoint, node.bulk_endpoint, str(max_age_s), *topics)


def arrivals(listener: Reporter) -> list[Arrival]:
    """All that reached it; it ends."""
    return [Arrival(*row) for row in listener.finish()]


def settled(came: list[Arrival]) -> list[Arrival]:
    """Without those of the first moments."""
    return [one for one in came if one.arrived_ns >= came[0].arrived_ns + _WARM_NS]


def published_hz(came: list[Arrival]) -> float:
    """Frames per second by the publisher's stamps, also of those that did not arrive."""
    first, *_, last = settled(came)
    return (last.frame - first.frame) * 1e9 / (last.published_ns - first.published_ns)


def undeclared(came: list[Arrival]) -> int:
    """Frames that are missing between others and that nobody counted."""
    # A source that begins anew has lost nothing.
    missing = sum(max(0, later.frame - one.frame - 1) for one, later in pairwise(came))
    counted = came[-1].lost - came[0].lost + came[-1].skipped - came[0].skipped
    return max(0, missing - counted)


def main(endpoint: str, bulk_endpoint: str, max_age_s: str, *topics: str) -> None:
    """Listen until the input closes."""
    rows: list[Arrival] = []
    with cloudypoints.subscribe(
        endpoint, *topics, bulk_endpoint=bulk_endpoint, max_age_s=float(max_age_s)
    ) as subscription:
        print("ready", flush=True)
        ending = threading.Thread(target=_close_at_end_of_input, args=(subscription,))
        ending.start()
        for message in subscription:
            arrived_ns = utc_ns()
            if isinstance(message, cloudypoints.Cloud):
                health = subscription.health(f"cloud/{message.header.camera}")
                rows.append(_row(arrived_ns, message, health))
                if len(rows) in _WORDS:
                    print(_WORDS[len(rows)], flush=True)
        ending.join()
    print(json.dumps(rows))


def _close_at_end_of_input(subscription: cloudypoints.Subscription) -> None:
    sys.stdin.read()
    subscription.close()


def _row(arrived_ns: int, message: Message, health: Health) -> Arrival:
    ledger = message.header.ledger
    return Arrival(
        arrived_ns,
        message.header.frame,
        ledger.captured_ns,
        ledger.received_ns,
        ledger.inference_start_ns,
        ledger.inference_end_ns,
        ledger.projected_ns,
        ledger.published_ns,
        health.lost,
        health.skipped,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
