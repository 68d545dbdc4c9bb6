"""Things repeated along a road: picket fences, posts, guard rails."""

from __future__ import annotations

from functools import cache

import numpy as np

from cloudytools.scenes.mesh import Mesh, box, joined, quads, tube


@cache
def picket(closed: bool) -> Mesh:
    """Ten metres of fence of unit height, boards touching or apart."""
    pitch, width = (0.16, 0.16) if closed else (0.22, 0.10)
    x = np.arange(-5, 5, pitch)
    zero, one = np.zeros_like(x), np.ones_like(x)
    low, high = (x, zero, 0.05 * one), (x, zero, one)
    boards = np.stack(
        [
            np.stack(c, axis=1)
            for c in (low, (x + width, zero, low[2]), (x + width, zero, one), high)
        ],
        axis=1,
    )
    rails = [box((10, 0.05, 0.07), (0, 0.03, z)) for z in (0.25, 0.75)]
    posts = [box((0.09, 0.09, 1.02), (float(p), 0.06, 0)) for p in np.arange(-5, 5.1, 2.5)]
    return joined([quads(boards), *rails, *posts])


@cache
def wire_mesh() -> Mesh:
    """Ten metres of steel fence, 2 m high: posts, rails and thin bars."""
    posts = [
        tube((float(x), 0, 0), (float(x), 0, 2.1), (0.035, 0.035), 4)
        for x in np.arange(-5, 5.1, 2.5)
    ]
    rails = [box((10, 0.03, 0.04), (0, 0, z)) for z in (0.15, 1.95)]
    bars = [box((0.02, 0.02, 1.9), (float(x), 0, 0.1)) for x in np.arange(-5, 5, 0.16)]
    return joined([*posts, *rails, *bars])


@cache
def rail_posts() -> Mesh:
    """Twelve metres of guard rail posts, 4 m apart."""
    return joined([box((0.08, 0.14, 0.68), (x, 0, 0)) for x in (-4.0, 0.0, 4.0)])
