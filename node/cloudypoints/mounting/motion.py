"""Two pictures of a drive: which way the camera went, and how the ground lay below that.

The travelled way is the unit of length: a camera alone cannot tell metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera
from cloudypoints.lens import undistorted

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]

_CORNERS = 600  # tracked over the whole picture, and as many again in its lower part
_QUALITY = (0.01, 0.001)  # of corners anywhere, and on the ground, which shows little
_APART_PX = 6.0
_BACK_PX = 0.5  # how near tracking there and back must end
_WINDOW = (9, 9)  # larger ones see the road come nearer within them, which biases pitch and roll
_ERROR_PX = 0.5  # of a tracked point
_LEAST_TRACKS = 60
_LEAST_FLOW_PX = 2.0  # median: less is standing, or driving too slowly to tell
_LEAST_GROUND = 20  # points that make a plane
_GROUND_ERROR = 0.04  # of the height: how far points of the ground lie off it
_MOST_LEAN_RAD = math.radians(30)  # of the camera about its way
_HYPOTHESES = 300


@dataclass(frozen=True, slots=True)
class Motion:
    """What two pictures tell."""

    forward: Array  # (3,) unit: the way travelled, in the first camera's frame
    turn_rad: float  # how far the camera turned meanwhile
    up: Array  # (3,) unit: away from the ground; NaN where no ground was made out
    ways_per_height: float  # how many times the way travelled fits into the height; NaN as above


def motion_between(first: Grey, second: Grey, camera: Camera, seed: int = 0) -> Motion | None:
    """The motion between two pictures (H, W) of this camera; None where they tell none.

    Essential matrix by five points (Nister 2004); the ground as the plane along the way travelled
    on which most points below the camera lie.
    """
    start, end = _tracks(first, second)
    if len(start) < _LEAST_TRACKS:
        return None
    if np.median(np.linalg.norm(end - start, axis=1)) < _LEAST_FLOW_PX:
        return None
    rays = _rays(start, camera), _rays(end, camera)
    known = np.isfinite(rays[0]).all(axis=1) & np.isfinite(rays[1]).all(axis=1)
    rays = rays[0][known], rays[1][known]
    moved = _moved(*rays, _ERROR_PX / camera.intrinsics.fx_px)
    if moved is None:
        return None
    second_from_first, shift, fits = moved
    forward = -second_from_first.T @ shift
    turn_rad = float(np.linalg.norm(cv2.Rodrigues(second_from_first)[0]))
    points = _triangulated(rays[0][fits], rays[1][fits], second_from_first, shift)
    up, height = _ground(points, forward, np.random.default_rng(seed))
    return Motion(forward, turn_rad, up, height)


def _tracks(first: Grey, second: Grey) -> tuple[Array, Array]:
    """Pixels (N, 2) in both pictures that were found there and back (Lucas and Kanade)."""
    low = np.zeros_like(first)
    low[first.shape[0] // 2 :] = 255
    found = [
        cv2.goodFeaturesToTrack(first, _CORNERS, quality, _APART_PX, mask=mask)
        for quality, mask in zip(_QUALITY, (None, low), strict=True)
    ]
    corners = [points.reshape(-1, 2) for points in found if points is not None]
    if not corners:
        return np.zeros((0, 2)), np.zeros((0, 2))
    start = np.unique(np.concatenate(corners).astype(np.float32), axis=0)
    guess: Any = None  # OpenCV's stubs know no default here
    end, there, _ = cv2.calcOpticalFlowPyrLK(first, second, start, guess, winSize=_WINDOW)
    back, again, _ = cv2.calcOpticalFlowPyrLK(second, first, end, guess, winSize=_WINDOW)
    near = np.linalg.norm(back - start, axis=1) < _BACK_PX
    kept = (there.ravel() == 1) & (again.ravel() == 1) & near
    return start[kept].astype(np.float64), end[kept].astype(np.float64)


def _rays(pixels: Array, camera: Camera) -> Array:
    """What pixels (N, 2) see, x / z and y / z, the lens taken out."""
    k = camera.intrinsics
    bent = ((pixels - (k.cx_px, k.cy_px)) / (k.fx_px, k.fy_px)).T
    return undistorted(bent, camera.distortion).T


def _moved(
    first: Array, second: Array, error: float
) -> tuple[Array, Array, NDArray[np.bool_]] | None:
    """Rotation, unit shift and which tracks agree; the scene stands still for most of them."""
    cv2.setRNGSeed(1)  # the same drive gives the same mount
    essential, mask = cv2.findEssentialMat(
        first, second, np.eye(3), method=cv2.USAC_ACCURATE, prob=0.9999, threshold=error
    )
    if essential is None or essential.shape != (3, 3):
        return None
    count, rotation, shift, agree = cv2.recoverPose(essential, first, second, np.eye(3), mask=mask)
    if count < _LEAST_TRACKS // 2:
        return None
    return (
        np.asarray(rotation, np.float64),
        np.asarray(shift, np.float64).ravel(),
        agree.ravel() > 0,
    )


def _triangulated(first: Array, second: Array, rotation: Array, shift: Array) -> Array:
    """Points (N, 3) of the first camera's frame, in ways travelled; those before both cameras."""
    ones = np.ones((len(first), 1))
    a = np.concatenate([first, ones], axis=1) @ rotation.T
    b = np.concatenate([second, ones], axis=1)
    # depth · a + shift is along b: its cross product with b is zero
    across, aside = np.cross(a, b), np.cross(shift, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = -(across * aside).sum(axis=1) / (across * across).sum(axis=1)
    points = np.concatenate([first, ones], axis=1) * depth[:, None]
    return np.asarray(points[np.isfinite(depth) & (depth > 0)])


def _ground(points: Array, forward: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """Up and height of the plane along the way that most points lie on, with none of them below.

    In the plane across the way the ground is a line, so two numbers are left: lean and height.
    """
    nothing = np.full(3, np.nan), math.nan
    down = np.array([0.0, 1.0, 0.0])
    down -= forward * (down @ forward)
    if np.linalg.norm(down) < math.sin(math.radians(20)) or len(points) < _LEAST_GROUND:
        return nothing
    down /= np.linalg.norm(down)
    aside = np.cross(down, forward)
    a, b = points @ down, points @ aside
    near = (points @ forward < 25 * np.abs(a)) & (np.abs(b) < 6 * np.abs(a))
    a, b = a[near], b[near]
    if len(a) < _LEAST_GROUND:
        return nothing
    angle, height = _line(a, b, rng)
    up = -(down * math.cos(angle) + aside * math.sin(angle))
    return (up, height) if math.isfinite(height) else nothing


def _line(a: Array, b: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Angle and distance of the line cos·a + sin·b = height with most points on it, few beyond."""
    pairs = rng.integers(0, len(a), (_HYPOTHESES, 2))
    first, second = np.stack([a, b], axis=1)[pairs].transpose(1, 0, 2)
    way = second - first
    angles = np.arctan2(-way[:, 0], way[:, 1])
    heights = np.cos(angles) * first[:, 0] + np.sin(angles) * first[:, 1]
    flip = heights < 0
    angles, heights = np.where(flip, angles + np.pi, angles), np.abs(heights)
    angles = (angles + np.pi) % (2 * np.pi) - np.pi
    level = (np.abs(angles) < _MOST_LEAN_RAD) | (np.abs(angles) > np.pi - _MOST_LEAN_RAD)
    angles, heights = angles[level & (heights > 0)], heights[level & (heights > 0)]
    if not len(angles):
        return math.nan, math.nan
    depth = np.cos(angles)[:, None] * a + np.sin(angles)[:, None] * b
    off = depth / heights[:, None] - 1
    on, below = np.abs(off) < _GROUND_ERROR, off > 2 * _GROUND_ERROR
    score = on.sum(axis=1) - below.sum(axis=1)
    best = int(score.argmax())
    if on[best].sum() < _LEAST_GROUND or score[best] <= 0:
        return math.nan, math.nan
    return _least_squares(a[on[best]], b[on[best]])


def _least_squares(a: Array, b: Array) -> tuple[float, float]:
    """The line nearest to these points."""
    middle = np.array([a.mean(), b.mean()])
    across = np.linalg.svd(np.stack([a, b], axis=1) - middle)[2][1]
    height = float(across @ middle)
    across = across if height > 0 else -across
    return math.atan2(across[1], across[0]), abs(height)
