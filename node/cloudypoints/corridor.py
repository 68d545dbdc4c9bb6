"""The way ahead: along an arc of steady steering, as wide as the vehicle sweeps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats
from cloudypoints.messages import Obstacles

Bools = NDArray[np.bool_]

_STRAIGHT_1PM = 1e-5  # an arc of 100 km
_MOST_RAD = math.pi  # of the circle is looked at: half a turn


@dataclass(frozen=True, slots=True)
class Corridor:
    """The band that the vehicle sweeps; it begins at the bumper, at right angles to the rear axle.

    A turning vehicle's inner side sweeps at the rear axle, its outer at the front corner.
    """

    curvature_1pm: float  # of the way of the axle's middle; > 0 to the left
    width_m: float
    bumper_x_m: float
    axle_x_m: float

    @classmethod
    def told_by(cls, obstacles: Obstacles) -> Corridor:
        """That of a message."""
        return cls(
            obstacles.corridor_curvature_1pm,
            obstacles.corridor_width_m,
            obstacles.bumper_x_m,
            obstacles.corridor_axle_x_m,
        )

    def ahead(self, forward_m: Floats, left_m: Floats) -> tuple[Bools, Floats]:
        """Which points (N,) of the vehicle frame lie in it, and how far ahead each is.

        Of the bumper, along the arc of the middle, metres; of those outside it means nothing.
        """
        if abs(self.curvature_1pm) < _STRAIGHT_1PM:
            ahead_m = forward_m - np.float32(self.bumper_x_m)
            return (np.abs(left_m) <= self.width_m / 2) & (ahead_m > 0), ahead_m
        radius_m = 1 / abs(self.curvature_1pm)
        reach_m = max(0.0, self.bumper_x_m - self.axle_x_m)
        x = forward_m - np.float32(self.axle_x_m)
        inward = np.float32(radius_m) - math.copysign(1, self.curvature_1pm) * left_m
        from_centre_m = np.hypot(x, inward)
        angle_rad = np.arctan2(x, inward)
        ahead_m = np.float32(radius_m) * (angle_rad - np.float32(math.atan2(reach_m, radius_m)))
        outer_m = math.hypot(radius_m + self.width_m / 2, reach_m)
        swept = (from_centre_m >= radius_m - self.width_m / 2) & (from_centre_m <= outer_m)
        return swept & (ahead_m > 0) & (angle_rad < _MOST_RAD), ahead_m.astype(np.float32)

    def point(self, ahead_m: Floats, left_m: float) -> Floats:
        """Points (N, 2) of the vehicle frame, so far ahead of the bumper and left of the middle."""
        if abs(self.curvature_1pm) < _STRAIGHT_1PM:
            forward = ahead_m + np.float32(self.bumper_x_m)
            return np.stack([forward, np.full_like(forward, left_m)], axis=-1)
        radius_m = 1 / self.curvature_1pm
        reach_m = max(0.0, self.bumper_x_m - self.axle_x_m)
        angle_rad = ahead_m / abs(radius_m) + math.atan2(reach_m, abs(radius_m))
        from_centre_m = abs(radius_m) - math.copysign(1, radius_m) * left_m
        x = self.axle_x_m + from_centre_m * np.sin(angle_rad)
        y = radius_m - math.copysign(1, radius_m) * from_centre_m * np.cos(angle_rad)
        return np.stack([x, y], axis=-1).astype(np.float32)
