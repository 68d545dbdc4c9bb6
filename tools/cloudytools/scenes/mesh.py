"""Triangles with normals, texture coordinates and parts: boxes, tubes, ellipsoids, lofts, and how
to move them.

A mesh is a soup: every triangle owns its three corners, so that meshes join by concatenation. Its
`part` says which of the object's surfaces (paint, glass, tyre ...) a triangle shows. Metres; x
forward, y left, z up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Mesh:
    """Some triangles and what the shader wants to know at their corners."""

    corners_m: Floats  # (T, 3, 3): triangle, corner, xyz
    normals: Floats  # (T, 3, 3), unit
    uv_m: Floats  # (T, 3, 2), texture coordinates in metres
    part: NDArray[np.int16]  # (T,)

    def __len__(self) -> int:
        return len(self.part)

    def painted(self, part: int) -> Mesh:
        """The same triangles, all of one part."""
        return replace(self, part=np.full(len(self), part, np.int16))

    def moved(self, x_m: float = 0.0, y_m: float = 0.0, z_m: float = 0.0) -> Mesh:
        """The same triangles somewhere else."""
        return replace(self, corners_m=self.corners_m + np.array((x_m, y_m, z_m), np.float32))

    def turned(self, rotation: NDArray[Any]) -> Mesh:
        """The same triangles turned about the origin by a rotation matrix (3, 3)."""
        turn = rotation.T.astype(np.float32)
        return replace(self, corners_m=self.corners_m @ turn, normals=self.normals @ turn)

    def scaled(self, sx: float, sy: float, sz: float) -> Mesh:
        """The same triangles stretched along the axes; normals are kept perpendicular."""
        scale = np.array((sx, sy, sz), np.float32)
        return replace(self, corners_m=self.corners_m * scale, normals=_unit(self.normals / scale))

    def mirrored(self) -> Mesh:
        """The same triangles on the other side of the plane y = 0."""
        flip = np.array((1, -1, 1), np.float32)
        return replace(self, corners_m=self.corners_m * flip, normals=self.normals * flip)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """All triangles of several meshes, parts kept."""
    return Mesh(
        np.concatenate([mesh.corners_m for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv_m for mesh in meshes]),
        np.concatenate([mesh.part for mesh in meshes]),
    )


def quads(points: NDArray[Any], part: int = 0, uv_m: NDArray[Any] | None = None) -> Mesh:
    """Flat four-sided faces from (Q, 4, 3) corners in turn; u runs along the first edge, v along
    the last.
    """
    p = np.asarray(points, np.float32)
    normal = _unit(_cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 1]))
    uv = _edge_uv(p) if uv_m is None else np.asarray(uv_m, np.float32)
    order = np.array(((0, 1, 2), (0, 2, 3)))
    count = 2 * len(p)
    normals = np.repeat(normal, 2, axis=0)[:, None].repeat(3, axis=1)
    return Mesh(
        p[:, order].reshape(count, 3, 3), normals, uv[:, order].reshape(count, 3, 2),
        np.full(count, part, np.int16),
    )  # fmt: skip


def box(
    size_m: Vector, base_m: Vector = (0.0, 0.0, 0.0), part: int = 0, top: int | None = None
) -> Mesh:
    """An upright box without its bottom, whose middle is `base_m`; the top may be another part."""
    mesh = _stretched(_UNIT_BOX, size_m, base_m, part)
    if top is not None:
        mesh.part[8:] = top
    return mesh


def slab(size_m: Vector, base_m: Vector = (0.0, 0.0, 0.0), part: int = 0) -> Mesh:
    """A box with its bottom, for what hangs in the air."""
    return _stretched(_UNIT_SLAB, size_m, base_m, part)


def grid(points: NDArray[Any], part: NDArray[Any] | int = 0) -> Mesh:
    """A smooth sheet through (R, C, 3) points; `part` per cell (R-1, C-1). Faces look along row ×
    column.
    """
    p = np.asarray(points, np.float32)
    normals = _sheet_normals(p)
    u = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p[:, 0], axis=0), axis=1))])
    v = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p[0], axis=0), axis=1))])
    uv = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).astype(np.float32)
    cells = np.broadcast_to(np.asarray(part, np.int16), (p.shape[0] - 1, p.shape[1] - 1))
    mesh = Mesh(_cells(p), _cells(normals), _cells(uv), np.repeat(cells.ravel(), 2))
    return without_slivers(mesh)


def tube(
    a_m: Vector, b_m: Vector, radius_m: tuple[float, float], sides: int = 8, part: int = 0
) -> Mesh:
    """A round bar from a to b, closed at b, thinning from the first radius to the second."""
    axis = np.subtract(b_m, a_m)
    length = float(np.linalg.norm(axis))
    forward = axis / max(length, 1e-9)
    side = np.cross(forward, (0, 0, 1) if abs(forward[2]) < 0.9 else (1, 0, 0))
    side /= np.linalg.norm(side)
    angle = np.linspace(0, 2 * math.pi, sides + 1)
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(forward, side)
    rows = np.stack([np.add(a_m, ring * radius_m[0]), np.add(b_m, ring * radius_m[1])], axis=1)
    wall = np.stack([ring, ring], axis=1)
    uv = np.stack(np.meshgrid(angle * radius_m[0], (0, length), indexing="ij"), axis=-1)
    mesh = Mesh(
        _cells(rows.astype(np.float32)), _cells(wall.astype(np.float32)),
        _cells(uv.astype(np.float32)), np.full(2 * sides, part, np.int16),
    )  # fmt: skip
    return joined([mesh, disc(b_m, tuple(forward), radius_m[1], sides, part)])


def disc(centre_m: Vector, normal: Vector, radius_m: float, sides: int = 12, part: int = 0) -> Mesh:
    """A flat round plate; u and v run from the centre."""
    n = np.asarray(normal, float)
    side = np.cross(n, (0, 0, 1) if abs(n[2]) < 0.9 else (1, 0, 0))
    side /= np.linalg.norm(side)
    angle = np.linspace(0, 2 * math.pi, sides + 1)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rim = np.add(centre_m, radius_m * (circle @ np.stack([side, np.cross(n, side)])))
    centre = np.broadcast_to(np.asarray(centre_m, float), (sides, 3))
    corners = np.stack([centre, rim[:-1], rim[1:]], axis=1)
    uv = np.stack([np.zeros((sides, 2)), circle[:-1] * radius_m, circle[1:] * radius_m], axis=1)
    normals = np.broadcast_to(n, corners.shape)
    return Mesh(
        corners.astype(np.float32), normals.astype(np.float32), uv.astype(np.float32),
        np.full(sides, part, np.int16),
    )  # fmt: skip


def ellipsoid(
    radii_m: Vector,
    centre_m: Vector = (0.0, 0.0, 0.0),
    detail: tuple[int, int] = (5, 8),
    part: int = 0,
) -> Mesh:
    """A smooth egg of `detail` = (rings, sides)."""
    rings, sides = detail
    polar, around = np.meshgrid(
        np.linspace(0, math.pi, rings + 1), np.linspace(0, 2 * math.pi, sides + 1), indexing="ij"
    )
    unit = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1
    )
    radii = np.asarray(radii_m)
    uv = np.stack([around * radii[0], polar * radii[2]], axis=-1)
    mesh = Mesh(
        _cells((unit * radii + centre_m).astype(np.float32)),
        _cells(_unit((unit / radii).astype(np.float32))),
        _cells(uv.astype(np.float32)),
        np.full(2 * rings * sides, part, np.int16),
    )
    return without_slivers(mesh)


def extruded(outline_m: Sequence[tuple[float, float]], width_m: float, part: int = 0) -> Mesh:
    """A convex outline in (x, z), given anticlockwise seen from the right (-y), as wide as told
    about y = 0.
    """
    flat = np.asarray(outline_m, float)
    right = np.insert(flat, 1, -width_m / 2, axis=1)
    left = np.insert(flat, 1, width_m / 2, axis=1)
    following = np.roll(np.arange(len(flat)), -1)
    rim = np.stack([right, left, left[following], right[following]], axis=1)
    return joined([quads(rim, part), _fan(right, part), _fan(left[::-1], part)])


def without_slivers(mesh: Mesh) -> Mesh:
    """The mesh less its triangles without area."""
    a, b, c = mesh.corners_m.transpose(1, 0, 2)
    solid = np.linalg.norm(_cross(b - a, c - a), axis=1) > 1e-8
    return Mesh(mesh.corners_m[solid], mesh.normals[solid], mesh.uv_m[solid], mesh.part[solid])


def heading_matrix(angle_rad: float) -> NDArray[np.float64]:
    """The rotation about z by which x turns towards y."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _fan(points: NDArray[Any], part: int) -> Mesh:
    """A flat convex polygon."""
    p = points.astype(np.float32)
    count = len(p) - 2
    corners = np.stack([np.broadcast_to(p[0], (count, 3)), p[1:-1], p[2:]], axis=1)
    normal = _unit(np.cross(p[1] - p[0], p[-1] - p[0])[None])
    return Mesh(
        corners, np.broadcast_to(normal, corners.shape).copy(), corners[..., (0, 2)].copy(),
        np.full(count, part, np.int16),
    )  # fmt: skip


def _cells(sheet: Floats) -> Floats:
    """(R, C, k) values at points to (2·cells, 3, k) values at the corners of the cells' two
    triangles.
    """
    a, b, c, d = sheet[:-1, :-1], sheet[1:, :-1], sheet[1:, 1:], sheet[:-1, 1:]
    faces = np.stack([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)], axis=2)
    return faces.reshape(-1, 3, sheet.shape[-1])


def _sheet_normals(p: Floats) -> Floats:
    """Unit normals (R, C, 3), the mean of the cells around each point."""
    a, b, c, d = p[:-1, :-1], p[1:, :-1], p[1:, 1:], p[:-1, 1:]
    face = _cross(c - a, d - b)  # (R-1, C-1, 3), as long as twice the area
    total = np.zeros_like(p)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            total[rows, columns] += face
    return _unit(total)


def _edge_uv(p: Floats) -> Floats:
    """Texture coordinates in metres along the edges of (Q, 4, 3) quads."""
    u = np.linalg.norm(p[:, 1] - p[:, 0], axis=1)
    v = np.linalg.norm(p[:, 3] - p[:, 0], axis=1)
    zero = np.zeros_like(u)
    corners = ((zero, zero), (u, zero), (u, v), (zero, v))
    return np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)


def _cross(a: Floats, b: Floats) -> Floats:
    """The cross product; numpy's own spends most of its time on looking at its arguments."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _unit(vectors: Floats) -> Floats:
    """Vectors of length 1."""
    length = np.sqrt(np.sum(vectors * vectors, axis=-1, keepdims=True))
    unit: Floats = vectors / np.maximum(length, np.float32(1e-12))
    return unit


def _stretched(unit: Mesh, size_m: Vector, base_m: Vector, part: int) -> Mesh:
    """The unit box stretched and moved; texture coordinates stay metres."""
    size = np.array(size_m, np.float32)
    across = np.array((size[1],) * 4 + (size[0],) * 4 + (size[0],) * 4, np.float32)[: len(unit)]
    up = np.array((size[2],) * 8 + (size[1],) * 4, np.float32)[: len(unit)]
    scale = np.stack([across, up], axis=1)[:, None]
    corners = unit.corners_m * size + np.array(base_m, np.float32)
    return Mesh(corners, unit.normals, unit.uv_m * scale, np.full(len(unit), part, np.int16))


def _unit_box() -> Mesh:
    """Sides across y first, then across x, then the top; 1 × 1 × 1 on the ground."""
    h = 0.5
    across_y = (((-h, h), (-h, -h)), ((h, -h), (h, h)))
    across_x = (((-h, -h), (h, -h)), ((h, h), (-h, h)))
    sides = [((*a, 0), (*b, 0), (*b, 1), (*a, 1)) for a, b in across_y + across_x]
    lid = ((-h, -h, 1), (h, -h, 1), (h, h, 1), (-h, h, 1))
    return quads(np.array([*sides, lid]))


def _unit_slab() -> Mesh:
    """The unit box with its bottom."""
    under = quads(np.array([((-0.5, 0.5, 0), (0.5, 0.5, 0), (0.5, -0.5, 0), (-0.5, -0.5, 0))]))
    return joined([_unit_box(), under])


_UNIT_BOX = _unit_box()
_UNIT_SLAB = _unit_slab()
