"""Beside motorways and country roads: rails, barriers, slopes, fields, woods, gantries, bridges."""

from __future__ import annotations

import math

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes import buildings, furniture
from cloudytools.scenes.fences import rail_posts, wire_mesh
from cloudytools.scenes.furniture import Thing
from cloudytools.scenes.road import ridge
from cloudytools.scenes.site import Site, grass_surface
from cloudytools.scenes.surfaces import Material, Surface, varied
from cloudytools.scenes.world import Place

_WHOLE = (-250.0, 250.0)


def motorway(site: Site, side: int) -> None:
    """Shoulder, rail or barrier, slope, then woods, walls or open land; the other carriageway on
    its side.
    """
    rng, edge = site.rng, side * site.road.half_m
    opposite = [lane.d_m for lane in site.road.lanes if lane.direction < 0]
    if opposite and np.sign(np.mean(opposite)) == side:
        middle = edge + side * 1.5
        _barrier(site, middle, jersey=rng.random() < 0.6)
        edge = side * (max(abs(d) for d in opposite) + 4.0)
    _barrier(site, edge + side * 0.5, jersey=rng.random() < 0.35)
    rise = float(rng.choice((0.0, 0.0, rng.uniform(0.5, 9.0), -rng.uniform(0.5, 4))))
    run = float(rng.uniform(8, 25))
    start = edge + side * 1.5
    slope = [
        (start, 0.03),
        (start + side * 4, 0.05),
        (start + side * (4 + run), max(rise, 0.05)),
        (side * 300, max(rise, 0.05)),
    ]
    site.wall(slope, _WHOLE, grass_surface(rng))
    _beyond(site, side, start + side * 5, max(rise, 0.0), run)
    _high_things(site, side, edge)


def rural(site: Site, side: int) -> None:
    """Gravel, grass, perhaps a rail, fields, trees, poles, a house here and there."""
    rng, edge = site.rng, side * site.road.half_m
    gravel = Surface(Material.GRAVEL, Category.FLAT, varied((0.22, 0.19, 0.15), rng))
    for span in site.spans():
        site.wall([(edge, 0.01), (edge + side * 0.8, 0.01)], span, gravel)
        start, bank = edge + side * 0.8, 0.02 + 0.3 * float(rng.random() < 0.3)
        verge = [(start, 0.02), (start + side * 2, bank), (start + side * 5, 0.05)]
        site.wall([*verge, (side * 300, 0.06)], span, grass_surface(rng))
    if rng.random() < 0.45:
        _barrier(site, edge + side * 0.6, jersey=False)
    _beyond(site, side, edge + side * 3, 0.0, 6.0)
    if rng.random() < 0.5:
        for x in site.steps((-100, 200), (35, 45)):
            site.put(furniture.utility_pole(rng), (x, edge + side * 3))
    for x in site.steps((-60, 160), (25, 120)):
        site.put(furniture.sign(rng), (x, edge + side * 1.4), math.pi * (side > 0))
    _farms(site, side, edge)


def _farms(site: Site, side: int, edge_m: float) -> None:
    """Houses and halls far apart, some way from the road."""
    rng = site.rng
    for x in site.steps((-60, 200), (40, 160)):
        d = edge_m + side * float(rng.uniform(15, 50))
        if site.sees(x, d, 16):
            thing = buildings.house(rng) if rng.random() < 0.7 else buildings.hall(rng, 24, 14)
            site.put(thing, (x, d), 0.0 if side > 0 else math.pi)


def skyline(site: Site) -> None:
    """Far hills, woods and blocks behind everything."""
    rng = site.rng
    for _ in range(int(rng.integers(1, 4))):
        distance, height = float(rng.uniform(160, 330)), float(10 ** rng.uniform(0.5, 1.75))
        colour = varied(
            (0.045, 0.06, 0.028) if rng.random() < 0.7 else (0.16, 0.13, 0.07), rng, 0.3
        )
        surface = Surface(
            Material.FOLIAGE if rng.random() < 0.5 else Material.GRASS, Category.NATURE, colour
        )
        site.builder.add(ridge(rng, distance, height), [surface], Place(0, 0))
    _far_blocks(site, int(rng.integers(0, 14)) if site.style != "rural" else 2)
    for _ in range(int(rng.integers(0, 40))):
        d = float(rng.choice((-1, 1))) * float(rng.uniform(30, 150))
        site.tree((float(rng.uniform(-150, 240)), d), float(rng.uniform(6, 20)), site.tree_kind())


def _far_blocks(site: Site, count: int) -> None:
    """Tall buildings far from the road."""
    rng = site.rng
    for _ in range(count):
        d = float(rng.choice((-1, 1))) * float(rng.uniform(55, 180))
        x = float(rng.uniform(-120, 230))
        if site.sees(x, d, 20):
            thing = buildings.block(rng, float(rng.uniform(12, 35)), 15, int(rng.integers(2, 11)))
            site.put(thing, (x, d), 0.0 if d > 0 else math.pi)


def _barrier(site: Site, d_m: float, jersey: bool) -> None:
    """A concrete barrier or a steel rail on posts, all along."""
    rng = site.rng
    if jersey:
        concrete = Surface(
            Material.CONCRETE, Category.CONSTRUCTION, varied((0.38, 0.37, 0.35), rng)
        )
        high = float(rng.uniform(0.8, 1.2))
        outline = [
            (d_m - 0.3, 0),
            (d_m - 0.12, 0.3),
            (d_m - 0.08, high),
            (d_m + 0.08, high),
            (d_m + 0.12, 0.3),
            (d_m + 0.3, 0),
        ]
        site.wall(outline, _WHOLE, concrete)
        return
    steel = Surface(Material.METAL, Category.CONSTRUCTION, varied((0.32, 0.33, 0.34), rng))
    for z in (0.42, 0.60):
        site.wall(
            [(d_m, z), (d_m + 0.06, z + 0.06), (d_m, z + 0.13), (d_m - 0.06, z + 0.06), (d_m, z)],
            _WHOLE,
            steel,
        )
    for x in np.arange(-60.0, 120.0, 12.0):
        site.put(Thing(rail_posts(), [steel]), (float(x), d_m + 0.08 * float(np.sign(d_m))), 0.0)


def _beyond(site: Site, side: int, start_m: float, rise_m: float, run_m: float) -> None:
    """What grows or stands behind the verge: a wall, a fence, belts of trees, bushes."""
    rng = site.rng
    kind, top = int(rng.integers(5)), start_m + side * run_m
    if kind == 0:
        _sound_wall(site, side, top, rise_m)
    elif kind == 1:
        steel = Surface(Material.METAL, Category.CONSTRUCTION, varied((0.2, 0.2, 0.2), rng))
        for x in np.arange(-60.0, 110.0, 10.0):
            site.put(Thing(wire_mesh(), [steel]), (float(x), top), 0.0, rise_m)
    gap_m = float(rng.choice((4.0, 8.0, 14.0, 40.0)))
    site.belt((top + side * 1.5, top + side * 14), (-120, 220), gap_m, rise_m * 0.98)
    if gap_m < 10:
        site.belt((top + side * 12, top + side * 40), (-60, 240), gap_m, rise_m * 0.98)
    if rng.random() < 0.6:
        for x in site.steps((-80, 140), (2.5, 9)):
            at = (x, top + side * float(rng.exponential(3)))
            site.bush(at, float(rng.uniform(0.6, 2.6)), rise_m * 0.97)


def _sound_wall(site: Site, side: int, d_m: float, foot_m: float) -> None:
    """A high wall of concrete or timber."""
    rng = site.rng
    material = Material.CONCRETE if rng.random() < 0.5 else Material.TIMBER
    wall = Surface(material, Category.CONSTRUCTION, varied((0.3, 0.26, 0.22), rng))
    high, foot, back = foot_m + float(rng.uniform(2.5, 5)), foot_m - 0.5, d_m + side * 0.3
    site.wall([(d_m, foot), (d_m, high), (back, high), (back, foot)], _WHOLE, wall)


def _high_things(site: Site, side: int, edge_m: float) -> None:
    """Gantries, bridges, lamps, boards: each only sometimes, and each once for both sides."""
    rng = site.rng
    if side < 0:
        width = 2 * site.road.half_m
        if rng.random() < 0.35:
            site.put(furniture.gantry(rng, width), (float(rng.uniform(20, 140)), 0.0), 0.0)
        if rng.random() < 0.25:
            site.put(furniture.bridge(rng, width + 46), (float(rng.uniform(35, 160)), 0.0), 0.0)
    if rng.random() < 0.4:
        for x in site.steps((-80, 200), (38, 46)):
            site.put(
                furniture.street_lamp(rng, site.light.night),
                (x, edge_m + side * 1.2),
                math.pi * (side > 0),
            )
    if rng.random() < 0.3:
        site.put(
            furniture.billboard(rng),
            (float(rng.uniform(10, 120)), edge_m + side * float(rng.uniform(6, 20))),
            0.0,
        )
    for x in site.steps((-40, 160), (30, 110)):
        site.put(furniture.sign(rng), (x, edge_m + side * 1.0), math.pi * (side > 0))
