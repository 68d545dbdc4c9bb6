"""How good depth and categories are: one numpy function a figure.

Depths are metres of any one shape; where the truth is NaN a pixel does not count. A figure of no
pixels is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def abs_rel(depth_m: Array, true_m: Array) -> float:
    """Mean of |z − z*| / z*, no unit: 0 is perfect. Eigen et al. 2014."""
    depth_m, true_m = _known(depth_m, true_m)
    return _mean(np.abs(depth_m - true_m) / true_m)


def rmse(depth_m: Array, true_m: Array) -> float:
    """√ mean (z − z*)², metres."""
    depth_m, true_m = _known(depth_m, true_m)
    return float(np.sqrt(_mean((depth_m - true_m) ** 2)))


def delta(depth_m: Array, true_m: Array, factor: float = 1.25) -> float:
    """The share of pixels with max(z / z*, z* / z) < factor, 0 to 1: 1 is perfect."""
    depth_m, true_m = _known(depth_m, true_m)
    return _mean(np.maximum(depth_m / true_m, true_m / depth_m) < factor)


def median_scaled(depth_m: Array, true_m: Array) -> NDArray[np.float64]:
    """`depth_m` times the one factor that gives it the truth's median."""
    known_m, known_true_m = _known(depth_m, true_m)
    if known_m.size == 0:
        return np.asarray(depth_m, np.float64)
    return np.asarray(depth_m, np.float64) * (np.median(known_true_m) / np.median(known_m))


def pixel_accuracy(labels: Array, true_labels: Array, ignored: int = 0) -> float:
    """The share of pixels with the right category, 0 to 1; `ignored` ones do not count."""
    counted = true_labels != ignored
    return _mean(labels[counted] == true_labels[counted])


def _known(depth_m: Array, true_m: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.isfinite(true_m)
    return np.asarray(depth_m[known], np.float64), np.asarray(true_m[known], np.float64)


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
