"""From sightings of a board to a camera, with pictures that do not fit left out and named.

Zhang's method (2000) and its bundle adjustment by OpenCV; errors and uncertainties by the very
projection that the node uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from cloudypoints.calibrate.adjust import fisheye
from cloudypoints.calibrate.boards import Board, Missed, Sighting
from cloudypoints.calibrate.views import Points, View, derivatives, parameters, rms_px, view_of
from cloudypoints.calibration import checked_lens
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.lens import Distortion

MODELS = ("plumb_bob", "rational", "fisheye")
LEAST_PICTURES = 5  # for an answer at all
ENOUGH_PICTURES = 12  # for one to rely on

_MOST_LEFT_OUT = 0.25  # of the pictures, for not fitting
_OUTLIER_SPREADS = 4.0  # robust standard deviations above the median
_OUTLIER_RATIO = 1.6  # and at least so many times it
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
_SIGMAS = ("fx_px", "fy_px", "cx_px", "cy_px")


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A camera, how well it explains the pictures, and how sure it is."""

    camera: Camera
    views: tuple[View, ...]
    left_out: tuple[Missed, ...]
    sigma: dict[str, float]  # fx_px, fy_px, cx_px, cy_px: one standard deviation
    doubts: tuple[str, ...] = field(default=())

    @property
    def rms_px(self) -> float:
        """Root mean square distance over all corners."""
        return rms_px(self.views)


def solve(
    seen: Sequence[Sighting], board: Board, model: str, missed: Sequence[Missed] = ()
) -> Calibration:
    """The camera that explains the sightings best.

    Pictures of another size than most, and those that do not fit, are left out and named beside
    `missed`. Raises CalibrationError where too few are left, or where the result makes no sense.
    """
    if model not in MODELS:
        raise CalibrationError(f"model {model!r}; known are {', '.join(MODELS)}")
    kept, left_out = _of_one_size(seen, list(missed))
    _check_enough(kept, left_out, board)
    least = max(LEAST_PICTURES, round(len(kept) * (1 - _MOST_LEFT_OUT)))
    camera, views = _fit(kept, board.points, model)
    while len(kept) > least and (outlier := _outlier(views)):
        left_out.append(outlier)
        kept = [sighting for sighting in kept if sighting.name != outlier.name]
        camera, views = _fit(kept, board.points, model)
    sigma = _sigma(camera, views, board.points)
    _check_sense(camera)
    doubts = _doubts(camera, views, sigma)
    return Calibration(camera, tuple(views), tuple(left_out), sigma, doubts)


def _of_one_size(
    seen: Sequence[Sighting], left_out: list[Missed]
) -> tuple[list[Sighting], list[Missed]]:
    """Those of the size that most have; whether others were scaled or cut nobody knows."""
    if not seen:
        return [], left_out
    usual = Counter(sighting.size_px for sighting in seen).most_common(1)[0][0]
    for sighting in seen:
        if sighting.size_px != usual:
            (width, height), (wide, high) = sighting.size_px, usual
            reason = f"{width}×{height} px, most others {wide}×{high}"
            left_out.append(Missed(sighting.name, reason, sighting.thumbnail))
    return [sighting for sighting in seen if sighting.size_px == usual], left_out


def _check_enough(kept: Sequence[Sighting], left_out: Sequence[Missed], board: Board) -> None:
    if len(kept) >= LEAST_PICTURES:
        return
    reasons = Counter(missed.reason for missed in left_out).most_common(3)
    why = "; ".join(f"{count} × {reason}" for reason, count in reasons)
    raise CalibrationError(
        f"{len(kept)} pictures with a {board.name}: {LEAST_PICTURES} are needed, "
        f"{ENOUGH_PICTURES} or more are better" + (f" ({why})" if why else "")
    )


def _outlier(views: Sequence[View]) -> Missed | None:
    """The picture that fits worst, where it stands out from the others."""
    errors_px = np.array([view.error_px for view in views])
    median = float(np.median(errors_px))
    spread = 1.4826 * float(np.median(np.abs(errors_px - median)))
    limit_px = max(median + _OUTLIER_SPREADS * spread, _OUTLIER_RATIO * median)
    worst = int(errors_px.argmax())
    if errors_px[worst] <= limit_px:
        return None
    reason = f"does not fit: {errors_px[worst]:.2f} px off, the others {median:.2f} px"
    return Missed(views[worst].sighting.name, reason, views[worst].sighting.thumbnail)


def _fit(kept: Sequence[Sighting], points: Points, model: str) -> tuple[Camera, list[View]]:
    """The camera and the boards before it. Raises CalibrationError where there is none."""
    try:
        return fisheye(kept, points) if model == "fisheye" else _pinhole(kept, points, model)
    except cv2.error as error:
        raise CalibrationError(
            f"no {model} camera explains these pictures ({error.err}): tilt the board more, "
            "fill the picture, or try another --model"
        ) from error


def _pinhole(kept: Sequence[Sighting], points: Points, model: str) -> tuple[Camera, list[View]]:
    """By OpenCV's bundle adjustment."""
    count, flags = (8, cv2.CALIB_RATIONAL_MODEL) if model == "rational" else (5, 0)
    size_px = kept[0].size_px
    _, matrix, coefficients, rotations, translations = cv2.calibrateCamera(
        [points[sighting.ids].astype(np.float32) for sighting in kept],
        [sighting.corners_px[:, None] for sighting in kept],
        size_px,
        np.eye(3),
        np.zeros(count),
        flags=flags,
        criteria=_CRITERIA,
    )
    focal_and_centre = (float(matrix[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
    lens = Distortion(model, tuple(coefficients.ravel()[:count].tolist()))
    camera = Camera(Intrinsics(*size_px, *focal_and_centre), lens, calibration="file")
    poses = [
        np.concatenate([r.ravel(), t.ravel()]) for r, t in zip(rotations, translations, strict=True)
    ]
    return camera, [view_of(camera, s, points, pose) for s, pose in zip(kept, poses, strict=True)]


def _sigma(camera: Camera, views: Sequence[View], points: Points) -> dict[str, float]:
    """One standard deviation of the intrinsics, from the scatter of the corners.

    The poses of the board are eliminated picture by picture (Schur complement).
    """
    size = len(parameters(camera))
    information = np.zeros((size, size))
    for view in views:
        of_lens, of_pose = derivatives(camera, view, points)
        explained = of_pose @ np.linalg.pinv(of_pose)
        information += of_lens.T @ (of_lens - explained @ of_lens)
    residuals = np.concatenate([view.residuals_px.ravel() for view in views])
    freedom = max(1, residuals.size - size - 6 * len(views))
    covariance = np.linalg.pinv(information) * (residuals @ residuals) / freedom
    return dict(zip(_SIGMAS, np.sqrt(np.diag(covariance)[:4]).tolist(), strict=True))


def _check_sense(camera: Camera) -> None:
    """Raises CalibrationError for a camera that the numbers allow and no lens is like."""
    k = camera.intrinsics
    inside = 0 < k.cx_px < k.width_px and 0 < k.cy_px < k.height_px
    if not inside or not 0.5 < k.fx_px / k.fy_px < 2:
        raise CalibrationError(
            f"the best fit makes no sense (focal lengths {k.fx_px:.0f}, {k.fy_px:.0f} px, centre "
            f"{k.cx_px:.0f}, {k.cy_px:.0f} px): tilt the board more, and fill the picture with it"
        )
    checked_lens(camera)


def _doubts(camera: Camera, views: Sequence[View], sigma: dict[str, float]) -> tuple[str, ...]:
    """What speaks against relying on it, each with the remedy."""
    k = camera.intrinsics
    corners = np.concatenate([view.sighting.corners_px for view in views])
    hull = cv2.contourArea(cv2.convexHull(corners.astype(np.float32)))
    tilt_deg = np.degrees(max(view.tilt_rad for view in views))
    errors_px = [view.error_px for view in views]
    sure = 100 * max(sigma["fx_px"] / k.fx_px, sigma["fy_px"] / k.fy_px)
    found = (
        (len(views) < ENOUGH_PICTURES, f"{len(views)} pictures: take {ENOUGH_PICTURES} or more"),
        (
            hull < 0.6 * k.width_px * k.height_px,
            f"corners cover {hull / k.width_px / k.height_px:.0%} of the picture: hold the board "
            "into its corners too",
        ),
        (tilt_deg < 20, f"the board is tilted by {tilt_deg:.0f}° at most: tilt it by 30 to 45°"),
        (sure > 0.5, f"the focal length is known to {sure:.1f} % only: more pictures, more tilt"),
        (
            max(errors_px) > 1.0,
            f"corners are {max(errors_px):.1f} px off in a picture: is the board flat, the "
            "picture sharp?",
        ),
    )
    return tuple(words for doubtful, words in found if doubtful)
