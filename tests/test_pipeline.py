"""The whole node with real sockets: frames arrive, failures stay where they are, ends are clean."""

import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cloudypoints
from cloudypoints.calibration import dump_lens
from cloudypoints.capture import Frame, open_source
from cloudypoints.capture.packets import Moment, Packet
from cloudypoints.cli import main
from cloudypoints.compact import rebuilt
from cloudypoints.errors import (
    CalibrationError,
    EndpointError,
    ModelError,
    NoMessage,
    NoMetres,
    SourceError,
)
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.inference import Model
from cloudypoints.messages import Category, Cloud, Compact, Obstacles, Status
from cloudypoints.pipeline import Node
from cloudypoints.pipeline.perception import Perception
from onnx_models import card_of, ground_model, saved
from peers import until
from ports import free_port
from staged import Gate, Staged, listening, opener, settings


@pytest.fixture
def model(tmp_path: Path) -> str:
    return saved(tmp_path, ground_model())


def heard(node: Node, source: Staged, *topics: str) -> list:
    """The messages of a node of which its frames' clouds are one, until it has ended."""
    with listening(node, *topics) as subscription:
        while not isinstance(subscription.read(10), Cloud):
            pass
        source.go.set()
        messages = []
        while True:
            over = node.wait(0)
            try:
                messages.append(subscription.read(0.5))
            except NoMessage:
                if over:
                    return messages


def settled(subscription: cloudypoints.Subscription, topic: str, frame: int) -> cloudypoints.Health:
    """How a topic is doing once this frame has come; the test's time limit ends a vain wait."""
    while True:
        message = subscription.latest(topic)
        if message is not None and message.header.frame == frame:
            return subscription.health(topic)
        subscription.read(10)


def test_a_recorded_source_loses_nothing_and_every_number_is_there(model):
    source = Gate(60)
    kinds = ("cloud", "obstacles", "depth", "labels", "image")
    with (
        Node(settings(model), open_source=opener(front=source)) as node,
        listening(node) as subscription,
    ):
        while not all(subscription.latest(f"{kind}/front") for kind in kinds):
            subscription.read(10)
        firsts = {
            kind: health.last_seq + 1 - health.received
            for kind in kinds
            if (health := subscription.health(f"{kind}/front"))
        }
        source.go.set()
        for kind in kinds:
            health = settled(subscription, f"{kind}/front", 59)
            assert health.lost == 0, kind
            assert health.received == health.last_seq + 1 - firsts[kind], kind
        ledger = subscription.latest("cloud/front").header.ledger
    assert (
        ledger.captured_ns
        <= ledger.received_ns
        <= ledger.inference_start_ns
        <= ledger.inference_end_ns
        <= ledger.projected_ns
        <= ledger.published_ns
    )


def test_the_cloud_is_the_ground_that_the_camera_stands_over(model):
    source = Gate(3)
    with Node(settings(model), open_source=opener(front=source)) as node:
        clouds = [m for m in heard(node, source) if isinstance(m, Cloud)]
    height_m = clouds[-1].xyz_m("vehicle")[:, 2]
    assert clouds[-1].points.shape == (48, 64)
    assert np.abs(height_m).max() < 1e-3
    assert (clouds[-1].known["label"] == Category.FLAT).all()
    assert clouds[-1].header.calibration == "assumed"
    assert clouds[-1].header.model == "ground"


def test_a_slow_model_on_a_live_source_drops_the_old_and_says_how_many(tmp_path):
    slow = saved(tmp_path, ground_model(card_of(), delay=60))

    class Flood(Gate):
        live = True

    source = Flood(400, live=True)
    with (
        Node(settings(slow), open_source=opener(front=source)) as node,
        listening(node, "cloud/front") as subscription,
    ):
        subscription.read(10)
        before = subscription.health("cloud/front")
        begun = before.received + before.lost
        line = node.lines["front"]
        dropped = line.dropped
        source.go.set()
        health = settled(subscription, "cloud/front", 399)
        assert line.dropped > dropped
        # Every frame is accounted for: handed over, or declared lost.
        assert health.received + health.lost - begun >= 400


@pytest.mark.parametrize("layout", ["organised", "compact"])
def test_layout_and_topics_are_as_set(model, layout):
    source = Gate(3)
    chosen = settings(model, cloud={"layout": layout}, publisher={"topics": ["cloud", "status"]})
    with Node(chosen, open_source=opener(front=source)) as node:
        messages = heard(node, source)
    clouds = [m for m in messages if isinstance(m, Cloud)]
    assert {type(m) for m in messages} == {Cloud, Status}
    assert clouds[-1].points.ndim == {"organised": 2, "compact": 1}[layout]
    assert np.isfinite(clouds[-1].known["x"]).all()


def test_limits_hold_for_what_is_published(model):
    source = Gate(2)
    chosen = settings(model, cloud={"max_range_m": 5.0})
    with Node(chosen, open_source=opener(front=source)) as node:
        clouds = [m for m in heard(node, source, "cloud", "status") if isinstance(m, Cloud)]
    assert 4 < clouds[-1].known["z"].max() <= 5


def test_one_camera_that_does_not_open_leaves_the_others_running(model):
    source = Gate(5)
    opened = opener(front=source, rear=SourceError("rear: unplugged"))
    with Node(settings(model, "front", "rear"), open_source=opened) as node:
        messages = heard(node, source, "cloud", "status")
        assert str(node.failed["rear"]) == "rear: unplugged"
    assert {m.header.camera for m in messages if isinstance(m, Cloud)} == {"front"}


def test_one_camera_that_fails_leaves_the_others_running(model):
    front, rear = Gate(30), Staged(2, fails=SourceError("rear: cable cut"))
    opened = opener(front=front, rear=rear)
    with Node(settings(model, "front", "rear"), open_source=opened) as node:
        messages = heard(node, front)
        assert node.lines["rear"].thread.state == "failed"
    clouds = Counter(m.header.camera for m in messages if isinstance(m, Cloud))
    assert clouds["front"] >= 1
    last = [m for m in messages if isinstance(m, Status) and m.header.camera == "rear"][-1]
    assert (last.capture, last.reason) == ("failed", "rear: cable cut")


def test_cameras_are_inferred_together_and_keep_their_own_numbers(model):
    sources = {name: Gate(20) for name in ("front", "left", "rear")}
    with (
        Node(settings(model, *sources), open_source=opener(**sources)) as node,
        listening(node, "cloud") as subscription,
    ):
        while not all(subscription.latest(f"cloud/{name}") for name in sources):
            subscription.read(10)
        for source in sources.values():
            source.go.set()
        for name in sources:
            assert settled(subscription, f"cloud/{name}", 19).lost == 0


def test_when_every_camera_fails_the_node_says_why(model):
    source = Staged(2, fails=SourceError("front: cable cut"))
    with (
        Node(settings(model), open_source=opener(front=source)) as node,
        pytest.raises(SourceError, match="cable cut"),
    ):
        node.wait(20)


def test_a_silent_camera_makes_the_obstacles_stale(model):
    source = Gate(3, live=True)
    chosen = settings(model, publisher={"stale_after_s": 0.2})
    with Node(chosen, open_source=opener(front=source)) as node:
        source.go.set()
        with cloudypoints.subscribe(node.publisher.endpoint, "obstacles/front") as subscription:
            message = subscription.read(10)
            while message.state != "stale":
                message = subscription.read(10)
    assert isinstance(message, Obstacles)
    assert np.isnan(message.range_m).all()
    assert "no frame for" in message.reason


def test_a_new_picture_size_in_mid_stream_makes_a_new_camera(model):
    class Turning(Gate):
        def read(self) -> Frame:
            frame = super().read()
            small = np.full((24, 40, 3), Category.FLAT, np.uint8)
            return frame if frame.index < 5 else Frame(small, *_rest(frame))

    def _rest(frame: Frame):
        return frame.index, frame.stamp_ns, frame.clock, frame.captured_ns

    source = Turning(10)
    with Node(settings(model), open_source=opener(front=source)) as node:
        clouds = [m for m in heard(node, source, "cloud", "status") if isinstance(m, Cloud)]
    assert clouds[-1].header.frame == 9
    assert np.abs(clouds[-1].xyz_m("vehicle")[:, 2]).max() < 1e-3


def test_a_calibration_of_another_aspect_is_refused(model, tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(
        "[intrinsics]\nwidth_px = 640\nheight_px = 200\n"
        "fx_px = 500.0\nfy_px = 500.0\ncx_px = 320.0\ncy_px = 100.0\n"
    )
    chosen = settings(model, camera={"front": {"source": "front", "calibration": str(path)}})
    with (
        Node(chosen, open_source=opener(front=Staged(3))) as node,
        pytest.raises(CalibrationError, match="calibrated at 640×200, but its pictures are 64×48"),
    ):
        node.wait(20)


def test_a_calibrated_camera_whose_pictures_change_their_aspect_fails_alone(model, tmp_path):
    class Turning(Gate):
        def read(self) -> Frame:
            frame = super().read()
            square = np.full((48, 48, 3), Category.FLAT, np.uint8)
            return replace(frame, picture=square) if frame.index >= 3 else frame

    path = tmp_path / "camera.toml"
    path.write_text(dump_lens(Camera(Intrinsics(640, 480, 500.0, 500.0, 319.5, 239.5))))
    cameras = {
        "front": {"source": "front", "calibration": str(path)},
        "rear": {"source": "rear"},
    }
    front, rear = Turning(6), Gate(6)
    chosen = settings(model, camera=cameras)
    with Node(chosen, open_source=opener(front=front, rear=rear)) as node:
        front.go.set()
        messages = heard(node, rear)
        reason = str(node.lines["front"].thread.error)
    assert "front: calibrated at 640×480, but its pictures are 48×48: another aspect" in reason
    last = [m for m in messages if isinstance(m, Cloud) and m.header.camera == "rear"][-1]
    assert last.header.frame == 5
    status = [m for m in messages if isinstance(m, Status) and m.header.camera == "front"][-1]
    assert (status.capture, status.reason) == ("failed", reason)


@pytest.mark.parametrize(("height", "known"), [(48, True), (64, False)])
def test_packets_of_another_aspect_than_the_calibrations_go_without_a_camera(model, height, known):
    """They reach the output before the frame that makes the camera fail, and must not end it."""
    camera = Camera(Intrinsics(640, 480, 500.0, 500.0, 319.5, 239.5))
    perception = Perception("front", settings(model), Model.open(model), camera=camera)
    packet = Packet(b"\0\0\1\x65", "h264", True, True, (64, height), 0, (2, 0))
    header = perception.video(Moment(3, 120_000_000, "media", 5), packet).header
    assert bool(header.intrinsics) == bool(header.vehicle_from_camera) == known
    assert (header.frame, header.stamp_ns, header.ledger.captured_ns) == (3, 120_000_000, 5)


def test_stopping_does_not_wait_for_a_model_of_many_seconds(tmp_path):
    slow = saved(tmp_path, ground_model(card_of(), delay=3000))
    before = set(threading.enumerate())
    source = Gate(10)
    with Node(settings(slow), open_source=opener(front=source)) as node:
        source.go.set()
        until(lambda: node.lines["front"].thread.frames)
        start_s = time.monotonic()
        node.stop()
        assert node.wait(5)
    assert time.monotonic() - start_s < 1.0
    assert set(threading.enumerate()) == before


def test_stopping_ends_within_a_second_and_leaves_no_thread_and_no_port(model):
    before = set(threading.enumerate())
    source = Gate(10_000_000)
    chosen = settings(model)
    with Node(chosen, open_source=opener(front=source)) as node:
        source.go.set()
        with cloudypoints.subscribe(node.publisher.endpoint, "obstacles") as subscription:
            subscription.read(10)
        start_s = time.monotonic()
        node.stop()
        assert node.wait(5)
    assert time.monotonic() - start_s < 1.0
    assert set(threading.enumerate()) == before
    with Node(chosen, open_source=opener(front=Staged(1))) as again:
        assert again.wait(10)


@pytest.mark.parametrize(
    ("broken", "error", "says"),
    [
        ({"model": "none.onnx"}, ModelError, "none.onnx: no such file"),
        ({"provider": "tensorrt"}, ModelError, "provider tensorrt"),
    ],
)
def test_a_node_that_cannot_start_says_why_and_leaves_nothing(model, broken, error, says):
    before = set(threading.enumerate())
    chosen = settings(model, inference=broken)
    source = Staged(1)
    with pytest.raises(error, match=says), Node(chosen, open_source=opener(front=source)):
        pass
    assert set(threading.enumerate()) == before
    assert source._closed.is_set()


def test_a_scale_that_makes_no_metres_is_refused_at_the_start(tmp_path):
    relative = saved(tmp_path, ground_model(card_of(depth="affine_inverse", unit="1")))
    chosen = settings(relative, cloud={"scale": 2.0})
    with pytest.raises(NoMetres, match="shift"), Node(chosen, open_source=opener(front=Staged(1))):
        pass


def test_a_port_in_use_is_refused(model):
    chosen = settings(model)
    source = Gate(1)
    with (
        Node(chosen, open_source=opener(front=source)),
        pytest.raises(EndpointError, match="already in use"),
        Node(chosen, open_source=opener(front=Staged(1))),
    ):
        pass


def test_a_node_beyond_loopback_needs_to_be_told(model):
    chosen = settings(model, publisher={"endpoint": f"tcp://0.0.0.0:{free_port()}"})
    with (
        pytest.raises(EndpointError, match="insecure = true"),
        Node(chosen, open_source=opener(front=Staged(1))),
    ):
        pass


def test_a_real_file_goes_through_the_real_capture(model, tmp_path):
    import cv2

    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((48, 64, 3), index, np.uint8))
    chosen = settings(model, camera={"front": {"source": str(folder), "capture": {"pace": 0.0}}})
    with Node(chosen, open_source=open_source) as node:
        assert node.wait(20)
        assert node.lines["front"].thread.frames == 4
        assert node.lines["front"].rate.hz > 0


def test_a_compact_frame_is_rebuilt_to_the_cloud_of_the_same_frame(model, tmp_path, capsys):
    source = Gate(3)
    asked = settings(model, publisher={"topics": ["cloud", "compact"]})
    with Node(asked, open_source=opener(front=source)) as node:
        endpoint = node.publisher.endpoint
        assert main(["snapshot", str(tmp_path / "a.ply"), "--compact", "-e", endpoint]) == 0
        messages = heard(node, source, "cloud", "compact")
    clouds = {m.header.frame: m for m in messages if isinstance(m, Cloud)}
    rebuilds = {m.header.frame: (m, rebuilt(m)) for m in messages if isinstance(m, Compact)}
    message, again = rebuilds[2]  # the last of all is there, whatever was skipped
    z_m = clouds[2].points["z"]
    bound_m = 0.51 * message.step_per_m * z_m**2 + 1e-6
    np.testing.assert_array_equal(np.isnan(again.points["z"]), np.isnan(z_m))
    assert not (np.abs(again.points["z"] - z_m) > bound_m).any()
    assert "points of camera front" in capsys.readouterr().out
