"""Which pictures lie over the scene, where each has its place, and all of it as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloudypoints.control import PlayState
from cloudypoints.picture.canvas import NIGHT, Box, Canvas, Style, drawing, tag, tag_size
from cloudypoints.viewer import insets
from cloudypoints.viewer.feeds import Feed, Feeds
from cloudypoints.viewer.labels import Label, arranged
from cloudypoints.viewer.words import facts, facts_without_cloud, notice, remark

PANELS = ("picture", "mask", "relative", "depth", "labels")  # from the top
_MARGIN_PX = 12
_LABEL_PX = 14
_MOST_ROWS, _MOST_SILENT_ROWS = 4, 8  # of the strip; while more cameras are silent
_PICTURES_S = 1 / 16  # between two drawings of the camera's picture and depth
_LEAST_SCENE_PX = 320  # width that is left to the scene where pictures are beside it


@dataclass(slots=True)
class Overlay:
    """What is wanted, and the newest picture of each: strip, foot, legend, keys, …"""

    pictures_on: bool = True
    keys_on: bool = False
    size_px: tuple[int, int] = (1280, 720)  # of the window, for which the pictures are drawn
    canvases: dict[str, Canvas] = field(default_factory=dict)
    points_there: bool = True  # of the camera whose pictures these are: they need room, too
    shown_s: float = float("-inf")  # when the pictures were drawn by `follow`

    def say(self, feeds: Feeds, now_s: float, width_px: int, chosen: Feed | None = None) -> str:
        """Bring the strip and the warning up to date; the warning, empty while all is well."""
        shown = _with_rows(feeds.all, now_s, chosen)
        without_cloud = feeds.without_cloud
        mute = without_cloud[: max(0, _MOST_ROWS - len(shown))]
        rows = [facts(feed, now_s) for feed in shown]
        rows += [facts_without_cloud(status) for status in mute]
        more = len(feeds.all) + len(without_cloud) - len(rows)
        words = notice(feeds)
        self._put("strip", insets.strip(rows, width_px, more=more) if rows else None)
        self._put("warning", insets.warning(words) if words else None)
        explained = "" if words else remark(feeds)
        self._put("remark", insets.remark(explained) if explained else None)
        self._put("keys", insets.keys() if self.keys_on else None)
        return words

    def tell(self, words: str, mode: str, play: PlayState | None, width_px: int) -> None:
        """Bring the foot and the legend up to date; `play` where a recording can be commanded."""
        self._put("foot", insets.foot(words, width_px, play))
        self._put("legend", insets.legend(mode))

    def follow(self, feed: Feed | None, now_s: float) -> None:
        """The same as `show`, but no more often than people see in a small picture."""
        if now_s - self.shown_s >= _PICTURES_S:
            self.shown_s = now_s
            self.show(feed, now_s)

    def show(self, feed: Feed | None, now_s: float) -> None:
        """Bring the pictures of this camera up to date."""
        scene = self.scene(*self.size_px).inset(_MARGIN_PX)
        shown = feed if self.pictures_on else None
        live = feed is not None and feed.is_live(now_s)
        found = {} if shown is None else dict(insets.pictures(shown, scene, live=live))
        self.points_there = shown is None or shown.cloud is not None
        for name in PANELS:
            self._put(name, found.get(name))

    def places(self, width_px: int, height_px: int) -> dict[str, Box]:
        """Where each lies in a window of this size; what has no room has no place."""
        scene = self.scene(width_px, height_px)
        boxes = {"strip": Box(0, 0, width_px, scene.y)}
        boxes["foot"] = Box(0, scene.y + scene.height, width_px, insets.FOOT_PX)
        boxes |= self._beside(scene)
        free_px = min((boxes[name].x for name in PANELS if name in boxes), default=width_px)
        for name, share in (("keys", 0.5), ("warning", 0.12), ("remark", 0.12)):
            if name in self.canvases:
                high, wide = self.canvases[name].shape[:2]
                y = scene.y + round(share * (scene.height - high))
                x = min((width_px - wide) // 2, free_px - wide - _MARGIN_PX)
                # Beside the pictures where there is room; a remark is not worth covering them.
                boxes[name] = Box(x if name == "remark" else max(0, x), y, wide, high)
        inside = (width_px, height_px)
        return {
            name: box
            for name, box in boxes.items()
            if name in self.canvases and _fits(box, self.canvases[name], inside)
        }

    def scene(self, width_px: int, height_px: int) -> Box:
        """What the strip and the foot leave to the scene; at least a pixel."""
        top = len(self.canvases["strip"]) if "strip" in self.canvases else 0
        height = max(1, height_px - top - insets.FOOT_PX)
        return Box(0, min(top, height_px), max(1, width_px), height)

    def _beside(self, scene: Box) -> dict[str, Box]:
        """Pictures down the right edge, the legend in the lower left corner, within the scene."""
        boxes = {}
        if "legend" in self.canvases:
            high, wide = self.canvases["legend"].shape[:2]
            y = scene.y + scene.height - high - _MARGIN_PX
            boxes["legend"] = Box(_MARGIN_PX, y, wide, high)
        y = scene.y + _MARGIN_PX
        for name in PANELS:
            if name in self.canvases:
                high, wide = self.canvases[name].shape[:2]
                if scene.width < wide + (_LEAST_SCENE_PX if self.points_there else 0):
                    continue
                boxes[name] = Box(scene.width - wide - _MARGIN_PX, y, wide, high)
                y += high - 1  # their edges lie on each other
        return boxes

    def _put(self, name: str, canvas: Canvas | None) -> None:
        if canvas is None:
            self.canvases.pop(name, None)
        else:
            self.canvases[name] = canvas


def _with_rows(feeds: Sequence[Feed], now_s: float, chosen: Feed | None) -> list[Feed]:
    """Those with a row in the strip, as they were heard: the chosen and silent ones before all."""
    needed = [feed for feed in feeds if feed is chosen or feed.is_silent(now_s)]
    needed.sort(key=lambda feed: feed is not chosen)
    most = min(max(_MOST_ROWS, len(needed)), _MOST_SILENT_ROWS)
    wanted = [*needed, *(feed for feed in feeds if feed not in needed)][:most]
    return [feed for feed in feeds if feed in wanted]


def composed(
    overlay: Overlay, drawn: Canvas, labels: Sequence[Label], clip_from_vehicle: NDArray[np.float64]
) -> Canvas:
    """The drawn scene (H, W, 3) with its labels, and all insets over it, of the overlay's size.

    `clip_from_vehicle` (4, 4) is OpenGL's: projection times view. The scene is brought to the
    overlay's width; its middle comes to the middle of what strip and foot leave free.
    """
    width_px, height_px = overlay.size_px
    box = overlay.scene(width_px, height_px)
    high_px = max(box.height, round(len(drawn) * width_px / drawn.shape[1]))
    if drawn.shape[:2] != (high_px, width_px):  # a screen's pixels may be finer
        drawn = drawing().resize(drawn, (width_px, high_px), interpolation=drawing().INTER_AREA)
    cut_px = (high_px - box.height) // 2
    canvas = np.full((height_px, width_px, 3), NIGHT, np.uint8)
    box.of(canvas)[:] = drawn[cut_px : cut_px + box.height]
    insets_at = overlay.places(width_px, height_px)
    frame = Box(0, box.y - cut_px, width_px, high_px)
    _write_labels(canvas, labels, clip_from_vehicle, frame, [*insets_at.values()])
    for name, place in insets_at.items():
        place.of(canvas)[:] = overlay.canvases[name]
    return canvas


def _write_labels(
    canvas: Canvas,
    labels: Sequence[Label],
    clip_from_vehicle: NDArray[np.float64],
    frame: Box,
    taken: Sequence[Box],
) -> None:
    """Each on a plate, where it has room."""
    styles = [Style(_LABEL_PX, label.colour, 500) for label in labels]
    sizes = [tag_size(label.words, style) for label, style in zip(labels, styles, strict=True)]
    places = arranged(labels, sizes, clip_from_vehicle, frame, taken)
    for label, style, place in zip(labels, styles, places, strict=True):
        if place is not None:
            tag(canvas, label.words, (place.x, place.y), style)


def _fits(box: Box, canvas: Canvas, inside: tuple[int, int]) -> bool:
    """Whether the canvas has just that size and the box lies within the window."""
    if canvas.shape[:2] != (box.height, box.width) or min(box.x, box.y) < 0:
        return False
    return box.x + box.width <= inside[0] and box.y + box.height <= inside[1]
