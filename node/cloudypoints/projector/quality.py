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
_STRIP_PX = 128 << 10  # pixels at once: few enough for the caches, enough to make up for the calls


def without_flying(depth_m: Floats, intrinsics: Intrinsics, nearest_m: float) -> Floats:
    """A copy of the depth (H, W) with NaN where it is neither one surface nor the next.

    `nearest_m`: surfaces that, continued, would pass closer to the lens than this are ramps. It
    must be below the camera's height, or the ground is one. A pixel goes only if it climbs from
    both sides: the last pixel of a surface stays, and so does a pole one pixel wide.
    """
    if min(depth_m.shape) < 3:  # too small for a pixel with two sides
        return depth_m
    kept = depth_m.copy()
    f_px = intrinsics.fx_px, intrinsics.fy_px
    limits = tuple(np.float32(_BOTH / (f * nearest_m)) for f in f_px)
    with np.errstate(divide="ignore"):  # depth of 0
        places = _steep(depth_m, limits)  # few: most of a picture is surface
        for pixel, step, f in zip(places, (1, depth_m.shape[1]), f_px, strict=True):
            flying = _flying(depth_m, (pixel - step, pixel, pixel + step), f, nearest_m)
            kept.reshape(-1)[pixel[flying]] = np.nan
    return kept


def _steep(depth_m: Floats, limits: tuple[np.float32, ...]) -> tuple[Indices, Indices]:
    """Pixels where two steps of inverse depth, across and down, climb as much as two steep ones."""
    height, width = depth_m.shape
    rows = max(8, _STRIP_PX // width)
    inverse, climb = np.empty((2, (rows + 2) * width), np.float32)
    across, down = [], []
    for top in range(0, height, rows):
        first = max(0, top - 1)  # with a row of either neighbour
        strip = depth_m[first : top + rows + 1].ravel()
        here = np.divide(np.float32(1), strip, out=inverse[: strip.size])
        start = (top - first) * width
        own = here[start : start + rows * width]
        across.append(_beyond(own, 1, limits[0], climb) + top * width)
        down.append(_beyond(here, width, limits[1], climb) + first * width)
    pixel = np.concatenate(across)
    column = pixel % width
    inside = (column > 0) & (column < width - 1)  # a row's end does not lie beside the next's begin
    return pixel[inside], np.concatenate(down)


def _beyond(values: Floats, step: int, limit: np.float32, room: Floats) -> Indices:
    """Places in the values (N,) between two, a step before and behind, so far from each other."""
    if values.size <= 2 * step:
        return np.zeros(0, np.intp)
    after, before = values[None, 2 * step :], values[None, : -2 * step]
    climb = cv2.absdiff(after, before, dst=room[None, : after.size])
    return np.asarray(np.flatnonzero(climb > limit) + step)


def _flying(
    depth_m: Floats, places: tuple[Indices, Indices, Indices], f_px: float, nearest_m: float
) -> NDArray[np.bool_]:
    """Where the steps before and after are both steep, and both up or both down (N,).

    `places` (N,) in the flat grid: the pixel before, the one in question, the one after.
    """
    before, here, after = (np.float32(1) / depth_m.take(place) for place in places)
    down, up = here - before, after - here
    climb = np.minimum(np.abs(down), np.abs(up))
    # 1 / f is what a surface at 45° climbs from pixel to pixel, in parts of its inverse depth.
    steep = np.maximum(np.float32(1 / nearest_m), np.float32(_GLANCING) * here)
    return np.asarray((climb * np.float32(f_px) > steep) & ((down > 0) == (up > 0)))
