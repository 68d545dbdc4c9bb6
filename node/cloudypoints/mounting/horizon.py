"""Roll and pitch from the horizon: points on it, two or more, in one picture."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera
from cloudypoints.mounting.estimate import Array, Estimate, check_inside, rays_through, sigmas

_LEAST_APART = 0.05  # rad between the outermost points: less gives no roll
_OFF_LINE = 5.0  # times the stated error that a point may lie off the fitted line
_STEP_PX = 0.01


def from_horizon(camera: Camera, points_px: Array, *, error_px: float = 2.0) -> Estimate:
    """The mount with the roll and pitch that put these points (N, 2) at eye level.

    `error_px` is how exactly they were marked. Height, yaw and place stay as the camera's mount
    says: a horizon does not tell them. Raises CalibrationError.
    """
    if len(points_px) < 2:
        raise CalibrationError(f"{len(points_px)} points on the horizon: two or more are needed")
    check_inside(camera, points_px)
    rays = rays_through(camera, points_px)
    apart_rad = float(np.arccos(np.clip((rays @ rays.T).min(), -1, 1)))
    if apart_rad < _LEAST_APART:
        raise CalibrationError(
            f"the points on the horizon are {math.degrees(apart_rad):.1f}° apart: mark them at "
            "the left and right rims"
        )
    error_px = max(error_px, _checked_scatter(camera, points_px, error_px))
    roll_rad, pitch_rad = tilt(camera, points_px)
    by_point = np.array(
        [
            np.subtract(tilt(camera, points_px + step.reshape(-1, 2)), (roll_rad, pitch_rad))
            for step in _STEP_PX * np.eye(points_px.size)
        ]
    )
    roll_sigma, pitch_sigma = np.linalg.norm(by_point, axis=0) / _STEP_PX * error_px
    return Estimate(
        replace(camera.mount, roll_rad=roll_rad, pitch_rad=pitch_rad),
        sigmas(roll_rad=float(roll_sigma), pitch_rad=float(pitch_sigma)),
        (
            "a horizon tells roll and pitch only: height, yaw and place are as told",
            "the line must be at eye level: the sea's horizon is, a treeline or hills are not",
        ),
    )


def tilt(camera: Camera, points_px: Array) -> tuple[float, float]:
    """Roll and pitch (rad) of the plane through the camera that these rays span best."""
    rays = rays_through(camera, points_px)
    up = np.linalg.svd(rays)[2][2]
    up = up if up[1] < 0 else -up  # the optical frame's y points down
    forward, left, upwards = up[2], -up[0], -up[1]
    return math.atan2(left, upwards), -math.asin(max(-1.0, min(1.0, forward)))


def _checked_scatter(camera: Camera, points_px: Array, error_px: float) -> float:
    """How far the points lie off one line, pixels. Raises CalibrationError for a gross one."""
    if len(points_px) == 2:
        return 0.0
    rays = rays_through(camera, points_px)
    up = np.linalg.svd(rays)[2][2]
    off_px = np.abs(rays @ up) * camera.intrinsics.fy_px
    worst = int(off_px.argmax())
    if off_px[worst] > _OFF_LINE * error_px:
        u, v = points_px[worst]
        raise CalibrationError(
            f"point ({u:g}, {v:g}) lies {off_px[worst]:.0f} px off the horizon through the others"
        )
    return float(np.sqrt((off_px**2).sum() / (len(points_px) - 2)))
