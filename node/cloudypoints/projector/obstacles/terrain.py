"""How high the ground lies off the fitted plane, by sector and range: hills ahead, kerbs, dips.

Only what lies flat in the picture counts (between neighbouring rows the height changes little for
its range), averaged over each sector's range bin. Of that, what could be driven to counts: no point
of it higher than any other by more than the slope between them, as roofs and bonnets are. Behind
the last ground that is seen, over a crest, it may lie lower than there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats
from cloudypoints.projector.obstacles.tables import Indices, ObstacleTables

_LYING = 0.3  # rise over run of what may be ground
_LEAST = 2  # pixels of a cell
_ROUGH_M = 0.1  # above what could be driven to, and still ground
_ROWS = 2  # of the picture behind the last ground seen show whether there is more
_LOWEST_M = 3.0  # behind them it may fall by the slope, at most so far down
_PIXELS = 12_000  # looked at, about


def terrain_of(
    cell: Indices,
    range_m: Floats,
    height_m: Floats,
    measured: NDArray[np.bool_],
    tables: ObstacleTables,
) -> tuple[Floats, Floats]:
    """Metres of ground above the plane in each cell, and how much lower it may be: (S · B,)."""
    camera = tables.camera
    seen_m = _means(cell, range_m, height_m, measured, tables)
    middle_m = np.sqrt(tables.bin_m[:-1] * tables.bin_m[1:]).astype(np.float64)
    known = _drivable(seen_m, middle_m, tables.settings.max_slope)
    last_m = _with_neighbours(np.where(known, middle_m, 0).max(axis=1))
    rows_m = _ROWS * last_m**2 / (camera.intrinsics.fy_px * camera.mount.height_m)
    hidden_m = np.where(last_m > 0, np.maximum(middle_m - last_m - rows_m, 0), 0)
    doubt_m = np.minimum(tables.settings.max_slope * hidden_m, _LOWEST_M)
    ground_m = _between(seen_m, known, middle_m)
    return ground_m.astype(np.float32).ravel(), doubt_m.astype(np.float32).ravel()


def _means(
    cell: Indices,
    range_m: Floats,
    height_m: Floats,
    measured: NDArray[np.bool_],
    tables: ObstacleTables,
) -> NDArray[np.float64]:
    """(S, B) mean height of what lies flat in each cell; NaN where there is too little."""
    step = max(1, cell.size // _PIXELS)
    height, reach = height_m[:, ::step].copy(), range_m[:, ::step].copy()
    rise_m, run_m = height[2:] - height[:-2], reach[2:] - reach[:-2]
    height, reach = height[1:-1], reach[1:-1]
    lying = measured[1:-1, ::step] & (np.abs(rise_m) < _LYING * np.abs(run_m))
    lying &= np.abs(height) < tables.settings.max_slope * reach + _ROUGH_M
    cells = cell[1:-1, ::step][lying]
    size = tables.sectors * tables.bins
    count = np.bincount(cells, minlength=size)
    total = np.bincount(cells, weights=height[lying], minlength=size)
    means = np.where(count >= _LEAST, total / np.maximum(count, 1), np.nan)
    return means.reshape(tables.sectors, tables.bins)


def _drivable(seen_m: NDArray[np.float64], range_m: Floats, slope: float) -> NDArray[np.float64]:
    """Which cells (S, B) show ground: where one could drive, from the plane below the camera on."""
    reach = slope * range_m
    high = np.where(np.isnan(seen_m), np.inf, seen_m)
    from_here = np.minimum.accumulate(high - reach, axis=1)
    from_beyond = np.minimum.accumulate((high + reach)[:, ::-1], axis=1)[:, ::-1]
    limit = np.minimum(np.minimum(from_here, 0) + reach, from_beyond - reach)
    return high <= limit + _ROUGH_M


def _with_neighbours(farthest_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S, 1) the largest of each sector (S,) and those beside: one at the edge may be a sliver."""
    padded = np.pad(farthest_m, 1)
    return np.maximum(np.maximum(padded[:-2], padded[2:]), farthest_m)[:, None]


def _between(
    seen_m: NDArray[np.float64], known: NDArray[np.bool_], range_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(S, B) `seen_m` where known, else on the line from the last to the next that is.

    The first line begins at height 0 and range 0; behind the last the height stays.
    """
    at_m = np.concatenate([[0.0], range_m])
    known = np.concatenate([np.ones((len(known), 1), np.bool_), known], axis=1)
    heights = np.concatenate([np.zeros((len(seen_m), 1)), seen_m], axis=1)
    place = np.arange(len(at_m))
    last = np.maximum.accumulate(np.where(known, place, 0), axis=1)
    there = np.where(known, place, len(at_m))
    after = np.minimum.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    after = np.where(after == len(at_m), last, after)
    low, high = np.take_along_axis(heights, last, 1), np.take_along_axis(heights, after, 1)
    share = (at_m - at_m[last]) / np.maximum(at_m[after] - at_m[last], 1e-6)
    return (low + (high - low) * share)[:, 1:]
