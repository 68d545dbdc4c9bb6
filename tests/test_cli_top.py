"""`top` tells everything on one page of 80 columns, in a terminal and without one."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import replace

import pyte
import pytest

from cloudypoints.cli import main
from cloudypoints.cli.top import _bar, fitted, page
from cloudypoints.messages import Header, Ledger
from cloudypoints.publisher import Publisher
from cloudypoints.subscriber import subscribe
from cloudypoints.timing import utc_ns
from peers import until
from wire_examples import EXAMPLES, HEADER


def header(camera: str) -> Header:
    return replace(HEADER, camera=camera, drops=0, ledger=Ledger(captured_ns=utc_ns()))


class Node:
    """Publishes every kind of message of some cameras, ten times a second, until it is left."""

    def __init__(self, *cameras: str, **status) -> None:
        self._cameras, self._status = cameras, status
        self._ended = threading.Event()
        self._bound = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.endpoint = ""

    def __enter__(self):
        self._thread.start()
        assert self._bound.wait(10)
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with Publisher("tcp://127.0.0.1:*") as publisher:
            self.endpoint, self.bulk_endpoint = publisher.endpoint, publisher.bulk_endpoint
            self._bound.set()
            while not self._ended.wait(0.1):
                for camera in self._cameras:
                    for kind in EXAMPLES.keys() - {"status"}:
                        publisher.publish(EXAMPLES[kind](header(camera)))
                    publisher.publish(replace(EXAMPLES["status"](header(camera)), **self._status))


def text_of(subscription, endpoint="tcp://127.0.0.1:5556") -> list[str]:
    return ["".join(text for text, _ in line) for line in page(subscription, endpoint)]


def heard(node: Node, *cameras: str) -> list[str]:
    """The page once all kinds of all cameras have come."""
    with subscribe(node.endpoint, bulk_endpoint=node.bulk_endpoint) as subscription:
        wanted = {f"{kind}/{camera}" for kind in EXAMPLES for camera in cameras}
        while not wanted <= set(subscription.topics):
            subscription.read(10)
        return text_of(subscription)


def test_every_camera_topic_and_stage_stands_on_the_page_within_80_columns():
    with Node("front", "left") as node:
        lines = heard(node, "front", "left")
    told = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert all(told.count(f" {kind} ") == 2 for kind in ("cloud", "obstacles", "image", "scale"))
    assert [line.split()[0] for line in lines if "reconnecting" in line] == ["front", "left"]
    for word in ("3 dropped", "24.5 Hz", "inference", "nearest 6.5 m vehicle 14° left", "310 MB"):
        assert word in told


def test_a_long_name_a_long_reason_and_a_camera_of_many_faults_break_no_line():
    camera = "x" * 100
    status = {"reason": "no packet " * 40, "faults": {f"fault{i}": i for i in range(50)}}
    with Node(camera, **status) as node:
        lines = heard(node, camera)
    assert max(map(len, lines)) <= 80


def test_a_node_that_is_open_to_the_network_is_called_insecure():
    with Node("front", insecure=True) as node:
        assert "INSECURE" in heard(node, "front")[0]


def test_what_has_fallen_silent_is_not_shown_as_alive():
    with (
        Node("front") as node,
        subscribe(node.endpoint, bulk_endpoint=node.bulk_endpoint) as subscription,
    ):
        subscription.read(10)
        health = subscription.health(subscription.topics[0])
        node.__exit__()
        until(lambda: not any(subscription.health(t).alive for t in subscription.topics))
        assert not health.alive
        assert any("no data" in line and " s" in line for line in text_of(subscription))


@pytest.mark.parametrize("rows", [3, 8, 23])
def test_a_page_that_is_too_long_says_how_much_is_hidden(rows):
    lines = [[(str(number), "")] for number in range(40)]
    shown = fitted(lines, rows)
    assert len(shown) == rows
    assert f"{40 - rows + 1} more lines" in shown[-1][0][0]


def test_a_bar_is_as_long_as_its_part():
    assert _bar(0.0) == " " * 16
    assert _bar(1.0) == "█" * 16
    # 0.28125 × 16 columns = 4.5
    assert _bar(0.28125) == "████▌" + " " * 11


def test_once_prints_a_page_and_says_by_its_code_whether_there_was_a_node(capsys):
    with Node("front") as node:
        endpoints = ["-e", node.endpoint, "--bulk-endpoint", node.bulk_endpoint]
        assert main(["top", "--once", "--seconds", "1.5", *endpoints]) == 0
    assert "nearest 6.5 m vehicle" in capsys.readouterr().out
    assert main(["top", "--once", "--seconds", "0.1", "-e", node.endpoint]) == 1
    assert "is a node running there?" in capsys.readouterr().out


def test_fast_leaves_the_large_topics_out(capsys):
    with Node("front") as node:
        assert main(["top", "--once", "--fast", "--seconds", "1.5", "-e", node.endpoint]) == 0
    told = capsys.readouterr().out
    assert " obstacles " in told
    assert " cloud " not in told


def test_in_a_terminal_of_80_by_24_it_is_one_page_that_renews_itself():
    with Node("front", "left") as node:
        endpoints = ["-e", node.endpoint, "--bulk-endpoint", node.bulk_endpoint]
        screens = in_a_terminal(["top", "--seconds", "4", *endpoints], word="latency")
    assert len(screens) >= 2
    last = screens[-1]
    assert last[0].startswith("cloudypoints top  tcp://127.0.0.1")
    assert [line.split()[0] for line in last if "reconnecting" in line] == ["front", "left"]
    assert "make the terminal taller" in last[-2]  # two whole cameras do not fit
    assert "█" in "".join(last)


def in_a_terminal(arguments: list[str], *, word: str) -> list[list[str]]:
    """What an 80×24 terminal shows after each write of the command that holds this word."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    screen = pyte.Screen(80, 24)
    stream, shown = pyte.ByteStream(screen), []
    command = [sys.executable, "-m", "cloudypoints", *arguments]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, env=environment) as process:
        os.close(theirs)
        for written in iter(lambda: _read(ours), b""):
            stream.feed(written)
            shown += [list(screen.display)] if any(word in line for line in screen.display) else []
    os.close(ours)
    assert process.returncode == 0
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is gone
        return b""
