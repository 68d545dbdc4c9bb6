"""One frame on the thinned grid: where each pixel is, how high above the ground, what it shows.

Ground is where the fitted plane says, and beyond it where what lies flat says: the ground may bend
away from the plane by no more than a slope. Rain and specks are left out: what is one pixel wide
and not tall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats, Mount
from cloudypoints.messages import Category
from cloudypoints.projector.obstacles.specks import FAR_M, SPECKS_REACH_PX, remove_specks
from cloudypoints.projector.obstacles.tables import (
    Cells,
    Indices,
    Matrix,
    ObstacleTables,
    ranges_of,
    square_of,
    thin,
    ups_of,
)
from cloudypoints.projector.obstacles.terrain import ROUGH_M, Terrain, lying_in, terrain_of

_HAIR_M = 1e-3  # more than any rounding here: what is chosen by it is looked at again
_STEEPER = 1.05  # a slope that no cell's ground exceeds, however wide the cell


@dataclass(frozen=True, slots=True)
class Places:
    """Where some of a frame's pixels are, (M,)."""

    cell: Cells  # sector × bins + range bin
    forward_m: Floats  # from the vehicle's origin, vehicle axes
    left_m: Floats


@dataclass(frozen=True, slots=True)
class Pixels:
    """Some of a frame's pixels, (M,)."""

    index: Indices  # into the thinned grid, row by row
    cell: Indices  # sector × bins + range bin
    range_m: Floats  # horizontal, from the point on the ground below the camera
    height_m: Floats  # above the ground there
    forward_m: Floats  # from the vehicle's origin, vehicle axes
    left_m: Floats
    label: NDArray[np.uint8]  # void where there are no labels


@dataclass(frozen=True, slots=True)
class Scene:
    """What one frame shows."""

    tables: ObstacleTables
    mount: Mount  # with the ground that was fitted
    known: float  # share of the pixels that are wanted whose depth is known
    standing: Pixels  # in the height band
    ground: Places  # some columns of it, see ObstacleTables.ground_step
    terrain: Terrain

    def rises_m(self, pixel: Indices) -> Floats:
        """How high these (N,) of what stands are above the plane, however the ground there lies."""
        standing = self.standing
        return standing.height_m.take(pixel) + self.terrain.height_m.take(standing.cell.take(pixel))


class Lookout:
    """Looks at one camera's frames; the grids it works on serve each of them anew."""

    def __init__(self, tables: ObstacleTables) -> None:
        self._tables = tables
        shape = tables.first_cell.shape
        self._depth_m, self._up, self._height_m = np.empty((3, *shape), np.float32)
        self._labels = np.empty(shape, np.uint8)

    def look(
        self,
        depth_m: Floats,
        labels: NDArray[np.uint8] | None,
        mount: Mount,
        wanted: float = 1.0,
    ) -> Scene:
        """Depth and labels (H, W) of the whole grid, `wanted` a share of it, from this mount."""
        tables = self._tables
        thin(depth_m, tables.step, out=self._depth_m)
        known = np.count_nonzero(np.isfinite(self._depth_m)) / max(1.0, wanted * self._depth_m.size)
        cv2.patchNaNs(self._depth_m, FAR_M)
        matrix = mount.vehicle_from_camera
        top, ground_top = _tops(self._depth_m, matrix, tables)
        remove_specks(self._depth_m[max(0, top - SPECKS_REACH_PX) :])
        up = ups_of(tables.rays[:, top:], matrix, out=self._up[top:])
        height_m = np.multiply(up, self._depth_m[top:], out=self._height_m[top:])
        height_m += np.float32(mount.height_m)
        if labels is not None:
            thin(labels, tables.step, out=self._labels)
        shown = None if labels is None else self._labels
        whole = _Grid(self._depth_m, self._up, self._height_m, shown, top, tables, matrix)
        part = _Part.of(whole, ground_top)
        terrain = terrain_of(part.cell, part.height_m, part.lying, tables)
        standing, ground = _standing(whole, part, terrain), _ground(part, terrain)
        return Scene(tables, mount, known, standing, ground, terrain)


@dataclass(frozen=True, slots=True)
class _Grid:
    """What is known of pixels, (h, w)."""

    depth_m: Floats  # nowhere NaN
    up: Floats  # how far a metre of depth goes up
    height_m: Floats  # above the plane
    labels: NDArray[np.uint8] | None
    top: int  # the first row that counts
    tables: ObstacleTables
    matrix: Matrix


@dataclass(frozen=True, slots=True)
class _Part:
    """The columns and rows of the grid in which ground is looked for, (h - top, w / step)."""

    grid: _Grid
    top: int
    depth_m: Floats
    range_m: Floats
    height_m: Floats  # above the plane
    cell: Cells
    lying: NDArray[np.bool_]  # where the picture shows something flat

    @classmethod
    def of(cls, grid: _Grid, top: int) -> _Part:
        """Of the rows from `top` on."""
        tables, step = grid.tables, grid.tables.ground_step
        depth_m, up, height_m = (
            whole[top:, ::step].copy() for whole in (grid.depth_m, grid.up, grid.height_m)
        )
        range_m = ranges_of(depth_m, up, tables.part_square[top:])
        cell = tables.cells_of(range_m, tables.part_first_cell[top:])
        lying = lying_in(range_m, height_m, tables)
        return cls(grid, top, depth_m, range_m, height_m, cell, lying)

    def lies(self, pixel: Indices) -> NDArray[np.bool_]:
        """Whether these pixels (N,) of the whole grid show something flat."""
        tables = self.grid.tables
        place = pixel - self.top * tables.first_cell.shape[1]  # a row is a whole number of steps
        lies = self.lying.ravel().take(place // tables.ground_step, mode="clip")
        return np.asarray(lies & (place >= 0))


def _tops(depth_m: Floats, matrix: Matrix, tables: ObstacleTables) -> tuple[int, int]:
    """The first row that may show what stands, and the first that may show ground.

    Above them all of a row, or all that is known of it, is higher than any slope there could carry
    it. Of the latter one more is given, which has neighbours.
    """
    settings = tables.settings
    steepness = tables.rows.steepness(matrix, _STEEPER * settings.max_slope)
    nearest_m = depth_m.min(axis=1)
    highest_m = settings.max_height_m + ROUGH_M + _HAIR_M - matrix[2, 3]
    standing = ~(steepness * nearest_m > max(0.0, highest_m))
    lowest_m = ROUGH_M + settings.min_height_m + _HAIR_M
    ground = ~(steepness > 0) if matrix[2, 3] > lowest_m else np.ones_like(standing)
    ground_top = max(0, _first(ground) - 1)
    return min(_first(standing), ground_top), ground_top


def _first(holds: NDArray[np.bool_]) -> int:
    """Where it first does; the last where it nowhere does."""
    return int(holds.argmax()) if holds.any() else len(holds) - 1


def _standing(grid: _Grid, part: _Part, terrain: Terrain) -> Pixels:
    """What stands in the height band above the ground, though that were as low as it may be.

    What the model calls flat must rise twice as high to count: there its depth is at fault.
    """
    tables, settings = grid.tables, grid.tables.settings
    low, high = np.float32(settings.min_height_m), np.float32(settings.max_height_m)
    index = _candidates(grid, terrain)
    depth_m, (x, y) = grid.depth_m.take(index), (ray.take(index) for ray in tables.rays)
    range_m = ranges_of(depth_m, grid.up.take(index), square_of(x, y))
    cell = tables.cells_of(range_m, tables.first_cell.take(index)).astype(np.intp)
    height_m = grid.height_m.take(index) - terrain.height_m.take(cell, mode="clip")
    stands = height_m < high
    stands &= height_m + terrain.doubt_m.take(cell, mode="clip") > low
    stands &= tables.measured(range_m)
    if grid.labels is None:
        label = np.zeros(len(index), np.uint8)
    else:
        label = grid.labels.take(index)
        stands &= (label != Category.FLAT) | (height_m > 2 * low)
    behind = np.flatnonzero(stands & terrain.behind.take(cell, mode="clip"))
    stands[behind] = ~part.lies(index.take(behind))  # but how high, nobody knows
    chosen = np.flatnonzero(stands)
    forward_m, left_m = places_m(depth_m, (x, y), grid.matrix)
    return Pixels(
        index.take(chosen),
        cell.take(chosen),
        range_m.take(chosen),
        height_m.take(chosen),
        forward_m.take(chosen),
        left_m.take(chosen),
        label.take(chosen),
    )


def _candidates(grid: _Grid, terrain: Terrain) -> Indices:
    """Pixels that may stand, by the lowest and the highest ground anywhere; others do not."""
    tables, settings = grid.tables, grid.tables.settings
    lowest_m = settings.min_height_m + float(terrain.height_m.min()) - _HAIR_M
    highest_m = settings.max_height_m + float(terrain.height_m.max()) + _HAIR_M
    hidden_m = float(terrain.doubt_m.max())
    height_m = grid.height_m[grid.top :]
    may = height_m < np.float32(highest_m)
    may &= height_m > np.float32(lowest_m - hidden_m)
    if grid.labels is not None:
        marked = height_m > np.float32(settings.min_height_m + lowest_m)
        marked |= grid.labels[grid.top :] != Category.FLAT
        may &= marked
    if hidden_m:  # only behind the ground that is seen does it make a difference
        begins = (terrain.doubt_m > 0).reshape(-1, tables.bins).any(axis=0).argmax()
        sure = height_m > np.float32(lowest_m)
        sure |= grid.depth_m[grid.top :] > tables.bin_m[begins] / (_STEEPER * tables.rows.longest)
        may &= sure
    return np.asarray(np.flatnonzero(may) + grid.top * may.shape[1])


def places_m(depth_m: Floats, rays: Sequence[Floats], matrix: Matrix) -> tuple[Floats, Floats]:
    """Forward and left, (M,) in the vehicle's frame, of pixels with these rays x and y."""
    x, y = rays
    forward, left = (
        depth_m * (row[0] * x + row[1] * y + row[2]) + row[3]
        for row in matrix[:2].astype(np.float32)
    )
    return forward, left


def _ground(part: _Part, terrain: Terrain) -> Places:
    """What lies on the ground, and is called so."""
    tables, labels = part.grid.tables, part.grid.labels
    off_m = part.height_m - terrain.height_m.take(part.cell, mode="clip")
    np.abs(off_m, out=off_m)
    ground = off_m <= np.float32(tables.settings.min_height_m)
    ground &= tables.measured(part.range_m)
    if labels is not None:
        ground &= labels[part.top :, :: tables.ground_step] == Category.FLAT
    ground &= ~(terrain.behind.take(part.cell, mode="clip") & part.lying)
    index = np.flatnonzero(ground)
    x, y = tables.part_rays[:, part.top :]
    forward_m, left_m = (
        cv2.multiply(part.depth_m, cv2.addWeighted(x, row[0], y, row[1], row[2])).take(index)
        + np.float32(row[3])
        for row in part.grid.matrix[:2]
    )
    return Places(part.cell.take(index), forward_m, left_m)
