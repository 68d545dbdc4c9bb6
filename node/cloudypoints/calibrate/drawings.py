"""A calibration in pictures: where corners were seen, how they err, what the lens does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.calibrate.coverage import CELLS
from cloudypoints.calibrate.solve import Calibration
from cloudypoints.calibrate.views import View
from cloudypoints.geometry import Camera, project, rays_of
from cloudypoints.picture.canvas import (
    ACCENT,
    BAD,
    CAPTION,
    GOOD,
    LINE,
    MUTED,
    NIGHT,
    PANEL,
    WARN,
    Box,
    Canvas,
    Colour,
    dot,
    drawing,
    lines,
    shade,
    write,
)

_WIDTH_PX = 960
_CAPTION_PX = 28
_ARROW_TIMES = 30.0  # residuals are drawn so much longer than they are
_GRID = 13  # lines of the lens picture each way


def coverage_picture(calibration: Calibration) -> Canvas:
    """Every corner in its place, by its error, over cells that are bright where there are many."""
    canvas, scale = _blank(calibration.camera)
    corners = np.concatenate([view.sighting.corners_px for view in calibration.views]) * scale
    counts = _counts(corners, canvas)
    height_px, width_px = canvas.shape[0] - _CAPTION_PX, canvas.shape[1]
    for (row, column), count in np.ndenumerate(counts):
        left, right = column * width_px // CELLS[0], (column + 1) * width_px // CELLS[0]
        top, bottom = row * height_px // CELLS[1], (row + 1) * height_px // CELLS[1]
        box = Box(left + 1, top + 1, right - left - 2, bottom - top - 2)
        shade(canvas, box, ACCENT, 0.45 * min(1.0, count / max(1, np.median(counts))))
    for view in calibration.views:
        errors_px = np.linalg.norm(view.residuals_px, axis=1)
        for place, error_px in zip(view.sighting.corners_px * scale, errors_px, strict=True):
            dot(canvas, place, 2, error_colour(error_px))
    empty = int((counts == 0).sum())
    _caption(canvas, f"{len(corners)} corners; {empty} of {counts.size} cells saw none")
    return canvas


def error_picture(calibration: Calibration) -> Canvas:
    """How far each corner is from where the camera expects it, drawn larger: noise, or a pattern.

    A pattern (all pointing outwards, or alike in one region) means that the model does not fit.
    """
    canvas, scale = _blank(calibration.camera)
    for view in calibration.views:
        start = view.sighting.corners_px * scale
        end = start + view.residuals_px * scale * _ARROW_TIMES
        lines(canvas, list(np.stack([start, end], axis=1)), ACCENT, opacity=0.8)
    _caption(canvas, f"errors of the corners, {_ARROW_TIMES:.0f} times as long as they are")
    return canvas


def lens_picture(camera: Camera) -> Canvas:
    """A straight grid as this lens sees it, over the one that a pinhole would see."""
    canvas, scale = _blank(camera)
    k = camera.intrinsics
    rays = rays_of(camera.resized(97, 55)).reshape(2, -1)
    lowest, highest = np.nanpercentile(rays, [1, 99], axis=1)
    x, y = (np.linspace(lowest[axis], highest[axis], _GRID) for axis in (0, 1))
    fine_x, fine_y = (np.linspace(lowest[axis], highest[axis], 120) for axis in (0, 1))
    rays_of_lines = [np.stack([fine_x, np.full(120, at)], axis=1) for at in y]
    rays_of_lines += [np.stack([np.full(120, at), fine_y], axis=1) for at in x]
    centre, focal = np.array([k.cx_px, k.cy_px]), np.array([k.fx_px, k.fy_px])
    straight = [(ray * focal + centre) * scale for ray in rays_of_lines]
    lines(canvas, straight, MUTED)
    for ray in rays_of_lines:
        points = np.concatenate([ray, np.ones((len(ray), 1))], axis=1)
        seen = project(points, camera) * scale
        lines(canvas, [seen[np.isfinite(seen).all(axis=1)]], ACCENT, width_px=2)
    dot(canvas, (centre * scale).tolist(), 4, WARN)
    model = camera.distortion.model
    _caption(canvas, f"a straight grid through this lens ({model}); grey: through a pinhole")
    return canvas


def marked_thumbnail(view: View) -> Canvas:
    """The picture, small, with its corners and their errors drawn on it."""
    canvas = view.sighting.thumbnail.copy()
    scale = canvas.shape[1] / view.sighting.size_px[0]
    places = view.sighting.corners_px * scale
    errors_px = np.linalg.norm(view.residuals_px, axis=1)
    for place, error_px in zip(places, errors_px, strict=True):
        dot(canvas, place, 2, error_colour(error_px))
    return canvas


def error_colour(error_px: float) -> Colour:
    """Green below half a pixel, amber below one and a half, red above."""
    return GOOD if error_px < 0.5 else WARN if error_px < 1.5 else BAD


def _blank(camera: Camera) -> tuple[Canvas, float]:
    """An empty picture of the camera's shape with room for a caption, and its scale."""
    k = camera.intrinsics
    scale = _WIDTH_PX / k.width_px
    height_px = round(k.height_px * scale)
    canvas = np.full((height_px + _CAPTION_PX, _WIDTH_PX, 3), NIGHT, np.uint8)
    canvas[:height_px] = PANEL
    drawing().rectangle(canvas, (0, 0), (_WIDTH_PX - 1, height_px - 1), LINE, 1)
    return canvas, scale


def _caption(canvas: Canvas, words: str) -> None:
    shade(canvas, Box(0, canvas.shape[0] - _CAPTION_PX, canvas.shape[1], _CAPTION_PX), NIGHT, 1.0)
    write(canvas, words, (4, canvas.shape[0] - 9), CAPTION)


def _counts(corners: NDArray[np.floating[Any]], canvas: Canvas) -> NDArray[np.intp]:
    """Corners in each cell, (rows, columns)."""
    size = np.array([canvas.shape[1], canvas.shape[0] - _CAPTION_PX])
    column, row = np.clip((corners / size * CELLS).astype(np.intp), 0, np.array(CELLS) - 1).T
    counts = np.zeros((CELLS[1], CELLS[0]), np.intp)
    np.add.at(counts, (row, column), 1)
    return counts
