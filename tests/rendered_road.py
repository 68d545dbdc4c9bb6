"""A road between two walls, rendered for a camera that drives along it: textured and exact."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture import Frame
from cloudypoints.geometry import Camera, directions_vehicle, rays_of

_TEXEL_M = (0.06, 0.25, 1.0, 4.0)  # each texture fades where a pixel would see much of it at once
_WALL_M = 7.0  # to either side
_FAR_M = 120.0


class Road:
    """What a camera on a vehicle sees of it."""

    def __init__(self, camera: Camera) -> None:
        rng = np.random.default_rng(5)
        self._noise = [
            cv2.GaussianBlur(rng.uniform(0, 255, (512, 512)).astype(np.float32), (3, 3), 0.8)
            for _ in _TEXEL_M
        ]
        self._height_m = camera.mount.height_m
        self._focal_px = camera.intrinsics.fx_px
        steps = directions_vehicle(camera, rays_of(camera)).astype(np.float64)
        self._steps = np.nan_to_num(steps, nan=0.0)

    def picture(self, travelled_m: float) -> NDArray[np.uint8]:
        """(H, W, 3) RGB from so far along the road."""
        forward, left, up = self._steps
        with np.errstate(divide="ignore", invalid="ignore"):
            to_ground = np.where(up < 0, -self._height_m / up, np.inf)
            to_wall = np.where(left != 0, _WALL_M / np.abs(left), np.inf)
        wall = to_wall < to_ground
        depth = np.minimum(np.minimum(to_ground, to_wall), 1e4)
        along = forward * depth + travelled_m
        across = np.where(wall, up * depth + np.sign(left) * 40, left * depth)
        aside_m = np.where(wall, _WALL_M, self._height_m)
        footprint_m = depth**2 / (aside_m * self._focal_px)  # of a pixel, along the road
        grey = self._textured(along, across, footprint_m)
        grey[depth > _FAR_M] = 200
        return np.repeat(grey[..., None], 3, axis=2)

    def frames(self, count: int, speed_mps: float, fps: float) -> Iterator[Frame]:
        """A drive at a steady speed."""
        for index in range(count):
            picture = self.picture(index * speed_mps / fps)
            yield Frame(picture, index, round(index * 1e9 / fps), "media", 0)

    def _textured(
        self,
        along_m: NDArray[np.float64],
        across_m: NDArray[np.float64],
        footprint_m: NDArray[np.float64],
    ) -> NDArray[np.uint8]:
        grey = np.full(along_m.shape, 127.0)
        for noise, texel_m in zip(self._noise, _TEXEL_M, strict=True):
            layer = cv2.remap(
                noise,
                (along_m / texel_m).astype(np.float32) % 511,
                (across_m / texel_m).astype(np.float32) % 511,
                cv2.INTER_LINEAR,
            )
            grey += 0.6 * (layer - 127) * np.clip(2 * texel_m / footprint_m - 1, 0, 1)
        return np.clip(grey, 0, 255).astype(np.uint8)
