"""Other people's messages become one thing, by the names of their fields."""

from __future__ import annotations

from types import SimpleNamespace as Of

import pytest

from cloudypoints.capture.messages import camera_from, coded_from, from_json, kind_of, stamp_of
from cloudypoints.errors import CalibrationError

K = [300.0, 0, 159.5, 0, 300.0, 119.5, 0, 0, 1]
NONE = Of(width=320, height=240, K=[0.0] * 9, P=[0.0] * 12, D=[], distortion_model="")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sensor_msgs/msg/CompressedImage", "CompressedImage"),
        ("sensor_msgs/Image", "Image"),
        ("foxglove.CompressedVideo", "CompressedVideo"),
        ("foxglove_msgs/msg/CameraCalibration", "CameraCalibration"),
        ("mine.Image", ""),
        ("Image", ""),
        ("", ""),
    ],
)
def test_a_kind_is_the_last_word_of_packages_that_are_known(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    "stamp",
    [Of(sec=2, nanosec=5), Of(sec=2, nsec=5), Of(seconds=2, nanos=5)],
    ids=["ROS", "JSON", "protobuf"],
)
def test_stamps_are_read_whoever_wrote_them(stamp):
    assert stamp_of(Of(timestamp=stamp)) == stamp_of(Of(header=Of(stamp=stamp))) == 2_000_000_005


def test_a_message_without_a_stamp_says_0():
    assert stamp_of(Of(data=b"")) == 0


@pytest.mark.parametrize(
    ("stated", "coding"),
    [
        ("jpeg", "jpeg"),
        ("rgb8; jpeg compressed bgr8", "jpeg"),
        ("bgr8; png compressed", "png"),
        ("16UC1; compressedDepth", "compresseddepth"),
        ("h264", "h264"),
        ("", "jpeg"),
    ],
)
def test_the_coding_is_found_in_what_is_stated(stated, coding):
    assert coded_from("CompressedImage", Of(format=stated, data=b"x")).coding == coding


def test_a_camera_that_nobody_calibrated_is_none():
    assert camera_from(NONE, rectified=False) is None


@pytest.mark.parametrize(
    ("model", "coefficients", "ours"),
    [
        ("plumb_bob", [0.1, 0.2, 0, 0, 0], "plumb_bob"),
        ("plumb_bob", [0.0] * 5, "none"),
        ("rational_polynomial", [0.1] * 8, "rational"),
        ("equidistant", [0.1, 0, 0, 0], "fisheye"),
        ("kannala_brandt", [0.1, 0, 0, 0], "fisheye"),
        ("", [], "none"),
    ],
)
def test_lenses_are_called_as_we_call_them(model, coefficients, ours):
    info = Of(width=320, height=240, k=K, p=[], d=coefficients, distortion_model=model)
    assert camera_from(info, rectified=False).distortion.model == ours


def test_an_unknown_lens_is_refused():
    info = Of(width=320, height=240, K=K, P=[], D=[0.1], distortion_model="cat_eye")
    with pytest.raises(CalibrationError, match="distortion_model 'cat_eye'; known are"):
        camera_from(info, rectified=False)


def test_json_has_its_fields_as_attributes_and_its_bytes_decoded():
    message = from_json({"timestamp": {"sec": 1, "nsec": 2}, "data": "aGk="})
    assert (message.timestamp.nsec, message.data) == (2, b"hi")
