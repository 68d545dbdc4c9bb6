"""Bridges: what a node publishes is what Foxglove's protocol and Rerun's own tools read."""

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
from dataclasses import replace

import aiohttp
import numpy as np
import pytest
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.LaserScan_pb2 import LaserScan
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.RawImage_pb2 import RawImage

from cloudypoints.bridge import SHOWN, RateLimit
from cloudypoints.bridge.foxglove import FoxgloveBridge
from cloudypoints.bridge.rerun import address_of, to_file, to_server
from cloudypoints.cli import main
from cloudypoints.errors import ConfigError, EndpointError
from cloudypoints.messages import POINT
from ports import free_port
from test_cli_top import Node
from wire_examples import EXAMPLES, HEADER

NS = 1_000_000_000


def rerun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Rerun's own program."""
    command = [sys.executable, "-m", "rerun", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# --- The rate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_hz", "limit_hz", "passes"), [(30, 10, 11), (30, 60, 31), (7, 5, 6)]
)
def test_a_topic_passes_as_often_as_its_limit_says_and_no_oftener(given_hz, limit_hz, passes):
    now_s = 0.0
    limit = RateLimit(limit_hz, clock=lambda: now_s)
    count = 0
    for index in range(given_hz + 1):  # one second, both ends
        now_s = index / given_hz + 1e-9
        count += limit.passes(EXAMPLES["depth"]())
    assert count == passes


def test_topics_and_cameras_have_limits_of_their_own():
    limit = RateLimit(1, clock=lambda: 0.0)
    left = replace(HEADER, camera="left")
    messages = [EXAMPLES["depth"](), EXAMPLES["labels"](), EXAMPLES["depth"](left)]
    assert [limit.passes(message) for message in messages * 2] == [True] * 3 + [False] * 3


def test_after_a_silence_nothing_is_made_up_for():
    now_s = 0.0
    limit = RateLimit(10, clock=lambda: now_s)
    assert limit.passes(EXAMPLES["depth"]())
    now_s = 60.0
    assert [limit.passes(EXAMPLES["depth"]()) for _ in range(5)].count(True) <= 2


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate_hz):
    with pytest.raises(ConfigError, match="must be positive"):
        RateLimit(rate_hz)


# --- Foxglove -------------------------------------------------------------------------------------


async def _received(port: int, topics: set[str], show) -> dict[str, bytes]:
    """The first message of each topic, as a client of the protocol foxglove.sdk.v1 gets it."""
    came: dict[str, bytes] = {}
    topic_of: dict[int, str] = {}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}", protocols=["foxglove.sdk.v1"]) as socket,
    ):
        while set(came) != topics:
            show()
            message = await socket.receive(timeout=10)
            told = json.loads(message.data) if message.type == aiohttp.WSMsgType.TEXT else {}
            wanted = [c for c in told.get("channels", ()) if c["topic"] in topics]
            topic_of |= {channel["id"]: channel["topic"] for channel in wanted}
            asked = [{"id": c["id"], "channelId": c["id"]} for c in wanted]
            await socket.send_json({"op": "subscribe", "subscriptions": asked})
            binary = message.data if message.type == aiohttp.WSMsgType.BINARY else b""
            came |= _content(binary, topic_of)
    return came


def _content(binary: bytes, topic_of: dict[int, str]) -> dict[str, bytes]:
    """Operation 1: subscription u32, time u64, content."""
    if binary[:1] != b"\x01":
        return {}
    subscription, _time = struct.unpack_from("<IQ", binary, 1)
    return {topic_of[subscription]: binary[13:]}


def test_a_client_of_foxgloves_protocol_gets_cloud_place_and_scan():
    bridge = FoxgloveBridge(port=0)

    def show():
        for example in EXAMPLES.values():
            bridge.show(example())

    try:
        topics = {"/front/points", "/front/tf", "/front/scan", "/front/image", "/front/status"}
        came = asyncio.run(_received(bridge.port, topics, show))
    finally:
        bridge.close()
        bridge.close()
    cloud = PointCloud.FromString(came["/front/points"])
    assert cloud.frame_id == "front"
    assert cloud.data == EXAMPLES["cloud"]().points.tobytes()
    transform = FrameTransform.FromString(came["/front/tf"])
    assert (transform.parent_frame_id, transform.child_frame_id) == ("vehicle", "front")
    assert transform.translation.z == 1.5
    scan = LaserScan.FromString(came["/front/scan"])
    np.testing.assert_array_equal(list(scan.ranges), [np.nan, np.inf, 6.5])


def test_foxglove_shows_each_kind_that_it_is_said_to_show_and_no_other():
    bridge = FoxgloveBridge(port=0)

    def show():
        for kind, example in EXAMPLES.items():
            bridge.show(example(replace(HEADER, camera=kind)))

    try:
        topics = {"/relative/relative", "/mask/mask"}
        came = asyncio.run(_received(bridge.port, topics, show))
    finally:
        bridge.close()
    assert {topic.split("/")[1] for topic in bridge._channels} == set(SHOWN["foxglove"])
    nearness = RawImage.FromString(came["/relative/relative"])
    assert (nearness.width, nearness.height, nearness.encoding) == (3, 2, "32FC1")
    mask = RawImage.FromString(came["/mask/mask"])
    assert (mask.encoding, mask.data) == ("mono8", EXAMPLES["mask"]().mask.tobytes())


def test_a_port_in_use_is_one_clear_error():
    bridge = FoxgloveBridge(port=0)
    try:
        with pytest.raises(EndpointError, match=f"127.0.0.1:{bridge.port}: cannot be listened on"):
            FoxgloveBridge(port=bridge.port)
    finally:
        bridge.close()


def test_the_network_is_not_let_in_by_accident(capsys):
    with pytest.raises(EndpointError, match="anybody on the network could look"):
        FoxgloveBridge("0.0.0.0", 0)
    assert main(["bridge", "foxglove", "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "--insecure" in capsys.readouterr().err


def test_the_command_serves_a_running_node(capsys):
    with Node("front") as node:
        port = free_port()
        arguments = ["-e", node.endpoint, "--bulk-endpoint", node.bulk_endpoint, "--seconds", "2"]
        assert main(["bridge", "foxglove", "cloud", "--port", str(port), *arguments]) == 0
    told = capsys.readouterr().out
    assert f"ws://127.0.0.1:{port}" in told
    assert "cloud/front" in told
    assert "image/front" not in told


def test_what_is_shown_and_what_is_not_is_said_at_the_start_and_in_the_help(capsys):
    with Node("front") as node:
        arguments = ["-e", node.endpoint, "--bulk-endpoint", node.bulk_endpoint, "--seconds", "2"]
        assert main(["bridge", "foxglove", "--port", str(free_port()), *arguments]) == 0
    told = capsys.readouterr().out
    assert f"shown: {', '.join(SHOWN['foxglove'])}; foxglove does not show compact, grid" in told
    assert "relative/front" in told
    assert "compact/front" not in told
    with pytest.raises(SystemExit):
        main(["bridge", "--help"])
    assert f"Rerun shows {', '.join(SHOWN['rerun'])}." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["foxglove", "--save", "x.rrd"], "--save: of rerun; foxglove has --host, --port"),
        (["foxglove", "--serve", "9876"], "--serve: of rerun; foxglove has --host, --port"),
        (["rerun", "--port", "1"], "--port: of foxglove; rerun has --save, --serve"),
        (["rerun", "cloud", "grid/front"], "grid/front: not shown by rerun; it shows obstacles"),
    ],
)
def test_what_the_chosen_viewer_does_not_have_is_refused(arguments, words, capsys):
    assert main(["bridge", *arguments]) != 0
    assert words in capsys.readouterr().err


def test_a_bridge_that_hears_nothing_has_failed(tmp_path, capsys):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    file = ["--save", str(tmp_path / "a.rrd")]
    assert main(["bridge", "rerun", *file, "-e", endpoint, "--seconds", "0.3"]) == 1
    assert f"nothing heard from {endpoint}; is a node running" in capsys.readouterr().err


# --- Rerun ----------------------------------------------------------------------------------------


def test_rerun_finds_every_entity_at_its_time_in_the_file_of_a_running_node(tmp_path, capsys):
    path = tmp_path / "drive.rrd"
    with Node("front") as node:
        arguments = ["-e", node.endpoint, "--bulk-endpoint", node.bulk_endpoint, "--seconds", "2"]
        assert main(["bridge", "rerun", "--save", str(path), *arguments]) == 0
    assert rerun("rrd", "verify", str(path)).returncode == 0
    told = rerun("rrd", "print", "-vv", str(path)).stdout
    for entity in ("points", "image", "depth", "labels", "relative", "mask"):
        assert f"/vehicle/front/{entity}" in told
    for entity in ("/vehicle/obstacles/front", "/figures/front/nearest_m", "/figures/front/state"):
        assert entity in told
    for component in ("Pinhole", "Transform3D", "Points3D", "DepthImage", "SegmentationImage"):
        assert component in told
    assert "captured" in told


def test_rerun_shows_each_kind_that_it_is_said_to_show_and_no_other(tmp_path):
    bridge = to_file(tmp_path / "a.rrd")
    for kind, example in EXAMPLES.items():
        bridge.show(example(replace(HEADER, camera=f"of_{kind}")))
    bridge.close()
    told = rerun("rrd", "print", "-vv", str(tmp_path / "a.rrd")).stdout
    assert {kind for kind in EXAMPLES if f"/of_{kind}" in told} == set(SHOWN["rerun"])


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path, capsys):
    assert main(["bridge", "rerun", "--save", str(tmp_path / "no" / "folder.rrd")]) != 0
    assert "cannot be written" in capsys.readouterr().err


def test_nothing_of_an_empty_cloud_or_unknown_depth_stops_the_bridge(tmp_path):
    bridge = to_file(tmp_path / "a.rrd")
    bridge.show(replace(EXAMPLES["cloud"](), points=np.zeros(0, POINT)))
    bridge.show(replace(EXAMPLES["depth"](), depth_m=np.full((2, 3), np.nan, np.float32)))
    bridge.show(replace(EXAMPLES["obstacles"](), range_m=np.full(3, np.nan, np.float32)))
    bridge.show(EXAMPLES["cloud"](replace(HEADER, intrinsics=(), vehicle_from_camera=())))
    bridge.close()
    assert rerun("rrd", "verify", str(tmp_path / "a.rrd")).returncode == 0


@pytest.mark.slow  # Rerun's program takes seconds to start
def test_a_server_listens_on_loopback_alone_and_ends_with_its_bridge():
    import psutil

    port = free_port()
    bridge = to_server(port, "100MB")
    listening = [
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
    ]
    bridge.show(EXAMPLES["cloud"]())
    bridge.close()
    assert listening == ["127.0.0.1"]
    assert address_of(port) == f"rerun+http://127.0.0.1:{port}/proxy"
    with pytest.raises(ConnectionRefusedError):
        __import__("socket").create_connection(("127.0.0.1", port))


@pytest.mark.slow  # Rerun's program takes seconds to start
def test_a_server_that_died_ends_the_bridge():
    bridge = to_server(free_port(), "100MB")
    bridge.show(EXAMPLES["cloud"]())
    os.killpg(bridge._program.pid, signal.SIGKILL)
    bridge._program.wait(10)
    with pytest.raises(EndpointError, match=r"Rerun has ended \(exit code -9\): nothing is shown"):
        bridge.show(EXAMPLES["cloud"]())
    bridge.close()
    bridge.close()


def test_a_port_that_is_taken_is_told():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EndpointError, match="something listens there already"):
            to_server(taken.getsockname()[1], "100MB")
