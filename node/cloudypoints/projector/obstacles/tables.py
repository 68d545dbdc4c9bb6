"""What is the same for every frame of a camera: its thinned grid, sectors, range bins, sizes.

The grid is thinned to what the smallest obstacle needs, so that the work does not grow with the
picture. Range bins are a float's own exponent and the first five bits of its mantissa: 32 to the
octave, 1.6 to 3.1 % wide, and a shift tells which one a range lies in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Floats, directions_vehicle
from cloudypoints.projector.settings import ObstacleSettings

Indices = NDArray[np.intp]  # as numpy takes by them, without converting
Matrix = NDArray[np.float64]  # (4, 4)

NEAR_M = 0.5  # nothing nearer is measured
_MANTISSA_BITS = 23 - 5  # of a float32 below those that name its bin
_COLUMNS = 16  # of a sector at least, where every second is left out
_LEAST_PX, _AT_M = 3.0, 20.0  # the smallest obstacle covers so many pixels a side, that far away
_MIN_PIXELS = 3  # fewer never make an obstacle, however far
_COVERED = 0.15  # of the pixels that the smallest obstacle covers; part of it is below the band


@dataclass(frozen=True, slots=True)
class ObstacleTables:
    """Tables of a grid's camera, thinned: every `step`-th row and column."""

    settings: ObstacleSettings
    camera: Camera  # of the thinned grid
    step: int
    rays: Floats  # (2, h, w): x / z and y / z
    square: Floats  # (h, w), of the ray's length
    first_cell: Indices  # (h, w), what makes a cell of a bin: of the sector that a pixel looks into
    bearings_rad: Floats  # (S,) the sectors' middles
    bin_m: Floats  # (B + 1,) where each range bin begins, and where the last one ends
    needed: Floats  # (B,) pixels that make an obstacle there
    widest_gap: Indices  # (B,) bins between two rows of the picture on flat ground there

    @classmethod
    def of(cls, camera: Camera, rays: Floats, settings: ObstacleSettings) -> ObstacleTables:
        """Of a grid's camera and rays (2, H, W); sectors lie on multiples of their width."""
        k = camera.intrinsics
        finest_px = min(k.fx_px, k.fy_px) * settings.min_size_m / _AT_M
        step = max(1, int(finest_px / _LEAST_PX))
        thinned = replace(camera, intrinsics=k.strided(step))
        fewer: Floats = thin(rays, step)
        sector, bearings_rad = _sectors(thinned, fewer, settings)
        bin_m = _bin_edges(settings.max_range_m)
        return cls(
            settings=settings,
            camera=thinned,
            step=step,
            rays=fewer,
            square=fewer[0] ** 2 + fewer[1] ** 2 + 1,
            first_cell=sector * (len(bin_m) - 1) - _first_bin(),
            bearings_rad=bearings_rad,
            bin_m=bin_m,
            needed=_needed(thinned, bin_m[:-1], settings),
            widest_gap=_widest_gaps(thinned, bin_m),
        )

    @property
    def sectors(self) -> int:
        """How many."""
        return len(self.bearings_rad)

    @property
    def bins(self) -> int:
        """How many."""
        return len(self.needed)

    @property
    def ground_step(self) -> int:
        """Every so many columns show enough of the ground, which is large, in each sector."""
        return 2 if self.camera.intrinsics.width_px >= _COLUMNS * self.sectors else 1

    @property
    def far_m(self) -> float:
        """Where the last bin ends: what is farther is not looked at."""
        return float(self.bin_m[-1])

    def up(self, vehicle_from_camera: Matrix) -> Floats:
        """How far one metre of depth goes up, (h, w)."""
        x, y, z = vehicle_from_camera[2, :3]
        return np.asarray(cv2.addWeighted(self.rays[0], x, self.rays[1], y, z), np.float32)

    def ranges_m(self, depth_m: Floats, up: Floats) -> Floats:
        """Horizontal range (h, w) of each depth, where it goes `up`."""
        level = np.asarray(cv2.multiply(up, up), np.float32)
        cv2.subtract(self.square, level, dst=level)
        cv2.sqrt(level, dst=level)
        return np.asarray(cv2.multiply(level, depth_m, dst=level), np.float32)

    def cells_of(self, range_m: Floats) -> Indices:
        """The sector × bins + bin of each pixel (h, w); the outermost bins take what is beyond."""
        bin_of = range_m.view(np.int32) >> _MANTISSA_BITS
        np.clip(bin_of, _first_bin(), _first_bin() + self.bins - 1, out=bin_of)
        return bin_of + self.first_cell

    def bins_of(self, distance_m: Floats) -> Indices:
        """The bin of each distance; the outermost take what lies beyond them."""
        bits = np.ascontiguousarray(distance_m, np.float32).view(np.int32) >> _MANTISSA_BITS
        bits -= np.int32(_first_bin())
        np.maximum(bits, 0, out=bits)
        np.minimum(bits, self.bins - 1, out=bits)
        return bits.astype(np.intp)


def thin(grid: NDArray[Any], step: int) -> NDArray[Any]:
    """A copy of every `step`-th row and column of (..., H, W), from the middle of each block."""
    start = step // 2
    return columns(grid[..., start::step, :], start, step)


def columns(grid: NDArray[Any], start: int, step: int) -> NDArray[Any]:
    """A copy of every `step`-th column of (..., H, W)."""
    if grid.ndim > 2 or step == 1 or grid.shape[-1] % step:
        return grid[..., start::step].copy()
    blocks = grid.reshape(len(grid), -1, step)  # a channel is quicker to take than a stride
    return np.asarray(cv2.extractChannel(blocks, start))


def _sectors(camera: Camera, rays: Floats, settings: ObstacleSettings) -> tuple[Indices, Floats]:
    """The sector of each pixel (h, w), and the sectors' bearings (S,)."""
    forward, left, _ = directions_vehicle(camera, rays)
    # Measured from the optical axis, so that a rear view's sectors do not break at ±π.
    axis = camera.mount.vehicle_from_camera[:2, 2]
    turned = np.arctan2(axis[0] * left - axis[1] * forward, axis[0] * forward + axis[1] * left)
    bearing = turned + math.atan2(axis[1], axis[0])
    width = math.radians(settings.sector_deg)
    first = math.floor(float(np.nanmin(bearing)) / width + 1e-6)
    count = max(1, math.ceil(float(np.nanmax(bearing)) / width - 1e-6) - first)
    sector = np.clip(np.nan_to_num(np.floor(bearing / width) - first), 0, count - 1)
    middles = (first + np.arange(count) + 0.5) * width
    return sector.astype(np.intp), middles.astype(np.float32)


def _first_bin() -> int:
    return int(np.float32(NEAR_M).view(np.int32)) >> _MANTISSA_BITS


def _bin_edges(max_range_m: float) -> Floats:
    last = (int(np.float32(max_range_m).view(np.int32)) - 1) >> _MANTISSA_BITS
    bits = np.arange(_first_bin(), last + 2, dtype=np.int32) << _MANTISSA_BITS
    return bits.view(np.float32)


def _needed(camera: Camera, bin_m: Floats, settings: ObstacleSettings) -> Floats:
    k = camera.intrinsics
    covers = k.fx_px * k.fy_px * (settings.min_size_m / bin_m) ** 2
    return np.asarray(np.maximum(_MIN_PIXELS, _COVERED * covers), np.float32)


def _widest_gaps(camera: Camera, bin_m: Floats) -> Indices:
    begin_m, width_m = bin_m[:-1], np.diff(bin_m)
    row_m = begin_m**2 / (camera.intrinsics.fy_px * camera.mount.height_m)
    return np.asarray(np.ceil(2 * row_m / width_m) + 2, np.intp)
