"""What does not move: the ground's grid, rings of distance with their labels, a camera's axes."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.viewer.points import Matrix

RINGS_M = (5, 10, 20, 30, 40, 60)
_GRID_M, _GRID_REACH_M = 5.0, 60.0
_RING_POINTS = 128
_GRID_COLOUR, _RING_COLOUR = (0.13, 0.16, 0.20), (0.30, 0.36, 0.44)
_AXIS_COLOURS = ((0.90, 0.25, 0.25), (0.25, 0.80, 0.35), (0.30, 0.50, 0.95))  # x, y, z

Segments = NDArray[np.float64]  # (N, 2, 3): from, to


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


def add_ground(open3d: ModuleType, widget: Any) -> None:
    """Grid, rings, and how far each ring is."""
    scene = widget.scene
    _add_lines(open3d, scene, "grid", grid_segments(), [_GRID_COLOUR])
    rings = np.concatenate([ring_segments(radius_m) for radius_m in RINGS_M])
    _add_lines(open3d, scene, "rings", rings, [_RING_COLOUR])
    for radius_m in RINGS_M:
        label = widget.add_3d_label(np.array([0, -radius_m, 0.0]), f"{radius_m} m")
        label.color = open3d.visualization.gui.Color(0.55, 0.60, 0.67)
        ahead = widget.add_3d_label(np.array([radius_m, 0, 0.0]), f"{radius_m} m")
        ahead.color = label.color


def place_axes(open3d: ModuleType, scene: Any, name: str, vehicle_from_camera: Matrix) -> None:
    """The optical axes of a camera, a metre long: x right red, y down green, z forward blue."""
    if not scene.has_geometry(name):
        segments = np.zeros((3, 2, 3))
        segments[:, 1] = np.eye(3)
        _add_lines(open3d, scene, name, segments, _AXIS_COLOURS)
    scene.set_geometry_transform(name, vehicle_from_camera)


def _add_lines(open3d: ModuleType, scene: Any, name: str, segments: Segments, colours: Any) -> None:
    points = open3d.utility.Vector3dVector(segments.reshape(-1, 3))
    pairs = np.arange(2 * len(segments), dtype=np.int32).reshape(-1, 2)
    lines = open3d.geometry.LineSet(points, open3d.utility.Vector2iVector(pairs))
    colours = np.tile(colours, (len(segments) // len(colours), 1))
    lines.colors = open3d.utility.Vector3dVector(colours)
    material = open3d.visualization.rendering.MaterialRecord()
    material.shader = "unlitLine"
    material.line_width = 1.5
    scene.add_geometry(name, lines, material)
