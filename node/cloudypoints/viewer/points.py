"""Clouds as a renderer takes them: few enough points, places and colours as float32.

Places stay in the camera's optical frame; the renderer moves them by `vehicle_from_camera`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import by_category, by_distance, by_height, turbo
from cloudypoints.confidence import confidence_of
from cloudypoints.messages import Array

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]  # (4, 4)

_OLD_LIGHT = 0.35  # how bright a cloud is that is no longer live


def thinned(points: Array, budget: int) -> Array:
    """At most `budget` points, flat (N,): every n-th of rows and columns, or of a list.

    The same ones of every cloud of a size, so that a standing scene stands still.
    """
    if points.size <= budget:
        return points.reshape(-1)
    step = math.ceil(math.sqrt(points.size / budget))
    if points.ndim == 2 and min(points.shape) >= step:
        return points[step - 1 :: step, step - 1 :: step].reshape(-1)
    step = math.ceil(points.size / budget)
    return points.reshape(-1)[step - 1 :: step].copy()


def places(points: Array) -> Floats:
    """(N, 3) metres; unknown points lie on the first known one. Empty where none is known."""
    xyz_m: Floats = _columns(points, "xyz", np.float32)
    unknown = ~np.isfinite(xyz_m[:, 2])
    if not unknown.any():
        return xyz_m
    if unknown.all():
        return xyz_m[:0]
    xyz_m[unknown] = xyz_m[np.argmin(unknown)]
    return xyz_m


def by_picture(points: Array, vehicle_from_camera: Matrix) -> Floats:
    """The colours that the camera saw."""
    return _floats(_columns(points, "rgb", np.uint8))


def by_depth(points: Array, vehicle_from_camera: Matrix) -> Floats:
    """Near is red, far is blue."""
    return _floats(by_distance(points["z"]))


def by_height_above_ground(points: Array, vehicle_from_camera: Matrix) -> Floats:
    """Low is blue, high is red."""
    row = vehicle_from_camera[2].astype(np.float32)
    height_m = row[0] * points["x"] + row[1] * points["y"] + row[2] * points["z"] + row[3]
    return _floats(by_height(height_m))


def by_label(points: Array, vehicle_from_camera: Matrix) -> Floats:
    """The colours of the categories."""
    return _floats(by_category(points["label"]))


_BY_POINT: dict[str, Callable[[Array, Matrix], Floats]] = {
    "picture": by_picture,
    "depth": by_depth,
    "height": by_height_above_ground,
    "category": by_label,
}
# In the order of their keys 1, 2, 3, …
MODES = (*_BY_POINT, "confidence")


def coloured(mode: str, cloud: Array, budget: int, vehicle_from_camera: Matrix) -> Floats:
    """(N, 3) colours, by one of MODES, of what `thinned` leaves of a cloud."""
    if mode != "confidence":
        return _BY_POINT[mode](thinned(cloud, budget), vehicle_from_camera)
    if cloud.ndim == 2:
        return _floats(turbo(1 - thinned(confidence_of(cloud), budget)))
    unknown = np.full(thinned(cloud, budget).shape, np.nan)  # a compact cloud has no neighbours
    return _floats(turbo(unknown))


def greyed(colours: Floats) -> Floats:
    """What is no longer live: its brightness alone, and little of that."""
    light = colours @ np.array([0.30, 0.59, 0.11], np.float32) * np.float32(_OLD_LIGHT)
    return np.repeat(light[:, None], 3, axis=1)


def _columns(points: Array, names: str, dtype: Any) -> Any:
    """Three fields of flat points beside each other, (N, 3); numpy copies columns fastest."""
    beside = np.empty((points.size, 3), dtype)
    for column, name in enumerate(names):
        beside[:, column] = points[name]
    return beside


def _floats(colours: NDArray[np.uint8]) -> Floats:
    return np.multiply(colours, np.float32(1 / 255), dtype=np.float32)
