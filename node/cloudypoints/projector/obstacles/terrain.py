"""How high the ground lies off the fitted plane, by sector and range: hills ahead, kerbs, dips.

Only what lies flat in the picture counts (from row to row the height changes little for its range,
and the range does not jump), averaged over each sector's range bin; where a bin shows two levels,
the top of a box beside the road it stands on, over the lower one. Of that, what could be driven
to counts: no point of it higher than any other by more than the slope between them, as roofs and
bonnets are. Behind the last ground that is seen, over a crest, it may lie lower than there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats
from cloudypoints.projector.obstacles.tables import Cells, Indices, ObstacleTables

_LYING = 0.3  # rise over run of what may be ground
_JUMP = 6.0  # times the gap between two rows on flat ground: more is a speck, or an edge
_LEAST = 2  # pixels of a cell
ROUGH_M = 0.1  # above what could be driven to, and still ground
_ROWS = 2  # of the picture behind the last ground seen show whether there is more
_LOWEST_M = 3.0  # behind them it may fall by the slope, at most so far down


@dataclass(frozen=True, slots=True)
class Terrain:
    """The ground in each cell, (S · B,)."""

    height_m: Floats  # above the plane
    doubt_m: Floats  # how much lower it may be
    behind: NDArray[np.bool_]  # behind the last that was seen


def lying_in(range_m: Floats, height_m: Floats, tables: ObstacleTables) -> NDArray[np.bool_]:
    """(h, w) where the picture shows something flat, not steeper than ground may be.

    Of any columns of the grid.
    """
    k, mount = tables.camera.intrinsics, tables.camera.mount
    run_m = np.asarray(cv2.absdiff(range_m[1:], range_m[:-1]), np.float32)
    rise_m = np.asarray(cv2.absdiff(height_m[1:], height_m[:-1]), np.float32)
    gap = np.float32(_JUMP / (k.fy_px * mount.height_m))
    flat = run_m < gap * np.square(range_m[1:])
    run_m *= np.float32(_LYING)
    flat &= rise_m < run_m
    lying = np.zeros(range_m.shape, np.bool_)
    np.logical_and(flat[1:], flat[:-1], out=lying[1:-1])
    lying &= tables.measured(range_m)
    allowed_m = np.float32(tables.settings.max_slope) * range_m
    allowed_m += np.float32(ROUGH_M)
    lying &= np.abs(height_m) < allowed_m
    return lying


def terrain_of(
    cell: Cells, height_m: Floats, lying: NDArray[np.bool_], tables: ObstacleTables
) -> Terrain:
    """Of a frame's pixels (h, w), of any columns of the grid."""
    k, mount = tables.camera.intrinsics, tables.camera.mount
    seen_m = _means(cell, height_m, lying, tables)
    middle_m = tables.middle_m
    known = _drivable(seen_m, middle_m, tables.settings.max_slope)
    sector, last = np.arange(tables.sectors), tables.bins - 1 - known[:, ::-1].argmax(axis=1)
    some = known[sector, last, None]  # (S, 1) whether there is ground at all
    last_m = np.where(some, middle_m[last, None], 0)
    ground_m = np.where(some, seen_m[sector, last, None], 0)
    behind = middle_m > last_m
    rows_m = _ROWS * last_m**2 / (k.fy_px * mount.height_m)
    doubt_m = np.maximum(middle_m - last_m - rows_m, 0) * some
    doubt_m *= tables.settings.max_slope
    np.minimum(doubt_m, _LOWEST_M, out=doubt_m)
    height = np.where(known, seen_m, ground_m)
    _bridge(height, known, behind, middle_m)
    return Terrain(
        height.astype(np.float32).ravel(), doubt_m.astype(np.float32).ravel(), behind.ravel()
    )


def _means(
    cell: Cells, height_m: Floats, lying: NDArray[np.bool_], tables: ObstacleTables
) -> NDArray[np.float64]:
    """(S, B) mean height of what lies flat in each cell; inf where there is nothing."""
    chosen = np.flatnonzero(lying)
    cells, size = cell.take(chosen), tables.sectors * tables.bins
    heights = height_m.take(chosen).astype(np.float64)
    count, total = _sums(cells, heights, size)
    squares = np.bincount(cells, weights=heights * heights, minlength=size)
    variance = squares * count - total * total  # by count²
    mixed = variance > np.square(count.reshape(-1, tables.bins) * tables.level_m).ravel()
    if mixed.any():
        lower = heights * count.take(cells) <= total.take(cells)
        kept = np.flatnonzero(lower | ~mixed.take(cells))
        count, total = _sums(cells.take(kept), heights.take(kept), size)
    means = np.full(size, np.inf)
    np.divide(total, count, out=means, where=count >= _LEAST)
    return _filled(means.reshape(tables.sectors, tables.bins))


def _sums(
    cells: Cells, height_m: NDArray[np.float64], size: int
) -> tuple[Indices, NDArray[np.float64]]:
    """How many pixels there are in each cell, and the sum of their heights."""
    total = np.asarray(np.bincount(cells, weights=height_m, minlength=size), np.float64)
    return np.bincount(cells, minlength=size), total


def _filled(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same where a sector without any mean has those of its neighbours: it is a sliver."""
    if len(means) == 1:
        return means
    blank = np.flatnonzero(np.isinf(means).all(axis=1))
    filled = [_between(means[max(0, s - 1) : s], means[s + 1 : s + 2]) for s in blank]
    for sector, heights in zip(blank, filled, strict=True):
        means[sector : sector + 1] = heights
    return means


def _between(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1, B) the mean of two rows, or the one that is known; either may be missing, (0, B)."""
    if len(left) != len(right):
        return left if len(left) else right
    both = (left + right) / 2
    return np.where(np.isinf(both), np.minimum(left, right), both)


def _drivable(
    seen_m: NDArray[np.float64], range_m: NDArray[np.float64], slope: float
) -> NDArray[np.bool_]:
    """Which cells (S, B) show ground: where one could drive, from the plane below the camera on."""
    reach = slope * range_m
    from_here = np.minimum.accumulate(seen_m - reach, axis=1)
    from_beyond = np.minimum.accumulate((seen_m + reach)[:, ::-1], axis=1)[:, ::-1]
    limit = np.minimum(np.minimum(from_here, 0) + reach, from_beyond - reach)
    limit += ROUGH_M
    return np.asarray(seen_m <= limit)


def _bridge(
    height_m: NDArray[np.float64],
    known: NDArray[np.bool_],
    behind: NDArray[np.bool_],
    range_m: NDArray[np.float64],
) -> None:
    """Lay (S, B) heights between those known on the line from the last to the next, in place.

    The first line begins at height 0 and range 0.
    """
    gaps = np.flatnonzero(~(known | behind))
    count = len(height_m)
    there = np.flatnonzero(np.concatenate([np.ones((count, 1), np.bool_), known], axis=1))
    heights = np.concatenate([np.zeros((count, 1)), height_m], axis=1)
    # All sectors behind one another, so that one call serves them all.
    starts_m = np.arange(count)[:, None] * (2 * range_m[-1])
    at_m = np.concatenate([[0.0], range_m]) + starts_m
    wanted_m = at_m[:, 1:].ravel().take(gaps)
    height_m.ravel()[gaps] = np.interp(wanted_m, at_m.take(there), heights.take(there))
