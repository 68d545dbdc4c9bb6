"""Points and obstacles of a frame together, against copying the cloud's bytes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from cloudypoints.geometry import Camera, Floats, Intrinsics, Mount, ground_inverse_depth, rays_of
from cloudypoints.messages import Category, Header
from cloudypoints.projector import (
    GroundFilter,
    GroundSettings,
    ObstacleFilter,
    ObstacleSettings,
    ObstacleTables,
    without_flying,
)
from cloudytools.bench.figures import Effort, Figure, Target, alternated_ms, median_ms, medians
from cloudytools.bench.projection import Scene

_FRAME_NS = 40_000_000
_EDGE_M = 0.6
_FAR_M = 100.0
_CARS_M = (6.0, 11.0, 18.0, 26.0, 35.0, 44.0)  # a car or a person in each part of the picture


class Street:
    """A camera over a street with things on it, the clouds to fill, and what follows both."""

    def __init__(self) -> None:
        self.scene = Scene()
        camera = replace(self.scene.camera, mount=Mount(1.5, pitch_rad=0.05))
        self.depth_m, self.labels = _street(camera)
        count = len(self.scene.depths_m)
        self.scene.depths_m = [self.depth_m.copy() for _ in range(count)]
        self.scene.labels = [self.labels.copy() for _ in range(count)]
        self.intrinsics: Intrinsics = camera.intrinsics
        self._stamps = itertools.count(0, _FRAME_NS)
        rays = self.scene.rays
        self._ground = GroundFilter(camera, rays, "metric", settings=GroundSettings())
        self._obstacles = ObstacleFilter(ObstacleTables.of(camera, rays, ObstacleSettings()))

    def obstacles(self) -> None:
        """The next summary."""
        header = Header("bench", stamp_ns=next(self._stamps))
        self._obstacles.update(header, self.depth_m, self.labels)

    def points_and_obstacles(self) -> None:
        """What the target is of."""
        self.scene.project()
        self.obstacles()

    def ground(self) -> None:
        """The next fit of the ground."""
        self._ground.update(self.depth_m, self.labels, next(self._stamps))

    def edges(self) -> None:
        """What flies between surfaces is taken out."""
        without_flying(self.depth_m, self.intrinsics, _EDGE_M)


def obstacles(effort: Effort) -> list[Figure]:
    """640×480 points and the obstacle summary over a copy of the cloud; what else a frame takes."""
    street, times = Street(), round(effort.pick(60, 15))
    pairs = [
        alternated_ms(street.points_and_obstacles, street.scene.copy, times)
        for _ in range(effort.rounds)
    ]
    ours, copies = map(list, zip(*pairs, strict=True))
    ratios = tuple(our / copy for our, copy in pairs)
    beside = {
        "obstacles_ms": median_ms(street.obstacles, times),
        "ground_ms": median_ms(street.ground, times),
        "edges_ms": median_ms(street.edges, times),
    }
    figures = medians(both_ms=ours, copy_ms=copies) | beside
    return [Figure("obstacles", Target("≤", 6.0), ratios, figures)]


def _street(camera: Camera) -> tuple[Floats, np.ndarray]:
    """Depth and labels (H, W) of a flat street with a wall on either side and cars on it."""
    rays = rays_of(camera)
    with np.errstate(divide="ignore"):
        depth_m = 1 / ground_inverse_depth(camera, rays)
        walls_m = 9.0 / np.abs(rays[0])
    labels = np.full(depth_m.shape, Category.FLAT, np.uint8)
    labels[walls_m < depth_m] = Category.CONSTRUCTION
    depth_m = np.minimum(depth_m, walls_m)
    width_px, columns = depth_m.shape[1], np.arange(depth_m.shape[1])
    for number, z_m in enumerate(_CARS_M):
        left_px = (number * 7 % len(_CARS_M)) * width_px // len(_CARS_M)
        k = camera.intrinsics
        wide = (columns >= left_px) & (columns < left_px + 1.6 * k.fx_px / z_m)
        car = wide & (np.abs(rays[1] * z_m - 0.6) < 0.8) & (depth_m > z_m)
        depth_m[car], labels[car] = z_m, Category.VEHICLE
    depth_m[depth_m > _FAR_M] = np.nan
    return depth_m.astype(np.float32), labels
