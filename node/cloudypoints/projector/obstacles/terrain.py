"""How high the ground lies off the fitted plane, by sector and range: hills ahead, kerbs, dips.

Only what lies flat in the picture counts (from row to row the height changes little for its range,
and the range does not jump), averaged over each sector's range bin. Of that, what could be driven
to counts: no point of it higher than any other by more than the slope between them, as roofs and
bonnets are. Behind the last ground that is seen, over a crest, it may lie lower than there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats
from cloudypoints.projector.obstacles.tables import Indices, ObstacleTables

_LYING = 0.3  # rise over run of what may be ground
_JUMP = 6.0  # times the gap between two rows on flat ground: more is a speck, or an edge
_LEAST = 2  # pixels of a cell
_ROUGH_M = 0.1  # above what could be driven to, and still ground
_ROWS = 2  # of the picture behind the last ground seen show whether there is more
_LOWEST_M = 3.0  # behind them it may fall by the slope, at most so far down


@dataclass(frozen=True, slots=True)
class Terrain:
    """The ground in each cell, (S · B,)."""

    height_m: Floats  # above the plane
    doubt_m: Floats  # how much lower it may be
    behind: NDArray[np.bool_]  # behind the last that was seen


def lying_in(
    range_m: Floats, height_m: Floats, measured: NDArray[np.bool_], tables: ObstacleTables
) -> NDArray[np.bool_]:
    """(h, w) where the picture shows something flat, not steeper than ground may be.

    Of any columns of the grid.
    """
    k, mount = tables.camera.intrinsics, tables.camera.mount
    run_m = np.asarray(cv2.absdiff(range_m[1:], range_m[:-1]), np.float32)
    rise_m = np.asarray(cv2.absdiff(height_m[1:], height_m[:-1]), np.float32)
    flat = rise_m < np.float32(_LYING) * run_m
    gap = np.float32(_JUMP / (k.fy_px * mount.height_m))
    flat &= run_m < gap * np.square(range_m[1:])
    lying = np.zeros_like(measured)
    np.logical_and(flat[1:], flat[:-1], out=lying[1:-1])
    lying &= measured
    slope = np.float32(tables.settings.max_slope)
    lying &= np.abs(height_m) < slope * range_m + np.float32(_ROUGH_M)
    return lying


def terrain_of(
    cell: Indices, height_m: Floats, lying: NDArray[np.bool_], tables: ObstacleTables
) -> Terrain:
    """Of a frame's pixels (h, w), of any columns of the grid."""
    k, mount = tables.camera.intrinsics, tables.camera.mount
    seen_m = _means(cell, height_m, lying, tables)
    middle_m = np.sqrt(tables.bin_m[:-1] * tables.bin_m[1:]).astype(np.float64)
    known = _drivable(seen_m, middle_m, tables.settings.max_slope)
    last_m = np.where(known, middle_m, 0).max(axis=1, keepdims=True)
    rows_m = _ROWS * last_m**2 / (k.fy_px * mount.height_m)
    hidden_m = np.where(last_m > 0, np.maximum(middle_m - last_m - rows_m, 0), 0)
    doubt_m = np.minimum(tables.settings.max_slope * hidden_m, _LOWEST_M)
    ground_m = _between(seen_m, known, middle_m)
    behind = middle_m > last_m
    return Terrain(
        ground_m.astype(np.float32).ravel(), doubt_m.astype(np.float32).ravel(), behind.ravel()
    )


def _means(
    cell: Indices, height_m: Floats, lying: NDArray[np.bool_], tables: ObstacleTables
) -> NDArray[np.float64]:
    """(S, B) mean height of what lies flat in each cell; NaN where there is nothing."""
    chosen = np.flatnonzero(lying)
    cells, size = cell.take(chosen), tables.sectors * tables.bins
    count = np.bincount(cells, minlength=size)
    total = np.bincount(cells, weights=height_m.take(chosen), minlength=size)
    means = np.where(count >= _LEAST, total / np.maximum(count, 1), np.nan)
    return _filled(means.reshape(tables.sectors, tables.bins))


def _filled(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same where a sector without any mean has those of its neighbours: it is a sliver."""
    blank = np.flatnonzero(np.isnan(means).all(axis=1))
    if len(blank):
        left = np.where(blank[:, None] > 0, means[blank - 1], np.nan)
        right = np.where(blank[:, None] < len(means) - 1, means[(blank + 1) % len(means)], np.nan)
        both = (left + right) / 2
        means[blank] = np.where(np.isnan(left), right, np.where(np.isnan(right), left, both))
    return means


def _drivable(seen_m: NDArray[np.float64], range_m: Floats, slope: float) -> NDArray[np.bool_]:
    """Which cells (S, B) show ground: where one could drive, from the plane below the camera on."""
    reach = slope * range_m
    high = np.where(np.isnan(seen_m), np.inf, seen_m)
    from_here = np.minimum.accumulate(high - reach, axis=1)
    from_beyond = np.minimum.accumulate((high + reach)[:, ::-1], axis=1)[:, ::-1]
    limit = np.minimum(np.minimum(from_here, 0) + reach, from_beyond - reach)
    return np.asarray(high <= limit + _ROUGH_M)


def _between(
    seen_m: NDArray[np.float64], known: NDArray[np.bool_], range_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(S, B) `seen_m` where known, else on the line from the last to the next that is.

    The first line begins at height 0 and range 0; behind the last the height stays.
    """
    count = len(seen_m)
    start, always = np.zeros((count, 1)), np.ones((count, 1), np.bool_)
    heights = np.concatenate([start, seen_m, start], axis=1)
    known = np.concatenate([always, known, always], axis=1)
    last = known.shape[1] - 2 - known[:, -2::-1].argmax(axis=1)
    heights[:, -1] = heights[np.arange(count), last]
    # All sectors behind one another, so that one call serves them all.
    end_m = 2 * range_m[-1]
    at_m = np.concatenate([[0.0], range_m, [end_m]]) + np.arange(count)[:, None] * 2 * end_m
    between = np.interp(at_m, at_m[known], heights[known])
    return np.asarray(between[:, 1:-1], np.float64)
