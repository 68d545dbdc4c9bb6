"""A cloud out of its frame's depth, picture and categories, so that it need not be stored as well.

The node makes a cloud of just these, by one multiplication a coordinate (IEEE 754, float32): made
again here it is the same to the bit, or it is not taken for one that can be made again.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Floats, Intrinsics, rays_of
from cloudypoints.messages import POINT, Array, Cloud, Depth, Image, Labels


def cloud_points(
    depth: Depth, image: Image, labels: Labels | None, shape: tuple[int, ...]
) -> Array:
    """Organised points (H, W) of this shape: those of the depth's grid, or every n-th of them.

    Raises ValueError where they do not fit each other.
    """
    step = -(-depth.depth_m.shape[0] // shape[0]) if shape and shape[0] else 0
    kept = (slice(step // 2, None, step or 1),) * 2
    depth_m = depth.depth_m[kept]
    if not step or depth_m.shape != shape or image.picture.shape[:2] != depth.depth_m.shape:
        raise ValueError(f"a cloud of {shape} is not that of depth {depth.depth_m.shape}")
    rays = _rays(depth.header.intrinsics)[(slice(None), *kept)]
    points = np.empty(shape, POINT)
    points["x"], points["y"], points["z"] = rays[0] * depth_m, rays[1] * depth_m, depth_m
    picture = image.picture[kept]
    points["r"], points["g"], points["b"] = picture[..., 0], picture[..., 1], picture[..., 2]
    points["label"] = 0 if labels is None else labels.labels[kept]
    return points


def can_be_rebuilt(cloud: Cloud, depth: Depth, image: Image, labels: Labels | None) -> bool:
    """Whether the cloud is, to the bit, what `cloud_points` makes of the others."""
    if cloud.points.ndim != 2 or not depth.header.intrinsics:
        return False
    try:
        made = cloud_points(depth, image, labels, cloud.points.shape)
    except ValueError:
        return False
    stored = np.ascontiguousarray(cloud.points)
    return bool(np.array_equal(made.view(np.uint32), stored.view(np.uint32)))


def rounded_depth(depth_m: Floats, step: float) -> tuple[NDArray[np.float32], float]:
    """Depth of which only as many bits are kept as hold it to half a `step` of its value.

    Returns it and the relative error at most made: 2⁻ⁿ⁻¹ for n kept bits of the mantissa.
    """
    kept_bits = max(0, int(np.ceil(-np.log2(step))))
    dropped = max(0, 23 - kept_bits)
    half = np.uint32((1 << dropped) >> 1)
    mask = np.uint32(0xFFFFFFFF ^ ((1 << dropped) - 1))
    bits = depth_m.view(np.uint32)
    rounded = ((bits + half) & mask).view(np.float32)
    return np.where(np.isfinite(depth_m), rounded, depth_m), 2.0 ** (-kept_bits - 1)


@lru_cache(maxsize=8)
def _rays(intrinsics: tuple[float, ...]) -> Floats:
    """Of a grid without lens distortion."""
    width_px, height_px, *pinhole = intrinsics
    return rays_of(Camera(Intrinsics(int(width_px), int(height_px), *pinhole)))
