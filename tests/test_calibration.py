"""Cameras survive the way through a file; a file that is wrong is told where."""

import pytest

from cloudypoints.calibration import dump_camera, load_camera
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Distortion, Intrinsics, Mount

CAMERA = Camera(
    Intrinsics(1280, 720, 1001.5, 998.25, 640.5, 361.0),
    Distortion("plumb_bob", (-0.25, 0.03, 0.0001, -0.0002)),
    Mount(1.45, 0.01, 0.05, -0.02, 1.7, 0.1),
    calibration="file",
)


def test_a_camera_comes_back_from_its_file(tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(dump_camera(CAMERA))
    loaded = load_camera(path)
    assert loaded.intrinsics == CAMERA.intrinsics
    assert loaded.distortion == CAMERA.distortion
    assert loaded.calibration == "file"
    for name in ("height_m", "roll_rad", "pitch_rad", "yaw_rad", "x_m", "y_m"):
        assert getattr(loaded.mount, name) == pytest.approx(getattr(CAMERA.mount, name), abs=1e-12)


def test_lens_and_mount_may_be_left_out(tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(dump_camera(CAMERA).split("[distortion]", maxsplit=1)[0])
    assert load_camera(path).mount == Mount()
    assert load_camera(path).distortion == Distortion()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("fx_px", "fx"), r"\[intrinsics\]: unknown fx; known are width_px"),
        (("fx_px = 1001.5\n", ""), "lacks fx_px"),
        (("1001.5", '"wide"'), "intrinsics.fx_px = 'wide': must be a number"),
        (("1001.5", "-1001.5"), "positive and finite"),
        (("[mount]", "[mounting]"), r"unknown \[mounting\]; known are intrinsics"),
        (("[intrinsics]", "[intrinsics"), "not TOML"),
        (("plumb_bob", "barrel"), "known are none"),
        (("pitch_deg = ", "pitch_deg = 9"), "upside down"),
    ],
)
def test_a_wrong_file_is_told_where(tmp_path, change, says):
    path = tmp_path / "camera.toml"
    text = dump_camera(CAMERA)
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(CalibrationError, match=f"camera.toml: .*{says}"):
        load_camera(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(CalibrationError, match=r"none\.toml: cannot be read: No such file"):
        load_camera(tmp_path / "none.toml")
