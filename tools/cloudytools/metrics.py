"""How good depth, categories and masks are: one numpy function a figure.

Depths are metres of any one shape; where the truth is NaN a pixel does not count. A figure of no
pixels is NaN.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]


# --- Depth ----------------------------------------------------------------------------------------


def abs_rel(depth_m: Array, true_m: Array) -> float:
    """Mean of |z − z*| / z*, no unit: 0 is perfect. Eigen et al. 2014."""
    depth_m, true_m = _known(depth_m, true_m)
    return _mean(np.abs(depth_m - true_m) / true_m)


def sq_rel(depth_m: Array, true_m: Array) -> float:
    """Mean of (z − z*)² / z*, metres: 0 is perfect. Eigen et al. 2014."""
    depth_m, true_m = _known(depth_m, true_m)
    return _mean((depth_m - true_m) ** 2 / true_m)


def rmse(depth_m: Array, true_m: Array) -> float:
    """√ mean (z − z*)², metres."""
    depth_m, true_m = _known(depth_m, true_m)
    return float(np.sqrt(_mean((depth_m - true_m) ** 2)))


def rmse_log(depth_m: Array, true_m: Array) -> float:
    """√ mean (ln z − ln z*)², no unit. Eigen et al. 2014."""
    return float(np.sqrt(_mean(_log_ratio(depth_m, true_m) ** 2)))


def log10(depth_m: Array, true_m: Array) -> float:
    """Mean of |lg z − lg z*|, decades. Saxena et al. 2009, "Make3D"."""
    return _mean(np.abs(_log_ratio(depth_m, true_m))) / float(np.log(10))


def silog(depth_m: Array, true_m: Array) -> float:
    """100 · √(mean g² − (mean g)²) with g = ln z − ln z*: KITTI's SILog, percent.

    The factor that is right on average is taken out. Uhrig et al. 2017 after Eigen et al. 2014.
    """
    ratio = _log_ratio(depth_m, true_m)
    return 100 * float(np.std(ratio)) if ratio.size else float("nan")


def delta(depth_m: Array, true_m: Array, factor: float = 1.25) -> float:
    """The share of pixels with max(z / z*, z* / z) < factor, 0 to 1: 1 is perfect.

    δ1, δ2 and δ3 are those of 1.25, 1.25² and 1.25³, Ladický et al. 2014.
    """
    depth_m, true_m = _known(depth_m, true_m)
    return _mean(np.maximum(depth_m / true_m, true_m / depth_m) < factor)


def within(true_m: Array, near_m: float, far_m: float) -> NDArray[np.float32]:
    """The truth of this range, NaN elsewhere: what lies beyond a model's or a test's range.

    Papers end at 80 m outdoors, after Eigen et al. 2014.
    """
    with np.errstate(invalid="ignore"):
        inside = (true_m >= near_m) & (true_m <= far_m)
    return np.where(inside, true_m, np.nan).astype(np.float32)


def median_scaled(depth_m: Array, true_m: Array) -> Floats:
    """`depth_m` times the one factor that gives it the truth's median."""
    known_m, known_true_m = _known(depth_m, true_m)
    if known_m.size == 0:
        return np.asarray(depth_m, np.float64)
    return np.asarray(depth_m, np.float64) * (np.median(known_true_m) / np.median(known_m))


def aligned(nearness: Array, true_nearness: Array) -> Floats:
    """The nearness · s + t with the scale and shift of least squares over known pixels.

    What makes affine inverse depth comparable, Ranftl et al. 2020 (MiDaS).
    """
    said, truth = _known(nearness, true_nearness)
    if said.size == 0:
        return np.asarray(nearness, np.float64)
    about = said - said.mean()
    variance = float(about @ about)
    scale = float(about @ truth) / variance if variance > 0 else 0.0
    moved: Floats = scale * (np.asarray(nearness, np.float64) - said.mean()) + truth.mean()
    return moved


def whdr(
    nearness: Array, true_nearness: Array, pairs: NDArray[np.int64], tolerance: float = 0.02
) -> float:
    """The share of pairs whose order is wrong, 0 to 1: Chen et al. 2016 with equal weights.

    `pairs` (K, 2) are indices into the flattened arrays. The truth orders a pair where one is more
    than `tolerance` above the other; ties of the truth and unknown pixels do not count.
    """
    said_i, said_j = (np.asarray(nearness, np.float64).ravel()[column] for column in pairs.T)
    true_i, true_j = (np.asarray(true_nearness, np.float64).ravel()[column] for column in pairs.T)
    with np.errstate(invalid="ignore"):
        ordered = np.abs(true_i - true_j) > tolerance * np.minimum(true_i, true_j)
        wrong = np.sign(said_i - said_j) != np.sign(true_i - true_j)
    return _mean(wrong[ordered])


def boundary_accuracy(depth_m: Array, true_m: Array, within_px: float = 1.5) -> float:
    """F1 of the depth's edges, 0 to 1: 1 is perfect. Hu et al. 2019, "Revisiting Single Image".

    An edge pixel is right where the other map has one within `within_px`. (H, W) both; NaN where
    the truth has no edge, 0 where the depth alone has none.
    """
    said, truth = edges(np.where(np.isfinite(true_m), depth_m, np.nan)), edges(true_m)
    if not truth.any():
        return float("nan")
    if not said.any():
        return 0.0
    precision = _mean(_near(truth, within_px)[said])
    recall = _mean(_near(said, within_px)[truth])
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def edges(depth_m: Array, step: float = 1.1) -> NDArray[np.bool_]:
    """Pixels that are `step` times as far as a known neighbour, or farther: (H, W)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        log_depth = np.log(np.asarray(depth_m, np.float64))
    found = np.zeros(depth_m.shape, bool)
    with np.errstate(invalid="ignore"):
        down, right = np.diff(log_depth, axis=0), np.diff(log_depth, axis=1)
        limit = np.log(step)
        found[1:] |= down >= limit
        found[:-1] |= down <= -limit
        found[:, 1:] |= right >= limit
        found[:, :-1] |= right <= -limit
    return found


def flicker(depths_m: Array) -> float:
    """Mean of |ln z_t − ln z_(t−1)| over pixels known in both, no unit: 0 stands still.

    For a camera and a scene that do not move, (T, H, W): what changes is noise. Its idea is the
    temporal stability of Lai et al. 2018, "Learning Blind Video Temporal Consistency".
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.abs(np.diff(np.log(np.asarray(depths_m, np.float64)), axis=0))
    return _mean(change[np.isfinite(change)])


# --- Categories -----------------------------------------------------------------------------------


def confusion(labels: Array, true_labels: Array, classes: int, counted: Array) -> NDArray[np.int64]:
    """Pixels by true class (rows) and said class (columns), (classes, classes); `counted` alone."""
    index = true_labels[counted].astype(np.int64) * classes + labels[counted].astype(np.int64)
    return np.bincount(index, minlength=classes * classes).reshape(classes, classes)


def grouped(matrix: NDArray[np.int64], group_of: Array, groups: int) -> NDArray[np.int64]:
    """The confusion of groups of classes, such as categories: `group_of` (classes,) says which."""
    member = np.zeros((groups, len(group_of)), np.int64)
    member[group_of, np.arange(len(group_of))] = 1
    summed: NDArray[np.int64] = member @ matrix @ member.T
    return summed


def iou(matrix: NDArray[np.int64]) -> Floats:
    """Of each class: right / (true or said), 0 to 1, (classes,); NaN where neither occurs.

    The intersection over union of Everingham et al. 2015 (PASCAL VOC).
    """
    right = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - right
    shares: Floats = np.divide(right, union, out=np.full(len(matrix), np.nan), where=union > 0)
    return shares


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """Mean over the classes that occur, 0 to 1."""
    known = iou(matrix)
    return _mean(known[np.isfinite(known)])


def accuracy(matrix: NDArray[np.int64]) -> float:
    """The share of counted pixels with the right class, 0 to 1."""
    total = int(matrix.sum())
    return float(np.trace(matrix) / total) if total else float("nan")


def pixel_accuracy(labels: Array, true_labels: Array, ignored: int = 0) -> float:
    """The share of pixels with the right category, 0 to 1; `ignored` ones do not count."""
    counted = true_labels != ignored
    return _mean(labels[counted] == true_labels[counted])


# --- Masks ----------------------------------------------------------------------------------------


def mask_iou(mask: Array, true_mask: Array) -> float:
    """Pixels in both over pixels in either, 0 to 1; two empty masks agree: 1. Boolean each."""
    either = int((mask | true_mask).sum())
    return float((mask & true_mask).sum() / either) if either else 1.0


def mask_f1(mask: Array, true_mask: Array) -> float:
    """2 · both / (said + true), 0 to 1, van Rijsbergen 1979; two empty masks agree: 1."""
    sizes = int(mask.sum()) + int(true_mask.sum())
    return float(2 * (mask & true_mask).sum() / sizes) if sizes else 1.0


def _known(said: Array, truth: Array) -> tuple[Floats, Floats]:
    known = np.isfinite(truth)
    return np.asarray(said[known], np.float64), np.asarray(truth[known], np.float64)


def _log_ratio(depth_m: Array, true_m: Array) -> Floats:
    depth_m, true_m = _known(depth_m, true_m)
    return np.asarray(np.log(depth_m) - np.log(true_m), np.float64)


def _near(marks: NDArray[np.bool_], within_px: float) -> NDArray[np.bool_]:
    """Pixels that are at most this far from a marked one."""
    away_px = cv2.distanceTransform(
        np.where(marks, 0, 255).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return np.asarray(away_px <= within_px, np.bool_)


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
