"""ROS `camera_info` YAML, as `camera_calibration` writes and `camera_info_manager` reads it."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from typing import Any

from cloudypoints.calibration.numbers import lens, numbers, pinhole, size
from cloudypoints.calibration.yaml import as_number, as_numbers, document
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount
from cloudypoints.lens import Distortion

# ROS's names (sensor_msgs/distortion_models.h, image_geometry) and ours.
_OURS = {
    "plumb_bob": "plumb_bob",
    "rational_polynomial": "rational",
    "equidistant": "fisheye",
    "fisheye": "fisheye",
    "": "none",
}
_ROS = {
    "none": "plumb_bob",
    "plumb_bob": "plumb_bob",
    "rational": "rational_polynomial",
    "fisheye": "equidistant",
}


def parse_camera_info(text: str, mount: Mount) -> Camera:
    """The camera of the unrectified pictures (K and D). Raises CalibrationError, MissingExtra."""
    info = document(text, "YAML")
    width_px, height_px = (
        size(key, as_number(_entry(info, key))) for key in ("image_width", "image_height")
    )
    matrix = _data(info, "camera_matrix")
    intrinsics = pinhole("camera_matrix.data", width_px, height_px, matrix)
    return Camera(intrinsics, _lens(info), mount, calibration="file")


def dump_camera_info(camera: Camera, name: str) -> str:
    """The YAML text of a camera, for `camera_info_url` in ROS 1 and 2."""
    k, lens_ = camera.intrinsics, camera.distortion
    matrix = [k.fx_px, 0.0, k.cx_px, 0.0, k.fy_px, k.cy_px, 0.0, 0.0, 1.0]
    projection = [k.fx_px, 0.0, k.cx_px, 0.0, 0.0, k.fy_px, k.cy_px, 0.0, 0.0, 0.0, 1.0, 0.0]
    coefficients = list(lens_.coefficients)
    if _ROS[lens_.model] == "plumb_bob":
        coefficients += [0.0] * (5 - len(coefficients))
    lines = [
        f"image_width: {k.width_px}",
        f"image_height: {k.height_px}",
        f"camera_name: {json.dumps(name)}",
        *_matrix("camera_matrix", 3, matrix),
        f"distortion_model: {_ROS[lens_.model]}",
        *_matrix("distortion_coefficients", 1, coefficients),
        *_matrix("rectification_matrix", 3, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        *_matrix("projection_matrix", 3, projection),
    ]
    return "\n".join(lines) + "\n"


def _matrix(key: str, rows: int, values: list[float]) -> list[str]:
    return [f"{key}:", f"  rows: {rows}", f"  cols: {len(values) // rows}", f"  data: {values}"]


def _lens(info: Mapping[str, Any]) -> Distortion:
    stated = info.get("distortion_model", "")
    if not isinstance(stated, str) or stated not in _OURS:
        known = ", ".join(name for name in _OURS if name)
        raise CalibrationError(f"distortion_model {reprlib.repr(stated)}; known are {known}")
    model = _OURS[stated]
    if model == "none":
        return Distortion()
    key = "distortion_coefficients"
    coefficients = _data(info, key)
    if model == "fisheye":
        return Distortion(model, coefficients)
    return lens(f"{key}.data", coefficients)


def _data(info: Mapping[str, Any], key: str) -> tuple[float, ...]:
    matrix = _entry(info, key)
    if not isinstance(matrix, dict) or "data" not in matrix:
        raise CalibrationError(f"{key} must hold rows, cols and data")
    return numbers(f"{key}.data", as_numbers(matrix["data"]))


def _entry(info: Mapping[str, Any], key: str) -> Any:
    if key not in info:
        raise CalibrationError(f"no {key}: not a camera_info file of ROS")
    return info[key]
