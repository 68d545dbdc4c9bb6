"""OpenCV's YAML (FileStorage), as its calibration samples write it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudypoints.calibration.numbers import lens, numbers, pinhole, size
from cloudypoints.errors import CalibrationError, MissingExtra
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


def parse_opencv(text: str, mount: Mount) -> Camera:
    """The camera of a FileStorage text. Raises CalibrationError, MissingExtra."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("reading OpenCV's YAML", "node") from error
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    except (cv2.error, SystemError) as error:
        raise CalibrationError(f"not OpenCV's YAML: {error}") from error
    try:
        return _camera_from(storage, mount)
    finally:
        storage.release()


def _camera_from(storage: Any, mount: Mount) -> Camera:
    width_px, height_px = (
        size(names[0], _found(storage, names).real()) for names in (_WIDTH, _HEIGHT)
    )
    matrix = _values(storage, _MATRIX)
    intrinsics = pinhole(_MATRIX[0], width_px, height_px, matrix)
    coefficients = _values(storage, _LENS)
    fisheye = storage.getNode("fisheye_model")
    if not fisheye.empty() and fisheye.real() == 1:
        distortion = Distortion("fisheye", coefficients)
    else:
        distortion = lens(_LENS[0], coefficients)
    return Camera(intrinsics, distortion, mount, calibration="file")


def _values(storage: Any, names: tuple[str, ...]) -> tuple[float, ...]:
    matrix = _found(storage, names).mat()
    if matrix is None:
        raise CalibrationError(f"{names[0]} is not a matrix of OpenCV")
    return numbers(names[0], np.asarray(matrix, np.float64).ravel().tolist())


def _found(storage: Any, names: tuple[str, ...]) -> Any:
    """The first of these nodes that the file has."""
    for name in names:
        node = storage.getNode(name)
        if not node.empty():
            return node
    raise CalibrationError(f"no {names[0]} (looked for {', '.join(names)})")
