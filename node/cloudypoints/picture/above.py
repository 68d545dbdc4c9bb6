"""The scene from above: points, sectors as a fan, rings, the corridor, zones, the nearest.

The camera's heading points up; its foot stands near the lower edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import by_distance
from cloudypoints.corridor import Corridor
from cloudypoints.messages import Cloud, Header, Obstacles
from cloudypoints.picture.canvas import (
    ACCENT,
    BAD,
    CAPTION,
    CENTRE,
    GOOD,
    LABEL,
    MUTED,
    NIGHT,
    TEXT,
    Canvas,
    areas,
    dot,
    fill,
    lines,
    paint,
    plates,
    tag,
)
from cloudypoints.picture.dots import Dots, Points
from cloudypoints.picture.perspective import place_of, polar, sector_half_rad
from cloudypoints.picture.words import SOON_S, meeting_words, nearest_words

AHEAD_M = 42.0
_FOOT_PX = 54  # of the camera's foot above the lower edge
_STANDING_M = 0.25  # what is higher is drawn bright
_LARGEST_PX = 60  # of a point's plate
_LABEL_RIGHT_M = 7.5  # of the heading stand the rings' labels
_CEILING_M = 4.0  # what is higher is not drawn: it would hide the street

Placing = Callable[[NDArray[np.floating]], Points]


def draw_above(
    canvas: Canvas, header: Header, cloud: Cloud | None, obstacles: Obstacles | None
) -> None:
    """Fill the canvas with the scene."""
    fill(canvas, NIGHT)
    place, px_per_m = placing(header, canvas.shape[1], canvas.shape[0])
    foot_m, heading_rad = place_of(header)
    foot_m = foot_m * (1, 1, 0)
    if cloud is not None:
        _draw_points(canvas, place, cloud, px_per_m)
    if obstacles is not None:
        _draw_fan(canvas, place, obstacles, foot_m)
        _draw_corridor(canvas, place, obstacles)
        _draw_zones(canvas, place, obstacles)
    _draw_rings(canvas, place, foot_m, heading_rad)
    if obstacles is not None and math.isfinite(obstacles.nearest_m):
        at_m = foot_m + polar(obstacles.nearest_m, obstacles.nearest_bearing_rad)
        x, y = place(at_m)
        dot(canvas, (x, y), 6, NIGHT)
        dot(canvas, (x, y), 5, TEXT)
        tag(canvas, nearest_words(obstacles), (x, y - 32), LABEL, align=CENTRE)
    _draw_vehicle(canvas, place, foot_m, heading_rad)


def placing(header: Header, width_px: int, height_px: int) -> tuple[Placing, float]:
    """How places (..., 3) of the vehicle frame become pixels (..., 2), and pixels per metre."""
    foot_m, heading_rad = place_of(header)
    px_per_m = (height_px - _FOOT_PX - 16) / AHEAD_M
    c, s = math.cos(heading_rad), math.sin(heading_rad)

    def place(points_vehicle: NDArray[np.floating]) -> Points:
        x, y = points_vehicle[..., 0] - foot_m[0], points_vehicle[..., 1] - foot_m[1]
        right = width_px / 2 - px_per_m * (c * y - s * x)
        up = height_px - _FOOT_PX - px_per_m * (c * x + s * y)
        return np.stack([right, up], axis=-1)

    return place, px_per_m


def _draw_points(canvas: Canvas, place: Placing, cloud: Cloud, px_per_m: float) -> None:
    """Low ones first; the ground dark, so that what stands on it is seen."""
    dots = Dots.of(cloud)
    height_m = dots.points_vehicle[:, 2]
    order = np.argsort(height_m)
    order = order[height_m[order] < _CEILING_M]
    light = np.where(height_m[order] > _STANDING_M, 1.0, 0.5)[:, None]
    pixels, above = place(dots.points_vehicle[order]), place(dots.above_vehicle[order])
    wide_px = px_per_m * dots.width_m[order]
    high_px = np.maximum(wide_px, np.abs(pixels - above)[:, 1])
    size_px = np.clip(np.stack([wide_px, high_px], axis=1), 2, _LARGEST_PX)
    plates(canvas, (pixels + above) / 2, size_px, (dots.colours[order] * light).astype(np.uint8))


def _draw_fan(canvas: Canvas, place: Placing, obstacles: Obstacles, foot_m: Points) -> None:
    """Each sector as far as it is clear, faint; its obstacle as a bright arc of its distance."""
    half_rad = sector_half_rad(obstacles)
    edges_rad = np.linspace(-half_rad, half_rad, 4)
    far_m = np.nan_to_num(np.fmin(obstacles.range_m, obstacles.clear_m), nan=0.0, posinf=0.0)
    hit = np.isfinite(obstacles.range_m)
    reach_m = np.where(hit, obstacles.range_m, far_m)
    wedges = [
        place(foot_m + np.vstack([np.zeros(3), polar(float(range_m), bearing_rad + edges_rad)]))
        for bearing_rad, range_m in zip(obstacles.bearing_rad, reach_m, strict=True)
    ]
    colours = [
        paint(colour) if seen else GOOD
        for colour, seen in zip(by_distance(reach_m), hit, strict=True)
    ]
    areas(canvas, wedges, colours, opacity=0.22)
    for wedge, colour, seen in zip(wedges, colours, hit, strict=True):
        if seen:
            lines(canvas, [wedge[1:]], colour, width_px=3)


def _draw_corridor(canvas: Canvas, place: Placing, obstacles: Obstacles) -> None:
    """The vehicle's width ahead of its bumper, as far as it is free."""
    half_m, free_m = obstacles.corridor_width_m / 2, obstacles.corridor_m
    if math.isnan(half_m) or math.isnan(free_m) or math.isnan(obstacles.bumper_x_m):
        return
    corridor = Corridor.told_by(obstacles)
    ahead_m = np.linspace(0, min(free_m, AHEAD_M), 40, dtype=np.float32)
    sides = [place(corridor.point(ahead_m, side_m)) for side_m in (half_m, -half_m)]
    lines(canvas, sides, ACCENT, width_px=2, opacity=0.8)
    if math.isfinite(free_m):
        colour = BAD if obstacles.corridor_ttc_s < SOON_S else ACCENT
        lines(canvas, [np.stack([side[-1] for side in sides])], colour, width_px=2)
        words = meeting_words(obstacles.corridor_ttc_s, obstacles.corridor_ttc_sigma_s)
        if words:
            tag(canvas, words, sides[1][-1] + (8, -2), CAPTION)


def _draw_zones(canvas: Canvas, place: Placing, obstacles: Obstacles) -> None:
    """Outlines with their names: red while something is in them, grey where nobody knows."""
    for name, event in obstacles.zone_event.items():
        outline = np.array(obstacles.zone_outline_m[name]).reshape(-1, 2)
        if len(outline) < 3:
            continue
        colour = {"unknown": MUTED, "empty": GOOD, "leave": GOOD}.get(event, BAD)
        corners = place(np.vstack([outline, outline[:1]]))
        areas(canvas, [corners], [colour], opacity=0.16)
        lines(canvas, [corners], colour, width_px=2)
        top = corners[corners[:, 1].argmin()]
        tag(canvas, f"{name}: {event}", (top[0], top[1] - 24), CAPTION, align=CENTRE)


def _draw_rings(canvas: Canvas, place: Placing, foot_m: Points, heading_rad: float) -> None:
    bearings_rad = np.linspace(0, 2 * math.pi, 181)
    for ring_m in (10, 20, 30, 40):
        ring = foot_m + polar(float(ring_m), bearings_rad)
        lines(canvas, [place(ring)], TEXT, opacity=0.22)
        beside_rad = heading_rad - math.asin(_LABEL_RIGHT_M / ring_m)
        x, y = place(foot_m + polar(float(ring_m), beside_rad))
        tag(canvas, f"{ring_m} m", (x, y - 10), CAPTION, align=CENTRE)


def _draw_vehicle(canvas: Canvas, place: Placing, foot_m: Points, heading_rad: float) -> None:
    """An arrow head at the camera's foot."""
    shape_rad = heading_rad + np.array([0, 2.5, math.pi, -2.5])
    arrow = foot_m + polar(np.array([1.1, 0.95, 0.45, 0.95]), shape_rad)
    areas(canvas, [place(arrow)], [ACCENT], opacity=1.0)
