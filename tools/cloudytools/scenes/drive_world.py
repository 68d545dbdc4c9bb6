"""The street of the embedded drive: one town that stays, and movers whose places follow from the
time.

The world's frame is the ego's vehicle frame at the start. Everything follows from fixed seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.messages import Category
from cloudytools.scenes.countryside import skyline
from cloudytools.scenes.courses import paint_road
from cloudytools.scenes.drive_movers import EGO_D_M, FIRST_X_M, FPS, FRAMES, Mover, drive_movers
from cloudytools.scenes.light import Light
from cloudytools.scenes.marks import MarkPainter, Marks, Shade, shaded
from cloudytools.scenes.mesh import Floats, Mesh
from cloudytools.scenes.road import Crossing, Lane, Road, ground_sheet
from cloudytools.scenes.sides import dress
from cloudytools.scenes.site import Site
from cloudytools.scenes.surfaces import Material, Surface
from cloudytools.scenes.world import Place, View, World, WorldBuilder, placed

PAINT_SEED = 12
# (seed, style, side, reach along the road): chosen by eye among a dozen.
BLOCKS = (
    (7, "suburban", -1, (-40.0, FIRST_X_M)),
    (7, "suburban", 1, (-40.0, FIRST_X_M)),
    (8, "urban", -1, (FIRST_X_M, 420.0)),
    (3, "urban", 1, (FIRST_X_M, 420.0)),
)
_TREES = ("round", "round", "tall", "round", "conifer")
CAMERA = Camera(
    Intrinsics.from_fov(640, 360, math.radians(70)),
    mount=Mount(1.5, 0.0, math.radians(2.0), 0.0),
    calibration="file",
)
LIGHT = Light(
    "clear",
    sun_direction=np.array((-0.56, -0.36, 0.746), np.float32),
    sun=np.array((3.2, 2.85, 2.25), np.float32),
    zenith=np.array((0.24, 0.47, 0.98), np.float32),
    horizon=np.array((0.92, 1.08, 1.25), np.float32),
    bounce=np.array((0.52, 0.48, 0.42), np.float32),
    haze_1pm=4e-4,
    glow=0.22,
    clouds=0.34,
    cloud_shift=(7.0, 19.0),
)


def drive_road() -> Road:
    """Two lanes with parking on both sides, swaying gently, crossed twice."""
    nodes = np.concatenate([np.arange(-60.0, 420.0, 4.0), (460.0, 620.0)])
    return Road(
        offset_m=-EGO_D_M,
        slope=0.0,
        bend_1pm=0.0,
        half_m=5.8,
        lanes=(Lane(EGO_D_M, 1, 3.4), Lane(-EGO_D_M, -1, 3.4)),
        crossings=(Crossing(FIRST_X_M, 5.0), Crossing(262.0, 5.0)),
        nodes_m=nodes,
        rise_m=np.zeros_like(nodes),
        sway_m=13.0,
        sway_length_m=330.0,
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    mesh: Mesh
    surfaces: list[Surface]
    centre_m: tuple[float, float]
    radius_m: float


class _Everything(View):
    """For building the town: nothing is left out, detail follows the distance from the road."""

    def sees(self, x_m: float, y_m: float, radius_m: float) -> bool:
        """Everything is seen at some time."""
        return True

    def detail(self, x_m: float, y_m: float, limits_m: tuple[float, ...]) -> int:
        """Full detail beside the road, less behind the houses."""
        return max(len(limits_m) - (0 if abs(y_m) < 26 else 1 if abs(y_m) < 45 else 2), 0)


class _Collector(WorldBuilder):
    """Keeps what is built, so that each frame takes what it sees."""

    def __init__(self) -> None:
        super().__init__(_Everything(0.0, math.pi))
        self.standing: list[_Standing] = []

    def add(self, mesh: Mesh, surfaces: list[Surface], place: Place, radius_m: float = 0.0) -> None:
        """Note one instance, placed."""
        there = placed(mesh, place)
        low, high = there.corners_m.min(axis=(0, 1)), there.corners_m.max(axis=(0, 1))
        centre = ((float(low[0] + high[0])) / 2, float(low[1] + high[1]) / 2)
        radius = float(np.hypot(high[0] - low[0], high[1] - low[1])) / 2
        self.standing.append(_Standing(there, surfaces, centre, radius))


@dataclass(frozen=True, slots=True)
class Town:
    """All that is needed to build the world of any frame."""

    road: Road
    marks: Marks
    standing: list[_Standing]
    movers: list[Mover]
    ego_x_m: Floats  # (FRAMES,)
    ego_speed_mps: Floats  # (FRAMES,)

    def camera(self, frame: int) -> Camera:
        """The camera in the town's frame: its mount holds where the ego is and where it looks."""
        x = float(self.ego_x_m[frame])
        _, y, _ = self.road.place(x, EGO_D_M)
        mount = replace(CAMERA.mount, x_m=x, y_m=y, yaw_rad=self.road.heading_rad(x))
        return replace(CAMERA, mount=mount)

    def world(self, frame: int, threads: int = 1) -> World:
        """The world as it is at this frame, as far as the camera sees it."""
        mount = self.camera(frame).mount
        seconds = frame / FPS
        view = View(mount.yaw_rad, math.radians(36), near_m=22.0, far_m=400.0)
        builder = WorldBuilder(view)
        for thing in self.standing:
            x, y = thing.centre_m
            if view.sees(x - mount.x_m, y - mount.y_m, thing.radius_m):
                builder.add(thing.mesh, thing.surfaces, Place(0, 0))
        shades = []
        for mover in self.movers:
            place = mover.place(seconds)
            if view.sees(place.x_m - mount.x_m, place.y_m - mount.y_m, 6.0):
                builder.add(mover.shape(seconds), mover.surfaces, place)
                shades.append(_shade_of(mover, place, self.road))
        return builder.build(self.road, shaded(self.marks, shades), threads)


def build_town() -> Town:
    """Build everything that stands, and the list of what moves."""
    road = drive_road()
    painter = MarkPainter((-30.0, 400.0))
    collector = _Collector()
    _build_sides(collector, painter, road)
    x_m, speed_mps = ego_course()
    movers = drive_movers(road, x_m)
    return Town(road, painter.finished(), collector.standing, movers, x_m, speed_mps)


def _build_sides(collector: _Collector, painter: MarkPainter, road: Road) -> None:
    """Ground, paint, both sides and the skyline."""
    asphalt = Surface(Material.ROAD, Category.FLAT, (0.105, 0.103, 0.102))
    collector.add(ground_sheet(road), [asphalt], Place(0, 0))
    paint_road(np.random.default_rng(PAINT_SEED), road, "urban", painter)
    for seed, style, side, reach in BLOCKS:
        rng = np.random.default_rng((seed, side + 1))
        dress(Site(rng, collector, painter, road, LIGHT, style, reach, reach, _TREES), side)
    skyline(
        Site(np.random.default_rng(77), collector, painter, road, LIGHT, "suburban", trees=_TREES)
    )


def ego_course() -> tuple[Floats, Floats]:
    """Where the ego is and how fast: it slows behind the lead car before the zebra crossing, then
    goes on.
    """
    t = np.arange(FRAMES) / FPS
    slowing = np.exp(-(((t - 11.2) / 2.4) ** 2))
    speed = 9.6 - 5.4 * slowing
    x = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 / FPS)])
    return x.astype(np.float32), speed.astype(np.float32)


def _shade_of(mover: Mover, place: Place, road: Road) -> Shade:
    """The ground that a mover hides from the sky."""
    d = place.y_m - float(road.centre_m(place.x_m))
    turn = place.heading_rad - road.heading_rad(place.x_m)
    return Shade((place.x_m, d), mover.size_m, turn, 0.12)
