"""A picture of what differs: the worst frame seen twice, and how much differs over the drive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import by_distance
from cloudypoints.messages import Depth, Image, Message
from cloudypoints.picture import save_picture
from cloudypoints.picture.canvas import (
    ACCENT,
    BAD,
    CAPTION,
    GOOD,
    LABEL,
    LINE,
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
    fitted,
    lines,
    write,
)
from cloudypoints.verify.anew import CameraReport, Report

_WIDTH, _TOP, _PANEL, _ROW, _MARGIN = 1280, 64, 216, 64, 16
_MOST_FIELDS = 10
_NAMES_PX = 300
_TITLE = Style(20, TEXT, 600)

Points = NDArray[np.float64]  # (N, 2), px


def save_plot(path: Path, report: Report) -> None:
    """Write it as PNG. Raises ConfigError."""
    drawn = [_drawn(report.path.name, camera) for camera in report.cameras]
    save_picture(path, np.concatenate(drawn))


def _drawn(recording: str, camera: CameraReport) -> Canvas:
    """One camera's part: title, the worst frame, a row for each field that differs."""
    fields = sorted(camera.series, key=lambda name: _rank(name, camera))[:_MOST_FIELDS]
    pair = camera.worst_pair
    panels = _PANEL + _MARGIN if pair else 0
    height = _TOP + panels + max(1, len(fields)) * _ROW + _MARGIN
    canvas = np.full((height, _WIDTH, 3), NIGHT, np.uint8)
    _title(canvas, recording, camera)
    if pair:
        _panels(canvas, pair[0], pair[1])
    top = _TOP + panels
    for row, name in enumerate(fields):
        _row(canvas, Box(_MARGIN, top + row * _ROW, _WIDTH - 2 * _MARGIN, _ROW - 6), name, camera)
    if not fields:
        words = f"nothing differs in {camera.compared.total()} messages"
        write(canvas, words, (_MARGIN, top + 34), LABEL)
    return canvas


def _rank(name: str, camera: CameraReport) -> tuple[bool, float, int]:
    """What fails first, and of that what differs most and most often."""
    return name not in camera.failed, -camera.worst[name].share, -camera.beyond(name)


def _title(canvas: Canvas, recording: str, camera: CameraReport) -> None:
    word, colour = ("passed", GOOD) if camera.passed else ("differs", BAD)
    write(canvas, f"{recording}: {camera.name}", (_MARGIN, 30), _TITLE)
    write(canvas, word, (_WIDTH - _MARGIN, 30), Style(20, colour, 600), align=RIGHT)
    wanted = "identical bytes wanted" if camera.identical_wanted else "near enough wanted"
    first, last = (camera.numbers[0], camera.numbers[-1]) if camera.numbers else (0, 0)
    said = (
        f"{camera.frames} frames, {first} to {last}, {camera.compared.total()} messages, {wanted}"
    )
    said += f", {camera.identical.total()} identical"
    write(canvas, said, (_MARGIN, 52), CAPTION)


def _panels(canvas: Canvas, recorded: Mapping[str, Message], anew: Mapping[str, Message]) -> None:
    """The picture, its depth as recorded and anew, and the difference."""
    there, here = recorded.get("depth"), anew.get("depth")
    image = recorded.get("image")
    pictures: list[tuple[str, Canvas]] = []
    if isinstance(image, Image):
        pictures.append((f"frame {image.header.frame}", image.picture))
    if isinstance(there, Depth) and isinstance(here, Depth):
        pictures.append(("depth as recorded", by_distance(there.depth_m)))
        pictures.append(("depth anew", by_distance(here.depth_m)))
        if there.depth_m.shape == here.depth_m.shape:
            pictures.append(("difference, white 10 % and more", _difference(there, here)))
    width = (_WIDTH - _MARGIN) // max(1, len(pictures))
    for column, (name, picture) in enumerate(pictures):
        box = Box(_MARGIN + column * width, _TOP + 6, width - _MARGIN, _PANEL - 26)
        drawn, place = fitted(picture, box)
        place.of(canvas)[:] = drawn
        write(canvas, name, (box.x, _TOP + _PANEL - 2), CAPTION)


def _difference(there: Depth, here: Depth) -> Canvas:
    """Grey by relative difference; red where one alone knows."""
    a, b = there.depth_m, here.depth_m
    known = np.isfinite(a), np.isfinite(b)
    with np.errstate(invalid="ignore"):
        share = np.nan_to_num(np.abs(a - b) / a / 0.1)
    grey = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    drawn = np.repeat(grey[..., None], 3, axis=2)
    drawn[known[0] != known[1]] = BAD
    return drawn


def _row(canvas: Canvas, box: Box, name: str, camera: CameraReport) -> None:
    """The share of values that differ beyond tolerance, over the frames; the worst in words."""
    worst = camera.worst[name]
    box.of(canvas)[:] = PANEL
    colour = BAD if name in camera.failed else WARN
    write(canvas, name, (box.x + 10, box.y + 22), LABEL)
    beyond = f"beyond tolerance in {camera.beyond(name)} of {camera.frames} frames"
    write(canvas, beyond, (box.x + 10, box.y + 42), Style(11, colour))
    plot = Box(box.x + _NAMES_PX, box.y + 6, box.width - _NAMES_PX - 10, box.height - 26)
    said = f"worst in frame {worst.frame}, {worst.share:.2%} of values: {worst.said}"
    write(canvas, said[:150], (plot.x, box.y + box.height - 5), SMALL)
    shares = dict.fromkeys(camera.numbers, 0.0)
    for frame, share in camera.series[name]:
        shares[frame] = max(share, shares[frame])
    path = _line(canvas, plot, shares, colour)
    dot(canvas, path[list(shares).index(worst.frame)], 3, ACCENT)


def _line(canvas: Canvas, box: Box, shares: Mapping[int, float], colour: Colour) -> Points:
    """Over all frames of the drive, from the first to the last; where its points lie."""
    frames = np.array(list(shares), np.float64)
    heights = np.array(list(shares.values()))
    span = max(1.0, float(frames[-1] - frames[0]))
    most = max(float(heights.max()), 1e-9)
    x = box.x + (frames - frames[0]) / span * box.width
    y = box.y + box.height - heights / most * box.height
    base = np.array([[box.x, box.y + box.height], [box.x + box.width, box.y + box.height]])
    lines(canvas, [base], LINE)
    path = np.stack([x, y], axis=1)
    lines(canvas, [path], colour)
    return path
