"""Pause, step and seek from the window: what a key asks reaches the node, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cloudypoints.control import ControlServer, control_beside
from cloudypoints.timing import Deadline
from cloudypoints.viewer.player import Player
from ports import free_port
from streets import HALFWAY, Played


@pytest.fixture
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def recording(endpoint: str) -> Iterator[Played]:
    played = Played()
    with ControlServer(control_beside(endpoint), played):
        yield played


@pytest.fixture
def player(endpoint: str, recording: Played) -> Iterator[Player]:
    with Player(endpoint) as running:
        wait_until(lambda: running.state is not None)
        yield running


def wait_until(true) -> None:
    deadline, pause = Deadline(20), threading.Event()
    while not true():
        assert not deadline.over
        pause.wait(0.01)


def test_where_the_recording_is_becomes_known(player):
    assert player.state == HALFWAY


def test_one_key_pauses_and_goes_on(player, recording):
    player.pause_or_play()
    wait_until(lambda: not recording.now.playing and not player.state.playing)
    player.pause_or_play()
    wait_until(lambda: recording.now.playing and player.state.playing)


@pytest.mark.parametrize("frames", [1, -1])
def test_a_step_moves_a_frame_and_stays(player, recording, frames):
    player.step(frames)
    wait_until(lambda: player.state.frame == 240 + frames)
    assert not recording.now.playing


@pytest.mark.parametrize(("step_s", "at_s"), [(5.0, 17.0), (-5.0, 7.0), (-60.0, 0.0)])
def test_seeking_moves_from_where_it_is_and_not_before_the_start(player, recording, step_s, at_s):
    player.seek_by(step_s)
    wait_until(lambda: player.state.position_s == at_s)
    assert recording.now.position_s == at_s


def test_a_key_held_down_is_not_played_out_for_minutes(player):
    for _ in range(1000):
        player.step(1)
    wait_until(lambda: player.state.frame > 240)
    assert player.state.frame < 1240


@pytest.mark.parametrize("elsewhere", ["tcp://10.255.255.1:5556", "tcp://127.0.0.1:9"])
def test_where_nobody_answers_there_is_no_state_and_no_wait(elsewhere):
    deadline = Deadline(15)
    with Player(elsewhere) as player:
        player.pause_or_play()
        assert player.state is None
    assert not deadline.over
