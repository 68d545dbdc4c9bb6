"""Where a pixel looks: cameras, mounts, rays and the ground, as plain functions on arrays.

Frames: `camera` is the optical frame, x right, y down, z forward; `vehicle` is x forward, y left,
z up, its origin on the ground below the camera unless the mount moves it (REP 103). Metres and
radians. The centre of the top left pixel is (0, 0), as in OpenCV. Depth is z along the optical
axis, not range. Nothing here has state, reads a clock or touches a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError
from cloudypoints.lens import Distortion, distorted, reach, undistorted

__all__ = [
    "Camera",
    "Distortion",
    "Floats",
    "Intrinsics",
    "Mount",
    "directions_vehicle",
    "ground_inverse_depth",
    "inverse",
    "project",
    "rays_of",
    "transformed",
]

Floats = NDArray[np.float32]

_SAME_ASPECT = 0.01  # relative; what rounding to whole pixels may change

# Optical axes (right, down, forward) written in vehicle axes (forward, left, up).
_VEHICLE_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole: focal lengths and principal point in pixels of a picture of this size."""

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float

    def __post_init__(self) -> None:
        if self.width_px < 1 or self.height_px < 1:
            raise CalibrationError(
                f"picture of {self.width_px}×{self.height_px} px: both must be ≥ 1"
            )
        if not (0 < self.fx_px < math.inf and 0 < self.fy_px < math.inf):
            raise CalibrationError(
                f"focal lengths fx {self.fx_px}, fy {self.fy_px} px: must be positive and finite"
            )
        if not (math.isfinite(self.cx_px) and math.isfinite(self.cy_px)):
            raise CalibrationError(
                f"principal point ({self.cx_px}, {self.cy_px}) px must be finite"
            )

    @classmethod
    def from_fov(cls, width_px: int, height_px: int, horizontal_fov_rad: float) -> Intrinsics:
        """Square pixels, the principal point in the middle, this much seen from left to right."""
        if not 0 < horizontal_fov_rad < math.pi:
            raise CalibrationError(
                f"horizontal field of view {horizontal_fov_rad} rad must be between 0 and π"
            )
        f_px = width_px / 2 / math.tan(horizontal_fov_rad / 2)
        return cls(width_px, height_px, f_px, f_px, (width_px - 1) / 2, (height_px - 1) / 2)

    def resized(self, width_px: int, height_px: int) -> Intrinsics:
        """The same camera after the picture was stretched to another size."""
        sx, sy = width_px / self.width_px, height_px / self.height_px
        return Intrinsics(
            width_px,
            height_px,
            self.fx_px * sx,
            self.fy_px * sy,
            (self.cx_px + 0.5) * sx - 0.5,
            (self.cy_px + 0.5) * sy - 0.5,
        )

    def cropped(self, left_px: int, top_px: int, width_px: int, height_px: int) -> Intrinsics:
        """The same camera after a window was cut out; a window larger than the picture pads it."""
        return Intrinsics(
            width_px, height_px, self.fx_px, self.fy_px, self.cx_px - left_px, self.cy_px - top_px
        )

    def strided(self, step: int) -> Intrinsics:
        """The same camera behind every `step`-th row and column, from the middle of each block."""
        start = step // 2
        return Intrinsics(
            len(range(start, self.width_px, step)),
            len(range(start, self.height_px, step)),
            self.fx_px / step,
            self.fy_px / step,
            (self.cx_px - start) / step,
            (self.cy_px - start) / step,
        )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """K, (3, 3)."""
        return np.array(
            [[self.fx_px, 0, self.cx_px], [0, self.fy_px, self.cy_px], [0, 0, 1]], np.float64
        )


@dataclass(frozen=True, slots=True)
class Mount:
    """Where the camera sits on the vehicle (or above the ground, for a fixed one).

    Angles turn the camera about the vehicle's axes, roll first, then pitch, then yaw: pitch > 0
    looks down, yaw > 0 looks left, roll > 0 lowers the right side.
    """

    height_m: float = 1.5
    roll_rad: float = 0.0
    pitch_rad: float = 0.0
    yaw_rad: float = 0.0
    x_m: float = 0.0  # forward of the vehicle's origin
    y_m: float = 0.0  # left of it

    def __post_init__(self) -> None:
        if not 0 < self.height_m < 1000:
            raise CalibrationError(f"mount height {self.height_m} m must be above the ground")
        angles = (self.roll_rad, self.pitch_rad, self.yaw_rad, self.x_m, self.y_m)
        if not all(map(math.isfinite, angles)):
            raise CalibrationError(f"mount angles and offsets {angles} must be finite")
        if abs(self.roll_rad) > math.pi / 2 or abs(self.pitch_rad) > math.pi / 2:
            raise CalibrationError(
                f"mount roll {self.roll_rad}, pitch {self.pitch_rad} rad: a camera upside down; "
                f"both must be within ±π/2 (angles are radians in messages, degrees in files)"
            )

    @property
    def vehicle_from_camera(self) -> NDArray[np.float64]:
        """(4, 4): takes points of the camera's optical frame to the vehicle's."""
        vehicle_from_camera = np.eye(4)
        rotation = (
            _rotation_z(self.yaw_rad) @ _rotation_y(self.pitch_rad) @ _rotation_x(self.roll_rad)
        )
        vehicle_from_camera[:3, :3] = rotation @ _VEHICLE_FROM_OPTICAL
        vehicle_from_camera[:3, 3] = (self.x_m, self.y_m, self.height_m)
        return vehicle_from_camera


@dataclass(frozen=True, slots=True)
class Camera:
    """Everything known of one camera, and where that knowledge comes from."""

    intrinsics: Intrinsics
    distortion: Distortion = field(default_factory=Distortion)
    mount: Mount = field(default_factory=Mount)
    calibration: str = "assumed"  # assumed, file or source: who gave the intrinsics

    def resized(self, width_px: int, height_px: int) -> Camera:
        """The same camera behind a picture stretched to another size."""
        return replace(self, intrinsics=self.intrinsics.resized(width_px, height_px))

    def behind(self, width_px: int, height_px: int) -> Camera:
        """The same camera behind pictures of another size, if they can be its.

        Raises CalibrationError for another aspect: that is another crop of the sensor, and which
        one nobody knows.
        """
        k = self.intrinsics
        aspect = (width_px / height_px) / (k.width_px / k.height_px)
        if abs(aspect - 1) > _SAME_ASPECT:
            raise CalibrationError(
                f"calibrated at {k.width_px}×{k.height_px}, but its pictures are "
                f"{width_px}×{height_px}: another aspect; calibrate at that size"
            )
        return self.resized(width_px, height_px)

    def cropped(self, left_px: int, top_px: int, width_px: int, height_px: int) -> Camera:
        """The same camera behind a window of its picture."""
        return replace(
            self, intrinsics=self.intrinsics.cropped(left_px, top_px, width_px, height_px)
        )


def rays_of(camera: Camera) -> Floats:
    """The ray table, (2, H, W): x / z and y / z of what each pixel sees, lens distortion taken out.

    NaN where the lens model has no ray (a fisheye beyond 90°, a distortion that folds the picture).
    """
    k = camera.intrinsics
    u, v = np.meshgrid(
        np.arange(k.width_px, dtype=np.float64), np.arange(k.height_px, dtype=np.float64)
    )
    pinhole = np.stack([(u - k.cx_px) / k.fx_px, (v - k.cy_px) / k.fy_px])
    return undistorted(pinhole, camera.distortion).astype(np.float32)


def project(points_camera: NDArray[Any], camera: Camera) -> NDArray[np.float64]:
    """Pixels (N, 2) of points (N, 3) of the camera frame.

    NaN behind the camera, and beyond the lens's reach, whence no light comes into the picture.
    """
    x, y, z = np.asarray(points_camera, np.float64).T
    with np.errstate(divide="ignore", invalid="ignore"):
        rays = np.where(z > 0, np.stack([x, y]) / z, np.nan)
        seen = np.hypot(*rays) <= reach(camera.distortion)
    bent = np.full_like(rays, np.nan)
    if seen.any():
        bent[:, seen] = distorted(rays[:, seen], camera.distortion)
    k = camera.intrinsics
    return np.stack([bent[0] * k.fx_px + k.cx_px, bent[1] * k.fy_px + k.cy_px], axis=1)


def directions_vehicle(camera: Camera, rays: Floats) -> Floats:
    """The step in vehicle axes for one metre of depth, (3, H, W): forward, left, up."""
    rotation = camera.mount.vehicle_from_camera[:3, :3].astype(np.float32)
    x, y = rays
    return np.stack([row[0] * x + row[1] * y + row[2] for row in rotation])


def ground_inverse_depth(camera: Camera, rays: Floats) -> Floats:
    """1 / depth (1/m) at which each pixel would see a flat ground, (H, W); 0 above the horizon.

    It comes from intrinsics and mount alone: what a camera knows before it has looked.
    """
    up = directions_vehicle(camera, rays)[2]
    below = np.nan_to_num(-up / np.float32(camera.mount.height_m), nan=0.0)
    return np.asarray(np.maximum(below, 0), np.float32)


def transformed(b_from_a: NDArray[Any], points_a: NDArray[Any]) -> NDArray[np.float64]:
    """Points (..., 3) of frame a, written in frame b; `b_from_a` is (4, 4)."""
    moved: NDArray[np.float64] = points_a @ b_from_a[:3, :3].T + b_from_a[:3, 3]
    return moved


def inverse(b_from_a: NDArray[np.float64]) -> NDArray[np.float64]:
    """a_from_b of a rigid transform (4, 4)."""
    a_from_b = np.eye(4)
    a_from_b[:3, :3] = b_from_a[:3, :3].T
    a_from_b[:3, 3] = -b_from_a[:3, :3].T @ b_from_a[:3, 3]
    return a_from_b


def _rotation_x(angle_rad: float) -> NDArray[np.float64]:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _rotation_y(angle_rad: float) -> NDArray[np.float64]:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _rotation_z(angle_rad: float) -> NDArray[np.float64]:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
