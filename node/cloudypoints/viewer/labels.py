"""Words that stand at places of the scene, and where they come to lie: none over another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.picture.canvas import Box, Colour


@dataclass(frozen=True, slots=True)
class Label:
    """What is said of a place."""

    words: str
    place_m: tuple[float, float, float]
    colour: Colour
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

    `taken`: where nothing may lie. Of two labels that would lie over each other the later stays.
    """
    places: list[Box | None] = [None] * len(labels)
    taken = [*taken]
    for index in reversed(range(len(labels))):
        label, (width, height) = labels[index], sizes_px[index]
        at = seen_at(label, clip_from_vehicle, (frame.width, frame.height))
        if at is None:
            continue
        x = min(max(at[0] - width // 2, 0), max(0, frame.width - width))
        y = min(max(at[1] - (height if label.above else height // 2), 0), frame.height)
        box = Box(frame.x + x, frame.y + y, width, height)
        if not any(_touch(box, other) for other in taken):
            places[index] = box
            taken.append(box)
    return places


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
