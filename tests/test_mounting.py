"""Mounts that were rendered come back, with sigmas that hold; the unknown is not made up."""

import math
import re
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudypoints.calibration import dump_camera, load_camera
from cloudypoints.cli import main
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Intrinsics, Mount, inverse, project, transformed
from cloudypoints.inference import Model
from cloudypoints.lens import Distortion
from cloudypoints.mounting import (
    from_distances,
    from_drive,
    from_horizon,
    from_marks,
    height_by_model,
    mount_picture,
)
from cloudypoints.mounting.estimate import angles_of
from onnx_models import card_of, ground_model
from rendered_road import Road

LENSES = [
    Distortion(),
    Distortion("plumb_bob", (-0.28, 0.08, 0.001, -0.0005)),
    Distortion("fisheye", (-0.02, 0.004, -0.001, 0.0002)),
]
TRUE = Mount(4.2, 0.05, 0.4, 0.3, 1.0, -0.5)
PLACES_M = np.array([[6.0, 2.0], [6.0, -1.0], [14.0, -1.0], [14.0, 6.0]])
DISTANCES_M = np.array([math.dist(a, b) for a, b in combinations(PLACES_M.tolist(), 2)])


def camera_of(lens: Distortion = LENSES[0], mount: Mount | None = None) -> Camera:
    return Camera(Intrinsics(1280, 720, 700.0, 700.0, 640.0, 360.0), lens, mount or Mount())


def seen(camera: Camera, places: np.ndarray) -> np.ndarray:
    return project(transformed(inverse(camera.mount.vehicle_from_camera), places), camera)


def marked(mount: Mount = TRUE, lens: Distortion = LENSES[0], places=PLACES_M) -> np.ndarray:
    ground = np.concatenate([places, np.zeros((len(places), 1))], axis=1)
    return seen(camera_of(lens, mount), ground)


def horizon(mount: Mount, lens: Distortion, bearings=(0.55, 0.1)) -> np.ndarray:
    far = [[1e7 * math.cos(b), 1e7 * math.sin(b), mount.height_m] for b in bearings]
    return seen(camera_of(lens, mount), np.array(far))


@settings(max_examples=60, deadline=None)
@given(*3 * [st.floats(-1.4, 1.4)])
def test_the_angles_of_a_mounts_rotation_are_its_own(roll_rad, pitch_rad, yaw_rad):
    rotation = Mount(1.5, roll_rad, pitch_rad, yaw_rad).vehicle_from_camera[:3, :3]
    assert angles_of(rotation) == pytest.approx((roll_rad, pitch_rad, yaw_rad), abs=1e-9)


# --- Marks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.model)
def test_marks_give_the_whole_mount_back(lens):
    found = from_marks(camera_of(lens), marked(lens=lens), PLACES_M)
    for name in ("height_m", "roll_rad", "pitch_rad", "yaw_rad", "x_m", "y_m"):
        assert getattr(found.mount, name) == pytest.approx(getattr(TRUE, name), abs=1e-6), name


def test_sigma_covers_what_careless_clicks_do():
    rng, pulls = np.random.default_rng(2), []
    for _ in range(30):
        clicked = marked() + rng.normal(0, 2.0, (4, 2))
        found = from_marks(camera_of(), clicked, PLACES_M, error_px=2.0)
        pulls.append((found.mount.height_m - TRUE.height_m) / found.sigma["height_m"])
    assert 0.5 < np.std(pulls) < 1.5


def test_distances_give_height_pitch_and_roll_and_no_direction():
    found = from_distances(camera_of(), marked(), DISTANCES_M)
    expected = replace(TRUE, yaw_rad=0.0, x_m=0.0, y_m=0.0)
    for name in ("height_m", "roll_rad", "pitch_rad", "yaw_rad"):
        assert getattr(found.mount, name) == pytest.approx(getattr(expected, name), abs=1e-6)
    assert [name for name, sigma in found.sigma.items() if math.isnan(sigma)] == [
        "yaw_rad", "x_m", "y_m",
    ]  # fmt: skip


def with_change(array: np.ndarray, index: int, value) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("find", "says"),
    [
        (lambda: from_marks(camera_of(), marked()[:3], PLACES_M[:3]), "3 marks: four or more"),
        (
            lambda: from_marks(camera_of(), with_change(marked(), 0, (1300, 5)), PLACES_M),
            r"\(1300, 5\) is outside the picture of 1280×720",
        ),
        (
            lambda: from_marks(camera_of(), marked(), PLACES_M[[1, 0, 2, 3]]),
            "right order|above the ground",
        ),
        (
            lambda: from_marks(
                camera_of(), np.array([[100.0, 500], [300, 500], [500, 501], [700, 500]]), PLACES_M
            ),
            "nearly on one line",
        ),
        (
            lambda: from_distances(camera_of(), marked(), with_change(DISTANCES_M, 5, 60.0)),
            "fit no four points of a plane: ",
        ),
        (lambda: from_distances(camera_of(), marked(), -DISTANCES_M), "must be positive"),
    ],
    ids=["three", "outside", "swapped", "a line", "impossible", "negative"],
)
def test_marks_that_cannot_be_are_told(find, says):
    with pytest.raises(CalibrationError, match=says):
        find()


def test_marks_of_a_camera_upside_down_are_told():
    upside_down = 719 - marked()
    upside_down[:, 0] += 560  # turned by 180° about the picture's middle
    with pytest.raises(CalibrationError, match=r"upside down|order|above the ground"):
        from_marks(camera_of(), upside_down, PLACES_M)


# --- The horizon ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.model)
@pytest.mark.parametrize("bearings", [(0.55, 0.1), (0.55, 0.3, 0.0)], ids=["two", "a line"])
def test_a_horizon_gives_roll_and_pitch_back_and_leaves_the_rest(lens, bearings):
    true = Mount(6.0, 0.05, -0.1, 0.3, 1.0, 2.0)
    points = horizon(true, lens, bearings)
    told = Mount(6.0, yaw_rad=0.3, x_m=1.0, y_m=2.0)
    found = from_horizon(camera_of(lens, told), points)
    assert found.mount.roll_rad == pytest.approx(true.roll_rad, abs=1e-6)
    assert found.mount.pitch_rad == pytest.approx(true.pitch_rad, abs=1e-6)
    assert replace(found.mount, roll_rad=0.0, pitch_rad=0.0) == told
    assert math.isnan(found.sigma["height_m"])


def test_the_sigma_of_a_horizon_is_worked_out_by_hand():
    # 2 px at f = 700 px are 2.86 mrad; two points share the pitch: 2.86 / √2 = 2.02 mrad.
    # They are 1000 px apart: a roll of 2 √2 / 1000 = 2.83 mrad.
    points = np.array([[140.0, 360.0], [1140.0, 360.0]])
    sigma = from_horizon(camera_of(), points, error_px=2.0).sigma
    assert sigma["pitch_rad"] == pytest.approx(2.02e-3, rel=0.01)
    assert sigma["roll_rad"] == pytest.approx(2.83e-3, rel=0.01)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([[10.0, 300.0]], "1 points on the horizon: two"),
        ([[10.0, 300.0], [20.0, 300.0]], r"are 0.\d° apart"),
        ([[10.0, 300.0], [640.0, 420.0], [1270.0, 300.0]], "px off the horizon"),
        ([[10.0, 300.0], [2000.0, 300.0]], "outside the picture"),
    ],
)
def test_a_horizon_that_cannot_be_is_told(points, says):
    with pytest.raises(CalibrationError, match=says):
        from_horizon(camera_of(), np.array(points))


# --- A drive --------------------------------------------------------------------------------------

DRIVEN = Mount(1.4, math.radians(2), math.radians(3), math.radians(-2))


def road_camera(mount: Mount, lens: Distortion = LENSES[1]) -> Camera:
    return Camera(Intrinsics(480, 360, 360.0, 360.0, 240.0, 180.0), lens, mount)


@pytest.fixture(scope="module")
def driven():
    frames = list(Road(road_camera(DRIVEN)).frames(24, 8.0, 12.0))
    return frames, from_drive(frames, road_camera(Mount()), speed_mps=8.0)


def test_a_drive_gives_roll_pitch_yaw_and_with_the_speed_the_height(driven):
    _, found = driven
    assert found.mount.pitch_rad == pytest.approx(DRIVEN.pitch_rad, abs=math.radians(0.2))
    assert found.mount.yaw_rad == pytest.approx(DRIVEN.yaw_rad, abs=math.radians(0.2))
    assert found.mount.roll_rad == pytest.approx(DRIVEN.roll_rad, abs=math.radians(0.3))
    assert found.mount.height_m == pytest.approx(DRIVEN.height_m, rel=0.01)
    for name in ("height_m", "roll_rad", "pitch_rad", "yaw_rad"):
        off = abs(getattr(found.mount, name) - getattr(DRIVEN, name))
        assert off < 3 * found.sigma[name], name
    assert math.isnan(found.sigma["x_m"])


def test_without_the_speed_the_height_is_as_told_and_said_so(driven):
    frames, with_speed = driven
    found = from_drive(frames, road_camera(Mount(2.0)))
    assert found.mount.height_m == 2.0
    assert math.isnan(found.sigma["height_m"])
    assert any("one camera cannot know metres" in note for note in found.notes)
    assert found.mount.pitch_rad == pytest.approx(with_speed.mount.pitch_rad)


def test_the_same_drive_gives_the_same_mount(driven):
    frames, found = driven
    assert from_drive(frames, road_camera(Mount()), speed_mps=8.0) == found


def test_a_drive_seen_upside_down_is_told(driven):
    frames, _ = driven
    turned = [replace(frame, picture=frame.picture[::-1, ::-1].copy()) for frame in frames]
    with pytest.raises(CalibrationError, match="upside down; turn its picture by 180°"):
        from_drive(turned, road_camera(Mount(), LENSES[0]))


def test_standing_is_no_drive(driven):
    frames, _ = driven
    standing = [replace(frames[0], index=i, stamp_ns=i * 80_000_000) for i in range(20)]
    with pytest.raises(CalibrationError, match="0 pairs of pictures of straight driving: 12 are"):
        from_drive(standing, road_camera(Mount()))


def test_a_model_that_repeats_the_height_it_is_told_is_not_believed(driven):
    frames, found = driven
    # The ground model of the tests answers with the depth of the flat ground it is given.
    echo = Model(ground_model(card_of()), "echo.onnx")
    asked = height_by_model(found, [as_flat(f) for f in frames[:4]], road_camera(Mount()), echo)
    assert asked.mount == found.mount
    assert "repeats the height it is told (100% of a change)" in asked.notes[-1]


def as_flat(frame):
    """The test model's labels are its picture's values: all of it is ground."""
    return replace(frame, picture=np.ones_like(frame.picture))


def test_a_model_without_metres_is_not_asked(driven):
    frames, found = driven
    relative = Model(ground_model(card_of(depth="affine_inverse", unit="1")), "relative.onnx")
    asked = height_by_model(found, frames[:2], road_camera(Mount()), relative)
    assert asked.mount == found.mount
    assert "has no metres" in asked.notes[-1]


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def gate(tmp_path):
    """A picture and the calibration of the camera that took it."""
    cv2.imwrite(str(tmp_path / "gate.png"), np.full((720, 1280, 3), 90, np.uint8))
    (tmp_path / "lens.toml").write_text(dump_camera(camera_of()))
    return ["mount", str(tmp_path / "gate.png"), "--calibration", str(tmp_path / "lens.toml")]


def test_the_command_writes_a_camera_that_the_node_reads_and_a_picture(gate, tmp_path, capsys):
    out = tmp_path / "mounted.toml"
    marks = [
        f"--mark={u:.2f},{v:.2f}={x},{y}"
        for (u, v), (x, y) in zip(marked().tolist(), PLACES_M.tolist(), strict=True)
    ]
    assert main([*gate, *marks, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"height +4\.2\d\d m +± 0\.\d+ m", said)
    assert re.search(r"pitch +22\.\d+ ° +± 0\.\d+ °", said)
    found = load_camera(out)
    assert found.mount.height_m == pytest.approx(4.2, abs=0.01)
    assert cv2.imread(str(out.with_suffix(".png"))).std() > 5


def test_the_command_takes_a_horizon(gate, tmp_path, capsys):
    out = tmp_path / "c.toml"
    arguments = ["--horizon", "10,300", "1270,300", "--height", "6", "-o", str(out)]
    assert main([*gate, *arguments]) == 0
    assert re.search(r"height +6\.000 m +as told, not measured", capsys.readouterr().out)
    #  60 px above the middle of f = 700 px: atan(60 / 700) = 4.899°, and the camera looks down
    assert math.degrees(load_camera(out).mount.pitch_rad) == pytest.approx(4.899, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--horizon", "10,300", "1270,300"], 2, "a horizon does not tell the height"),
        (["--mark", "1,2=3,4", "--horizon", "1,2", "3,4"], 2, "choose one"),
        (["--mark", "left"], 2, "must be like 412,633=4,1.5"),
        (["--mark", "412,633"], 2, "marks are U,V=X,Y"),
        (["--distances", *"123456", "--height", "1"], 2, "give four --mark"),
        ([], 2, "a drive alone does not tell the height"),
        (["--speed", "-3"], 2, "--speed -3 m/s: must be above 0 and below 150 m/s"),
        (["--height", "-1"], 2, "--height -1 m: must be above 0 and below 1000 m"),
        (["--height", "nan"], 2, "--height nan m: must be above 0"),
        (["--hfov", "500", "--height", "1.3"], 2, "--hfov 500 °: must be above 1 and below 170"),
        (["--horizon", "1,2", "3,4", "--height", "0"], 2, "--height 0 m: must be above 0"),
        (["--horizon", "-3,301", "700,301", "--height", "2"], 1, "point (-3, 301) is outside"),
        (["--mark", "1.2.3,4=1,2"], 2, "must be like 412,633=4,1.5"),
        (["--mark", "-3,400=3,1"], 1, "1 marks: four or more"),
        (["--height", "1.3"], 1, "0 pairs of pictures"),
    ],
)
def test_what_cannot_be_is_one_line(gate, arguments, code, says, tmp_path, capsys):
    assert main([*gate, *arguments, "-o", str(tmp_path / "c.toml")]) == code
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("cloudypoints: ")
    assert says in line


@pytest.mark.parametrize(
    ("output", "says"),
    [("gate.toml", "would replace the one that is looked at"), ("gate.png", "ends in .toml")],
)
def test_the_picture_that_is_looked_at_is_not_written_over(gate, output, says, tmp_path, capsys):
    before = (tmp_path / "gate.png").read_bytes()
    assert main([*gate, "--height", "6", "-o", str(tmp_path / output)]) == 2
    assert says in capsys.readouterr().err
    assert (tmp_path / "gate.png").read_bytes() == before


def test_a_folder_without_pictures_is_one_line(tmp_path, capsys):
    assert main(["mount", str(tmp_path), "--height", "1.3"]) == 1
    assert capsys.readouterr().err.startswith(f"cloudypoints: {tmp_path}: ")


def test_a_calibration_of_another_aspect_is_one_line(gate, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "gate.png"), np.full((960, 1280, 3), 90, np.uint8))
    assert main([*gate, "--height", "1"]) == 1
    says = "calibrated at 1280×720, but its pictures are 1280×960: another aspect"
    assert says in capsys.readouterr().err


# --- The picture ----------------------------------------------------------------------------------


@pytest.mark.parametrize("yaw_rad", [0.0, 1.2])
def test_the_picture_shows_the_horizon_where_it_is(yaw_rad):
    camera = camera_of(mount=Mount(1.5, 0.0, 0.1, yaw_rad))
    drawn = mount_picture(np.zeros((720, 1280, 3), np.uint8), camera)
    #  360 - 700 tan 0.1 = 289.8
    rows = np.flatnonzero((drawn[:, 300] > 100).any(axis=1))
    assert rows[0] == pytest.approx(290, abs=2)
    assert (drawn[:285, 200:900] == 0).all()
