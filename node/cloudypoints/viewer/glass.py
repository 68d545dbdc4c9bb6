"""The overlay in an Open3D window: a widget for each of its pictures, and labels in the scene."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.picture.canvas import NIGHT, Box, Canvas
from cloudypoints.viewer.display import prefer_opengl
from cloudypoints.viewer.insets import LEAST_PX
from cloudypoints.viewer.labels import Label, arranged
from cloudypoints.viewer.overlay import Overlay

_PLATE = (
    *(channel / 255 for channel in NIGHT),
    0.72,
)  # what labels stand on, unless they are quiet
_NO_PLATE = (0.0, 0.0, 0.0, 0.0)
_LINE_EMS = 1.4  # height of a label, in sizes of its font


class Glass:
    """What lies between the scene and whoever looks at it."""

    def __init__(self, open3d: ModuleType, window: Any, scene_widget: Any) -> None:
        self._open3d, self._window, self._scene_widget = open3d, window, scene_widget
        self._widgets: dict[str, Any] = {}  # by the picture's name; kept, to be used again
        self._shown: dict[str, Canvas] = {}
        self._labels: list[Label] = []
        self._plates: list[Any] = []  # a gui.Label for each of them, or more
        self._clip = np.eye(4)  # when the plates were placed last
        self._upside_down = prefer_opengl(open3d)

    @property
    def width_px(self) -> int:
        """Of the window, in pixels as pictures are drawn."""
        width: float = self._window.content_rect.width / self._window.scaling
        return max(1, round(width))

    @property
    def clip_from_vehicle(self) -> NDArray[np.float64]:
        """(4, 4): projection times view of the eye as it is now."""
        camera = self._scene_widget.scene.camera
        clip: NDArray[np.float64] = np.asarray(camera.get_projection_matrix(), np.float64)
        return clip @ np.asarray(camera.get_view_matrix(), np.float64)

    @property
    def moved(self) -> bool:
        """Whether the eye has, since the labels were placed."""
        return not np.array_equal(self._clip, self.clip_from_vehicle)

    def show(self, overlay: Overlay, labels: Sequence[Label]) -> None:
        """From the next frame on."""
        for name, canvas in overlay.canvases.items():
            if self._shown.get(name) is not canvas:
                rows = np.ascontiguousarray(canvas[::-1]) if self._upside_down else canvas
                self._widget(name).update_image(self._open3d.geometry.Image(rows))
                self._shown[name] = canvas
        self._show_labels(labels)

    def lay_out(self, overlay: Overlay, context: Any) -> None:
        """Each picture in its place, the scene in what is left."""
        rect, scaling = self._window.content_rect, self._window.scaling
        size_px = (self.width_px, max(1, round(rect.height / scaling)))
        overlay.size_px = size_px
        places = overlay.places(*size_px)
        self._scene_widget.frame = self._rect(overlay.scene(*size_px))
        self._place_plates(context, list(places.values()))
        for name, widget in self._widgets.items():
            widget.visible = name in places
            if name in places:
                widget.frame = self._rect(places[name])

    def _widget(self, name: str) -> Any:
        """Made when it is first needed."""
        if name not in self._widgets:
            widget = self._widgets[name] = self._open3d.visualization.gui.ImageWidget()
            self._window.add_child(widget)
            self._window.set_needs_layout()
        return self._widgets[name]

    def _show_labels(self, labels: Sequence[Label]) -> None:
        """A plate each, made when needed; they get their places when the window is laid out."""
        if labels == self._labels:
            return
        gui = self._open3d.visualization.gui
        while len(self._plates) < len(labels):
            self._plates.append(gui.Label(""))
            self._window.add_child(self._plates[-1])
        for plate, label in zip(self._plates, labels, strict=False):
            plate.text = f" {label.words}"  # a margin: words begin where the plate does
            plate.text_color = gui.Color(*(channel / 255 for channel in label.colour))
            plate.background_color = gui.Color(*(_NO_PLATE if label.quiet else _PLATE))
        self._labels = list(labels)
        self._window.set_needs_layout()

    def _place_plates(self, context: Any, taken: Sequence[Box]) -> None:
        """Where their places are seen, unless behind the eye or under one of the pictures."""
        gui = self._open3d.visualization.gui
        free = gui.Widget.Constraints()
        line = round(_LINE_EMS * self._window.theme.font_size)
        wide = line // 4  # and a little more than they prefer, or words are broken into lines
        used = self._plates[: len(self._labels)]
        sizes = [
            (
                widget.calc_preferred_size(context, free).width + wide,
                line if label.quiet else max(line, LEAST_PX),
            )
            for widget, label in zip(used, self._labels, strict=True)
        ]
        self._clip, frame = self.clip_from_vehicle, _box(self._scene_widget.frame)
        covered = [_box(self._rect(box)) for box in taken]
        places = arranged(self._labels, sizes, self._clip, frame, covered)
        for plate in self._plates:
            plate.visible = False
        for plate, place in zip(used, places, strict=True):
            if place is not None:
                plate.frame = gui.Rect(place.x, place.y, place.width, place.height)
                plate.visible = True

    def _rect(self, box: Box) -> Any:
        rect, scaling = self._window.content_rect, self._window.scaling
        x, y, width, height = (
            round(side * scaling) for side in (box.x, box.y, box.width, box.height)
        )
        return self._open3d.visualization.gui.Rect(rect.x + x, rect.y + y, width, height)


def _box(rect: Any) -> Box:
    return Box(rect.x, rect.y, rect.width, rect.height)
