"""A board before a camera: where its corners should come to, and how that changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.calibrate.boards import Sighting
from cloudypoints.geometry import Camera, Intrinsics, project
from cloudypoints.lens import Distortion

Points = NDArray[np.float64]

_STEP = 1e-6  # for derivatives, relative to each parameter
_UNSEEN_PX = 1e4  # how far off a corner counts that the lens cannot see


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture that took part: where the board was, and how well the camera explains it."""

    sighting: Sighting
    pose: Points  # (6,) camera_from_board: Rodrigues' rotation, translation in squares
    residuals_px: Points  # (N, 2) seen less expected

    @property
    def error_px(self) -> float:
        """Root mean square distance of its corners."""
        return rms_px([self])

    @property
    def tilt_rad(self) -> float:
        """Of the board from facing the camera."""
        facing = abs(float(cv2.Rodrigues(self.pose[:3])[0][2, 2]))
        return float(np.arccos(min(1.0, facing)))


def view_of(camera: Camera, sighting: Sighting, points: Points, pose: Points) -> View:
    """The view with its residuals; `points` (M, 3) are all of the board."""
    expected = expected_px(camera, points[sighting.ids], pose)
    return View(sighting, pose, sighting.corners_px - expected)


def rms_px(views: Sequence[View]) -> float:
    """Root mean square distance over all corners of these views."""
    residuals = np.concatenate([view.residuals_px for view in views])
    return float(np.sqrt((residuals**2).sum(axis=1).mean()))


def expected_px(camera: Camera, points: Points, pose: Points) -> Points:
    """Where corners (N, 3) of the board come to, (N, 2); far off where the lens is blind."""
    camera_from_board = cv2.Rodrigues(pose[:3])[0]
    expected = project(points @ camera_from_board.T + pose[3:], camera)
    return np.nan_to_num(expected, nan=_UNSEEN_PX)


def parameters(camera: Camera) -> Points:
    """(4 + K,): fx, fy, cx, cy in pixels and the distortion's coefficients."""
    k = camera.intrinsics
    return np.array([k.fx_px, k.fy_px, k.cx_px, k.cy_px, *camera.distortion.coefficients])


def with_parameters(camera: Camera, values: Points) -> Camera:
    """The camera with other parameters, in the order of `parameters`."""
    k = camera.intrinsics
    fx_px, fy_px, cx_px, cy_px, *coefficients = values.tolist()
    intrinsics = Intrinsics(k.width_px, k.height_px, fx_px, fy_px, cx_px, cy_px)
    lens = Distortion(camera.distortion.model, tuple(coefficients))
    return replace(camera, intrinsics=intrinsics, distortion=lens)


def derivatives(camera: Camera, view: View, points: Points) -> tuple[Points, Points]:
    """Of a view's expected pixels (2 N) by the camera's parameters and by the board's pose."""
    corners, lens = points[view.sighting.ids], parameters(camera)
    here = expected_px(camera, corners, view.pose)
    lens_steps = _STEP * np.maximum(1.0, np.abs(lens))
    pose_steps = _STEP * np.maximum(1.0, np.abs(view.pose))
    of_lens = [
        expected_px(with_parameters(camera, lens + step), corners, view.pose) - here
        for step in np.diag(lens_steps)
    ]
    of_pose = [
        expected_px(camera, corners, view.pose + step) - here for step in np.diag(pose_steps)
    ]
    return (
        np.stack([change.ravel() for change in of_lens], axis=1) / lens_steps,
        np.stack([change.ravel() for change in of_pose], axis=1) / pose_steps,
    )
