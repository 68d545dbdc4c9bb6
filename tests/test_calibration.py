"""Cameras survive the way through a file; a file that is wrong is told where."""

import logging

import cv2
import numpy as np
import pytest
import yaml

from cloudypoints.calibration import dump_camera, dump_camera_info, dump_lens, load_camera
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


def test_what_a_file_does_not_say_of_the_mount_is_the_callers(tmp_path):
    path, believed = tmp_path / "camera.toml", Mount(2.5, 0.0, 0.1, 0.2)
    path.write_text(dump_lens(CAMERA))
    assert load_camera(path, believed).mount == believed
    path.write_text(dump_lens(CAMERA) + "[mount]\nheight_m = 3.0\n")
    assert load_camera(path, believed).mount == Mount(3.0, 0.0, 0.1, 0.2)


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
        (("1280", "1280.5"), "whole number of pixels"),
        (("1280", "1" + "[" * 3000), "not TOML"),
        (("1280", "1" + "0" * 400), r"intrinsics.width_px = 10+\.\.\.0+: far too large"),
        (("1280", "1" + "0" * 5000), "not TOML"),
        (("720", "1e18"), "height_px = 1e[+]18: must be a whole number of pixels, 1 to 65535"),
        (("1001.5", "1e300"), "fx 1e[+]300, .* for a picture of 1280×720 px: must be between 1.28"),
        (("640.5", "1e300"), "must be in or near the picture of 1280×720"),
        (("0.0001,", "1e300,"), "those of a lens are mostly below 1"),
        (("[mount]", '["mou\\nnt"]'), r"unknown \[mou nt\]"),
        ((dump_camera(CAMERA), "mount = 5"), r"mount must be a table: \[mount\]"),
        (("-0.25", "-2.5"), r"folds the picture over in \d+% of it"),
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


# --- Other people's files -------------------------------------------------------------------------

LENSES = [
    Distortion(),
    Distortion("plumb_bob", (-0.25, 0.03, 0.0001, -0.0002, 0.01)),
    Distortion("rational", (0.1, -0.05, 0.0004, 0.0003, 0.01, 0.12, -0.02, 0.001)),
    Distortion("fisheye", (-0.02, 0.004, -0.001, 0.0002)),
]


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.model)
def test_a_camera_comes_back_from_a_camera_info_file(tmp_path, lens):
    path = tmp_path / "front.yaml"
    camera = Camera(CAMERA.intrinsics, lens, calibration="file")
    path.write_text(dump_camera_info(camera, "front"))
    assert load_camera(path) == camera


def test_a_camera_info_file_has_what_ros_expects():
    read = yaml.safe_load(dump_camera_info(CAMERA, "front: left"))
    assert read["camera_name"] == "front: left"
    assert read["distortion_model"] == "plumb_bob"
    assert read["distortion_coefficients"]["data"] == [-0.25, 0.03, 0.0001, -0.0002, 0.0]
    for key, shape in (("camera_matrix", (3, 3)), ("projection_matrix", (3, 4))):
        assert (read[key]["rows"], read[key]["cols"]) == shape
        assert np.reshape(read[key]["data"], shape)[1, 1] == 998.25


ROS = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo/left
camera_matrix:
  rows: 3
  cols: 3
  data: [500.5, 0, 320.25, 0, 501, 240.75, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.001, 0, 0]
"""
KITTI_RAW = """\
calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_02: 1.392000e+03 5.120000e+02
K_02: 9.597910e+02 0.000000e+00 6.960217e+02 0.000000e+00 9.569251e+02 2.241806e+02 0 0 1
D_02: -3.691481e-01 1.968681e-01 1.353473e-03 5.677587e-04 -6.770705e-02
S_rect_02: 1.242000e+03 3.750000e+02
P_rect_02: 7.215377e+02 0 6.095593e+02 4.485728e+01 0 7.215377e+02 1.728540e+02 2.163791e-01 0 0 1 0
S_rect_03: 1.242000e+03 3.750000e+02
P_rect_03: 7.2e+02 0 6.0e+02 -3.395242e+02 0 7.2e+02 1.7e+02 2.199936e+00 0 0 1 2.729905e-03
"""
KITTI_ODOMETRY = """\
P0: 718.856 0 607.1928 0 0 718.856 185.2157 0 0 0 1 0
P2: 718.856 0 607.1928 45.38225 0 718.856 185.2157 -0.1130887 0 0 1 0.003779761
Tr: 0.00042 -0.99996 -0.00808 -0.0119 -0.00721 0.0080 -0.9999 -0.054 0.9999 0.0004 -0.007 -0.29
"""


@pytest.mark.parametrize(
    ("name", "text", "entry", "expected"),
    [
        ("info.yaml", ROS, "", (640, 480, 500.5, 501.0, 320.25, 240.75)),
        ("cam_to_cam.txt", KITTI_RAW, "", (1242, 375, 721.5377, 721.5377, 609.5593, 172.854)),
        ("cam_to_cam.txt", KITTI_RAW, "#P_rect_03", (1242, 375, 720.0, 720.0, 600.0, 170.0)),
        ("cam_to_cam.txt", KITTI_RAW, "#K_02", (1392, 512, 959.791, 956.9251, 696.0217, 224.1806)),
        (
            "calib.txt",
            KITTI_ODOMETRY,
            "#P2,1241x376",
            (1241, 376, 718.856, 718.856, 607.1928, 185.2157),
        ),
    ],
)
def test_files_of_ros_and_kitti_are_read(tmp_path, name, text, entry, expected):
    (tmp_path / name).write_text(text)
    camera = load_camera(tmp_path / f"{name}{entry}", Mount(1.65))
    assert camera == Camera(Intrinsics(*expected), camera.distortion, Mount(1.65), "file")


def test_unrectified_pictures_of_kitti_keep_their_lens(tmp_path):
    (tmp_path / "calib.txt").write_text(KITTI_RAW)
    lens = load_camera(tmp_path / "calib.txt#K_02").distortion
    assert lens.model == "plumb_bob"
    assert lens.coefficients == (-0.3691481, 0.1968681, 0.001353473, 0.0005677587, -0.06770705)


def test_a_number_sign_may_belong_to_a_files_own_name(tmp_path):
    path = tmp_path / "camera#2.toml"
    path.write_text(dump_camera(CAMERA))
    assert load_camera(path).intrinsics == CAMERA.intrinsics


@pytest.mark.parametrize("fisheye", [0, 1])
def test_what_opencv_itself_writes_is_read(tmp_path, fisheye):
    path = tmp_path / "out_camera_data.yml"
    coefficients = [-0.02, 0.004, -0.001, 0.0002]
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 1280)
    storage.write("image_height", 720)
    storage.write("calibration_time", 'Tue 22 Nov, 5 o\'clock: "early"')
    storage.writeComment("flags: +fix_aspectRatio", append=False)
    storage.write("per_view_reprojection_errors", np.array([[0.25, np.nan, np.inf]]))
    storage.write("image_points", np.ones((2, 4, 2), np.float32))
    storage.write("fisheye_model", fisheye)
    storage.write("camera_matrix", CAMERA.intrinsics.matrix)
    storage.write("distortion_coefficients", np.array([coefficients]).T)
    storage.release()
    camera = load_camera(path)
    assert camera.intrinsics == CAMERA.intrinsics
    model = {0: "plumb_bob", 1: "fisheye"}[fisheye]
    assert camera.distortion == Distortion(model, tuple(coefficients))


OPENCV = """\
%YAML:1.0
---
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 500., 0., 320., 0., 500., 240., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ -0.3, 0.1, 0.001, 0., 0. ]
"""


@pytest.mark.parametrize(
    ("name", "text", "change", "says"),
    [
        ("a.yaml", ROS, ("image_width: 640\n", ""), "no image_width: not a camera_info file"),
        ("a.yaml", ROS, ("500.5, 0,", "500.5, 2,"), "skew"),
        ("a.yaml", ROS, ("[500.5, 0, 320.25, 0, 501, 240.75", "[0, 0, 0, 0, 0, 0"), "never calib"),
        ("a.yaml", ROS, ("500.5", "-500.5"), "focal lengths fx -500.5"),
        ("a.yaml", ROS, ("500.5", "wide"), "data = 'wide': must be a number"),
        ("a.yaml", ROS, (", 0, 0, 1]", "]"), "has 6 numbers"),
        ("a.yaml", ROS, ("plumb_bob", "equirectangular"), "known are plumb_bob, rational_poly"),
        ("a.yaml", ROS, ("-0.3, 0.1", "-3.0, 0.1"), "folds the picture over"),
        ("a.yaml", ROS, ("640", "[" * 3000), "not YAML"),
        ("a.yaml", ROS, (ROS, "- 1"), "holds no keys"),
        ("a.yml", OPENCV, ("image_height: 480\n", ""), "no image_height"),
        ("a.yml", OPENCV, ("camera_matrix", "matrix"), "looked for camera_matrix, Camera_Matrix"),
        ("a.yaml", ROS, ("plumb_bob", "[a]"), r"distortion_model \['a'\]; known are plumb_bob"),
        ("a.yml", OPENCV, ("rows: 5", "rows: [5"), "not OpenCV's YAML"),
        ("a.yml", OPENCV, ("-0.3", "x"), "distortion_coefficients.data = 'x': must be a number"),
        ("a.yml", OPENCV, ("rows: 5", "rows: 4"), "4 rows of 1 numbers, but its data holds 5"),
        ("a.yml", OPENCV, ("cols: 3", "cols: 2147483648"), "but its data holds 9"),
        ("a.yml", OPENCV, ("   cols: 3\n", ""), "camera_matrix must be a matrix of OpenCV: rows, "),
        ("a.yml", OPENCV, ("640", '""'), "image_width = '': must be a number"),
        ("a.yml", OPENCV, ("480", "[]"), r"image_height = \[\]: must be a number"),
        ("a.yml", OPENCV, ("480", "1e18"), "must be a whole number of pixels, 1 to 65535"),
        ("a.txt", KITTI_RAW, ("1.242000e+03", "nan"), "S_rect_02 = nan: must be a whole number"),
        ("a.txt", KITTI_RAW, ("7.215377e+02", "x"), "P_rect_02 = 'x': must be a number"),
        ("a.txt#K_02", KITTI_RAW, ("D_02", "D_2"), "no line D_02"),
        ("a.txt#P2,0x376", KITTI_ODOMETRY, ("", ""), "width = 0: must be a whole number"),
        ("a.txt#P_rect_07", KITTI_RAW, ("", ""), "known are K_02, P_rect_02, P_rect_03"),
        ("a.txt", KITTI_ODOMETRY, ("", ""), r"no size of the pictures .*#P2,1241x376"),
        ("a.txt#P2,wide", KITTI_ODOMETRY, ("", ""), "must be like 1241x376"),
        ("a.txt", KITTI_ODOMETRY, (KITTI_ODOMETRY, "hello"), "not KITTI's"),
        ("a.yaml#left", ROS, ("", ""), "only KITTI's .txt has several"),
        ("a.ini", ROS, ("", ""), r"calibrations end in .toml \(ours\), .yaml"),
    ],
)
def test_wrong_files_of_others_are_told_too(tmp_path, name, text, change, says):
    assert change[0] in text
    (tmp_path / name.partition("#")[0]).write_text(text.replace(*change, 1))
    with pytest.raises(CalibrationError, match=rf"{name.partition('#')[0]}: .*{says}"):
        load_camera(tmp_path / name)


def test_a_picture_may_have_any_shape(tmp_path):
    path = tmp_path / "line.toml"
    path.write_text(dump_camera(CAMERA).replace("1280", "1").replace("640.5", "0.5"))
    assert load_camera(path).intrinsics.width_px == 1


def test_a_fisheye_that_sees_nothing_is_told(tmp_path):
    path, fisheye = tmp_path / "camera.toml", Distortion("fisheye", (-30.0, 0.0, 0.0, 0.0))
    path.write_text(dump_camera(Camera(CAMERA.intrinsics, fisheye)))
    with pytest.raises(CalibrationError, match=r"leave 9\d% of the picture without a ray"):
        load_camera(path)


def test_exponents_are_written_as_every_language_does(tmp_path):
    (tmp_path / "a.yaml").write_text(ROS.replace("0.001,", "1e-05,"))
    assert load_camera(tmp_path / "a.yaml").distortion.coefficients[2] == 1e-5
    (tmp_path / "a.yml").write_text(OPENCV.replace("0.001,", "1e-05,"))
    assert load_camera(tmp_path / "a.yml").distortion.coefficients[2] == 1e-5


def test_a_file_that_is_no_text_or_too_large_is_told(tmp_path):
    path = tmp_path / "camera.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CalibrationError, match="not text"):
        load_camera(path)
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(CalibrationError, match="larger than any calibration"):
        load_camera(path)


def test_corners_that_the_lens_does_not_reach_are_a_warning(tmp_path, caplog):
    path = tmp_path / "camera.toml"
    #  r (1 - r² / 3) rises to 2 / 3 at most: 213 px of 320 in a corner of 200 × 150
    lens = Distortion("plumb_bob", (-1 / 3, 0.0, 0.0, 0.0))
    path.write_text(dump_camera(Camera(Intrinsics(400, 300, 340.0, 340.0, 199.5, 149.5), lens)))
    with caplog.at_level(logging.WARNING):
        load_camera(path)
    assert "no ray for" in caplog.text
