"""What stands along a street: lamps, signals, signs, poles, bins, cones, shelters, gantries and
bridges.

Meshes are made once; a thing is a mesh with its surfaces. Origin on the ground; x along the road's
direction of view, y towards the left, so that arms reach to the left over the road.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes.mesh import Mesh, box, disc, ellipsoid, extruded, joined, slab, tube
from cloudytools.scenes.surfaces import Colour, Material, Surface, srgb, varied

POST, FACE, LAMP_A, LAMP_B = range(4)


@dataclass(frozen=True, slots=True)
class Thing:
    """A mesh and what its parts are made of."""

    mesh: Mesh
    surfaces: list[Surface]

    @property
    def reach_m(self) -> float:
        """How far it reaches from its origin on the map."""
        return float(np.sqrt((self.mesh.corners_m[..., :2] ** 2).sum(axis=-1).max()))


def street_lamp(rng: np.random.Generator, lit: float) -> Thing:
    """A lamp post with its arm over the road; `lit` is the brightness of its head."""
    return Thing(_lamp(int(rng.integers(4))), _post(rng, lamp=(0.7, 0.66, 0.55), lit=4 * lit))


def traffic_light(rng: np.random.Generator) -> Thing:
    """Signals on a post, or on a mast over the lanes, with one lamp shining."""
    surfaces = _post(rng)
    red = rng.random() < 0.5
    surfaces[LAMP_A] = Surface(
        Material.LAMP, Category.OBJECT, (0.6, 0.02, 0.01), (2.5 * red, 0, 0, 0)
    )
    surfaces[LAMP_B] = Surface(
        Material.LAMP, Category.OBJECT, (0.02, 0.5, 0.3), (2.5 * (not red), 0, 0, 0)
    )
    surfaces[FACE] = Surface(Material.PLAIN, Category.OBJECT, srgb(40, 38, 28))
    return Thing(_signal(int(rng.integers(3))), surfaces)


def sign(rng: np.random.Generator) -> Thing:
    """A traffic sign: round, triangular, square or a direction board."""
    kind = int(rng.integers(5))
    surfaces = _post(rng)
    print_index = float(rng.integers(8, 64) if kind == 4 else rng.integers(4, 64))
    size = (2.2, 1.3) if kind == 4 else (0.8, 0.8)
    colour = _SIGN_COLOURS[int(rng.integers(len(_SIGN_COLOURS)))]
    surfaces[FACE] = Surface(Material.PRINT, Category.OBJECT, colour, (print_index, *size, 1.0))
    return Thing(_sign(kind), surfaces)


def utility_pole(rng: np.random.Generator) -> Thing:
    """A wooden pole with cross-arms and their insulators."""
    surfaces = _post(rng)
    wood = varied((0.10, 0.075, 0.055), rng, 0.3)
    surfaces[POST] = Surface(Material.BARK, Category.OBJECT, wood)
    return Thing(_pole(int(rng.integers(2))), surfaces)


def small_thing(rng: np.random.Generator) -> Thing:
    """A bollard, bin, hydrant, post box, cabinet, bench, or traffic cone."""
    kind = int(rng.integers(len(_SMALL)))
    colour = _SMALL_COLOURS[kind]
    surfaces = [Surface(Material.PLAIN, Category.OBJECT, varied(colour, rng, 0.3))] * 4
    surfaces[FACE] = Surface(Material.PLAIN, Category.OBJECT, (0.7, 0.7, 0.7))
    return Thing(_small(kind), surfaces)


def cone(rng: np.random.Generator) -> Thing:
    """An orange traffic cone with its white collar."""
    orange = Surface(Material.PLAIN, Category.OBJECT, varied(srgb(226, 84, 30), rng))
    return Thing(_small(6), [orange, Surface(Material.PLAIN, Category.OBJECT, (0.7, 0.7, 0.7))])


def bus_shelter(rng: np.random.Generator) -> Thing:
    """A roof on posts with glass behind and an advertisement."""
    surfaces = _post(rng)
    surfaces[FACE] = Surface(Material.GLASS, Category.CONSTRUCTION, (0.05, 0.06, 0.06))
    advert = (float(rng.integers(4, 64)), 1.2, 1.8, 0.5)
    surfaces[LAMP_A] = Surface(Material.PRINT, Category.CONSTRUCTION, (0.6, 0.5, 0.4), advert)
    return Thing(_shelter(), surfaces)


def gantry(rng: np.random.Generator, width_m: float) -> Thing:
    """Sign boards on a beam over a motorway of this width."""
    board = (float(rng.integers(8, 64)), 4.2, 2.6, 1.0)
    surfaces = _post(rng)
    surfaces[FACE] = Surface(Material.PRINT, Category.OBJECT, srgb(16, 92, 60), board)
    half = width_m / 2 + 1.0
    pieces = [tube((0, s * half, 0), (0, s * half, 7.2), (0.28, 0.22), 8, POST) for s in (-1, 1)]
    pieces += [slab((0.5, 2 * half, 0.18), (0, 0, z), POST) for z in (6.1, 7.1)]
    for y in rng.uniform(-0.8 * half, 0.8 * half, int(rng.integers(1, 4))):
        pieces.append(slab((0.1, 4.2, 2.6), (-0.35, float(y), 5.6), FACE))
    return Thing(joined(pieces), surfaces)


def bridge(rng: np.random.Generator, width_m: float) -> Thing:
    """A concrete bridge across the road, its piers beside it."""
    concrete = Surface(Material.CONCRETE, Category.CONSTRUCTION, varied((0.36, 0.35, 0.33), rng))
    depth, clear = float(rng.uniform(5, 12)), float(rng.uniform(4.8, 6.0))
    pieces = [
        slab((depth, width_m + 60, 1.1), (0, 0, clear), 0),
        slab((0.3, width_m + 60, 0.9), (-depth / 2, 0, clear + 1.1), 0),
        slab((0.3, width_m + 60, 0.9), (depth / 2, 0, clear + 1.1), 0),
    ]
    for side in (-1, 1):
        pieces.append(box((depth * 0.8, 1.0, clear), (0, side * (width_m / 2 + 1.4), 0), 0))
        pieces.append(box((depth, 14.0, clear), (0, side * (width_m / 2 + 17), 0), 0))
    return Thing(joined(pieces), [concrete])


def billboard(rng: np.random.Generator) -> Thing:
    """A big advertisement on a post."""
    surfaces = _post(rng)
    figures = (float(rng.integers(4, 64)), 6.0, 3.0, 0.5)
    surfaces[FACE] = Surface(
        Material.PRINT, Category.OBJECT, varied((0.6, 0.55, 0.5), rng), figures
    )
    return Thing(_board(), surfaces)


_SIGN_COLOURS = tuple(
    srgb(*c)
    for c in (
        (196, 30, 34),
        (24, 76, 150),
        (236, 236, 232),
        (226, 178, 30),
        (20, 96, 62),
        (210, 110, 30),
    )
)
_SMALL_COLOURS: tuple[Colour, ...] = tuple(
    srgb(*c)
    for c in (
        (70, 72, 74), (46, 72, 54), (190, 50, 34), (36, 60, 110), (120, 124, 120), (110, 80, 56),
        (226, 84, 30), (60, 62, 66),
    )
)  # fmt: skip


def _post(
    rng: np.random.Generator, lamp: Colour = (0.5, 0.5, 0.5), lit: float = 0.0
) -> list[Surface]:
    """Surfaces of something on a metal post, with or without lamps."""
    grey = float(np.exp(rng.uniform(np.log(0.03), np.log(0.4))))
    o = Category.OBJECT
    return [
        Surface(Material.METAL, o, (grey, grey, grey * 0.98)),
        Surface(Material.PLAIN, o, (0.3, 0.3, 0.3)),
        Surface(Material.LAMP, o, lamp, (lit, 0, 0, 0)),
        Surface(Material.LAMP, o, lamp, (lit, 0, 0, 0)),
    ]


@cache
def _lamp(kind: int) -> Mesh:
    """A lamp post; kinds differ in height and arm."""
    tall, reach = ((9.0, 2.4), (7.5, 1.2), (5.0, 0.0), (11.0, 3.2))[kind]
    pieces = [
        tube((0, 0, 0), (0, 0, tall), (0.10, 0.06), 7, POST),
        box((0.3, 0.3, 0.35), part=POST),
    ]
    if reach:
        pieces.append(tube((0, 0, tall - 0.05), (0, reach, tall + 0.35), (0.05, 0.04), 5, POST))
        pieces.append(slab((0.28, 0.75, 0.12), (0, reach, tall + 0.28), POST))
        pieces.append(slab((0.22, 0.6, 0.05), (0, reach, tall + 0.23), LAMP_A))
    else:
        pieces.append(ellipsoid((0.24, 0.24, 0.3), (0, 0, tall + 0.2), (4, 7), LAMP_A))
    return joined(pieces)


@cache
def _signal(kind: int) -> Mesh:
    """Signals on a post (0), on a short (1) or long mast (2)."""
    if kind == 0:
        pieces = [tube((0, 0, 0), (0, 0, 3.4), (0.07, 0.06), 7, POST), *_head(0.0, 2.5)]
    else:
        reach = 4.5 if kind == 1 else 7.5
        pieces = [tube((0, 0, 0), (0, 0, 6.6), (0.14, 0.10), 7, POST)]
        pieces.append(tube((0, 0, 6.0), (0, reach, 6.4), (0.09, 0.05), 6, POST))
        pieces += _head(reach - 0.3, 5.7) + _head(reach * 0.55, 5.65) + _head(0.25, 2.7)
    return joined(pieces)


def _head(y: float, z: float) -> list[Mesh]:
    """A housing with its upper and lower lamp, at y and z."""
    housing = slab((0.22, 0.34, 1.0), (-0.1, y, z), FACE)
    lamps = [
        disc((-0.222, y, z + up), (-1, 0, 0), 0.115, 8, part)
        for up, part in ((0.82, LAMP_A), (0.18, LAMP_B))
    ]
    return [housing, *lamps]


@cache
def _sign(kind: int) -> Mesh:
    """A disc, triangle, plate or board on posts."""
    tall = (2.6, 2.7, 2.5, 2.2, 3.4)[kind]
    post = tube((0, 0, 0), (0, 0, tall), (0.035, 0.035), 5, POST)
    x = -0.05
    if kind == 0:
        face = disc((x, 0, tall - 0.35), (-1, 0, 0), 0.36, 14, FACE)
    elif kind == 1:
        face = disc((x, 0, tall - 0.35), (-1, 0, 0), 0.46, 3, FACE)
    elif kind == 4:
        posts = [tube((0, y, 0), (0, y, 2.3), (0.05, 0.05), 5, POST) for y in (-0.8, 0.8)]
        return joined([*posts, slab((0.06, 2.2, 1.3), (x, 0, 2.1), FACE)])
    else:
        face = slab((0.03, 0.62, 0.75 if kind == 2 else 0.45), (x, 0, tall - 0.75), FACE)
    return joined([post, face])


@cache
def _pole(kind: int) -> Mesh:
    """A pole with one cross-arm, or with two and a transformer."""
    pieces = [tube((0, 0, 0), (0, 0, 10.0), (0.15, 0.10), 7, POST)]
    for z in (9.4, 8.5)[: kind + 1]:
        pieces.append(slab((0.12, 2.4, 0.12), (0, 0, z), POST))
        pieces += [box((0.08, 0.08, 0.2), (0, y, z + 0.12), POST) for y in (-1.1, -0.6, 0.6, 1.1)]
    if kind:
        pieces.append(tube((0.28, 0, 7.0), (0.28, 0, 7.9), (0.22, 0.22), 8, POST))
    return joined(pieces)


@cache
def _small(kind: int) -> Mesh:
    """One of the small things."""
    return _SMALL[kind]()


def _bollard() -> Mesh:
    return tube((0, 0, 0), (0, 0, 0.95), (0.07, 0.06), 8)


def _bin() -> Mesh:
    lid = ellipsoid((0.3, 0.3, 0.12), (0, 0, 1.0))
    return joined([tube((0, 0, 0), (0, 0, 1.0), (0.26, 0.3), 9), lid])


def _hydrant() -> Mesh:
    cap = ellipsoid((0.14, 0.14, 0.16), (0, 0, 0.6))
    return joined([tube((0, 0, 0), (0, 0, 0.6), (0.13, 0.12), 8), cap])


def _post_box() -> Mesh:
    foot = tube((0, 0, 0), (0, 0, 0.4), (0.05, 0.05), 5)
    return joined([box((0.5, 0.5, 0.8), (0, 0, 0.35)), foot])


def _cabinet() -> Mesh:
    return box((0.5, 0.9, 1.3))


def _bench() -> Mesh:
    legs = [box((0.45, 0.06, 0.42), (0, y, 0)) for y in (-0.7, 0.7)]
    back = slab((0.05, 1.7, 0.35), (0.2, 0, 0.5))
    return joined([*legs, slab((0.45, 1.7, 0.05), (0, 0, 0.42)), back])


def _cone() -> Mesh:
    collar = tube((0, 0, 0.32), (0, 0, 0.48), (0.10, 0.075), 8, FACE)
    return joined([box((0.38, 0.38, 0.04)), tube((0, 0, 0), (0, 0, 0.72), (0.15, 0.03), 8), collar])


def _wheelie_bin() -> Mesh:
    wheels = [tube((0.3, s * 0.2, 0.1), (0.3, s * 0.28, 0.1), (0.1, 0.1), 8) for s in (-1, 1)]
    body = extruded(((-0.28, 0.05), (0.28, 0.05), (0.36, 1.05), (-0.36, 1.05)), 0.58)
    return joined([body, *wheels])


_SMALL = (_bollard, _bin, _hydrant, _post_box, _cabinet, _bench, _cone, _wheelie_bin)


@cache
def _shelter() -> Mesh:
    """A bus shelter, open towards the road."""
    posts = [
        tube((x, y, 0), (x, y, 2.4), (0.04, 0.04), 5, POST)
        for x in (-1.8, 1.8)
        for y in (-0.6, 0.6)
    ]
    roof = slab((4.2, 1.6, 0.12), (0, 0, 2.4), POST)
    back = slab((3.6, 0.03, 1.9), (0, -0.6, 0.25), FACE)
    advert = slab((0.12, 1.2, 1.8), (1.8, 0, 0.3), LAMP_A)
    bench = slab((2.4, 0.4, 0.06), (-0.4, -0.35, 0.5), POST)
    return joined([*posts, roof, back, advert, bench])


@cache
def _board() -> Mesh:
    """A board of 6 × 3 m high on a post."""
    post = tube((0, 0, 0), (0, 0, 5.0), (0.22, 0.2), 8, POST)
    return joined([post, slab((0.25, 6.0, 3.0), (-0.2, 0, 4.8), FACE)])
