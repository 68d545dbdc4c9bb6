"""How high the ground lies off the fitted plane, by sector and range: hills ahead, kerbs, dips.

Only what lies flat in the picture counts (between neighbouring rows the height changes little for
its range), averaged over each sector's range bin. Of that, what could be driven to counts: no point
of it higher than any other by more than the slope between them, as roofs and bonnets are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats
from cloudypoints.projector.obstacles.tables import ObstacleTables

_LYING = 0.3  # rise over run of what may be ground
_LEAST = 3  # pixels of a cell
_ROUGH_M = 0.1  # above what could be driven to, and still ground
_PIXELS = 20_000  # looked at, about


def terrain_of(
    range_m: Floats, height_m: Floats, measured: NDArray[np.bool_], tables: ObstacleTables
) -> Floats:
    """Metres of ground above the plane at each pixel, (h, w): those of its cell."""
    cell = tables.sector * np.int32(tables.bins)
    cell += tables.bins_of(range_m)
    seen_m = _means(cell, range_m, height_m, measured, tables)
    middle_m = np.sqrt(tables.bin_m[:-1] * tables.bin_m[1:])
    ground_m = _drivable(seen_m, middle_m, tables.settings.max_slope)
    return ground_m.astype(np.float32).take(cell)


def _means(
    cell: NDArray[np.int32],
    range_m: Floats,
    height_m: Floats,
    measured: NDArray[np.bool_],
    tables: ObstacleTables,
) -> NDArray[np.float64]:
    """(S, B) mean height of what lies flat in each cell; NaN where there is too little."""
    every = np.s_[1:-1, :: max(1, cell.size // _PIXELS)]
    rise_m = height_m[2:, every[1]] - height_m[:-2, every[1]]
    run_m = range_m[2:, every[1]] - range_m[:-2, every[1]]
    height, reach = height_m[every], range_m[every]
    lying = measured[every] & (np.abs(rise_m) < _LYING * np.abs(run_m))
    lying &= np.abs(height) < tables.settings.max_slope * reach + _ROUGH_M
    cells = cell[every][lying]
    size = tables.sectors * tables.bins
    count = np.bincount(cells, minlength=size)
    total = np.bincount(cells, weights=height[lying], minlength=size)
    means = np.where(count >= _LEAST, total / np.maximum(count, 1), np.nan)
    return means.reshape(tables.sectors, tables.bins)


def _drivable(seen_m: NDArray[np.float64], range_m: Floats, slope: float) -> NDArray[np.float64]:
    """The ground (S, B): what was seen where it could be driven to, and between, a straight line.

    It begins on the plane below the camera.
    """
    reach = slope * range_m
    high = np.where(np.isnan(seen_m), np.inf, seen_m)
    from_here = np.minimum.accumulate(high - reach, axis=1)
    from_beyond = np.minimum.accumulate((high + reach)[:, ::-1], axis=1)[:, ::-1]
    limit = np.minimum(np.minimum(from_here, 0) + reach, from_beyond - reach)
    ground = high <= limit + _ROUGH_M
    lines = [
        np.interp(range_m, np.append(0, range_m[known]), np.append(0, heights[known]))
        for heights, known in zip(seen_m, ground, strict=True)
    ]
    return np.stack(lines)
