"""Who moves in the embedded drive: the car ahead, oncoming and crossing traffic, people, a cyclist.

Where each of them is follows from the time alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes import people, vehicles
from cloudytools.scenes.mesh import Floats, Mesh
from cloudytools.scenes.road import Road
from cloudytools.scenes.site import KERB_M
from cloudytools.scenes.surfaces import Material, Surface, srgb
from cloudytools.scenes.world import Place

FPS = 20
FRAMES = 400
EGO_D_M = -1.75  # the ego keeps to the middle of its lane
FIRST_X_M = 130.0  # the middle of the first crossing
ZEBRA_X_M = FIRST_X_M - 7.0

# Kind, place along the road at the start (m), speed (m/s).
_ONCOMING = (
    ("suv", 55.0, 9.0), ("sedan", 96.0, 9.5), ("bus", 150.0, 8.0), ("hatchback", 172.0, 8.5),
    ("van", 236.0, 9.0), ("sedan", 268.0, 9.0), ("pickup", 330.0, 9.5), ("coupe", 362.0, 9.5),
)  # fmt: skip
# Kind, which crossing, direction, place on it at the start (m), speed (m/s). Those at the first
# crossing are gone before anybody arrives.
_CROSSING = (
    ("suv", 0, 1, -8.0, 9.0), ("sedan", 0, -1, -16.0, 8.0), ("van", 0, 1, -34.0, 8.5),
    ("hatchback", 0, -1, -40.0, 8.5), ("sedan", 1, 1, -100.0, 8.5), ("lorry", 1, -1, -130.0, 8.0),
    ("suv", 1, 1, -132.0, 8.5), ("sedan", 1, -1, -92.0, 8.5),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mover:
    """Something that moves: its shape and colours, and where it is at a time."""

    shape: Callable[[float], Mesh]  # of seconds
    surfaces: list[Surface]
    place: Callable[[float], Place]  # of seconds
    size_m: tuple[float, float]  # length and width of the ground that it hides from the sky


def drive_movers(road: Road, ego_x_m: Floats) -> list[Mover]:
    """All movers of the drive; `ego_x_m` (FRAMES,) tells where the ego is."""
    rng = np.random.default_rng(4)
    movers = [_lead(road, ego_x_m, rng)]
    movers += [
        _vehicle(kind, rng, _along(road, start, -speed, -EGO_D_M))
        for kind, start, speed in _ONCOMING
    ]
    movers += [_vehicle(plan[0], rng, _across(road, *plan[1:])) for plan in _CROSSING]
    movers += [_crossing_person(road, rng, i) for i in range(7)]
    movers += [_stroller(road, rng) for _ in range(46)]
    cyclist = people.rider(True)
    course = _along(road, 140.0, -4.5, 3.2)
    return [*movers, Mover(lambda _: cyclist, people.surfaces_of(rng), course, (1.6, 0.4))]


def _lead(road: Road, ego_x_m: Floats, rng: np.random.Generator) -> Mover:
    """The car ahead: 30 m away at first, 9.5 m as it waits for people, 25 m in the end."""
    t = np.arange(FRAMES) / FPS
    gap = np.interp(t, (0, 3, 10.8, 12.5, 20), (30, 28, 9.5, 10.5, 25))
    kernel = np.hanning(41) / np.hanning(41).sum()
    gap = np.convolve(np.pad(gap, 20, mode="edge"), kernel, mode="valid")
    middle = ego_x_m + gap + 2.4

    def place(seconds: float) -> Place:
        x, y, z = road.place(float(np.interp(seconds, t, middle)), EGO_D_M)
        return Place(x, y, z, road.heading_rad(x))

    mover = _vehicle("sedan", rng, place)
    red = Surface(Material.PAINT, Category.VEHICLE, srgb(150, 18, 22), (0.1, 0.02, 0, 0))
    mover.surfaces[vehicles.PAINT] = red
    return mover


def _along(road: Road, start_m: float, speed_mps: float, d_m: float) -> Callable[[float], Place]:
    """A course along the road at a steady speed, backwards if negative."""

    def place(seconds: float) -> Place:
        x, y, z = road.place(start_m + speed_mps * seconds, d_m)
        return Place(x, y, z, road.heading_rad(x) + (math.pi if speed_mps < 0 else 0.0))

    return place


def _across(
    road: Road, crossing: int, way: int, start_m: float, speed_mps: float
) -> Callable[[float], Place]:
    """A course over one of the crossings, to the left (1) or the right (-1)."""
    x = road.crossings[crossing].x_m + 1.8 * way
    middle = float(road.centre_m(x))

    def place(seconds: float) -> Place:
        return Place(x, middle + way * (start_m + speed_mps * seconds), 0.0, way * math.pi / 2)

    return place


def _vehicle(kind: str, rng: np.random.Generator, place: Callable[[float], Place]) -> Mover:
    """A vehicle on a course."""
    mesh = vehicles.shape(kind, 2)
    size = (vehicles.LENGTHS_M[kind], vehicles.WIDTHS_M[kind])
    return Mover(lambda _: mesh, vehicles.surfaces_of(kind, rng, 0.25), place, size)


def _walking(phase: float) -> Callable[[float], Mesh]:
    """A walker's shape: two steps in 1.1 s."""
    poses = people.POSES
    return lambda seconds: people.walker(int((seconds / 1.1 + phase) * poses) % poses, 2)


def _crossing_person(road: Road, rng: np.random.Generator, number: int) -> Mover:
    """Someone who walks over the zebra crossing, and is out of the ego's lane when it arrives."""
    way, start_s = (1, 2.0 + 0.85 * number) if number % 3 == 0 else (-1, 1.0 + 0.7 * number)
    x = ZEBRA_X_M + float(rng.uniform(-1.0, 1.0))
    pace = float(rng.uniform(1.6, 2.0))
    middle = float(road.centre_m(x))

    def place(seconds: float) -> Place:
        d = way * (-8.0 + pace * max(seconds - start_s, -0.8))
        lift = KERB_M if abs(d) > road.half_m else 0.0
        return Place(x, middle + d, lift, way * math.pi / 2)

    return Mover(_walking(float(rng.random())), people.surfaces_of(rng), place, (0.5, 0.5))


def _stroller(road: Road, rng: np.random.Generator) -> Mover:
    """Someone who walks along a pavement."""
    way = float(rng.choice((-1, 1)))
    d = float(rng.choice((-1, 1))) * (road.half_m + float(rng.uniform(1.5, 2.7)))
    walk = _along(road, float(rng.uniform(5, 330)), way * float(rng.uniform(1.0, 1.6)), d)
    size = float(rng.uniform(0.9, 1.06))

    def place(seconds: float) -> Place:
        at = walk(seconds)
        return Place(at.x_m, at.y_m, at.z_m + KERB_M, at.heading_rad, (size, size, size))

    return Mover(_walking(float(rng.random())), people.surfaces_of(rng), place, (0.5, 0.5))
