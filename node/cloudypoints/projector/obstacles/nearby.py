"""How near the ground must be seen for what lies beyond it to be called free.

The picture's lower edge says where ground comes into view. A bonnet may hide some of it, so that it
is looked for up to as far again; ground that is first seen behind that says nothing of the way to
it.
"""

from __future__ import annotations

import numpy as np

from cloudypoints.corridor import Corridor
from cloudypoints.geometry import Floats, Mount
from cloudypoints.projector.obstacles.scene import places_m
from cloudypoints.projector.obstacles.tables import ObstacleTables, ups_of


def seen_from_m(tables: ObstacleTables, mount: Mount, corridor: Corridor) -> Floats:
    """(S + 1,) up to where ground must come into view, in the sectors and in the corridor.

    inf where flat ground does not come into view by the lower edge.
    """
    rays, matrix = tables.rays[:, -1:], mount.vehicle_from_camera
    up = ups_of(rays, matrix)
    depth_m = np.full_like(up, np.nan)
    np.divide(np.float32(-mount.height_m), up, out=depth_m, where=up < 0)
    forward_m, left_m = (m.ravel() for m in places_m(depth_m, tuple(rays), matrix))
    range_m = np.hypot(forward_m - np.float32(mount.x_m), left_m - np.float32(mount.y_m))
    inside, ahead_m = corridor.ahead(forward_m, left_m)
    seen_m = np.full(tables.sectors + 1, np.inf, np.float32)
    np.fmin.at(seen_m, tables.lowest_sector, 2 * range_m)
    seen_m[-1] = np.fmin.reduce((ahead_m + range_m)[inside], initial=np.inf)
    return seen_m
