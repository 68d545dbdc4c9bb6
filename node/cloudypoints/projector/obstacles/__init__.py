"""Obstacles: sectors like a laser scan's, the nearest thing, the corridor, zones, when it meets.

    obstacles = ObstacleFilter(ObstacleTables.of(camera, rays, settings))
    message = obstacles.update(header, depth_m, labels)      # frame after frame

A pixel is an obstacle when its point lies in the height band above the ground. In each sector the
nearest range counts at which enough of them stand together: as many as an obstacle of the least
size would cover there. Ground seen without a gap is `clear`; where neither was seen all is NaN.
"""

from cloudypoints.projector.obstacles.follow import ObstacleFilter, summarise, unknown
from cloudypoints.projector.obstacles.tables import ObstacleTables

__all__ = ["ObstacleFilter", "ObstacleTables", "summarise", "unknown"]
