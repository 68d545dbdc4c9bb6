"""A picture of each thing that the obstacle summary tells, on rendered drives with exact depth.

Sectors and the nearest; the corridor along an arc; when it meets; zones in the vehicle's metres and
drawn in the picture; the occupancy grid; the ground's state on a hill.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import rays_of
from cloudypoints.messages import POINT, Cloud, Grid, Header, Image, Obstacles
from cloudypoints.picture.above import draw_above
from cloudypoints.picture.canvas import (
    ACCENT,
    CAPTION,
    CENTRE,
    LABEL,
    PANEL,
    Box,
    Canvas,
    lines,
    tag,
    write,
)
from cloudypoints.picture.panels import draw_camera
from cloudypoints.projector import (
    Ground,
    GroundFilter,
    GroundSettings,
    ObstacleFilter,
    ObstacleTables,
    Zone,
    ZoneSettings,
    organised_points,
)
from cloudytools.evaluate.obstacle_courses import Course, courses, moments, picture
from cloudytools.evaluate.obstacles import settings_of

_WIDE_PX, _HIGH_PX, _HEAD_PX = 520, 420, 34
_BEFORE = 15  # frames that the filters see before the one that is drawn
_CELL_COLOURS = {-1: (24, 28, 34), 0: (58, 92, 70), 100: (236, 110, 60)}


@dataclass(frozen=True, slots=True)
class Feature:
    """One picture: what to show of which frame of which drive."""

    title: str
    course: str
    frame: int
    draw: Callable[[Canvas, Seen], None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    zones: Mapping[str, ZoneSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame with all that was told of it."""

    cloud: Cloud
    image: Image
    obstacles: Obstacles
    grid: Grid
    ground: Ground
    zones: Mapping[str, ZoneSettings]


def sheet(folder: Path) -> Canvas:
    """All of them, (2 · 454, 4 · 520, 3) RGB; renderings are kept in the folder."""
    by_name = {course.name: course for course in courses()}
    tiles = [tile(feature, by_name[feature.course], folder) for feature in features()]
    rows = [np.concatenate(tiles[first : first + 4], axis=1) for first in (0, 4)]
    return np.concatenate(rows, axis=0)


def features() -> list[Feature]:
    """What is drawn."""
    metres = ZoneSettings(vehicle_m=((6.0, -6.0), (22.0, -6.0), (22.0, 0.5), (6.0, 0.5)))
    drawn = ZoneSettings(
        picture_px=((90, 80), (230, 80), (285, 150), (40, 150)), picture_size_px=(320, 192)
    )
    return [
        Feature("the nearest, in the picture", "flat", 26, _camera),
        Feature("sectors and the nearest", "flat", 26, _above),
        Feature("the corridor along a bend of 150 m", "curve", 30, _above),
        Feature("time to collision", "flat", 48, _above),
        Feature("a zone drawn in the picture", "fixed", 30, _drawn_zone, zones={"crossing": drawn}),
        Feature("zones from above", "fixed", 30, _above, zones={"drawn": drawn, "metres": metres}),
        Feature("occupancy grid", "flat", 26, _grid, {"grid_range_m": 45.0, "grid_cell_m": 0.5}),
        Feature("the ground before a crest", "hill", 24, _ground),
    ]


def tile(feature: Feature, course: Course, folder: Path) -> Canvas:
    """One of them, (454, 520, 3) RGB; `course` is that of its name."""
    canvas = np.full((_HIGH_PX + _HEAD_PX, _WIDE_PX, 3), PANEL, np.uint8)
    write(canvas, feature.title, (12, 23), LABEL)
    part = Box(4, _HEAD_PX, _WIDE_PX - 8, _HIGH_PX - 4).of(canvas)
    feature.draw(part, _seen(feature, course, folder))
    return canvas


def _seen(feature: Feature, course: Course, folder: Path) -> Seen:
    """The drive up to the frame, as a node sees it."""
    camera, settings = course.camera, settings_of(course, **feature.settings)
    rays = rays_of(camera)
    follow = GroundFilter(camera, rays, "metric", settings=GroundSettings())
    zones = {name: Zone.of(name, zone, camera) for name, zone in feature.zones.items()}
    look = ObstacleFilter(ObstacleTables.of(camera, rays, settings), zones)
    start = max(0, feature.frame - _BEFORE)
    for moment in itertools.islice(moments(course, folder), start, feature.frame + 1):
        ground = follow.update(moment.depth_m, moment.labels, moment.stamp_ns)
        header = Header(
            course.name,
            frame=moment.frame,
            stamp_ns=moment.stamp_ns,
            scale=ground.state,
            intrinsics=astuple(camera.intrinsics),
            vehicle_from_camera=tuple(ground.mount.vehicle_from_camera.ravel().tolist()),
        )
        told = look.update(header, moment.depth_m, moment.labels, mount=ground.mount)
    rgb = picture(course, feature.frame)
    out: NDArray[Any] = np.empty(moment.depth_m.shape, POINT)
    cloud = Cloud(header, organised_points(moment.depth_m, rays, rgb, moment.labels, out))
    grid = look.grid(header)
    assert grid is not None
    return Seen(cloud, Image(header, rgb), told, grid, ground, feature.zones)


def _camera(canvas: Canvas, seen: Seen) -> None:
    draw_camera(canvas, seen.image, seen.obstacles)


def _above(canvas: Canvas, seen: Seen) -> None:
    draw_above(canvas, seen.cloud.header, seen.cloud, seen.obstacles)


def _drawn_zone(canvas: Canvas, seen: Seen) -> None:
    """The picture with the outline as it was drawn, and what goes on in it."""
    rgb = seen.image.picture.copy()
    draw_camera(canvas, replace(seen.image, picture=rgb), None)
    scale = canvas.shape[1] / rgb.shape[1]
    top = (canvas.shape[0] - scale * rgb.shape[0]) / 2
    for name, zone in seen.zones.items():
        outline = np.array([*zone.picture_px, zone.picture_px[0]]) * scale + (0, top)
        lines(canvas, [outline], ACCENT, width_px=2)
        distance_m = seen.obstacles.zone_distance_m[name]
        words = f"{name}: {seen.obstacles.zone_event[name]}, {distance_m:.1f} m"
        tag(canvas, words, tuple(outline[2]), LABEL, align=CENTRE)


def _grid(canvas: Canvas, seen: Seen) -> None:
    """Cells from above, forward up."""
    cells = seen.grid.cells[::-1, ::-1]
    cells = cells[: len(cells) // 2 + 4]
    coloured = np.zeros((*cells.shape, 3), np.uint8)
    for value, colour in _CELL_COLOURS.items():
        coloured[cells == value] = colour
    size = (canvas.shape[1], round(canvas.shape[1] * cells.shape[0] / cells.shape[1]))
    drawn = cv2.resize(coloured, size, interpolation=cv2.INTER_NEAREST)[: canvas.shape[0]]
    canvas[: len(drawn)] = drawn
    write(canvas, "orange: occupied, green: ground seen", (14, canvas.shape[0] - 8), CAPTION)


def _ground(canvas: Canvas, seen: Seen) -> None:
    """The picture, and what the fit says of the ground in it."""
    ground = seen.ground
    draw_camera(canvas, seen.image, seen.obstacles)
    words = [
        f"{ground.state}: {ground.reason}" if ground.reason else ground.state,
        f"pitch {np.degrees(ground.pitch_rad):.2f} ± {np.degrees(ground.pitch_sigma_rad):.2f}°",
        f"height {ground.height_m:.3f} ± {ground.height_sigma_m:.3f} m",
        f"flat up to {ground.flat_m:.0f} m",
    ]
    for line, word in enumerate(words):
        tag(canvas, word, (12, 8 + 26 * line), LABEL)
