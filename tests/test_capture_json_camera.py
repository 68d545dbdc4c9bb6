"""A camera as JSON beside the pictures of a folder."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudypoints.capture import CaptureSettings, open_source
from cloudypoints.capture.json_camera import mount_of, rotation_of
from cloudypoints.errors import CalibrationError, SourceError
from cloudypoints.geometry import Mount
from film import numbered

LIDAR = Path(__file__).parents[2] / "shared" / "data" / "lidar" / "street_3cam"
K = [[300.0, 0, 159.5], [0, 301.0, 119.5], [0, 0, 1]]
_ANGLE = st.floats(-1.5, 1.5)


@pytest.fixture
def folder(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), numbered(1))
    return tmp_path


def camera_in(folder: Path):
    with closing(open_source(str(folder), CaptureSettings(pace=0))) as source:
        return source.camera


@given(roll=_ANGLE, pitch=_ANGLE, yaw=st.floats(-3.1, 3.1), height=st.floats(0.1, 50))
def test_a_mount_comes_back_from_its_transform(roll, pitch, yaw, height):
    mount = Mount(height, roll, pitch, yaw, x_m=1.5, y_m=-0.2)
    back = mount_of(mount.vehicle_from_camera)
    np.testing.assert_allclose(back.vehicle_from_camera, mount.vehicle_from_camera, atol=1e-6)


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.diag([1.0, 1, -1, 1]), np.eye(4) * 2])
def test_what_is_no_rotation_is_refused(matrix):
    with pytest.raises(CalibrationError):
        mount_of(matrix)


def test_a_quaternion_is_a_rotation():
    half = math.sqrt(0.5)  # a quarter turn about z takes x to y
    np.testing.assert_allclose(rotation_of((half, 0, 0, half)) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_a_folder_takes_the_camera_beside_its_pictures(folder):
    place = Mount(1.3, pitch_rad=0.1).vehicle_from_camera.tolist()
    content = {"width": 320, "height": 240, "K": K, "distortion": [-0.1, 0.01, 0, 0]}
    (folder / "camera.json").write_text(
        json.dumps(content | {"T_vehicle_camera_optical": place, "note": "others may say more"})
    )
    camera = camera_in(folder)
    assert (camera.intrinsics.fx_px, camera.intrinsics.fy_px) == (300.0, 301.0)
    assert camera.distortion.model == "plumb_bob"
    assert camera.mount.pitch_rad == pytest.approx(0.1)
    assert camera.calibration == "source"


def test_a_folder_without_one_has_none(folder):
    assert camera_in(folder) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a camera"),
        ('{"width": 320, "height": 240}', "no K in it"),
        (json.dumps({"width": 320, "height": 240, "K": [[1, 2]]}), "a camera matrix has 9"),
        (json.dumps({"width": "a", "height": 240, "K": K}), "width = 'a': must be a number"),
        (
            json.dumps({"width": 320, "height": 240, "K": K, "extrinsics": [[1, 0]]}),
            "a transform has 16",
        ),
    ],
)
def test_what_is_broken_is_told_with_its_file(folder, content, says):
    (folder / "calibration.json").write_text(content)
    with pytest.raises(SourceError, match=rf"calibration\.json: .*{says}"):
        camera_in(folder)


@pytest.mark.skipif(not LIDAR.is_dir(), reason="needs ../shared/data/lidar/street_3cam")
def test_a_real_street_camera_is_read():
    camera = camera_in(LIDAR / "camera_01_0")
    assert camera.intrinsics.width_px == 1936
    assert camera.mount.height_m == pytest.approx(1.3548, abs=1e-3)
