"""Which way surfaces face: the normals of an organised cloud, from neighbours in the picture.

On a plane, inverse depth is linear in the rays: 1 / z = a (x / z) + b (y / z) + c, and (a, b, c) is
its normal. The slopes a and b are differences to the neighbours on either side; at an edge, to the
one that lies on the same surface. numpy alone, so that every subscriber can ask for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import ConfigError
from cloudypoints.messages import Array

Doubles = NDArray[np.float64]

_EDGE = 0.05  # of inverse depth from one pixel to the next: more, on one side only, is an edge


def normals_of(points: Array) -> NDArray[np.float32]:
    """Unit normals (H, W, 3) of an organised cloud (H, W) of POINT, towards the camera.

    In the camera's optical frame; NaN where a point or all its neighbours on a line are unknown.
    Raises ConfigError for a compact cloud, whose neighbours are lost.
    """
    if points.ndim != 2:
        raise ConfigError('normals need an organised cloud: [cloud] layout = "organised"')
    z = points["z"].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        there = np.stack([1 / z, points["x"] / z, points["y"] / z])
        q_right, x_right, y_right = _steps(there)
        q_down, x_down, y_down = _steps(there.swapaxes(1, 2)).swapaxes(1, 2)
        # Two steps, along the row and along the column: two equations for a and b.
        area = x_right * y_down - y_right * x_down
        a = (q_right * y_down - y_right * q_down) / area
        b = (x_right * q_down - q_right * x_down) / area
        c = there[0] - a * there[1] - b * there[2]
        normals = -np.stack([a, b, c], axis=-1)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals.astype(np.float32)


def _steps(there: Doubles) -> Doubles:
    """How inverse depth and the ray, (3, H, W), change along the rows on the same surface."""
    steps = np.diff(there, axis=2)
    border = np.full((*there.shape[:2], 1), np.nan)
    before, after = np.concatenate([border, steps], 2), np.concatenate([steps, border], 2)
    smaller = np.where(np.abs(before[0]) < np.abs(after[0]), before, after)
    edge = np.abs(after[0] - before[0]) > _EDGE * there[0]
    both = np.where(edge, smaller, (before + after) / 2)
    one = np.where(np.isnan(before[0]), after, before)
    return np.asarray(np.where(np.isnan(both[0]), one, both))
