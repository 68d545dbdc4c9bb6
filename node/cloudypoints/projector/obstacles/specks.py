"""Rain and specks: what is one pixel wide and not tall stands out of its surroundings."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats

FAR_M = 1e6  # depth of what is unknown: behind everything
_TALL_PX = 9  # one pixel wide and lower than this may be a speck
_ALIKE = 0.05  # relative difference of depth within one thing
_AROUND_PX, _COMPANY = 5, 6  # a window, and how many pixels alike in it make no speck
SPECKS_REACH_PX = _TALL_PX - 1  # so many rows away may tell whether a pixel is one

Indices = NDArray[np.intp]


def remove_specks(depth_m: Floats) -> None:
    """Put specks, drops and streaks of rain far away, as what is unknown, in place: (H, W).

    A morphological closing shows what stands out: what is nearer than its surroundings stays only
    where the kernel fits into it, two pixels side by side or a tall stack of them. Of that, what
    has too few pixels of its own depth around it is a speck; twigs and leaves have more. Few pixels
    stand out from both sides, so the tall kernel is laid over those alone.
    """
    if min(depth_m.shape) < 3:
        return
    suspect = _narrow(depth_m)
    if len(suspect) == 0:
        return
    suspect = suspect[_stack_px(depth_m, suspect) < _TALL_PX]
    speck = suspect[_company(depth_m, suspect) < _COMPANY]
    depth_m.reshape(-1)[speck] = FAR_M


def _narrow(depth_m: Floats) -> Indices:
    """Pixels nearer than what is beside them, left and right; the rim counts as if mirrored."""
    beside_m = np.empty_like(depth_m)
    cv2.min(depth_m[:, 2:], depth_m[:, :-2], dst=beside_m[:, 1:-1])
    beside_m[:, 0], beside_m[:, -1] = depth_m[:, 1], depth_m[:, -2]
    beside_m *= np.float32(1 - _ALIKE)
    return np.flatnonzero(depth_m < beside_m)


def _stack_px(depth_m: Floats, pixel: Indices) -> NDArray[np.intp]:
    """How many pixels above and below each, with itself, are as near, up to the kernel's reach."""
    height, width = depth_m.shape
    row, column = np.divmod(pixel, width)
    rows = _mirrored(height).take(row + np.arange(2 * _TALL_PX - 1)[:, None])  # (around, N)
    there_m = depth_m.reshape(-1).take(rows * width + column)
    there_m *= np.float32(1 - _ALIKE)
    near = there_m <= depth_m.reshape(-1).take(pixel)
    above = np.logical_and.accumulate(near[_TALL_PX - 1 :: -1]).sum(axis=0)
    below = np.logical_and.accumulate(near[_TALL_PX - 1 :]).sum(axis=0)
    return np.asarray(above + below - 1)


@cache
def _mirrored(height: int) -> Indices:
    """Rows of a picture so high, and as many beyond its rim as the kernel reaches, mirrored."""
    reach = range(1 - _TALL_PX, height + _TALL_PX - 1)
    return np.array([cv2.borderInterpolate(r, height, cv2.BORDER_REFLECT_101) for r in reach])


def _company(depth_m: Floats, pixel: Indices) -> NDArray[np.intp]:
    """How many of the pixels around each of these are as far as it is."""
    wide = _AROUND_PX // 2
    padded = cv2.copyMakeBorder(depth_m, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=FAR_M)
    row, column = np.divmod(pixel, depth_m.shape[1])
    corner = row * padded.shape[1] + column
    steps = np.arange(_AROUND_PX)
    around = (steps[:, None] * padded.shape[1] + steps).ravel()
    near = padded.ravel().take(corner[:, None] + around)  # (N, around)
    own = depth_m.ravel().take(pixel)[:, None]
    alike = np.abs(near - own) < np.float32(_ALIKE) * own
    return np.asarray(np.count_nonzero(alike, axis=1) - 1)
