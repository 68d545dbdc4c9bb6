"""The live window: points, ground and rings in the vehicle frame, what they are and how old.

Everything happens on the thread that made the window, in `tick`: Open3D allows no other. It is
closed from key events and from `close`, never from within a tick of Open3D's own, which crashes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from cloudypoints.errors import DisplayError
from cloudypoints.timing import Deadline, monotonic_s
from cloudypoints.viewer.display import quiet_stdout
from cloudypoints.viewer.feeds import Feed, Feeds
from cloudypoints.viewer.layer import Layer
from cloudypoints.viewer.pace import Pace
from cloudypoints.viewer.panel import NIGHT, Panel
from cloudypoints.viewer.points import MODES, greyed, places, thinned
from cloudypoints.viewer.scenery import add_ground, place_axes
from cloudypoints.viewer.words import drawn_line

TITLE = "CloudyPoints"
SIZE_PX = (1280, 800)
_WORDS_S = 0.5  # between two updates of the words
_ANSWER_S = 5.0  # after which a measurement has failed
_CLOSING_S = 2.0  # for Open3D to let go of the window
_BEHIND_M, _ABOVE_M, _AHEAD_M = 7.0, 5.0, 12.0  # of the camera's foot: the eye, where it looks
_FIELD_OF_VIEW_DEG = 55.0
_REACH_M = 120.0  # of what is drawn
_POINT_PX = (1.0, 10.0)


class Window:
    """An Open3D window on some feeds: `tick` until it says False."""

    def __init__(
        self, open3d: ModuleType, feeds: Feeds, *, clock: Callable[[], float] = monotonic_s
    ) -> None:
        """Raises DisplayError where the renderer does not start."""
        self._open3d, self._feeds, self._clock = open3d, feeds, clock
        self._pace = Pace(clock)
        self._layers: dict[str, Layer] = {}
        self._drawn: dict[str, bool] = {}  # whether each feed was live when it was last drawn
        self._shown: dict[str, tuple[int, int]] = {}  # points drawn, and of how many
        self._mode, self._point_px = "picture", 3.0
        self._words_s = self._asked_s = float("-inf")
        self._answers: list[Any] | None = None  # of the measurement under way
        self._app = open3d.visualization.gui.Application.instance
        with quiet_stdout():
            self._make()
        self._open, self._gone = True, False
        self.look_from_behind()

    def tick(self) -> bool:
        """Handle events and draw what is new; waits some ms. False once the window is closed."""
        if not (self._pump() and self._open):
            self._open = False
            return False
        self._note_measurement()
        drew = self._draw(self._feeds.update())
        # Words cost a draw of their own, unless they come with one.
        if self._clock() - self._words_s >= (_WORDS_S if drew else 2 * _WORDS_S):
            self._say()
        return True

    def close(self) -> None:
        """Close it and let go of the display. May be called twice."""
        if self._open:
            self._window.close()
        self._open = False
        patience = Deadline(_CLOSING_S)  # a window closed as it opens may never say that it is gone
        while self._pump() and not patience.over:
            pass

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def look_from_behind(self) -> None:
        """The first view: from behind and above the first camera, along it."""
        first = next(iter(self._feeds.all), None)
        matrix = np.eye(4) if first is None else first.vehicle_from_camera
        heading_rad = math.atan2(matrix[1, 2], matrix[0, 2])
        heading = np.array([math.cos(heading_rad), math.sin(heading_rad), 0])
        up, foot_m = np.array([0, 0, 1.0]), matrix[:3, 3] * (1, 1, 0)
        centre_m = foot_m + _AHEAD_M * heading
        reach = np.full(3, _REACH_M)
        bounds = self._open3d.geometry.AxisAlignedBoundingBox(-reach, reach)
        self._widget.setup_camera(_FIELD_OF_VIEW_DEG, bounds, centre_m)
        self._widget.look_at(centre_m, foot_m - _BEHIND_M * heading + _ABOVE_M * up, up)

    def _pump(self) -> bool:
        """Let Open3D work a little; False from when the last window is gone (it says so once)."""
        self._gone = self._gone or not self._app.run_one_tick()
        return not self._gone

    def _draw(self, feeds: list[Feed]) -> bool:
        """Draw what has changed when the pace allows; whether it did."""
        now_s = self._clock()
        news = [f for f in feeds if f.changed or self._drawn.get(f.name) != f.is_live(now_s)]
        if not (news and self._pace.due):
            return False
        for feed in news:
            self._draw_feed(feed, self._pace.points // len(feeds), live=feed.is_live(now_s))
        self._widget.force_redraw()
        self._window.post_redraw()
        self._pace.drew()
        if self._pace.measurement_due:
            self._measure()
        return True

    def _draw_feed(self, feed: Feed, budget: int, *, live: bool) -> None:
        """Its axes and at most `budget` of its points; grey unless live."""
        cloud, matrix = feed.cloud, feed.vehicle_from_camera
        place_axes(self._open3d, self._widget.scene, f"{feed.name} axes", matrix)
        if feed.name not in self._layers:
            self._layers[feed.name] = Layer(self._open3d, self._widget.scene, feed.name)
            if len(self._layers) == 1:
                self.look_from_behind()
        points = thinned(cloud.points, budget)
        places_m = places(points)
        colours = MODES[self._mode](points, matrix)[: len(places_m)]
        material = self._material(cloud.points.size / max(1, points.size))
        layer = self._layers[feed.name]
        layer.show(places_m, colours if live else greyed(colours), matrix, material)
        self._drawn[feed.name], feed.changed = live, False
        self._shown[feed.name] = (len(places_m), cloud.points.size)

    def _material(self, thinned_by: float) -> Any:
        """Larger points where there are fewer."""
        material = self._open3d.visualization.rendering.MaterialRecord()
        material.shader = "defaultUnlit"
        size_px = self._point_px * min(2.0, thinned_by**0.25)
        material.point_size = size_px * self._window.scaling
        return material

    def _measure(self) -> None:
        """Ask for a drawing: it comes when the renderer has really finished."""
        frame, now_s = self._widget.frame, self._clock()
        asked = self._answers is not None and now_s - self._asked_s < _ANSWER_S
        if asked or min(frame.width, frame.height) < 2:
            return
        self._answers, self._asked_s = [], now_s
        self._widget.scene.scene.render_to_image(self._answers.append)

    def _note_measurement(self) -> None:
        """Let the pace learn from a drawing that has come."""
        if not self._answers:
            return
        available = sum(count for _, count in self._shown.values())
        self._pace.measured(self._clock() - self._asked_s, available)
        self._answers = None

    def _say(self) -> None:
        """Bring title and words up to date."""
        self._words_s = self._clock()
        shown = sum(count for count, _ in self._shown.values())
        available = sum(count for _, count in self._shown.values())
        drawn = drawn_line(self._mode, shown, available)
        warning = self._panel.say(self._feeds, drawn, self._words_s)
        self._window.title = f"{TITLE}: {warning}" if warning else TITLE
        self._window.set_needs_layout()
        self._window.post_redraw()

    def _make(self) -> None:
        """Open the window and fill it. Raises DisplayError."""
        gui = self._open3d.visualization.gui
        self._app.initialize()
        large = self._app.add_font(gui.FontDescription("sans-serif", gui.FontStyle.BOLD, 26))
        try:
            self._window = self._app.create_window(TITLE, *SIZE_PX)
            self._widget = self._scene_widget()
        except RuntimeError as error:
            raise DisplayError(
                f"the renderer does not start: {error}; "
                f"on Debian: apt install libgl1 libgl1-mesa-dri libegl1"
            ) from error
        self._panel = Panel(self._open3d, large)
        for widget in (self._widget, *self._panel.widgets):
            self._window.add_child(widget)
        self._window.set_on_layout(self._lay_out)
        self._window.set_on_key(self._on_key)
        self._window.set_on_close(self._on_close)

    def _scene_widget(self) -> Any:
        """The scene, without lights, shadows or corrections: colours come out as they went in."""
        widget = self._open3d.visualization.gui.SceneWidget()
        widget.scene = self._open3d.visualization.rendering.Open3DScene(self._window.renderer)
        view = widget.scene.view
        view.set_post_processing(False)
        view.set_antialiasing(False)
        view.set_shadowing(False)
        view.set_ambient_occlusion(False)
        # Without post-processing a background comes out linear, unlike points: encode it.
        widget.scene.set_background([*(channel ** (1 / 2.2) for channel in NIGHT), 1.0])
        add_ground(self._open3d, widget)
        return widget

    def _lay_out(self, context: Any) -> None:
        """The scene everywhere, the words over it."""
        self._widget.frame = self._window.content_rect
        self._panel.lay_out(self._window.content_rect, context)

    def _on_close(self) -> bool:
        """Yes, it may be closed."""
        self._open = False
        return True

    def _on_key(self, event: Any) -> bool:
        """Whether the key was ours."""
        gui = self._open3d.visualization.gui
        action = self._actions().get(event.key)
        if action is None or event.type != gui.KeyEvent.Type.DOWN:
            return False
        action()
        return True

    def _actions(self) -> dict[int, Callable[[], None]]:
        """What each key does."""
        key = self._open3d.visualization.gui.KeyName
        digits = (key.ONE, key.TWO, key.THREE, key.FOUR)
        modes = {
            int(digit): lambda mode=mode: self._colour_by(mode)
            for digit, mode in zip(digits, MODES, strict=True)
        }
        return modes | {
            int(key.EQUALS): lambda: self._resize_points(1.25),
            int(key.MINUS): lambda: self._resize_points(0.8),
            int(key.R): self.look_from_behind,
            int(key.Q): self._window.close,
            int(key.ESCAPE): self._window.close,
        }

    def _colour_by(self, mode: str) -> None:
        """One of MODES, from the next draw on."""
        self._mode = mode
        self._drawn.clear()  # all is to be drawn again

    def _resize_points(self, factor: float) -> None:
        """Within limits, from the next draw on."""
        self._point_px = min(max(self._point_px * factor, _POINT_PX[0]), _POINT_PX[1])
        self._drawn.clear()
