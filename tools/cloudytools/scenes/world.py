"""A world of instances: added one by one, left out where the camera cannot see them, cast as one
mesh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from cloudytools.scenes.marks import Marks
from cloudytools.scenes.mesh import Floats, Mesh, heading_matrix
from cloudytools.scenes.road import Road
from cloudytools.scenes.surfaces import Surface


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance stands, how it is turned about z, and how it is stretched."""

    x_m: float
    y_m: float
    z_m: float = 0.0
    heading_rad: float = 0.0
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class View:
    """What the camera can see, on the map: a wedge from the origin, and all that is near."""

    heading_rad: float
    half_angle_rad: float
    near_m: float = 12.0  # kept all around: it may cast a shadow into the picture
    far_m: float = 330.0

    def sees(self, x_m: float, y_m: float, radius_m: float) -> bool:
        """Whether something of this radius may be seen or cast a visible shadow."""
        distance = math.hypot(x_m, y_m)
        if distance - radius_m < self.near_m:
            return True
        if distance - radius_m > self.far_m:
            return False
        return self._ahead(x_m, y_m, distance, radius_m)

    def detail(self, x_m: float, y_m: float, limits_m: tuple[float, ...]) -> int:
        """How many of the limits lie beyond it: the nearer, the more; 0 for what only casts
        shadows.
        """
        distance = math.hypot(x_m, y_m)
        if not self._ahead(x_m, y_m, distance, 3.0):
            return 0
        return sum(distance < limit for limit in limits_m)

    def _ahead(self, x_m: float, y_m: float, distance: float, radius_m: float) -> bool:
        """Whether it reaches into the wedge."""
        off = math.remainder(math.atan2(y_m, x_m) - self.heading_rad, 2 * math.pi)
        reach = math.asin(min(radius_m / max(distance, 1e-6), 1.0))
        return abs(off) < self.half_angle_rad + reach + 0.05


@dataclass(frozen=True, slots=True)
class World:
    """Everything a picture is shaded from; triangles by row."""

    attributes: Floats  # (T, 3, 5): normal and uv at the corners
    part: NDArray[np.int32]  # (T,), row of the surface tables
    material: NDArray[np.uint8]  # (P,)
    label: NDArray[np.uint8]  # (P,)
    colour: Floats  # (3, P), linear light
    figures: Floats  # (4, P)
    road: Road
    marks: Marks
    casting: o3d.t.geometry.RaycastingScene


class WorldBuilder:
    """Collects instances and makes the world of them."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._meshes: list[Mesh] = []
        self._first_part: list[int] = []
        self._surfaces: list[Surface] = []

    def add(self, mesh: Mesh, surfaces: list[Surface], place: Place, radius_m: float = 0.0) -> None:
        """Put one instance into the world, unless it is out of sight (`radius_m` 0: always)."""
        if radius_m and not self.view.sees(place.x_m, place.y_m, radius_m):
            return
        self._first_part.append(len(self._surfaces))
        self._surfaces.extend(surfaces)
        self._meshes.append(placed(mesh, place))

    def build(self, road: Road, marks: Marks, threads: int = 1) -> World:
        """The world, ready to be cast into."""
        corners = np.concatenate([mesh.corners_m for mesh in self._meshes])
        normals = np.concatenate([mesh.normals for mesh in self._meshes])
        uv = np.concatenate([mesh.uv_m for mesh in self._meshes])
        counts = [len(mesh) for mesh in self._meshes]
        part = np.concatenate([mesh.part for mesh in self._meshes]).astype(np.int32)
        part += np.repeat(np.array(self._first_part, np.int32), counts)
        casting = o3d.t.geometry.RaycastingScene(nthreads=threads)
        vertices = np.ascontiguousarray(corners.reshape(-1, 3), np.float32)
        triangles = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
        casting.add_triangles(tensor(vertices), tensor(triangles))
        return World(
            attributes=np.concatenate([normals, uv], axis=2),
            part=part,
            material=np.array([s.material for s in self._surfaces], np.uint8),
            label=np.array([s.category for s in self._surfaces], np.uint8),
            colour=np.array([s.colour for s in self._surfaces], np.float32).T.copy(),
            figures=np.array([s.figures for s in self._surfaces], np.float32).T.copy(),
            road=road,
            marks=marks,
            casting=casting,
        )


@dataclass(frozen=True, slots=True)
class Hits:
    """What rays met: one column a ray that hit something."""

    ray: NDArray[np.intp]  # (N,), index of the ray
    depth: Floats  # (N,), in steps of the ray's direction
    triangle: NDArray[np.uint32]  # (N,)
    barycentric: Floats  # (N, 2)
    normal: Floats  # (3, N), of the face


def cast(world: World, origin_m: Floats, directions: Floats, threads: int = 1) -> Hits:
    """First hits of rays (3, N) from one origin (3,)."""
    found = world.casting.cast_rays(_rays(origin_m[:, None], directions), nthreads=threads)
    depth = found["t_hit"].numpy()
    ray = np.flatnonzero(np.isfinite(depth))
    return Hits(
        ray,
        depth[ray],
        found["primitive_ids"].numpy()[ray],
        found["primitive_uvs"].numpy()[ray],
        found["primitive_normals"].numpy()[ray].T,
    )


def lit(world: World, points_m: Floats, direction: Floats, threads: int = 1) -> NDArray[np.bool_]:
    """Whether nothing stands between points (3, N) and a far light in this direction (3,)."""
    spread = np.broadcast_to(direction[:, None], points_m.shape)
    rays = _rays(points_m, spread)
    hidden: NDArray[np.bool_] = world.casting.test_occlusions(rays, 0.03, nthreads=threads).numpy()
    return ~hidden


def tensor(array: NDArray[Any]) -> o3d.core.Tensor:
    """Open3D's view of an array (its type stubs know only the long form)."""
    return o3d.core.Tensor.from_numpy(array)


def _rays(origins_m: Floats, directions: Floats) -> o3d.core.Tensor:
    """Open3D's rays (N, 6)."""
    rays = np.empty((directions.shape[1], 6), np.float32)
    rays[:, :3] = origins_m.T
    rays[:, 3:] = directions.T
    return tensor(rays)


def placed(mesh: Mesh, place: Place) -> Mesh:
    """The mesh where the place says."""
    rotation = heading_matrix(place.heading_rad)
    scale = np.array(place.scale)
    turn_corners = (rotation * scale).T.astype(np.float32)
    turn_normals = (rotation / scale).T.astype(np.float32)
    shift = np.array((place.x_m, place.y_m, place.z_m), np.float32)
    # One flat product is many times faster than numpy's product of (T, 3, 3) stacks.
    corners = (mesh.corners_m.reshape(-1, 3) @ turn_corners + shift).reshape(-1, 3, 3)
    normals = (mesh.normals.reshape(-1, 3) @ turn_normals).reshape(-1, 3, 3)
    return Mesh(corners, normals, mesh.uv_m, mesh.part)
