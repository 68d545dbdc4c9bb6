"""Pictures and calibrations in other people's messages: ROS 1, ROS 2 and Foxglove alike.

Decoded messages differ by library (attributes, protobuf, JSON), not by what their fields are
called; here they become one thing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from cloudypoints.calibration.numbers import lens, pinhole
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount
from cloudypoints.lens import Distortion
from cloudypoints.timing import NS_PER_S

# The last word of a message's type, whoever defines it.
PICTURES = ("CompressedImage", "Image", "RawImage", "CompressedVideo")
CALIBRATIONS = ("CameraInfo", "CameraCalibration")
_PACKAGES = ("sensor_msgs", "foxglove", "foxglove_msgs")

_LENSES = {"": "none", "none": "none", "plumb_bob": "plumb_bob", "rational_polynomial": "rational"}
_LENSES |= {"equidistant": "fisheye", "fisheye": "fisheye", "kannala_brandt": "fisheye"}


@dataclass(frozen=True, slots=True)
class Coded:
    """A picture as it lies in a message."""

    stamp_ns: int  # UTC; 0 where the message does not say
    coding: str  # jpeg, png, h264, rgb8, ... in small letters
    content: Any  # bytes-like
    size_px: tuple[int, int] = (0, 0)  # width, height, and ...
    step: int = 0  # ... bytes a row, of uncompressed ones
    big_endian: bool = False
    colours: tuple[int, int] = (2, 0)  # matrix and range of a video that does not say them itself


def kind_of(type_name: str) -> str:
    """`Image` of `sensor_msgs/msg/Image` and `foxglove.Image`; "" of other packages' types."""
    words = type_name.replace(".", "/").split("/")
    return words[-1] if words[0] in _PACKAGES and len(words) > 1 else ""


def coded_from(kind: str, message: Any) -> Coded:
    """The picture in a message of one of the PICTURES. Raises AttributeError where it is none."""
    stamp_ns = stamp_of(message)
    if kind in ("Image", "RawImage"):
        size_px = int(message.width), int(message.height)
        big_endian = bool(getattr(message, "is_bigendian", False))
        coding = str(message.encoding).lower()
        return Coded(stamp_ns, coding, message.data, size_px, int(message.step), big_endian)
    return Coded(stamp_ns, _coding(str(message.format)), message.data)


def stamp_of(message: Any) -> int:
    """UTC nanoseconds; 0 where it does not say."""
    header = getattr(message, "header", None)
    stamp = header.stamp if header is not None else getattr(message, "timestamp", None)
    if stamp is None:
        return 0
    seconds = getattr(stamp, "seconds", None)
    seconds = stamp.sec if seconds is None else seconds
    for name in ("nanos", "nanosec", "nsec"):
        if hasattr(stamp, name):
            return int(seconds) * NS_PER_S + int(getattr(stamp, name))
    return int(seconds) * NS_PER_S


def camera_from(message: Any, *, rectified: bool) -> Camera | None:
    """The camera in a calibration; of its `rectified` pictures, or as they come off the sensor.

    None where it says that nobody calibrated it (K is zero). Raises CalibrationError.
    """
    matrix, projection = (_numbers(message, name, name.lower()) for name in ("K", "P"))
    if not any(matrix):
        return None
    width_px, height_px = int(message.width), int(message.height)
    distortion = Distortion()
    if rectified and any(projection):
        matrix = (*projection[:3], *projection[4:7], *projection[8:11])
    elif not rectified:
        distortion = _lens(message)
    intrinsics = pinhole("K", width_px, height_px, matrix)
    return Camera(intrinsics, distortion, Mount(), calibration="source")


def from_json(document: Any) -> Any:
    """A message as JSON has it, with attributes; what is called `data` is base64."""
    if isinstance(document, Mapping):
        fields = {str(key): from_json(value) for key, value in document.items()}
        if isinstance(fields.get("data"), str):
            fields["data"] = base64.b64decode(fields["data"])
        return SimpleNamespace(**fields)
    return document


def _lens(message: Any) -> Distortion:
    stated = str(message.distortion_model)
    model = _LENSES.get(stated)
    if model is None:
        raise CalibrationError(f"distortion_model {stated!r}; known are {', '.join(_LENSES)}")
    coefficients = _numbers(message, "D", "d")
    if model == "none" or not any(coefficients):
        return Distortion()
    if model == "fisheye":
        return Distortion(model, coefficients[:4])
    return lens("D", coefficients)


def _numbers(message: Any, *names: str) -> tuple[float, ...]:
    """ROS 1 and Foxglove write K, ROS 2 writes k."""
    for name in names:
        if hasattr(message, name):
            return tuple(float(value) for value in getattr(message, name))
    raise CalibrationError(f"a calibration without {names[0]}")


def _coding(stated: str) -> str:
    """`jpeg` of ROS's `rgb8; jpeg compressed bgr8`, else what is stated."""
    words = stated.lower().replace(";", " ").split()
    for coding in ("compresseddepth", "jpeg", "jpg", "png", "webp", "tiff", "bmp"):
        if coding in words:
            return coding
    return words[0] if words else "jpeg"
