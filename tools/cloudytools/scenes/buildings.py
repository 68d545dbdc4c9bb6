"""Buildings: blocks with facades, shops, houses with pitched roofs, halls.

Origin on the ground in the middle of the front; the front looks along -y (towards a road on the
right), the building lies in y ≥ 0 and is as long along x as told.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes.furniture import Thing
from cloudytools.scenes.mesh import Mesh, box, extruded, joined, quads, slab, tube
from cloudytools.scenes.surfaces import ROOFS, WALLS, Material, Surface, picked, srgb, varied

WALL, TRIM, ROOF, SHOP, SIGN, GLASS, DOOR = range(7)
GRID, BRICKS, CURTAIN, RIBBON, SIDING, SHOPS, HALL = range(7)
HOUSES = 24  # kinds of houses


def block(rng: np.random.Generator, length_m: float, depth_m: float, floors: int) -> Thing:
    """A city building of some floors: facade, often shops below, cornice, balconies, awnings."""
    floor_m = float(rng.uniform(2.8, 3.6))
    height = floors * floor_m + float(rng.uniform(0.2, 1.2))
    style = int(rng.choice((GRID, BRICKS, CURTAIN, RIBBON), p=(0.45, 0.3, 0.1, 0.15)))
    pieces = [box((length_m, depth_m, height), (0, depth_m / 2, 0), WALL, ROOF)]
    if rng.random() < 0.7:
        pieces.append(slab((length_m + 0.3, 0.5, 0.45), (0, 0, height - 0.4), TRIM))
    if rng.random() < 0.5:
        pieces += _shop_front(rng, length_m, floor_m)
    elif style in (GRID, BRICKS) and rng.random() < 0.5:
        pieces += _balconies(rng, length_m, floors, floor_m)
    if rng.random() < 0.5:
        lift = (float(rng.uniform(-0.3, 0.3)) * length_m, depth_m * 0.6, height)
        pieces.append(box((3.5, 3.0, 2.4), lift, TRIM))
    return Thing(joined(pieces), _surfaces(rng, style, floor_m))


def shop(rng: np.random.Generator, length_m: float, depth_m: float) -> Thing:
    """A low commercial building: glazed front, canopy, pillars, tall entrance, sign."""
    height = float(rng.uniform(4.0, 8.0))
    pieces = [box((length_m, depth_m, height), (0, depth_m / 2, 0), WALL, ROOF)]
    pieces.append(slab((length_m + 0.6, 0.4, 0.5), (0, 0, height - 0.45), TRIM))
    pieces += _shop_front(rng, length_m, 3.4)
    if rng.random() < 0.6:
        reach = float(rng.uniform(1.5, 3.5))
        pieces.append(slab((length_m, reach, 0.35), (0, -reach / 2, 3.3), TRIM))
        for x in np.arange(-length_m / 2 + 0.5, length_m / 2, float(rng.uniform(3.5, 6))):
            pieces.append(box((0.45, 0.45, 3.3), (float(x), -reach + 0.3, 0), WALL))
    if rng.random() < 0.6:
        at = float(rng.uniform(-0.35, 0.35)) * length_m
        pieces.append(box((5.5, 2.0, height + 2.0), (at, 0.4, 0), TRIM, ROOF))
        pieces.append(slab((4.0, 0.15, 1.1), (at, -0.68, height), SIGN))
        pieces.append(slab((6.6, 3.2, 0.35), (at, 0.4, height + 2.0), TRIM))
    return Thing(joined(pieces), _surfaces(rng, SHOPS if rng.random() < 0.6 else HALL, 3.4))


def hall(rng: np.random.Generator, length_m: float, depth_m: float) -> Thing:
    """A warehouse: large blank walls, a few doors."""
    height = float(rng.uniform(5, 11))
    pieces = [box((length_m, depth_m, height), (0, depth_m / 2, 0), WALL, ROOF)]
    for x in np.arange(-length_m / 2 + 4, length_m / 2 - 3, float(rng.uniform(6, 14))):
        pieces.append(slab((3.6, 0.08, 4.0), (float(x), -0.02, 0), DOOR))
    return Thing(joined(pieces), _surfaces(rng, HALL, 4.0))


def house(rng: np.random.Generator) -> Thing:
    """A detached house: walls, pitched roof, often a garage, a porch, a chimney."""
    style = SIDING if rng.random() < 0.6 else BRICKS if rng.random() < 0.5 else GRID
    mesh = _house(int(rng.integers(HOUSES)))
    wide, high = float(rng.uniform(0.9, 1.15)), float(rng.uniform(0.94, 1.08))
    return Thing(mesh.scaled(wide, 1.0, high), _surfaces(rng, style, 2.7))


@cache
def _house(variant: int) -> Mesh:
    """The triangles of one kind of house."""
    rng = np.random.default_rng((3, variant))
    length, depth = float(rng.uniform(9, 15)), float(rng.uniform(7, 11))
    floors = int(rng.integers(1, 3))
    eaves = 2.7 * floors + 0.4
    pieces = [box((length, depth, eaves), (0, depth / 2, 0), WALL)]
    pieces.append(
        _pitched(length, depth, eaves, float(rng.uniform(0.35, 0.8)), along=rng.random() < 0.65)
    )
    side = 1 if rng.random() < 0.5 else -1
    if rng.random() < 0.65:
        pieces += _garage(side * (length / 2 + 2.6), float(rng.uniform(-2.5, 2.0)))
    if rng.random() < 0.5:
        pieces += _porch(rng, length)
    if rng.random() < 0.5:
        chimney = (-side * length * 0.3, depth * 0.5, eaves)
        pieces.append(box((0.7, 0.7, depth * 0.4 + 0.6), chimney, TRIM))
    pieces.append(slab((1.0, 0.06, 2.1), (side * 0.8, -0.03, 0.15), DOOR))
    return joined(pieces)


def _pitched(length: float, depth: float, eaves: float, pitch: float, along: bool) -> Mesh:
    """A gabled roof, its ridge along the front or across it."""
    over = 0.45
    span, run = (depth, length) if along else (length, depth)
    ridge = eaves + pitch * span / 2
    low = eaves - pitch * over
    outline = ((-span / 2 - over, low), (span / 2 + over, low), (0.0, ridge))
    roof = extruded(outline, run + 2 * over, ROOF)
    gable = extruded(
        ((-span / 2, eaves), (span / 2, eaves), (0.0, ridge - 0.12)), run + 2 * over + 0.02, WALL
    )
    roof = joined([roof, gable])
    if along:
        roof = roof.turned(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], float))
    return roof.moved(y_m=depth / 2)


def _garage(x_m: float, front_m: float) -> list[Mesh]:
    """A double garage with its own roof, its middle at x."""
    body = box((5.4, 6.2, 2.7), (x_m, 3.1 + front_m, 0), WALL)
    door = slab((4.4, 0.06, 2.2), (x_m, front_m - 0.02, 0.02), DOOR)
    roof = extruded(((-3.5, 2.6), (3.5, 2.6), (0.0, 4.3)), 5.9, ROOF)
    turned = roof.turned(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], float))
    return [body, door, turned.moved(x_m, 3.1 + front_m)]


def _porch(rng: np.random.Generator, length: float) -> list[Mesh]:
    """A roof on two posts before the door."""
    width = float(rng.uniform(2.5, length * 0.8))
    posts = [
        tube((s * width / 2, -1.7, 0), (s * width / 2, -1.7, 2.5), (0.08, 0.08), 6, TRIM)
        for s in (-1, 1)
    ]
    return [
        slab((width + 0.4, 2.1, 0.2), (0, -1.0, 2.5), ROOF),
        box((width, 1.9, 0.3), (0, -0.95, 0), TRIM),
        *posts,
    ]


def _shop_front(rng: np.random.Generator, length: float, floor_m: float) -> list[Mesh]:
    """Panes between pillars, a sign, perhaps an awning."""
    pieces = [slab((length * 0.94, 0.12, floor_m - 0.9), (0, -0.02, 0.35), GLASS)]
    for x in np.arange(-length / 2, length / 2 + 0.1, float(rng.uniform(3, 6))):
        pieces.append(box((0.35, 0.3, floor_m), (float(x), -0.02, 0), TRIM))
    pieces.append(slab((length * 0.9, 0.2, 0.6), (0, -0.06, floor_m - 0.55), SIGN))
    if rng.random() < 0.5:
        reach = float(rng.uniform(0.8, 1.6))
        top, low = floor_m - 0.5, floor_m - 1.0
        half = length * 0.45
        awning = np.array(
            [((-half, -reach, low), (half, -reach, low), (half, 0, top), (-half, 0, top))]
        )
        pieces.append(quads(awning, SHOP))
    return pieces


def _balconies(rng: np.random.Generator, length: float, floors: int, floor_m: float) -> list[Mesh]:
    """Slabs with parapets on the upper floors."""
    pieces = []
    spots = np.arange(-length / 2 + 2.0, length / 2 - 1.5, float(rng.uniform(4, 7)))
    for floor in range(1, floors):
        for x in spots:
            pieces.append(slab((2.4, 1.1, 0.15), (float(x), -0.5, floor * floor_m), TRIM))
            pieces.append(slab((2.4, 0.06, 0.95), (float(x), -1.02, floor * floor_m), TRIM))
    return pieces


def _surfaces(rng: np.random.Generator, style: int, floor_m: float) -> list[Surface]:
    """What a building of this style is made of."""
    c = Category.CONSTRUCTION
    wall = picked(WALLS, rng, 0.22)
    bay = float(rng.uniform(1.6, 4.0))
    seed = float(rng.integers(1000))
    print_index = float(rng.integers(4, 64))
    door = varied(srgb(224, 222, 214) if rng.random() < 0.6 else srgb(90, 60, 44), rng)
    trim = varied((0.6, 0.58, 0.54), rng, 0.35) if rng.random() < 0.6 else varied(wall, rng, 0.3)
    awning = varied(srgb(*_AWNINGS[int(rng.integers(len(_AWNINGS)))]), rng)
    return [
        Surface(Material.FACADE, c, wall, (floor_m, bay, float(style), seed)),
        Surface(Material.CONCRETE, c, trim),
        Surface(Material.ROOF, c, picked(ROOFS, rng)),
        Surface(Material.CLOTH, c, awning, (float(rng.integers(4)), 0, 0, 0)),
        Surface(Material.PRINT, c, awning, (print_index, 4.0, 0.9, 0.4)),
        Surface(Material.GLASS, c, varied((0.05, 0.055, 0.06), rng, 0.5), (1.0, seed, 0, 0)),
        Surface(Material.TIMBER, c, door),
    ]


_AWNINGS = (
    (30, 84, 60),
    (140, 30, 32),
    (40, 60, 110),
    (200, 190, 170),
    (60, 60, 62),
    (190, 130, 40),
)
