"""Depth to organised XYZRGB points, against copying as many bytes and against Open3D."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from cloudypoints.errors import MissingExtra
from cloudypoints.geometry import Camera, Floats, Intrinsics, rays_of
from cloudypoints.messages import POINT, Array, Category
from cloudypoints.projector import organised_points
from cloudytools.bench.figures import (
    Effort,
    Figure,
    Target,
    alternated_ms,
    interleaved,
    median_ms,
    medians,
)
from cloudytools.bench.footage import pictures
from cloudytools.bench.machine import last_level_cache_bytes

WIDTH_PX, HEIGHT_PX = 640, 480
_CACHES = 2  # the ring is as large as this many last-level caches


class Scene:
    """Frames to project and a ring of clouds to fill, too large for any cache together."""

    def __init__(self) -> None:
        size_px = (WIDTH_PX, HEIGHT_PX)
        shape = (HEIGHT_PX, WIDTH_PX)
        count = 2 + _CACHES * last_level_cache_bytes() // (WIDTH_PX * HEIGHT_PX * POINT.itemsize)
        random = np.random.default_rng(1)
        depth_m = random.uniform(1, 80, shape).astype(np.float32)
        depth_m[random.random(shape) < 0.1] = np.nan
        self.camera = Camera(Intrinsics.from_fov(*size_px, 1.2))
        self.rays: Floats = rays_of(self.camera)
        self.ring: list[Array] = [np.zeros(shape, POINT) for _ in range(count)]
        self.depths_m: list[Floats] = [depth_m.copy() for _ in range(count)]
        self.pictures = [pictures(1, size_px)[0] for _ in range(count)]
        self.labels = [np.full(shape, Category.FLAT, np.uint8) for _ in range(count)]
        self._turn = itertools.cycle(range(count))

    def project(self) -> None:
        """The next frame into the next cloud."""
        at = next(self._turn)
        frame = self.depths_m[at], self.rays, self.pictures[at], self.labels[at]
        organised_points(*frame, out=self.ring[at])

    def copy(self) -> None:
        """A cloud that no cache holds any more over the next one."""
        at = next(self._turn)
        old = self.ring[at - len(self.ring) // 2]
        np.copyto(self.ring[at].view(np.uint8), old.view(np.uint8))


def projection(effort: Effort) -> list[Figure]:
    """640×480 points, colours and labels over a copy of the same bytes."""
    scene, times = Scene(), round(effort.pick(60, 15))
    pairs = [alternated_ms(scene.project, scene.copy, times) for _ in range(effort.rounds)]
    ours, copies = map(list, zip(*pairs, strict=True))
    ratios = tuple(our / copy for our, copy in pairs)
    return [
        Figure("projection", Target("≤", 1.5), ratios, medians(project_ms=ours, copy_ms=copies))
    ]


def open3d(effort: Effort) -> list[Figure]:
    """Open3D's tensor projection of the same frames over ours."""
    scene, times = Scene(), round(effort.pick(40, 5))
    theirs = _open3d_projection(scene)
    # Side by side, not call by call: its threads spin on for a while, and would slow ours down.
    pairs = interleaved(
        effort.rounds, lambda: median_ms(scene.project, times), lambda: median_ms(theirs, times)
    )
    ours, peers = map(list, zip(*pairs, strict=True))
    ratios = tuple(peer / our for our, peer in pairs)
    return [Figure("open3d", Target("≥", 5.0), ratios, medians(project_ms=ours, open3d_ms=peers))]


def _open3d_projection(scene: Scene) -> Callable[[], object]:
    """Open3D's work on the scene's frames, which lie in its own images beforehand."""
    o3d = _import_open3d()
    k = scene.camera.intrinsics
    matrix = [[k.fx_px, 0, k.cx_px], [0, k.fy_px, k.cy_px], [0, 0, 1]]
    intrinsics = o3d.core.Tensor(np.array(matrix, np.float64))
    extrinsics = o3d.core.Tensor(np.eye(4))
    frames = itertools.cycle(
        o3d.t.geometry.RGBDImage(o3d.t.geometry.Image(picture), o3d.t.geometry.Image(depth_m))
        for picture, depth_m in zip(scene.pictures, scene.depths_m, strict=True)
    )
    make = o3d.t.geometry.PointCloud.create_from_rgbd_image
    return lambda: make(next(frames), intrinsics, extrinsics, depth_scale=1.0, depth_max=100.0)


def _import_open3d() -> Any:
    try:
        import open3d
    except ImportError as error:
        raise MissingExtra("comparing with Open3D", "viewer") from error
    return open3d
