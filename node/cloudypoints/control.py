"""A small socket beside a node that plays recordings: pause, play, step, seek, and where it is.

    with Control() as control:
        control.pause()
        print(control.seek(12.5).position_s)

One request, one reply, each a msgpack map (ZeroMQ REQ and REP; PROTOCOL.md tells it byte by byte).
It listens on loopback alone, and no data passes through it: whoever does not ask loses nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from types import TracebackType
from typing import Any, Protocol

import msgpack
import zmq

from cloudypoints.errors import (
    CloudyPointsError,
    EndpointError,
    NoMessage,
    SourceError,
    VersionError,
    WireError,
)
from cloudypoints.messages import PROTOCOL
from cloudypoints.publisher import DEFAULT_ENDPOINT, bulk_beside, is_ipv6, is_local

log = logging.getLogger(__name__)

_MAX_BYTES = 64 << 10  # of a request or a reply
_PORTS_ON = 1000  # from a node's endpoint; the ports just after it may be another node's
_HIGHEST_PORT = 65535
_LINGER_MS = 100  # for the last reply


@dataclass(frozen=True, slots=True)
class PlayState:
    """Where the playing of a recording is."""

    source: str  # without credentials
    playing: bool  # False: paused
    ended: bool  # nothing more will come
    rate: float  # 1: its own pace, 2: twice it, 0: as fast as possible
    loop: bool
    position_s: float  # of the last frame, from the start of the recording
    start_s: float  # of the part that is played
    end_s: float  # of that part; NaN where the recording does not say how long it is
    frame: int  # the recording's own number of the last frame; -1 before the first
    stamp_ns: int  # of the last frame, on `clock`
    clock: str  # media: from the start of the recording; recorded: UTC of the recording


class Playable(Protocol):
    """What the socket commands; from its own thread."""

    def state(self) -> PlayState:
        """Where it is."""

    def play(self) -> None:
        """Go on."""

    def pause(self) -> None:
        """Stay at the last frame."""

    def step(self, frames: int) -> None:
        """Pause, and move by so many frames; < 0 is back."""

    def seek(self, to_s: float) -> None:
        """Go on from the first frame at or after this time from the start of the recording."""

    def set_rate(self, rate: float) -> None:
        """How fast: 1 its own pace, 0 as fast as possible."""

    def set_loop(self, loop: bool) -> None:
        """Whether it begins again at its end."""


# What may be asked, with its one argument.
_COMMANDS: Mapping[str, tuple[str, type]] = {
    "state": ("", type(None)),
    "play": ("", type(None)),
    "pause": ("", type(None)),
    "step": ("frames", int),
    "seek": ("to_s", float),
    "rate": ("rate", float),
    "loop": ("loop", bool),
}
_MAX_STEP = 100_000  # frames


def control_beside(endpoint: str) -> str:
    """Where the control socket of a node is unless told otherwise: 1000 ports on, on loopback.

    Of `ipc://PATH` it is `ipc://PATH-control`. Raises EndpointError for what is not an endpoint.
    """
    if endpoint.startswith("ipc://"):
        return f"{endpoint}-control"
    bulk_beside(endpoint)  # raises for what is not an endpoint
    port = endpoint.rpartition(":")[2]
    if port in ("*", "0"):
        return "tcp://127.0.0.1:*"
    if int(port) > _HIGHEST_PORT - _PORTS_ON:
        raise EndpointError(f"{endpoint}: the control socket, {_PORTS_ON} ports on, has no port")
    return f"tcp://127.0.0.1:{int(port) + _PORTS_ON}"


class Control:
    """A client of the control socket; any thread may use it, one at a time."""

    def __init__(
        self, endpoint: str = control_beside(DEFAULT_ENDPOINT), *, timeout_s: float = 1.0
    ) -> None:
        """`endpoint` is that of the control socket: `control_beside` gives it for a node's.

        Raises EndpointError for what is not an endpoint of this machine.
        """
        self.endpoint = _loopback(endpoint)
        self.timeout_s = timeout_s
        self._asking = threading.Lock()  # guards the socket: one question at a time
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        # A reply that comes too late is not the answer to the next question.
        self._socket.setsockopt(zmq.REQ_RELAXED, 1)
        self._socket.setsockopt(zmq.REQ_CORRELATE, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MAX_BYTES)
        self._socket.setsockopt(zmq.RCVTIMEO, round(timeout_s * 1000))
        self._socket.setsockopt(zmq.SNDTIMEO, round(timeout_s * 1000))
        self._socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            reason = zmq.strerror(error.errno or 0)
            raise EndpointError(f"{endpoint}: cannot be connected to: {reason}") from error

    def state(self) -> PlayState:
        """Where it is. Raises NoMessage when nobody answers: every method here does."""
        return self._ask("state")

    def play(self) -> PlayState:
        """Go on."""
        return self._ask("play")

    def pause(self) -> PlayState:
        """Stay at the last frame."""
        return self._ask("pause")

    def step(self, frames: int = 1) -> PlayState:
        """Pause, and move by so many frames; < 0 is back."""
        return self._ask("step", frames=frames)

    def seek(self, to_s: float) -> PlayState:
        """Go on from this time of the recording, in seconds from its start.

        The answer may come before the first frame from there has.
        """
        return self._ask("seek", to_s=float(to_s))

    def rate(self, rate: float) -> PlayState:
        """How fast: 1 its own pace, 2 twice it, 0 as fast as possible."""
        return self._ask("rate", rate=float(rate))

    def loop(self, loop: bool) -> PlayState:
        """Whether it begins again at its end."""
        return self._ask("loop", loop=bool(loop))

    def close(self) -> None:
        """Let go of the socket; may be called twice."""
        self._socket.close(linger=0)
        self._context.term()

    def __enter__(self) -> Control:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, command: str, **argument: object) -> PlayState:
        """Raises NoMessage, SourceError with the reason of a refusal, WireError, VersionError."""
        request = msgpack.packb({"v": PROTOCOL, "command": command, **argument})
        with self._asking:
            try:
                self._socket.send(request)
                reply = self._socket.recv()
            except zmq.Again as error:
                raise NoMessage(
                    f"{self.endpoint}: no answer within {self.timeout_s:g} s; a node has a control "
                    f"socket while it plays recordings"
                ) from error
        return _state_from(_document(reply))


class ControlServer:
    """The node's end; its thread runs within `with`, and ends when that is left."""

    def __init__(self, endpoint: str, playable: Playable) -> None:
        """Raises EndpointError for an address that is taken or that the network can reach."""
        self._playable = playable
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._woken, self._wake = self._context.socket(zmq.PAIR), self._context.socket(zmq.PAIR)
        try:
            self.endpoint = self._bound(_loopback(endpoint))
        except EndpointError:
            self._free()
            raise
        self._thread = threading.Thread(target=self._run, name=f"control {self.endpoint}")

    def __enter__(self) -> ControlServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wake.send(b"")
        self._thread.join()
        self._free()

    def _bound(self, endpoint: str) -> str:
        self._woken.bind("inproc://wake")
        self._wake.connect("inproc://wake")
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MAX_BYTES)
        self._socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            reason = zmq.strerror(error.errno or 0)
            raise EndpointError(f"{endpoint}: no control socket there: {reason}") from error
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _free(self) -> None:
        for socket in (self._wake, self._woken):
            socket.close(linger=0)
        self._socket.close(linger=_LINGER_MS)
        self._context.term()

    def _run(self) -> None:
        try:
            self._until_woken()
        except Exception:  # the thread ends here; the node goes on without it
            log.exception("the control socket %s stopped", self.endpoint)

    def _until_woken(self) -> None:
        poller = zmq.Poller()
        poller.register(self._woken, zmq.POLLIN)
        poller.register(self._socket, zmq.POLLIN)
        while self._woken not in dict(poller.poll()):
            parts = self._socket.recv_multipart()
            self._socket.send(msgpack.packb(self._answer(parts)))

    def _answer(self, parts: list[bytes]) -> dict[str, Any]:
        """A reply to anything that comes."""
        try:
            if len(parts) != 1:
                raise WireError(f"request of {len(parts)} parts; expected one")
            _obey(self._playable, _document(parts[0]))
            answer: dict[str, Any] = {"state": asdict(self._playable.state())}
        except CloudyPointsError as error:
            answer = {"error": str(error)}
        return {"v": PROTOCOL, **answer}


class Together:
    """Several recordings of one node, commanded as one; the first tells where they are."""

    def __init__(self, playables: Mapping[str, Playable]) -> None:
        self._playables = tuple(playables.values())

    def state(self) -> PlayState:
        """Of the first that has not ended."""
        states = [playable.state() for playable in self._playables]
        return next((state for state in states if not state.ended), states[0])

    def play(self) -> None:
        """All go on."""
        self._each(lambda playable: playable.play())

    def pause(self) -> None:
        """All stay."""
        self._each(lambda playable: playable.pause())

    def step(self, frames: int) -> None:
        """All move by so many frames of their own."""
        self._each(lambda playable: playable.step(frames))

    def seek(self, to_s: float) -> None:
        """All go to this time from their own start."""
        self._each(lambda playable: playable.seek(to_s))

    def set_rate(self, rate: float) -> None:
        """All at this pace."""
        self._each(lambda playable: playable.set_rate(rate))

    def set_loop(self, loop: bool) -> None:
        """All begin again at their end, or none."""
        self._each(lambda playable: playable.set_loop(loop))

    def _each(self, command: Callable[[Playable], None]) -> None:
        for playable in self._playables:
            command(playable)


def _obey(playable: Playable, request: Mapping[str, Any]) -> None:
    """Do what is asked. Raises WireError for what makes no sense, SourceError."""
    command = request.get("command")
    if not isinstance(command, str) or command not in _COMMANDS:
        raise WireError(f"command {command!r:.40}; known are {', '.join(_COMMANDS)}")
    name, kind = _COMMANDS[command]
    if command == "state":
        return
    if not name:
        getattr(playable, command)()
        return
    value = request.get(name)
    number = kind is float and type(value) is int
    if not (type(value) is kind or number):
        raise WireError(f"{command}: {name} is {value!r:.40}, not {kind.__name__}")
    if command == "step":
        playable.step(max(-_MAX_STEP, min(int(value), _MAX_STEP)))  # type: ignore[arg-type]
    elif command == "seek":
        playable.seek(float(value))  # type: ignore[arg-type]
    elif command == "rate":
        playable.set_rate(float(value))  # type: ignore[arg-type]
    else:
        playable.set_loop(bool(value))


def _document(packed: bytes) -> dict[str, Any]:
    """The map in these bytes, of our major version. Raises WireError, VersionError."""
    try:
        document = msgpack.unpackb(packed, strict_map_key=True, max_array_len=16)
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(f"not msgpack: {str(error) or type(error).__name__}") from error
    version = document.get("v") if isinstance(document, dict) else None
    if not (isinstance(version, list) and version and type(version[0]) is int):
        raise WireError(f"control: expected a map with v = [major, minor], not {document!r:.80}")
    if version[0] != PROTOCOL[0]:
        raise VersionError(version[0], PROTOCOL[0])
    return dict(document)


def _state_from(reply: Mapping[str, Any]) -> PlayState:
    """The state in a reply. Raises SourceError with the reason where it was refused."""
    if "error" in reply:
        raise SourceError(str(reply["error"]))
    state = reply.get("state")
    names = [field.name for field in fields(PlayState)]
    if not isinstance(state, dict) or not set(names) <= set(state):
        raise WireError(f"control: a reply without a whole state: {reply!r:.80}")
    return PlayState(**{name: state[name] for name in names})


def _loopback(endpoint: str) -> str:
    """Raises EndpointError for an address that other machines could reach."""
    if not is_local(endpoint):
        raise EndpointError(f"{endpoint}: control is for this machine alone; use 127.0.0.1")
    return endpoint
