"""Cut-outs where there are none: rendered people, riders and vehicles with soft edges, as RGBA.

Each stands alone before a low camera, is rendered at twice its size, and is shrunk with its cover,
so that its edge has the colour of the thing and not of what was behind it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudytools.scenes import people, traffic, vehicles
from cloudytools.scenes.develop import Film, developed
from cloudytools.scenes.light import Light, random_light
from cloudytools.scenes.marks import MarkPainter
from cloudytools.scenes.mesh import Mesh
from cloudytools.scenes.road import Road
from cloudytools.scenes.shade import render
from cloudytools.scenes.surfaces import Surface
from cloudytools.scenes.world import Place, View, WorldBuilder

_EYE_M = 1.5
_FINEST = 2  # detail of meshes
_BARE_M = (-12.0, 12.0)  # of road without marks


@dataclass(frozen=True, slots=True)
class _Thing:
    """What is cut out, and the radius that it fits into."""

    mesh: Mesh
    surfaces: list[Surface]
    radius_m: float


def cutout(seed: int, size_px: int = 192) -> NDArray[np.uint8]:
    """RGBA (H, W, 4) of something on a road, at most `size_px` a side; the same for a seed."""
    rng = np.random.default_rng(seed)
    thing, light = _thing(rng), _daylight(rng)
    builder = WorldBuilder(View(0.0, math.pi))
    distance_m = 5 * thing.radius_m
    turn_rad = float(rng.uniform(-math.pi, math.pi))
    builder.add(thing.mesh, thing.surfaces, Place(distance_m, 0.0, 0.0, turn_rad))
    world = builder.build(Road(0.0, 0.0, 0.0, 3.5, ()), MarkPainter(_BARE_M).finished())
    rendering = render(world, _camera(thing.radius_m, distance_m, 2 * size_px), light)
    cover = np.isfinite(rendering.depth_m)
    colour = rendering.colour.copy()
    colour[:, ~cover] = colour[:, cover].mean(axis=1, keepdims=True)  # metered on the thing alone
    film = Film(target=float(rng.uniform(0.25, 0.5)), vignette=0.0, bloom=0.0)
    return _shrunk(developed(colour, film), cover)


def _thing(rng: np.random.Generator) -> _Thing:
    """Someone on foot or on two wheels, or a vehicle."""
    draw = rng.random()
    if draw < 0.45:
        pose = int(rng.integers(people.POSES))
        return _Thing(people.walker(pose, _FINEST), people.surfaces_of(rng), 1.0)
    if draw < 0.6:
        maker = people.rider if rng.random() < 0.6 else people.motorbike
        return _Thing(maker(True), people.surfaces_of(rng), 1.3)
    kind = traffic.any_kind(rng)
    mesh, surfaces = vehicles.shape(kind, _FINEST), vehicles.surfaces_of(kind, rng, 0.0)
    return _Thing(mesh, surfaces, vehicles.LENGTHS_M[kind] / 2 + 0.3)


def _daylight(rng: np.random.Generator) -> Light:
    light = random_light(rng)
    while light.night:
        light = random_light(rng)
    return light


def _camera(radius_m: float, distance_m: float, side_px: int) -> Camera:
    """A square picture just wide enough for a thing of this radius."""
    f_px = 0.48 * side_px * (distance_m - radius_m) / radius_m
    middle = (side_px - 1) / 2
    pitch_rad = math.atan((_EYE_M - min(radius_m, 1.0)) / distance_m)
    intrinsics = Intrinsics(side_px, side_px, f_px, f_px, middle, middle)
    return Camera(intrinsics, mount=Mount(_EYE_M, pitch_rad=pitch_rad), calibration="file")


def _shrunk(picture: NDArray[np.uint8], cover: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Half the size, trimmed to what is covered; colours are the means of what is covered."""
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    top, left = rows[0] // 2 * 2, columns[0] // 2 * 2
    trimmed = np.s_[top : rows[-1] // 2 * 2 + 2, left : columns[-1] // 2 * 2 + 2]
    share = cover[trimmed].astype(np.float32)
    layers = np.dstack([picture[trimmed] * share[..., None], share])
    half = layers.shape[1] // 2, layers.shape[0] // 2
    small = cv2.resize(layers, half, interpolation=cv2.INTER_AREA)
    colour = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    return np.dstack([np.rint(colour), np.rint(255 * small[..., 3])]).astype(np.uint8)
