"""A mount that was measured, in whole or in part, and the angles of a rotation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount
from cloudypoints.lens import undistorted

Array = NDArray[np.float64]

QUANTITIES = ("height_m", "roll_rad", "pitch_rad", "yaw_rad", "x_m", "y_m")
UPSIDE_DOWN = (
    "the ground lies above the horizon: the camera hangs upside down; turn its picture by 180° "
    "(most cameras have a setting) and measure again"
)

_VEHICLE_FROM_OPTICAL = Mount().vehicle_from_camera[:3, :3]  # of a camera that is not turned


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mount, what of it was measured, and what to know about that."""

    mount: Mount
    sigma: Mapping[str, float]  # one standard deviation of each of QUANTITIES; NaN: not measured
    notes: tuple[str, ...] = ()


def sigmas(**measured: float) -> dict[str, float]:
    """All of QUANTITIES, NaN for those that are not named."""
    return {name: measured.get(name, math.nan) for name in QUANTITIES}


def angles_of(vehicle_from_camera: Array) -> tuple[float, float, float]:
    """Roll, pitch, yaw (rad) of a rotation (3, 3), as Mount turns. Raises CalibrationError."""
    turned = vehicle_from_camera @ _VEHICLE_FROM_OPTICAL.T
    roll_rad = math.atan2(turned[2, 1], turned[2, 2])
    pitch_rad = math.asin(max(-1.0, min(1.0, -turned[2, 0])))
    if abs(roll_rad) > math.pi / 2:
        raise CalibrationError(UPSIDE_DOWN)
    return roll_rad, pitch_rad, math.atan2(turned[1, 0], turned[0, 0])


def rays_through(camera: Camera, pixels: Array) -> Array:
    """Unit rays (N, 3) through pixels (N, 2). Raises CalibrationError where the lens has none."""
    k = camera.intrinsics
    bent = ((pixels - (k.cx_px, k.cy_px)) / (k.fx_px, k.fy_px)).T
    rays = undistorted(bent, camera.distortion).T
    blind = np.flatnonzero(np.isnan(rays[:, 0]))
    if blind.size:
        u, v = pixels[blind[0]]
        raise CalibrationError(f"the lens has no ray at pixel ({u:g}, {v:g})")
    rays = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
    unit: Array = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return unit


def check_inside(camera: Camera, pixels: Array) -> None:
    """Raises CalibrationError for a point that is not in the picture."""
    k = camera.intrinsics
    for u, v in pixels.tolist():
        if not (-0.5 <= u < k.width_px and -0.5 <= v < k.height_px):
            raise CalibrationError(
                f"point ({u:g}, {v:g}) is outside the picture of {k.width_px}×{k.height_px} px"
            )
