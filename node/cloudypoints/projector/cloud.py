"""Depth to points: a table look-up times depth, in strips that stay in the processor's cache."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Floats, directions_vehicle
from cloudypoints.inference.card import ModelCard
from cloudypoints.masks import only, within
from cloudypoints.messages import Array
from cloudypoints.projector.settings import CloudSettings, GroundSettings

_STRIP_PX = 64 << 10  # pixels: few enough for the caches, enough to make up for a dozen calls


def limits_bind(card: ModelCard, settings: CloudSettings, ground: GroundSettings) -> bool:
    """Whether depth that this model gives can lie outside the limits."""
    low_m, high_m = card.valid_range
    inside = settings.min_range_m <= low_m and high_m <= settings.max_range_m
    scaled = settings.scale == "ground" or ground.stabilise_s > 0
    as_it_comes = card.depth == "metric" and not scaled and not card.assumed_focal_px
    return not as_it_comes or not inside or _limits_height(settings)


def limited(depth_m: Floats, camera: Camera, rays: Floats, settings: CloudSettings) -> Floats:
    """The same depth with NaN outside the range and height limits."""
    known = within(depth_m, settings.min_range_m, settings.max_range_m)
    if _limits_height(settings):
        up = directions_vehicle(camera, rays)[2]
        height_m = camera.mount.height_m + depth_m * up
        known &= within(height_m, settings.min_height_m, settings.max_height_m)
    return only(known, depth_m)


def _limits_height(settings: CloudSettings) -> bool:
    return settings.min_height_m > -100.0 or settings.max_height_m < 100.0


def colours_of(picture: NDArray[np.uint8], labels: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """(H, W, 4) red, green, blue and category (0, void, without labels), as a point holds them."""
    colours = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA), np.uint8)
    if labels is None:
        colours[..., 3] = 0
    else:
        cv2.insertChannel(labels, colours, 3)
    return colours


def organised_points(
    depth_m: Floats,
    rays: Floats,
    picture: NDArray[np.uint8],
    labels: NDArray[np.uint8] | None,
    out: Array,
) -> Array:
    """`out` (H, W) of POINT, filled: x = ray x * depth, y = ray y * depth, z = depth, and colours.

    Unknown depth makes a point of NaN. `rays` (2, H, W), `picture` (H, W, 3), `labels` (H, W).
    """
    height, width = depth_m.shape
    rows = max(1, min(height, _STRIP_PX // width))
    x, y = np.empty((2, rows, width), np.float32)
    points = out.view(np.float32).reshape(height, width, 4)
    for top in range(0, height, rows):
        strip = slice(top, min(top + rows, height))
        z = depth_m[strip]
        count = len(z)
        cv2.multiply(rays[0, strip], z, dst=x[:count])
        cv2.multiply(rays[1, strip], z, dst=y[:count])
        colours = colours_of(picture[strip], None if labels is None else labels[strip])
        rgbl = colours.view(np.float32).reshape(count, width)
        cv2.merge([x[:count], y[:count], z, rgbl], dst=points[strip])
    return out


def strided(points: Array, stride: int) -> Array:
    """Every n-th row and column of an organised cloud (H, W), from the middle of each block."""
    if stride == 1:
        return points
    start = stride // 2
    kept: Array = np.ascontiguousarray(points[start::stride, start::stride])
    return kept


def compact(points: Array) -> Array:
    """The known points alone, (N,)."""
    flat: Array = points.reshape(-1)
    known: Array = flat[np.isfinite(flat["z"])]
    return known


def voxel_thinned(points: Array, voxel_m: float) -> Array:
    """One point, the first, of each cube of this edge: compact (N,) in, compact out, order kept."""
    if voxel_m <= 0 or len(points) == 0:
        return points
    xyz = points.view(np.float32).reshape(-1, 4)[:, :3]
    cell = np.floor(xyz / np.float32(voxel_m)).astype(np.int64)
    cell -= cell.min(axis=0)
    extent = cell.max(axis=0) + 1
    key = (cell[:, 0] * extent[1] + cell[:, 1]) * extent[2] + cell[:, 2]
    _, first = np.unique(key, return_index=True)
    thinned: Array = points[np.sort(first)]
    return thinned
