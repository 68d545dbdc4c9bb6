"""What is painted, patched and shaded on the ground, as pictures seen from above in road
coordinates.

One picture holds paint, its yellowness and the tone of the asphalt; a coarser one holds how much of
the sky the ground sees beside vehicles, people and walls. Both are looked up per pixel, at a size
that suits its footprint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudytools.scenes.mesh import Floats

STEP_X_M, STEP_D_M = 0.10, 0.04
HALF_M = 15.0  # of the road picture, to either side of the centre line
SKY_STEP_M, SKY_HALF_M = 0.2, 40.0
PAINT, YELLOW, TONE = range(3)


@dataclass(frozen=True, slots=True)
class Marks:
    """The finished pictures, `start_m` the x of their first column."""

    start_m: float
    levels: tuple[NDArray[np.uint8], ...]  # (H, W, 3), each with its cell size
    cells_m: tuple[tuple[float, float], ...]  # (along x, along d)
    sky: NDArray[np.uint8]  # (H, W) at SKY_STEP_M: 255 open

    def ground(self, x_m: Floats, d_m: Floats, footprint_m: Floats) -> Floats:
        """Paint, yellowness and tone, each 0..1, (3, N)."""
        found = np.empty((3, x_m.size), np.float32)
        level = np.digitize(footprint_m, (0.25, 1.2, 4.0))
        for k, (picture, (cell_x, cell_d)) in enumerate(
            zip(self.levels, self.cells_m, strict=True)
        ):
            here = np.flatnonzero(level == k)
            if here.size:
                column = (x_m[here] - self.start_m) / cell_x - 0.5
                row = (d_m[here] + HALF_M) / cell_d - 0.5
                found[:, here] = _looked_up(picture, column, row, (0, 0, 128)).T
        return found * np.float32(1 / 255)

    def openness(self, x_m: Floats, d_m: Floats) -> Floats:
        """How much of the sky the ground sees there, 0..1."""
        column = (x_m - self.start_m) / SKY_STEP_M - 0.5
        row = (d_m + SKY_HALF_M) / SKY_STEP_M - 0.5
        found: Floats = _looked_up(self.sky, column, row, 255) * np.float32(1 / 255)
        return found


@dataclass(frozen=True, slots=True)
class Shade:
    """Something that hides part of the sky from the ground below it."""

    centre_m: tuple[float, float]  # (x, d)
    size_m: tuple[float, float]
    heading_rad: float
    open_part: float


def shaded(marks: Marks, shades: Sequence[Shade]) -> Marks:
    """The same marks with more things standing on them."""
    extra = np.full_like(marks.sky, 255)
    for shade in shades:
        _hide(extra, marks.start_m, shade)
    extra = np.asarray(cv2.GaussianBlur(extra, (0, 0), 1.6), np.uint8)
    sky = (marks.sky.astype(np.uint16) * extra // 255).astype(np.uint8)
    return replace(marks, sky=sky)


class MarkPainter:
    """Draws marks; `finished()` gives them. x runs along columns, d along rows."""

    def __init__(self, span_m: tuple[float, float]) -> None:
        self.start_m, self.end_m = span_m
        columns = int((self.end_m - self.start_m) / STEP_X_M) // 48 * 48
        rows = int(2 * HALF_M / STEP_D_M)
        self._planes = [np.full((rows, columns), value, np.uint8) for value in (0, 0, 128)]
        sky_columns = int((self.end_m - self.start_m) / SKY_STEP_M)
        self._sky = np.full((int(2 * SKY_HALF_M / SKY_STEP_M), sky_columns), 255, np.uint8)

    def rectangle(
        self, x_m: tuple[float, float], d_m: tuple[float, float], paint: float, yellow: float = 0
    ) -> None:
        """Fill from x to x and d to d with paint (0..1)."""
        columns = _window(x_m, self.start_m, STEP_X_M)
        rows = _window(d_m, -HALF_M, STEP_D_M)
        self._planes[PAINT][rows, columns] = int(255 * paint)
        self._planes[YELLOW][rows, columns] = int(255 * yellow)

    def line(
        self,
        d_m: float,
        x_m: tuple[float, float],
        dash_m: tuple[float, float],
        paint: float,
        yellow: float = 0,
    ) -> None:
        """A line of 0.12 m along the road; `dash_m` = (on, period), the same twice for solid."""
        on, period = dash_m
        for x in np.arange(x_m[0], x_m[1], period if on < period else x_m[1] - x_m[0]):
            end = min(float(x) + on, x_m[1]) if on < period else x_m[1]
            self.rectangle((float(x), end), (d_m - 0.065, d_m + 0.065), paint, yellow)

    def shape(self, points_m: NDArray[Any], channel: int, value: int) -> None:
        """Fill a polygon of (x, d) points in one channel."""
        cv2.fillPoly(self._planes[channel], [self._pixels(points_m)], value)

    def crack(self, points_m: NDArray[Any], value: int, thickness: int = 1) -> None:
        """A thin dark or light line in the asphalt's tone."""
        cv2.polylines(self._planes[TONE], [self._pixels(points_m)], False, value, thickness)

    def tone_band(self, d_m: tuple[float, float], change: int) -> None:
        """Darken or lighten the whole strip between two d, as wheels do."""
        band = self._planes[TONE][_window(d_m, -HALF_M, STEP_D_M)]
        table = np.clip(np.arange(256) + change, 0, 255).astype(np.uint8)
        band[:] = table[band]

    def shade(self, shade: Shade) -> None:
        """Something stands there and hides the sky from the ground below it."""
        _hide(self._sky, self.start_m, shade)

    def finished(self) -> Marks:
        """The pictures with their smaller copies."""
        picture = np.asarray(cv2.merge(self._planes), np.uint8)
        levels, cells = [picture], [(STEP_X_M, STEP_D_M)]
        for along, across in ((4, 1), (4, 4), (3, 2)):
            height, width = levels[-1].shape[:2]
            size = (width // along, height // across)
            smaller = cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)
            levels.append(np.asarray(smaller, np.uint8))
            cells.append((cells[-1][0] * along, cells[-1][1] * across))
        sky = np.asarray(cv2.GaussianBlur(self._sky, (0, 0), 1.6), np.uint8)
        return Marks(self.start_m, tuple(levels), tuple(cells), sky)

    def _pixels(self, points_m: NDArray[Any]) -> NDArray[np.int32]:
        """Columns and rows of (x, d) points."""
        p = np.asarray(points_m, float)
        pixels = np.stack(
            [(p[:, 0] - self.start_m) / STEP_X_M, (p[:, 1] + HALF_M) / STEP_D_M], axis=1
        )
        return np.rint(pixels).astype(np.int32)


def _hide(sky: NDArray[np.uint8], start_m: float, shade: Shade) -> None:
    """Draw one shade."""
    x, d = shade.centre_m
    middle = ((x - start_m) / SKY_STEP_M, (d + SKY_HALF_M) / SKY_STEP_M)
    extent = (shade.size_m[0] / SKY_STEP_M, shade.size_m[1] / SKY_STEP_M)
    corners = cv2.boxPoints((middle, extent, math.degrees(shade.heading_rad)))
    cv2.fillPoly(sky, [np.rint(corners * 16).astype(np.int32)], int(255 * shade.open_part), shift=4)


def _window(span_m: tuple[float, float], start_m: float, step_m: float) -> slice:
    """The cells from one place to another, either way round."""
    a, b = (max(round((edge - start_m) / step_m), 0) for edge in span_m)
    return slice(min(a, b), max(a, b))


def _looked_up(picture: NDArray[np.uint8], column: Floats, row: Floats, outside: Any) -> Any:
    """Bilinear look-up at N places, (N,) or (N, channels); remap wants fewer than 32768 a side."""
    count = column.size
    side = -(-count // 512)
    maps = np.full((2, side * 512), -10, np.float32)
    maps[0, :count], maps[1, :count] = column, row
    found = cv2.remap(
        picture, maps[0].reshape(side, 512), maps[1].reshape(side, 512), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=outside,
    )  # fmt: skip
    return found.reshape(side * 512, *found.shape[2:])[:count].astype(np.float32)
