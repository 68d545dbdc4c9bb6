"""The control socket: what is asked is done, what makes no sense is refused, nobody hangs."""

from __future__ import annotations

import math
import re
import threading

import msgpack
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudypoints.control import Control, ControlServer, PlayState, Together, control_beside
from cloudypoints.errors import (
    EndpointError,
    NoMessage,
    SourceError,
    VersionError,
    WireError,
)

ANYWHERE = "tcp://127.0.0.1:*"


class Player:
    """Remembers what it was told."""

    def __init__(self, *, ended: bool = False) -> None:
        self.told: list[object] = []
        self.ended = ended

    def state(self) -> PlayState:
        told = len(self.told)
        return PlayState(
            "a.mp4", True, self.ended, 1.0, False, 2.5, 0.0, math.nan, told, 7, "media"
        )

    def play(self) -> None:
        self.told.append("play")

    def pause(self) -> None:
        self.told.append("pause")

    def step(self, frames: int) -> None:
        self.told.append(frames)

    def seek(self, to_s: float) -> None:
        if to_s > 100:
            raise SourceError("a.mp4: no such place")
        self.told.append(("seek", to_s))

    def set_rate(self, rate: float) -> None:
        self.told.append(("rate", rate))

    def set_loop(self, loop: bool) -> None:
        self.told.append(("loop", loop))


@pytest.fixture
def player():
    return Player()


@pytest.fixture
def server(player, no_leaks):
    with ControlServer(ANYWHERE, player) as server:
        yield server


def raw(server: ControlServer, *parts: bytes) -> dict:
    """The reply to these bytes."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 5000)
        socket.connect(server.endpoint)
        socket.send_multipart(parts)
        return msgpack.unpackb(socket.recv())


def test_every_command_arrives_with_its_argument(server, player):
    with Control(server.endpoint) as control:
        control.pause()
        control.play()
        control.step()
        control.step(-3)
        control.seek(12)
        control.rate(0)
        state = control.loop(True)
    assert player.told == [
        *("pause", "play", 1, -3, ("seek", 12.0), ("rate", 0.0), ("loop", True)),
    ]
    assert state.frame == 7  # the state is that after the command
    assert (state.source, state.position_s, state.clock) == ("a.mp4", 2.5, "media")
    assert math.isnan(state.end_s)


def test_a_refusal_comes_with_its_reason_and_the_next_question_is_answered(server):
    with Control(server.endpoint) as control:
        with pytest.raises(SourceError, match=r"a\.mp4: no such place"):
            control.seek(1000)
        assert control.state().playing


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"v": [1, 0], "command": "fly"}, "command 'fly'; known are state, play"),
        ({"v": [1, 0], "command": ["play"]}, "known are state"),
        ({"v": [1, 0]}, "command None"),
        ({"v": [1, 0], "command": "seek"}, "seek: to_s is None, not float"),
        ({"v": [1, 0], "command": "seek", "to_s": "3"}, "seek: to_s is '3', not float"),
        ({"v": [1, 0], "command": "step", "frames": 1.5}, "step: frames is 1.5, not int"),
        ({"v": [1, 0], "command": "step", "frames": True}, "step: frames is True, not int"),
        ({"v": [1, 0], "command": "loop", "loop": 1}, "loop: loop is 1, not bool"),
        ({"v": [2, 0], "command": "state"}, "message of protocol version 2"),
        ({"command": "state"}, r"expected a map with v = \[major, minor\]"),
        ([1, 2], "expected a map"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(server, player, request_, says):
    reply = raw(server, msgpack.packb(request_))
    assert "state" not in reply
    assert re.search(says, reply["error"])
    assert player.told == []


def test_what_is_not_msgpack_and_what_comes_in_parts_is_refused(server):
    assert "not msgpack" in raw(server, b"\xc1")["error"]
    assert "2 parts" in raw(server, b"a", b"b")["error"]


@settings(deadline=None)  # how long it takes is the machine's affair
@given(junk=st.binary(max_size=200))
def test_any_bytes_are_answered(junk):
    with ControlServer(ANYWHERE, Player()) as server:
        assert set(raw(server, junk)) in ({"v", "error"}, {"v", "state"})


def test_nobody_there_is_said_in_time():
    with Control("tcp://127.0.0.1:9", timeout_s=0.1) as control:
        for _ in range(2):  # a question that nobody answered does not block the next
            with pytest.raises(NoMessage, match=r"no answer within 0\.1 s"):
                control.state()


def replies(answer: bytes):
    """What a client makes of a reply."""
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with Control(f"tcp://127.0.0.1:{port}") as control:
            control._socket.setsockopt(zmq.RCVTIMEO, 0)
            with pytest.raises(NoMessage):
                control.pause()
            socket.recv()
            control._socket.setsockopt(zmq.RCVTIMEO, 2000)
            socket.send(answer)
            thread = threading.Thread(target=lambda: (socket.recv(), socket.send(answer)))
            thread.start()
            try:
                return control.state()
            finally:
                thread.join()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"\xc1", WireError),
        (msgpack.packb({"v": [9, 0]}), VersionError),
        (msgpack.packb({"v": [1, 0], "state": {"playing": True}}), WireError),
    ],
)
def test_a_foreign_reply_is_an_error_of_ours(answer, error):
    with pytest.raises(error):
        replies(answer)


def test_it_is_for_this_machine_alone(player):
    for make in (lambda e: ControlServer(e, player), Control):
        with pytest.raises(EndpointError, match="for this machine alone"):
            make("tcp://0.0.0.0:5000")


def test_a_port_in_use_is_refused(server, player):
    with pytest.raises(EndpointError, match="no control socket there"):
        ControlServer(server.endpoint, player)


@pytest.mark.parametrize(
    ("endpoint", "control"),
    [
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:6556"),
        ("tcp://0.0.0.0:5556", "tcp://127.0.0.1:6556"),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        ("ipc:///run/street", "ipc:///run/street-control"),
    ],
)
def test_it_lies_beside_the_node(endpoint, control):
    assert control_beside(endpoint) == control


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:65000", "street", "udp://a:1"])
def test_beside_what_is_no_place_there_is_none(endpoint):
    with pytest.raises(EndpointError):
        control_beside(endpoint)


def test_several_recordings_are_commanded_as_one():
    players = {"left": Player(ended=True), "right": Player()}
    together = Together(players)
    together.pause()
    together.seek(3.0)
    assert players["left"].told == players["right"].told == ["pause", ("seek", 3.0)]
    assert not together.state().ended
