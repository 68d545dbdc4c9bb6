"""Boards before cameras, rendered through the lens: every pixel is the mean of four rays."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.calibrate import Board
from cloudypoints.geometry import Camera, rays_of

_SQUARE_PX = 40
_FINER = 2  # times as many rays each way as there are pixels
_TABLE = (96, 82, 64)  # what lies behind the board


class Studio:
    """A camera in front of which a board is held."""

    def __init__(self, camera: Camera, board: Board) -> None:
        k = camera.intrinsics
        self.camera, self.board = camera, board
        self._rays = rays_of(camera.resized(k.width_px * _FINER, k.height_px * _FINER))
        self._texture = cv2.GaussianBlur(board.picture(_SQUARE_PX), (5, 5), 1.0)
        self._middle = board.points.mean(axis=0)

    def picture(self, pose: NDArray[np.float64], noise: float = 2.0) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of the board at camera_from_board (6,): Rodrigues' rotation, squares."""
        camera_from_board = cv2.Rodrigues(pose[:3])[0]
        normal, point = camera_from_board[:, 2], pose[3:]
        x, y = self._rays
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = (normal @ point) / (normal[0] * x + normal[1] * y + normal[2])
        places = np.stack([x * depth, y * depth, depth]) - point[:, None, None]
        across, down = np.tensordot(camera_from_board.T, places, axes=1)[:2]
        across = np.where((depth > 0) & np.isfinite(depth), across, -1e6)
        # The first inner corner lies a margin and a square from the texture's edge.
        at = [np.nan_to_num((p + 2) * _SQUARE_PX - 0.5, nan=-1e6) for p in (across, down)]
        fine = cv2.remap(
            cv2.cvtColor(self._texture, cv2.COLOR_GRAY2RGB),
            *(np.asarray(p, np.float32) for p in at),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_TABLE,
        )
        k = self.camera.intrinsics
        whole = cv2.resize(fine, (k.width_px, k.height_px), interpolation=cv2.INTER_AREA)
        grain = np.random.default_rng(7).normal(0, noise, whole.shape)
        return np.clip(0.8 * whole + 20 + grain, 0, 255).astype(np.uint8)

    def held(self, bearing: tuple[float, float], away: float, turn_deg: tuple[float, float, float]):
        """The pose (6,) whose middle is seen at this x / z, y / z, so far away, turned about it."""
        rotation = np.radians(turn_deg)
        middle = away * np.array([*bearing, 1.0])
        board_middle = cv2.Rodrigues(rotation)[0] @ self._middle
        return np.concatenate([rotation, middle - board_middle])


@cache
def studio_of(camera: Camera, board: Board) -> Studio:
    """The same studio for every test that asks for it."""
    return Studio(camera, board)


def poses(studio: Studio, count: int, reach: float, away: tuple[float, float]) -> list:
    """Boards held all over the picture, near and far, each tilted another way."""
    held = []
    for index in range(count):
        around, out = 2.4 * index, reach * math.sqrt((index + 0.3) / count)
        tilt = math.radians(35) * (0.4 + 0.6 * ((index * 7) % count) / count)
        bearing = (out * math.cos(around), out * math.sin(around) * 0.7)
        turn_deg = np.degrees([tilt * math.cos(1.7 * index), tilt * math.sin(1.7 * index), 0.2])
        distance = away[0] + (away[1] - away[0]) * ((index * 5) % count) / count
        held.append(studio.held(bearing, distance, tuple(turn_deg)))
    return held
