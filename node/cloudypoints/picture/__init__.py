"""One picture of one instant: camera, depth, categories, the cloud in 3D and from above.

    save_picture("street.png", overview(Instant(cloud, image, depth, labels, obstacles)))

1600×900 pixels, RGB. What is missing leaves its panel saying so. Of a model that gives no metres,
what it does give is shown large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from cloudypoints.errors import ConfigError
from cloudypoints.formats import write_whole
from cloudypoints.messages import Cloud, Depth, Header, Image, Labels, Mask, Obstacles, Relative
from cloudypoints.picture.above import draw_above
from cloudypoints.picture.canvas import (
    CAPTION,
    CENTRE,
    LINE,
    MUTED,
    NIGHT,
    PANEL,
    RIGHT,
    TEXT,
    WARN,
    Box,
    Canvas,
    Colour,
    Style,
    drawing,
    fill,
    framed,
    lines,
    tag,
    text_width,
    write,
)
from cloudypoints.picture.panels import (
    draw_camera,
    draw_categories,
    draw_depth,
    draw_mask,
    draw_relative,
)
from cloudypoints.picture.perspective import draw_perspective
from cloudypoints.picture.words import age_words, nearest_words, state_colour, truth_words

__all__ = ["Instant", "overview", "save_picture"]

T = TypeVar("T")

WIDTH_PX, HEIGHT_PX = 1600, 900
_MARGIN, _GAP, _HEAD = 20, 14, 84
_SIDE, _ABOVE = 384, 330  # widths of the left column and of the view from above
SUFFIXES = (".png", ".jpg", ".jpeg")

_NO_METRES = ("no metres", WARN)
_NO_TRUTH: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Instant:
    """What one camera said of one frame; anything may be missing."""

    cloud: Cloud | None = None
    image: Image | None = None
    depth: Depth | None = None
    labels: Labels | None = None
    obstacles: Obstacles | None = None
    relative: Relative | None = None
    mask: Mask | None = None
    rate_hz: float = math.nan
    age_s: float = math.nan
    truth: Mapping[str, float] = field(default_factory=lambda: _NO_TRUTH)  # nearest_m

    @property
    def header(self) -> Header | None:
        """Of the first that is there."""
        placed = (self.cloud, self.obstacles, self.image, self.depth)
        pieces = (*placed, self.labels, self.relative, self.mask)
        return next((piece.header for piece in pieces if piece is not None), None)

    @property
    def metric(self) -> bool:
        """Whether anything has a place, or nothing at all is there."""
        placed = (self.cloud, self.obstacles, self.depth)
        return any(placed) or not any((self.relative, self.labels, self.mask))

    @property
    def placed(self) -> Instant:
        """What has a mount, and so a place in the vehicle frame."""
        if self.header is not None and len(self.header.vehicle_from_camera) == 16:
            return self
        return Instant()


def overview(instant: Instant) -> Canvas:
    """The whole picture, (900, 1600, 3) RGB. Raises MissingExtra without OpenCV."""
    canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), NIGHT, np.uint8)
    _draw_head(canvas, instant)
    if not instant.metric:
        _draw_seen(canvas, instant)
        return canvas
    boxes = _boxes()
    _draw_pictures(canvas, boxes[:3], instant)
    _draw_scenes(canvas, boxes[3:], instant.placed)
    return canvas


def save_picture(path: str | Path, picture: Canvas) -> None:
    """Write an RGB picture as PNG or JPEG. Raises ConfigError where that cannot be done."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path}: unknown format {path.suffix or 'without a suffix'}; "
            f"known are {', '.join(SUFFIXES)}"
        )
    cv2 = drawing()
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_whole(path, encoded.tobytes())


def _draw_pictures(canvas: Canvas, boxes: list[Box], instant: Instant) -> None:
    """What lies on the camera's grid."""
    image, obstacles = instant.image, instant.obstacles

    def camera(part: Canvas, content: Image) -> None:
        draw_camera(part, content, obstacles)

    _panel(canvas, boxes[0], "camera", image, camera)
    _panel(canvas, boxes[1], "depth", instant.depth, draw_depth)
    if instant.labels is None and instant.mask is not None:
        _panel(canvas, boxes[2], "foreground", instant.mask, partial(draw_mask, image=image))
    else:
        categories = partial(draw_categories, image=image)
        _panel(canvas, boxes[2], "categories", instant.labels, categories)


def _draw_seen(canvas: Canvas, instant: Instant) -> None:
    """What a model without metres gave, each piece large."""
    image = instant.image
    panels: list[tuple[str, Any, Callable[[Canvas, Any], None]]] = [
        ("camera", image, partial(draw_camera, obstacles=None)),
        ("nearness, without metres", instant.relative, draw_relative),
        ("categories", instant.labels, partial(draw_categories, image=image)),
        ("foreground", instant.mask, partial(draw_mask, image=image)),
    ]
    there = [panel for panel in panels if panel[1] is not None]
    columns = min(2, len(there))
    rows = -(-len(there) // columns)
    width = (WIDTH_PX - 2 * _MARGIN - (columns - 1) * _GAP) // columns
    height = (HEIGHT_PX - _HEAD - _MARGIN - (rows - 1) * _GAP) // rows
    for index, (title, content, draw) in enumerate(there):
        row, column = divmod(index, columns)
        box = Box(_MARGIN + column * (width + _GAP), _HEAD + row * (height + _GAP), width, height)
        _panel(canvas, box, title, content, draw)


def _draw_scenes(canvas: Canvas, boxes: list[Box], instant: Instant) -> None:
    """What lies in the vehicle's frame."""
    cloud, obstacles = instant.cloud, instant.obstacles

    def points(part: Canvas, content: Cloud) -> None:
        draw_perspective(part, content, obstacles)

    def above(part: Canvas, content: Header) -> None:
        draw_above(part, content, cloud, obstacles)

    title = f"{cloud.known.size:,} points" if cloud else "points"
    _panel(canvas, boxes[0], title, cloud, points)
    _panel(canvas, boxes[1], "view from above", instant.header, above)


def _panel(
    canvas: Canvas, box: Box, title: str, content: T | None, draw: Callable[[Canvas, T], None]
) -> None:
    """Draw `content` into its box, or say that there is none."""
    part = box.of(canvas)
    fill(part, PANEL)
    if content is None:
        write(part, f"no {title}", (box.width / 2, box.height / 2), Style(15, MUTED), align=CENTRE)
    else:
        draw(part, content)
        tag(part, title, (10, 10), CAPTION)
    framed(canvas, box)


def _boxes() -> list[Box]:
    """Three small ones in a column, a large one, a tall one."""
    height = HEIGHT_PX - _HEAD - _MARGIN
    small = (height - 2 * _GAP) // 3
    column = [Box(_MARGIN, _HEAD + row * (small + _GAP), _SIDE, small) for row in range(3)]
    middle = _MARGIN + _SIDE + _GAP
    width = WIDTH_PX - middle - _GAP - _ABOVE - _MARGIN
    whole = 3 * small + 2 * _GAP
    right = Box(middle + width + _GAP, _HEAD, _ABOVE, whole)
    return [*column, Box(middle, _HEAD, width, whole), right]


def _draw_head(canvas: Canvas, instant: Instant) -> None:
    """The status line: who, how fast, how old, how sure; the nearest obstacle at its right end."""
    write(canvas, "CloudyPoints", (_MARGIN, 52), Style(26, TEXT, 650))
    end = WIDTH_PX - _MARGIN - _draw_nearest(canvas, instant)
    x = _MARGIN + _SIDE + _GAP
    for caption, words, colour in _facts(instant):
        style = Style(17, colour, 550)
        width = max(text_width(caption, CAPTION), text_width(words, style))
        if x + width > end:
            break
        write(canvas, caption, (x, 34), CAPTION)
        write(canvas, words, (x, 57), style)
        x += width + 30
    lines(canvas, [np.array([[_MARGIN, 71], [WIDTH_PX - _MARGIN, 71]])], LINE)


def _draw_nearest(canvas: Canvas, instant: Instant) -> int:
    """The nearest obstacle, large; how many pixels it took."""
    if instant.obstacles is None:
        return 0
    right = WIDTH_PX - _MARGIN
    remark = truth_words(instant.obstacles, instant.truth)
    caption = "nearest obstacle" + (f" ({remark})" if remark else "")
    write(canvas, caption, (right, 30), CAPTION, align=RIGHT)
    words = nearest_words(instant.obstacles)
    style = Style(27, state_colour(instant.obstacles.state), 650)
    write(canvas, words, (right, 61), style, align=RIGHT)
    return max(text_width(caption, CAPTION), text_width(words, style)) + 30


def _facts(instant: Instant) -> list[tuple[str, str, Colour]]:
    """Caption, value and colour of each entry of the status line."""
    header = instant.header
    if header is None:
        return [("state", "nothing received yet", MUTED)]
    rate = f"{instant.rate_hz:.1f} Hz" if math.isfinite(instant.rate_hz) else "unknown"
    facts = [
        ("camera", header.camera, TEXT),
        ("model", header.model or "unknown", TEXT),
        ("rate", rate, TEXT),
        ("age", *age_words(instant.age_s)),
        ("calibration", header.calibration, state_colour(header.calibration)),
        ("scale", *((header.scale, state_colour(header.scale)) if instant.metric else _NO_METRES)),
    ]
    if instant.obstacles is not None:
        state = instant.obstacles.state
        facts.append(("obstacles", state, state_colour(state)))
    return facts
