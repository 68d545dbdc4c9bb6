"""The embedded drive: its files agree with each other and with the renderer."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import av
import numpy as np
import pytest

import cloudypoints
from cloudypoints.calibration import dump_camera
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.messages import Category
from cloudytools.scenes.drive import MOST_BYTES, drive_depth, main
from cloudytools.scenes.drive_movers import FRAMES, ZEBRA_X_M
from cloudytools.scenes.drive_truth import SECTORS, truth_of
from cloudytools.scenes.drive_world import CAMERA, ego_course

ASSETS = Path(cloudypoints.__file__).parent / "assets"
LEVEL = Camera(Intrinsics(41, 31, 20.0, 20.0, 20.0, 15.0), mount=Mount(1.5))


def a_wall(category: Category) -> tuple[np.ndarray, np.ndarray]:
    """A wall 10 m ahead over the whole picture of `LEVEL`."""
    return np.full((31, 41), 10.0, np.float32), np.full((31, 41), category, np.uint8)


def test_a_wall_across_the_road_is_where_it_stands() -> None:
    truth = truth_of(*a_wall(Category.CONSTRUCTION), LEVEL)
    assert truth.corridor_m == pytest.approx(10)
    assert truth.nearest_m == pytest.approx(10)
    assert truth.nearest_bearing_rad == pytest.approx(0, abs=1e-6)
    # Column 0 looks 45° to the left, and so does sector 35: 10 m / cos(44°) or so.
    assert truth.sector_range_m[SECTORS - 1] == pytest.approx(10 * math.sqrt(2), rel=0.05)


def test_the_road_and_the_sky_are_no_obstacles() -> None:
    truth = truth_of(*a_wall(Category.FLAT), LEVEL)
    assert truth.corridor_m == math.inf
    assert truth.nearest_m == math.inf
    assert math.isnan(truth.nearest_bearing_rad)
    assert np.isinf(truth.sector_range_m).all()


def test_a_person_on_the_right_is_in_a_low_sector_and_not_in_the_corridor() -> None:
    depth_m, labels = a_wall(Category.FLAT)
    labels[12:16, 35] = Category.HUMAN  # 15 px of 20 to the right: bearing -36.9°, y = -7.5 m
    truth = truth_of(depth_m, labels, LEVEL)
    assert truth.nearest_m == pytest.approx(12.5)
    assert math.degrees(truth.nearest_bearing_rad) == pytest.approx(-36.87, abs=0.01)
    assert np.flatnonzero(np.isfinite(truth.sector_range_m)).tolist() == [3]
    assert truth.corridor_m == math.inf


def test_what_is_too_high_or_too_low_is_no_obstacle() -> None:
    depth_m, labels = a_wall(Category.FLAT)
    labels[12, 20] = Category.OBJECT  # 3 px up at 10 m: 1.5 m above the camera, 3 m above ground
    labels[18, 20] = Category.OBJECT  # 3 px down: on the ground
    assert truth_of(depth_m, labels, LEVEL).nearest_m == math.inf


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    with np.load(ASSETS / "drive_truth.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("frame", [0, 237])
def test_the_stored_truth_is_that_of_the_rendered_depth(
    frame: int, truth: dict[str, np.ndarray]
) -> None:
    again = truth_of(*drive_depth(frame), CAMERA)
    assert again.nearest_m == pytest.approx(float(truth["nearest_m"][frame]), abs=1e-3)
    assert again.corridor_m == pytest.approx(float(truth["corridor_m"][frame]), abs=1e-3)
    np.testing.assert_allclose(again.sector_range_m, truth["sector_range_m"][frame], atol=1e-3)


def test_every_frame_has_its_truth(truth: dict[str, np.ndarray]) -> None:
    assert truth["stamp_ns"].tolist() == [round(i / 20 * 1e9) for i in range(FRAMES)]
    assert truth["sector_range_m"].shape == (FRAMES, SECTORS)
    assert all(len(values) == FRAMES for values in truth.values())
    assert (truth["speed_mps"] > 3).all()


def test_the_car_ahead_comes_near_and_leaves_again(truth: dict[str, np.ndarray]) -> None:
    corridor_m = truth["corridor_m"]
    assert corridor_m[:20].min() > 20
    assert 7 < corridor_m.min() < 11
    assert corridor_m[-20:].min() > 15


def test_nobody_is_run_over(truth: dict[str, np.ndarray]) -> None:
    x_m, _ = ego_course()
    crossing = np.abs(x_m - ZEBRA_X_M) < 6
    assert crossing.any()
    assert truth["corridor_m"][crossing].min() > 5


def test_the_film_is_small_and_whole() -> None:
    path = ASSETS / "drive.mp4"
    assert path.stat().st_size <= MOST_BYTES
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 20)
        stamps_s = [
            float(packet.pts * packet.time_base) for packet in film.demux(stream) if packet.size
        ]
        assert (stream.width, stream.height) == (640, 360)
    np.testing.assert_allclose(sorted(stamps_s), np.arange(FRAMES) / 20, atol=1e-6)


def test_the_stored_calibration_is_the_camera_that_rendered() -> None:
    text = (ASSETS / "drive.toml").read_text()
    assert text == dump_camera(CAMERA)
    calibration = tomllib.loads(text)
    assert Intrinsics(**calibration["intrinsics"]) == CAMERA.intrinsics
    assert math.radians(calibration["mount"]["pitch_deg"]) == pytest.approx(CAMERA.mount.pitch_rad)
    assert calibration["mount"]["height_m"] == 1.5


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--out" in capsys.readouterr().out
