"""The commands for drives as a person uses them: replay, verify, process, and the keys."""

from __future__ import annotations

import json
import math
import os
import pty
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import psutil
import pyte
import pytest

from cloudypoints.cli import main
from cloudypoints.cli.keys import press, split
from cloudypoints.cli.process import changes
from cloudypoints.cli.replay import where
from cloudypoints.control import PlayState
from cloudypoints.errors import ConfigError
from cloudypoints.timing import Deadline
from drives import foxglove_mcap
from film import film
from onnx_models import ground_model, saved
from peers import until
from ports import free_port
from stored_drive import STORED

STATE = PlayState("a.mcap", True, False, 1.0, False, 12.34, 0.0, 60.0, 7, 9, "media")


@pytest.fixture
def model(tmp_path) -> str:
    return saved(tmp_path, ground_model())


@pytest.fixture
def drive(tmp_path) -> str:
    return str(film(tmp_path / "street.mp4", range(12), size_px=(160, 120)))


@pytest.fixture
def recording(tmp_path, drive, model, capsys) -> Path:
    out = tmp_path / "done"
    assert main(["process", drive, "--out", str(out), "--model", model, "--workers", "1"]) == 0
    capsys.readouterr()
    return out / "street.mcap"


def test_process_says_what_is_done_and_what_is_not(tmp_path, drive, model, capsys):
    out = tmp_path / "done"
    arguments = ["--out", str(out), "--model", model, "--set", "cloud.stride=2", "--height", "1.2"]
    assert main(["process", drive, "nowhere.mp4", *arguments]) == 3
    said = capsys.readouterr().out
    assert "done    " in said
    assert "failed  nowhere.mp4: 'nowhere.mp4': no such file" in said
    assert "1 of 2 drives, 12 frames" in said
    summary = json.loads((out / "summary.json").read_text())
    assert summary["failed"].keys() == {"nowhere.mp4"}
    assert len(summary["digests"][drive]) == 64


def test_a_summary_that_is_somebody_elses_is_not_written_over(tmp_path, drive, capsys):
    (tmp_path / "summary.json").write_text('["mine"]')
    assert main(["process", drive, "--out", str(tmp_path)]) == 2
    assert "summary.json lies there already, and is no summary" in capsys.readouterr().err
    assert (tmp_path / "summary.json").read_text() == '["mine"]'


@pytest.mark.parametrize("command", [["process", "--out", "done"], ["verify"]])
@pytest.mark.parametrize("change", ["ground=1", "camera=3"])
def test_a_section_without_a_key_cannot_be_set(tmp_path, command, change, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "a.mcap", "--set", change]) == 2
    assert "names no key; expected SECTION.KEY=VALUE" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_batch_that_is_told_to_end_leaves_no_worker_and_goes_on_another_time(
    tmp_path, drive, number, capsys
):
    slow = saved(tmp_path, ground_model(delay=60))
    arguments = ["process", "demo:", drive, "--out", str(tmp_path / "done"), "--model", slow]
    command = [sys.executable, "-m", "cloudypoints", *arguments, "--workers", "1", "--end", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until(psutil.Process(process.pid).children, 60)
        workers = psutil.Process(process.pid).children()
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 130
    assert workers
    assert not [worker for worker in workers if worker.is_running()]
    assert main([*arguments, "--workers", "1", "--end", "0.2"]) == 0
    assert "2 of 2 drives" in capsys.readouterr().out


def test_verify_tells_the_same_from_another(recording, model, tmp_path, capsys):
    assert main(["verify", str(recording), "--model", model]) == 0
    assert "street.mcap: identical" in capsys.readouterr().out
    plot = tmp_path / "diff.png"
    arguments = ["--set", "cloud.max_range_m=3", "--plot", str(plot)]
    assert main(["verify", str(recording), "--model", model, *arguments]) == 3
    said = capsys.readouterr().out
    assert "cloud.max_range_m: 100.0 there, 3.0 here" in said
    assert "first difference: frame 0, depth.depth_m: " in said
    assert "BEYOND" in said
    assert cv2.imread(str(plot)) is not None


def test_verify_sums_up_several_and_goes_on_behind_one_that_cannot_be(recording, model, capsys):
    paths = [str(recording), str(recording)]
    assert main(["verify", *paths, "--model", model]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 recordings are the same, 24 frames seen anew" in said
    assert main(["verify", "nowhere.mcap", *paths, "--model", model]) == 1
    said = capsys.readouterr().out
    assert "cannot be verified: nowhere.mcap: cannot be opened" in said
    assert "2 of 3 recordings are the same" in said
    assert main(["verify", *paths, "--model", model, "--set", "cloud.max_range_m=3"]) == 3


def test_verify_takes_the_drive_itself(capsys):
    assert main(["verify", str(STORED), "--source", "demo:"]) == 0
    assert "front: 60 frames" in capsys.readouterr().out


def test_replay_publishes_and_says_how_much(recording, capsys):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    assert main(["replay", str(recording), "obstacles", "--rate", "0", "-e", endpoint]) == 0
    said = capsys.readouterr().out
    assert f"0.4 s on {endpoint}, as old as it is: `cloudypoints listen --max-age inf`" in said
    assert f"12 messages published on {endpoint}" in said


def test_run_sees_a_recording_anew(recording, model, capsys):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    arguments = ["--model", model, "--pace", "0", "-e", endpoint, "--start", "0.2"]
    assert main(["run", str(recording), *arguments]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["replay", "nowhere.mcap"], 1, "nowhere.mcap: cannot be opened"),
        (["replay", str(STORED), "--rate", "-1"], 2, "--rate: Input should be greater than"),
        (["replay", str(STORED), "--start", "9", "--end", "3"], 1, "from 9 s to 3 s is nothing"),
        (["replay", __file__], 1, "no recording: not MCAP; `cloudypoints run` sees"),
        (["verify", __file__], 1, "no recording: not MCAP"),
        (["replay", "."], 1, ".: cannot be opened: Is a directory"),
        (["replay", str(STORED), "--start", "99"], 1, "starts at 99 s, but it is"),
        (["replay", str(STORED), "cloud"], 1, "nothing of cloud in it"),
        (["verify", str(STORED)], 1, "no topic image or video in it"),
        (["verify", "a.mcap", "b.mcap", "--plot", "c.png"], 2, "for one recording alone"),
        (["verify", str(STORED), "--set", "cloud"], 2, "expected SECTION.KEY=VALUE"),
        (["verify", str(STORED), "--source", "demo:", "--set", "cloud.far_m=1"], 2, "far_m"),
        (["process", "demo:", "--out", ".", "--workers", "0"], 2, "--workers 0"),
        (["process", "demo:", "--out", ".", "--set", "cloud.far_m=1"], 2, "unknown far_m"),
        (["process", "demo:", "--out", __file__], 2, "no folder to write to: File exists"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, code, says, capsys):
    assert main(arguments) == code
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("cloudypoints: ")
    assert says in line


@pytest.mark.parametrize("command", ["replay", "verify"])
def test_an_mcap_of_others_is_told_from_a_recording_of_ours(command, tmp_path, capsys):
    path = str(foxglove_mcap(tmp_path / "theirs.mcap", count=2))
    assert main([command, path]) == 1
    assert f"cloudypoints: {path}: nothing of ours in it" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["replay", "verify", "process"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_changes_are_toml():
    assert changes(["ground.fit=false", 'cloud.layout="compact"']) == {
        "ground": {"fit": False},
        "cloud": {"layout": "compact"},
    }
    with pytest.raises(ConfigError):
        changes(["ground.fit=no"])


# --- keys


class Player:
    def __init__(self, **state) -> None:
        self.told: list[object] = []
        self._state = state

    def state(self) -> PlayState:
        return replace(STATE, **self._state)

    def play(self) -> None:
        self.told.append("play")

    def pause(self) -> None:
        self.told.append("pause")

    def step(self, frames: int) -> None:
        self.told.append(("step", frames))

    def seek(self, to_s: float) -> None:
        self.told.append(("seek", round(to_s, 2)))

    def set_rate(self, rate: float) -> None:
        self.told.append(("rate", rate))

    def set_loop(self, loop: bool) -> None:
        self.told.append(("loop", loop))


def test_keys_that_were_pressed_at_once_are_told_apart():
    assert split(" .\x1b[C\x1b[5~l\x1b") == [" ", ".", "\x1b[C", "\x1b[5~", "l", "\x1b"]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (" ", "pause"),
        (".", ("step", 1)),
        (",", ("step", -1)),
        ("\x1b[C", ("seek", 17.34)),
        ("\x1b[D", ("seek", 7.34)),
        ("\x1b[6~", ("seek", 72.34)),
        ("\x1b[A", ("rate", 2.0)),
        ("\x1b[B", ("rate", 0.5)),
        ("l", ("loop", True)),
    ],
)
def test_a_key_does_what_the_help_says(key, told):
    player = Player()
    assert not press(player, key)
    assert player.told == [told]


def test_space_plays_on_what_is_paused_and_q_quits():
    player = Player(playing=False)
    assert not press(player, " ")
    assert player.told == ["play"]
    assert press(player, "q")


class Terminal:
    """A command in a terminal of its own; what it shows is read by somebody else's emulator."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self._screen = pyte.Screen(160, 24)
        self._stream = pyte.ByteStream(self._screen)
        command = [sys.executable, "-m", "cloudypoints", *arguments]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "160", "LINES": "24"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def until(self, words: str) -> str:
        """What it shows as soon as these words are on it."""
        limit = Deadline(30)
        while words not in (shown := "\n".join(self._screen.display)):
            assert not limit.over, f"no {words!r} in {shown}"
            if select.select([self._ours], [], [], 1)[0]:
                self._stream.feed(os.read(self._ours, 4096))
        return shown

    def rest(self) -> str:
        """What it shows when it has ended."""
        with suppress(OSError):  # the terminal's other end is closed
            while content := os.read(self._ours, 4096):
                self._stream.feed(content)
        self.process.wait(30)
        return "\n".join(self._screen.display)


def test_in_a_terminal_keys_command_the_replay(recording):
    """Paused by its first key, it would play for ever: only q ends it."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Terminal("replay", str(recording), "--loop", "-e", endpoint) as terminal:
        assert "space pause" in terminal.until("playing")
        terminal.press(" ")
        terminal.until("paused")
        terminal.press("\x1b[D")  # five seconds back: to the start
        bar = terminal.until("paused 0.0 of 0.4 s, 1×, loop")
        assert "street.mcap ━" in bar
        terminal.press("..")
        terminal.until("paused 0.1 of 0.4 s")
        terminal.press("l\x1b[A")
        terminal.until("paused 0.1 of 0.4 s, 2×")
        terminal.press("q")
        assert f"messages published on {endpoint}" in terminal.rest()
        assert terminal.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_is_told_to_end_says_what_it_did(recording, number):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Terminal("replay", str(recording), "--loop", "-e", endpoint) as terminal:
        terminal.until("playing")
        terminal.process.send_signal(number)
        assert f"messages published on {endpoint}" in terminal.rest()
        assert terminal.process.returncode == 0


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "playing 12.3 of 60.0 s, 1×"),
        ({"playing": False, "end_s": math.nan}, "paused 12.3 s, 1×"),
        ({"ended": True, "rate": 0.0}, "ended 12.3 of 60.0 s, as fast as it can"),
        ({"loop": True}, "playing 12.3 of 60.0 s, 1×, loop"),
        (
            {"clock": "recorded", "stamp_ns": 1_700_000_000_999_999_999},
            "playing 12.3 of 60.0 s, 1×, as of 2023-11-14 22:13:20 UTC",
        ),
    ],
)
def test_the_place_is_told_in_words(state, words):
    assert where(Player(**state).state()) == words
