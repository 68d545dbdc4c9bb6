"""The first obstacle summary: sectors like a laser scan's, the nearest, the corridor ahead.

A pixel is an obstacle when its point lies in the height band above the ground. In each sector the
nearest range counts at which enough of them stand together: as many as an obstacle of the least
size would cover there. Ground seen without a gap is `clear`; where neither was seen all is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Floats, directions_vehicle
from cloudypoints.messages import Category, Header, Obstacles
from cloudypoints.projector.settings import ObstacleSettings

Indices = NDArray[np.intp]

_NEAR_M = 0.5  # nothing nearer is measured
_BIN = math.log(1.03)  # range bins are 3 % wide
_MIN_PIXELS = 4  # fewer never make an obstacle, however far
_COVERED = 0.3  # the part of an obstacle's pixels that must be seen
_MIN_KNOWN = 0.2  # the part of pixels that must have depth for the summary to be ok


@dataclass(frozen=True, slots=True)
class ObstacleTables:
    """What is the same for every frame of a camera: directions and sectors of its grid, (H, W)."""

    settings: ObstacleSettings
    camera: Camera
    forward: Floats  # metres per metre of depth, vehicle axes
    left: Floats
    up: Floats
    across: Floats  # of forward and left together: horizontal metres per metre of depth
    bearing: Floats  # radians, > 0 to the left
    sector: Indices  # which sector a pixel looks into, bearing rising
    bearings_rad: Floats  # (S,) the sectors' middles
    bin_m: Floats  # (B,) where each range bin begins
    far_m: float  # where the last one ends
    needed: Floats  # (B,) pixels that an obstacle of the least size must cover there
    widest_gap: Indices  # (B,) bins between two rows of the picture on flat ground there

    @classmethod
    def of(cls, camera: Camera, rays: Floats, settings: ObstacleSettings) -> ObstacleTables:
        """Tables of a grid's camera; sectors lie on multiples of their width."""
        forward, left, up = directions_vehicle(camera, rays)
        # Measured from the optical axis, so that a rear view's sectors do not break at ±π.
        axis = camera.mount.vehicle_from_camera[:2, 2]
        turned = np.arctan2(axis[0] * left - axis[1] * forward, axis[0] * forward + axis[1] * left)
        bearing = (turned + math.atan2(axis[1], axis[0])).astype(np.float32)
        width = math.radians(settings.sector_deg)
        first = math.floor(float(np.nanmin(bearing)) / width + 1e-6)
        count = max(1, math.ceil(float(np.nanmax(bearing)) / width - 1e-6) - first)
        sector = np.nan_to_num(np.floor(bearing / width) - first).astype(np.intp)
        bins = math.ceil(math.log(settings.max_range_m / _NEAR_M) / _BIN)
        bin_m = _NEAR_M * np.exp(_BIN * np.arange(bins))
        k = camera.intrinsics
        covers = k.fx_px * k.fy_px * (settings.min_size_m / bin_m) ** 2
        row_step = bin_m / (k.fy_px * camera.mount.height_m)  # of range, relative to the range
        return cls(
            settings=settings,
            camera=camera,
            forward=forward,
            left=left,
            up=up,
            across=np.hypot(forward, left),
            bearing=bearing,
            sector=np.clip(sector, 0, count - 1),
            bearings_rad=((first + np.arange(count) + 0.5) * width).astype(np.float32),
            bin_m=bin_m.astype(np.float32),
            far_m=_NEAR_M * math.exp(_BIN * bins),
            needed=np.maximum(_MIN_PIXELS, _COVERED * covers).astype(np.float32),
            widest_gap=np.ceil(np.log1p(2 * row_step) / _BIN).astype(np.intp) + 2,
        )


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Some of a frame's pixels, (M,), and what is known of each."""

    index: Indices  # into the grid, row by row
    depth_m: Floats
    range_m: Floats  # horizontal, from the point on the ground below the camera
    tables: ObstacleTables

    @classmethod
    def of(
        cls, chosen: NDArray[np.bool_], depth_m: Floats, range_m: Floats, tables: ObstacleTables
    ) -> _Pixels:
        """Those of the grid (H, W) that are chosen."""
        index = np.flatnonzero(chosen)
        return cls(index, depth_m.take(index), range_m.take(index), tables)

    @property
    def forward_m(self) -> Floats:
        """From the vehicle's origin, vehicle axes."""
        ahead_m = self.tables.forward.take(self.index) * self.depth_m
        return ahead_m + np.float32(self.tables.camera.mount.x_m)

    @property
    def left_m(self) -> Floats:
        """From the vehicle's origin, vehicle axes."""
        aside_m = self.tables.left.take(self.index) * self.depth_m
        return aside_m + np.float32(self.tables.camera.mount.y_m)

    @property
    def sector(self) -> Indices:
        """That each lies in."""
        return self.tables.sector.take(self.index)

    def in_corridor(self) -> NDArray[np.bool_]:
        """Which of them lie before the bumper, in the vehicle's width."""
        settings = self.tables.settings
        beside = np.abs(self.left_m) <= settings.corridor_width_m / 2
        return beside & (self.forward_m > settings.bumper_x_m)


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The nearest supported distance of each group of pixels, and the pixels that make it."""

    distance_m: Floats  # (G,) inf where none
    support: NDArray[np.uint32]  # (G,)
    pixel: Indices  # of all groups, into the pixels they were found among
    group: Indices  # of each of those


def summarise(
    header: Header,
    depth_m: Floats,
    labels: NDArray[np.uint8] | None,
    tables: ObstacleTables,
    *,
    relative_error: float = 0.0,
) -> Obstacles:
    """Obstacles of one frame: `depth_m` and `labels` (H, W), `relative_error` of depth (AbsRel)."""
    obstacles, floor = _sorted_out(depth_m, labels, tables)
    sectors = len(tables.bearings_rad)
    near = _nearest(obstacles.sector, obstacles.range_m, sectors, tables)
    clear_m = _clear(floor.sector, floor.range_m, sectors, tables)
    seen = obstacles.index[near.pixel]
    label = np.zeros(len(seen), np.uint8) if labels is None else labels.take(seen)
    # Looked at and nothing seen is inf; not looked at is NaN, never free.
    range_m = np.where(np.isinf(near.distance_m) & np.isnan(clear_m), np.nan, near.distance_m)
    state, reason = _state(depth_m, clear_m)
    nearest_m, nearest_bearing_rad, nearest_category = _first_of_all(
        near, range_m, tables.bearing.take(seen), label
    )
    return Obstacles(
        header=header,
        bearing_rad=tables.bearings_rad,
        range_m=range_m.astype(np.float32),
        clear_m=np.minimum(clear_m, near.distance_m).astype(np.float32),
        lower_m=(range_m * max(0.0, 1 - relative_error)).astype(np.float32),
        upper_m=(range_m * (1 + relative_error)).astype(np.float32),
        support=near.support,
        category=_majority(near.group, label, sectors),
        state=state,
        reason=reason,
        nearest_m=nearest_m,
        nearest_bearing_rad=nearest_bearing_rad,
        nearest_category=nearest_category,
        corridor_m=_corridor(obstacles, floor, tables),
        corridor_width_m=tables.settings.corridor_width_m,
        bumper_x_m=tables.settings.bumper_x_m,
    )


def unknown(header: Header, tables: ObstacleTables, reason: str) -> Obstacles:
    """The summary of a camera that has nothing new to say: stale, and NaN all over."""
    nothing = np.full(len(tables.bearings_rad), np.nan, np.float32)
    return Obstacles(
        header=header,
        bearing_rad=tables.bearings_rad,
        range_m=nothing,
        clear_m=nothing,
        lower_m=nothing,
        upper_m=nothing,
        support=np.zeros(len(nothing), np.uint32),
        category=np.zeros(len(nothing), np.uint8),
        state="stale",
        reason=reason,
        corridor_width_m=tables.settings.corridor_width_m,
        bumper_x_m=tables.settings.bumper_x_m,
    )


def _sorted_out(
    depth_m: Floats, labels: NDArray[np.uint8] | None, tables: ObstacleTables
) -> tuple[_Pixels, _Pixels]:
    """The pixels that stand in the height band, and those that lie on the ground.

    What the model calls flat must rise twice as high to count: there its depth is at fault.
    """
    settings = tables.settings
    range_m = depth_m * tables.across
    height_m = depth_m * tables.up
    height_m += np.float32(tables.camera.mount.height_m)
    low = np.float32(settings.min_height_m)
    measured = (range_m >= _NEAR_M) & (range_m < tables.far_m)
    standing = measured & (height_m > low) & (height_m < settings.max_height_m)
    ground = measured & (np.abs(height_m) <= low)
    if labels is not None:
        flat = labels == Category.FLAT
        ground &= flat
        standing &= ~flat | (height_m > 2 * low)
    return (
        _Pixels.of(standing, depth_m, range_m, tables),
        _Pixels.of(ground, depth_m, range_m, tables),
    )


def _nearest(group: Indices, distance_m: Floats, groups: int, tables: ObstacleTables) -> _Nearest:
    """For each group the least distance at which enough pixels stand within two bins."""
    bins = len(tables.bin_m)
    bin_of = _bins(distance_m, tables)
    counts = np.bincount(group * bins + bin_of, minlength=groups * bins).reshape(groups, bins)
    pairs = counts[:, :-1] + counts[:, 1:]
    enough = pairs >= tables.needed[:-1]
    first = np.where(enough.any(axis=1), enough.argmax(axis=1), bins)
    behind = bin_of - first.take(group)
    pixel = np.flatnonzero((behind == 0) | (behind == 1))
    group = group.take(pixel)
    support = np.bincount(group, minlength=groups)
    found = support > 0
    # The edge is where half of the pixels needed have been met: a stray one does not move it.
    rank = np.minimum(tables.needed[np.minimum(first, bins - 1)] / 2, support - 1).astype(np.intp)
    start = np.cumsum(support) - support
    nearest_m = np.full(groups, np.inf, np.float32)
    nearest_m[found] = _sorted_by_group(group, distance_m.take(pixel))[(start + rank)[found]]
    return _Nearest(nearest_m, support.astype(np.uint32), pixel, group)


def _bins(distance_m: Floats, tables: ObstacleTables) -> Indices:
    """The range bin that each distance lies in; the outermost take what lies beyond them."""
    place = np.log(np.maximum(distance_m, _NEAR_M) / _NEAR_M) / _BIN
    return np.minimum(place.astype(np.intp), len(tables.bin_m) - 1)


def _sorted_by_group(group: Indices, distance_m: Floats) -> Floats:
    """The distances, group after group, rising in each."""
    # One sort of whole numbers: distances > 0 rise as their bits do, and the group stands above.
    key = (group.astype(np.uint64) << np.uint64(32)) | distance_m.view(np.uint32)
    key.sort()
    return key.astype(np.uint32).view(np.float32)


def _clear(group: Indices, range_m: Floats, groups: int, tables: ObstacleTables) -> Floats:
    """How far ground was seen in each group without a gap wider than the picture's rows; or NaN."""
    bins = len(tables.bin_m)
    seen = np.zeros((groups, bins), np.bool_)
    seen[group, _bins(range_m, tables)] = True
    place = np.where(seen, np.arange(bins), -1)
    before = np.roll(np.maximum.accumulate(place, axis=1), 1, axis=1)
    before[:, 0] = -1
    gap = np.where(seen & (before >= 0), np.arange(bins) - before, 0)
    broken = gap > tables.widest_gap
    unbroken = np.cumsum(broken, axis=1) == 0
    last = np.where(unbroken, place, -1).max(axis=1)
    return np.where(last >= 0, tables.bin_m[last], np.float32(np.nan)).astype(np.float32)


def _corridor(obstacles: _Pixels, floor: _Pixels, tables: ObstacleTables) -> float:
    """Free way ahead of the bumper, metres: inf if only ground was seen, NaN if not even that."""
    ahead_m = obstacles.forward_m[obstacles.in_corridor()]
    ahead_m -= np.float32(tables.settings.bumper_x_m)
    nearest = _nearest(np.zeros(len(ahead_m), np.intp), ahead_m, 1, tables).distance_m[0]
    return float(nearest) if np.isfinite(nearest) or floor.in_corridor().any() else math.nan


def _majority(group: Indices, label: NDArray[np.uint8], groups: int) -> NDArray[np.uint8]:
    """The commonest label of each group's pixels, (G,); void where there are none."""
    kinds = len(Category)
    counts = np.bincount(group * kinds + label, minlength=groups * kinds).reshape(groups, kinds)
    return np.asarray(counts.argmax(axis=1), np.uint8)


def _first_of_all(
    near: _Nearest, range_m: Floats, bearing_rad: Floats, label: NDArray[np.uint8]
) -> tuple[float, float, int]:
    """Range, bearing and category of the nearest obstacle of all sectors.

    `bearing_rad` and `label` are those of the pixels that make each sector's nearest.
    """
    if not np.isfinite(range_m).any():
        # With nothing near, one blind sector leaves the answer open.
        none = math.inf if np.isinf(range_m).all() else math.nan
        return none, math.nan, 0
    sector = int(np.nanargmin(range_m))
    mine = near.group == sector
    category = int(np.bincount(label[mine]).argmax())
    return float(range_m[sector]), float(bearing_rad[mine].mean()), category


def _state(depth_m: Floats, clear_m: Floats) -> tuple[str, str]:
    """`ok`, or `degraded` and why."""
    known = np.count_nonzero(np.isfinite(depth_m)) / depth_m.size
    if known < _MIN_KNOWN:
        return "degraded", f"depth known for {known:.0%} of the picture only"
    if np.isnan(clear_m).all():
        return "degraded", "no ground in view"
    return "ok", ""
