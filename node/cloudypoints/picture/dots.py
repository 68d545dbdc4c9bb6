"""A cloud made ready to be drawn: places, colours, and how much of a surface each point stands for.

In the vehicle frame: metres, x forward, y left, z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import transformed
from cloudypoints.messages import Array, Cloud, Header

Points = NDArray[np.float64]

# Two rows of the grid see one surface where their depths differ by less than this part.
_SAME_SURFACE = 0.14
_UNKNOWN_FOCAL_PX = 300.0


@dataclass(frozen=True, slots=True)
class Dots:
    """Known points, (N, ...)."""

    points_vehicle: Points  # (N, 3)
    above_vehicle: Points  # (N, 3): what the pixel above sees of the same surface, or the point
    width_m: Points  # (N,): of the camera's pixel there
    colours: NDArray[np.uint8]  # (N, 3)

    @classmethod
    def of(cls, cloud: Cloud) -> Dots:
        """Of an organised or a compact cloud with a mount."""
        points = np.atleast_2d(cloud.points)
        known = np.isfinite(points["z"])
        xyz_m = np.stack([points[axis] for axis in "xyz"], axis=-1)
        vehicle = transformed(cloud.header.vehicle_from_camera_matrix, xyz_m)
        above = np.where(_joined(points)[..., None], np.roll(vehicle, 1, axis=0), vehicle)
        lens = lens_of(cloud.header)
        f_px = lens[2] if lens else _UNKNOWN_FOCAL_PX
        return cls(
            points_vehicle=vehicle[known],
            above_vehicle=above[known],
            width_m=(points["z"][known] / f_px).astype(np.float64),
            colours=cloud.rgb,
        )


def lens_of(header: Header) -> tuple[float, ...]:
    """width, height, fx, fy, cx, cy in pixels; empty where unknown, or where none can be so."""
    return header.intrinsics if min(header.intrinsics[:4], default=0.0) > 0 else ()


def _joined(points: Array) -> NDArray[np.bool_]:
    """Whether a point of the grid (H, W) and the one above it lie on one surface."""
    joined = np.zeros(points.shape, bool)
    depth_m = points["z"]
    joined[1:] = np.abs(np.diff(depth_m, axis=0)) < _SAME_SURFACE * depth_m[1:]
    return joined
