"""`top` tells everything on one page of 80 columns, in a terminal and without one."""

import fcntl
import math
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
    """Publishes every kind of message of some cameras, ten times a second, until it is left.

    `ill` names one of them, which has failed; `obstacles` and `status` are what differs from the
    examples.
    """

    def __init__(self, *cameras: str, ill: str = "", obstacles=None, **status) -> None:
        self._cameras = cameras
        self._status = dict.fromkeys(cameras, status) | {ill: {"capture": "failed", **status}}
        self._obstacles = obstacles or {}
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
                    told = {kind: EXAMPLES[kind](header(camera)) for kind in EXAMPLES}
                    told["status"] = replace(told["status"], **self._status[camera])
                    told["obstacles"] = replace(told["obstacles"], **self._obstacles)
                    for message in told.values():
                        publisher.publish(message)


def text_of(subscription, rows=math.inf) -> list[str]:
    lines = page(subscription, "tcp://127.0.0.1:5556", rows)
    return ["".join(text for text, _ in line) for line in lines]


def heard(node: Node, *cameras: str, rows=math.inf) -> list[str]:
    """The page once all kinds of all cameras have come."""
    with subscribe(node.endpoint, bulk_endpoint=node.bulk_endpoint) as subscription:
        wanted = {f"{kind}/{camera}" for kind in EXAMPLES for camera in cameras}
        while not wanted <= set(subscription.topics):
            subscription.read(10)
        return text_of(subscription, rows)


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


FIVE = ("front", "left", "rear", "right", "roof")


@pytest.mark.parametrize("rows", [6, 9, 11, 12, 16, 23, 30, 45, 75])
def test_every_camera_is_named_however_few_the_rows_are_and_the_worst_comes_first(rows):
    with Node(*FIVE, ill="right") as node:
        lines = heard(node, *FIVE, rows=rows)
    assert len(lines) <= rows
    assert lines[1].split()[:2] == ["right", "failed"]
    assert sorted(line.split()[0] for line in lines if "3 dropped" in line) == sorted(FIVE)


def test_the_worst_of_five_cameras_is_whole_on_23_rows_and_the_others_have_two_lines():
    with Node(*FIVE, ill="right") as node:
        lines = heard(node, *FIVE, rows=23)
    assert [line.split()[0] for line in lines[-8::2]] == ["front", "left", "rear", "roof"]
    assert all("nearest 6.5 m vehicle" in line for line in lines[-7::2])
    told = "\n".join(lines[1:-8])
    assert all(word in told for word in (" latency ", " zones ", " ground ", " cloud "))


def test_more_cameras_than_rows_are_named_on_the_last_one():
    cameras = [f"c{number}" for number in range(10, 22)]
    with Node(*cameras, ill="c19") as node:
        lines = heard(node, *cameras, rows=8)
    assert len(lines) == 8
    assert lines[1].split()[0] == "c19"
    assert lines[-1] == "and 6 more: c15, c16, c17, c18, c20, c21"


def test_zones_have_lines_of_their_own_however_many_they_are_and_whatever_comes_nearer():
    names = [f"yard{number}" for number in range(12)]
    zones = {"zone_event": dict.fromkeys(names, "stay"), "zone_outline_m": dict.fromkeys(names, ())}
    zones |= {key: dict.fromkeys(names, 1.0) for key in ("zone_distance_m", "zone_since_s")}
    zones |= {"zone_entries": dict.fromkeys(names, 1)}
    with Node("front", obstacles={**zones, "corridor_ttc_s": 2.25, "corridor_m": 9.0}) as node:
        lines = heard(node, "front")
    assert max(map(len, lines)) <= 80
    assert any("corridor 9.0 m  in 2.2 s" in line for line in lines)
    told = " ".join(" ".join(lines).split())
    assert all(f"{name} stay" in told for name in names)
    assert "little ground in sight" in told


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


def test_in_a_terminal_of_80_by_24_five_cameras_are_one_page_that_renews_itself():
    with Node(*FIVE, ill="roof") as node:
        endpoints = ["-e", node.endpoint, "--bulk-endpoint", node.bulk_endpoint]
        screens = in_a_terminal(["top", "--seconds", "4", *endpoints], word="latency")
    assert len(screens) >= 2
    last = screens[-1]
    assert last[0].startswith("cloudypoints top  tcp://127.0.0.1")
    assert [line.split()[0] for line in last if "3 dropped" in line] == ["roof", *FIVE[:4]]
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
