"""A sample as seen through a lens that bends, read row by row while the camera turns.

One remapping makes both, of the picture and of every truth. The camera then has that lens; of the
turn it knows nothing, as a camera with a rolling shutter does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Distortion, Floats, rays_of
from cloudytools.data.sample import PICTURES, Sample
from cloudytools.experiment import Augmentation

_CORNER = (-0.16, 0.06)  # by what part of its radius the corner moves in: barrel, pincushion
_TURN_RAD = (0.012, 0.004)  # from first to last row, one sigma: 0.4 rad/s for 30 ms, and jolts
_COARSE = 4  # a bent ray table is made of every so manieth pixel's
_RIM_PX = 1  # coarse pixels around it, so that there is something beyond the outermost middles


@dataclass(frozen=True, slots=True)
class Bend:
    """What a lens and a shutter do to a picture."""

    corner: float = 0.0  # relative change of the corner's radius; < 0 is a barrel
    across_rad: float = 0.0  # turn to the right from the first row to the last
    down_rad: float = 0.0  # turn down, likewise


def random_bend(how: Augmentation, random: Generator) -> Bend:
    """A lens as often as asked, a turn as often as asked, each independent of the other."""
    corner = random.uniform(*_CORNER) if random.random() < how.distortion else 0.0
    turning = random.random() < how.shutter
    across_rad, down_rad = np.clip(random.standard_normal(2), -3, 3) * _TURN_RAD * turning
    return Bend(corner, float(across_rad), float(down_rad))


def bent(sample: Sample, bend: Bend) -> Sample:
    """The same scene, taken so; a sample whose camera is unknown or bends already stays as it is.

    Where the picture ends its outermost pixels are repeated: the focal length grows until little
    of that is seen.
    """
    camera = sample.camera
    if bend == Bend() or camera is None or camera.distortion.model != "none":
        return sample
    narrower = _narrowed(camera, bend)
    rays = _turned(rays_near(narrower), bend)
    k = camera.intrinsics
    across = rays[0] * np.float32(k.fx_px) + np.float32(k.cx_px)
    down = rays[1] * np.float32(k.fy_px) + np.float32(k.cy_px)
    changed: dict[str, Any] = {
        name: _remapped(array, (across, down), name in PICTURES)
        for name, array in sample.arrays.items()
    }
    return replace(sample, camera=narrower, **changed)


def rays_near(camera: Camera) -> Floats:
    """`rays_of`, (2, H, W), within a tenth of a pixel; of a bent lens in a tenth of its time."""
    if camera.distortion.model == "none":
        return rays_of(camera)
    k = camera.intrinsics
    if k.width_px % _COARSE or k.height_px % _COARSE:
        return rays_of(camera)
    coarse = camera.resized(k.width_px // _COARSE, k.height_px // _COARSE)
    more = 2 * _RIM_PX
    wide, high = coarse.intrinsics.width_px + more, coarse.intrinsics.height_px + more
    few = rays_of(coarse.cropped(-_RIM_PX, -_RIM_PX, wide, high))
    rim = _RIM_PX * _COARSE
    fine = [
        cv2.resize(one, None, fx=_COARSE, fy=_COARSE, interpolation=cv2.INTER_LINEAR) for one in few
    ]
    return np.stack([one[rim:-rim, rim:-rim] for one in fine])


def _narrowed(camera: Camera, bend: Bend) -> Camera:
    """The camera with the lens, and a focal length at which it sees no farther than before."""
    k = camera.intrinsics
    half = np.array([k.width_px / k.fx_px, k.height_px / k.fy_px]) / 2
    square = float(half @ half)
    lens = Distortion("plumb_bob", (bend.corner / square, 0.0, 0.0, 0.0))
    # A barrel draws the corner in; a turn shows half of itself on either side.
    shown = 1 / (1 + min(0.0, bend.corner))
    turn = np.abs([bend.across_rad, bend.down_rad]) / 2 * (1 + square)
    grown = float(np.max(shown * (half + turn) / half))
    longer = replace(k, fx_px=k.fx_px * grown, fy_px=k.fy_px * grown)
    return replace(camera, intrinsics=longer, distortion=lens if bend.corner else Distortion())


def _turned(rays: Floats, bend: Bend) -> Floats:
    """Where the rays (2, H, W) of each row look at when it is read; right in the middle row."""
    rows = rays.shape[1]
    when = ((np.arange(rows, dtype=np.float32) + 0.5) / rows - 0.5)[:, None]
    x, y = rays
    right, down = (np.tan(when * np.float32(a)) for a in (bend.across_rad, bend.down_rad))
    ahead = 1 - x * right - y * down  # small angles: one turn after the other is their sum
    return np.stack([(x + right) / ahead, (y + down) / ahead])


def _remapped(array: NDArray[Any], places_px: tuple[Floats, Floats], smooth: bool) -> NDArray[Any]:
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    content = np.ascontiguousarray(array, np.uint8 if array.dtype == np.bool_ else array.dtype)
    moved = cv2.remap(content, *places_px, how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, array.dtype)
