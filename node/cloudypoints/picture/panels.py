"""What lies on the camera's grid: its picture, depth, categories, and what stands before it."""

from __future__ import annotations

import math

import numpy as np

from cloudypoints.colours import (
    CATEGORY_ON_DARK,
    FAR_M,
    NEAR_M,
    by_category,
    by_distance,
    by_nearness,
    distance_share,
    turbo,
)
from cloudypoints.geometry import inverse, transformed
from cloudypoints.messages import Depth, Header, Image, Labels, Mask, Obstacles, Relative
from cloudypoints.picture.canvas import (
    CAPTION,
    CENTRE,
    LABEL,
    NIGHT,
    PANEL,
    RIGHT,
    SMALL,
    TEXT,
    Box,
    Canvas,
    Colour,
    Style,
    dot,
    drawing,
    fill,
    fitted,
    lines,
    paint,
    shortened,
    tag,
    text_width,
    write,
)
from cloudypoints.picture.dots import Points, lens_of
from cloudypoints.picture.perspective import POLE_M, place_of, polar
from cloudypoints.picture.words import category_name, nearest_words

_STRIP_PX = 24  # height of a legend along a panel's lower edge
_TICKS_M = (2, 5, 10, 20, 40, 80)
_DARK = 0.25  # how bright a background is left
_TINT: Colour = (236, 72, 212)  # of the foreground; little else is magenta
_TINT_BLEND = 0.45
_BLEND = 0.58  # of a category's colour over the picture


def draw_camera(
    canvas: Canvas,
    image: Image,
    obstacles: Obstacles | None,
    mask: Mask | None = None,
    *,
    name: str = "",
) -> None:
    """The picture, the nearest obstacle marked, what stands before the background tinted; `name`:
    whose it is.
    """
    place = _draw_fitted(canvas, image.picture)
    height_px, width_px = image.picture.shape[:2]
    words = f"{width_px}×{height_px} px, frame {image.header.frame}"
    if mask is not None:
        _tint(place.of(canvas), mask)
        words = f"foreground {_share(mask):.1%}, {words}"
    _write_caption(canvas, name, words, CAPTION)
    if obstacles is None or not math.isfinite(obstacles.nearest_m):
        return
    pole = _pole_px(obstacles, image.header)
    if not np.isfinite(pole).all():
        return
    pole = pole * (place.width / width_px, place.height / height_px) + (place.x, place.y)
    lines(canvas, [pole], NIGHT, width_px=5)
    lines(canvas, [pole], TEXT, width_px=2)
    dot(canvas, pole[0], 4, TEXT)
    tag(canvas, nearest_words(obstacles), (pole[1, 0], pole[1, 1] - 26), LABEL, align=CENTRE)


def draw_depth(canvas: Canvas, depth: Depth) -> None:
    """Depth by colour, with its scale in metres."""
    _draw_fitted(canvas, by_distance(depth.depth_m))
    height, width = canvas.shape[:2]
    left, right = 34, width - 46
    bar = Box(left, height - _STRIP_PX + 5, right - left, 4)
    share = np.linspace(1, 0, bar.width)
    bar.of(canvas)[:] = turbo(share)[None]
    for tick_m in _TICKS_M:
        x = left + (1 - float(distance_share(tick_m))) * (bar.width - 1)
        words = f"{tick_m} m" if tick_m in (NEAR_M, FAR_M) else f"{tick_m}"
        write(canvas, words, (x, height - 4), SMALL, align=CENTRE)


def draw_relative(canvas: Canvas, relative: Relative) -> None:
    """Nearness by colour, which has no scale."""
    _draw_fitted(canvas, by_nearness(relative.nearness))
    height, width = canvas.shape[:2]
    bar = Box(50, height - _STRIP_PX + 9, width - 100, 4)
    bar.of(canvas)[:] = turbo(np.linspace(1, 0, bar.width))[None]
    write(canvas, "near", (44, height - 8), SMALL, align=RIGHT)
    write(canvas, "far", (width - 44, height - 8), SMALL)


def draw_mask(canvas: Canvas, mask: Mask, image: Image | None, *, name: str = "") -> None:
    """The picture, its background dark; the share of the foreground; `name`: whose it is."""
    share = mask.mask[..., None] / np.float32(255)
    white = np.full((*mask.mask.shape, 3), 255, np.uint8)
    shown = white if image is None or image.picture.shape != white.shape else image.picture
    _draw_fitted(canvas, (shown * (_DARK + (1 - _DARK) * share)).astype(np.uint8))
    words = f"{_share(mask):.1%} stands before the background"
    _write_caption(canvas, name, words, SMALL)


def draw_categories(canvas: Canvas, labels: Labels, image: Image | None) -> None:
    """Categories over the picture, where there is one of their size; the names of those seen."""
    colours = by_category(labels.labels)
    if image is not None and image.picture.shape == colours.shape:
        colours = (colours * _BLEND + image.picture * (1 - _BLEND)).astype(np.uint8)
    _draw_fitted(canvas, colours)
    height, width = canvas.shape[:2]
    counts = np.bincount(labels.labels.ravel(), minlength=len(CATEGORY_ON_DARK))
    x = 14
    for category in np.argsort(-counts[1 : len(CATEGORY_ON_DARK)]) + 1:
        name = category_name(int(category))
        end = x + 12 + text_width(name, SMALL)
        if counts[category] == 0 or end > width - 8:
            break
        dot(canvas, (x, height - 12), 4, paint(CATEGORY_ON_DARK[category]))
        write(canvas, name, (x + 9, height - 8), SMALL)
        x = end + 12


def _write_caption(canvas: Canvas, name: str, words: str, style: Style) -> None:
    """Below the picture; a long name is cut."""
    room_px = canvas.shape[1] - 28 - text_width(f": {words}", style)
    whose = f"{shortened(name, room_px, style)}: " if name else ""
    write(canvas, f"{whose}{words}", (14, canvas.shape[0] - 8), style)


def _draw_fitted(canvas: Canvas, picture: Canvas) -> Box:
    """The picture above the legend's strip; the box that it took."""
    fill(canvas, PANEL)
    small, place = fitted(picture, Box(0, 0, canvas.shape[1], canvas.shape[0] - _STRIP_PX))
    place.of(canvas)[:] = small
    return place


def _share(mask: Mask) -> float:
    """Of the picture that is rather foreground than not."""
    return float((mask.mask > 127).mean()) if mask.mask.size else 0.0


def _tint(part: Canvas, mask: Mask) -> None:
    """Colour what is foreground, and draw a line around it."""
    if not mask.mask.size:
        return
    cv2 = drawing()
    surely = cv2.resize(mask.mask, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    weight = (surely * np.float32(_TINT_BLEND / 255))[..., None]
    part[:] = (part * (1 - weight) + np.array(_TINT, np.float32) * weight).astype(np.uint8)
    inside = cv2.inRange(surely, 128, 255)
    outlines, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.polylines(part, outlines, True, _TINT, 1, cv2.LINE_AA)


def _pole_px(obstacles: Obstacles, header: Header) -> Points:
    """Foot and top of a pole at the nearest obstacle, pixels (2, 2) of the grid; NaN if unseen."""
    lens = lens_of(header)
    if not (lens and header.vehicle_from_camera):
        return np.full((2, 2), np.nan)
    width_px, height_px, fx_px, fy_px, cx_px, cy_px = lens
    foot_m = place_of(header)[0] * (1, 1, 0)
    bottom_m = foot_m + polar(obstacles.nearest_m, obstacles.nearest_bearing_rad)
    camera_from_vehicle = inverse(header.vehicle_from_camera_matrix)
    x, y, z = transformed(camera_from_vehicle, np.stack([bottom_m, bottom_m + (0, 0, POLE_M)])).T
    if (z <= 0).any():
        return np.full((2, 2), np.nan)
    pixels = np.stack([x / z * fx_px + cx_px, y / z * fy_px + cy_px], axis=1)
    inside: Points = np.clip(pixels, 0, (width_px - 1, height_px - 1))
    return inside
