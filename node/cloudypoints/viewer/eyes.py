"""Where the eye is: free, behind the camera, straight above, in the camera's own place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.messages import Header, Obstacles
from cloudypoints.picture.dots import lens_of
from cloudypoints.picture.perspective import polar
from cloudypoints.viewer.feeds import Feed
from cloudypoints.viewer.points import Matrix

VIEWS = ("orbit", "follow", "top", "camera")  # in the order of their keys
FIELD_OF_VIEW_DEG = 50.0  # from the lower to the upper edge

_WIDEST_DEG = 170.0  # that a pinhole can be drawn with
_BEHIND_M, _ABOVE_M, _AHEAD_M = 5.5, 4.2, 14.0  # of the camera's foot: the eye, where it looks
_OVER_M = 2.7  # of the camera itself, should that be high
_HIGH_M, _TOP_AHEAD_M = 48.0, 18.0  # of the view from above
_FOLLOW_SHARE = 0.15  # of the way to the nearest obstacle that the gaze goes with each picture
_FOLLOW_MOST_M = 30.0
_NOTCH = 0.85  # of the distance to what it turns about is left after a notch of the wheel
_WHEEL_M = (4.0, 150.0)  # that distance: what is nearer moves on ahead

Place = NDArray[np.float64]  # (3,) metres in the vehicle frame


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen first."""

    view: str = "orbit"  # of VIEWS
    mode: str = "picture"  # of MODES


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """A pinhole in the vehicle frame."""

    place_m: Place
    looks_at_m: Place
    up: Place
    field_of_view_deg: float  # from the lower to the upper edge


def eye_behind(vehicle_from_camera: Matrix) -> Eye:
    """From behind and above a camera, along it."""
    foot_m, heading = _foot_and_heading(vehicle_from_camera)
    up = np.array([0, 0, 1.0])
    above_m = max(_ABOVE_M, vehicle_from_camera[2, 3] + _OVER_M)
    place_m = foot_m - _BEHIND_M * heading + above_m * up
    return Eye(place_m, foot_m + _AHEAD_M * heading, up, FIELD_OF_VIEW_DEG)


def eye_above(vehicle_from_cameras: Sequence[Matrix]) -> Eye:
    """From straight above the middle of what all cameras look at; the first one's heading is up."""
    stands = [_foot_and_heading(matrix) for matrix in vehicle_from_cameras]
    centre_m = np.mean([foot_m + _TOP_AHEAD_M * heading for foot_m, heading in stands], axis=0)
    return Eye(centre_m + (0, 0, _HIGH_M), centre_m, stands[0][1], FIELD_OF_VIEW_DEG)


def eye_of_camera(header: Header, vehicle_from_camera: Matrix, aspect: float) -> Eye:
    """In the camera's place, all of its picture seen; `aspect` is the window's width by height."""
    x_axis, y_axis, z_axis, place_m = (vehicle_from_camera[:3, i] for i in range(4))
    if not (lens := lens_of(header)):
        return Eye(place_m, place_m + z_axis, -y_axis, FIELD_OF_VIEW_DEG)
    width_px, height_px, fx_px, fy_px, cx_px, cy_px = lens
    towards = z_axis + (width_px / 2 - cx_px) / fx_px * x_axis
    towards = towards + (height_px / 2 - cy_px) / fy_px * y_axis
    half = max(height_px / fy_px / 2, width_px / fx_px / 2 / aspect)
    field_deg = min(math.degrees(2 * math.atan(half)), _WIDEST_DEG)
    return Eye(place_m, place_m + towards, -y_axis, field_deg)


def eye_following(
    previous: Eye | None, vehicle_from_camera: Matrix, obstacles: Obstacles | None
) -> Eye:
    """From behind the camera at the nearest obstacle, or ahead; from `previous` in a glide."""
    behind = eye_behind(vehicle_from_camera)
    aim_m = behind.looks_at_m
    if obstacles is not None and math.isfinite(obstacles.nearest_m):
        foot_m, _ = _foot_and_heading(vehicle_from_camera)
        range_m = min(obstacles.nearest_m, _FOLLOW_MOST_M)
        aim_m = foot_m + polar(range_m, obstacles.nearest_bearing_rad)
    if previous is not None:
        aim_m = previous.looks_at_m + _FOLLOW_SHARE * (aim_m - previous.looks_at_m)
    return Eye(behind.place_m, aim_m, behind.up, FIELD_OF_VIEW_DEG)


def eye_wheeled(vehicle_from_eye: Matrix, centre_m: Place, notches: float) -> Eye:
    """So many notches nearer to the centre that it turns about, or away; its gaze stays the same.

    `vehicle_from_eye` (4, 4) is OpenGL's: x right, y up, z backwards.
    """
    up, backwards, place_m = (vehicle_from_eye[:3, i] for i in (1, 2, 3))
    before_m = max(float(np.linalg.norm(centre_m - place_m)), _WHEEL_M[0])
    after_m = min(before_m * _NOTCH**notches, _WHEEL_M[1])
    place_m = place_m + (after_m - before_m) * backwards
    return Eye(place_m, place_m - max(after_m, _WHEEL_M[0]) * backwards, up, FIELD_OF_VIEW_DEG)


def wanted_eye(view: str, feeds: Sequence[Feed], aspect: float, previous: Eye | None = None) -> Eye:
    """Where one of VIEWS has its eye: for the first camera, from the top for all of them.

    `previous`: where it was a moment ago; `aspect`: the window's width by its height.
    """
    if not feeds:
        return eye_above([np.eye(4)]) if view == "top" else eye_behind(np.eye(4))
    feed, matrix = feeds[0], feeds[0].vehicle_from_camera
    if view == "top":
        return eye_above([feed.vehicle_from_camera for feed in feeds])
    if view == "camera":
        return eye_of_camera(feed.header, matrix, aspect)
    if view == "follow":
        return eye_following(previous, matrix, feed.obstacles)
    return eye_behind(matrix)


def pixel_px(view: str, feeds: Sequence[Feed], eye: Eye, height_px: int) -> float:
    """How wide a pixel of the first camera's grid is seen from its place; 0 from elsewhere.

    `height_px`: of the scene.
    """
    lens = lens_of(feeds[0].header) if view == "camera" and feeds else ()
    if not lens:
        return 0.0
    focal_px = height_px / 2 / math.tan(math.radians(eye.field_of_view_deg) / 2)
    return focal_px / min(lens[2:4])


def _foot_and_heading(vehicle_from_camera: Matrix) -> tuple[Place, Place]:
    """Where the camera stands on the ground, and where it looks over it; (3,) each."""
    heading_rad = math.atan2(vehicle_from_camera[1, 2], vehicle_from_camera[0, 2])
    heading = np.array([math.cos(heading_rad), math.sin(heading_rad), 0])
    return vehicle_from_camera[:3, 3] * (1, 1, 0), heading
