"""Keys in a terminal that a shell shares among its jobs: the background is not stopped for them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from cloudypoints.cli.keys import may_read, split
from film import film
from onnx_models import ground_model, saved
from peers import LIMIT_S, until
from ports import free_port
from recordings import frames, record

COMMAND = [sys.executable, "-m", "cloudypoints"]
# What a shell does for `COMMAND &`, or without the `&`: a group of its own, which has the terminal
# or has not. It prints how the job ended, or by which signal it was stopped.
SHELL = """
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
default = lambda: signal.signal(signal.SIGTTOU, signal.SIG_DFL)
job = subprocess.Popen(sys.argv[2:], process_group=0, preexec_fn=default, stdout=subprocess.DEVNULL)
if sys.argv[1] == "foreground":
    os.tcsetpgrp(0, job.pid)
_pid, status = os.waitpid(job.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.killpg(job.pid, signal.SIGKILL)
    print("stopped by", signal.Signals(os.WSTOPSIG(status)).name)
else:
    print("ended with", os.waitstatus_to_exitcode(status))
"""


@pytest.fixture
def terminal():
    """Its two ends: what a person types into, and what programs read."""
    person, programs = pty.openpty()
    yield person, programs
    os.close(person)
    os.close(programs)


def begun(terminal, where, *arguments):
    """A shell that runs a command in its `background` or `foreground`, and says how it ended."""
    shell = [sys.executable, "-c", SHELL, where, *COMMAND, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        shell, stdin=terminal[1], stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def ended(shell):
    """What it says of the command, and the command's errors."""
    with shell:
        said, errors = shell.communicate(timeout=LIMIT_S)
    return said.strip(), errors


def job(terminal, where, *arguments):
    """How a command ends for which a line waits in the terminal."""
    os.write(terminal[0], b"ls\n")
    return ended(begun(terminal, where, *arguments))


def recorded(tmp_path) -> Path:
    path: Path = tmp_path / "a.mcap"
    record(path, frames(20))
    return path


def an_endpoint():
    return ["-e", f"tcp://127.0.0.1:{free_port()}"]


@pytest.mark.parametrize("where", ["background", "foreground"])
def test_a_recorder_ends_by_itself_whatever_is_typed(where, terminal, tmp_path):
    arguments = ["record", str(tmp_path / "b.mcap"), "--quiet", "--seconds", "1", *an_endpoint()]
    status = ["--status-endpoint", f"tcp://127.0.0.1:{free_port()}"]
    said, errors = job(terminal, where, *arguments, *status)
    assert (said, errors) == ("ended with 0", "")


@pytest.mark.parametrize("where", ["background", "foreground"])
def test_a_replay_ends_by_itself_and_leaves_the_terminal_as_it_was(where, terminal, tmp_path):
    before = termios.tcgetattr(terminal[1])
    arguments = ["replay", str(recorded(tmp_path)), "--rate", "0", *an_endpoint()]
    said, errors = job(terminal, where, *arguments)
    assert (said, errors) == ("ended with 0", "")
    assert termios.tcgetattr(terminal[1]) == before


def test_keys_command_a_replay_in_the_foreground(terminal, tmp_path):
    person, programs = terminal
    shell = begun(
        terminal, "foreground", "replay", str(recorded(tmp_path)), "--loop", *an_endpoint()
    )
    until(lambda: not termios.tcgetattr(programs)[3] & termios.ICANON)  # keys without Enter
    os.write(person, b"q")
    assert ended(shell) == ("ended with 0", "")


def test_a_node_in_the_background_plays_its_drive(terminal, tmp_path):
    drive = film(tmp_path / "street.mp4", range(10), size_px=(160, 120))
    arguments = ["run", str(drive), "--model", saved(tmp_path, ground_model()), *an_endpoint()]
    said, errors = job(terminal, "background", *arguments)
    assert (said, errors) == ("ended with 0", "")


def test_a_terminal_that_no_shell_shares_may_be_read_and_what_is_none_may_not(terminal):
    with os.fdopen(terminal[1], closefd=False) as keyboard, Path(os.devnull).open() as nothing:
        assert may_read(keyboard)
        assert not may_read(nothing)
        assert not may_read(None)


def test_keys_held_down_come_one_by_one():
    assert split("\x1b[C\x1b[C .\x1b[5~q") == ["\x1b[C", "\x1b[C", " ", ".", "\x1b[5~", "q"]
