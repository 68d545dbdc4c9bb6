"""A cloud out of its frame's depth, picture and categories, so that it need not be stored as well.

The node makes a cloud of just these, by one multiplication a coordinate (IEEE 754, float32): made
again here it is the same to the bit, or it is not taken for one that can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Floats, Intrinsics, rays_of
from cloudypoints.messages import POINT, Array, Cloud, Depth, Image, Labels

_BAND_POINTS = 1 << 16  # made and compared at a time: 1 MB, which stays in the processor's caches


def cloud_points(
    depth: Depth, image: Image, labels: Labels | None, shape: tuple[int, ...]
) -> Array:
    """Organised points (H, W) of this shape: those of the depth's grid, or every n-th of them.

    Raises ValueError where they do not fit each other.
    """
    points = np.empty(shape, POINT)
    _Sources.of(depth, image, labels, shape).fill(points)
    return points


def can_be_rebuilt(cloud: Cloud, depth: Depth, image: Image, labels: Labels | None) -> bool:
    """Whether the cloud is, to the bit, what `cloud_points` makes of the others."""
    if cloud.points.ndim != 2 or not depth.header.intrinsics:
        return False
    try:
        sources = _Sources.of(depth, image, labels, cloud.points.shape)
    except ValueError:
        return False
    height, width = cloud.points.shape
    rows = max(1, _BAND_POINTS // max(1, width))
    made = np.empty((rows, width), POINT)
    for top in range(0, height, rows):
        stored = np.ascontiguousarray(cloud.points[top : top + rows])
        band = made[: len(stored)]
        sources.rows(top, top + rows).fill(band)
        if not np.array_equal(band.view(np.uint32), stored.view(np.uint32)):
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Sources:
    """What a cloud is made of, on its own grid."""

    rays: Floats  # (2, H, W)
    depth_m: Floats  # (H, W)
    picture: NDArray[np.uint8]  # (H, W, 3)
    labels: NDArray[np.uint8]  # (H, W)

    @classmethod
    def of(
        cls, depth: Depth, image: Image, labels: Labels | None, shape: tuple[int, ...]
    ) -> _Sources:
        """Every n-th of what these hold. Raises ValueError where they do not fit each other."""
        grid = depth.depth_m.shape
        ids = np.zeros(grid, np.uint8) if labels is None else labels.labels
        rays = _rays(depth.header.intrinsics)
        step = -(-grid[0] // shape[0]) if shape and shape[0] else 0
        kept = (slice(step // 2, None, step or 1),) * 2
        depth_m = depth.depth_m[kept]
        others = (image.picture.shape[:2], ids.shape, rays.shape[1:])
        if not step or depth_m.shape != shape or others != (grid,) * len(others):
            raise ValueError(f"a cloud of {shape} is not that of depth {grid}, others {others}")
        return cls(rays[(slice(None), *kept)], depth_m, image.picture[kept], ids[kept])

    def rows(self, start: int, stop: int) -> _Sources:
        """A band of them."""
        band = slice(start, stop)
        return _Sources(
            self.rays[:, band], self.depth_m[band], self.picture[band], self.labels[band]
        )

    def fill(self, points: Array) -> None:
        """Make the points of POINT (H, W)."""
        np.multiply(self.rays[0], self.depth_m, out=points["x"])
        np.multiply(self.rays[1], self.depth_m, out=points["y"])
        points["z"], points["label"] = self.depth_m, self.labels
        points["r"], points["g"], points["b"] = np.moveaxis(self.picture, -1, 0)


def rounded_depth(depth_m: Floats, step: float) -> tuple[NDArray[np.float32], float]:
    """Depth of which only as many bits are kept as hold it to half a `step` of its value.

    Returns it and the relative error at most made: 2⁻ⁿ⁻¹ for n kept bits of the mantissa.
    """
    kept_bits = max(0, int(np.ceil(-np.log2(step))))
    dropped = max(0, 23 - kept_bits)
    half = np.uint32((1 << dropped) >> 1)
    mask = np.uint32(0xFFFFFFFF ^ ((1 << dropped) - 1))
    bits = depth_m.view(np.uint32) + half
    bits &= mask
    rounded = bits.view(np.float32)
    np.copyto(rounded, depth_m, where=~np.isfinite(depth_m))
    return rounded, 2.0 ** (-kept_bits - 1)


@lru_cache(maxsize=8)
def _rays(intrinsics: tuple[float, ...]) -> Floats:
    """Of a grid without lens distortion. Raises ValueError for one that cannot be."""
    width_px, height_px, *pinhole = intrinsics
    try:
        return rays_of(Camera(Intrinsics(int(width_px), int(height_px), *pinhole)))
    except CalibrationError as error:
        raise ValueError(str(error)) from error
