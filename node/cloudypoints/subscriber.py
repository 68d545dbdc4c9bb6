"""The other end of the wire: the newest of each topic, how old it is, and what was lost.

    for cloud in cloudypoints.subscribe("tcp://127.0.0.1:5556", "cloud/front"):
        plan(cloud.xyz_m("vehicle"), cloud.header)

A thread of its own drains the sockets into one slot per topic, so that a slow reader finds the
newest message and never a backlog. Silence is told from an empty street by `health`.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import zmq

from cloudypoints.errors import Closed, ConfigError, EndpointError, VersionError, WireError
from cloudypoints.inbox import Health, Inbox, Key
from cloudypoints.messages import TOPICS, Message
from cloudypoints.publisher import DEFAULT_ENDPOINT, bulk_beside, is_ipv6, is_local
from cloudypoints.sharing import PREFIX, Windows
from cloudypoints.wire import MAX_BUFFER_BYTES, check_camera_name, decode

log = logging.getLogger(__name__)

# Messages that a socket may hold while the drain thread is held up.
_HIGH_WATER = {"fast": 100, "bulk": 8}
_ROUND = 32  # messages taken from one socket before the other has its turn


class Subscription:
    """An open subscription; iterate it, `read` it with a timeout, or look at `latest`.

    Its drain thread ends when `close` is called, when the subscription is forgotten, or when the
    interpreter ends. Any thread may call anything; each message is handed to one reader.
    """

    def __init__(
        self, endpoint: str, topics: tuple[str, ...], *, bulk_endpoint: str, max_age_s: float
    ) -> None:
        self.endpoint = endpoint
        self._inbox = Inbox(endpoint, max_age_s)
        shared = shared_prefixes(topics) if is_local(bulk_endpoint) else []
        context = zmq.Context()
        endpoints = {"fast": endpoint, "bulk": bulk_endpoint}
        sockets = connect_lanes(context, endpoints, topics, {"bulk": shared})
        drain = _Drain(self._inbox, context, sockets, shared)
        self._closing = weakref.finalize(self, drain.close)

    def read(self, timeout_s: float | None = None) -> Message:
        """The newest message not read yet, of the topic that has waited longest.

        Raises NoMessage when the time is up, Closed after `close`, VersionError once a message of
        another major version came.
        """
        return self._inbox.take(timeout_s)

    def latest(self, topic: str) -> Message | None:
        """The newest of `kind/camera`, read or not, however old: see `health`. Does not block."""
        return self._inbox.newest(_key_of(topic))

    def health(self, topic: str) -> Health:
        """How `kind/camera` is doing, also before its first message."""
        return self._inbox.health(_key_of(topic))

    @property
    def topics(self) -> list[str]:
        """The topics that have been heard, as `kind/camera`."""
        return [f"{kind}/{camera}" for kind, camera in self._inbox.heard()]

    @property
    def malformed(self) -> int:
        """How many messages came that are not ours."""
        return self._inbox.malformed

    def close(self) -> None:
        """End the thread, free the sockets; a blocked reader gets Closed. May be called twice."""
        self._closing()

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


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT,
    *topics: str,
    bulk_endpoint: str = "",
    max_age_s: float = 1.0,
) -> Subscription:
    """Listen to a node. `topics` are `kind/camera`, or `kind` for all cameras; none means all.

    `max_age_s`: what was captured longer ago is refused, never handed out late. The node may start
    later or restart: silence shows in `Subscription.health`. Raises EndpointError, WireError for an
    unknown topic, ConfigError for an age that is not positive.
    """
    if not max_age_s > 0:
        raise ConfigError(f"max_age_s {max_age_s}: must be positive; inf refuses nothing")
    bulk_endpoint = bulk_endpoint or bulk_beside(endpoint)
    return Subscription(endpoint, topics, bulk_endpoint=bulk_endpoint, max_age_s=max_age_s)


class _Drain:
    """The thread that empties the sockets into an inbox; ended by `close`, or by an error.

    It is a daemon because a subscription that nobody closed must not keep the interpreter from
    ending; the subscription's finalizer closes it before that.
    """

    def __init__(self, inbox: Inbox, context: Any, sockets: list[Any], shared: list[bytes]) -> None:
        self._inbox = inbox
        self._context = context
        self._sockets = sockets
        self._windows = Windows(shared)
        self._woken, self._wake = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self._woken.bind("inproc://wake")
        self._wake.connect("inproc://wake")
        # Guards `_wake`, which the thread closes as it ends; taken twice by a thread that forgets
        # the subscription while it holds it.
        self._waking = threading.RLock()
        name = f"subscription {inbox.endpoint}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and wait for it, from any thread."""
        self._inbox.end(Closed("the subscription is closed"))
        with self._waking:
            if not self._wake.closed:
                self._wake.send(b"", zmq.NOBLOCK)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._until_woken()
        except VersionError as error:
            self._inbox.end(error)
        except Exception as error:
            log.exception("subscription to %s stopped", self._inbox.endpoint)
            self._inbox.end(error)
        finally:
            with self._waking:
                for socket in (self._wake, self._woken, *self._sockets):
                    socket.close(linger=0)
            self._context.term()

    def _until_woken(self) -> None:
        poller = zmq.Poller()
        for socket in (self._woken, *self._sockets):
            poller.register(socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._woken in ready:
                return
            for socket in self._sockets:
                if socket in ready:
                    self._take_what_piled_up(socket)

    def _take_what_piled_up(self, socket: Any) -> None:
        for _ in range(_ROUND):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                parts = self._windows.parts([frame.buffer for frame in frames], socket)
                message = decode(parts) if parts else None
            except VersionError:
                raise
            except WireError as error:
                self._inbox.count_malformed(error)
            else:
                if message is not None:  # or its number will be missing, which counts as lost
                    self._inbox.keep(message)


def connect_lanes(
    context: Any,
    endpoints: Mapping[str, str],
    topics: tuple[str, ...],
    more: Mapping[str, list[bytes]] | None = None,
    *,
    high_water: Mapping[str, int] = _HIGH_WATER,
    prepare: Callable[[Any], object] = lambda socket: None,
) -> list[Any]:
    """A connected SUB socket for each lane (`fast`, `bulk`) that the topics need.

    `more` subscriptions by lane are made too; `prepare` is called with each socket before it
    connects. Raises EndpointError, WireError; the context is gone then, with all its sockets.
    """
    more = more or {}
    sockets: list[Any] = []
    try:
        for lane, prefixes in _prefixes(topics).items():
            sockets.append(context.socket(zmq.SUB))
            sockets[-1].setsockopt(zmq.RCVHWM, high_water[lane])  # holds before connect
            prepare(sockets[-1])
            _connect_one(sockets[-1], endpoints[lane], prefixes + more.get(lane, []))
    except (EndpointError, WireError):
        context.destroy(linger=0)
        raise
    return sockets


def _connect_one(socket: Any, endpoint: str, prefixes: list[bytes]) -> None:
    # A part larger than the wire allows ends the connection before it is read into memory.
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_BUFFER_BYTES)
    socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
    if not is_local(endpoint):  # here a node is looked for ten times a second: it costs nothing
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    # A node that lost its power says no goodbye; without this nobody would ever reconnect.
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 5)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 2)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
    for prefix in prefixes:
        socket.subscribe(prefix)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        reason = zmq.strerror(error.errno or 0)
        raise EndpointError(f"{endpoint}: cannot be connected to: {reason}") from error


def shared_prefixes(topics: tuple[str, ...]) -> list[bytes]:
    """What the bulk lane's socket asks for besides, to be told where buffers lie."""
    return [PREFIX + prefix for prefix in _prefixes(topics).get("bulk", []) if PREFIX]


def _prefixes(topics: tuple[str, ...]) -> dict[str, list[bytes]]:
    """What each lane's socket subscribes to. Without topics all kinds that this version knows."""
    prefixes: dict[str, list[bytes]] = {}
    for topic in topics or tuple(TOPICS):
        kind, camera = _split(topic)
        prefix = f"{kind}/{camera}".encode() + (b"\0" if camera else b"")
        prefixes.setdefault(TOPICS[kind].lane, []).append(prefix)
    return prefixes


def _key_of(topic: str) -> Key:
    """Of `kind/camera`. Raises WireError for anything less."""
    kind, camera = _split(topic)
    if not camera:
        raise WireError(f"topic {topic!r}: which camera? expected {kind}/CAMERA")
    return kind, camera


def _split(topic: str) -> Key:
    """Kind and camera, the latter empty if it is not named. Raises WireError for an unknown one."""
    kind, slash, camera = topic.partition("/")
    if kind not in TOPICS:
        raise WireError(f"topic {topic!r}: expected kind/camera, kind one of {', '.join(TOPICS)}")
    if slash:
        check_camera_name(camera)
    return kind, camera
