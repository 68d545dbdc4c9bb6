"""Projection: typed depth and a camera become metric clouds and obstacle distances.

Pure functions on arrays: no clock, no log, no state but the tables of a camera, made once.
"""

from cloudypoints.projector.cloud import (
    colours_of,
    compact,
    limited,
    limits_bind,
    organised_points,
    strided,
    voxel_thinned,
)
from cloudypoints.projector.ground import Ground, GroundFilter
from cloudypoints.projector.health import Health, PictureHealth
from cloudypoints.projector.metric_depth import MetricDepth
from cloudypoints.projector.obstacles import (
    ObstacleFilter,
    ObstacleTables,
    summarise,
    unknown,
)
from cloudypoints.projector.quality import without_flying
from cloudypoints.projector.quality_mask import (
    EVERYTHING,
    LEARN,
    BonnetLearner,
    Region,
    check_aspect,
    load_mask,
    mask_of_grid,
)
from cloudypoints.projector.scale import (
    check_metres,
    gives_metres,
    metres_from,
    scale_message,
    without_metres,
)
from cloudypoints.projector.settings import (
    CloudSettings,
    CompactSettings,
    GroundSettings,
    HealthSettings,
    ObstacleSettings,
    ZoneSettings,
)
from cloudypoints.projector.zones import Zone

__all__ = [
    "EVERYTHING",
    "LEARN",
    "BonnetLearner",
    "CloudSettings",
    "CompactSettings",
    "Ground",
    "GroundFilter",
    "GroundSettings",
    "Health",
    "HealthSettings",
    "MetricDepth",
    "ObstacleFilter",
    "ObstacleSettings",
    "ObstacleTables",
    "PictureHealth",
    "Region",
    "Zone",
    "ZoneSettings",
    "check_aspect",
    "check_metres",
    "colours_of",
    "compact",
    "gives_metres",
    "limited",
    "limits_bind",
    "load_mask",
    "mask_of_grid",
    "metres_from",
    "organised_points",
    "scale_message",
    "strided",
    "summarise",
    "unknown",
    "voxel_thinned",
    "without_flying",
    "without_metres",
]
