import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cloudypoints.errors import SourceError
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.inference import Model
from cloudypoints.inference.card import METADATA_KEY, ModelCard, PictureInput
from cloudytools.evaluate import lidar
from cloudytools.evaluate.__main__ import main
from lidar_frames import CAMERA, ground_points, write_frame

SHARED = Path(__file__).parents[2] / "shared" / "data" / "lidar" / "street_3cam"


@pytest.fixture(scope="module")
def flat_model(tmp_path_factory):
    """A model file whose depth is that of flat ground, unknown beyond 50 m."""
    card = ModelCard(
        name="flat",
        depth="metric",
        unit="m",
        valid_range=(0.1, 50.0),
        picture=PictureInput(width_px=160, height_px=96, layout="nhwc", dtype="uint8"),
        geometry_input="geometry",
    )
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 96, 160, 3])
    geometry = helper.make_tensor_value_info("geometry", TensorProto.FLOAT, ["n", 3, 96, 160])
    depth = helper.make_tensor_value_info("depth", TensorProto.FLOAT, ["n", 1, 96, 160])
    nodes = [
        helper.make_node("Gather", ["geometry", "third"], ["ground"], axis=1),
        helper.make_node("Max", ["ground", "least"], ["positive"]),
        helper.make_node("Reciprocal", ["positive"], ["metres"]),
        helper.make_node("Cast", ["image"], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["bytes", "all"], ["brightest"], keepdims=1),
        helper.make_node("Mul", ["brightest", "zero"], ["nothing"]),
        helper.make_node("Add", ["metres", "nothing"], ["depth"]),
    ]
    constants = [
        helper.make_tensor("third", TensorProto.INT64, [1], [2]),
        helper.make_tensor("least", TensorProto.FLOAT, [], [1e-3]),
        helper.make_tensor("all", TensorProto.INT64, [4], [0, 1, 2, 3]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0]),
    ]
    graph = helper.make_graph(nodes, "flat", [image, geometry], [depth], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    model.metadata_props.add(key=METADATA_KEY, value=card.dumps())
    path = tmp_path_factory.mktemp("model") / "flat.onnx"
    onnx.save(model, path)
    return path


def test_exact_depth_has_no_error(tmp_path, flat_model):
    write_frame(tmp_path / "a")
    model = Model.open(str(flat_model), provider="cpu")
    measured = lidar.measure(model, lidar.read_frame(tmp_path / "a"))
    assert measured.figures["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert measured.figures["rmse_m"] == pytest.approx(0, abs=1e-2)
    assert measured.figures["delta"] == 1
    assert measured.figures["unknown"] == 0


def test_things_at_half_the_distance_have_a_relative_error_of_one(tmp_path, flat_model):
    # z said is twice the truth: |2z − z| / z = 1, a ratio of 2 > 1.25; scaled, nothing remains
    write_frame(tmp_path / "a", points=ground_points(CAMERA) / 2)
    model = Model.open(str(flat_model), provider="cpu")
    figures = lidar.measure(model, lidar.read_frame(tmp_path / "a")).figures
    assert figures["abs_rel"] == pytest.approx(1, abs=1e-4)
    assert figures["delta"] == 0
    assert figures["scaled_abs_rel"] == pytest.approx(0, abs=1e-4)


def test_what_the_model_does_not_know_counts_as_80_m(tmp_path, flat_model):
    # straight ahead and above the horizon the model says 1000 m, which its card calls unknown
    write_frame(tmp_path / "a", points=np.array([[0, -2, 20], [0, -4, 40]], np.float32))
    model = Model.open(str(flat_model), provider="cpu")
    figures = lidar.measure(model, lidar.read_frame(tmp_path / "a")).figures
    assert figures["unknown"] == 1
    assert figures["abs_rel"] == pytest.approx((60 / 20 + 40 / 40) / 2)


def test_obstacles_are_what_stands_on_the_ground(tmp_path, flat_model):
    # a level camera 1.5 m up: a point 1 m below its axis is 0.5 m above the ground, one 1.5 m
    # below is on the road
    level = Camera(Intrinsics(160, 96, 120.0, 120.0, 79.5, 47.5), mount=Mount(height_m=1.5))
    write_frame(tmp_path / "a", level, np.array([[0, 1, 10], [0, 1.5, 10]], np.float32))
    model = Model.open(str(flat_model), provider="cpu")
    figures = lidar.measure(model, lidar.read_frame(tmp_path / "a")).figures
    assert figures["obstacles_abs_rel"] == pytest.approx(0.5, abs=0.1)  # ground behind it at 15 m
    assert figures["abs_rel"] == pytest.approx(figures["obstacles_abs_rel"] / 2, abs=0.05)


def test_flat_ground_ends_at_30_m(tmp_path):
    write_frame(tmp_path / "a", points=np.array([[0, -2, 20], [0, -1, 10]], np.float32))
    frame = lidar.read_frame(tmp_path / "a")
    assert lidar._flat(frame).tolist() == [30, 30]


@pytest.mark.parametrize("seed", range(5))
def test_a_mount_is_read_back_from_its_rotation(seed):
    random = np.random.default_rng(seed)
    roll, pitch, yaw = random.uniform(-1, 1, 3)
    mount = Mount(1.7, float(roll), float(pitch), float(3 * yaw))
    found = lidar._mount(mount.vehicle_from_camera, 1.7)
    assert found.vehicle_from_camera == pytest.approx(mount.vehicle_from_camera)


def test_points_outside_picture_and_range_do_not_count(tmp_path):
    points = [[0, 0, 5], [0, 0, 0.5], [0, 0, 90], [0, 0, -5], [50, 0, 5]]
    write_frame(tmp_path / "a", points=np.array(points, np.float32))
    assert lidar.read_frame(tmp_path / "a").points_camera.tolist() == [[0, 0, 5]]


def test_the_command_writes_figures_and_pictures(tmp_path, flat_model, capsys):
    for name in "ab":
        write_frame(tmp_path / "drive" / name)
    code = main(
        ["lidar", str(tmp_path / "drive"), "--model", str(flat_model)]
        + ["--json", str(tmp_path / "e.json"), "--pictures", str(tmp_path / "seen")]
    )
    report = json.loads((tmp_path / "e.json").read_text())
    assert code == 0
    assert set(report["frames"]) == {"a", "b"}
    assert report["model"]["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert report["flat_ground"]["abs_rel"] < 0.2
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {"a.jpg", "b.jpg"}
    assert "METER-XXS (quoted)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("camera.json", b"{", "camera.json"),
        ("camera.json", b"{}", "no 'K'"),
        ("image.jpg", b"no picture", "not a picture"),
        ("lidar_camera_frame.npy", b"no array", "not an array"),
    ],
)
def test_a_broken_frame_is_named_and_skipped(tmp_path, flat_model, capsys, file, content, fault):
    for name in ("good", "broken"):
        write_frame(tmp_path / "drive" / name)
    (tmp_path / "drive" / "broken" / file).write_bytes(content)
    code = main(["lidar", str(tmp_path / "drive"), "--model", str(flat_model)])
    told = capsys.readouterr().err
    assert code == 0
    assert told.startswith("skipped broken: ")
    assert fault in told


def test_a_folder_without_frames_ends_with_2_and_one_line(tmp_path, flat_model, capsys):
    assert main(["lidar", str(tmp_path), "--model", str(flat_model)]) == 2
    told = capsys.readouterr().err
    assert "no frames" in told
    assert told.count("\n") == 1


def test_a_folder_one_level_too_high_is_told_where_its_frames_are(tmp_path):
    write_frame(tmp_path / "data" / "drive" / "a")
    with pytest.raises(SourceError, match=r"there are some in .*drive"):
        lidar.frames_of(tmp_path / "data")
    assert lidar.frames_of(tmp_path / "data" / "drive")


def test_figures_that_no_frame_has_are_unknown():
    assert math.isnan(lidar.mean_figures([{"x": math.nan}, {"x": math.nan}])["x"])
    assert lidar.mean_figures([{"x": 1.0}, {"x": math.nan}]) == {"x": 1.0}


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_the_embedded_model_beats_flat_ground_on_real_lidar():
    model = Model.open("embedded", provider="cpu", threads=2)
    skipped = {}
    measured = list(lidar.measured_frames(model, SHARED, skipped))
    report = lidar.report(model, SHARED, measured, skipped)
    assert len(measured) == 9
    assert report["flat_ground"]["abs_rel"] == pytest.approx(0.92, abs=0.02)
    assert report["model"]["abs_rel"] < 0.75 * report["flat_ground"]["abs_rel"]
