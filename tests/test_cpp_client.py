"""The protocol is more than our own Python: a C++ subscriber built here hears a live publisher."""

import os
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgpack
import numpy as np
import pytest

from cloudypoints.messages import POINT, Cloud, Header, Ledger
from cloudypoints.publisher import Publisher
from cloudypoints.timing import utc_ns
from cloudypoints.wire import encode
from peers import ANY_PORT, LIMIT_S, RawNode, until
from wire_examples import cloud, image, obstacles, status

SOURCE = Path(__file__).parents[1] / "tools" / "clients" / "cpp"
HEADERS = [Path("/usr/include") / name for name in ("zmq_addon.hpp", "msgpack.hpp")]
BUILDABLE = shutil.which("cmake") and shutil.which("g++") and all(map(Path.exists, HEADERS))

pytestmark = [
    pytest.mark.slow,  # it builds a program
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(
        not BUILDABLE and "CI" not in os.environ,
        reason="g++, cmake, cppzmq-dev or libmsgpack-cxx-dev is not installed",
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    build = tmp_path_factory.mktemp("cpp")
    for command in (
        ["cmake", "-S", SOURCE, "-B", build, "-DCMAKE_BUILD_TYPE=Debug"],
        ["cmake", "--build", build],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=100)
    return build / "cloudypoints_listen"


def run(program, endpoint, topic, send, *options):
    """Its end, while messages are sent to it: code, lines and complaints."""
    with subprocess.Popen(
        [program, endpoint, topic, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def ended():
            send()
            return process.poll() is not None

        until(ended)
        return process.returncode, process.stdout.read().splitlines(), process.stderr.read()


def fresh(kind, **changes):
    """An example captured 20 ms ago."""
    captured_ns = utc_ns() - 20_000_000
    return kind(Header("front", ledger=Ledger(captured_ns=captured_ns), **changes))


def words(line):
    """The line as a map: each name and the word behind it."""
    topic, *rest = line.split()
    return {"topic": topic, **dict(pairwise(rest))}


def test_it_prints_the_nearest_obstacle_the_corridor_and_the_state(program):
    with Publisher(ANY_PORT) as node:
        code, lines, complaints = run(
            program,
            node.endpoint,
            "obstacles/front",
            lambda: node.publish(replace(fresh(obstacles), nearest_m=6.25, corridor_m=3.5)),
            *("--count", "2"),
        )
    assert (code, complaints) == (0, "")
    first, second = map(words, lines)
    assert [first[name] for name in ("topic", "nearest", "corridor", "state")] == [
        *("obstacles/front", "6.25", "3.5", "degraded")
    ]
    assert int(second["seq"]) > int(first["seq"]) >= 0
    assert 20 <= float(first["age"]) < 1000 * LIMIT_S


def test_unknown_and_unseen_distances_stay_what_they_are(program):
    blind = replace(fresh(obstacles), nearest_m=float("nan"), corridor_m=float("inf"))
    with Publisher(ANY_PORT) as node:
        _, (line,), _ = run(
            program,
            node.endpoint,
            "obstacles",
            lambda: node.publish(replace(blind, state="stale")),
            *("--count", "1"),
        )
    assert [words(line)[name] for name in ("nearest", "corridor", "state")] == [
        *("nan", "inf", "stale")
    ]


def test_it_prints_the_size_of_a_cloud_and_its_nearest_known_point(program):
    points = np.zeros((480, 640), POINT)
    points["z"] = np.nan
    points["z"][100:200] = 7.5
    points["z"][150, 300] = 2.75
    with Publisher(ANY_PORT) as node:
        code, (line,), complaints = run(
            program,
            node.bulk_endpoint,
            "cloud/front",
            lambda: node.publish(Cloud(fresh(cloud).header, points)),
            *("--count", "1"),
        )
    assert (code, complaints) == (0, "")
    assert [words(line)[name] for name in ("points", "nearest")] == ["307200", "2.75"]


def test_a_camera_is_not_the_start_of_another_s_name(program):
    with Publisher(ANY_PORT) as node:

        def send():
            for camera in ("front_left", "front"):
                node.publish(replace(fresh(status), header=Header(camera)))

        _, lines, _ = run(program, node.endpoint, "status/front", send, "--count", "3")
    assert {words(line)["topic"] for line in lines} == {"status/front"}


def test_another_major_version_is_refused_by_name(program):
    topic, header, *arrays = encode(fresh(obstacles))
    newer = msgpack.packb({**msgpack.unpackb(header), "v": [2, 0]})
    with RawNode() as node:
        code, lines, complaints = run(
            program,
            node.endpoint,
            "obstacles/front",
            lambda: node.send_parts([topic, newer, *arrays], "fast"),
        )
    assert (code, lines) == (1, [])
    assert "messages of protocol version 2, this program speaks 1" in complaints


def test_what_is_malformed_is_named_and_survived(program):
    topic, header, points = encode(fresh(cloud))
    picture = encode(fresh(image))
    broken = [
        [topic, header, b"short"],
        [topic, header],
        [topic, b"\xc1", points],
        [topic, b"\x81", points],
        [topic, header[:100], points],
        [topic, b"\xdd\xff\xff\xff\xff", points],
        [topic, *picture[1:]],
        [topic, msgpack.packb({"v": [1, 0]}), points],
        [topic, msgpack.packb(5), points],
        [topic] * 30,
    ]
    turns = iter(range(1_000_000))
    with RawNode() as node:
        # Slowly enough that some of each are the newest when it looks.
        code, lines, complaints = run(
            program,
            node.bulk_endpoint,
            "cloud/front",
            lambda: node.send_parts(
                [*broken, [topic, header, points]][next(turns) // 3 % 11], "bulk"
            ),
            *("--count", "3"),
        )
    assert code == 0
    assert all(words(line)["nearest"] == "3.75" for line in lines)
    assert complaints.count("no message: ") >= 3


@pytest.mark.parametrize("arguments", [[], ["tcp://127.0.0.1:5556"], ["a", "b", "--cnt", "3"]])
def test_it_says_how_it_is_used(program, arguments):
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: " in done.stderr


def test_an_address_that_is_none_is_one_line(program):
    command = [program, "nonsense", "cloud/front"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
