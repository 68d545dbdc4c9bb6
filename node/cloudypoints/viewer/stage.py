"""What stands in the scene, the same in a window and without one: clouds and their marks.

A stage fills an Open3D scene from feeds and says which labels belong to it; where the eye is and
how a picture comes of it is the business of whoever owns the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from cloudypoints.messages import POINT, Array
from cloudypoints.picture.canvas import NIGHT
from cloudypoints.viewer.eyes import Eye, pixel_px
from cloudypoints.viewer.feeds import Feed
from cloudypoints.viewer.labels import Label, Rank
from cloudypoints.viewer.layer import Layer
from cloudypoints.viewer.marks import Strokes, axes, frustum, obstacle_labels, obstacle_strokes
from cloudypoints.viewer.points import (
    coloured,
    thinned,
    widest_step,
    write_colours,
    write_places,
)
from cloudypoints.viewer.scenery import add_ground, draw_strokes, ring_labels

REACH_M = 120.0  # of what is drawn
_NO_POINTS: Array = np.zeros(0, POINT)
_POINT_PX = (1.0, 10.0)
_CAMERA_COLOUR = (160, 190, 255)
_SEAM_PX = 0.5  # by which pixels side by side overlap: rounding would leave cracks
_MOST_SETS = 2  # of lines of a camera: frustum and axes; two widths of obstacles


class Stage:
    """An Open3D scene of feeds."""

    def __init__(self, open3d: ModuleType, scene: Any, *, scaling: float = 1.0) -> None:
        """`scaling`: device pixels of a pixel."""
        self.mode = self.drawn_mode = "picture"  # of MODES: of the next draw, of the last
        self.shown: dict[str, tuple[int, int]] = {}  # points drawn, and of how many
        self._open3d, self._scene, self._scaling = open3d, scene, scaling
        self._layers: dict[str, Layer] = {}
        self._live: dict[str, bool] = {}  # whether each feed was live when it was last drawn
        self._labels: dict[str, list[Label]] = {}
        self._stands: dict[str, tuple[tuple[float, ...], bytes, bool]] = {}  # of cameras, as drawn
        self._pixel_px = 0.0  # as wide a pixel of the camera is seen: points leave no gaps there
        self._through = ""  # the feed through whose camera the eye looks
        self._point_px = 3.0
        _without_effects(scene)
        add_ground(open3d, scene)

    @property
    def labels(self) -> list[Label]:
        """Of the rings and of what is drawn now."""
        return [*ring_labels(), *(label for said in self._labels.values() for label in said)]

    def look(self, view: str, feeds: Sequence[Feed], eye: Eye, height_px: int) -> None:
        """From one of VIEWS, the chosen camera first, in a scene so high; from the next draw on."""
        self._pixel_px = pixel_px(view, feeds, eye, height_px)
        self._through = feeds[0].name if feeds and view == "camera" else ""

    def news(self, feeds: list[Feed], now_s: float) -> list[Feed]:
        """Those that do not look as they were drawn."""
        return [f for f in feeds if f.changed or self._live.get(f.name) != f.is_live(now_s)]

    def draw(self, feed: Feed, budget: int, *, live: bool) -> None:
        """At most `budget` of its points, and its marks; grey, without obstacles, unless live."""
        if feed.name not in self._layers:
            self._layers[feed.name] = Layer(self._open3d, self._scene, feed.name)
        self.shown[feed.name] = self._draw_points(feed, budget, live=live)
        self._mark(feed, live=live)
        self._live[feed.name], feed.changed = live, False
        self.drawn_mode = self.mode

    def _draw_points(self, feed: Feed, budget: int, *, live: bool) -> tuple[int, int]:
        """How many are to be seen, and of how many; only these are looked at."""
        matrix, layer = feed.vehicle_from_camera, self._layers[feed.name]
        cloud: Array = _NO_POINTS if feed.cloud is None else feed.cloud.points
        points = thinned(cloud, budget)
        places_m, shares = layer.blank(max(1, len(points)))
        if not write_places(points, places_m):
            layer.hide()
            return 0, cloud.size
        colours = coloured(self.mode, points, matrix, cloud, budget)
        write_colours(colours, live, shares)
        step = widest_step(cloud, budget)
        layer.show(matrix, self._material(cloud.size / points.size, step))
        return len(points), cloud.size

    def draw_anew(self) -> None:
        """All feeds are news again."""
        self._live.clear()

    def colour_by(self, mode: str) -> None:
        """One of MODES, from the next draw on."""
        self.mode = mode
        if not self.shown:
            self.drawn_mode = mode
        self.draw_anew()

    def resize_points(self, factor: float) -> None:
        """Within limits, from the next draw on."""
        self._point_px = min(max(self._point_px * factor, _POINT_PX[0]), _POINT_PX[1])
        self.draw_anew()

    def _mark(self, feed: Feed, *, live: bool) -> None:
        """Frustum and axes; what the obstacles say, as long as it is true."""
        header, matrix, obstacles = feed.header, feed.vehicle_from_camera, feed.obstacles
        through = feed.name == self._through  # an eye between those lines is in their way
        stand = (header.intrinsics, matrix.tobytes(), through)
        if self._stands.get(feed.name) != stand:
            self._stands[feed.name] = stand
            drawn = [] if through else [frustum(header, matrix), axes(matrix)]
            self._draw_sets(feed, "camera", drawn)
        x_m, y_m, z_m = matrix[:3, 3].tolist()
        named = [Label(feed.title, (x_m, y_m, z_m), _CAMERA_COLOUR, Rank.CAMERA, above=True)]
        labels = named if len(self._layers) > 1 else []
        strokes: list[Strokes] = []
        if live and obstacles is not None and obstacles.state != "stale":
            strokes = obstacle_strokes(obstacles, feed.foot_m)
            labels += obstacle_labels(obstacles, feed.foot_m)
        self._draw_sets(feed, "obstacles", strokes)
        self._labels[feed.name] = labels

    def _draw_sets(self, feed: Feed, what: str, strokes: list[Strokes]) -> None:
        """In place of what was drawn before under these names."""
        for index in range(_MOST_SETS):
            name = f"{feed.name} {what} {index}"
            if index < len(strokes):
                draw_strokes(self._open3d, self._scene, name, strokes[index])
            elif self._scene.has_geometry(name):
                self._scene.remove_geometry(name)

    def _material(self, thinned_by: float, step: int) -> Any:
        """Larger points where there are fewer, or where their own picture is to be seen.

        `step`: how many pixels of the camera its points are apart.
        """
        material = self._open3d.visualization.rendering.MaterialRecord()
        material.shader = "defaultUnlit"
        size_px = self._point_px * min(2.0, thinned_by**0.25) * self._scaling
        if self._pixel_px:
            size_px = max(size_px, self._pixel_px * step + _SEAM_PX)
        material.point_size = size_px
        return material


def _without_effects(scene: Any) -> None:
    """No lights, shadows or corrections: colours come out as they went in, memory stays flat.

    With post-processing, Vulkan on Mesa's software renderer loses 3 MB with every picture.
    """
    scene.view.set_post_processing(False)
    scene.view.set_antialiasing(False)
    scene.view.set_shadowing(False)
    scene.view.set_ambient_occlusion(False)
    # Without post-processing a background comes out linear, unlike points: encode it.
    scene.set_background([*((channel / 255) ** (1 / 2.2) for channel in NIGHT), 1.0])
