"""Points that are none: depth between two surfaces, taken out in image space.

A network draws the step from a near surface to a far one as a ramp some pixels wide, and its points
fly in the air between the two. On a plane, inverse depth is linear in the picture, and its slope
says how close to the lens the plane would pass if it were continued: 1 / (focal length × slope).
What would pass within arm's length and is seen at a glancing angle besides is no surface but a
ramp.
"""

from __future__ import annotations

import cv2
import numpy as np

from cloudypoints.geometry import Floats, Intrinsics

_GLANCING = 6.0  # metres along the ray for a metre across it: 10° to the surface
_STRIP_PX = 32 << 10  # pixels at once: what is allocated stays in the caches


def without_flying(depth_m: Floats, intrinsics: Intrinsics, nearest_m: float) -> Floats:
    """A copy of the depth (H, W) with NaN where it is neither one surface nor the next.

    `nearest_m`: surfaces that, continued, would pass closer to the lens than this are ramps. It
    must be below the camera's height, or the ground is one. A pixel goes only if it climbs from
    both sides: the last pixel of a surface stays, and so does a pole one pixel wide.
    """
    height, width = depth_m.shape
    if min(height, width) < 3:  # too small for a pixel with two sides
        return depth_m
    rows = max(8, _STRIP_PX // width)
    kept = depth_m.copy()
    for top in range(0, height, rows):
        strip = slice(max(0, top - 1), top + rows + 1)  # with a row of either neighbour
        _thin(kept[strip], depth_m[strip], intrinsics, nearest_m)
    return kept


def _thin(kept: Floats, depth_m: Floats, intrinsics: Intrinsics, nearest_m: float) -> None:
    """`kept` with NaN for what flies, in place; the outermost rows and columns have one side."""
    with np.errstate(divide="ignore"):
        inverse = np.float32(1) / depth_m
    steep = np.float32(1 / (intrinsics.fx_px * nearest_m))
    steps = np.asarray(cv2.subtract(inverse[:, 1:], inverse[:, :-1]), np.float32)
    _remove(kept[:, 1:-1], inverse[:, 1:-1], (steps[:, :-1], steps[:, 1:]), steep, nearest_m)
    steep = np.float32(1 / (intrinsics.fy_px * nearest_m))
    steps = np.asarray(cv2.subtract(inverse[1:], inverse[:-1]), np.float32)
    _remove(kept[1:-1], inverse[1:-1], (steps[:-1], steps[1:]), steep, nearest_m)


def _remove(
    kept: Floats,
    inverse: Floats,
    steps: tuple[Floats, Floats],
    steep: np.float32,
    nearest_m: float,
) -> None:
    """NaN where the steps before and after are both steep, and both up or both down; in place."""
    before, after = steps
    ramps = (before > steep) & (after > steep)
    ramps |= (before < -steep) & (after < -steep)
    row, column = np.divmod(np.flatnonzero(ramps), ramps.shape[1])
    climb = np.minimum(np.abs(before[row, column]), np.abs(after[row, column]))
    # steep = 1 / (f × nearest): the climb over what a glancing surface at this depth would have.
    glancing = climb > (_GLANCING * steep * nearest_m) * inverse[row, column]
    kept[row[glancing], column[glancing]] = np.nan
