"""Recordings as other people's tools read them: the mcap library, and Rerun's own loader."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from rerun.chunk import McapReader

from cloudypoints.cli import main
from cloudypoints.messages import POINT
from ports import free_port
from recordings import FRAME_NS, HEADER, H, W, frame, obstacles, record
from wire_examples import EXAMPLES

COUNT = 5
SHARED = Path(__file__).parents[2] / "shared" / "data" / "drives" / "highway_lane_960x540.mp4"
SHOWN = {"depth", "labels", "image", "points", "obstacle_points"}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """Frames with their obstacles, then one message of each kind that the wire knows."""
    made: Path = tmp_path_factory.mktemp("others") / "a.mcap"
    messages = [m for n in range(COUNT) for m in (*frame(n), obstacles(n, 20.0 - n))]
    others = [make() for make in EXAMPLES.values()]
    record(made, messages + others, view_points=100)
    return made


def decoded(path, topic):
    """A channel's messages, by the classes that the file's own schemas give."""
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        return [message.decoded_message for message in reader.iter_decoded_messages([topic])]


def loaded(path):
    """(entity, column, values of all rows) of everything that Rerun's loader made."""
    for chunk in McapReader(str(path)).stream():
        batch = chunk.to_record_batch()
        for name in batch.schema.names:
            yield chunk.entity_path, name, batch.column(name).to_pylist()


# --- The mcap library -----------------------------------------------------------------------------


def test_the_mcap_library_decodes_every_message(path):
    counts: Counter[str] = Counter()
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        for _schema, channel, _message, content in reader.iter_decoded_messages():
            assert content.ByteSize() > 0
            counts[channel.topic] += 1
        summary = reader.get_summary()
    told = {
        summary.channels[number].topic: count
        for number, count in summary.statistics.channel_message_counts.items()
    }
    assert counts == told
    assert {f"/wire/{kind}/front" for kind in EXAMPLES} <= counts.keys()


def test_depth_pictures_and_categories_are_foxglove_images(path):
    _cloud, depth, labels, image = frame(2)
    for topic, encoding, pixels in (
        ("/front/depth", "32FC1", depth.depth_m),
        ("/front/labels", "8UC1", labels.labels),
        ("/front/image", "rgb8", image.picture),
    ):
        shown = decoded(path, topic)[2]
        assert shown.DESCRIPTOR.full_name == "foxglove.RawImage"
        assert (shown.encoding, shown.width, shown.height) == (encoding, W, H)
        assert shown.data == pixels.tobytes()
        assert shown.timestamp.ToNanoseconds() == 2 * FRAME_NS


def test_a_cloud_is_a_foxglove_point_cloud_of_its_known_points(path):
    shown = decoded(path, "/front/points")[3]
    points = np.frombuffer(shown.data, POINT)
    known = frame(3)[0].known
    assert [field.name for field in shown.fields] == ["x", "y", "z", "red", "green", "blue"] + [
        "label"
    ]
    assert 50 < len(points) <= 100  # thinned: the cloud itself is rebuilt
    assert set(points.tolist()) <= set(known.tolist())


def test_obstacles_are_a_laser_scan(path):
    scan = decoded(path, "/front/scan")[1]
    assert scan.DESCRIPTOR.full_name == "foxglove.LaserScan"
    assert scan.frame_id == "vehicle"
    assert list(scan.ranges) == [math.inf, 19.0, 30.0]
    assert (scan.start_angle, scan.end_angle) == pytest.approx((-0.1, 0.1))
    assert (scan.pose.position.x, scan.pose.orientation.w) == (0.0, 1.0)


def test_obstacles_are_boxes_and_words_in_a_scene(path):
    (entity,) = decoded(path, "/front/scene")[1].entities
    assert [round(box.pose.position.x) for box in entity.cubes] == [19, 30]
    assert entity.texts[0].text == "nearest 19.0 m"


def test_calibration_and_transform_place_the_camera(path):
    calibration, transform = (decoded(path, f"/front/{name}")[0] for name in ("calibration", "tf"))
    assert list(calibration.K) == [30, 0, 15.5, 0, 31, 11.5, 0, 0, 1]
    assert (transform.parent_frame_id, transform.child_frame_id) == ("vehicle", "front")
    assert transform.translation.z == HEADER.vehicle_from_camera[11] == 1.5


def test_every_field_of_a_small_message_is_there_by_its_name(path):
    shown = decoded(path, "/front/obstacles")[0]
    assert shown.header.seq == 0
    assert list(shown.range_m) == [math.inf, 20.0, 30.0]
    assert (shown.state, shown.nearest_m) == ("ok", 20.0)


# --- Rerun ----------------------------------------------------------------------------------------


def test_rerun_loads_every_channel_and_shows_what_can_be_seen(path):
    columns: dict[str, set[str]] = {}
    for entity, name, _values in loaded(path):
        columns.setdefault(entity, set()).add(name)
    for name in ("depth", "labels", "image"):
        assert "Image:buffer" in columns[f"/front/{name}"]
    for name in ("points", "obstacle_points"):
        assert {"Points3D:positions", "Points3D:colors"} <= columns[f"/front/{name}"]
    assert "Pinhole:image_from_camera" in columns["/front/calibration"]
    assert "Transform3D:quaternion" in columns["/front/tf"]
    assert "foxglove.LaserScan:message" in columns["/front/scan"]  # decoded, not drawn
    assert {f"/wire/{kind}/front" for kind in EXAMPLES} <= columns.keys()


def test_rerun_has_the_points_where_they_are(path):
    rows = [values for entity, name, values in loaded(path)
            if (entity, name) == ("/front/obstacle_points", "Points3D:positions")]  # fmt: skip
    near, far = rows[0][0]
    # 20 m at bearing 0 and 30 m at 0.1 rad: 30 · cos 0.1 = 29.85, 30 · sin 0.1 = 2.995.
    assert near == pytest.approx([20.0, 0.0, 0.5])
    assert far == pytest.approx([29.85, 2.995, 0.5], abs=1e-3)


def test_what_rerun_makes_of_a_recording_is_sound(path, tmp_path):
    for arguments in (
        ("mcap", "check", "--full", path),
        ("mcap", "convert", path, "-o", tmp_path / "a.rrd"),
        ("rrd", "verify", tmp_path / "a.rrd"),
    ):
        command = [sys.executable, "-m", "rerun", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data/drives is not beside the checkout")
def test_a_real_drive_that_a_node_recorded_opens_in_both(tmp_path, capsys):
    path = tmp_path / "drive.mcap"
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    arguments = ["--record", str(path), "--seconds", "4", "--height", "1.3", "-e", endpoint]
    assert main(["run", str(SHARED), *arguments]) == 0
    assert decoded(path, "/front/scan")[-1].ranges
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        topics = {channel.topic for _s, channel, _m, _d in reader.iter_decoded_messages()}
    shown = {
        entity.removeprefix("/front/")
        for entity, name, _values in loaded(path)
        if name in ("Image:buffer", "Points3D:positions")
    }
    assert shown == SHOWN
    assert {f"/front/{name}" for name in SHOWN} <= topics
