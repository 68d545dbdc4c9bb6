"""`snapshot` shows that it waits, and says afterwards for how long and what came in that time."""

import os
import subprocess
import sys

import pytest

from cloudypoints.cli import main
from ports import free_port
from test_cli_top import Node


@pytest.mark.parametrize("file", ["a.png", "a.ply"])
def test_a_terminal_shows_that_it_waits_and_for_how_long(tmp_path, file):
    ours, theirs = os.openpty()
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "cloudypoints", "snapshot", str(tmp_path / file)]
    command += ["-e", endpoint, "--timeout", "0.5"]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen(command, stderr=theirs, env=environment) as process:
        os.close(theirs)
        told = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 1
    assert f"waiting for {endpoint}, for 0.5 s at most" in told
    assert f"{endpoint}: nothing in 0.5 s; is the node up?" in told


def test_what_came_in_place_of_a_whole_frame_is_said_with_the_time_that_was_given(tmp_path, capsys):
    with Node("front") as node:  # the same frame again and again
        endpoints = ["-e", node.endpoint, "--bulk-endpoint", node.bulk_endpoint]
        assert main(["snapshot", str(tmp_path / "a.png"), *endpoints, "--timeout", "1.5"]) == 1
    told = capsys.readouterr().err
    assert "no new frame came whole in 1.5 s; heard were cloud/front, depth/front" in told


def test_listening_says_the_time_that_was_given_too(capsys):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    assert main(["listen", "-e", endpoint, "--timeout", "0.7"]) == 1
    assert f"{endpoint}: nothing in 0.7 s; is the node up?" in capsys.readouterr().err


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is gone
        return b""
