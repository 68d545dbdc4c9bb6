"""The least that any transport by ZeroMQ takes: stamps and bytes, sent and received, nothing else.

    python -m cloudytools.bench.floor ENDPOINT

The subscriber says `ready`, `first`, and [sent, arrived] in ns of each message at the end of input.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import zmq

from cloudypoints.messages import Array
from cloudypoints.timing import monotonic_s, utc_ns
from cloudytools.bench.processes import Reporter

MODULE = "cloudytools.bench.floor"
_STAMP_BYTES = 8


def transport_ms(content: Array, rate_hz: float, seconds: float) -> list[float]:
    """From send to another process, of each message with these bytes."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with Reporter(MODULE, f"tcp://127.0.0.1:{port}") as listener:
            _send_until_heard(socket, content, listener, rate_hz)
            _send_for(socket, content, rate_hz, seconds)
            return [(arrived_ns - sent_ns) / 1e6 for sent_ns, arrived_ns in listener.finish()[1:]]


def _send_until_heard(
    socket: zmq.Socket[bytes], content: Array, listener: Reporter, rate_hz: float
) -> None:
    while not listener.has_spoken(1 / rate_hz):
        _send(socket, content)
    listener.hear("first")


def _send_for(socket: zmq.Socket[bytes], content: Array, rate_hz: float, seconds: float) -> None:
    """Each when it is due."""
    start_s, waiting = monotonic_s(), threading.Event()
    for index in range(round(seconds * rate_hz)):
        waiting.wait(max(0.0, start_s + index / rate_hz - monotonic_s()))
        _send(socket, content)


def _send(socket: zmq.Socket[bytes], content: Array) -> None:
    parts: list[Any] = [utc_ns().to_bytes(_STAMP_BYTES, "little"), content]
    socket.send_multipart(parts, copy=False)


def main(endpoint: str) -> None:
    """Receive until the input closes."""
    rows: list[tuple[int, int]] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.subscribe(b"")
        socket.connect(endpoint)
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        print("ready", flush=True)
        while sys.stdin.fileno() not in dict(poller.poll()):
            stamp, _content = socket.recv_multipart(copy=False)
            rows.append((int.from_bytes(stamp.bytes, "little"), utc_ns()))
            if len(rows) == 1:
                print("first", flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
