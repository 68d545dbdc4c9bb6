"""What is truly in the way: per sector, nearest, in the corridor, out of exact depth and labels.

An obstacle is what the labels call one (no network's, no projector's word) between the band's
heights above the ground right below it. It counts once as much of it is seen in a sector as the
smallest obstacle shows above the band, well inside it; what a sector holds less of is neither
missed nor false.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.corridor import Corridor
from cloudypoints.geometry import Camera, Floats, directions_vehicle, rays_of
from cloudypoints.messages import Category
from cloudypoints.projector import ObstacleSettings, ObstacleTables

OBSTACLES = (
    Category.HUMAN, Category.VEHICLE, Category.OBJECT, Category.CONSTRUCTION, Category.NATURE,
)  # fmt: skip
_SHOWN = 1 / 3  # of the smallest obstacle's square: 0.2 to 0.3 m of its 0.3 m
_THICK = 1.05  # what counts as one thing lies within this factor of its nearest range
_SLICE_M, _DEEP_M = 0.25, 2.0  # heights that are followed, of what lies behind its nearest point
_INSIDE_M = (0.15, 0.25)  # of its limits: a pavement lifts what stands on it by 0.13 m
_NEAR_BY = 0.05  # a report is false unless something stands within this part of its range


@dataclass(frozen=True, slots=True)
class Points:
    """Obstacle pixels of one frame in the band, or above it by a hair, (N,)."""

    range_m: Floats
    sector: NDArray[np.intp]
    area_m2: Floats  # that each pixel shows
    ahead_m: Floats  # along the corridor; NaN outside
    inside: NDArray[np.bool_]  # the band, and not by a hair


@dataclass(frozen=True, slots=True)
class Truth:
    """Of one frame; inf where nothing stands."""

    range_m: Floats  # (S,)
    points: Points
    corridor_m: float
    nearest_m: float
    slices_m: Floats  # (H,) the corridor's distance by height above the ground; NaN where none

    def holds(self, sector: int, range_m: float) -> bool:
        """Whether something does stand there, in that sector or just over its edge."""
        return self.off_m(sector, range_m) <= max(_NEAR_BY * range_m, 0.1)

    def anything_at(self, range_m: float) -> bool:
        """Whether a part of anything, too little to count, is nearer than what does, just there."""
        if not range_m < self.nearest_m:
            return False
        off_m = float(np.abs(self.points.range_m - range_m).min(initial=np.inf))
        return off_m <= max(0.01 * range_m, 0.05)

    def off_m(self, sector: int, range_m: float) -> float:
        """How far a report is from the nearest part of anything there; inf without anything."""
        beside = np.abs(self.points.sector - sector) <= 1
        return float(np.abs(self.points.range_m[beside] - range_m).min(initial=np.inf))

    def errors_m(self, told_m: Floats) -> Floats:
        """(S,) of reports: too far, from what counts; too near, from any part of anything there."""
        with np.errstate(invalid="ignore"):
            error_m: Floats = np.abs(told_m - self.range_m)
        for sector in np.flatnonzero(told_m < self.range_m):
            error_m[sector] = self.off_m(int(sector), float(told_m[sector]))
        return error_m


class TruthFinder:
    """For the frames of one camera."""

    def __init__(self, camera: Camera, settings: ObstacleSettings) -> None:
        """`camera` as it sits on the vehicle, of the whole grid."""
        rays = rays_of(camera)
        self._settings = settings
        self._corridor = Corridor(
            settings.curvature_1pm,
            settings.corridor_width_m,
            settings.bumper_x_m,
            settings.axle_x_m,
        )
        self._mount, self._k = camera.mount, camera.intrinsics
        self._forward, self._left, _ = directions_vehicle(camera, rays)
        bearing = np.arctan2(self._left, self._forward)
        self.bearings_rad = ObstacleTables.of(camera, rays, settings).bearings_rad
        width = math.radians(settings.sector_deg)
        # Of the middle sector, so that a view to the rear does not break at ±π.
        middle = len(self.bearings_rad) // 2
        off = np.angle(np.exp(1j * (bearing - self.bearings_rad[middle])))
        self._sector = middle + np.floor(off / width + 0.5).astype(np.intp)

    def find(self, depth_m: Floats, labels: NDArray[np.uint8], height_m: Floats) -> Truth:
        """Of exact depth, labels and heights above the ground, all (H, W)."""
        settings = self._settings
        with np.errstate(invalid="ignore"):
            chosen = np.isin(labels, OBSTACLES) & (height_m > settings.min_height_m)
            chosen &= height_m < settings.max_height_m + _INSIDE_M[1]
            chosen &= depth_m * np.hypot(self._forward, self._left) < settings.max_range_m
        z = depth_m[chosen]
        forward, left = self._forward[chosen] * z, self._left[chosen] * z
        inside, ahead_m = self._corridor.ahead(forward + self._mount.x_m, left + self._mount.y_m)
        points = Points(
            range_m=np.hypot(forward, left),
            sector=self._sector[chosen],
            area_m2=z * z / np.float32(self._k.fx_px * self._k.fy_px),
            ahead_m=np.where(inside, ahead_m, np.nan),
            inside=(height_m[chosen] > settings.min_height_m + _INSIDE_M[0])
            & (height_m[chosen] < settings.max_height_m - _INSIDE_M[1]),
        )
        groups = range(len(self.bearings_rad))
        sectors = [points.inside & (points.sector == group) for group in groups]
        range_m = np.array([self._first(points.range_m[s], points.area_m2[s]) for s in sectors])
        way = points.inside & np.isfinite(points.ahead_m)
        corridor_m = self._first(points.ahead_m[way], points.area_m2[way])
        nearest_m = float(range_m.min(initial=np.inf))
        slices_m = self._slices_m(points.ahead_m, height_m[chosen], corridor_m)
        return Truth(range_m, points, corridor_m, nearest_m, slices_m)

    def _slices_m(self, ahead_m: Floats, height_m: Floats, nearest_m: float) -> Floats:
        """(H,) how far what is nearest is at each height."""
        with np.errstate(invalid="ignore"):
            mine = (ahead_m >= nearest_m) & (ahead_m <= nearest_m + _DEEP_M)
        count = math.ceil(self._settings.max_height_m / _SLICE_M) + 1
        place = (height_m / _SLICE_M).astype(np.intp)
        of_slice = [ahead_m[mine & (place == number)] for number in range(count)]
        return np.array([np.median(m) if len(m) else np.nan for m in of_slice], np.float32)

    def _first(self, distance_m: Floats, area_m2: Floats) -> float:
        """The nearest at which enough is seen of something; inf where nothing is."""
        order = np.argsort(distance_m)
        distance_m, area = distance_m[order], np.cumsum(area_m2[order], dtype=np.float64)
        last = np.searchsorted(distance_m, distance_m * _THICK, side="right") - 1
        seen = area[last] - area + area_m2[order]
        enough = np.flatnonzero(seen >= _SHOWN * self._settings.min_size_m**2)
        return float(distance_m[enough[0]]) if len(enough) else math.inf
