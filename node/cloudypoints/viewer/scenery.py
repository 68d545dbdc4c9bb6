"""What does not move: the ground's grid, and rings of distance with their labels."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from cloudypoints.picture.canvas import Colour
from cloudypoints.picture.perspective import polar
from cloudypoints.viewer.labels import Label
from cloudypoints.viewer.marks import THIN_PX, Segments, Strokes

RINGS_M = (5, 10, 20, 30, 40, 60)
_GRID_M, _GRID_REACH_M = 5.0, 60.0
_RING_POINTS = 128
_WORLD_M = 1e6  # farther out, and NaN, is nowhere
_GRID_COLOUR, _RING_COLOUR = (0.13, 0.16, 0.20), (0.30, 0.36, 0.44)
_LABEL_COLOUR: Colour = (155, 166, 182)
_LABEL_BEARINGS_DEG = (36.0, -144.0)  # beside what most cameras see, and behind


def grid_segments() -> Segments:
    """Lines on the ground every five metres each way, in pieces as long (a line that passes the
    eye is drawn too wide).
    """
    stops = np.arange(-_GRID_REACH_M, _GRID_REACH_M, _GRID_M)
    x, y = (axis.ravel() for axis in np.meshgrid(stops, stops))
    start = np.stack([x, y, np.zeros_like(x)], axis=1)
    pieces = [np.stack([start, start + step], axis=1) for step in _GRID_M * np.eye(3)[:2]]
    return np.concatenate(pieces)


def ring_segments(radius_m: float) -> Segments:
    """A circle on the ground about the vehicle's origin."""
    angle = np.linspace(0, 2 * np.pi, _RING_POINTS + 1)
    points = np.stack(
        [radius_m * np.cos(angle), radius_m * np.sin(angle), 0.01 + 0 * angle], axis=1
    )
    return np.stack([points[:-1], points[1:]], axis=1)


@cache
def ring_labels() -> tuple[Label, ...]:
    """How far each ring is."""
    labels = []
    for radius_m in RINGS_M:
        for bearing_deg in _LABEL_BEARINGS_DEG:
            x_m, y_m, z_m = polar(float(radius_m), np.deg2rad(bearing_deg)).tolist()
            labels.append(Label(f"{radius_m} m", (x_m, y_m, z_m), _LABEL_COLOUR, quiet=True))
    return tuple(labels)


def add_ground(open3d: ModuleType, scene: Any) -> None:
    """Grid and rings."""
    rings = np.concatenate([ring_segments(float(radius_m)) for radius_m in RINGS_M])
    for name, segments, colour in (
        ("grid", grid_segments(), _GRID_COLOUR),
        ("rings", rings, _RING_COLOUR),
    ):
        colours = np.tile(colour, (len(segments), 1))
        draw_strokes(open3d, scene, name, Strokes(segments, colours, THIN_PX))


def draw_strokes(open3d: ModuleType, scene: Any, name: str, strokes: Strokes) -> None:
    """Put these lines in the place of what was drawn under this name; none at all is allowed.

    Those that lead out of the world are left out: Open3D ends the process for one of them.
    """
    if scene.has_geometry(name):
        scene.remove_geometry(name)
    drawable = (np.abs(strokes.segments_m) < _WORLD_M).all(axis=(1, 2))
    if not drawable.any():
        return
    points = open3d.utility.Vector3dVector(strokes.segments_m[drawable].reshape(-1, 3))
    pairs = np.arange(2 * drawable.sum(), dtype=np.int32).reshape(-1, 2)
    lines = open3d.geometry.LineSet(points, open3d.utility.Vector2iVector(pairs))
    lines.colors = open3d.utility.Vector3dVector(strokes.colours[drawable])
    material = open3d.visualization.rendering.MaterialRecord()
    material.shader = "unlitLine"
    material.line_width = strokes.width_px
    scene.add_geometry(name, lines, material)
