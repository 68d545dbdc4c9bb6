"""The pictures that lie over the scene, drawn alike for a window and for a file.

The status strip, the camera's picture and depth, the legend of the colours, the keys, warnings.
Each is RGB (H, W, 3), as large as it will be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from cloudypoints.colours import (
    CATEGORY_ON_DARK,
    FAR_M,
    HIGH_M,
    LOW_M,
    NEAR_M,
    distance_share,
    turbo,
)
from cloudypoints.control import PlayState
from cloudypoints.messages import CATEGORY_NAMES, Array, Depth
from cloudypoints.picture.canvas import (
    ACCENT,
    BAD,
    CAPTION,
    CENTRE,
    LABEL,
    LINE,
    MUTED,
    NIGHT,
    PANEL,
    RIGHT,
    SMALL,
    TEXT,
    WARN,
    Box,
    Canvas,
    Colour,
    Style,
    dot,
    fill,
    lines,
    paint,
    shortened,
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
from cloudypoints.viewer.feeds import Feed
from cloudypoints.viewer.points import BRIGHTNESS, OLD_LIGHT
from cloudypoints.viewer.words import KEYS, Fact

LEAST_PX = 32  # of height over the scene: Open3D fills what is lower up with grey
ROW_PX, FOOT_PX = 42, 26  # heights of a camera's row in the strip, of the foot
PANEL_PX = 300  # width of the pictures
_WIDE_PX, _LEAST_PX = 560, 120  # the same at most and at least, where there are no points
_PANEL_FOOT_PX = 24  # of a picture, below it
_GAP_PX = 22
_LEAST_WORDS_PX = 130  # that are left of long words in the strip
_LEGEND_PX = (300, 40)
_HELP_PX = (470, 26)  # width, height of a line
_VALUE = Style(15, TEXT, 550)
_LOUD, _CALM = Style(24, BAD, 650), Style(18, WARN, 550)
_Panel = tuple[str, tuple[int, ...], Callable[[Canvas], None]]  # name, shape, how it is drawn
_DEPTH_TICKS_M, _HEIGHT_TICKS_M = (2, 5, 10, 20, 40, 80), (0, 1, 2, 3, 4)


def strip(rows: list[list[Fact]], width_px: int, *, more: int = 0) -> Canvas:
    """The facts of each camera in a row, and how many have none; of what has no room long words are
    cut, then the right end is left out.
    """
    canvas = _blank(width_px, max(1, len(rows)) * ROW_PX)
    shown = rows if not more else [*rows[:-1], [*rows[-1][:4], Fact("and", f"{more} more")]]
    for index, facts in enumerate(shown):
        _draw_row(canvas, facts, index * ROW_PX)
    lines(canvas, [np.array([[0, len(canvas) - 1], [width_px, len(canvas) - 1]])], LINE)
    return canvas


def foot(words: str, width_px: int, play: PlayState | None) -> Canvas:
    """What is drawn and how, at the left; where a recording is, beside it."""
    canvas = _blank(width_px, FOOT_PX)
    base = FOOT_PX - 8
    write(canvas, words, (10, base), CAPTION)
    left = text_width(words, CAPTION) + 40
    if play is not None and width_px - left > 320:
        _draw_play(canvas, play, Box(left, 0, width_px - left - 24, FOOT_PX))
    return canvas


def pictures(feed: Feed, room: Box, *, live: bool = True) -> list[tuple[str, Canvas]]:
    """What lies on the camera's grid, as far as it has come; where there are no points, as large as
    all of it fits into the room; grey, without obstacles, unless live.

    Its picture, the nearest obstacle marked and the foreground tinted, nearness without metres,
    depth; foreground and categories where they are not seen otherwise.
    """
    panels = _panels(feed, live=live)
    aspects = [shape[0] / max(1, shape[1]) for _, shape, _ in panels]
    width = PANEL_PX if feed.cloud is not None else _wide_px(aspects, room)
    drawn = [(name, _picture(shape, width, draw)) for name, shape, draw in panels]
    if drawn and drawn[0][0] not in ("picture", "mask"):  # these say it below
        tag(drawn[0][1], shortened(feed.title, width - 40, CAPTION), (8, 8), CAPTION)
    return drawn if live else [(name, _greyed(canvas)) for name, canvas in drawn]


def _panels(
    feed: Feed, *, live: bool
) -> list[tuple[str, tuple[int, ...], Callable[[Canvas], None]]]:
    """Name, shape of what is shown, and how that is drawn."""
    image, mask, relative, depth = feed.image, feed.mask, feed.relative, feed.depth
    found: list[_Panel] = []
    if image is not None:
        shown = feed.obstacles if live else None
        camera = partial(draw_camera, image=image, obstacles=shown, mask=mask, name=feed.title)
        found.append(("picture", image.picture.shape, camera))
    elif mask is not None:
        found.append(
            ("mask", mask.mask.shape, partial(draw_mask, mask=mask, image=None, name=feed.title))
        )
    if relative is not None:
        thin = replace(relative, nearness=_every(relative.nearness))
        found.append(("relative", relative.nearness.shape, partial(draw_relative, relative=thin)))
    if depth is not None:
        sparse = Depth(depth.header, _every(depth.depth_m))
        found.append(("depth", depth.depth_m.shape, partial(draw_depth, depth=sparse)))
    labels = feed.labels if feed.cloud is None else None
    if labels is not None:
        categories = partial(draw_categories, labels=labels, image=image)
        found.append(("labels", labels.labels.shape, categories))
    return found


def _wide_px(aspects: Sequence[float], room: Box) -> int:
    """Width of panels that are all there is to be seen, so that they fit under each other."""
    free_px = room.height - len(aspects) * _PANEL_FOOT_PX
    wide_px = min(int(free_px / max(sum(aspects), 0.1)), room.width, _WIDE_PX)
    return max(wide_px, _LEAST_PX)


def legend(mode: str) -> Canvas | None:
    """What the colours mean; nothing where they are those of the picture."""
    if mode == "category":
        return _category_legend()
    canvas = _blank(*_LEGEND_PX)
    left, width = 16, _LEGEND_PX[0] - 44
    if mode == "depth":
        edge_m = NEAR_M * (FAR_M / NEAR_M) ** np.linspace(0, 1, width)
        share, ticks_m = distance_share(edge_m), np.array(_DEPTH_TICKS_M)
        places = 1 - distance_share(ticks_m)
    elif mode == "height":
        share, ticks_m = np.linspace(0, 1, width), np.array(_HEIGHT_TICKS_M)
        places = (ticks_m - LOW_M) / (HIGH_M - LOW_M)
    elif mode == "confidence":
        return _confidence_legend()
    else:
        return None
    canvas[10:16, left : left + width] = turbo(share)
    for tick_m, place in zip(ticks_m, places.tolist(), strict=True):
        words = f"{tick_m} m" if tick_m == ticks_m[-1] else f"{tick_m}"
        write(canvas, words, (left + place * width, 32), SMALL, align=CENTRE)
    return canvas


def keys() -> Canvas:
    """The help panel."""
    width, line = _HELP_PX
    canvas = _blank(width, line * len(KEYS) + 58)
    fill(canvas, PANEL)
    write(canvas, "Keys", (22, 36), Style(18, TEXT, 650))
    for index, (key, meaning) in enumerate(KEYS):
        base = 66 + index * line
        write(canvas, key, (22, base), Style(14, ACCENT, 600))
        write(canvas, meaning, (112, base), Style(14, TEXT, 400))
    canvas[[0, -1]] = canvas[:, [0, -1]] = LINE
    return canvas


def warning(words: str) -> Canvas:
    """What must not be overlooked."""
    return _plate(words, _LOUD, BAD, (52, 34))


def remark(words: str) -> Canvas:
    """What explains what is seen."""
    return _plate(words, _CALM, WARN, (40, 26))


def _plate(words: str, style: Style, edge: Colour, rows_px: tuple[int, int]) -> Canvas:
    """Words in a frame of this colour; `rows_px`: its height, and where the words stand."""
    height_px, base_px = rows_px
    canvas = _blank(text_width(words, style) + 40, height_px)
    fill(canvas, PANEL)
    canvas[[0, -1]] = canvas[:, [0, -1]] = edge
    write(canvas, words, (canvas.shape[1] / 2, base_px), style, align=CENTRE)
    return canvas


def _draw_row(canvas: Canvas, facts: Sequence[Fact], top: int) -> None:
    x, right = 26, canvas.shape[1] - 8
    dot(canvas, (12, top + 26), 5, facts[0].colour)
    for fact, width in zip(facts, _widths(facts, right - x), strict=True):
        if x + width > right:
            return
        style = Style(_VALUE.size_px, fact.colour, _VALUE.weight)
        write(canvas, fact.caption, (x, top + 14), Style(SMALL.size_px, MUTED))
        write(canvas, shortened(fact.words, width, style), (x, top + 33), style)
        x += width + _GAP_PX


def _widths(facts: Sequence[Fact], room_px: int) -> list[int]:
    """Of each entry; what is too much is taken from the longest words first."""
    widths = [max(text_width(f.caption, SMALL), text_width(f.words, _VALUE)) for f in facts]
    over_px = sum(widths) + (len(widths) - 1) * _GAP_PX - room_px
    for index in sorted(range(len(widths)), key=lambda i: -widths[i]):
        least = max(_LEAST_WORDS_PX, text_width(facts[index].caption, SMALL))
        cut_px = min(max(0, over_px), max(0, widths[index] - least))
        widths[index] -= cut_px
        over_px -= cut_px
    return widths


def _draw_play(canvas: Canvas, play: PlayState, box: Box) -> None:
    """How far a recording has come, and whether it goes on."""
    state = "ended" if play.ended else "playing" if play.playing else "paused"
    known = play.end_s > play.start_s
    until = f" of {play.end_s:.1f} s" if known else " s"
    words = f"{state} {play.position_s:.1f}{until}"
    base = FOOT_PX - 8
    write(canvas, words, (box.x, base), LABEL)
    left, right = box.x + 190, box.x + box.width
    share = (play.position_s - play.start_s) / (play.end_s - play.start_s) if known else 0.0
    here = left + (right - left) * min(max(share, 0.0), 1.0)
    lines(canvas, [np.array([[left, 13], [right, 13]])], LINE, width_px=4)
    lines(canvas, [np.array([[left, 13], [here, 13]])], ACCENT, width_px=4)
    dot(canvas, (here, 13), 5, TEXT)


def _confidence_legend() -> Canvas:
    canvas = _blank(*_LEGEND_PX)
    left, width = 76, _LEGEND_PX[0] - 136
    canvas[15:21, left : left + width] = turbo(np.linspace(1, 0, width))
    write(canvas, "unsure", (left - 10, 22), SMALL, align=RIGHT)
    write(canvas, "sure", (left + width + 10, 22), SMALL)
    return canvas


def _category_legend() -> Canvas:
    names = CATEGORY_NAMES[1:]
    widths = [text_width(name, SMALL) + 30 for name in names]
    canvas = _blank(sum(widths) + 12, LEAST_PX)
    x = 16
    for category, (name, width) in enumerate(zip(names, widths, strict=True), start=1):
        dot(canvas, (x, 16), 5, paint(CATEGORY_ON_DARK[category]))
        write(canvas, name, (x + 10, 20), SMALL)
        x += width
    return canvas


def _picture(shape: tuple[int, ...], width: int, draw: Callable[[Canvas], None]) -> Canvas:
    """A panel for something of this shape, with room for its legend."""
    height = min(max(round(width * shape[0] / max(1, shape[1])), 20), width)
    canvas = np.empty((height + _PANEL_FOOT_PX, width, 3), np.uint8)
    if min(shape[:2]) > 0:
        draw(canvas)
    else:
        fill(canvas, PANEL)
    canvas[[0, -1]] = canvas[:, [0, -1]] = LINE
    return canvas


def _greyed(canvas: Canvas) -> Canvas:
    """A panel of what is no longer live: as the points, grey, and dark but for the words below."""
    light = np.full((len(canvas), 1), OLD_LIGHT)
    light[-_PANEL_FOOT_PX:] = 1
    return np.repeat((canvas @ BRIGHTNESS * light).astype(np.uint8)[..., None], 3, axis=2)


def _every(array: Array) -> Array:
    """Few enough rows and columns for a panel, at even steps."""
    step = max(1, array.shape[1] // PANEL_PX, array.shape[0] // PANEL_PX)
    return array[::step, ::step]


def _blank(width_px: int, height_px: int) -> Canvas:
    canvas = np.empty((height_px, width_px, 3), np.uint8)
    fill(canvas, NIGHT)
    return canvas
