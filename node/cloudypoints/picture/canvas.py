"""What everything is drawn with: the palette, boxes, text, panels, and plates for points.

A canvas is (H, W, 3) uint8 RGB and is drawn on in place. OpenCV draws lines and text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import MissingExtra

Canvas = NDArray[np.uint8]
Colour = tuple[int, int, int]

NIGHT: Colour = (13, 17, 23)
PANEL: Colour = (22, 27, 34)
LINE: Colour = (48, 54, 61)
TEXT: Colour = (230, 237, 243)
MUTED: Colour = (139, 148, 158)
ACCENT: Colour = (88, 166, 255)
GOOD: Colour = (63, 185, 80)
WARN: Colour = (226, 168, 48)
BAD: Colour = (255, 93, 84)


@dataclass(frozen=True, slots=True)
class Style:
    """How words are written."""

    size_px: int
    colour: Colour = TEXT
    weight: int = 400  # 100 thin … 900 black


SMALL = Style(11)
CAPTION = Style(12, MUTED, 500)
LABEL = Style(14, TEXT, 500)

LEFT, CENTRE, RIGHT = 0.0, 0.5, 1.0  # which part of a text stands at its place
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels."""

    x: int
    y: int
    width: int
    height: int

    def inset(self, by_px: int) -> Box:
        """The same without a margin all around."""
        return Box(self.x + by_px, self.y + by_px, self.width - 2 * by_px, self.height - 2 * by_px)

    def of(self, canvas: Canvas) -> Canvas:
        """That part of a canvas, not copied."""
        return canvas[self.y : self.y + self.height, self.x : self.x + self.width]


def drawing() -> Any:
    """OpenCV. Raises MissingExtra without it."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("drawing a picture", "node") from error
    return cv2


@cache
def _font() -> Any:
    """The one face that everything is written in."""
    return drawing().FontFace("sans")  # comes with OpenCV 5, has × · ± °


def text_width(words: str, style: Style) -> int:
    """How many pixels wide the words come out."""
    box = drawing().getTextSize((1, 1), words, (0, 0), _font(), style.size_px, style.weight)
    return int(box[2])


def shortened(words: str, width_px: int, style: Style) -> str:
    """As much of the words as is no wider; that some are missing is seen."""
    if text_width(words, style) <= width_px:
        return words
    fits = bisect_right(
        range(len(words)), width_px, key=lambda kept: text_width(f"{words[:kept]}…", style)
    )
    return f"{words[: max(0, fits - 1)].rstrip()}…"


def write(
    canvas: Canvas, words: str, at: tuple[float, float], style: Style, *, align: float = LEFT
) -> None:
    """Words on one line whose base line runs through `at` (x, y)."""
    x = at[0] - align * text_width(words, style)
    origin = (round(x), round(at[1]))
    drawing().putText(canvas, words, origin, style.colour, _font(), style.size_px, style.weight)


def tag(
    canvas: Canvas, words: str, at: tuple[float, float], style: Style, *, align: float = LEFT
) -> None:
    """Words on a dark plate, readable on anything; `at` is the plate's top, kept on the canvas."""
    width, height = tag_size(words, style)
    x = round(min(max(at[0] - align * width, 2), canvas.shape[1] - width - 2))
    y = round(min(max(at[1], 2), canvas.shape[0] - height - 2))
    shade(canvas, Box(x, y, width, height), NIGHT, 0.72)
    write(canvas, words, (x + 7, y + style.size_px + 3), style)


def tag_size(words: str, style: Style) -> tuple[int, int]:
    """Width and height of that plate."""
    return text_width(words, style) + 14, style.size_px + 9


def fill(canvas: Canvas, colour: Colour) -> None:
    """All of it in one colour, many times faster than numpy does it."""
    high, wide = canvas.shape[:2]
    if high and wide:
        drawing().rectangle(canvas, (0, 0), (wide - 1, high - 1), colour, -1)


def shade(canvas: Canvas, box: Box, colour: Colour, opacity: float) -> None:
    """Lay a colour over a box."""
    part = box.of(canvas)
    part[:] = (part * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)


def lines(
    canvas: Canvas,
    paths: Sequence[NDArray[Any]],
    colour: Colour,
    *,
    width_px: int = 1,
    opacity: float = 1.0,
) -> None:
    """Smooth open paths (N, 2) of x, y pixels, each at least two points long."""
    whole = [_fixed(path) for path in paths if len(path) > 1]
    target = canvas if opacity == 1.0 else canvas.copy()
    cv2 = drawing()
    cv2.polylines(target, whole, False, colour, width_px, cv2.LINE_AA, _SUBPIXEL_BITS)
    _blend(canvas, target, opacity)


def areas(
    canvas: Canvas, outlines: Sequence[NDArray[Any]], colours: Sequence[Colour], *, opacity: float
) -> None:
    """Filled outlines (N, 2), each in its colour, laid over the canvas together."""
    target = canvas.copy()
    cv2 = drawing()
    for outline, colour in zip(outlines, colours, strict=True):
        cv2.fillPoly(target, [_fixed(outline)], colour, cv2.LINE_AA, _SUBPIXEL_BITS)
    _blend(canvas, target, opacity)


def dot(canvas: Canvas, at: Sequence[float], radius_px: int, colour: Colour) -> None:
    """A smooth filled circle about `at` (x, y)."""
    cv2 = drawing()
    cv2.circle(canvas, (round(at[0]), round(at[1])), radius_px, colour, -1, cv2.LINE_AA)


def paint(colour: NDArray[np.uint8]) -> Colour:
    """A colour out of an array (3,)."""
    red, green, blue = colour.tolist()
    return red, green, blue


def plates(
    canvas: Canvas, centre_px: NDArray[Any], size_px: NDArray[Any], colours: NDArray[np.uint8]
) -> None:
    """Filled rectangles about `centre_px` (N, 2) of `size_px` (N, 2), later over earlier ones."""
    size = np.ceil(size_px).astype(np.intp)
    corner = np.round(centre_px - size_px / 2).astype(np.intp)
    seen = (corner + size > 0).all(axis=1) & (corner < canvas.shape[1::-1]).all(axis=1)
    size, corner, colours = size[seen], corner[seen], colours[seen]
    area = size.prod(axis=1)
    owner = np.repeat(np.arange(len(size)), area)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(area) - area, area)
    x = corner[owner, 0] + step % size[owner, 0]
    y = corner[owner, 1] + step // size[owner, 0]
    inside = (x >= 0) & (y >= 0) & (x < canvas.shape[1]) & (y < canvas.shape[0])
    canvas[y[inside], x[inside]] = colours[owner[inside]]  # of repeated places the last one stays


def fitted(picture: Canvas, box: Box) -> tuple[Canvas, Box]:
    """The picture as large as it fits, and the box in the middle that it takes."""
    height, width = picture.shape[:2]
    scale = min(box.width / width, box.height / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cv2 = drawing()
    while 2 * size[0] <= width and 2 * size[1] <= height:  # halves are quick, odd parts are slow
        width, height = width // 2, height // 2
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    place = Box(
        box.x + (box.width - size[0]) // 2, box.y + (box.height - size[1]) // 2, size[0], size[1]
    )
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)), place


def framed(canvas: Canvas, box: Box) -> None:
    """Round a panel's corners and draw its edge."""
    radius = 8
    cv2 = drawing()
    mask = np.zeros((box.height, box.width), np.uint8)
    right, bottom = box.width - 1 - radius, box.height - 1 - radius
    for x, y in ((radius, radius), (right, radius), (radius, bottom), (right, bottom)):
        cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    mask[radius : bottom + 1] = mask[:, radius : right + 1] = 255
    part, inside = box.of(canvas), mask[..., None] / 255
    part[:] = (part * inside + np.array(NIGHT) * (1 - inside)).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(part, contours, True, LINE, 1, cv2.LINE_AA)


def _fixed(path: NDArray[Any]) -> NDArray[np.int32]:
    """Fixed point as OpenCV takes it; far outside is brought near, which bends no visible line."""
    near = np.clip(path, -4000, 8000)
    fixed: NDArray[np.int32] = np.round(near * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    return fixed


def _blend(canvas: Canvas, drawn: Canvas, opacity: float) -> None:
    if drawn is not canvas:
        drawing().addWeighted(drawn, opacity, canvas, 1 - opacity, 0, dst=canvas)
