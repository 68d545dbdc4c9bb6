"""Trees and bushes: trunks, limbs, and crowns of a dark core under ragged tufts of leaves."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.messages import Category
from cloudytools.scenes.mesh import Floats, Mesh, ellipsoid, joined, tube
from cloudytools.scenes.surfaces import LEAVES, Material, Surface, picked, varied

WOOD, LEAF = range(2)
VARIANTS = 4
Blobs = list[tuple[NDArray[Any], NDArray[Any]]]  # centres and radii (3,)


@cache
def tree(kind: str, variant: int, detail: int) -> Mesh:
    """A tree of unit height, trunk at the origin; `detail` runs from 0, far, to 3, close."""
    rng = np.random.default_rng((variant, len(kind), ord(kind[0])))
    makers = {"conifer": _conifer, "palm": _palm, "bare": _bare}
    return makers[kind](rng, detail) if kind in makers else _leafy(kind, rng, detail)


@cache
def bush(variant: int, detail: int) -> Mesh:
    """A bush of unit height and about as wide, all leaf."""
    rng = np.random.default_rng((7, variant))
    blobs = [
        (rng.normal(0, 0.16, 3) * (1, 1, 0.3) + (0, 0, 0.48), rng.uniform(0.3, 0.48, 3))
        for _ in range(3)
    ]
    return _crown(blobs, rng, (60, 200, 600, 1100)[detail], (0.13, 0.085, 0.05, 0.038)[detail])


def surfaces_of(rng: np.random.Generator, autumn: float = 0.0) -> list[Surface]:
    """Bark and leaves of one plant; `autumn` is the chance of turned leaves."""
    leaf = picked(LEAVES, rng, 0.22)
    if rng.random() < autumn:
        leaf = varied((0.17, 0.10, 0.03), rng, 0.35)
    return [
        Surface(Material.BARK, Category.NATURE, varied((0.078, 0.064, 0.052), rng, 0.25)),
        Surface(Material.FOLIAGE, Category.NATURE, leaf),
    ]


def _leafy(kind: str, rng: np.random.Generator, detail: int) -> Mesh:
    """A broad-leaved tree."""
    clear, spread = {"round": (0.28, 0.34), "tall": (0.22, 0.2), "young": (0.38, 0.2)}[kind]
    trunk_r = {"round": 0.020, "tall": 0.018, "young": 0.010}[kind]
    lean = rng.normal(0, 0.03, 2)
    fork = (float(lean[0]), float(lean[1]), clear + 0.1)
    wood = [tube((0, 0, 0), fork, (trunk_r * 1.25, trunk_r), 6, WOOD)]
    blobs = []
    for i in range(int(rng.integers(13, 19)) if detail else 6):
        angle, up = rng.uniform(0, 2 * math.pi), float(rng.beta(1.3, 1.3))
        reach = spread * math.sqrt(rng.random()) * 0.85 * math.sin(math.pi * (0.22 + 0.7 * up))
        high = clear + 0.12 + (0.86 - clear) * up * 0.88
        at = np.array((math.cos(angle) * reach, math.sin(angle) * reach, high))
        size = spread * rng.uniform(0.30, 0.46) * np.array((1, 1, rng.uniform(0.6, 0.9)))
        blobs.append((at, size))
        if i < 4 and detail > 0:
            wood.append(tube(fork, tuple(at.tolist()), (trunk_r * 0.5, trunk_r * 0.15), 4, WOOD))
    leaves, leaf_size = ((90, 0.07), (480, 0.042), (1900, 0.024), (4800, 0.0165))[detail]
    return joined([*wood, _crown(blobs, rng, leaves, leaf_size)])


def _conifer(rng: np.random.Generator, detail: int) -> Mesh:
    """A fir."""
    layers = 6
    trunk = tube((0, 0, 0), (0, 0, 0.9), (0.02, 0.004), 5, WOOD)
    width = rng.uniform(0.14, 0.24)
    blobs = [
        (
            np.array((0, 0, 0.17 + 0.72 * i / layers)),
            np.array((1, 1, 0.9)) * width * (1.02 - i / layers),
        )
        for i in range(layers)
    ]
    return joined(
        [
            trunk,
            _crown(blobs, rng, (80, 380, 1100, 2600)[detail], (0.06, 0.038, 0.022, 0.0145)[detail]),
        ]
    )


def _palm(rng: np.random.Generator, detail: int) -> Mesh:
    """A palm."""
    bend = rng.normal(0, 0.04, 2)
    top = (float(bend[0]), float(bend[1]), 0.88)
    pieces = [tube((0, 0, 0), top, (0.02, 0.014), 6, WOOD)]
    for i in range((8, 12, 16, 20)[detail]):
        angle = 2 * math.pi * (i + rng.random()) / 12
        droop = rng.uniform(-0.12, 0.1)
        along = np.linspace(0, 0.24, (9, 14, 26, 40)[detail])[:, None]
        arc = np.array((math.cos(angle), math.sin(angle), 0.0)) * along
        arc[:, 2] = (droop + 0.25) * along[:, 0] - 2.6 * along[:, 0] ** 2
        pieces.append(_leaves(arc + top, np.array(top), rng, (0.05, 0.035, 0.02, 0.014)[detail]))
    return joined(pieces)


def _bare(rng: np.random.Generator, detail: int) -> Mesh:
    """A tree without leaves."""
    pieces = [tube((0, 0, 0), (0, 0, 0.38), (0.026, 0.02), 6, WOOD)]
    starts = [(np.array((0, 0, 0.3)), np.array((0, 0, 0.2)), 0.016)]
    for _ in range(min(detail, 2) + 2):
        following = []
        for at, way, radius in starts:
            for _ in range(3):
                turn = way + rng.normal(0, 0.55, 3) * np.linalg.norm(way)
                end = at + turn * rng.uniform(0.7, 1.0)
                pieces.append(tube(tuple(at), tuple(end), (radius, radius * 0.55), 3, WOOD))
                following.append((end, turn * 0.72, radius * 0.55))
        starts = following
    return joined(pieces)


def _crown(blobs: Blobs, rng: np.random.Generator, leaves: int, leaf_size: float) -> Mesh:
    """Dark cores, a little smaller than the crown, and leaves on and off their skins."""
    cores, tufts = [], []
    centre = np.mean([at for at, _ in blobs], axis=0)
    fill = 0.86 if leaves < 300 else 0.75 if leaves < 1000 else 0.55
    rounds = (3, 5) if leaves < 150 else (4, 6) if leaves < 1000 else (6, 9)
    for at, size in blobs:
        core = ellipsoid(tuple((size * fill).tolist()), tuple(at.tolist()), rounds, LEAF)
        cores.append(_roughened(core, rng, 0.08 * float(size[0])))
        way = rng.normal(0, 1, (leaves // len(blobs), 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        tufts.append(at + way * size * rng.uniform(0.45, 1.15, (len(way), 1)) ** 0.7)
    return joined([*cores, _leaves(np.concatenate(tufts), centre, rng, leaf_size)])


def _roughened(mesh: Mesh, rng: np.random.Generator, amount: float) -> Mesh:
    """The mesh with waves on its skin."""
    phase = rng.uniform(0, 6.28, 3)
    wave = np.sin(mesh.corners_m * (9.0 / max(amount * 10, 0.05)) + phase)
    moved: Floats = (mesh.corners_m + amount * wave[..., (1, 2, 0)]).astype(np.float32)
    return Mesh(moved, mesh.normals, mesh.uv_m, mesh.part)


def _leaves(at: NDArray[Any], centre: NDArray[Any], rng: np.random.Generator, size: float) -> Mesh:
    """A triangle, turned at random, at each of (N, 3) places; lit as if bulging from `centre`."""
    count = len(at)
    spokes = rng.normal(0, 1, (count, 3, 3))
    spokes /= np.linalg.norm(spokes, axis=-1, keepdims=True)
    corners = at[:, None] + spokes * size * rng.uniform(0.5, 1.3, (count, 1, 1))
    out = at - centre + 1e-6
    normals = out / np.linalg.norm(out, axis=1, keepdims=True) + rng.normal(0, 0.35, (count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    uv = corners[..., :2] * 3.0
    return Mesh(
        corners.astype(np.float32), np.repeat(normals[:, None], 3, axis=1).astype(np.float32),
        uv.astype(np.float32), np.full(count, LEAF, np.int16),
    )  # fmt: skip
