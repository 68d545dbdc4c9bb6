"""The cloud in perspective, from above and behind the camera that made it.

A point is a plate as wide as what one pixel of the camera covers there and, on a surface, as high
as the gap to the next row; far ones are drawn first.
Everything is placed in the vehicle frame: metres, x forward, y left, z up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import by_distance
from cloudypoints.geometry import Intrinsics, Mount, inverse, transformed
from cloudypoints.messages import Cloud, Header, Obstacles
from cloudypoints.picture.canvas import (
    ACCENT,
    CAPTION,
    CENTRE,
    LABEL,
    NIGHT,
    TEXT,
    Canvas,
    areas,
    dot,
    drawing,
    lines,
    paint,
    plates,
    tag,
)
from cloudypoints.picture.dots import Dots, Points, lens_of
from cloudypoints.picture.words import nearest_words

RINGS_M = (5, 10, 20, 40)
POLE_M = 1.7  # how high the nearest obstacle's pole stands

_BEHIND_M, _ABOVE_M, _AHEAD_M = 5.0, 3.0, 12.0  # of the camera: where the eye is, where it looks
_FOV_RAD = math.radians(54)
_NEAREST_M = 0.3  # what is closer to the eye is not drawn
_SUPERSAMPLED = 2
_LARGEST_PX = 36  # of a point's plate
_FOG_BEGINS_M, _FOG_M, _FOG_MOST = 30.0, 110.0, 0.55
_FOG_COLOUR = (70, 84, 104)
_GRID_M, _GRID_AHEAD_M = 5, 80
_FRUSTUM_M = 0.7  # of the camera's depth


@dataclass(frozen=True, slots=True)
class Eye:
    """A pinhole that looks at the scene."""

    intrinsics: Intrinsics
    eye_from_vehicle: Points  # (4, 4)

    def placed(self, points_vehicle: NDArray[np.floating]) -> tuple[Points, Points]:
        """Pixels (..., 2) and depth (...) of points (..., 3); NaN where they are behind the eye."""
        points_eye = transformed(self.eye_from_vehicle, points_vehicle)
        depth_m = np.where(points_eye[..., 2] > _NEAREST_M, points_eye[..., 2], np.nan)
        k = self.intrinsics
        u = k.fx_px * points_eye[..., 0] / depth_m + k.cx_px
        v = k.fy_px * points_eye[..., 1] / depth_m + k.cy_px
        return np.stack([u, v], axis=-1), depth_m

    def paths(self, points_vehicle: NDArray[np.floating]) -> list[Points]:
        """The stretches of a line (N, 3) that are ahead of the eye, as pixels."""
        pixels, depth_m = self.placed(points_vehicle)
        cuts = np.flatnonzero(np.diff(np.isfinite(depth_m))) + 1
        return [part for part in np.split(pixels, cuts) if np.isfinite(part).all()]


def eye_behind(header: Header, width_px: int, height_px: int) -> Eye:
    """An eye that looks over the camera's shoulder, whichever way the camera looks."""
    camera_m, heading_rad = place_of(header)
    x_m, y_m, z_m = camera_m + polar(_BEHIND_M, heading_rad + math.pi) + (0, 0, _ABOVE_M)
    mount = Mount(
        height_m=max(z_m, 0.5),
        pitch_rad=math.atan2(z_m - 0.5, _BEHIND_M + _AHEAD_M),
        yaw_rad=heading_rad,
        x_m=x_m,
        y_m=y_m,
    )
    intrinsics = Intrinsics.from_fov(width_px, height_px, _FOV_RAD)
    return Eye(intrinsics, inverse(mount.vehicle_from_camera))


def place_of(header: Header) -> tuple[Points, float]:
    """Where the camera is, (3,) metres, and its heading over the ground, radians to the left."""
    matrix = header.vehicle_from_camera_matrix
    return matrix[:3, 3], math.atan2(matrix[1, 2], matrix[0, 2])


def polar(range_m: float | Points, bearing_rad: float | Points) -> Points:
    """The level step (..., 3) of that length in that direction of the vehicle frame."""
    range_m, bearing_rad = np.broadcast_arrays(range_m, bearing_rad)
    return np.stack(
        [range_m * np.cos(bearing_rad), range_m * np.sin(bearing_rad), np.zeros(range_m.shape)],
        axis=-1,
    )


def draw_perspective(canvas: Canvas, cloud: Cloud, obstacles: Obstacles | None) -> None:
    """Fill the canvas with the scene."""
    eye = eye_behind(cloud.header, canvas.shape[1], canvas.shape[0])
    _draw_night(canvas)
    _draw_grid(canvas, eye, cloud.header)
    _draw_points(canvas, cloud)
    _draw_rings(canvas, eye, cloud.header)
    if obstacles is not None:
        _draw_sectors(canvas, eye, obstacles)
        _draw_nearest(canvas, eye, obstacles)
    _draw_camera(canvas, eye, cloud.header)


def _draw_night(canvas: Canvas) -> None:
    """Dark, with a little light at the horizon."""
    rows = np.linspace(0, 1, len(canvas))[:, None, None]
    glow = np.exp(-(((rows - 0.35) / 0.2) ** 2)) * 0.14
    canvas[:] = np.array(NIGHT) * (1 - glow) + np.array([110, 140, 185]) * glow


def _draw_grid(canvas: Canvas, eye: Eye, header: Header) -> None:
    """The ground, a line every five metres, along the camera's heading."""
    camera_m, heading_rad = place_of(header)
    foot_m = camera_m * (1, 1, 0)
    along_m = np.linspace(-_BEHIND_M, _GRID_AHEAD_M, 60)
    across_m = np.linspace(-40, 40, 40)
    left_rad = heading_rad + math.pi / 2
    stripes = [
        foot_m + polar(along_m, heading_rad) + polar(float(y_m), left_rad)
        for y_m in np.arange(-40, 41, _GRID_M)
    ] + [
        foot_m + polar(across_m, left_rad) + polar(float(x_m), heading_rad)
        for x_m in np.arange(-5, _GRID_AHEAD_M + 1, _GRID_M)
    ]
    paths = [path for stripe in stripes for path in eye.paths(stripe)]
    lines(canvas, paths, (60, 72, 88), opacity=0.55)


def _draw_points(canvas: Canvas, cloud: Cloud) -> None:
    height, width = canvas.shape[:2]
    cv2 = drawing()
    fine = cv2.resize(canvas, (width * _SUPERSAMPLED, height * _SUPERSAMPLED))
    eye = eye_behind(cloud.header, fine.shape[1], fine.shape[0])
    dots = Dots.of(cloud)
    pixels, depth_m = eye.placed(dots.points_vehicle)
    above, _ = eye.placed(dots.above_vehicle)
    order = np.argsort(-depth_m)[: np.isfinite(depth_m).sum()]  # NaN, behind the eye, sorts last
    wide_px = 1.2 * eye.intrinsics.fx_px * dots.width_m / depth_m
    high_px = np.fmax(wide_px, np.abs(pixels - above)[:, 1] + 1)
    size_px = np.clip(np.stack([wide_px, high_px], axis=1)[order], 2, _LARGEST_PX)
    fog = np.clip((depth_m[order] - _FOG_BEGINS_M) / _FOG_M, 0, _FOG_MOST)[:, None]
    colours = (dots.colours[order] * (1 - fog) + np.array(_FOG_COLOUR) * fog).astype(np.uint8)
    plates(fine, pixels[order], size_px, colours)
    canvas[:] = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)


def _draw_rings(canvas: Canvas, eye: Eye, header: Header) -> None:
    """Distances over the ground from the camera's foot."""
    camera_m, heading_rad = place_of(header)
    bearings_rad = heading_rad + np.linspace(-1.2, 1.2, 97)
    for ring_m in RINGS_M:
        ring = camera_m * (1, 1, 0) + polar(float(ring_m), bearings_rad)
        lines(canvas, eye.paths(ring), TEXT, opacity=0.28)
        pixels, _ = eye.placed(ring)
        inside = (pixels[:, 0] > 12) & (pixels[:, 0] < canvas.shape[1] - 46)
        if inside.any():  # the label stands where the ring leaves the picture to the right
            x, y = pixels[inside][0]
            tag(canvas, f"{ring_m} m", (x - 6, y - 10), CAPTION)


def _draw_sectors(canvas: Canvas, eye: Eye, obstacles: Obstacles) -> None:
    """A low wall in front of each obstacle, coloured by its distance."""
    foot_m = place_of(obstacles.header)[0] * (1, 1, 0)
    half_rad = sector_half_rad(obstacles)
    outlines, colours = [], []
    for bearing_rad, range_m in zip(obstacles.bearing_rad, obstacles.range_m, strict=True):
        if not np.isfinite(range_m):
            continue
        edge = foot_m + polar(float(range_m), bearing_rad + np.array([-half_rad, half_rad]))
        wall, depth_m = eye.placed(np.concatenate([edge, edge[::-1] + (0, 0, 0.3)]))
        if np.isfinite(depth_m).all():
            outlines.append(wall)
            colours.append(paint(by_distance(range_m)))
    areas(canvas, outlines, colours, opacity=0.75)


def _draw_nearest(canvas: Canvas, eye: Eye, obstacles: Obstacles) -> None:
    if not math.isfinite(obstacles.nearest_m):
        return
    foot_m = place_of(obstacles.header)[0] * (1, 1, 0)
    bottom_m = foot_m + polar(obstacles.nearest_m, obstacles.nearest_bearing_rad)
    pole, depth_m = eye.placed(np.stack([bottom_m, bottom_m + (0, 0, POLE_M)]))
    if not np.isfinite(depth_m).all():
        return
    lines(canvas, [pole], TEXT, width_px=2)
    dot(canvas, pole[0], 4, TEXT)
    tag(canvas, nearest_words(obstacles), (pole[1, 0], pole[1, 1] - 26), LABEL, align=CENTRE)


def _draw_camera(canvas: Canvas, eye: Eye, header: Header) -> None:
    """The camera's frustum."""
    if not (lens := lens_of(header)):
        return
    width_px, height_px, fx_px, fy_px, cx_px, cy_px = lens
    left, right = -cx_px / fx_px, (width_px - 1 - cx_px) / fx_px
    top, bottom = -cy_px / fy_px, (height_px - 1 - cy_px) / fy_px
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1.0]])
    matrix = header.vehicle_from_camera_matrix
    rim = transformed(matrix, _FRUSTUM_M * corners[[0, 1, 2, 3, 0]])
    sides = [np.stack([matrix[:3, 3], corner]) for corner in rim[:4]]
    paths = [path for line in (rim, *sides) for path in eye.paths(line)]
    lines(canvas, paths, ACCENT, width_px=2, opacity=0.9)


def sector_half_rad(obstacles: Obstacles) -> float:
    """Half the width of a sector."""
    if len(obstacles.bearing_rad) < 2:
        return math.radians(1)
    steps_rad = np.sort(np.diff(obstacles.bearing_rad))
    return float(steps_rad[len(steps_rad) // 2]) / 2
