"""Drives through the whole node: those of other people, and the one whose answer is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cloudypoints.cli.verify import told
from cloudypoints.config import NodeSettings
from cloudypoints.fingerprint import loads
from cloudypoints.messages import KIND_OF, Message, Setup
from cloudypoints.pipeline import Node
from cloudypoints.processing import Job
from cloudypoints.publisher import Publisher
from cloudypoints.recording import Recording
from cloudypoints.recording.intake import Intake
from cloudypoints.verify import CameraReport
from cloudypoints.wire import decode
from drives import (
    FRAME_NS,
    START_NS,
    comma_segment,
    foxglove_mcap,
    kitti_drive,
    nuscenes_root,
    ros1_bag,
    ros2_bag,
)
from onnx_models import HEIGHT, WIDTH, ground_model, saved
from peers import ANY_PORT, heard_by
from stored_drive import DOCUMENT, STORED

COUNT = 10
LIMIT_S = 60


def overheard(settings: NodeSettings) -> list[Message]:
    """Everything that a node publishes, from its first message until it has ended."""
    parcels = []
    with ExitStack() as stack:
        intakes: list[Intake] = []

        def listen(publisher: Publisher) -> None:
            intake = Intake(publisher.endpoint, bulk_endpoint=publisher.bulk_endpoint)
            intakes.append(stack.enter_context(intake))
            heard_by(intake, publisher)

        with Node(settings, before_capture=listen) as node:
            assert node.wait(LIMIT_S)
            while came := intakes[0].take(0.5):
                parcels += came
    return [decode(parcel.parts) for parcel in parcels]


def at_once(source: str, document: Mapping[str, Any]) -> NodeSettings:
    """Settings of a node that sees all of a drive, as fast as it can."""
    job = Job(source, Path("unused.mcap"), document)
    return job.settings().model_copy(
        update={"publisher": job.settings().publisher.model_copy(update={"endpoint": ANY_PORT})}
    )


MAKERS: dict[str, Callable[[Path], object]] = {
    "a KITTI folder": lambda folder: kitti_drive(folder, COUNT),
    "a ROS 1 bag": lambda folder: ros1_bag(folder / "a.bag", COUNT),
    "a ROS 2 bag": lambda folder: ros2_bag(folder / "a", COUNT),
    "an MCAP of ROS 2": lambda folder: next(
        ros2_bag(folder / "a", COUNT, storage="MCAP").glob("*.mcap")
    ),
    "an MCAP of Foxglove": lambda folder: foxglove_mcap(folder / "a.mcap", count=COUNT),
    "video in an MCAP": lambda folder: foxglove_mcap(
        folder / "a.mcap", count=COUNT, kind="libx265"
    ),
    "a nuScenes folder": lambda folder: f"{nuscenes_root(folder, COUNT)}?scene=scene-0061",
    "a comma segment": lambda folder: comma_segment(folder / "segment", COUNT),
}
FX_PX = dict.fromkeys(MAKERS, 300.0) | {"a KITTI folder": 250.0, "a nuScenes folder": 253.2}
HEIGHT_M = dict.fromkeys(MAKERS, 1.5) | {"a KITTI folder": 1.65, "a nuScenes folder": 1.51096}
CALIBRATION = dict.fromkeys(MAKERS, "source") | {"a comma segment": "assumed"}


@pytest.fixture
def model(tmp_path) -> str:
    return saved(tmp_path, ground_model())


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "a comma segment"])
def test_others_drives_are_seen_whole_and_with_their_own_camera(kind, tmp_path, model):
    source = str(MAKERS[kind](tmp_path))
    messages = overheard(at_once(source, {"inference": {"model": model, "provider": "cpu"}}))
    headers = {(KIND_OF[type(m)], m.header.frame): m.header for m in messages}
    for topic in ("cloud", "depth", "labels", "image", "obstacles", "scale"):
        assert [frame for of, frame in headers if of == topic] == list(range(COUNT))
    header = headers["depth", 0]
    assert (header.calibration, header.clock) == ("source", "recorded")
    # The model's grid is a fifth as wide as the pictures.
    assert header.intrinsics[:2] == (WIDTH, HEIGHT)
    assert header.intrinsics[2] == pytest.approx(FX_PX[kind] * WIDTH / 320, rel=1e-4)
    assert header.vehicle_from_camera_matrix[2, 3] == pytest.approx(HEIGHT_M[kind], abs=0.01)


def test_the_stamps_of_a_drive_are_those_of_its_messages(tmp_path, model):
    source = str(ros1_bag(tmp_path / "a.bag", COUNT))
    messages = overheard(at_once(source, {"inference": {"model": model, "provider": "cpu"}}))
    stamps_ns = [m.header.stamp_ns for m in messages if KIND_OF[type(m)] == "obstacles"]
    assert stamps_ns == [START_NS + number * FRAME_NS for number in range(COUNT)]


def test_a_drive_without_a_calibration_says_that_it_is_assumed(tmp_path, model):
    source = str(MAKERS["a comma segment"](tmp_path))
    messages = overheard(at_once(source, {"inference": {"model": model, "provider": "cpu"}}))
    assert {m.header.calibration for m in messages if KIND_OF[type(m)] == "depth"} == {"assumed"}
    assert sum(KIND_OF[type(m)] == "depth" for m in messages) == COUNT


# --- the stored drive


def by_frame(messages: list[Message]) -> dict[int, dict[str, Message]]:
    """What is compared of each frame, by kind; the first of a kind, as later ones are stale."""
    frames: dict[int, dict[str, Message]] = defaultdict(dict)
    for message in messages:
        kind = KIND_OF[type(message)]
        kept = kind not in ("setup", "status") and message.header.ledger.captured_ns > 0
        frames[message.header.frame if kept else -1].setdefault(kind, message)
    del frames[-1]
    return frames


def fingerprint(messages: list[Message]) -> Mapping[str, str]:
    return next(loads(m.document).fingerprint for m in messages if isinstance(m, Setup))


def test_the_node_gives_the_stored_answer():
    """Bytes where all that computes is the same, else near enough: see `tests/stored_drive.py`."""
    with Recording(STORED) as recording:
        stored = [decode(recorded.parts) for recorded in recording.messages()]
    seen = overheard(at_once("demo:", DOCUMENT))
    same = fingerprint(stored) == fingerprint(seen)
    report = CameraReport("front", identical_wanted=same)
    anew = by_frame(seen)
    for frame, messages in by_frame(stored).items():
        report.note_frame(messages, anew[frame])
    assert report.passed, "\n".join(told(report))
    assert (report.frames, report.compared.total()) == (60, 180)
