"""The node's end of the wire: two PUB sockets, so that no small message waits behind megabytes.

One thread owns a publisher: ZeroMQ sockets are not to be shared. Arrays are handed to ZeroMQ as
they are; `BufferPool` lends them out again only when ZeroMQ says that they have left. A subscriber
on the same machine may ask for a topic with `sharing.PREFIX` before it: it is then told where the
bytes lie, and gets no copy.
"""

from __future__ import annotations

import errno
import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from cloudypoints.errors import Closed, EndpointError
from cloudypoints.messages import KIND_OF, TOPICS, Array, Message
from cloudypoints.sharing import BY_REFERENCE, PREFIX, Private, Slots
from cloudypoints.timing import monotonic_s, utc_ns
from cloudypoints.wire import Part, encode, topic_of

log = logging.getLogger(__name__)

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5556"
_FAST_HIGH_WATER = 1000  # messages, each of a few kilobytes
_BULK_TOPICS = [f"{kind}/".encode() for kind, topic in TOPICS.items() if topic.lane == "bulk"]
_LINGER_MS = 250  # for the last messages of a recording
_MANY = 1000  # beginnings of topics; with more, all are taken for asked for
_MAX_ASKED_BYTES = 2048  # of what a subscriber may send: a topic, which ZeroMQ keeps byte by byte
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
        # Beginnings of bulk topics: that were ever asked for, and that are shared now. Whose a
        # subscription is, ZeroMQ does not tell, so what one takes back may be what another wants.
        self._asked: set[bytes] = set()
        self._shared: Counter[bytes] = Counter()
        self.buffers = BufferPool()
        try:
            self._sockets["fast"] = self._bind(zmq.PUB, endpoint, _FAST_HIGH_WATER)
            self._sockets["bulk"] = self._bind(zmq.XPUB, bulk_endpoint, high_water)
        except EndpointError:
            self.close()
            raise
        self.endpoint, self.bulk_endpoint = (
            self._sockets[lane].getsockopt_string(zmq.LAST_ENDPOINT) for lane in ("fast", "bulk")
        )

    def publish(self, message: Message) -> Any:
        """Send it with its topic's next sequence number; the tracker of its large buffers, if any.

        Whoever owns the arrays may write to them again when the tracker (`zmq.MessageTracker`) is
        done; None means at once. A bulk message that nobody asked for costs its number alone.
        Raises WireError for what cannot be encoded (no number is used up then), Closed after
        `close`.
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
        message = replace(message, header=stamped)
        if TOPICS[kind].lane == "fast":
            tracker = self._send(self._sockets["fast"], encode(message))
        else:
            tracker = self._send_bulk(topic_of(*topic), lambda: encode(message))
        self._seq[topic] += 1
        return tracker

    def republish(self, lane: str, parts: Sequence[Any]) -> None:
        """Send a message of a recording as it is: its number and session are its own.

        The parts may be thrown away at once. Raises Closed after `close`.
        """
        if not self._sockets:
            raise Closed("the publisher is closed")
        views = [memoryview(part) for part in parts]
        if lane == "bulk":
            self._send_bulk(bytes(views[0]), lambda: views)
        else:
            self._send(self._sockets[lane], views)

    def close(self) -> None:
        """Free both ports; what has not left after a quarter of a second is lost."""
        for socket in self._sockets.values():
            socket.close(linger=_LINGER_MS)
        self._sockets.clear()
        self._context.term()
        self.buffers.linger()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _bind(self, kind: int, endpoint: str, high_water: int) -> Any:
        socket = self._context.socket(kind)
        try:
            if kind == zmq.XPUB:  # what subscribers ask for passes through `_heed`
                socket.setsockopt(zmq.XPUB_MANUAL, 1)
            # Before bind: a mark set later does not hold for the pipes that exist.
            socket.setsockopt(zmq.SNDHWM, high_water)
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, _MAX_ASKED_BYTES)
            socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
            if is_local(endpoint):
                socket.setsockopt(zmq.SNDBUF, _LOCAL_SEND_BYTES)
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise EndpointError(f"{endpoint}: {_bind_remedy(error)}") from error
        return socket

    def _heed(self) -> None:
        """Do as subscribers have asked since: who may share buffers is sent none."""
        socket = self._sockets["bulk"]
        while socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            asked = socket.recv()
            if asked[:1] not in (b"\0", b"\1"):
                continue  # any socket may send anything up the connection
            begins, topic = asked[:1] == b"\1", asked[1:]
            # Everything means what can be read as it is, not what says where bytes lie.
            for start in [topic] if topic else _BULK_TOPICS:
                self._do_as_asked(begins, start)

    def _do_as_asked(self, begins: bool, topic: bytes) -> None:
        """For the subscriber that was heard last."""
        socket = self._sockets["bulk"]
        socket.setsockopt(zmq.SUBSCRIBE if begins else zmq.UNSUBSCRIBE, topic)
        if not (PREFIX and topic.startswith(PREFIX)):
            self._asked = self._asked | {topic} if len(self._asked) < _MANY else {b""}
            return
        plain = topic.removeprefix(PREFIX)
        socket.setsockopt(zmq.UNSUBSCRIBE if begins else zmq.SUBSCRIBE, plain)
        self._shared[topic] += 1 if begins else -1
        self._shared += Counter()  # without what nobody shares

    def _send_bulk(self, topic: bytes, pack: Callable[[], Sequence[Part]]) -> Any:
        """To all who asked for it, with the buffers or, to who shares memory, where they lie.

        It is packed only if anybody did.
        """
        self._heed()
        shared = any(map((PREFIX + topic).startswith, self._shared))
        plain = any(map(topic.startswith, self._asked))
        if not (shared or plain):
            return None
        parts = pack()
        forms = [self._told(parts)] if shared else []
        return self._send(self._sockets["bulk"], *forms, *([parts] if plain else []))

    def _told(self, parts: Sequence[Part]) -> list[Part]:
        """The message for those who share memory: where the buffers lie, or the buffers."""
        topic, header, *buffers = parts
        name, references = PREFIX + bytes(topic), self._references(buffers)
        return [name + BY_REFERENCE, header, *references] if references else [name, *parts[1:]]

    def _references(self, buffers: Sequence[Part]) -> list[bytes]:
        """One for each buffer; none where they are small, or there is no memory to share."""
        sizes = [part.nbytes for part in buffers if not isinstance(part, bytes)]
        if sum(sizes) < _COPY_BELOW_BYTES or not all(sizes):
            return []
        references = [self.buffers.reference(np.frombuffer(part, np.uint8)) for part in buffers]
        return references if all(references) else []

    def _send(self, socket: Any, *messages: Sequence[Any]) -> Any:
        """The tracker of all their large buffers together, if any."""
        trackers = []
        for parts in messages:
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
    """Arrays that are lent out again when ZeroMQ and all readers are done with them.

    It grows while subscribers hold messages back, up to the publisher's high-water mark each.
    """

    def __init__(self) -> None:
        self._slots = Slots()
        self._lent: dict[int, Private] = {}  # by the address of their bytes
        self._leaving: list[tuple[Private, Any]] = []
        self._told_s = float("-inf")  # monotonic, when somebody was last told of bytes

    def borrow(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array whose content is whatever it was."""
        leaving, self._leaving = self._leaving, []
        for slot, tracker in leaving:
            self._leave(slot, tracker)
        nbytes = math.prod(shape) * dtype.itemsize
        slot = self._slots.take(nbytes)
        self._lent[_address_of(slot.bytes)] = slot
        array: Array = slot.bytes[:nbytes].view(dtype).reshape(shape)
        return array

    def give_back(self, array: Array, tracker: Any) -> None:
        """Hand it in; it is lent again when `tracker` is done (None: at once)."""
        self._leave(self._lent.pop(_address_of(array)), tracker)

    def reference(self, array: NDArray[np.uint8]) -> bytes:
        """What a reader on this machine finds these bytes (N,) by; empty: by nothing."""
        self._told_s = monotonic_s()
        lent = self._lent.get(_address_of(array))
        if lent is not None:
            return lent.reference(array.nbytes)
        slot = self._slots.take(array.nbytes)
        reference = slot.reference(array.nbytes)
        if reference:
            slot.bytes[: array.nbytes] = array
        self._slots.put(slot)
        return reference

    def linger(self) -> None:
        """Wait until who was told of the last ones has had time to come for them."""
        threading.Event().wait(max(0.0, self._told_s + _LINGER_MS / 1e3 - monotonic_s()))

    def _leave(self, slot: Private, tracker: Any) -> None:
        if tracker is None or tracker.done:
            self._slots.put(slot)
        else:
            self._leaving.append((slot, tracker))


def _address_of(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


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
