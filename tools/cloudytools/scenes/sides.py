"""What lies beside a road: pavements, shops, houses and gardens, car parks, fields, slopes, rails
and walls.
"""

from __future__ import annotations

import math

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes import buildings
from cloudytools.scenes.countryside import motorway, rural
from cloudytools.scenes.fences import picket
from cloudytools.scenes.furniture import (
    Thing,
    bus_shelter,
    cone,
    sign,
    small_thing,
    street_lamp,
    traffic_light,
    utility_pole,
)
from cloudytools.scenes.mesh import box
from cloudytools.scenes.road import Span
from cloudytools.scenes.site import KERB_M, Site, grass_surface, pavement_surface
from cloudytools.scenes.surfaces import WALLS, Material, Surface, picked, varied
from cloudytools.scenes.traffic import car_kind, parked_row, parking_lot, people_on


def dress(site: Site, side: int) -> None:
    """Build up one side of the road, -1 right or 1 left."""
    _MAKERS[site.style](site, side)


def _urban(site: Site, side: int) -> None:
    """Parked cars, a pavement and terraces of tall houses."""
    rng, edge = site.rng, side * site.road.half_m
    wide, floors = float(rng.uniform(2.2, 6.0)), int(rng.integers(2, 7))
    top = pavement_surface(rng)
    for span in site.spans():
        site.raised((edge, edge + side * (wide + 40)), span, top)
        _terrace(site, side, edge + side * wide, span, floors)
    if rng.random() < 0.75:
        spans = site.spans(7.0, near=True)
        parked_row(site, edge - side * 1.1, spans, float(rng.uniform(0.3, 0.97)))
    _kerbside(site, side, edge + side * 0.7, trees=0.55, lamp_gap_m=float(rng.uniform(22, 45)))
    strip = (edge + side * 0.8, edge + side * wide)
    people_on(site, strip, site.spans(), float(rng.uniform(0, 22)), KERB_M)


def _terrace(site: Site, side: int, front_m: float, span: Span, floors: int) -> None:
    """House beside house, with a gap now and then."""
    rng = site.rng
    x = span[0] + float(rng.uniform(0.5, 3))
    while x < span[1] - 6:
        length = min(float(rng.uniform(7, 30)), span[1] - x - 0.5)
        middle = x + length / 2
        if rng.random() < 0.1:
            site.tree(
                (middle, front_m + side * 4), float(rng.uniform(5, 12)), site.tree_kind(), KERB_M
            )
        elif site.sees(middle, front_m + side * 6, length / 2 + 8):
            depth = float(rng.uniform(9, 16))
            storeys = int(np.clip(floors + rng.integers(-1, 3), 1, 9))
            maker = buildings.block if rng.random() < 0.85 else None
            thing = (
                maker(rng, length, depth, storeys) if maker else buildings.shop(rng, length, depth)
            )
            set_back = float(rng.choice((0, 0, rng.uniform(0, 2))))
            _facing(site, side, thing, (middle, front_m + side * set_back))
        x += length + float(rng.choice((0.02, 0.02, rng.uniform(1, 7))))


def _facing(site: Site, side: int, thing: Thing, at_m: tuple[float, float]) -> None:
    """A building with its front to the road."""
    site.put(thing, at_m, 0.0 if side > 0 else math.pi, lift_m=0.02)


def _suburban(site: Site, side: int) -> None:
    """Verges, pavements, lawns and houses."""
    rng, edge = site.rng, side * site.road.half_m
    verge, walk = float(rng.uniform(0.0, 2.5)), float(rng.uniform(1.2, 2.0))
    lawn = float(rng.uniform(4, 13))
    inner, outer = edge + side * verge, edge + side * (verge + walk)
    green, top = grass_surface(rng), pavement_surface(rng)
    for span in site.spans():
        if verge > 0.4:
            site.raised((edge, inner), span, green)
        site.raised((inner, outer), span, top)
        site.raised((outer, outer + side * 60), span, green, height_m=KERB_M + 0.01)
        _houses(site, side, outer, lawn, span)
    if rng.random() < 0.7:
        spans = site.spans(6.0, near=True)
        parked_row(site, edge - side * 1.1, spans, float(rng.uniform(0.1, 0.7)))
    _kerbside(site, side, edge + side * 0.6, trees=0.7, lamp_gap_m=float(rng.uniform(30, 60)))
    people_on(site, (inner, outer), site.spans(), float(rng.uniform(0, 5)), KERB_M)


def _houses(site: Site, side: int, start_m: float, lawn: float, span: Span) -> None:
    """Houses with drives, trees and bushes along one stretch."""
    rng = site.rng
    for x in site.steps((span[0] + 4, span[1] - 4), (16, 26)):
        front = start_m + side * (lawn + float(rng.uniform(-1, 2)))
        if site.sees(x, front, 16):
            _facing(site, side, buildings.house(rng), (x, front))
        if rng.random() < 0.6:
            _driveway(site, side, (x + float(rng.choice((-7.5, 7.5))), start_m), lawn)
        for _ in range(int(rng.integers(0, 4))):
            along, inward = float(rng.uniform(-9, 9)), float(rng.uniform(0.8, lawn - 0.5))
            at = (x + along, start_m + side * inward)
            if rng.random() < 0.55:
                site.bush(at, float(rng.uniform(0.5, 1.8)), KERB_M)
            else:
                site.tree(at, float(rng.uniform(3, 11)), site.tree_kind(), KERB_M)
        behind = (x + 8, start_m + side * (lawn + float(rng.uniform(12, 22))))
        site.tree(behind, float(rng.uniform(7, 18)), site.tree_kind(), KERB_M)
    if rng.random() < 0.5:
        far = start_m + side * (lawn + 15)
        site.belt((far, far + side * 16), span, float(rng.uniform(5, 12)), KERB_M)
    if rng.random() < 0.4:
        _boundary(site, side, start_m + side * 0.25, span)


def _driveway(site: Site, side: int, at_m: tuple[float, float], lawn: float) -> None:
    """Concrete from the pavement to the house, perhaps with a car."""
    x, d = at_m
    top = Surface(Material.CONCRETE, Category.FLAT, varied((0.34, 0.33, 0.31), site.rng))
    site.raised((d, d + side * (lawn + 1)), (x - 2.2, x + 2.2), top, top, KERB_M + 0.03)
    if site.rng.random() < 0.6 and lawn > 6:
        turn = math.pi / 2 * (1 if site.rng.random() < 0.5 else -1)
        site.vehicle(car_kind(site.rng), (x, d + side * (lawn - 2.6)), turn, KERB_M + 0.03)


def _boundary(site: Site, side: int, d_m: float, span: Span) -> None:
    """A fence, a low wall or a hedge along the pavement."""
    kind = int(site.rng.integers(4))
    low, base = float(site.rng.uniform(0.7, 1.8)), KERB_M
    for a in np.arange(span[0], span[1] - 8, 14.0):
        stretch = (float(a), float(a) + 10.5)
        back = d_m + side * (0.25 if kind == 0 else 0.7)
        outline = [(d_m, base), (d_m, low), (back, low), (back, base)]
        if not site.sees(float(a) + 5, d_m, 8):
            continue
        if kind == 0:
            wall = Surface(Material.BRICK, Category.CONSTRUCTION, picked(WALLS, site.rng))
            site.wall(outline, stretch, wall)
        elif kind == 1:
            leaf = Surface(Material.FOLIAGE, Category.NATURE, varied((0.04, 0.07, 0.02), site.rng))
            site.wall(outline, stretch, leaf)
        else:
            _picket(site, (stretch[0], d_m), low, kind == 2)


def _picket(site: Site, at_m: tuple[float, float], high: float, closed: bool) -> None:
    """Ten metres of fence, boards touching or apart."""
    x, d = at_m
    colour = (0.6, 0.6, 0.58) if site.rng.random() < 0.4 else (0.22, 0.14, 0.08)
    wood = Surface(Material.TIMBER, Category.CONSTRUCTION, varied(colour, site.rng))
    site.put(Thing(picket(closed).scaled(1, 1, high), [wood]), (x + 5, d), 0.0, KERB_M)


def _arterial(site: Site, side: int) -> None:
    """A pavement, a planted strip, a car park and shops behind it."""
    rng, edge = site.rng, side * site.road.half_m
    walk, strip = float(rng.uniform(1.6, 3.5)), float(rng.uniform(0.0, 3.0))
    lot = float(rng.uniform(9, 38)) if rng.random() < 0.7 else 2.0
    top, green = pavement_surface(rng), grass_surface(rng)
    planted, shops = edge + side * walk, edge + side * (walk + strip + lot)
    for span in site.spans():
        site.raised((edge, planted), span, top)
        if strip > 0.5:
            site.raised((planted, planted + side * strip), span, green, height_m=KERB_M + 0.02)
            for x in site.steps(span, (3, 14)):
                site.bush((x, planted + side * strip / 2), float(rng.uniform(0.4, 1.4)), KERB_M)
        if lot > 6:
            seen = (max(span[0], site.near_m[0]), min(span[1], site.near_m[1]))
            parking_lot(site, (planted + side * (strip + 0.5), shops), seen)
        _shops(site, side, shops, span)
    if rng.random() < 0.45:
        far = shops + side * float(rng.uniform(14, 30))
        site.belt((far, far + side * 15), site.near_m, float(rng.uniform(4, 12)))
    _kerbside(site, side, edge + side * 0.6, trees=0.65, lamp_gap_m=float(rng.uniform(25, 60)))
    people_on(site, (edge + side * 0.6, planted), site.spans(), float(rng.uniform(0, 8)), KERB_M)


def _shops(site: Site, side: int, front_m: float, span: Span) -> None:
    """Shops, halls and blocks apart from each other, trees between."""
    rng = site.rng
    x = span[0] + float(rng.uniform(0, 12))
    while x < span[1] - 12:
        length = min(float(rng.uniform(12, 55)), span[1] - x)
        middle, depth = x + length / 2, float(rng.uniform(10, 25))
        if site.sees(middle, front_m + side * depth / 2, length / 2 + depth / 2):
            choice = rng.random()
            if choice < 0.55:
                thing = buildings.shop(rng, length, depth)
            elif choice < 0.75:
                thing = buildings.hall(rng, length, depth)
            else:
                thing = buildings.block(rng, length, depth, int(rng.integers(2, 6)))
            _facing(site, side, thing, (middle, front_m))
        for _ in range(int(rng.integers(0, 4))):
            site.tree(
                (x + float(rng.uniform(-8, 2)), front_m + side * float(rng.uniform(-3, 12))),
                float(rng.uniform(4, 13)),
                site.tree_kind(),
            )
        x += length + float(rng.uniform(3, 25))


def _kerbside(site: Site, side: int, d_m: float, trees: float, lamp_gap_m: float) -> None:
    """Lamps, signs, poles, small things and, by chance, trees in a row behind the kerb."""
    rng = site.rng
    wires, planted = rng.random() < 0.25, rng.random() < trees
    for span in site.spans(2.5):
        for x in site.steps(span, (lamp_gap_m * 0.9, lamp_gap_m * 1.1)):
            pole = utility_pole(rng) if wires else street_lamp(rng, site.light.night)
            site.put(pole, (x, d_m), _inward(side), KERB_M)
        if planted:
            _avenue(site, side, d_m, span)
        for x in site.steps(span, (9, 50)):
            site.put(sign(rng), (x, d_m), _inward(-side), KERB_M)
        for x in site.steps(span, (6, 40)):
            at = (x, d_m + side * float(rng.uniform(0, 0.8)))
            site.put(small_thing(rng), at, _inward(side), KERB_M)
        if site.style == "urban" and rng.random() < 0.2:
            at = (float(rng.uniform(*span)), d_m + side * 1.2)
            site.put(bus_shelter(rng), at, _inward(side), KERB_M)
    _signals(site, side, d_m)


def _avenue(site: Site, side: int, d_m: float, span: Span) -> None:
    """A row of trees of one kind and about one height."""
    rng = site.rng
    kind, tall = site.tree_kind(), float(rng.uniform(4, 12))
    for x in site.steps(span, (6, 16)):
        at = (x, d_m + side * float(rng.uniform(0, 0.5)))
        site.tree(at, tall * float(rng.uniform(0.75, 1.25)), kind, KERB_M)


def _signals(site: Site, side: int, d_m: float) -> None:
    """Traffic lights at most crossings within reach."""
    for crossing in site.road.crossings:
        within = site.reach_m[0] < crossing.x_m < site.reach_m[1]
        if within and site.style != "suburban" and site.rng.random() < 0.75:
            x = crossing.x_m - side * (crossing.half_m + 1.2)
            site.put(traffic_light(site.rng), (x, d_m), _inward(side), KERB_M)


def _inward(side: int) -> float:
    """The heading of things whose arm reaches over the road."""
    return 0.0 if side < 0 else math.pi


def roadworks(site: Site) -> None:
    """A few cones and a barrier at the edge of the carriageway."""
    rng = site.rng
    side = -1 if rng.random() < 0.7 else 1
    start = float(rng.uniform(5, 35))
    for i in range(int(rng.integers(3, 10))):
        site.put(cone(rng), (start + 2.2 * i, side * (site.road.half_m - 0.5 - 0.05 * i)), 0.0)
    if rng.random() < 0.5:
        stripes = Surface(
            Material.PRINT,
            Category.OBJECT,
            (0.6, 0.1, 0.05),
            (float(rng.integers(8, 64)), 1.5, 0.6, 0.7),
        )
        barrier = Thing(box((0.1, 1.6, 1.0)), [stripes])
        site.put(barrier, (start - 1.5, side * (site.road.half_m - 1.0)), 0.0)


_MAKERS = {
    "urban": _urban,
    "suburban": _suburban,
    "arterial": _arterial,
    "motorway": motorway,
    "rural": rural,
}
