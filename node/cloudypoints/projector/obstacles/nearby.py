"""How near the ground must be seen for what lies beyond it to be called free.

The picture's lower edge says where ground comes into view. A bonnet may hide some of it, so that it
is looked for up to as far again; ground that is first seen behind that says nothing of the way to
it.
"""

from __future__ import annotations

import numpy as np

from cloudypoints.corridor import Corridor
from cloudypoints.geometry import Floats, Mount
from cloudypoints.projector.obstacles.tables import ObstacleTables


def seen_from_m(tables: ObstacleTables, mount: Mount, corridor: Corridor) -> Floats:
    """(S + 1,) up to where ground must come into view, in the sectors and in the corridor.

    inf where flat ground does not come into view by the lower edge.
    """
    forward_m, left_m = _lower_edge(tables, mount)
    range_m = np.hypot(forward_m, left_m)
    sector = (tables.first_cell[-1] - tables.first_cell.min()) // tables.bins
    inside, ahead_m = corridor.ahead(
        forward_m + np.float32(mount.x_m), left_m + np.float32(mount.y_m)
    )
    seen_m = np.full(tables.sectors + 1, np.inf, np.float32)
    np.fmin.at(seen_m, sector, 2 * range_m)
    seen_m[-1] = np.fmin.reduce((ahead_m + range_m)[inside], initial=np.inf)
    return seen_m


def _lower_edge(tables: ObstacleTables, mount: Mount) -> tuple[Floats, Floats]:
    """Forward and left of the camera, (w,) where the lowest row meets flat ground, or NaN."""
    x, y = tables.rays[:, -1]
    forward, left, up = (
        np.float32(row[0]) * x + np.float32(row[1]) * y + np.float32(row[2])
        for row in mount.vehicle_from_camera[:3]
    )
    depth_m = np.full(len(up), np.nan, np.float32)
    np.divide(np.float32(-mount.height_m), up, out=depth_m, where=up < 0)
    return forward * depth_m, left * depth_m
