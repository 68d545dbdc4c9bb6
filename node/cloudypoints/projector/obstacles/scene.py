"""One frame on the thinned grid: where each pixel is, how high above the ground, what it shows.

Ground is where the fitted plane says, and beyond it where what lies flat says: the ground may bend
away from the plane by no more than a slope. Rain and specks are left out: what is one pixel wide
and not tall.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats, Mount
from cloudypoints.messages import Category
from cloudypoints.projector.obstacles.tables import (
    NEAR_M,
    Indices,
    ObstacleTables,
    columns,
    thin,
)
from cloudypoints.projector.obstacles.terrain import Terrain, lying_in, terrain_of

_FAR_M = 1e6  # depth of what is unknown: behind everything
_TALL_PX = 9  # one pixel wide and lower than this may be a speck
_ALIKE = 0.05  # relative difference of depth within one thing
_AROUND_PX, _COMPANY = 5, 6  # a window, and how many pixels alike in it make no speck


@dataclass(frozen=True, slots=True)
class Places:
    """Where some of a frame's pixels are, (M,)."""

    cell: Indices  # sector × bins + range bin
    forward_m: Floats  # from the vehicle's origin, vehicle axes
    left_m: Floats


@dataclass(frozen=True, slots=True)
class Pixels:
    """Some of a frame's pixels, (M,)."""

    index: Indices  # into the thinned grid, row by row
    cell: Indices  # sector × bins + range bin
    range_m: Floats  # horizontal, from the point on the ground below the camera
    forward_m: Floats  # from the vehicle's origin, vehicle axes
    left_m: Floats
    label: NDArray[np.uint8]  # void where there are no labels


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame; arrays (h, w) of the thinned grid."""

    tables: ObstacleTables
    mount: Mount  # with the ground that was fitted
    range_m: Floats
    height_m: Floats  # above the ground there
    known: float  # share of pixels whose depth is known
    standing: Pixels  # in the height band
    ground: Places  # some columns of it, see ObstacleTables.ground_step


def look(
    depth_m: Floats, labels: NDArray[np.uint8] | None, tables: ObstacleTables, mount: Mount
) -> Scene:
    """Depth and labels (H, W) of the whole grid, seen from this mount."""
    depth = np.asarray(thin(depth_m, tables.step), np.float32)
    known = np.count_nonzero(np.isfinite(depth)) / depth.size
    cv2.patchNaNs(depth, _FAR_M)
    thinned = None if labels is None else np.asarray(thin(labels, tables.step), np.uint8)
    whole = _Grid.of(without_specks(depth), thinned, tables, mount)
    part = whole.columns(tables.ground_step)
    lying = lying_in(part.range_m, part.height_m, part.measured, tables)
    terrain = terrain_of(part.cell, part.height_m, lying, tables)
    for grid in (part, whole):
        np.subtract(grid.height_m, terrain.height_m.take(grid.cell), out=grid.height_m)
    standing = _standing(whole, terrain, lying, tables)
    ground = _ground(part, terrain, lying, tables)
    height_m = whole.height_m
    return Scene(tables, mount, whole.range_m, height_m, known, standing, ground)


@dataclass(frozen=True, slots=True)
class _Grid:
    """All that is known of pixels, (h, w), of all the columns or of some."""

    depth_m: Floats
    range_m: Floats
    height_m: Floats  # above the plane, and later above the ground
    measured: NDArray[np.bool_]  # neither unknown nor too far
    cell: Indices
    rays: Floats  # (2, h, w)
    labels: NDArray[np.uint8] | None
    vehicle_from_camera: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        depth_m: Floats,
        labels: NDArray[np.uint8] | None,
        tables: ObstacleTables,
        mount: Mount,
    ) -> _Grid:
        """Of depth that is nowhere NaN."""
        vehicle_from_camera = mount.vehicle_from_camera
        up = tables.up(vehicle_from_camera)
        range_m = tables.ranges_m(depth_m, up)
        height_m = np.asarray(cv2.multiply(depth_m, up, dst=up), np.float32)
        height_m += np.float32(mount.height_m)
        measured = np.asarray(cv2.inRange(range_m, NEAR_M, tables.far_m), np.bool_)
        cell = tables.cells_of(range_m)
        return cls(
            depth_m, range_m, height_m, measured, cell, tables.rays, labels, vehicle_from_camera
        )

    def columns(self, step: int) -> _Grid:
        """A copy of every so many columns."""
        return _Grid(
            columns(self.depth_m, 0, step),
            columns(self.range_m, 0, step),
            columns(self.height_m, 0, step),
            self.measured[:, ::step].copy(),
            self.cell[:, ::step].copy(),
            self.rays[..., ::step],
            None if self.labels is None else columns(self.labels, 0, step),
            self.vehicle_from_camera,
        )

    def places_m(self, index: Indices) -> tuple[Floats, Floats]:
        """Forward and left, (M,) in the vehicle's frame, of these pixels."""
        z = self.depth_m.take(index)
        x, y = (ray.take(index) for ray in self.rays)
        forward, left = (
            z * (row[0] * x + row[1] * y + row[2]) + row[3]
            for row in self.vehicle_from_camera[:2].astype(np.float32)
        )
        return forward, left


def _standing(
    grid: _Grid, terrain: Terrain, lying: NDArray[np.bool_], tables: ObstacleTables
) -> Pixels:
    """What stands in the height band above the ground, though that were as low as it may be.

    `lying` (h, w / ground_step). What the model calls flat must rise twice as high to count: there
    its depth is at fault.
    """
    low, high = np.float32(tables.settings.min_height_m), np.float32(tables.settings.max_height_m)
    below = grid.measured & (grid.height_m < high)
    standing = below & (grid.height_m > low)
    behind = np.flatnonzero(terrain.behind.take(grid.cell) & below)
    most_m = grid.height_m.take(behind) + terrain.doubt_m.take(grid.cell.take(behind))
    row, column = np.divmod(behind, standing.shape[1])
    flat = lying[row, column // tables.ground_step]  # but how high, nobody knows
    standing.reshape(-1)[behind] = (most_m > low) & ~flat
    if grid.labels is not None:
        standing &= (grid.labels != Category.FLAT) | (grid.height_m > 2 * low)
    index = np.flatnonzero(standing)
    label = np.zeros(len(index), np.uint8) if grid.labels is None else grid.labels.take(index)
    forward_m, left_m = grid.places_m(index)
    range_m = grid.range_m.take(index)
    return Pixels(index, grid.cell.take(index), range_m, forward_m, left_m, label)


def _ground(
    grid: _Grid, terrain: Terrain, lying: NDArray[np.bool_], tables: ObstacleTables
) -> Places:
    """What lies on the ground, and is called so."""
    ground = grid.measured & (np.abs(grid.height_m) <= np.float32(tables.settings.min_height_m))
    if grid.labels is not None:
        ground &= grid.labels == Category.FLAT
    index = np.flatnonzero(ground)
    cell = grid.cell.take(index)
    sure = ~(terrain.behind.take(cell) & lying.take(index))
    return Places(cell[sure], *grid.places_m(index[sure]))


def without_specks(depth_m: Floats) -> Floats:
    """Depth (H, W) where specks, drops and streaks of rain are far away, as what is unknown.

    A morphological closing shows what stands out: what is nearer than its surroundings stays only
    where the kernel fits into it, two pixels side by side or a tall stack of them. Of that, what
    has too few pixels of its own depth around it is a speck; twigs and leaves have more.
    """
    edge = cv2.BORDER_REFLECT_101  # a streak on the rim is as thin as it looks
    wide = cv2.morphologyEx(depth_m, cv2.MORPH_CLOSE, _kernel(2, 1), borderType=edge)
    tall = cv2.morphologyEx(depth_m, cv2.MORPH_CLOSE, _kernel(1, _TALL_PX), borderType=edge)
    smooth = np.asarray(cv2.min(wide, tall), np.float32)
    suspect = np.flatnonzero(depth_m < smooth * np.float32(1 - _ALIKE))
    speck = suspect[_company(depth_m, suspect) < _COMPANY]
    clean = depth_m.copy()
    clean.ravel()[speck] = _FAR_M
    return clean


def _company(depth_m: Floats, pixel: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many of the pixels around each of these are as far as it is."""
    wide = _AROUND_PX // 2
    padded = cv2.copyMakeBorder(depth_m, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=_FAR_M)
    row, column = np.divmod(pixel, depth_m.shape[1])
    corner = row * padded.shape[1] + column
    steps = np.arange(_AROUND_PX)
    around = (steps[:, None] * padded.shape[1] + steps).ravel()
    near = padded.ravel().take(corner[:, None] + around)  # (N, around)
    own = depth_m.ravel().take(pixel)[:, None]
    alike = np.abs(near - own) < np.float32(_ALIKE) * own
    return np.asarray(np.count_nonzero(alike, axis=1) - 1)


@cache
def _kernel(width_px: int, height_px: int) -> NDArray[np.uint8]:
    return np.ones((height_px, width_px), np.uint8)
