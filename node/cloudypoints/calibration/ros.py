"""ROS `camera_info` YAML, as `camera_calibration` writes and `camera_info_manager` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudypoints.calibration.numbers import lens, numbers, pinhole, size
from cloudypoints.errors import CalibrationError, MissingExtra
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
    document = _document(text)
    width_px, height_px = (
        size(key, _entry(document, key)) for key in ("image_width", "image_height")
    )
    matrix = numbers("camera_matrix.data", _data(document, "camera_matrix"))
    intrinsics = pinhole("camera_matrix.data", width_px, height_px, matrix)
    return Camera(intrinsics, _lens(document), mount, calibration="file")


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


def _document(text: str) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("reading camera_info YAML", "node") from error
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise CalibrationError(f"not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise CalibrationError("not a camera_info file: it holds no keys")
    return document


def _lens(document: Mapping[str, Any]) -> Distortion:
    stated = str(document.get("distortion_model") or "")
    model = _OURS.get(stated)
    if model is None:
        raise CalibrationError(
            f"distortion_model {stated!r}; known are {', '.join(name for name in _OURS if name)}"
        )
    if model == "none":
        return Distortion()
    key = "distortion_coefficients.data"
    coefficients = numbers(key, _data(document, "distortion_coefficients"))
    return Distortion(model, coefficients) if model == "fisheye" else lens(key, coefficients)


def _data(document: Mapping[str, Any], key: str) -> Any:
    matrix = _entry(document, key)
    if not isinstance(matrix, dict) or "data" not in matrix:
        raise CalibrationError(f"{key} must hold rows, cols and data")
    return matrix["data"]


def _entry(document: Mapping[str, Any], key: str) -> Any:
    if key not in document:
        raise CalibrationError(f"no {key}: not a camera_info file of ROS")
    return document[key]
