"""Words that stand at places of the scene, and where they come to lie: none over another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cloudypoints.picture.canvas import Box, Colour


class Rank(IntEnum):
    """Of labels that would lie over each other the highest stays."""

    RING = 0
    CAMERA = 1
    ZONE = 2
    CORRIDOR = 3
    NEAREST = 4  # moves aside where it has no room, rather than go


@dataclass(frozen=True, slots=True)
class Label:
    """What is said of a place."""

    words: str
    place_m: tuple[float, float, float]
    colour: Colour
    rank: Rank = Rank.RING
    above: bool = False  # on the screen, so that what is there stays visible
    quiet: bool = False  # has no ground of its own in a window: where points seldom are


def arranged(
    labels: Sequence[Label],
    sizes_px: Sequence[tuple[int, int]],
    clip_from_vehicle: NDArray[np.float64],
    frame: Box,
    taken: Sequence[Box],
) -> list[Box | None]:
    """A box of its size for each label where its place is seen in `frame`; None without room.

    `taken`: where nothing may lie. Of two of one rank the later stays.
    """
    places: list[Box | None] = [None] * len(labels)
    taken = [*taken]
    for index in sorted(range(len(labels)), key=lambda i: (labels[i].rank, i), reverse=True):
        label, (width, height) = labels[index], sizes_px[index]
        at = seen_at(label, clip_from_vehicle, (frame.width, frame.height))
        if at is None:
            continue
        x = min(max(at[0] - width // 2, 0), max(0, frame.width - width))
        y = min(max(at[1] - (height if label.above else height // 2), 0), frame.height)
        box = Box(frame.x + x, frame.y + y, width, height)
        free = _moved(box, frame, taken) if label.rank == Rank.NEAREST else box
        if free is not None and _is_free(free, taken):
            places[index] = free
            taken.append(free)
    return places


def _moved(box: Box, frame: Box, taken: Sequence[Box]) -> Box | None:
    """The free place nearest to this one: itself, or beside what is in its way."""
    if _is_free(box, taken):
        return box
    xs = {box.x, *(other.x - box.width for other in taken), *(o.x + o.width for o in taken)}
    ys = {box.y, *(other.y - box.height for other in taken), *(o.y + o.height for o in taken)}
    right, bottom = frame.x + frame.width - box.width, frame.y + frame.height - box.height
    inside = [
        Box(x, y, box.width, box.height)
        for x, y in product(xs, ys)
        if frame.x <= x <= right and frame.y <= y <= bottom
    ]
    inside.sort(key=lambda other: (math.dist((other.x, other.y), (box.x, box.y)), other.y))
    return next((other for other in inside if _is_free(other, taken)), None)


def _is_free(box: Box, taken: Sequence[Box]) -> bool:
    return not any(_touch(box, other) for other in taken)


def seen_at(
    label: Label, clip_from_vehicle: NDArray[np.float64], size_px: tuple[int, int]
) -> tuple[int, int] | None:
    """The pixel (x, y) of a scene of this size where its place is seen; None where it is not."""
    x, y, _, w = clip_from_vehicle @ (*label.place_m, 1.0)
    if not (w > 0 and max(abs(x), abs(y)) <= w):  # NaN is nowhere too
        return None
    return round((x / w + 1) / 2 * size_px[0]), round((1 - y / w) / 2 * size_px[1])


def _touch(one: Box, other: Box) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return not (beside or one.y + one.height <= other.y or other.y + other.height <= one.y)
