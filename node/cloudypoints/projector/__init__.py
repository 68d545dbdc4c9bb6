"""Projection: typed depth and a camera become metric clouds and obstacle distances.

Pure functions on arrays: no clock, no log, no state but the tables of a camera, made once.
"""

from cloudypoints.projector.cloud import (
    check_metres,
    colours_of,
    compact,
    limited,
    limits_bind,
    metres_from,
    organised_points,
    strided,
    voxel_thinned,
)
from cloudypoints.projector.obstacles import ObstacleTables, summarise, unknown
from cloudypoints.projector.settings import CloudSettings, ObstacleSettings

__all__ = [
    "CloudSettings",
    "ObstacleSettings",
    "ObstacleTables",
    "check_metres",
    "colours_of",
    "compact",
    "limited",
    "limits_bind",
    "metres_from",
    "organised_points",
    "strided",
    "summarise",
    "unknown",
    "voxel_thinned",
]
