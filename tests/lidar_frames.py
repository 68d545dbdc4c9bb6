"""LiDAR frames of flat ground, as they are measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Intrinsics, Mount, ground_inverse_depth, rays_of

CAMERA = Camera(
    Intrinsics(160, 96, 120.0, 118.0, 80.5, 47.0),
    mount=Mount(height_m=1.4, roll_rad=0.01, pitch_rad=0.05, yaw_rad=-0.3),
)


def ground_points(camera: Camera) -> NDArray[np.float32]:
    """What a LiDAR would see of flat ground, at every pixel, to 40 m."""
    rays = rays_of(camera)
    inverse = ground_inverse_depth(camera, rays)
    seen = inverse > 1 / 40
    return (np.stack([*rays, np.ones_like(inverse)])[:, seen] / inverse[seen]).T.astype(np.float32)


def write_frame(folder: Path, camera: Camera = CAMERA, points: Any = None) -> None:
    """A folder with a grey picture, its camera, and points (N, 3)."""
    folder.mkdir(parents=True)
    k = camera.intrinsics
    vehicle_from_camera = camera.mount.vehicle_from_camera.copy()
    vehicle_from_camera[:3, 3] = (
        1.65,
        0.2,
        1.1,
    )  # an origin of the vehicle's own, not on the ground
    stated = {
        "width": k.width_px,
        "height": k.height_px,
        "K": k.matrix.tolist(),
        "distortion": [],
        "T_vehicle_camera_optical": vehicle_from_camera.tolist(),
        "camera_height_above_ground_m": camera.mount.height_m,
    }
    (folder / "camera.json").write_text(json.dumps(stated))
    cv2.imwrite(str(folder / "image.jpg"), np.full((k.height_px, k.width_px, 3), 90, np.uint8))
    np.save(folder / "lidar_camera_frame.npy", ground_points(camera) if points is None else points)
