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
from numpy.typing import NDArray

from cloudypoints.geometry import Floats, Intrinsics

Indices = NDArray[np.intp]

_GLANCING = 6.0  # metres along the ray for a metre across it: 10° to the surface
_BOTH = 1.999  # steps; two but for rounding
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
    width = depth_m.shape[1]
    climb = cv2.absdiff(inverse[:, 2:], inverse[:, :-2])
    row, column = _beyond(climb, intrinsics.fx_px * nearest_m)
    flat = row * width + column + 1
    _remove(kept, inverse, (flat - 1, flat, flat + 1), intrinsics.fx_px, nearest_m)
    climb = cv2.absdiff(inverse[2:], inverse[:-2])
    row, column = _beyond(climb, intrinsics.fy_px * nearest_m)
    flat = (row + 1) * width + column
    _remove(kept, inverse, (flat - width, flat, flat + width), intrinsics.fy_px, nearest_m)


def _beyond(climb: cv2.typing.MatLike, shallow: float) -> tuple[Indices, Indices]:
    """Rows and columns where two steps together climb as much as two steep ones do."""
    steep = climb > np.float32(_BOTH / shallow)
    row, column = np.divmod(np.flatnonzero(steep), steep.shape[1])
    return row, column


def _remove(
    kept: Floats,
    inverse: Floats,
    places: tuple[Indices, Indices, Indices],
    f_px: float,
    nearest_m: float,
) -> None:
    """NaN where the steps before and after are both steep, and both up or both down; in place.

    `places` (N,) in the flat grid: the pixel before, the one in question, the one after.
    """
    before, here, after = (inverse.take(place) for place in places)
    down, up = here - before, after - here
    climb = np.minimum(np.abs(down), np.abs(up))
    # 1 / f is what a surface at 45° climbs from pixel to pixel, in parts of its inverse depth.
    steep = np.maximum(np.float32(1 / nearest_m), np.float32(_GLANCING) * here)
    flying = (climb * np.float32(f_px) > steep) & ((down > 0) == (up > 0))
    kept.reshape(-1)[places[1][flying]] = np.nan
