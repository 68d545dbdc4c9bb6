"""What a camera says of its surroundings, as lines and labels on the ground of the vehicle frame.

The fan of obstacle sectors, the nearest obstacle, the corridor, the zones, the camera's frustum.
Metres, x forward, y left, z up; no Open3D here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import by_distance
from cloudypoints.corridor import Corridor
from cloudypoints.geometry import transformed
from cloudypoints.messages import Header, Obstacles
from cloudypoints.picture.canvas import ACCENT, BAD, GOOD, MUTED, TEXT, WARN, Colour
from cloudypoints.picture.dots import lens_of
from cloudypoints.picture.perspective import polar, sector_half_rad
from cloudypoints.picture.words import category_name, metres
from cloudypoints.viewer.labels import Label, Rank
from cloudypoints.viewer.points import Matrix

Segments = NDArray[np.float64]  # (N, 2, 3): from, to

THIN_PX, THICK_PX = 1.5, 4.0
POLE_M = 1.7  # how high the nearest obstacle's pole stands
FRUSTUM_M = 1.0  # of the camera's depth: how far its frustum is drawn
SOON_S, HASTE_S = 10.0, 3.0  # a time to collision above is not said; below is said in red

_ABOVE_GROUND_M = 0.03  # so that lines win against the ground's points
_CORRIDOR_MOST_M = 60.0  # of a corridor without an end
_CORRIDOR_STEPS = 40
_RAY_LIGHT, _RAY_FROM_M = 0.45, 1.0
_ZONE_COLOURS = {"unknown": MUTED, "empty": GOOD, "enter": BAD, "stay": BAD, "leave": WARN}


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """Lines of one width."""

    segments_m: Segments
    colours: NDArray[np.float64]  # (N, 3), 0 … 1
    width_px: float


def obstacle_strokes(obstacles: Obstacles, foot_m: NDArray[np.float64]) -> list[Strokes]:
    """All that is drawn of it; `foot_m` (3,) is the place on the ground below the camera."""
    thin = [*_rays(obstacles, foot_m), *_corridor(obstacles), *_zones(obstacles)]
    thick = [*_arcs(obstacles, foot_m), *_pole(obstacles, foot_m)]
    drawn = [_together(thin, THIN_PX), _together(thick, THICK_PX)]
    return [strokes for strokes in drawn if len(strokes.segments_m)]


def obstacle_labels(obstacles: Obstacles, foot_m: NDArray[np.float64]) -> list[Label]:
    """The nearest obstacle and the corridor's end with their times to collision; each zone."""
    labels = []
    if math.isfinite(obstacles.nearest_m):
        x_m, y_m, _ = _nearest_foot(obstacles, foot_m)
        place_m = (x_m, y_m, POLE_M)
        colour = _haste_colour(obstacles.nearest_ttc_s)
        labels.append(Label(nearest_words(obstacles), place_m, colour, Rank.NEAREST, above=True))
    if obstacles.corridor_ttc_s < SOON_S and math.isfinite(obstacles.corridor_m):
        end_m = _corridor_places(obstacles, np.array([obstacles.corridor_m]), 0.0)
        x_m, y_m, z_m = end_m[0].tolist()
        colour = _haste_colour(obstacles.corridor_ttc_s)
        words = f"in {obstacles.corridor_ttc_s:.1f} s"
        labels.append(Label(words, (x_m, y_m, z_m), colour, Rank.CORRIDOR))
    for name, event in obstacles.zone_event.items():
        outline = _outline(obstacles, name)
        x_m, y_m, _ = outline.mean(axis=0)
        words = f"{name}: {event}"
        if math.isfinite(obstacles.zone_distance_m[name]):
            words += f" {metres(obstacles.zone_distance_m[name])}"
        labels.append(Label(words, (x_m, y_m, 0.0), _ZONE_COLOURS[event], Rank.ZONE))
    return labels


def nearest_words(obstacles: Obstacles) -> str:
    """How far it is, what it is, and when it will be here if that is soon."""
    words = f"{metres(obstacles.nearest_m)} {category_name(obstacles.nearest_category)}"
    if obstacles.nearest_ttc_s < SOON_S:
        words += f", {obstacles.nearest_ttc_s:.1f} s to collision"
    return words


def _haste_colour(ttc_s: float) -> Colour:
    """Of words on a meeting so many seconds away; NaN is no meeting."""
    return BAD if ttc_s < HASTE_S else WARN if ttc_s < SOON_S else TEXT


def frustum(header: Header, vehicle_from_camera: Matrix) -> Strokes:
    """The edges of what the camera sees, to `FRUSTUM_M` ahead; its axes alone where unknown."""
    if not (lens := lens_of(header)):
        return Strokes(np.zeros((0, 2, 3)), np.zeros((0, 3)), THIN_PX)
    width_px, height_px, fx_px, fy_px, cx_px, cy_px = lens
    corners_px = np.array([(0, 0), (width_px, 0), (width_px, height_px), (0, height_px)])
    corners = np.ones((4, 3))
    corners[:, :2] = (corners_px - (cx_px, cy_px)) / (fx_px, fy_px)
    corners *= FRUSTUM_M
    eye = np.zeros((4, 3))
    edges = np.stack([np.concatenate([eye, corners]), np.concatenate([corners, corners])], axis=1)
    edges[4:, 1] = np.roll(corners, -1, axis=0)
    return _coloured(transformed(vehicle_from_camera, edges), ACCENT)


def axes(vehicle_from_camera: Matrix) -> Strokes:
    """The camera's optical axes, half a metre: x right red, y down green, z forward blue."""
    ends = np.stack([np.zeros((3, 3)), 0.5 * np.eye(3)], axis=1)
    colours = np.array([(0.90, 0.25, 0.25), (0.25, 0.80, 0.35), (0.30, 0.50, 0.95)])
    return Strokes(transformed(vehicle_from_camera, ends), colours, THIN_PX)


def _rays(obstacles: Obstacles, foot_m: NDArray[np.float64]) -> Iterator[Strokes]:
    """A faint line along each sector as far as it is clear: green where nothing stands there."""
    hit = np.isfinite(obstacles.range_m)
    reach_m = np.where(hit, obstacles.range_m, obstacles.clear_m)
    seen = np.isfinite(reach_m)
    if not seen.any():
        return
    reach_m, bearing_rad = reach_m[seen], obstacles.bearing_rad[seen]
    start_m = foot_m + polar(np.minimum(_RAY_FROM_M, reach_m), bearing_rad)
    segments = np.stack([start_m, foot_m + polar(reach_m, bearing_rad)], axis=1)
    colours = np.where(hit[seen, None], by_distance(reach_m), np.array(GOOD)) / 255
    yield Strokes(_raised(segments), colours * _RAY_LIGHT, THIN_PX)


def _arcs(obstacles: Obstacles, foot_m: NDArray[np.float64]) -> Iterator[Strokes]:
    """Across each sector, at the distance of its obstacle."""
    hit = np.isfinite(obstacles.range_m)
    if not hit.any():
        return
    half_rad = sector_half_rad(obstacles) * 0.9
    range_m, bearing_rad = obstacles.range_m[hit], obstacles.bearing_rad[hit]
    ends = [foot_m + polar(range_m, bearing_rad + side) for side in (-half_rad, half_rad)]
    yield Strokes(_raised(np.stack(ends, axis=1)), by_distance(range_m) / 255, THICK_PX)


def _pole(obstacles: Obstacles, foot_m: NDArray[np.float64]) -> Iterator[Strokes]:
    """At the nearest obstacle."""
    if math.isfinite(obstacles.nearest_m):
        bottom_m = _nearest_foot(obstacles, foot_m)
        yield _coloured(np.array([[bottom_m, bottom_m + (0, 0, POLE_M)]]), TEXT)


def _corridor(obstacles: Obstacles) -> Iterator[Strokes]:
    """Its two sides from the bumper as far as it is free, and its end."""
    half_m, free_m = obstacles.corridor_width_m / 2, obstacles.corridor_m
    if math.isnan(half_m) or math.isnan(free_m):
        return
    along_m = np.linspace(0, min(free_m, _CORRIDOR_MOST_M), _CORRIDOR_STEPS)
    for side_m in (-half_m, half_m):
        yield _coloured(_path(_corridor_places(obstacles, along_m, side_m)), ACCENT)
    if math.isfinite(free_m):
        across_m = np.array([-half_m, half_m])
        end = [_corridor_places(obstacles, along_m[-1:], float(side_m))[0] for side_m in across_m]
        yield _coloured(_raised(np.array([end])), ACCENT)


def _corridor_places(
    obstacles: Obstacles, along_m: NDArray[np.float64], left_m: float
) -> NDArray[np.float64]:
    """(N, 3): the places so far ahead of the bumper along the way, so far left of its middle."""
    places_m = Corridor.told_by(obstacles).point(along_m.astype(np.float32), left_m)
    return np.pad(places_m, ((0, 0), (0, 1)), constant_values=_ABOVE_GROUND_M).astype(np.float64)


def _zones(obstacles: Obstacles) -> Iterator[Strokes]:
    """The outline of each, in the colour of what happens there."""
    for name, event in obstacles.zone_event.items():
        outline = _outline(obstacles, name)
        yield _coloured(_path(np.concatenate([outline, outline[:1]])), _ZONE_COLOURS[event])


def _outline(obstacles: Obstacles, name: str) -> NDArray[np.float64]:
    """(N, 3) corners of a zone, just above the ground."""
    corners = np.array(obstacles.zone_outline_m[name], np.float64).reshape(-1, 2)
    return np.pad(corners, ((0, 0), (0, 1)), constant_values=_ABOVE_GROUND_M)


def _nearest_foot(obstacles: Obstacles, foot_m: NDArray[np.float64]) -> NDArray[np.float64]:
    return foot_m + polar(obstacles.nearest_m, obstacles.nearest_bearing_rad)


def _path(places_m: NDArray[np.float64]) -> Segments:
    return np.stack([places_m[:-1], places_m[1:]], axis=1)


def _raised(segments: Segments) -> Segments:
    return segments + (0, 0, _ABOVE_GROUND_M)


def _coloured(segments: Segments, colour: Colour) -> Strokes:
    return Strokes(segments, np.tile(np.array(colour) / 255, (len(segments), 1)), THIN_PX)


def _together(parts: list[Strokes], width_px: float) -> Strokes:
    segments = [part.segments_m for part in parts] or [np.zeros((0, 2, 3))]
    colours = [part.colours for part in parts] or [np.zeros((0, 3))]
    return Strokes(np.concatenate(segments), np.concatenate(colours), width_px)
