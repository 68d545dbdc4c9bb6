"""Numbers to colours, the same in every picture and window: distance, height, category.

Colours are uint8 RGB; a value of shape (...) becomes a colour of shape (..., 3). numpy alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudypoints.messages import CATEGORY_COLOURS, Array

Colours = NDArray[np.uint8]

NEAR_M, FAR_M = 2.0, 80.0  # the ends of the distance scale, which is logarithmic
LOW_M, HIGH_M = -0.5, 4.5  # the ends of the height scale, above the ground
UNKNOWN: tuple[int, int, int] = (34, 39, 47)  # what has no value

# Turbo (A. Mikhailov, Google 2019) as its published polynomials of degree 5, from x⁰ up.
_TURBO_RED = (0.13572138, 4.61539260, -42.66032258, 132.13108234, -152.94239396, 59.28637943)
_TURBO_GREEN = (0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604)
_TURBO_BLUE = (0.10667330, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973)


def _turbo_table() -> Colours:
    x = np.linspace(0.07, 0.94, 256)  # its ends are too dark to be seen on a dark ground
    channels = [np.polyval(c[::-1], x) for c in (_TURBO_RED, _TURBO_GREEN, _TURBO_BLUE)]
    table: Colours = (np.clip(np.stack(channels, axis=1), 0, 1) * 255 + 0.5).astype(np.uint8)
    return table


TURBO: Colours = _turbo_table()  # (256, 3), blue through green to red
_TURBO_OR_UNKNOWN: Colours = np.append(TURBO, [UNKNOWN], axis=0).astype(np.uint8)
# Cityscapes' colours are made for white paper: lifted, void a grey, to be seen on a dark ground.
CATEGORY_ON_DARK: Colours = (255 - (255 - CATEGORY_COLOURS.astype(np.float32)) * 0.78).astype(
    np.uint8
)
CATEGORY_ON_DARK[0] = (64, 69, 77)
_BY_CATEGORY_ID: Colours = np.tile(CATEGORY_ON_DARK[:1], (256, 1))
_BY_CATEGORY_ID[: len(CATEGORY_ON_DARK)] = CATEGORY_ON_DARK


def turbo(share: ArrayLike) -> Colours:
    """0 blue … 1 red, clipped; NaN is `UNKNOWN`."""
    with np.errstate(invalid="ignore"):  # NaN becomes any integer
        index = (np.clip(share, 0, 1) * 255).astype(np.int16)
    index = np.where(np.isnan(share), len(TURBO), index)
    colours: Colours = np.take(_TURBO_OR_UNKNOWN, index, axis=0)
    return colours


def distance_share(distance_m: ArrayLike) -> Array:
    """Where distances lie on the scale: 1 at `NEAR_M` or nearer, 0 at `FAR_M`, logarithmic."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Array = 1 - np.log(np.asarray(distance_m) / NEAR_M) / math.log(FAR_M / NEAR_M)
    return share


def by_distance(distance_m: ArrayLike) -> Colours:
    """Near is red, far is blue."""
    return turbo(distance_share(distance_m))


def by_nearness(nearness: ArrayLike) -> Colours:
    """Nearness in no unit: near is red, far is blue, by the nearest and farthest fiftieth seen."""
    known = np.asarray(nearness)[np.isfinite(nearness)]
    far, near = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
    return turbo((np.asarray(nearness) - far) / max(near - far, np.finfo(np.float32).tiny))


def by_height(height_m: ArrayLike) -> Colours:
    """Metres above the ground: low is blue, high is red."""
    return turbo((np.asarray(height_m) - LOW_M) / (HIGH_M - LOW_M))


def by_category(labels: Array) -> Colours:
    """Category ids to their colours; an id that nobody knows looks like void."""
    colours: Colours = np.take(_BY_CATEGORY_ID, labels, axis=0)
    return colours
