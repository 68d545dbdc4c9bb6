"""A picture of an evaluation: for each drive its worst frame from above, errors, time to collision.

White arcs are the truth, coloured ones what was told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from cloudypoints.colours import by_distance
from cloudypoints.geometry import Floats
from cloudypoints.picture.canvas import (
    ACCENT,
    CAPTION,
    GOOD,
    LABEL,
    LINE,
    MUTED,
    PANEL,
    SMALL,
    TEXT,
    WARN,
    Box,
    Canvas,
    dot,
    lines,
    paint,
    write,
)
from cloudytools.evaluate.obstacle_scores import Run, true_times

_SIZE_PX = 340
_AHEAD_M = 60.0
_MOST_ERROR = 0.05
_SOON_S = 5.0


def sheet(runs: Sequence[Run]) -> Canvas:
    """A row for each run: (rows · 340, 1020, 3) RGB."""
    rows = [np.concatenate([_above(run), _errors(run), _meeting(run)], axis=1) for run in runs]
    return np.concatenate(rows, axis=0)


def _panel(title: str) -> Canvas:
    canvas = np.full((_SIZE_PX, _SIZE_PX, 3), PANEL, np.uint8)
    write(canvas, title, (12, 22), LABEL)
    return canvas


def _above(run: Run) -> Canvas:
    """The frame with the largest error: true and told ranges of each sector."""
    pairs = list(zip(run.truths, run.reports, strict=True))
    worst = int(np.argmax([np.nansum(_capped(t.errors_m(r.range_m))) for t, r in pairs]))
    truth, report = pairs[worst]
    canvas = _panel(f"{run.name}: worst frame, {worst} of {len(pairs)}")
    half_rad = math.radians(2.5)
    middle_rad = float(report.bearing_rad[len(report.bearing_rad) // 2])
    for bearing_rad, true_m, told_m in zip(
        report.bearing_rad - middle_rad, truth.range_m, report.range_m, strict=True
    ):
        edges_rad = bearing_rad + np.linspace(-half_rad, half_rad, 5, dtype=np.float32)
        if np.isfinite(told_m):
            lines(canvas, [_arc(told_m, edges_rad)], paint(by_distance(told_m)), width_px=5)
        if np.isfinite(true_m):
            lines(canvas, [_arc(true_m, edges_rad)], TEXT, width_px=1)
    for ring_m in (20, 40, 60):
        ring = _arc(ring_m, np.linspace(-0.8, 0.8, 40, dtype=np.float32))
        lines(canvas, [ring], LINE)
        write(canvas, f"{ring_m} m", (ring[0][0] + 2, ring[0][1]), SMALL)
    write(canvas, "white: true, coloured: told", (12, _SIZE_PX - 10), CAPTION)
    return canvas


def _capped(error_m: Floats) -> Floats:
    return np.where(np.isfinite(error_m), np.minimum(error_m, 10), 0)


def _arc(range_m: float, bearings_rad: Floats) -> Floats:
    px_per_m = (_SIZE_PX - 60) / _AHEAD_M
    x = _SIZE_PX / 2 - px_per_m * range_m * np.sin(bearings_rad)
    y = _SIZE_PX - 24 - px_per_m * range_m * np.cos(bearings_rad)
    return np.stack([x, y], axis=-1)


def _errors(run: Run) -> Canvas:
    """Each sector's relative error over its range; beyond 5 % at the edge."""
    canvas = _panel("error of sectors over range")
    place = _axes(canvas, (0, 60), (0, _MOST_ERROR), ("m", "%"), 100)
    for truth, report in zip(run.truths, run.reports, strict=True):
        error = truth.errors_m(report.range_m) / truth.range_m
        for range_m, share in zip(truth.range_m, error, strict=True):
            if np.isfinite(range_m):
                far = not share <= _MOST_ERROR
                at = place(float(range_m), _MOST_ERROR if far else float(share))
                dot(canvas, at, 2, WARN if far else ACCENT)
    limit = [place(r, max(0.01, 0.05 / max(r, 1))) for r in range(1, 61)]
    lines(canvas, [np.array(limit)], GOOD)
    return canvas


def _meeting(run: Run) -> Canvas:
    """Time to collision in the corridor: told over true."""
    canvas = _panel("time to collision over time")
    at_s = np.array(run.stamps_ns) / 1e9
    true_s = true_times(
        np.array([truth.corridor_m for truth in run.truths]),
        at_s,
        np.stack([truth.slices_m for truth in run.truths]),
    )
    told_s = np.array([report.corridor_ttc_s for report in run.reports])
    place = _axes(canvas, (0, max(at_s[-1], 1)), (0, _SOON_S), ("s", "s"), 1)
    for times, colour, radius in ((true_s, TEXT, 1), (told_s, ACCENT, 3)):
        for seconds, value in zip(at_s, times, strict=True):
            if value <= _SOON_S:
                dot(canvas, place(float(seconds), float(value)), radius, colour)
    write(canvas, "white: true, blue: told", (150, 46), CAPTION)
    return canvas


def _axes(
    canvas: Canvas,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    units: tuple[str, str],
    factor: float,
) -> Callable[[float, float], tuple[float, float]]:
    """Draw them, and how values become pixels."""
    frame = Box(44, 56, _SIZE_PX - 60, _SIZE_PX - 96)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return frame.x + across * frame.width, frame.y + frame.height * (1 - up)

    for share in np.linspace(0, 1, 6):
        y = y_range[0] + share * (y_range[1] - y_range[0])
        x = x_range[0] + share * (x_range[1] - x_range[0])
        lines(canvas, [np.array([place(x_range[0], y), place(x_range[1], y)])], LINE)
        write(canvas, f"{y * factor:.3g} {units[1]}", (6, place(0, y)[1] + 4), SMALL)
        write(canvas, f"{x:.3g} {units[0]}", (place(x, 0)[0] - 8, _SIZE_PX - 24), SMALL)
    lines(canvas, [np.array([place(x_range[0], 0), place(x_range[1], 0)])], MUTED)
    return place
