"""OpenCV's YAML (FileStorage), as its calibration samples write it.

It is not read with OpenCV: on a file that is wrong, FileStorage trusts the sizes stated in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudypoints.calibration.numbers import lens, number, numbers, pinhole, size
from cloudypoints.calibration.yaml import as_number, as_numbers, document
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount
from cloudypoints.lens import Distortion

# What the samples of OpenCV and the programs around it call the same thing.
_MATRIX = ("camera_matrix", "Camera_Matrix", "cameraMatrix", "K", "M1")
_LENS = (
    "distortion_coefficients",
    "Distortion_Coefficients",
    "distCoeffs",
    "dist_coeffs",
    "D",
    "D1",
)
_WIDTH = ("image_width", "image_Width", "width")
_HEIGHT = ("image_height", "image_Height", "height")
_FIRST_LINE = "%YAML:1.0"  # which YAML itself writes with a space


def is_opencv(text: str) -> bool:
    """Whether FileStorage wrote it."""
    return text.startswith(_FIRST_LINE) or "!!opencv-matrix" in text


def parse_opencv(text: str, mount: Mount) -> Camera:
    """The camera of a FileStorage text. Raises CalibrationError, MissingExtra."""
    plain = text.removeprefix(_FIRST_LINE).replace("\\'", "'")  # two things that YAML has not
    storage = document(plain, "OpenCV's YAML")
    width_px, height_px = (
        size(key, as_number(storage[key]))
        for key in (_found(storage, names) for names in (_WIDTH, _HEIGHT))
    )
    matrix = _found(storage, _MATRIX)
    intrinsics = pinhole(matrix, width_px, height_px, _values(matrix, storage[matrix]))
    key = _found(storage, _LENS)
    coefficients = _values(key, storage[key])
    if as_number(storage.get("fisheye_model")) == 1:
        distortion = Distortion("fisheye", coefficients)
    else:
        distortion = lens(key, coefficients)
    return Camera(intrinsics, distortion, mount, calibration="file")


def _values(key: str, matrix: Any) -> tuple[float, ...]:
    if not isinstance(matrix, dict) or not {"rows", "cols", "data"} <= matrix.keys():
        raise CalibrationError(f"{key} must be a matrix of OpenCV: rows, cols, dt and data")
    values = numbers(f"{key}.data", as_numbers(matrix["data"]))
    rows, cols = (number(f"{key}.{side}", as_number(matrix[side])) for side in ("rows", "cols"))
    if rows * cols != len(values):
        raise CalibrationError(
            f"{key} has {rows:g} rows of {cols:g} numbers, but its data holds {len(values)}"
        )
    return values


def _found(storage: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of these keys that the file has."""
    for name in names:
        if name in storage:
            return name
    raise CalibrationError(f"no {names[0]} (looked for {', '.join(names)})")
