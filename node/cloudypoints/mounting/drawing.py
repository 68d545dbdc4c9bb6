"""What a mount means, drawn on a picture: the horizon, and a metre grid on the ground."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, inverse, project, transformed
from cloudypoints.picture.canvas import ACCENT, GOOD, LABEL, WARN, Canvas, lines, tag

_AHEAD_M = (2.0, 5.0, 10.0, 20.0, 50.0)  # of a camera at 1.5 m; higher ones see further
_SIDES = 5  # lines along, each way
_FAR_M = 1e6
_ASIDE_RAD = math.radians(30)


def mount_picture(picture: NDArray[np.uint8], camera: Camera) -> Canvas:
    """The picture (H, W, 3) with the horizon and lines on the ground as this mount puts them.

    Where the mount is right, the lines lie on the road and the horizon at eye level.
    """
    canvas = picture.copy()
    camera = camera.resized(picture.shape[1], picture.shape[0])
    unit_m = max(1, round(camera.mount.height_m / 1.5))
    far_m = _AHEAD_M[-1] * unit_m
    for ahead_m in np.array(_AHEAD_M) * unit_m:
        side_m = np.linspace(-_SIDES, _SIDES, 41) * 2 * unit_m
        path = _seen(camera, np.full(41, ahead_m), side_m, 0.0)
        lines(canvas, [path], GOOD, width_px=2, opacity=0.8)
        if len(path):
            tag(canvas, f"{ahead_m:.0f} m", tuple(path[len(path) // 2]), LABEL)
    way_m = np.geomspace(0.5, far_m, 60)
    for line_m in np.arange(-_SIDES, _SIDES + 1) * 2.0 * unit_m:
        path = _seen(camera, way_m, np.full(60, line_m), 0.0)
        lines(canvas, [path], ACCENT, opacity=0.7)
    bearing = np.linspace(-1.2, 1.2, 121)
    horizon = _seen(
        camera, _FAR_M * np.cos(bearing), _FAR_M * np.sin(bearing), camera.mount.height_m
    )
    lines(canvas, [horizon], WARN, width_px=2)
    if len(horizon):
        tag(canvas, "horizon", tuple(horizon[-1]), LABEL)
    return canvas


def _seen(
    camera: Camera, ahead_m: NDArray[np.float64], side_m: NDArray[np.float64], up_m: float
) -> NDArray[np.float64]:
    """The pixels (N, 2) of these places that are in the picture.

    They lie ahead of the vehicle; of a camera that looks aside, ahead of that.
    """
    yaw_rad = camera.mount.yaw_rad if abs(camera.mount.yaw_rad) > _ASIDE_RAD else 0.0
    forward = camera.mount.x_m + np.cos(yaw_rad) * ahead_m - np.sin(yaw_rad) * side_m
    left = camera.mount.y_m + np.sin(yaw_rad) * ahead_m + np.cos(yaw_rad) * side_m
    places = np.stack([forward, left, np.full_like(ahead_m, up_m)], axis=1)
    pixels = project(transformed(inverse(camera.mount.vehicle_from_camera), places), camera)
    size = np.array([camera.intrinsics.width_px, camera.intrinsics.height_px])
    with np.errstate(invalid="ignore"):
        inside = ((pixels > -1) & (pixels < size + 1)).all(axis=1)
    return pixels[inside]
