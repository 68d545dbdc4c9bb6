"""Exact depth of grounds whose shape is known: planes, crests and dips, with walls upon them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cloudypoints.geometry import Camera, Distortion, Intrinsics, Mount, directions_vehicle, rays_of

WIDTH, HEIGHT = 240, 144
FRAME_NS = 50_000_000  # 20 frames a second
FAR_M = 80.0
Depths = np.ndarray


def camera_of(mount: Mount, distortion: Distortion | None = None) -> Camera:
    """70° wide."""
    return Camera(Intrinsics.from_fov(WIDTH, HEIGHT, 1.22), distortion or Distortion(), mount)


def flat_ground(camera: Camera) -> Depths:
    """Depth (H, W) of a plane below this camera; NaN above it and beyond `FAR_M`."""
    up = directions_vehicle(camera, rays_of(camera))[2]
    with np.errstate(divide="ignore"):
        depth_m = np.where(up < 0, -camera.mount.height_m / up, np.nan)
    return np.where(depth_m <= FAR_M, depth_m, np.nan).astype(np.float32)


def bent_ground(camera: Camera, height_of: Callable[[np.ndarray], np.ndarray]) -> Depths:
    """Depth of ground that rises to `height_of(forward, m)`: the first crossing, by marching."""
    forward, _, up = directions_vehicle(camera, rays_of(camera))
    depth_m = np.full(up.shape, np.nan, np.float32)
    for step_m in np.geomspace(0.5, FAR_M, 4000):
        above_m = camera.mount.height_m + step_m * up - height_of(step_m * forward)
        hit = np.isnan(depth_m) & (above_m <= 0)
        depth_m[hit] = step_m
    return depth_m


def with_wall(camera: Camera, depth_m: Depths, at_m: float, half_m: float = 60.0) -> Depths:
    """The scene behind a wall across it, 4 m high, so far ahead and so wide to each side."""
    forward, left, up = directions_vehicle(camera, rays_of(camera))
    with np.errstate(divide="ignore"):
        t = np.where(forward > 0, at_m / forward, np.nan)
    height_m = camera.mount.height_m + t * up
    hit = (np.abs(t * left) <= half_m) & (height_m >= 0) & (height_m <= 4)
    return np.where(hit & ~(depth_m < t), t, depth_m).astype(np.float32)


def noisy(depth_m: Depths, relative: float, seed: int) -> Depths:
    """The depth as a network errs: by a part of it, alike over patches."""
    import cv2

    random = np.random.default_rng(seed)
    coarse = random.normal(0, relative, (8, 12)).astype(np.float32)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return (depth_m * np.exp(smooth)).astype(np.float32)


def crest(from_m: float, slope: float) -> Callable[[np.ndarray], np.ndarray]:
    """Level up to there, then falling (slope < 0) or rising."""
    return lambda forward_m: slope * np.maximum(forward_m - from_m, 0)


def degrees_between(found_rad: float, true_rad: float) -> float:
    """Without a sign."""
    return math.degrees(abs(found_rad - true_rad))
