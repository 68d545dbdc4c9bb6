"""Obstacles against the truth: rendered drives with exact depth, and LiDAR pictures.

With the true depth in place of the network's, geometry alone is judged; with a model's, everything
that a node does. The ground is fitted in every frame, as in a node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Floats, project, rays_of, transformed
from cloudypoints.inference import Model
from cloudypoints.messages import Category, Header, Obstacles
from cloudypoints.projector import (
    GroundFilter,
    GroundSettings,
    ObstacleFilter,
    ObstacleSettings,
    ObstacleTables,
)
from cloudytools.evaluate import lidar
from cloudytools.evaluate.obstacle_courses import Course, Moment, moments, picture
from cloudytools.evaluate.obstacle_scores import Run
from cloudytools.evaluate.obstacle_truth import Truth, TruthFinder

LIDAR_GRID_PX = (320, 200)  # what LiDAR points are laid on, as depth
_LIDAR_FAR_M = 60.0
_GAP_ACROSS_PX, _GAP_DOWN_PX = 6, 14  # between points of one surface
_SURFACE = 1.25  # inverse depths of one surface differ by less from one point to the next

Seen = tuple[Floats, NDArray[np.uint8] | None]  # depth and labels (H, W)
Look = Callable[[Moment], Seen]
S = TypeVar("S", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Follower:
    """What a node does with depth, from frame to frame."""

    ground: GroundFilter
    obstacles: ObstacleFilter

    @classmethod
    def of(cls, camera: Camera, settings: ObstacleSettings, relative_error: float = 0) -> Follower:
        """Of a grid's camera."""
        rays = rays_of(camera)
        return cls(
            GroundFilter(camera, rays, "metric", settings=GroundSettings()),
            ObstacleFilter(
                ObstacleTables.of(camera, rays, settings), relative_error=relative_error
            ),
        )

    def report(self, seen: Seen, stamp_ns: int) -> Obstacles:
        """After this frame."""
        ground = self.ground.update(*seen, stamp_ns)
        header = Header(
            "course",
            stamp_ns=stamp_ns,
            scale=ground.state,
            vehicle_from_camera=tuple(ground.mount.vehicle_from_camera.ravel().tolist()),
        )
        return self.obstacles.update(header, *seen, mount=ground.mount)


def drive(course: Course, folder: Path, settings: ObstacleSettings, model: Model | None) -> Run:
    """One course, by its exact depth or by what a model sees in its pictures."""
    error = model.card.relative_error if model else 0.0
    run, finder = Run(course.name, course.camera.mount), TruthFinder(course.camera, settings)
    follower = Follower.of(course.camera, settings, error)
    look = _through(model, course) if model else _exactly
    for moment in moments(course, folder):
        truth = finder.find(moment.depth_m, moment.labels, moment.height_m)
        run.add(moment.stamp_ns, truth, follower.report(look(moment), moment.stamp_ns))
    return run


def settings_of(course: Course, **changes: float) -> ObstacleSettings:
    """Those of a course."""
    return ObstacleSettings(**{**course.settings, **changes})


def lidar_run(
    frames: Iterable[lidar.Frame], settings: ObstacleSettings, model: Model | None
) -> Iterator[Run]:
    """Each LiDAR picture as a run of one frame; points in the height band are the truth.

    The exact depth is the LiDAR's own, with the gaps between its lines filled along the surfaces:
    it judges the geometry on real streets. The truth is the points alone.
    """
    for frame in frames:
        camera = frame.camera.resized(*LIDAR_GRID_PX)
        depth_m = _splatted(frame.points_camera, camera)
        truth = _lidar_truth(frame.points_camera, camera, settings)
        run = Run(frame.name, frame.camera.mount)
        if model is None:
            follower = Follower.of(camera, settings)
            report = follower.report((_filled(depth_m), None), 0)
        else:
            view = model.view(frame.camera)
            result = model.infer([frame.picture], [view])[0]
            follower = Follower.of(view.camera, settings, model.card.relative_error)
            report = follower.report((result.depth, result.labels), 0)
        run.add(0, truth, report)
        yield run


def _exactly(moment: Moment) -> Seen:
    return moment.depth_m, moment.labels


def _through(model: Model, course: Course) -> Look:
    """What the model sees in the course's pictures, laid back on the course's grid."""
    view = model.view(course.camera)

    def look(moment: Moment) -> Seen:
        result = model.infer([picture(course, moment.frame)], [view])[0]
        assert result.depth is not None
        labels = result.labels
        seen = None if labels is None else _on_grid(labels, course.camera)
        return _on_grid(result.depth, course.camera), seen

    return look


def _on_grid(grid: NDArray[S], camera: Camera) -> NDArray[S]:
    k = camera.intrinsics
    rows = np.arange(k.height_px) * grid.shape[0] // k.height_px
    columns = np.arange(k.width_px) * grid.shape[1] // k.width_px
    return np.ascontiguousarray(grid[np.ix_(rows, columns)])


def _splatted(points_camera: NDArray[np.float64], camera: Camera) -> Floats:
    """(H, W) depth of the nearest point in each pixel, NaN where there is none."""
    k = camera.intrinsics
    pixels = np.rint(project(points_camera, camera)).astype(np.intp)
    inside = ((pixels >= 0) & (pixels < (k.width_px, k.height_px))).all(axis=1)
    depth_m = np.full((k.height_px, k.width_px), np.inf, np.float32)
    u, v = pixels[inside].T
    np.minimum.at(depth_m, (v, u), points_camera[inside, 2].astype(np.float32))
    return np.where(np.isinf(depth_m), np.float32(np.nan), depth_m)


def _filled(depth_m: Floats) -> Floats:
    """The same where gaps between points of one surface, beside or above each other, are filled.

    On a plane inverse depth is linear in columns and in rows.
    """
    inverse = 1 / depth_m
    across = np.apply_along_axis(_bridged, 1, inverse, _GAP_ACROSS_PX)
    down = np.apply_along_axis(_bridged, 0, across, _GAP_DOWN_PX)
    return np.asarray(1 / down, np.float32)


def _bridged(line: Floats, widest_px: int) -> Floats:
    """A line of inverse depths (N,) with its short gaps between like ones filled."""
    known = np.flatnonzero(np.isfinite(line))
    if len(known) < 2:
        return line
    place = np.arange(len(line))
    after = np.searchsorted(known, place).clip(1, len(known) - 1)
    left, right = known[after - 1], known[after]
    near, far = np.maximum(line[left], line[right]), np.minimum(line[left], line[right])
    between = (place > left) & (place < right) & (right - left <= widest_px)
    filled = np.interp(place, known, line[known])
    return np.where(between & (near < _SURFACE * far), filled, line)


def _lidar_truth(
    points_camera: NDArray[np.float64], camera: Camera, settings: ObstacleSettings
) -> Truth:
    """The same truth as of rendered depth, of the pixels that LiDAR points fall on.

    A LiDAR has no labels: what stands in the band above the mount's ground is an obstacle.
    """
    depth_m = _splatted(points_camera, camera)
    points = _points_of(depth_m, camera)
    height_m = transformed(camera.mount.vehicle_from_camera, points)[..., 2].astype(np.float32)
    labels = np.full(depth_m.shape, Category.OBJECT, np.uint8)
    seen = np.where(depth_m < _LIDAR_FAR_M, depth_m, np.float32(np.nan))
    return TruthFinder(camera, settings).find(seen, labels, height_m)


def _points_of(depth_m: Floats, camera: Camera) -> NDArray[np.float64]:
    """(H, W, 3) metres in the camera's optical frame."""
    x, y = rays_of(camera).astype(np.float64)
    return np.stack([x, y, np.ones_like(x)], axis=-1) * depth_m[..., None]


def chosen(courses: Sequence[Course], names: Sequence[str]) -> list[Course]:
    """Those named, or all."""
    return [course for course in courses if not names or course.name in names]
