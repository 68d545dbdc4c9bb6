"""The nearest thing as a whole: grown from its nearest pixels over what hangs together with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from cloudypoints.messages import Category
from cloudypoints.projector.obstacles.evidence import Nearest
from cloudypoints.projector.obstacles.scene import Scene

_STEP = 0.04  # neighbouring pixels whose ranges differ less hang together
_FRONT = 1.03  # of the least range: what lies in front, whose middle is its bearing
_NOWHERE = 100.0  # the logarithm of no range


@dataclass(frozen=True, slots=True)
class Thing:
    """The nearest obstacle of all sectors; NaN where it is not known."""

    range_m: float = math.nan  # inf: there is none
    bearing_rad: float = math.nan
    width_m: float = math.nan  # at right angles to its bearing, as far as it is seen
    height_m: float = math.nan  # its top above the ground, as far as the height band reaches
    category: int = 0
    seen: bool = False  # in this frame; it may be held from those before


def nearest_thing(scene: Scene, near: Nearest, pixel: np.ndarray, range_m: np.ndarray) -> Thing:
    """The nearest of the sectors' `range_m` (S,); `pixel` (N,) tells the standing one of an entry.

    With nothing near, one blind sector leaves the answer open.
    """
    sector = int(np.where(np.isnan(range_m), np.inf, range_m).argmin())
    if not np.isfinite(range_m[sector]):
        return Thing(math.inf if np.isinf(range_m).all() else math.nan)
    mine = pixel[near.group == sector]
    if not len(mine):  # held: nothing of it is seen any more
        bearing_rad = float(scene.tables.bearings_rad[sector])
        return Thing(float(range_m[sector]), bearing_rad, category=int(near.category[sector]))
    standing = scene.standing
    whole = _whole(scene, int(mine[standing.range_m[mine].argmin()]))
    near_m = standing.range_m[whole]
    front = whole[near_m <= _FRONT * near_m.min()]
    x, y = standing.forward_m[front] - scene.mount.x_m, standing.left_m[front] - scene.mount.y_m
    bearing_rad = math.atan2(float(y.sum() / len(y)), float(x.sum() / len(x)))
    width_m, height_m = _extent(scene, whole, bearing_rad)
    category = int(np.bincount(standing.label[whole], minlength=len(Category)).argmax())
    return Thing(float(range_m[sector]), bearing_rad, width_m, height_m, category, seen=True)


def _whole(scene: Scene, seed: int) -> np.ndarray:
    """The standing pixels that hang together with this one."""
    width, standing = scene.tables.first_cell.shape[1], scene.standing
    top, bottom = int(standing.index[0]) // width, int(standing.index[-1]) // width
    index = standing.index - top * width  # only the rows in which anything stands
    image = np.full((bottom + 1 - top, width), _NOWHERE, np.float32)
    image.ravel()[index] = np.log(standing.range_m)
    mask = np.zeros((len(image) + 2, width + 2), np.uint8)
    row, column = divmod(int(index[seed]), width)
    flags = 8 | cv2.FLOODFILL_MASK_ONLY | (255 << 8)
    cv2.floodFill(image, mask, (column, row), 0, loDiff=_STEP, upDiff=_STEP, flags=flags)
    return np.flatnonzero(mask[1:-1, 1:-1].ravel().take(index))


def _extent(scene: Scene, whole: np.ndarray, bearing_rad: float) -> tuple[float, float]:
    """Width across the bearing and height of the top, metres."""
    standing, k = scene.standing, scene.tables.camera.intrinsics
    across_m = standing.left_m[whole] * math.cos(bearing_rad) - standing.forward_m[
        whole
    ] * math.sin(bearing_rad)
    range_m = float(standing.range_m[whole].min())
    top_m = float(standing.height_m[whole].max())
    # A pixel's middle is half a pixel from its edge.
    width_m = float(across_m.max() - across_m.min()) + range_m / k.fx_px
    return width_m, top_m + range_m / k.fy_px / 2
