"""People on foot and on two wheels, of capsules and eggs. Origin on the ground below the hips; x
forward.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes.mesh import Mesh, Vector, box, ellipsoid, joined, tube
from cloudytools.scenes.surfaces import (
    CLOTHES,
    SKINS,
    Material,
    Surface,
    car_colour,
    picked,
    srgb,
    varied,
)

SKIN, TOP, LEGS, SHOES, HAIR, FRAME, TYRE = range(7)
POSES = 16


@cache
def walker(pose: int, detail: int) -> Mesh:
    """Someone 1.75 m tall in one of `POSES` moments of a step, from 0, far, to 2, near; pose 0
    stands.
    """
    sides = 3 + 2 * detail
    stride = 0.34 * math.sin(2 * math.pi * pose / POSES)
    parts = [*_leg(stride, 0.09, sides), *_leg(-stride, -0.09, sides)]
    parts += [*_arm(-stride, 0.23, sides), *_arm(stride, -0.23, sides)]
    return joined([*parts, *_trunk((0.0, 0.0, 0.86), 0.04, sides)])


@cache
def rider(fine: bool) -> Mesh:
    """A cyclist and the bicycle; the parts from `FRAME` on belong to the vehicle."""
    sides = 7 if fine else 5
    body = _trunk((-0.18, 0.0, 0.95), 0.32, sides)
    limbs = []
    for side, knee in ((-1, 0.62), (1, 0.80)):
        y = 0.09 * side
        limbs.append(
            _limb(((-0.18, y, 0.92), (0.16, y, knee), (0.0, y, 0.28)), (0.085, 0.055), sides, LEGS)
        )
        limbs.append(ellipsoid((0.12, 0.045, 0.045), (0.04, y, 0.24), (2, 4), SHOES))
        arm = ((0.12, 0.2 * side, 1.36), (0.22, 0.24 * side, 1.12), (0.44, 0.2 * side, 1.04))
        limbs.append(_limb(arm, (0.05, 0.036), sides, TOP))
    return joined([*body, *limbs, _bicycle(10 if fine else 8)])


@cache
def motorbike(fine: bool) -> Mesh:
    """A rider on a motorcycle."""
    sides = 7 if fine else 5
    body = _trunk((-0.25, 0.0, 0.85), 0.2, sides)
    limbs = []
    for side in (-1, 1):
        y = 0.2 * side
        limbs.append(
            _limb(
                ((-0.25, y * 0.6, 0.82), (0.2, y, 0.72), (-0.05, y, 0.3)), (0.1, 0.07), sides, LEGS
            )
        )
        limbs.append(
            _limb(
                ((0.0, y, 1.25), (0.2, 0.3 * side, 1.05), (0.45, y, 1.0)), (0.06, 0.045), sides, TOP
            )
        )
    bulk = [
        ellipsoid((0.62, 0.17, 0.22), (0.1, 0.0, 0.68), (5, 8), FRAME),
        ellipsoid((0.28, 0.2, 0.2), (0.55, 0.0, 0.85), (5, 8), FRAME),
        tube((0.5, 0.0, 0.85), (0.74, 0.0, 0.32), (0.07, 0.06), 5, FRAME),
        *(tube((x, -0.07, 0.32), (x, 0.07, 0.32), (0.32, 0.32), 12, TYRE) for x in (-0.68, 0.74)),
    ]
    return joined([*body, *limbs, *bulk])


def surfaces_of(rng: np.random.Generator) -> list[Surface]:
    """Skin, clothes, hair and, for riders, frame and tyres."""
    h, v = Category.HUMAN, Category.VEHICLE
    pattern = float(rng.integers(4))
    bright = rng.random() < 0.12
    top = varied(srgb(214, 230, 60), rng) if bright else picked(CLOTHES, rng, 0.4)
    return [
        Surface(Material.CLOTH, h, picked(SKINS, rng), (0, 0, 0, 0)),
        Surface(Material.CLOTH, h, top, (pattern, 0, 0, 0)),
        Surface(Material.CLOTH, h, picked(CLOTHES[:9], rng, 0.4), (0, 0, 0, 0)),
        Surface(Material.CLOTH, h, varied((0.03, 0.03, 0.03), rng, 0.8), (0, 0, 0, 0)),
        Surface(Material.CLOTH, h, varied((0.04, 0.025, 0.015), rng, 0.7), (0, 0, 0, 0)),
        Surface(Material.PAINT, v, car_colour(rng), (0.05, 0, 0, 0)),
        Surface(Material.RUBBER, v, (0.015, 0.015, 0.015)),
    ]


def _trunk(hips: Vector, lean: float, sides: int) -> list[Mesh]:
    """From the hips up: pelvis, chest, neck, head, hair."""
    x, y, z = hips
    chest = (x + lean, y, z + 0.36)
    head = (x + lean * 1.35 + 0.02, y, z + 0.76)
    return [
        ellipsoid((0.125, 0.165, 0.16), (x, y, z), (1 + sides // 2, sides + 1), LEGS),
        ellipsoid(
            (0.135, 0.205, 0.31),
            ((x + chest[0]) / 2 + 0.01, y, z + 0.27),
            (2 + sides // 2, sides + 1),
            TOP,
        ),
        ellipsoid((0.12, 0.225, 0.12), (chest[0], y, z + 0.48), (1 + sides // 2, sides + 1), TOP),
        tube((chest[0], y, z + 0.52), head, (0.055, 0.05), 5, SKIN),
        ellipsoid((0.095, 0.078, 0.118), head, (2 + sides // 2, sides + 1), SKIN),
        ellipsoid(
            (0.098, 0.086, 0.09),
            (head[0] - 0.02, y, head[2] + 0.045),
            (1 + sides // 2, sides + 1),
            HAIR,
        ),
    ]


def _leg(stride: float, y: float, sides: int) -> list[Mesh]:
    """A leg and its shoe."""
    knee = (stride * 0.55 + 0.03, y, 0.47)
    ankle = (stride * 0.95 - 0.04 * (stride < 0), y, 0.08 + 0.05 * max(-stride, 0.0))
    shoe = ellipsoid((0.13, 0.05, 0.05), (ankle[0] + 0.06, y, ankle[2] - 0.03), (2, 4), SHOES)
    return [_limb(((0.0, y, 0.86), knee, ankle), (0.09, 0.05), sides, LEGS), shoe]


def _arm(stride: float, y: float, sides: int) -> list[Mesh]:
    """An arm and its hand."""
    elbow = (stride * 0.45 - 0.03, y * 1.12, 1.08)
    hand = (stride * 0.9 + 0.07, y * 1.05, 0.86)
    limb = _limb(((0.04, y * 0.92, 1.36), elbow, hand), (0.055, 0.038), sides, TOP)
    return [limb, ellipsoid((0.045, 0.035, 0.065), hand, (2, 4), SKIN)]


def _limb(
    joints: tuple[Vector, Vector, Vector], radii: tuple[float, float], sides: int, part: int
) -> Mesh:
    """Two thinning bars through three joints."""
    a, b, c = joints
    middle = (radii[0] + radii[1]) / 2
    return joined(
        [tube(a, b, (radii[0], middle), sides, part), tube(b, c, (middle, radii[1]), sides, part)]
    )


def _bicycle(sides: int) -> Mesh:
    """Wheels, frame, saddle and handlebar."""
    pieces = []
    for x in (-0.52, 0.52):
        angle = np.linspace(0, 2 * math.pi, sides + 1)
        rim = [(x + 0.33 * math.cos(a), 0.0, 0.34 + 0.33 * math.sin(a)) for a in angle]
        pieces += [tube(p, q, (0.028, 0.028), 4, TYRE) for p, q in pairwise(rim)]
    bars: tuple[tuple[Vector, Vector], ...] = (
        ((-0.52, 0, 0.34), (-0.15, 0, 0.80)), ((-0.15, 0, 0.80), (0.38, 0, 0.86)),
        ((0.0, 0, 0.30), (0.38, 0, 0.86)), ((0.0, 0, 0.30), (-0.15, 0, 0.88)),
        ((0.38, 0, 0.95), (0.52, 0, 0.34)), ((-0.52, 0, 0.34), (0.0, 0, 0.30)),
    )  # fmt: skip
    pieces += [tube(a, b, (0.022, 0.022), 4, FRAME) for a, b in bars]
    pieces.append(box((0.26, 0.14, 0.05), (-0.17, 0.0, 0.87), FRAME))
    pieces.append(tube((0.4, -0.24, 1.0), (0.4, 0.24, 1.0), (0.016, 0.016), 4, FRAME))
    return joined(pieces)
