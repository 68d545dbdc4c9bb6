"""Short rendered drives for the obstacle truth: a street driven along, over a hill, round a bend,
by night; a camera that looks to the side; one that stands still over a road.

Depth and labels are exact; they are rendered on demand and kept in a cache folder. In each drive a
car stands in the lane, which the vehicle approaches at a steady speed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Floats, Intrinsics, Mount
from cloudypoints.messages import Category
from cloudytools.scenes import people, vehicles
from cloudytools.scenes.develop import Film, developed
from cloudytools.scenes.light import Light, light_of
from cloudytools.scenes.marks import MarkPainter, Marks
from cloudytools.scenes.mesh import box
from cloudytools.scenes.road import Lane, Road, ground_sheet
from cloudytools.scenes.shade import depth_and_labels, render
from cloudytools.scenes.sides import dress
from cloudytools.scenes.site import Site
from cloudytools.scenes.surfaces import Material, Surface
from cloudytools.scenes.world import Place, View, World, WorldBuilder

SPEED_MPS = 10.0
FPS = 10
CAR_X_M, LANE_M = 62.0, -1.75  # where the car stands in the lane
SIZE_PX = (320, 192)
_SEED = 5
_ASPHALT = Surface(Material.ROAD, Category.FLAT, (0.105, 0.103, 0.102))
_CRATE = Surface(Material.TIMBER, Category.OBJECT, (0.4, 0.25, 0.1))
_VERSION = "4"  # of what is rendered: another one renders anew


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the vehicle is in the world, and how the ground tilts it."""

    x_m: float
    y_m: float
    z_m: float = 0.0
    heading_rad: float = 0.0
    slope_rad: float = 0.0  # > 0: it climbs


@dataclass(frozen=True, slots=True)
class Course:
    """One drive."""

    name: str
    says: str
    camera: Camera  # as it sits on the vehicle
    frames: int
    pose: Callable[[int], Pose]
    world: Callable[[int], World]
    road: Road
    light: Light
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the obstacles

    def camera_at(self, frame: int) -> Camera:
        """In the world."""
        pose, mount = self.pose(frame), self.camera.mount
        there = replace(
            mount,
            height_m=pose.z_m + mount.height_m,
            pitch_rad=mount.pitch_rad - pose.slope_rad,
            yaw_rad=mount.yaw_rad + pose.heading_rad,
            x_m=pose.x_m,
            y_m=pose.y_m,
        )
        return replace(self.camera, mount=there)


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of a course."""

    frame: int
    stamp_ns: int
    depth_m: Floats  # (H, W) exact, NaN for none
    labels: NDArray[np.uint8]  # (H, W)
    height_m: Floats  # (H, W) above the ground right below


def moments(course: Course, folder: Path) -> Iterator[Moment]:
    """Every frame of it; what was rendered before is read from the folder."""
    for frame in range(course.frames):
        depth_m, labels = _cached(course, frame, folder)
        stamp_ns = frame * 1_000_000_000 // FPS
        yield Moment(frame, stamp_ns, depth_m, labels, _heights(course, frame, depth_m))


def picture(course: Course, frame: int) -> NDArray[np.uint8]:
    """(H, W, 3) RGB as the camera sees it; takes a second or two."""
    camera = course.camera_at(frame)
    film = Film(target=0.42 * (1 - 0.45 * course.light.night))
    return developed(render(course.world(frame), camera, course.light).colour, film)


def _cached(course: Course, frame: int, folder: Path) -> tuple[Floats, NDArray[np.uint8]]:
    stated = repr((_VERSION, course.camera, course.says, course.frames)).encode()
    name = f"{course.name}_{hashlib.sha256(stated).hexdigest()[:10]}"
    path = folder / name / f"{frame:03}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return stored["depth_m"], stored["labels"]
    depth_m, labels = depth_and_labels(course.world(frame), course.camera_at(frame))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, depth_m=depth_m, labels=labels)
    part.replace(path)
    return depth_m, labels


def _heights(course: Course, frame: int, depth_m: Floats) -> Floats:
    """How high each pixel's point stands above the road's ground."""
    camera = course.camera_at(frame)
    k, world_from_camera = camera.intrinsics, camera.mount.vehicle_from_camera
    u, v = np.meshgrid(np.arange(k.width_px), np.arange(k.height_px))
    rays = np.stack([(u - k.cx_px) / k.fx_px, (v - k.cy_px) / k.fy_px, np.ones(u.shape)])
    x, _, z = np.tensordot(world_from_camera[:3, :3], rays, 1) * depth_m
    x, z = x + world_from_camera[0, 3], z + world_from_camera[2, 3]
    heights: Floats = (z - np.interp(x, course.road.nodes_m, course.road.rise_m)).astype(np.float32)
    return heights


def courses(size_px: tuple[int, int] = SIZE_PX) -> list[Course]:
    """All of them, with pictures of this size."""
    ahead = _camera(size_px, Mount(1.5, pitch_rad=math.radians(3)))
    side = _camera(size_px, Mount(1.5, pitch_rad=math.radians(6), yaw_rad=math.radians(80)))
    return [
        _drive("flat", "a street of houses", ahead, _road()),
        _drive("hill", "up 8 %, over the crest, down again", ahead, _hill()),
        _drive(
            "curve", "a bend of 150 m to the left", ahead, _road(1 / 150),
            {"corridor_curvature_1pm": 1 / 150},
        ),
        _drive("night", "the street by night", ahead, _road(), weather="night"),
        _drive("side", "a camera that looks 80° to the left", side, _road()),
        _fixed(size_px),
    ]  # fmt: skip


def _camera(size_px: tuple[int, int], mount: Mount) -> Camera:
    intrinsics = Intrinsics.from_fov(*size_px, math.radians(70))
    return Camera(intrinsics, mount=mount, calibration="file")


def _drive(
    name: str,
    says: str,
    camera: Camera,
    road: Road,
    settings: Mapping[str, Any] | None = None,
    weather: str = "clear",
) -> Course:
    light = light_of(weather, np.random.default_rng(_SEED))

    def pose(frame: int) -> Pose:
        x = SPEED_MPS * frame / FPS
        _, y, z = road.place(x, LANE_M)
        rise = (road.height_m(x + 0.5) - road.height_m(x - 0.5)) / 1.0
        return Pose(x, y, z, road.heading_rad(x), math.atan(rise))

    @cache
    def world() -> World:
        return _street(road, light)

    last_m = CAR_X_M - 3.5  # in front of the car's rear
    return Course(
        name, says, camera, int(last_m / SPEED_MPS * FPS), pose, lambda _: world(), road, light,
        settings or {},
    )  # fmt: skip


def _road(bend_1pm: float = 0.0) -> Road:
    nodes = np.arange(-60.0, 240.0, 4.0)
    return Road(0.0, 0.0, bend_1pm, 5.6, (Lane(LANE_M, 1, 3.4), Lane(-LANE_M, -1, 3.4)),
                nodes_m=nodes, rise_m=np.zeros_like(nodes))  # fmt: skip


def _hill() -> Road:
    road = _road()
    slope = np.interp(road.nodes_m, (14, 22, 38, 50, 66), (0, 0.08, 0.08, -0.08, -0.08))
    return replace(road, rise_m=np.concatenate([[0.0], np.cumsum(slope[:-1] * 4.0)]))


def _street(road: Road, light: Light) -> World:
    """Both sides built up, a car in the lane and a crate beside it."""
    rng = np.random.default_rng(_SEED)
    builder = WorldBuilder(View(0.0, math.pi, near_m=400.0, far_m=400.0))
    painter = MarkPainter((-30.0, 160.0))
    reach = (-10.0, 150.0)
    site = Site(rng, builder, painter, road, light, "suburban", reach, reach)
    builder.add(ground_sheet(road), [_ASPHALT], Place(0, 0))
    for way in (-1, 1):
        dress(site, way)
    _stand(builder, road, "sedan", (CAR_X_M + 2.2, LANE_M))
    x, y, z = road.place(30.0, LANE_M + 1.9)
    builder.add(box((0.3, 0.3, 0.6)), [_CRATE], Place(x, y, z))
    return builder.build(road, painter.finished())


def _stand(builder: WorldBuilder, road: Road, kind: str, at_m: tuple[float, float]) -> None:
    x, y, z = road.place(*at_m)
    surfaces = vehicles.surfaces_of(kind, np.random.default_rng(_SEED), 0.0)
    builder.add(vehicles.shape(kind, 2), surfaces, Place(x, y, z, road.heading_rad(x)))


def _fixed(size_px: tuple[int, int]) -> Course:
    """A camera on a post: somebody walks over the road, a car comes along it."""
    road = _road()
    light = light_of("clear", np.random.default_rng(_SEED))
    camera = _camera(size_px, Mount(5.0, pitch_rad=math.radians(18)))
    marks = MarkPainter((-30.0, 160.0)).finished()
    return Course(
        "fixed", "a camera on a post, a car and a walker", camera, 50, lambda _: Pose(0.0, 0.0),
        lambda frame: _crossing(road, marks, frame / FPS), road, light,
    )  # fmt: skip


def _crossing(road: Road, marks: Marks, seconds: float) -> World:
    builder = WorldBuilder(View(0.0, math.pi, near_m=400.0, far_m=400.0))
    builder.add(ground_sheet(road), [_ASPHALT], Place(0, 0))
    _stand(builder, road, "hatchback", (48.0 - 9.0 * seconds, -LANE_M))
    stride = int(seconds / 1.1 * people.POSES) % people.POSES
    who = people.surfaces_of(np.random.default_rng(_SEED))
    builder.add(people.walker(stride, 2), who, Place(14.0, -9.0 + 1.6 * seconds, 0, math.pi / 2))
    return builder.build(road, marks)
