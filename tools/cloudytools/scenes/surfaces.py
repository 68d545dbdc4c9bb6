"""What things are made of: materials, the surface of a part, and the colours that streets have."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate

import numpy as np

from cloudypoints.messages import Category

Colour = tuple[float, float, float]  # linear light, 0..1


class Material(IntEnum):
    """Which function shades a surface."""

    ROAD = 0
    PAVEMENT = 1
    GRASS = 2
    GRAVEL = 3
    CONCRETE = 4
    BRICK = 5
    FACADE = 6
    ROOF = 7
    PAINT = 8
    GLASS = 9
    RUBBER = 10
    METAL = 11
    LAMP = 12
    FOLIAGE = 13
    BARK = 14
    PRINT = 15
    CLOTH = 16
    TIMBER = 17
    PLAIN = 18


@dataclass(frozen=True, slots=True)
class Surface:
    """One part of an object: its material, category, colour and up to four figures for the
    material.
    """

    material: Material
    category: Category
    colour: Colour = (0.5, 0.5, 0.5)
    figures: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


def srgb(red: int, green: int, blue: int) -> Colour:
    """The linear colour of screen bytes."""
    r, g, b = (float(((byte / 255 + 0.055) / 1.055) ** 2.4) for byte in (red, green, blue))
    return r, g, b


def chances(weights: Sequence[float]) -> tuple[float, ...]:
    """Cumulative chances of weights, for `drawn`."""
    total = sum(weights)
    return tuple(part / total for part in accumulate(weights))


def drawn(rng: np.random.Generator, cumulative: tuple[float, ...]) -> int:
    """An index by its chance; much faster than `rng.choice` with weights."""
    return min(bisect(cumulative, rng.random()), len(cumulative) - 1)


def varied(colour: Colour, rng: np.random.Generator, spread: float = 0.15) -> Colour:
    """A colour near this one: brightness and hue jitter."""
    gain, *hue = rng.standard_normal(4).tolist()
    factor, spread = math.exp(spread * gain), spread / 4
    r, g, b = (c * factor * (1 + spread * h) for c, h in zip(colour, hue, strict=True))
    return _shown(r), _shown(g), _shown(b)


def _shown(level: float) -> float:
    """Neither blacker nor whiter than things are."""
    return 0.003 if level < 0.003 else 0.95 if level > 0.95 else level


_PAINTS = (
    ((12, 12, 14), 0.21), ((26, 28, 32), 0.12), ((70, 73, 77), 0.13), ((150, 152, 155), 0.12),
    ((232, 233, 232), 0.19), ((110, 12, 16), 0.05), ((160, 20, 22), 0.03), ((24, 40, 84), 0.06),
    ((40, 74, 130), 0.03), ((28, 52, 40), 0.02), ((96, 82, 62), 0.02), ((186, 170, 140), 0.01),
    ((196, 150, 30), 0.005), ((190, 80, 24), 0.005),
)  # fmt: skip
_PAINT_COLOURS = tuple(srgb(*colour) for colour, _ in _PAINTS)
_PAINT_CHANCES = chances([weight for _, weight in _PAINTS])


def car_colour(rng: np.random.Generator) -> Colour:
    """A paint as common as it is on the street: mostly black, grey and white."""
    return varied(_PAINT_COLOURS[drawn(rng, _PAINT_CHANCES)], rng, 0.2)


WALLS = tuple(
    srgb(*c)
    for c in (
        (214, 205, 188), (196, 178, 150), (230, 226, 216), (176, 160, 140), (150, 98, 78),
        (128, 72, 58), (168, 140, 110), (188, 190, 188), (120, 122, 124), (206, 184, 146),
        (222, 200, 180), (150, 158, 160), (92, 80, 72), (182, 196, 200), (200, 160, 120),
    )
)  # fmt: skip
ROOFS = tuple(
    srgb(*c) for c in ((110, 62, 48), (74, 66, 62), (92, 90, 92), (58, 56, 60), (134, 84, 60))
)
CLOTHES = tuple(
    srgb(*c)
    for c in (
        (22, 24, 30), (36, 44, 70), (60, 62, 66), (120, 122, 124), (200, 198, 192), (110, 30, 34),
        (40, 66, 48), (150, 120, 86), (70, 90, 130), (190, 60, 50), (214, 180, 60), (30, 30, 30),
    )
)  # fmt: skip
SKINS = tuple(srgb(*c) for c in ((224, 178, 150), (196, 144, 112), (150, 102, 74), (98, 64, 46)))
LEAVES = tuple(
    srgb(*c)
    for c in (
        (58, 76, 34), (74, 88, 44), (46, 64, 34), (92, 98, 50), (66, 82, 52), (98, 92, 54),
        (48, 58, 38), (80, 96, 42), (52, 70, 40),
    )
)  # fmt: skip


def picked(colours: tuple[Colour, ...], rng: np.random.Generator, spread: float = 0.2) -> Colour:
    """One of a palette, jittered."""
    return varied(colours[int(rng.integers(len(colours)))], rng, spread)
