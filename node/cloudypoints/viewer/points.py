"""Clouds as a renderer takes them: few enough points, places and colours as float32.

Places stay in the camera's optical frame; the renderer moves them by `vehicle_from_camera`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import Colours, by_category, by_distance, by_height, turbo
from cloudypoints.confidence import confidence_of
from cloudypoints.messages import Array
from cloudypoints.picture.canvas import drawing

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]  # (4, 4)

BRIGHTNESS = np.array([0.30, 0.59, 0.11], np.float32)  # of red, green, blue
OLD_LIGHT = np.float32(0.35)  # how bright a cloud is that is no longer live


def thinned(points: Array, budget: int) -> Array:
    """At most `budget` points, flat (N,), and little fewer: rows and columns spread evenly.

    The same ones of every cloud of a size, so that a standing scene stands still.
    """
    if points.size <= budget:
        return points.reshape(-1)
    grid = points.reshape(1, -1) if points.ndim == 1 else points
    (high, wide), (rows, columns) = grid.shape, _kept(grid.shape, budget)
    return grid[np.ix_(_spread(high, rows), _spread(wide, columns))].reshape(-1)


def widest_step(points: Array, budget: int) -> int:
    """How many rows or columns of the grid those that `thinned` keeps lie apart, at most."""
    if points.ndim == 1 or points.size <= budget:
        return 1
    sides = zip(points.shape, _kept(points.shape, budget), strict=True)
    step: int = max(math.ceil(side / kept) for side, kept in sides)
    return step


def _kept(shape: tuple[int, ...], budget: int) -> tuple[int, int]:
    """So many rows and columns of a grid that has more points."""
    high, wide = shape
    rows = min(max(1, int(math.sqrt(high * budget / wide))), high, budget)
    return rows, min(wide, budget // rows)


def _spread(count: int, kept: int) -> NDArray[np.intp]:
    """So many of 0 … count - 1, at even steps but for rounding."""
    return (2 * np.arange(kept) + 1) * count // (2 * kept)


def write_places(points: Array, places_m: Floats) -> bool:
    """Metres, (N, 3), of points (N,); unknown ones lie on the first known one.

    False, and nothing of use, where none is known.
    """
    if not len(points):
        return False
    values = np.ascontiguousarray(points).view(np.float32).reshape(1, -1, 4)
    cv2 = drawing()  # leaves out the fourth column many times faster than numpy does
    cv2.cvtColor(values, cv2.COLOR_BGRA2BGR, dst=places_m[None])
    known = np.isfinite(places_m[:, 2])
    if not known.all():
        places_m[~known] = places_m[known.argmax()]
    return bool(known.any())


def write_colours(colours: Colours, live: bool, shares: Floats) -> None:
    """From 0 to 1, (N, 3); of what is no longer live its brightness alone, and little of that."""
    np.multiply(colours, np.float32(1 / 255), out=shares)
    if not live:
        shares[:] = (shares @ BRIGHTNESS * OLD_LIGHT)[:, None]


def by_picture(points: Array, vehicle_from_camera: Matrix) -> Colours:
    """The colours that the camera saw."""
    if not len(points):
        return np.zeros((0, 3), np.uint8)
    words = np.ascontiguousarray(points).view(np.uint32).reshape(-1, 4)
    with_label = np.ascontiguousarray(words[:, 3]).view(np.uint8).reshape(1, -1, 4)
    cv2 = drawing()
    colours: Colours = cv2.cvtColor(with_label, cv2.COLOR_BGRA2BGR)[0]
    return colours


def by_depth(points: Array, vehicle_from_camera: Matrix) -> Colours:
    """Near is red, far is blue."""
    return by_distance(points["z"])


def by_height_above_ground(points: Array, vehicle_from_camera: Matrix) -> Colours:
    """Low is blue, high is red."""
    row = vehicle_from_camera[2].astype(np.float32)
    height_m = row[0] * points["x"] + row[1] * points["y"] + row[2] * points["z"] + row[3]
    return by_height(height_m)


def by_label(points: Array, vehicle_from_camera: Matrix) -> Colours:
    """The colours of the categories."""
    return by_category(points["label"])


_BY_POINT: dict[str, Callable[[Array, Matrix], Colours]] = {
    "picture": by_picture,
    "depth": by_depth,
    "height": by_height_above_ground,
    "category": by_label,
}
# In the order of their keys 1, 2, 3, …
MODES = (*_BY_POINT, "confidence")


def coloured(
    mode: str, points: Array, vehicle_from_camera: Matrix, cloud: Array, budget: int
) -> Colours:
    """(N, 3), by one of MODES, of the points that `thinned(cloud, budget)` left."""
    if mode != "confidence":
        return _BY_POINT[mode](points, vehicle_from_camera)
    if cloud.ndim == 2:
        return turbo(1 - thinned(confidence_of(cloud), budget))
    return turbo(np.full(points.shape, np.nan))  # a compact cloud has no neighbours
