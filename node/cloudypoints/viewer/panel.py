"""The words over the scene: how much is drawn, a line for each camera, the keys, a warning."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from cloudypoints.viewer.feeds import Feed, Feeds
from cloudypoints.viewer.words import KEYS, feed_line, notice

NIGHT = (13 / 255, 17 / 255, 23 / 255)
_LIVE, _SILENT, _PLAIN = (0.25, 0.73, 0.31), (1.0, 0.37, 0.33), (0.60, 0.64, 0.69)
_OPACITY = 0.8  # of the ground that words stand on
_MARGIN_PX = 12


class Panel:
    """Widgets of an Open3D window, laid out at its edges."""

    def __init__(self, open3d: ModuleType, large_font: int) -> None:
        gui = self._gui = open3d.visualization.gui
        self._status, self._notice, self._keys = gui.Label(""), gui.Label(""), gui.Label(KEYS)
        self._lines: list[Any] = []
        self._corner = gui.Vert(2, gui.Margins(10, 8, 10, 8))
        self._corner.add_child(self._status)
        for widget in self.widgets:
            widget.background_color = gui.Color(*NIGHT, _OPACITY)
        self._status.text_color = self._keys.text_color = gui.Color(*_PLAIN)
        self._notice.text_color, self._notice.font_id = gui.Color(*_SILENT), large_font

    @property
    def widgets(self) -> tuple[Any, ...]:
        """What the window has to hold."""
        return self._corner, self._keys, self._notice

    def say(self, feeds: Feeds, drawn: str, now_s: float) -> str:
        """Bring the words up to date; the warning that must not be overlooked, or nothing."""
        warning = notice(feeds)
        self._notice.text, self._notice.visible = warning, bool(warning)
        self._status.text = drawn
        cameras = feeds.all
        while len(self._lines) < len(cameras):
            self._lines.append(self._gui.Label(""))
            self._corner.add_child(self._lines[-1])
        for label, feed in zip(self._lines, cameras, strict=True):
            self._say_camera(label, feed, now_s)
        return warning

    def lay_out(self, area: Any, context: Any) -> None:
        """Camera lines to the top left, keys to the bottom, the warning to the top middle."""
        gui = self._gui
        free = gui.Widget.Constraints()
        corner, keys, warning = (w.calc_preferred_size(context, free) for w in self.widgets)
        left, top = area.x + _MARGIN_PX, area.y + _MARGIN_PX
        bottom = area.get_bottom() - keys.height - _MARGIN_PX
        middle = area.x + (area.width - warning.width) // 2
        self._corner.frame = gui.Rect(left, top, corner.width, corner.height)
        self._keys.frame = gui.Rect(left, bottom, keys.width, keys.height)
        eighth = area.y + area.height // 8
        self._notice.frame = gui.Rect(middle, eighth, warning.width, warning.height)

    def _say_camera(self, label: Any, feed: Feed, now_s: float) -> None:
        label.text = feed_line(feed, now_s)
        label.text_color = self._gui.Color(*(_LIVE if feed.is_live(now_s) else _SILENT))
