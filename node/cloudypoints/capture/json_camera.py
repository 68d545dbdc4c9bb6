"""A camera beside its pictures: `camera.json` or `calibration.json` in their folder.

Size, matrix and, where they are there, distortion and place, under the names that datasets use:

    {"width": 1936, "height": 1216, "K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
     "distortion": [k1, k2, p1, p2], "T_vehicle_camera_optical": 4x4}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.calibration.numbers import lens, numbers, pinhole, size
from cloudypoints.errors import CalibrationError, SourceError
from cloudypoints.geometry import Camera, Mount
from cloudypoints.lens import Distortion

NAMES = ("camera.json", "calibration.json")
_WIDTH = ("width", "image_width", "width_px")
_HEIGHT = ("height", "image_height", "height_px")
_MATRIX = ("K", "camera_intrinsic", "camera_matrix", "intrinsics")
_LENS = ("distortion", "D", "distortion_coefficients")
_PLACE = ("T_vehicle_camera_optical", "vehicle_from_camera", "extrinsics")

# Optical axes (right, down, forward) written in vehicle axes (forward, left, up).
_VEHICLE_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def camera_beside(folder: Path) -> Camera | None:
    """The camera in the folder's JSON; None without one. Raises SourceError."""
    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        document = json.loads(path.read_bytes())
        return _camera_from(document)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON: {error}") from error
    except CalibrationError as error:
        raise SourceError(f"{path}: {error}") from error


def mount_of(vehicle_from_camera: NDArray[np.float64]) -> Mount:
    """Height, offsets and angles of a transform (4, 4). Raises CalibrationError."""
    turn = vehicle_from_camera[:3, :3] @ _VEHICLE_FROM_OPTICAL.T  # yaw · pitch · roll
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) or np.linalg.det(turn) < 0:
        raise CalibrationError("the camera's place is no rotation and translation")
    x_m, y_m, height_m = (float(value) for value in vehicle_from_camera[:3, 3])
    return Mount(
        height_m=height_m,
        roll_rad=math.atan2(turn[2, 1], turn[2, 2]),
        pitch_rad=math.asin(max(-1.0, min(-float(turn[2, 0]), 1.0))),
        yaw_rad=math.atan2(turn[1, 0], turn[0, 0]),
        x_m=x_m,
        y_m=y_m,
    )


def rotation_of(wxyz: Sequence[float]) -> NDArray[np.float64]:
    """(3, 3) of a quaternion, its real part first. Raises CalibrationError."""
    w, x, y, z = (float(value) for value in wxyz)
    norm = math.hypot(w, x, y, z)
    if not norm > 0:
        raise CalibrationError(f"rotation {tuple(wxyz)}: not a quaternion")
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _camera_from(document: Any) -> Camera:
    if not isinstance(document, dict):
        raise CalibrationError("not a camera: expected width, height and K")
    width_px = size("width", _found(document, _WIDTH))
    height_px = size("height", _found(document, _HEIGHT))
    matrix = pinhole("K", width_px, height_px, _flat("K", _found(document, _MATRIX)))
    coefficients: Any = next((document[name] for name in _LENS if name in document), [])
    place = next((document[name] for name in _PLACE if name in document), None)
    mount = Mount() if place is None else mount_of(_transform(place))
    distortion = lens("distortion", numbers("distortion", coefficients))
    return Camera(matrix, distortion or Distortion(), mount, calibration="source")


def _transform(rows: Any) -> NDArray[np.float64]:
    values = _flat("the camera's place", rows)
    if len(values) != 16:
        raise CalibrationError(f"the camera's place has {len(values)} numbers: a transform has 16")
    return np.array(values, np.float64).reshape(4, 4)


def _flat(key: str, rows: Any) -> tuple[float, ...]:
    """Of a list of numbers, or of rows of them."""
    if isinstance(rows, list) and all(isinstance(row, list) for row in rows):
        rows = [value for row in rows for value in row]
    return numbers(key, rows)


def _found(document: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in document:
            return document[name]
    raise CalibrationError(f"no {names[0]} in it (looked for {', '.join(names)})")
