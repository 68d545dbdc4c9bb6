"""Vehicles: cars lofted through stations from bumper to bumper, pick-ups, vans, buses, lorries and
two-wheelers.

Every shape is made once per detail and instanced by stretching. Origin on the ground below the
middle; x forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cloudypoints.messages import Category
from cloudytools.scenes.mesh import (
    Floats,
    Mesh,
    box,
    disc,
    grid,
    joined,
    quads,
    slab,
    tube,
    without_slivers,
)
from cloudytools.scenes.surfaces import Colour, Material, Surface, car_colour, srgb, varied

PAINT, GLASS, BLACK, HUB, TAIL, HEAD, PLATE, CARGO = range(8)


@dataclass(frozen=True, slots=True)
class Body:
    """A car's side view in fractions: stations from the front (0) to the rear (1)."""

    size_m: tuple[float, float, float]
    along: tuple[float, ...]  # station, fraction of the length
    top: tuple[float, ...]  # roof or bonnet height there, fraction of the height
    belt: tuple[float, ...]  # height of the waist, fraction of the height
    windscreen: int  # the cell between stations that is windscreen
    rear_window: int  # the same at the back; -1 for none
    glass: tuple[int, ...]  # cells with side windows
    wheels: tuple[float, float] = (0.17, 0.80)
    wheel_m: float = 0.33
    lamp: tuple[float, float] = (
        0.16,
        0.58,
    )  # height of the rear lamps, and where across they begin


BODIES = {
    "sedan": Body(
        (4.75, 1.83, 1.45),
        (0.0, 0.02, 0.10, 0.27, 0.43, 0.46, 0.55, 0.57, 0.68, 0.72, 0.86, 0.97, 1.0),
        (0.44, 0.50, 0.58, 0.67, 0.97, 0.985, 1.0, 1.0, 0.985, 0.965, 0.74, 0.72, 0.62),
        (0.44, 0.50, 0.57, 0.645, 0.65, 0.65, 0.66, 0.66, 0.67, 0.68, 0.70, 0.70, 0.62),
        3, 9, (3, 5, 7, 9),
    ),
    "hatchback": Body(
        (4.1, 1.78, 1.50),
        (0.0, 0.02, 0.09, 0.24, 0.40, 0.43, 0.55, 0.57, 0.72, 0.80, 0.95, 0.985, 1.0),
        (0.45, 0.52, 0.60, 0.68, 0.96, 0.98, 1.0, 1.0, 0.985, 0.97, 0.72, 0.62, 0.5),
        (0.45, 0.52, 0.59, 0.65, 0.65, 0.65, 0.655, 0.655, 0.665, 0.67, 0.68, 0.60, 0.5),
        3, 9, (3, 5, 7, 8), lamp=(0.2, 0.7),
    ),
    "suv": Body(
        (4.7, 1.92, 1.74),
        (0.0, 0.015, 0.07, 0.25, 0.37, 0.40, 0.53, 0.55, 0.70, 0.72, 0.92, 0.985, 1.0),
        (0.46, 0.56, 0.62, 0.67, 0.955, 0.975, 1.0, 1.0, 1.0, 0.995, 0.975, 0.68, 0.5),
        (0.46, 0.55, 0.61, 0.645, 0.65, 0.65, 0.655, 0.655, 0.66, 0.66, 0.67, 0.62, 0.5),
        3, 10, (3, 5, 7, 9), (0.18, 0.80), 0.37, lamp=(0.30, 0.76),
    ),
    "pickup": Body(
        (5.6, 1.96, 1.86),
        (0.0, 0.015, 0.06, 0.24, 0.34, 0.36, 0.46, 0.48, 0.57, 0.59, 0.62, 0.985, 1.0),
        (0.46, 0.58, 0.64, 0.68, 0.96, 0.98, 1.0, 1.0, 0.99, 0.97, 0.68, 0.68, 0.5),
        (0.46, 0.57, 0.63, 0.655, 0.66, 0.66, 0.66, 0.66, 0.66, 0.66, 0.66, 0.66, 0.5),
        3, 9, (3, 5, 7), (0.17, 0.79), 0.40, lamp=(0.34, 0.82),
    ),
    "minivan": Body(
        (5.0, 1.95, 1.76),
        (0.0, 0.015, 0.06, 0.18, 0.36, 0.39, 0.53, 0.55, 0.73, 0.75, 0.94, 0.985, 1.0),
        (0.40, 0.50, 0.56, 0.62, 0.96, 0.98, 1.0, 1.0, 1.0, 0.995, 0.97, 0.66, 0.45),
        (0.40, 0.49, 0.55, 0.60, 0.61, 0.61, 0.615, 0.615, 0.62, 0.62, 0.63, 0.60, 0.45),
        3, 10, (3, 5, 7, 9), (0.17, 0.79), 0.35, lamp=(0.34, 0.80),
    ),
    "van": Body(
        (5.6, 2.0, 2.45),
        (0.0, 0.015, 0.05, 0.15, 0.29, 0.31, 0.42, 0.44, 0.60, 0.80, 0.985, 0.993, 1.0),
        (0.32, 0.42, 0.46, 0.52, 0.93, 0.97, 1.0, 1.0, 1.0, 1.0, 0.99, 0.6, 0.4),
        (0.32, 0.41, 0.45, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.45, 0.4),
        3, -1, (3, 5), (0.15, 0.78), 0.37, lamp=(0.36, 0.84),
    ),
    "coupe": Body(
        (4.5, 1.86, 1.32),
        (0.0, 0.02, 0.10, 0.32, 0.49, 0.52, 0.62, 0.64, 0.68, 0.70, 0.92, 0.98, 1.0),
        (0.44, 0.50, 0.60, 0.70, 0.97, 0.99, 1.0, 0.99, 0.98, 0.97, 0.78, 0.74, 0.60),
        (0.44, 0.50, 0.59, 0.68, 0.69, 0.69, 0.70, 0.70, 0.71, 0.71, 0.74, 0.70, 0.60),
        3, 9, (3, 5), (0.18, 0.80), 0.34, lamp=(0.11, 0.45),
    ),
}  # fmt: skip
KIND_WEIGHTS = {
    "sedan": 0.26, "hatchback": 0.14, "suv": 0.24, "pickup": 0.09, "minivan": 0.07, "van": 0.06,
    "coupe": 0.03, "bus": 0.03, "lorry": 0.05, "truck": 0.03,
}  # fmt: skip
LENGTHS_M = {"bus": 11.5, "lorry": 7.5, "truck": 15.0} | {k: b.size_m[0] for k, b in BODIES.items()}
WIDTHS_M = {"bus": 2.55, "lorry": 2.45, "truck": 2.5} | {k: b.size_m[1] for k, b in BODIES.items()}


_SIDES = (6, 8, 12)  # of a wheel, by detail


@cache
def shape(kind: str, detail: int) -> Mesh:
    """The triangles of a kind of vehicle; detail 2 is near, 1 middle, 0 far."""
    if kind in BODIES:
        return _car(BODIES[kind], detail)
    return {"bus": _bus, "lorry": _lorry, "truck": _truck}[kind](_SIDES[detail])


def surfaces_of(kind: str, rng: np.random.Generator, lights: float) -> list[Surface]:
    """Paint, glass and lamps of one vehicle; `lights` is how brightly its lamps shine (0: off)."""
    paint = car_colour(rng) if kind in BODIES else _fleet_colour(rng)
    if kind == "van" and rng.random() < 0.6:
        paint = varied(_WHITE, rng, 0.08)
    chance = rng.random(7).tolist()
    braking = 3.0 if chance[0] < 0.4 else 0.6
    clear_coat = 0.05 + 0.08 * chance[1]
    cargo = Material.PRINT if chance[2] < 0.5 else Material.PAINT
    load = paint if kind in BODIES else _fleet_colour(rng)
    v = Category.VEHICLE
    return [
        Surface(Material.PAINT, v, paint, (clear_coat, chance[3] ** 3, 0, 0)),
        _GLASS[int(chance[4] * len(_GLASS))],
        _RUBBER,
        _HUBS[int(chance[5] * len(_HUBS))],
        Surface(
            Material.LAMP,
            v,
            (0.42, 0.012, 0.012),
            (lights * 0.4 + 0.25 * braking * chance[6], 0, 0, 0),
        ),
        Surface(Material.LAMP, v, (0.65, 0.66, 0.68), (3.0 * lights, 0, 0, 0)),
        _PLATES[int(chance[4] * 397) % 4],
        Surface(cargo, v, load, (float(4 + int(chance[5] * 59)), 5.0, 2.4, 0)),
    ]


_WHITE = srgb(226, 226, 224)
_GLASS = tuple(
    Surface(Material.GLASS, Category.VEHICLE, (0.02 * tint, 0.022 * tint, 0.025 * tint))
    for tint in (0.12, 0.2, 0.5, 0.8, 1.2, 2.0)
)
_RUBBER = Surface(Material.RUBBER, Category.VEHICLE, (0.016, 0.016, 0.017))
_HUBS = tuple(
    Surface(Material.METAL, Category.VEHICLE, (g, g, g)) for g in (0.03, 0.1, 0.2, 0.28, 0.36, 0.45)
)
_PLATES = tuple(
    Surface(Material.PRINT, Category.VEHICLE, (0.55, 0.55, 0.55), (float(i), 0.5, 0.12, 0))
    for i in range(4)
)


def _fleet_colour(rng: np.random.Generator) -> Colour:
    """White, or any paint."""
    if rng.random() < 0.55:
        return varied(_WHITE, rng, 0.1)
    return car_colour(rng)


def _car(body: Body, detail: int) -> Mesh:
    """A lofted body with ends and wheels."""
    at = _stations(body, detail)
    half = np.stack([_section(body, t) for t in at])  # (S, 9, 3)
    parts = _car_parts(body, at)
    length, width, _ = body.size_m
    ends = [_front(half[0], length), _rear(half[-1], half[-2], body)]
    wheels = _wheels(length, width, body.wheels, body.wheel_m, _SIDES[detail])
    if detail == 0:
        half, parts = half[:, [0, 2, 4, 5, 8]], parts[:, [0, 2, 4, 6]]
        wheels = wheels[::2]
    ends += [_cap(half[0]), _cap(half[-1])]
    side = grid(half, parts)
    pieces = [side, side.mirrored(), *ends, *wheels]
    if detail == 2:
        pieces += _extras(body)
    return joined(pieces)


def _stations(body: Body, detail: int) -> Floats:
    """Where along the length to cut, in fractions: coarse, as listed, or twice as fine."""
    at = np.array(body.along, np.float32)
    if detail == 0:
        return at[[0, 3, 4, 9, 10 if body.rear_window == 9 else 11, 12]]
    if detail == 1:
        return at
    return np.unique(
        np.concatenate([at, (at[1:] + at[:-1]) / 2, (0.005, 0.05, 0.93, 0.995)])
    ).astype(np.float32)


def _section(body: Body, t: float) -> Floats:
    """Half a cross-section from the sill to the middle of the roof at a fraction of the length, (9,
    3).
    """
    length, width, height = body.size_m
    nose = min(min(t, 1 - t) / 0.16, 1.0)
    w = width / 2 * (0.86 + 0.14 * math.sqrt(1 - (1 - nose) ** 2))
    # The mean over a short stretch rounds the corners of the side view.
    stretch = np.clip(t + np.array((-0.016, -0.008, 0.0, 0.008, 0.016)), 0, 1)
    top = height * float(np.interp(stretch, body.along, body.top).mean())
    belt = min(height * float(np.interp(stretch, body.along, body.belt).mean()), top - 0.012)
    cabin = min(max((top - belt) / (0.33 * height), 0), 1)
    y_top = w * (0.93 - 0.17 * cabin)
    sill = 0.13 * height
    skirt = sill + 0.16 * height * max(0.0, 1 - nose) ** 2  # the bumpers curve up
    outline = (
        (0.90 * w, skirt),
        (0.97 * w, sill + 0.24 * (belt - sill)),
        (w, sill + 0.62 * (belt - sill)),
        (0.955 * w, belt - 0.01),
        (0.93 * w, belt),
        (y_top, max(top - 0.055 * cabin - 0.01, belt + 0.003)),
        (y_top * 0.89, max(top - 0.012, belt + 0.006)),
        (y_top * 0.45, top + 0.004),
        (0.0, top + 0.008 + 0.012 * (1 - cabin)),
    )
    return np.array([((0.5 - t) * length, y, z) for y, z in outline], np.float32)


def _car_parts(body: Body, at: Floats) -> NDArray[np.int16]:
    """Which part each cell of the loft shows: (stations - 1, 8)."""
    middle = (at[1:] + at[:-1]) / 2
    cell = np.clip(
        np.searchsorted(np.array(body.along), middle, side="right") - 1, 0, len(body.along) - 2
    )
    parts = np.full((len(cell), 8), PAINT, np.int16)
    parts[:, 0] = BLACK
    parts[np.isin(cell, body.glass), 4] = GLASS
    parts[cell == body.rear_window, 5:] = GLASS
    parts[cell == body.windscreen, 4:] = GLASS
    return parts


def _cap(half: Floats) -> Mesh:
    """Closes the loft at an end, behind the face."""
    ring = np.concatenate([half, half[::-1] * np.array((1, -1, 1), np.float32)])
    following = np.roll(ring, -1, axis=0)
    middle = np.broadcast_to(ring.mean(axis=0), ring.shape)
    return without_slivers(quads(np.stack([middle, ring, following, following], axis=1), PAINT))


def _front(station: Floats, length: float) -> Mesh:
    """Bumper, plate, lamps and grille."""
    rows = station[[0, 1, 2, 5]]
    pattern = ((BLACK,) * 5, (PAINT, PAINT, PLATE, PAINT, PAINT), (HEAD, BLACK, BLACK, BLACK, HEAD))
    return _face(rows, pattern, (1.0, 0.62, 0.2, -0.2, -0.62, -1.0), length / 2)


def _rear(station: Floats, inner: Floats, body: Body) -> Mesh:
    """Bumper, plate, and lamps below the waist; what is above belongs to the loft."""
    high, begin = body.lamp
    top = station[5].copy()
    top[2] = max(top[2], 0.94 * inner[3, 2])
    low = top.copy()
    low[1:] = (station[3, 1], max(top[2] - high, station[2, 2] + 0.02))
    rows = np.stack([station[0], station[1], low, top])
    pattern = ((BLACK,) * 5, (PAINT, PAINT, PLATE, PAINT, PAINT), (TAIL, PAINT, PAINT, PAINT, TAIL))
    return _face(rows, pattern, (-1.0, -begin, -0.19, 0.19, begin, 1.0), -body.size_m[0] / 2)


def _face(
    rows: Floats, pattern: tuple[tuple[int, ...], ...], across: tuple[float, ...], x_m: float
) -> Mesh:
    """An upright end of a body: cells between the heights of `rows` and the fractions `across`."""
    cells = []
    for low, high, parts in zip(rows[:-1], rows[1:], pattern, strict=True):
        for a, b, part in zip(across[:-1], across[1:], parts, strict=True):
            bulge = 0.012 if x_m > 0 else -0.012
            corners = np.array(
                (
                    (x_m + bulge, a * low[1], low[2]), (x_m + bulge, b * low[1], low[2]),
                    (x_m + bulge, b * high[1], high[2]), (x_m + bulge, a * high[1], high[2]),
                )
            )  # fmt: skip
            cells.append(quads(corners[None], part))
    return joined(cells)


def _wheels(
    length: float, width: float, at: tuple[float, ...], radius: float, sides: int
) -> list[Mesh]:
    """Arches, hubs and tyres at fractions of the length."""
    wheels = []
    for fraction in at:
        x = (0.5 - fraction) * length
        for side in (-1, 1):
            outer, inner = side * (width / 2 + 0.005), side * (width / 2 - 0.24)
            arch = disc(
                (x, side * (width / 2 - 0.004), radius + 0.02),
                (0, side, 0),
                1.16 * radius,
                sides,
                BLACK,
            )
            hub = disc((x, outer + 0.004 * side, radius), (0, side, 0), 0.64 * radius, sides, HUB)
            wheels += [arch, hub]
            if sides > 6:
                wheels.append(
                    tube((x, inner, radius), (x, outer, radius), (radius, radius), sides, BLACK)
                )
    return wheels


def _extras(body: Body) -> list[Mesh]:
    """Mirrors and bumpers."""
    length, width, height = body.size_m
    x = (0.5 - body.along[body.windscreen] - 0.04) * length
    z = body.belt[body.windscreen] * height
    mirror = box((0.14, 0.2, 0.13), (x, width / 2 + 0.06, z), PAINT)
    bumper = slab((0.10, width * 0.9, 0.18), (-length / 2 - 0.03, 0, 0.24 * height), BLACK)
    lip = slab((0.08, width * 0.86, 0.14), (length / 2 + 0.02, 0, 0.18 * height), BLACK)
    return [mirror, mirror.mirrored(), bumper, lip]


def _bus(sides: int) -> Mesh:
    """A city bus."""
    length, width, height = 11.5, 2.55, 3.1
    skirt = slab((length, width, 0.98), (0, 0, 0.32), PAINT)
    panes = [
        box((1.42, width + 0.02, 1.15), (-length / 2 + 0.9 + 1.55 * i, 0, 1.32), GLASS)
        for i in range(7)
    ]
    middle = box((length, width, 1.2), (0, 0, 1.3), BLACK)
    roof = box((length, width, height - 2.5), (0, 0, 2.5), PAINT)
    front = slab((0.05, width * 0.94, 1.5), (length / 2, 0, 1.1), GLASS)
    back = slab((0.05, width * 0.8, 0.8), (-length / 2, 0, 1.75), GLASS)
    lamps = [
        slab((0.06, 0.28, 0.16), (length / 2, 1.0, 0.62), HEAD),
        slab((0.06, 0.22, 0.34), (-length / 2, 1.1, 0.75), TAIL),
    ]
    lamps += [lamp.mirrored() for lamp in lamps]
    sign = slab((0.06, 1.7, 0.26), (length / 2, 0, 2.68), PLATE)
    advert = box((3.5, width + 0.03, 0.7), (-1.0, 0, 0.5), CARGO)
    wheels = _wheels(length, width, (0.22, 0.72), 0.48, sides)
    return joined([skirt, *panes, middle, roof, front, back, *lamps, sign, advert, *wheels])


def _cab(front_x: float, width: float, height: float) -> list[Mesh]:
    """A lorry's cab, its front at x."""
    cab = slab((1.9, width * 0.97, height - 0.5), (front_x - 0.95, 0, 0.5), PAINT)
    screen = slab((0.05, width * 0.86, 0.85), (front_x, 0, height - 1.15), GLASS)
    window = box((0.9, width * 0.985, 0.75), (front_x - 0.6, 0, height - 1.1), GLASS)
    grille = slab((0.06, width * 0.6, 0.6), (front_x, 0, 0.75), BLACK)
    lamp = slab((0.07, 0.32, 0.2), (front_x, width * 0.37, 0.72), HEAD)
    return [cab, screen, window, grille, lamp, lamp.mirrored()]


def _cargo(length: float, width: float, height: float, x_m: float) -> list[Mesh]:
    """A lorry's box with lamps and bumper, its middle at x."""
    hold = slab((length, width, height - 1.0), (x_m, 0, 1.0), CARGO)
    frame = slab((length, width * 0.5, 0.35), (x_m, 0, 0.65), BLACK)
    rear = x_m - length / 2
    door = slab((0.02, 0.05, height - 1.3), (rear - 0.01, 0, 1.1), BLACK)
    bumper = slab((0.1, width * 0.9, 0.16), (rear - 0.02, 0, 0.48), BLACK)
    lamp = slab((0.06, 0.3, 0.14), (rear - 0.05, width * 0.36, 0.72), TAIL)
    plate = slab((0.05, 0.5, 0.13), (rear - 0.04, 0, 0.7), PLATE)
    return [hold, frame, door, bumper, lamp, lamp.mirrored(), plate]


def _lorry(sides: int) -> Mesh:
    """A box lorry."""
    length, width, height = 7.5, 2.45, 3.3
    wheels = _wheels(length, width, (0.14, 0.76), 0.46, sides)
    return joined([*_cab(length / 2, width, 2.6), *_cargo(5.4, width, height, -1.0), *wheels])


def _truck(sides: int) -> Mesh:
    """An articulated lorry."""
    length, width, height = 15.0, 2.5, 4.0
    wheels = _wheels(length, width, (0.09, 0.30, 0.80, 0.88), 0.5, sides)
    return joined([*_cab(length / 2, width, 3.4), *_cargo(12.6, width, height, -1.15), *wheels])
