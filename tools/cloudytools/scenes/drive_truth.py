"""Obstacle distances out of exact depth: nearest, in the corridor, and per sector.

An obstacle is a pixel of a human, vehicle, object, construction or plant between 0.3 and 2.5 m
above the ground and within 60 m, measured on the ground from the point below the camera. Bearings
rise to the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, directions_vehicle, rays_of
from cloudypoints.messages import Category
from cloudytools.scenes.mesh import Floats

SECTORS = 36
SPAN_RAD = np.pi / 4  # sectors cover -45°..+45°, sector 0 is the rightmost
HEIGHTS_M = (0.3, 2.5)
FARTHEST_M = 60.0
CORRIDOR_HALF_M = 1.0
FRAME_NS = 50_000_000
OBSTACLES = (
    Category.HUMAN, Category.VEHICLE, Category.OBJECT, Category.CONSTRUCTION, Category.NATURE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Truth:
    """What is near in one frame; inf where nothing is."""

    nearest_m: float
    nearest_bearing_rad: float  # NaN where nothing is near
    corridor_m: float  # forward
    sector_range_m: Floats  # (SECTORS,)


def truth_of(depth_m: Floats, labels: NDArray[np.uint8], camera: Camera) -> Truth:
    """The distances in the vehicle frame of a camera without distortion."""
    forward, left = obstacle_points(depth_m, labels, camera)
    reach, bearing = np.hypot(forward, left), np.arctan2(left, forward)
    near = reach <= FARTHEST_M
    forward, left, reach, bearing = forward[near], left[near], reach[near], bearing[near]
    sectors = np.full(SECTORS, np.inf, np.float32)
    sector = np.floor((bearing + SPAN_RAD) / (2 * SPAN_RAD) * SECTORS).astype(np.intp)
    inside = (sector >= 0) & (sector < SECTORS)
    np.minimum.at(sectors, sector[inside], reach[inside].astype(np.float32))
    ahead = forward[np.abs(left) <= CORRIDOR_HALF_M]
    first = int(np.argmin(reach)) if reach.size else -1
    return Truth(
        nearest_m=float(reach[first]) if reach.size else np.inf,
        nearest_bearing_rad=float(bearing[first]) if reach.size else np.nan,
        corridor_m=float(ahead.min(initial=np.inf)),
        sector_range_m=sectors,
    )


def obstacle_points(
    depth_m: Floats, labels: NDArray[np.uint8], camera: Camera
) -> tuple[Floats, Floats]:
    """Forward and left (N,) of the obstacle pixels, metres from the point below the camera."""
    step = directions_vehicle(camera, rays_of(camera))
    height = camera.mount.height_m + step[2] * depth_m
    with np.errstate(invalid="ignore"):
        chosen = np.isin(labels, OBSTACLES) & (height >= HEIGHTS_M[0]) & (height <= HEIGHTS_M[1])
    return step[0][chosen] * depth_m[chosen], step[1][chosen] * depth_m[chosen]


def save_truth(path: Path, truths: Sequence[Truth], speed_mps: Floats) -> None:
    """Write `drive_truth.npz`: one row a frame, float32 but for the stamps."""
    np.savez_compressed(
        path,
        stamp_ns=np.arange(len(truths), dtype=np.int64) * FRAME_NS,
        nearest_m=np.array([t.nearest_m for t in truths], np.float32),
        nearest_bearing_rad=np.array([t.nearest_bearing_rad for t in truths], np.float32),
        corridor_m=np.array([t.corridor_m for t in truths], np.float32),
        sector_range_m=np.stack([t.sector_range_m for t in truths]),
        speed_mps=speed_mps.astype(np.float32),
    )
