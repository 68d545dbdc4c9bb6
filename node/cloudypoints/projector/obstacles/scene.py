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
from cloudypoints.projector.obstacles.tables import NEAR_M, Indices, ObstacleTables, thin
from cloudypoints.projector.obstacles.terrain import lying_in, terrain_of
from cloudypoints.projector.settings import ObstacleSettings

_FAR_M = 1e6  # depth of what is unknown: behind everything
_TALL_PX = 9  # one pixel wide and lower than this may be a speck
_ALIKE = 0.05  # relative difference of depth within one thing
_AROUND_PX, _COMPANY = 5, 6  # a window, and how many pixels alike in it make no speck


@dataclass(frozen=True, slots=True)
class Pixels:
    """Some of a frame's pixels, (M,)."""

    index: NDArray[np.intp]  # into the thinned grid, row by row
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
    ground: Pixels  # some columns of it, see ObstacleTables.ground_step


def look(
    depth_m: Floats, labels: NDArray[np.uint8] | None, tables: ObstacleTables, mount: Mount
) -> Scene:
    """Depth and labels (H, W) of the whole grid, seen from this mount."""
    depth = np.asarray(thin(depth_m, tables.step), np.float32)
    known = np.count_nonzero(np.isfinite(depth)) / depth.size
    cv2.patchNaNs(depth, _FAR_M)
    depth = without_specks(depth)
    up = tables.up(mount)
    range_m = tables.ranges_m(depth, up)
    height_m = np.asarray(cv2.multiply(depth, up, dst=up), np.float32)
    height_m += np.float32(mount.height_m)
    measured = np.asarray(cv2.inRange(range_m, NEAR_M, tables.far_m), np.bool_)
    cell = tables.cells_of(range_m)
    lying = lying_in(range_m, height_m, measured, tables)
    terrain = terrain_of(cell, height_m, lying, tables)
    height_m -= terrain.height_m.take(cell)
    most_m = height_m.copy()
    behind = np.flatnonzero(terrain.behind.take(cell) & measured)
    most_m.ravel()[behind] += terrain.doubt_m.take(cell.take(behind))
    measured.ravel()[behind] &= ~lying.take(behind)  # flat, but how high nobody knows
    thinned = None if labels is None else np.asarray(thin(labels, tables.step), np.uint8)
    standing, ground = _sorted_out((height_m, most_m), measured, thinned, tables.settings)
    columns = np.zeros_like(ground)
    columns[:, :: tables.ground_step] = ground[:, :: tables.ground_step]
    grid = _Grid(tables, mount, depth, cell, range_m, thinned)
    return Scene(
        tables, mount, range_m, height_m, known, grid.pixels(standing), grid.pixels(columns)
    )


@dataclass(frozen=True, slots=True)
class _Grid:
    """All that pixels are taken from, (h, w)."""

    tables: ObstacleTables
    mount: Mount
    depth_m: Floats
    cell: Indices
    range_m: Floats
    labels: NDArray[np.uint8] | None

    def pixels(self, chosen: NDArray[np.bool_]) -> Pixels:
        """Those chosen."""
        index = np.flatnonzero(chosen)
        forward_m, left_m = self.tables.places_m(index, self.depth_m.take(index), self.mount)
        return Pixels(
            index=index,
            cell=self.cell.take(index),
            range_m=self.range_m.take(index),
            forward_m=forward_m,
            left_m=left_m,
            label=np.zeros(len(index), np.uint8)
            if self.labels is None
            else self.labels.take(index),
        )


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


def _sorted_out(
    heights_m: tuple[Floats, Floats],
    measured: NDArray[np.bool_],
    labels: NDArray[np.uint8] | None,
    settings: ObstacleSettings,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels stand in the height band, and which lie on the ground.

    `heights_m` above the ground as it was seen, and as low as it may be. What the model calls flat
    must rise twice as high to count: there its depth is at fault.
    """
    height_m, most_m = heights_m
    low, high = np.float32(settings.min_height_m), np.float32(settings.max_height_m)
    standing = measured & (most_m > low) & (height_m < high)
    ground = measured & (np.abs(height_m) <= low)
    if labels is not None:
        flat = labels == Category.FLAT
        ground &= flat
        standing &= ~flat | (height_m > 2 * low)
    return standing, ground
