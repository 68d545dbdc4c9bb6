"""Which pixels count: a region of interest, a drawn mask, and a bonnet learned from what stays.

A mask (H, W) is 255 where depth is wanted. A drawn one is a picture of any size with the camera's
aspect: what is black in it is left out.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import ConfigError
from cloudypoints.geometry import Floats
from cloudypoints.masks import Mask
from cloudypoints.projector.ground_fit import Doubles

Region = tuple[float, float, float, float]  # left, top, right, bottom, parts of the picture
Inner = tuple[int, int, int, int]  # left, top, width, height of the picture on the grid, px

EVERYTHING: Region = (0.0, 0.0, 1.0, 1.0)
LEARN = "learn"  # in place of a mask's file
_SAME_ASPECT = 0.02  # relative
_CELL_PX = 8  # of the grid: a bonnet is learned in cells of this size
_CHANGES = 4.0  # of 255: a picture that changes by less on average stands still
_LEARNED_AFTER = 150  # frames in motion
_ALWAYS = 0.9  # of them
_STANDS = 0.15  # of the camera's height above the ground, at least
_NEAR_HEIGHTS = 4.0  # a bonnet is not farther than so many heights of the camera
_LOWEST = 0.5  # the part of the picture that a bonnet lies in
_MOST = 0.4  # of the picture: what would hide more was no bonnet


def load_mask(path: Path) -> Mask:
    """The mask in a picture file, at its own size. Raises ConfigError."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ConfigError(f"mask {path}: cannot be read: {error.strerror}") from error
    picture = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if len(content) else None
    if picture is None:
        raise ConfigError(f"mask {path}: not a picture; draw what to leave out black on white, PNG")
    mask = np.where(picture > 0, 255, 0).astype(np.uint8)
    if not mask.any():
        raise ConfigError(f"mask {path}: all black, so nothing would be seen")
    return mask


def mask_of_grid(
    mask: Mask | None, region: Region, inner: Inner, grid_shape: tuple[int, ...]
) -> Mask | None:
    """What a drawn mask and a region leave of the grid (H, W); None for all of it.

    `inner`: where the camera's picture lies on the grid. Raises ConfigError for a mask of another
    aspect.
    """
    if mask is None and region == EVERYTHING:
        return None
    left, top, width, height = inner
    wanted = np.full((height, width), 255, np.uint8) if mask is None else _fitted(mask, inner)
    kept = np.zeros_like(wanted)
    rows = slice(round(region[1] * height), round(region[3] * height))
    columns = slice(round(region[0] * width), round(region[2] * width))
    kept[rows, columns] = wanted[rows, columns]
    on_grid = np.zeros(grid_shape, np.uint8)
    on_grid[top : top + height, left : left + width] = kept
    return on_grid


def _fitted(mask: Mask, inner: Inner) -> Mask:
    """The mask at the picture's size on the grid; a pixel that is partly black is left out."""
    _, _, width, height = inner
    smaller = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return np.where(smaller >= 254, 255, 0).astype(np.uint8)


def check_aspect(mask: Mask, width_px: int, height_px: int, where: str) -> None:
    """Raises ConfigError for a mask that was drawn on pictures of another shape."""
    drawn = mask.shape[1] / mask.shape[0]
    if abs(drawn / (width_px / height_px) - 1) > _SAME_ASPECT:
        raise ConfigError(
            f"{where}: drawn on {mask.shape[1]}×{mask.shape[0]}, but the pictures are "
            f"{width_px}×{height_px}: another aspect; draw it on a picture of this camera"
        )


class BonnetLearner:
    """Finds the own vehicle at the lower edge: what stands there before the ground in every frame.

    Only frames in which the rest of the picture moves are counted, so that nobody who stops in
    front, and nothing that a fixed camera looks at, is ever taken for it; and only what reaches
    down to the picture's edge and is as near as a bonnet. A picture that stays the same is no sign
    of one: on a real motorway smooth asphalt changed by a tenth of what the picture did, and the
    bonnet, full of reflections, by seven tenths. So a bonnet that the network takes for ground is
    not found: draw a mask then.
    """

    def __init__(self, rays: Floats) -> None:
        """`rays` (2, H, W) of the grid."""
        half = _CELL_PX // 2
        self._cells = np.ascontiguousarray(rays[:, half::_CELL_PX, half::_CELL_PX])
        self._shape = rays.shape[1:]
        self.reset()

    def reset(self) -> None:
        """Forget what was learned."""
        self.mask: Mask | None = None  # (H, W), once it is known
        self._counted = 0
        self._standing = np.zeros(self._cells.shape[1:], np.int32)
        self._before: NDArray[np.int16] | None = None

    def update(self, picture: NDArray[np.uint8], depth_m: Floats, plane: Doubles) -> None:
        """Take in a frame: picture (H, W, 3), metres (H, W), the ground (see Ground.plane)."""
        if self.mask is not None or not self._moves(picture):
            return
        half = _CELL_PX // 2
        z = depth_m[half::_CELL_PX, half::_CELL_PX]
        x, y = self._cells
        above = z * (plane[0] * x + plane[1] * y + plane[2]) + plane[3]
        near = z < _NEAR_HEIGHTS * plane[3]
        self._standing += (above > _STANDS * plane[3]) & near
        self._counted += 1
        if self._counted == _LEARNED_AFTER:
            self.mask = self._learned()

    def _moves(self, picture: NDArray[np.uint8]) -> bool:
        half = _CELL_PX // 2
        now = picture[half::_CELL_PX, half::_CELL_PX, 1].astype(np.int16)
        before, self._before = self._before, now
        return before is not None and float(np.abs(now - before).mean()) > _CHANGES

    def _learned(self) -> Mask:
        """The mask: all but what always stood there and hangs together down to the lower edge."""
        always = (self._standing >= _ALWAYS * self._counted).astype(np.uint8)
        always[: math.floor(len(always) * _LOWEST)] = 0
        _, part = cv2.connectedComponents(always)
        bonnet = np.isin(part, np.setdiff1d(part[-1], 0)).astype(np.uint8)
        if bonnet.mean() > _MOST:
            bonnet[:] = 0
        height, width = self._shape
        grown = cv2.dilate(bonnet, np.ones((3, 3), np.uint8)) if bonnet.any() else bonnet
        whole = cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.where(whole > 0, 0, 255).astype(np.uint8)
