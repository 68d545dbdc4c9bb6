"""Bundle adjustment of a fisheye: lens and poses together, by Levenberg and Marquardt.

OpenCV 5.0's `fisheye.calibrate` refuses its own arrays (opencv#29692) and, given them laid out
differently, does not converge; its pinhole calibration is sound and is used for pinholes.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cloudypoints.calibrate.boards import Sighting
from cloudypoints.calibrate.views import (
    Points,
    View,
    derivatives,
    parameters,
    rms_px,
    view_of,
    with_parameters,
)
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.lens import Distortion, undistorted

_FOCAL_GUESSES = (0.25, 0.32, 0.4, 0.5, 0.65, 0.85)  # of the picture's width
_MOST_STEPS = 100
_CONVERGED = 1e-9  # relative change of the squared error
_HARDEST = 1e12  # damping at which no step helps any more

System = list[tuple[Points, Points, Points]]  # of each view: by lens, by pose, residuals


def fisheye(sightings: Sequence[Sighting], points: Points) -> tuple[Camera, list[View]]:
    """The Kannala-Brandt camera that explains the sightings best, and where the boards were.

    Raises CalibrationError where no guess of the focal length puts the boards before the camera.
    """
    starts = [_start(sightings, points, guess) for guess in _FOCAL_GUESSES]
    camera, views = min(starts, key=lambda start: rms_px(start[1]))
    return adjusted(camera, views, points)


def adjusted(camera: Camera, views: Sequence[View], points: Points) -> tuple[Camera, list[View]]:
    """Camera and views at the least squared error near these."""
    views, damping = list(views), 1e-3
    error = _squared(views)
    for _ in range(_MOST_STEPS):
        system = [(*derivatives(camera, v, points), v.residuals_px.ravel()) for v in views]
        while damping < _HARDEST:
            tried_camera, tried = _stepped(camera, views, points, system, damping)
            if _squared(tried) < error:
                break
            damping *= 10
        else:
            break
        gain, error = error - _squared(tried), _squared(tried)
        camera, views, damping = tried_camera, tried, damping / 10
        if gain < _CONVERGED * error:
            break
    return camera, views


def _stepped(
    camera: Camera, views: Sequence[View], points: Points, system: System, damping: float
) -> tuple[Camera, list[View]]:
    """One damped step; the poses are eliminated view by view (Schur complement)."""
    size = system[0][0].shape[1]
    left, right, poses = np.zeros((size, size)), np.zeros(size), []
    for of_lens, of_pose, residuals in system:
        own = of_pose.T @ of_pose
        own[np.diag_indices(6)] *= 1 + damping
        mixed = of_lens.T @ of_pose
        solved = np.linalg.pinv(own, hermitian=True)
        left += of_lens.T @ of_lens - mixed @ solved @ mixed.T
        right += of_lens.T @ residuals - mixed @ solved @ (of_pose.T @ residuals)
        poses.append((solved, mixed, of_pose.T @ residuals))
    left[np.diag_indices(size)] *= 1 + damping
    step = np.linalg.pinv(left, hermitian=True) @ right
    try:
        moved = with_parameters(camera, parameters(camera) + step)
    except CalibrationError:  # a negative focal length: too far
        return camera, list(views)
    return moved, [
        view_of(moved, view.sighting, points, view.pose + solved @ (own - mixed.T @ step))
        for view, (solved, mixed, own) in zip(views, poses, strict=True)
    ]


def _squared(views: Sequence[View]) -> float:
    return float(sum((view.residuals_px**2).sum() for view in views))


def _start(
    sightings: Sequence[Sighting], points: Points, guess: float
) -> tuple[Camera, list[View]]:
    """A lens whose angle grows evenly, and the poses that suit it."""
    width_px, height_px = sightings[0].size_px
    f_px = guess * width_px
    middle = (width_px - 1) / 2, (height_px - 1) / 2
    intrinsics = Intrinsics(width_px, height_px, f_px, f_px, *middle)
    camera = Camera(intrinsics, Distortion("fisheye", (0.0,) * 4), calibration="file")
    return camera, [
        view_of(camera, sighting, points, _pose(camera, sighting, points)) for sighting in sightings
    ]


def _pose(camera: Camera, sighting: Sighting, points: Points) -> Points:
    """Of the board, from the rays to its corners; far ahead where there is no telling."""
    k = camera.intrinsics
    bent = (sighting.corners_px - (k.cx_px, k.cy_px)) / (k.fx_px, k.fy_px)
    rays = undistorted(bent.T.astype(np.float64), camera.distortion).T
    known = np.isfinite(rays).all(axis=1)
    pose = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 10.0])
    if known.sum() < 6:
        return pose
    corners = points[sighting.ids][known]
    found, rotation, translation = cv2.solvePnP(
        corners, rays[known], np.eye(3), np.zeros(4), flags=cv2.SOLVEPNP_IPPE
    )
    return np.concatenate([rotation.ravel(), translation.ravel()]) if found else pose
