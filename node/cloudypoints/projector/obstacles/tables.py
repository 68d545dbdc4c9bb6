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

Indices = NDArray[np.intp]
Cells = NDArray[np.int32]
Matrix = NDArray[np.float64]  # (4, 4), the vehicle's frame from the camera's

NEAR_M = 0.5  # nothing nearer is measured
_MANTISSA_BITS = 23 - 5  # of a float32 below those that name its bin
_COLUMNS = 16  # of a sector at least, where every second is left out
_LEAST_PX, _AT_M = 3.0, 20.0  # the smallest obstacle covers so many pixels a side, that far away
_MIN_PIXELS = 3  # fewer never make an obstacle, however far
_LEVEL_M = 0.04  # one sigma of heights on level ground: where they differ more, there are two
_ANY_M = 1e3  # heights in one cell never differ so much
_COVERED = 0.15  # of the pixels that the smallest obstacle covers; part of it is below the band


@dataclass(frozen=True, slots=True)
class Rows:
    """Within what the rays of each row lie, (2, h): the least and the most of it."""

    x: Floats
    y: Floats
    length: Floats  # (h,) of the longest

    @property
    def longest(self) -> float:
        """Of all rays."""
        return float(np.fmax.reduce(self.length))

    @classmethod
    def of(cls, rays: Floats) -> Rows:
        """Of rays (2, h, w)."""
        # A lens may have pixels without a ray: NaN, which these two leave out.
        low, high = np.fmin.reduce(rays, axis=2), np.fmax.reduce(rays, axis=2)
        square = np.fmax.reduce((rays * rays).sum(axis=0), axis=1) + 1
        (x, y) = np.stack([low, high], axis=1)
        return cls(x, y, np.sqrt(square))

    def steepness(self, matrix: Matrix, slope: float) -> Floats:
        """(h,) how much a metre of depth goes up above ground of this slope, at the least."""
        x, y, z = matrix[2, :3]
        up = np.minimum(*(x * self.x)) + np.minimum(*(y * self.y)) + z
        return np.asarray(up - slope * self.length)


@dataclass(frozen=True, slots=True)
class ObstacleTables:
    """Tables of a grid's camera, thinned: every `step`-th row and column."""

    settings: ObstacleSettings
    camera: Camera  # of the thinned grid
    step: int
    rays: Floats  # (2, h, w): x / z and y / z
    first_cell: Cells  # (h, w), what makes a cell of a bin: of the sector that a pixel looks into
    lowest_sector: Indices  # (w,) that the pixels of the lowest row look into
    rows: Rows
    part_rays: Floats  # (2, h, w / ground_step), of the columns that show the ground
    part_square: Floats  # (h, w / ground_step), likewise
    part_first_cell: Cells  # (h, w / ground_step), likewise
    bearings_rad: Floats  # (S,) the sectors' middles
    bin_m: Floats  # (B + 1,) where each range bin begins, and where the last one ends
    middle_m: NDArray[np.float64]  # (B,) of each
    needed: Floats  # (B,) pixels that make an obstacle there
    level_m: NDArray[np.float64]  # (B,) one sigma of heights in a cell that shows one level
    widest_gap: Indices  # (B,) bins between two rows of the picture on flat ground there

    @classmethod
    def of(cls, camera: Camera, rays: Floats, settings: ObstacleSettings) -> ObstacleTables:
        """Of a grid's camera and rays (2, H, W); sectors lie on multiples of their width."""
        k = camera.intrinsics
        finest_px = min(k.fx_px, k.fy_px) * settings.min_size_m / _AT_M
        step = max(1, int(finest_px / _LEAST_PX))
        thinned = replace(camera, intrinsics=k.strided(step))
        fewer: Floats = np.ascontiguousarray(rays[..., step // 2 :: step, step // 2 :: step])
        sector, bearings_rad = _sectors(thinned, fewer, settings)
        bin_m = _bin_edges(settings.max_range_m)
        square = square_of(*fewer)
        first_cell: Cells = sector * np.int32(len(bin_m) - 1) - np.int32(_first_bin())
        ground_step = _ground_step(thinned, len(bearings_rad))
        return cls(
            settings=settings,
            camera=thinned,
            step=step,
            rays=fewer,
            first_cell=first_cell,
            lowest_sector=sector[-1].astype(np.intp),
            rows=Rows.of(fewer),
            part_rays=np.ascontiguousarray(fewer[..., ::ground_step]),
            part_square=np.ascontiguousarray(square[:, ::ground_step]),
            part_first_cell=np.ascontiguousarray(first_cell[:, ::ground_step]),
            bearings_rad=bearings_rad,
            bin_m=bin_m,
            middle_m=np.sqrt(bin_m[:-1] * bin_m[1:]).astype(np.float64),
            needed=_needed(thinned, bin_m[:-1], settings),
            level_m=_levels_m(bin_m, settings),
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
        return _ground_step(self.camera, self.sectors)

    @property
    def far_m(self) -> float:
        """Where the last bin ends: what is farther is not looked at."""
        return float(self.bin_m[-1])

    def measured(self, range_m: Floats) -> NDArray[np.bool_]:
        """Where a range is neither unknown nor too far, nor too near."""
        near = range_m >= np.float32(NEAR_M)
        near &= range_m < np.float32(self.far_m)
        return near

    def cells_of(self, range_m: Floats, first_cell: Cells) -> Cells:
        """The sector × bins + bin of each range that is measured; of others, any number."""
        cell = range_m.view(np.int32) >> _MANTISSA_BITS
        cell += first_cell
        return cell

    def bins_of(self, distance_m: Floats) -> NDArray[np.int32]:
        """The bin of each distance; the outermost take what lies beyond them."""
        bits = np.ascontiguousarray(distance_m, np.float32).view(np.int32) >> _MANTISSA_BITS
        bits -= np.int32(_first_bin())
        np.maximum(bits, 0, out=bits)
        np.minimum(bits, self.bins - 1, out=bits)
        return bits


def thin(grid: NDArray[Any], step: int, out: NDArray[Any]) -> None:
    """Every `step`-th row and column of (H, W), from the middle of each block."""
    np.copyto(out, grid[step // 2 :: step, step // 2 :: step])


def ups_of(rays: Floats, matrix: Matrix, out: Floats | None = None) -> Floats:
    """How far up a metre of depth goes along rays (2, h, w)."""
    x, y, z = matrix[2, :3]
    return np.asarray(cv2.addWeighted(rays[0], x, rays[1], y, z, dst=out), np.float32)


def square_of(x: Floats, y: Floats) -> Floats:
    """Of the length of rays x / z and y / z."""
    square = x * x
    square += y * y
    square += 1
    return square


def ranges_of(depth_m: Floats, up: Floats, square: Floats) -> Floats:
    """Horizontal range of depth that goes so far `up` a metre, along rays of so long a `square`."""
    level = np.multiply(up, up)
    np.subtract(square, level, out=level)
    np.sqrt(level, out=level)
    return np.multiply(level, depth_m, out=level)


def _ground_step(camera: Camera, sectors: int) -> int:
    width_px = camera.intrinsics.width_px
    return 2 if width_px >= _COLUMNS * sectors and width_px % 2 == 0 else 1


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
    return sector.astype(np.int32), middles.astype(np.float32)


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


def _levels_m(bin_m: Floats, settings: ObstacleSettings) -> NDArray[np.float64]:
    """That of a slope, and no limit where nothing so small need be seen."""
    level_m = _LEVEL_M + settings.max_slope / 3 * np.diff(bin_m).astype(np.float64)
    middle_m = np.sqrt(bin_m[:-1] * bin_m[1:])
    return np.where(middle_m > _AT_M, _ANY_M, level_m)


def _widest_gaps(camera: Camera, bin_m: Floats) -> Indices:
    begin_m, width_m = bin_m[:-1], np.diff(bin_m)
    row_m = begin_m**2 / (camera.intrinsics.fy_px * camera.mount.height_m)
    return np.asarray(np.ceil(2 * row_m / width_m) + 2, np.intp)
