"""An occupancy grid: one frame from above, in the vehicle's frame. Nothing of the last lingers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cloudypoints.messages import Grid, Header

if TYPE_CHECKING:
    from cloudypoints.projector.obstacles.scene import Pixels, Places, Scene

UNKNOWN, FREE, OCCUPIED = -1, 0, 100  # as ROS has them
_LEAST = 2  # standing pixels that make a cell an obstacle


def grid_of(scene: Scene, header: Header, *, free: bool = True) -> Grid:
    """Cells (X, Y), X forward and Y left; they reach `grid_range_m` from the camera.

    `free`: whether ground that is seen may be called so; else it stays unknown.
    """
    settings = scene.tables.settings
    cell_m, reach_m = settings.grid_cell_m, settings.grid_range_m
    corner_m = [cell_m * math.floor((at - reach_m) / cell_m) for at in _camera_at(scene)]
    count = 2 * math.ceil(reach_m / cell_m) + 1
    cells = np.full((count, count), UNKNOWN, np.int8)
    if free:
        _mark(cells, scene.ground, corner_m, cell_m, FREE, 1)
    _mark(cells, scene.standing, corner_m, cell_m, OCCUPIED, _LEAST)
    return Grid(header, cells, cell_m=cell_m, x_m=corner_m[0], y_m=corner_m[1])


def _camera_at(scene: Scene) -> tuple[float, float]:
    return scene.mount.x_m, scene.mount.y_m


def _mark(
    cells: NDArray[np.int8],
    pixels: Pixels | Places,
    corner_m: list[float],
    cell_m: float,
    value: int,
    least: int,
) -> None:
    """Give every cell with at least so many of the pixels this value."""
    row = np.floor((pixels.forward_m - corner_m[0]) / cell_m).astype(np.intp)
    column = np.floor((pixels.left_m - corner_m[1]) / cell_m).astype(np.intp)
    inside = (row >= 0) & (row < len(cells)) & (column >= 0) & (column < len(cells))
    cell = row[inside] * len(cells) + column[inside]
    counts = np.bincount(cell, minlength=cells.size).reshape(cells.shape)
    cells[counts >= least] = value
