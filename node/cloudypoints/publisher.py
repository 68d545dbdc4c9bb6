"""The node's end of the wire: two PUB sockets, so that no small message waits behind megabytes.

One thread owns a publisher: ZeroMQ sockets are not to be shared. Arrays are handed to ZeroMQ as
they are; `BufferPool` lends them out again only when ZeroMQ says that they have left.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from cloudypoints.errors import Closed, EndpointError
from cloudypoints.messages import KIND_OF, TOPICS, Array, Message
from cloudypoints.timing import utc_ns
from cloudypoints.wire import encode

log = logging.getLogger(__name__)

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5556"
_FAST_HIGH_WATER = 1000  # messages, each of a few kilobytes
_LINGER_MS = 250  # for the last messages of a recording
_COPY_BELOW_BYTES = 64 << 10  # smaller buffers are cheaper to copy than to track
# The kernel's, towards this machine: a cloud that passes in pieces stays in the processor's caches
# and arrives in two thirds of the time. As much as Linux allows everybody (net.core.wmem_max).
_LOCAL_SEND_BYTES = 208 << 10


class Publisher:
    """Binds the fast endpoint and the bulk one beside it; ended by `close`."""

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        bulk_endpoint: str = "",
        high_water: int = 8,
        insecure: bool = False,
        clock: Callable[[], int] = utc_ns,
    ) -> None:
        """`high_water`: bulk messages kept for each subscriber that does not keep up.

        Raises EndpointError when an address is taken, malformed, or open to the network without
        `insecure`.
        """
        bulk_endpoint = bulk_endpoint or bulk_beside(endpoint)
        self.insecure = not (is_local(endpoint) and is_local(bulk_endpoint))
        if self.insecure and not insecure:
            raise EndpointError(
                f"{endpoint}: anybody on the network could listen; bind to 127.0.0.1, or set "
                f"insecure = true ([publisher]) if that is meant"
            )
        if self.insecure:
            log.warning("publishing on %s without encryption or keys (insecure = true)", endpoint)
        self._clock = clock
        self._session = clock()  # tells subscribers a restart from a gap
        self._seq: Counter[tuple[str, str]] = Counter()
        self._context = zmq.Context()
        self._sockets: dict[str, Any] = {}
        try:
            self._sockets["fast"] = self._bind(endpoint, _FAST_HIGH_WATER)
            self._sockets["bulk"] = self._bind(bulk_endpoint, high_water)
        except EndpointError:
            self.close()
            raise
        self.endpoint, self.bulk_endpoint = (
            self._sockets[lane].getsockopt_string(zmq.LAST_ENDPOINT) for lane in ("fast", "bulk")
        )

    def publish(self, message: Message) -> Any:
        """Send it with its topic's next sequence number; the tracker of its large buffers, if any.

        Whoever owns the arrays may write to them again when the tracker (`zmq.MessageTracker`) is
        done; None means at once. Raises WireError for what cannot be encoded (no number is used up
        then), Closed after `close`.
        """
        if not self._sockets:
            raise Closed("the publisher is closed")
        header, kind = message.header, KIND_OF[type(message)]
        topic = kind, header.camera
        stamped = replace(
            header,
            session=self._session,
            seq=self._seq[topic],
            ledger=replace(header.ledger, published_ns=self._clock()),
        )
        parts = encode(replace(message, header=stamped))
        self._seq[topic] += 1
        return self._send(self._sockets[TOPICS[kind].lane], parts)

    def republish(self, lane: str, parts: Sequence[Any]) -> None:
        """Send a message of a recording as it is: its number and session are its own.

        The parts may be thrown away at once. Raises Closed after `close`.
        """
        if not self._sockets:
            raise Closed("the publisher is closed")
        self._sockets[lane].send_multipart([memoryview(part) for part in parts], copy=False)

    def close(self) -> None:
        """Free both ports; what has not left after a quarter of a second is lost."""
        for socket in self._sockets.values():
            socket.close(linger=_LINGER_MS)
        self._sockets.clear()
        self._context.term()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _bind(self, endpoint: str, high_water: int) -> Any:
        socket = self._context.socket(zmq.PUB)
        try:
            # Before bind: a mark set later does not hold for the pipes that exist.
            socket.setsockopt(zmq.SNDHWM, high_water)
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
            if is_local(endpoint):
                socket.setsockopt(zmq.SNDBUF, _LOCAL_SEND_BYTES)
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise EndpointError(f"{endpoint}: {_bind_remedy(error)}") from error
        return socket

    def _send(self, socket: Any, parts: list[Any]) -> Any:
        trackers = []
        for index, part in enumerate(parts):
            more = zmq.SNDMORE if index < len(parts) - 1 else 0
            if isinstance(part, bytes):
                socket.send(part, more)
            elif part.nbytes < _COPY_BELOW_BYTES:
                socket.send(part.tobytes(), more)
            else:
                trackers.append(socket.send(part, more, copy=False, track=True))
        return zmq.MessageTracker(*trackers) if trackers else None


class BufferPool:
    """Arrays of one dtype and shape, lent out again when ZeroMQ is done with them.

    It grows while subscribers hold messages back, up to the publisher's high-water mark each, and
    never shrinks below what was needed at once.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._lent: list[tuple[Array, Any]] = []
        self._free: list[Array] = []

    def borrow(self, shape: tuple[int, ...]) -> Array:
        """An array of this shape whose content is whatever it was."""
        still_out = [(array, tracker) for array, tracker in self._lent if not tracker.done]
        if len(still_out) < len(self._lent):
            self._free += [array for array, tracker in self._lent if tracker.done]
        self._lent = still_out
        while self._free:
            array = self._free.pop()
            if array.shape == shape:
                return array
        return np.empty(shape, self._dtype)

    def give_back(self, array: Array, tracker: Any) -> None:
        """Hand it in; it is lent again when `tracker` is done (None: at once)."""
        if tracker is None:
            self._free.append(array)
        else:
            self._lent.append((array, tracker))


def bulk_beside(endpoint: str) -> str:
    """Where the bulk lane is unless told otherwise: the next port, or the path with `-bulk`."""
    host, port = _host_and_port(endpoint)
    if not host:
        return f"{endpoint}-bulk"
    if port in ("*", "0"):
        return endpoint
    if port == "65535":
        raise EndpointError(f"{endpoint}: the bulk lane takes the next port; use 65534 or lower")
    return f"tcp://{host}:{int(port) + 1}"


def is_local(endpoint: str) -> bool:
    """Whether only this machine can reach it. Raises EndpointError for what is not an endpoint."""
    import ipaddress  # here, as it would be a twentieth of the time of `import cloudypoints`

    host, _ = _host_and_port(endpoint)
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_ipv6(endpoint: str) -> bool:
    """Whether it is an IPv6 address, which ZeroMQ must be told; those stand in brackets."""
    return endpoint.startswith("tcp://[")


def _host_and_port(endpoint: str) -> tuple[str, str]:
    """Of a tcp endpoint; both empty for an ipc path. Raises EndpointError for anything else."""
    scheme, _, rest = endpoint.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme == "ipc" and rest:
        return "", ""
    numbered = port.isascii() and port.isdigit() and int(port) <= 65535
    if scheme != "tcp" or not host or not (numbered or port == "*"):
        raise EndpointError(
            f"{endpoint}: expected tcp://HOST:PORT with a port up to 65535, or ipc://PATH"
        )
    return host, port


def _bind_remedy(error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return "already in use: another node runs there; stop it or choose another --endpoint"
    if error.errno in (errno.ENODEV, zmq.EADDRNOTAVAIL):
        return "no such network interface; use 127.0.0.1 or an address of this machine"
    return f"cannot be bound: {zmq.strerror(error.errno or 0)}"
