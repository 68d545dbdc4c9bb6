"""A replay publishes what was published, byte by byte, from any place, and can be commanded."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from cloudypoints.capture import CaptureSettings
from cloudypoints.control import Control
from cloudypoints.errors import EndpointError, RecordingError, SourceError
from cloudypoints.messages import Header, Image, Ledger, Obstacles
from cloudypoints.recording import Recorder, RecordSettings
from cloudypoints.replay import Replay, ReplaySettings
from cloudypoints.viewer.player import Player
from cloudypoints.wire import decode, encode
from peers import until
from ports import free_port
from wire_examples import obstacles, raw

FRAMES = 30
FRAME_NS = 40_000_000
START_NS = 1_700_000_000_000_000_000


def sent(number: int) -> list[list[bytes]]:
    """What a node sent of a frame, as bytes."""
    at_ns = START_NS + number * FRAME_NS
    ledger = Ledger(captured_ns=at_ns, received_ns=at_ns + 1000, published_ns=at_ns + 2000)
    header = Header(
        "front", session=5, seq=number, frame=number, stamp_ns=at_ns, clock="host", ledger=ledger
    )
    picture = np.full((48, 64, 3), number, np.uint8)
    messages: list[Obstacles | Image] = [obstacles(header), Image(header, picture)]
    return [[raw(part) for part in encode(message)] for message in messages]


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("drive") / "drive.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        for number in range(FRAMES):
            for parts in sent(number):
                recorder.add(parts, START_NS + number * FRAME_NS + 3000)
    return path


class Heard:
    """A subscriber that keeps every part; the replay waits for it, paused at its first frame."""

    def __init__(self, path: Path, **settings) -> None:
        self._stack = ExitStack()
        playing = CaptureSettings(**({"pace": 0.0} | settings.pop("playing", {})))
        self._settings = ReplaySettings(
            f"tcp://127.0.0.1:{free_port()}", playing=playing, **settings
        )
        self.replay = Replay(path, self._settings)

    def __enter__(self) -> Heard:
        context = self._stack.enter_context(zmq.Context())
        self.socket = self._stack.enter_context(context.socket(zmq.SUB))
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 5000)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.subscribe(b"")
        self.replay.playback.pause()
        self._stack.enter_context(self.replay)
        for endpoint in (self.replay.publisher.endpoint, self.replay.publisher.bulk_endpoint):
            self.socket.connect(endpoint)
        lanes: set[bytes] = set()
        while len(lanes) < 2:  # the first frame, again and again, until both lanes deliver
            self.replay.playback.seek(0)
            lanes |= {parts[0] for parts in self.take(0.05)}
        self.replay.playback.seek(0)
        while not any(b"image" in parts[0] for parts in self.take(0.3)):
            self.replay.playback.seek(0)
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()

    def take(self, silent_s: float) -> list[list[bytes]]:
        """What comes until it is silent for so long."""
        came = []
        while self.socket.poll(silent_s * 1000):
            came.append(self.socket.recv_multipart())
        return came

    def frames(self, silent_s: float = 0.3) -> list[int]:
        """The numbers of the pictures that come."""
        came = [decode(parts) for parts in self.take(silent_s)]
        return [message.header.frame for message in came if isinstance(message, Image)]


def test_the_bytes_are_those_that_were_sent(recording, no_leaks):
    with Heard(recording) as heard:
        heard.replay.playback.play()
        came = heard.take(0.3)
        assert heard.replay.wait(5)
    expected = [parts for number in range(1, FRAMES) for parts in sent(number)]
    # The lanes are two sockets: each keeps its order.
    for kind in (b"obstacles", b"image"):
        assert [p for p in came if p[0].startswith(kind)] == [
            p for p in expected if p[0].startswith(kind)
        ]


def test_paused_it_steps_by_frames_and_seeks(recording):
    with Heard(recording) as heard:
        heard.replay.playback.step(1)
        assert heard.frames() == [1]
        heard.replay.playback.step(2)
        assert heard.frames() == [2, 3]
        heard.replay.playback.step(-1)
        assert heard.frames() == [2]
        heard.replay.playback.seek(0.8)
        assert heard.frames() == [20]
        state = heard.replay.playback.state()
        assert (state.frame, state.position_s, state.clock) == (20, 0.8, "recorded")


def test_the_control_socket_commands_it(recording):
    with Heard(recording) as heard:
        assert heard.replay.control is not None
        with Control(heard.replay.control.endpoint) as control:
            assert not control.state().playing
            control.seek(1.0)
            assert heard.frames() == [25]
            control.play()
            assert heard.frames() == [26, 27, 28, 29]


def test_the_viewer_commands_it(recording):
    """By the keys of its window, which find the control socket beside the endpoint."""
    with Heard(recording) as heard, Player(heard.replay.publisher.endpoint) as player:
        until(lambda: player.state is not None)
        player.step(1)
        assert heard.frames() == [1]
        player.seek_by(0.4)
        assert heard.frames() == [11]
        until(lambda: player.state is not None and player.state.frame == 11)
        player.pause_or_play()
        assert heard.frames() == list(range(12, FRAMES))


def test_a_part_and_chosen_topics_alone(recording):
    part = {"start_s": 0.4, "end_s": 0.6}
    with Heard(recording, playing=part) as heard:
        heard.replay.playback.play()
        assert heard.frames() == [11, 12, 13, 14]
    with Replay(recording, ReplaySettings("tcp://127.0.0.1:*", topics=("obstacles",))) as replay:
        replay.playback.set_rate(0)
        assert replay.wait(10)
        assert replay.published == FRAMES


def test_it_plays_at_the_pace_of_the_recording(recording):
    settings = ReplaySettings("tcp://127.0.0.1:*", playing=CaptureSettings(pace=10.0))
    with Replay(recording, settings) as replay:
        assert not replay.wait(0.05)  # 1.2 s at ten times the pace
        assert replay.wait(5)


def test_as_new_moves_the_times_and_keeps_ages_and_the_rest(recording):
    with Heard(recording, as_new=True) as heard:
        heard.replay.playback.step(1)
        (image,) = [m for m in map(decode, heard.take(0.3)) if isinstance(m, Image)]
    ledger = image.header.ledger
    assert ledger.captured_ns > START_NS + 9 * 10**16
    assert ledger.published_ns - ledger.captured_ns == 2000
    assert ledger.inference_start_ns == 0
    original = decode(sent(1)[1])
    assert isinstance(original, Image)
    assert (original.header.clock, image.header.clock) == ("host", "recorded")
    same = {"ledger": Ledger(), "clock": "recorded"}
    assert replace(image.header, **same) == replace(original.header, **same)
    assert (image.picture == original.picture).all()


def test_a_loop_begins_again(recording):
    with Heard(recording, playing={"start_s": 1.0, "loop": True}) as heard:
        heard.replay.playback.step(9)
        frames = heard.frames()
    assert frames == [26, 27, 28, 29, 25, 26, 27, 28, 29]


def test_what_is_not_in_it_is_told(recording, tmp_path):
    with pytest.raises(SourceError, match="nothing of cloud in it; its topics are image/front"):
        Replay(recording, ReplaySettings(topics=("cloud",)))
    (tmp_path / "a.mcap").write_bytes(b"nothing")
    with pytest.raises(RecordingError):
        Replay(tmp_path / "a.mcap", ReplaySettings())
    with pytest.raises(EndpointError, match="insecure"):
        Replay(recording, ReplaySettings("tcp://0.0.0.0:*"))


def test_the_state_has_a_length(recording):
    with Heard(recording) as heard:
        state = heard.replay.playback.state()
    assert state.end_s == pytest.approx((FRAMES - 1) * 0.04, abs=0.01)
    assert not math.isnan(state.position_s)
