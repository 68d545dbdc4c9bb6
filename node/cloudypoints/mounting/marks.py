"""The whole mount of a fixed camera from marks on the ground: their places, or their distances."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from itertools import combinations

import cv2
import numpy as np

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount, inverse, project, transformed
from cloudypoints.mounting.estimate import (
    QUANTITIES,
    Array,
    Estimate,
    angles_of,
    check_inside,
    rays_through,
    sigmas,
)

_LEAST_AREA = 0.002  # of the picture that the marks must span
_INCONSISTENT = 0.03  # of the longest distance: measured ones may disagree by this much
_WORST_PX = 10.0  # a mark further from its place than this is a mistake
_STEPS = 50
_STEP = 1e-6


def from_marks(
    camera: Camera, points_px: Array, places_m: Array, *, error_px: float = 2.0
) -> Estimate:
    """The mount that sees ground points (N, 2: forward, left, metres) at these pixels (N, 2).

    The places are in the frame that the mount is wanted in; `error_px` is how exactly the pixels
    were marked. Raises CalibrationError.
    """
    if len(points_px) != len(places_m) or len(points_px) < 4:
        raise CalibrationError(f"{len(points_px)} marks: four or more are needed")
    check_inside(camera, points_px)
    _check_spread(camera, points_px)
    ground_m = np.concatenate([places_m, np.zeros((len(places_m), 1))], axis=1)
    start = min(
        _starts(camera, points_px, ground_m),
        key=lambda mount: float(np.abs(_off_px(camera, mount, ground_m, points_px)).sum()),
    )
    mount, derivative = _refined(camera, start, ground_m, points_px)
    off_px = _off_px(camera, mount, ground_m, points_px)
    _check_fits(points_px, off_px)
    freedom = off_px.size - len(QUANTITIES)
    scatter_px = math.sqrt(float((off_px**2).sum()) / freedom) if freedom else 0.0
    covariance = np.linalg.pinv(derivative.T @ derivative) * max(error_px, scatter_px) ** 2
    sigma = dict(zip(QUANTITIES, np.sqrt(np.diag(covariance)).tolist(), strict=True))
    rms_px = math.sqrt(float((off_px**2).sum(axis=1).mean()))
    return Estimate(mount, sigma, (f"the marks lie within {rms_px:.1f} px of their places",))


def from_distances(
    camera: Camera, points_px: Array, distances_m: Array, *, error_px: float = 2.0
) -> Estimate:
    """Height, roll and pitch over four marks between which six distances (m) are known.

    In the order 1-2, 1-3, 1-4, 2-3, 2-4, 3-4. The camera looks along x from above the origin: a
    direction on the ground is not told by distances. Raises CalibrationError.
    """
    if len(points_px) != 4 or len(distances_m) != 6:
        raise CalibrationError(
            f"{len(points_px)} marks and {len(distances_m)} distances: four and six are needed, "
            "1-2 1-3 1-4 2-3 2-4 3-4"
        )
    places_m = _laid_out(distances_m, points_px)
    measured = from_marks(camera, points_px, places_m, error_px=error_px)
    mount = replace(measured.mount, yaw_rad=0.0, x_m=0.0, y_m=0.0)
    known = {name: measured.sigma[name] for name in ("height_m", "roll_rad", "pitch_rad")}
    note = "distances tell no direction: x is where the camera looks, the origin below it"
    return Estimate(mount, sigmas(**known), (*measured.notes, note))


def _laid_out(distances_m: Array, points_px: Array) -> Array:
    """Places (4, 2) with these distances (classical scaling), not mirrored against the picture."""
    if not (np.isfinite(distances_m).all() and (distances_m > 0).all()):
        raise CalibrationError("distances between marks must be positive")
    square = np.zeros((4, 4))
    for (a, b), distance_m in zip(combinations(range(4), 2), distances_m, strict=True):
        square[a, b] = square[b, a] = distance_m**2
    centring = np.eye(4) - 0.25
    values, vectors = np.linalg.eigh(-0.5 * centring @ square @ centring)
    places: Array = vectors[:, [3, 2]] * np.sqrt(np.maximum(values[[3, 2]], 0))
    laid = np.array([math.dist(places[a], places[b]) for a, b in combinations(range(4), 2)])
    worst = int(np.abs(laid - distances_m).argmax())
    if abs(laid[worst] - distances_m[worst]) > _INCONSISTENT * distances_m.max():
        a, b = list(combinations(range(1, 5), 2))[worst]
        raise CalibrationError(
            f"the six distances fit no four points of a plane: {a}-{b} is {distances_m[worst]:g} m "
            f"where the others say {laid[worst]:.2f} m"
        )
    # Seen from above, what turns left on the ground turns left in the picture, whose y points down.
    if _turn(places) * _turn(points_px) > 0:
        places[:, 1] *= -1
    return places


def _turn(points: Array) -> float:
    """Twice the signed area of the triangle of the first three, or the other if that is flat."""
    areas = [
        float(np.linalg.det(np.stack([points[b] - points[a], points[c] - points[a]])))
        for a, b, c in combinations(range(4), 3)
    ]
    return areas[0] if abs(areas[0]) > 1e-9 else areas[1]


def _check_spread(camera: Camera, points_px: Array) -> None:
    k = camera.intrinsics
    area = cv2.contourArea(cv2.convexHull(points_px.astype(np.float32)))
    if area < _LEAST_AREA * k.width_px * k.height_px:
        raise CalibrationError(
            "the marks lie nearly on one line, or too close together: spread them over the ground"
        )


def _check_fits(points_px: Array, off_px: Array) -> None:
    far_px = np.linalg.norm(off_px, axis=1)
    worst = int(far_px.argmax())
    if far_px[worst] > _WORST_PX:
        u, v = points_px[worst]
        raise CalibrationError(
            f"mark {worst + 1} at pixel ({u:g}, {v:g}) lies {far_px[worst]:.0f} px from its place: "
            "are the marks in the right order, x forward and y left, and the ground flat?"
        )


def _starts(camera: Camera, points_px: Array, ground_m: Array) -> list[Mount]:
    """Mounts from the plane's two poses (IPPE, Collins and Bartoli 2014) that stand above it."""
    rays = rays_through(camera, points_px)
    flat = rays[:, :2] / rays[:, 2:]
    count, rotations, translations, _ = cv2.solvePnPGeneric(
        ground_m, flat, np.eye(3), np.zeros(4), flags=cv2.SOLVEPNP_IPPE
    )
    mounts, reasons = [], ["no pose"]
    for index in range(count):
        camera_from_ground = np.eye(4)
        camera_from_ground[:3, :3] = cv2.Rodrigues(rotations[index])[0]
        camera_from_ground[:3, 3] = translations[index].ravel()
        try:
            mounts.append(_mount_of(inverse(camera_from_ground)))
        except CalibrationError as error:
            reasons.append(str(error))
    if not mounts:
        raise CalibrationError(f"no camera above the ground sees the marks so: {reasons[-1]}")
    return mounts


def _mount_of(vehicle_from_camera: Array) -> Mount:
    roll_rad, pitch_rad, yaw_rad = angles_of(vehicle_from_camera[:3, :3])
    x_m, y_m, height_m = vehicle_from_camera[:3, 3].tolist()
    return Mount(height_m, roll_rad, pitch_rad, yaw_rad, x_m, y_m)


def _refined(
    camera: Camera, mount: Mount, ground_m: Array, points_px: Array
) -> tuple[Mount, Array]:
    """Gauss and Newton on the pixels themselves, and the derivatives (2 N, 6) at the end."""
    derivative = np.zeros((points_px.size, len(QUANTITIES)))
    for _ in range(_STEPS):
        values = np.array(astuple(mount))
        off = _off_px(camera, mount, ground_m, points_px).ravel()
        steps = _STEP * np.maximum(1.0, np.abs(values))
        derivative = (
            np.stack(
                [
                    (_off_px(camera, Mount(*(values + step)), ground_m, points_px).ravel() - off)
                    for step in np.diag(steps)
                ],
                axis=1,
            )
            / steps
        )
        change = np.linalg.lstsq(derivative, -off, rcond=None)[0]
        mount = Mount(*(values + change).tolist())
        if np.abs(change).max() < 1e-9:
            break
    return mount, derivative


def _off_px(camera: Camera, mount: Mount, ground_m: Array, points_px: Array) -> Array:
    """How far each mark's place comes from where it was marked, (N, 2) pixels."""
    seen = project(transformed(inverse(mount.vehicle_from_camera), ground_m), camera)
    return np.nan_to_num(seen - points_px, nan=1e4)
