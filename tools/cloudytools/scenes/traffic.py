"""Who is on the road: queues and gaps in lanes, parked rows, crossing traffic, people."""

from __future__ import annotations

import math

import numpy as np

from cloudytools.scenes.road import Lane, Span
from cloudytools.scenes.site import Site
from cloudytools.scenes.surfaces import chances, drawn
from cloudytools.scenes.vehicles import KIND_WEIGHTS, LENGTHS_M

_KINDS = tuple(KIND_WEIGHTS)
_ANY = chances(list(KIND_WEIGHTS.values()))
_PARKED = chances([w * (kind not in ("bus", "lorry", "truck")) for kind, w in KIND_WEIGHTS.items()])
# Free road between vehicles, metres: (least, mean of the rest).
DENSITIES = {"jam": (1.5, 1.5), "dense": (4.0, 8.0), "flowing": (8.0, 25.0), "sparse": (20.0, 90.0)}
EGO_M = 2.6  # half the length kept free around the camera in its own lane


def any_kind(rng: np.random.Generator) -> str:
    """A kind of vehicle, as common as on the road."""
    return _KINDS[drawn(rng, _ANY)]


def car_kind(rng: np.random.Generator) -> str:
    """A kind of vehicle that parks at kerbs."""
    return _KINDS[drawn(rng, _PARKED)]


def fill_lanes(site: Site, density: str, ego: Lane | None) -> None:
    """Vehicles in every lane; the ego's own keeps its place free."""
    for lane in site.road.lanes:
        own = (
            density
            if lane.direction > 0 or density != "jam" or site.rng.random() < 0.3
            else "flowing"
        )
        if lane is ego:
            first = EGO_M + float(_first_gap(site.rng, own))
            _fill(site, lane, own, (first, 220.0))
            _fill(site, lane, own, (-200.0, -EGO_M - 2.0))
        else:
            _fill(site, lane, own, (-200.0, 220.0))


def _first_gap(rng: np.random.Generator, density: str) -> float:
    """How far ahead of the camera's bumper the next vehicle is: often near."""
    if density in ("jam", "dense") or rng.random() < 0.25:
        return float(rng.uniform(1.0, 9.0))
    return float(rng.uniform(6, 60))


def _fill(site: Site, lane: Lane, density: str, span_m: Span) -> None:
    """Vehicles one after another along a stretch of a lane."""
    least, mean = DENSITIES[density]
    x = span_m[0] + float(site.rng.exponential(mean) if span_m[0] < 0 else 0.0)
    while x < span_m[1]:
        kind = any_kind(site.rng)
        middle = x + LENGTHS_M[kind] / 2
        if middle + LENGTHS_M[kind] / 2 > span_m[1]:
            return
        heading = 0.0 if lane.direction > 0 else math.pi
        d = lane.d_m + float(site.rng.normal(0, 0.18))
        if site.rng.random() < 0.04:
            site.two_wheeler((middle, d), heading)
        else:
            site.vehicle(kind, (middle, d), heading + float(site.rng.normal(0, 0.015)))
        x = middle + LENGTHS_M[kind] / 2 + least + float(site.rng.exponential(mean))


def parked_row(site: Site, d_m: float, spans: list[Span], occupancy: float) -> None:
    """Cars along the kerb, most of them facing the way of the traffic."""
    facing = 0.0 if d_m < 0 else math.pi
    for start, end in spans:
        x = start + 2.0
        while x < end - 6:
            kind = car_kind(site.rng)
            if site.rng.random() < occupancy:
                turn = facing + _parking_turn(site.rng, 0.12)
                at = (x + LENGTHS_M[kind] / 2, d_m + float(site.rng.normal(0, 0.08)))
                site.vehicle(kind, at, turn)
            x += LENGTHS_M[kind] + float(site.rng.uniform(0.5, 1.8))


def parking_lot(site: Site, d_m: Span, span_m: Span) -> None:
    """Rows of bays across the road's direction, taken at random."""
    occupancy = float(site.rng.uniform(0.25, 0.9))
    sign = 1.0 if d_m[1] > d_m[0] else -1.0
    for offset, way in ((2.8, 1), (8.0, -1), (18.5, 1), (23.7, -1), (34.0, 1)):
        if offset < abs(d_m[1] - d_m[0]) - 2.0:
            _bays(site, d_m[0] + sign * offset, span_m, (way * sign * math.pi / 2, occupancy))


def _bays(site: Site, d_m: float, span_m: Span, facing_and_occupancy: tuple[float, float]) -> None:
    """One row of bays 2.7 m wide, and the cars in them."""
    facing, occupancy = facing_and_occupancy
    for x in np.arange(span_m[0] + 2, span_m[1] - 2, 2.7).tolist():
        site.painter.rectangle((x - 1.4, x - 1.3), (d_m - 2.4, d_m + 2.4), 0.6)
        if site.rng.random() < occupancy:
            at = (x, d_m + float(site.rng.normal(0, 0.25)))
            site.vehicle(car_kind(site.rng), at, facing + _parking_turn(site.rng, 0.3))


def _parking_turn(rng: np.random.Generator, backwards: float) -> float:
    """Not quite straight, and by some chance the other way round."""
    return math.pi * (rng.random() < backwards) + float(rng.normal(0, 0.02))


def crossing_traffic(site: Site) -> None:
    """Vehicles on the roads that cross ours, none where the ego stands."""
    for crossing in site.road.crossings:
        if abs(crossing.x_m) >= 12:
            _fill_across(site, crossing.x_m - 1.8, -math.pi / 2)
            _fill_across(site, crossing.x_m + 1.8, math.pi / 2)


def _fill_across(site: Site, x_m: float, heading_rad: float) -> None:
    """One lane of a crossing road, with fewer vehicles in the middle of the crossing."""
    d = -60.0 + float(site.rng.exponential(20))
    while d < 60:
        kind = any_kind(site.rng)
        if abs(d) >= site.road.half_m + 3 or site.rng.random() < 0.4:
            site.vehicle(kind, (x_m, d), heading_rad)
        d += LENGTHS_M[kind] + 3 + float(site.rng.exponential(25))


def people_on(
    site: Site, d_m: tuple[float, float], spans: list[Span], per_100_m: float, lift_m: float
) -> None:
    """People scattered over a strip, alone and in groups."""
    for start, end in spans:
        first = max(start, -40.0)
        near = (first, max(min(end, 70.0), first))
        for _ in range(int(site.rng.poisson(max(per_100_m * (near[1] - near[0]) / 100, 0)))):
            x, d = float(site.rng.uniform(*near)), float(site.rng.uniform(min(d_m), max(d_m)))
            for _ in range(int(site.rng.integers(1, 4))):
                if math.hypot(x, d + site.road.offset_m) > 1.6:
                    site.person((x, d), lift_m)
                x, d = x + float(site.rng.normal(0, 0.8)), d + float(site.rng.normal(0, 0.5))


def people_crossing(site: Site, x_m: float) -> None:
    """People on their way over the road."""
    for _ in range(int(site.rng.integers(1, 6))):
        d = float(site.rng.uniform(-site.road.half_m, site.road.half_m))
        site.person((x_m + float(site.rng.normal(0, 1.2)), d))
