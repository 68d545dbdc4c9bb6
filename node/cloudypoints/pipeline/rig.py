"""One camera's way through the node: its geometry, and the messages made of its frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, replace

import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture import Frame
from cloudypoints.capture.packets import Moment, Packet
from cloudypoints.compact import Compactor, check_installed
from cloudypoints.config import CameraSettings, NodeSettings
from cloudypoints.errors import CalibrationError
from cloudypoints.fingerprint import setup_of
from cloudypoints.geometry import Camera, Floats, rays_of
from cloudypoints.inference import Model, Result, View
from cloudypoints.input_statistics import depth_statistics, picture_statistics
from cloudypoints.messages import (
    Array,
    Cloud,
    Compact,
    Depth,
    Header,
    Image,
    Labels,
    Ledger,
    Mask,
    Message,
    Obstacles,
    Relative,
    Setup,
    Video,
)
from cloudypoints.pipeline.background import FileBackground, MedianBackground, background_of
from cloudypoints.pipeline.shot import Shot, Sight
from cloudypoints.projector import (
    LEARN,
    BonnetLearner,
    Ground,
    GroundFilter,
    MetricDepth,
    ObstacleFilter,
    ObstacleTables,
    PictureHealth,
    Zone,
    check_aspect,
    compact,
    gives_metres,
    limited,
    limits_bind,
    mask_of_grid,
    organised_points,
    scale_message,
    strided,
    voxel_thinned,
)
from cloudypoints.timing import utc_ns

_LEARNING = "learning the background"
_NO_DEPTH: Floats = np.zeros((0, 0), np.float32)  # of a model that gives no metres


class Rig:
    """A camera, the model that looks through it, and what is published of it."""

    def __init__(
        self,
        name: str,
        camera: CameraSettings,
        settings: NodeSettings,
        model: Model,
        own_calibration: Camera | None = None,
        *,
        live: bool = False,
    ) -> None:
        """`own_calibration` is what the source itself knows; a file in the settings outdoes it.

        `live`: its pictures come from a camera, and are never quite the same twice.

        Raises CalibrationError when that file does not hold, ConfigError when its mask or its
        background does not.
        """
        self.name = name
        self.model = model
        self._settings = settings
        self._assumed = camera.assumed
        self._calibrated = camera.calibrated() or own_calibration
        if "compact" in settings.publisher.topics:
            check_installed()
        self._gives_metres = gives_metres(model.card, settings.cloud)
        self._limits_bind = limits_bind(model.card, settings.cloud, settings.ground)
        self._sight: Sight | None = None
        self._camera = camera
        self._mask = camera.drawn_mask()
        self._background = background_of(camera, model.card, name)
        self._learned: View | None = None  # before a background that was learned
        self._zones = camera.zone
        self._live = live
        self._setup: tuple[Sight, Setup] | None = None  # made once for each sight
        self._of_video: tuple[tuple[int, ...], Header] | None = None  # by size: of packets
        self._last: tuple[Header, Result, Floats] | None = None  # of the output's thread

    def shoot(self, frame: Frame) -> Shot:
        """Lay a frame on the model's grid; runs in the camera's own thread, beside inference.

        Raises CalibrationError for a picture of another aspect than the calibration's, ConfigError
        for one of another than the mask's or the background's.
        """
        if frame.restart:  # its filters knew what came before; a background that was learned stays
            self._sight = None
        sight = self.sight_of(frame.picture.shape[1], frame.picture.shape[0], frame.index)
        fitted = self.model.fit(frame.picture, sight.view)
        sight = self._before_background(sight, fitted, frame.stamp_ns)
        ledger = Ledger(captured_ns=frame.captured_ns, received_ns=utc_ns())
        return Shot(self, sight, frame.index, frame.stamp_ns, frame.clock, fitted, ledger)

    def shoot_again(
        self, fitted: NDArray[np.uint8], size_px: tuple[int, int], header: Header, *, restart: bool
    ) -> Shot:
        """A picture that was fitted before and is inferred anew: laid on the grid as it is.

        `size_px` is that of the source's pictures, which tells how they lie on the grid.
        """
        if restart:
            self._sight = None
        sight = self.sight_of(*size_px, header.frame)
        sight = self._before_background(sight, fitted, header.stamp_ns)
        ledger = Ledger(captured_ns=header.ledger.captured_ns)
        return Shot(self, sight, header.frame, header.stamp_ns, header.clock, fitted, ledger)

    def setup(self, sight: Sight) -> Setup:
        """What the messages of this sight are made with."""
        if self._setup is None or self._setup[0] is not sight:
            about = setup_of(self._camera, self._settings, self.model, sight.view)
            document = replace(about, live=self._live, since=sight.since)
            self._setup = sight, Setup(sight.header, document.dumps())
        return self._setup[1]

    def sight_of(self, width_px: int, height_px: int, frame: int = 0) -> Sight:
        """The geometry for pictures of this size; the last one is kept, since its first frame."""
        k = self._sight.view.source.intrinsics if self._sight else None
        if self._sight is None or k is None or (k.width_px, k.height_px) != (width_px, height_px):
            self._sight = replace(self._new_sight(width_px, height_px), since=frame)
        return self._sight

    def messages(self, shot: Shot, drops: int, out: Array) -> Iterator[Message]:
        """Everything to publish of a shot whose result is there, a cloud first.

        `out` (H, W) of POINT is filled with the organised cloud; the Cloud may lie in it. A model
        without metres makes no cloud, and a picture that waits for a background is that alone.
        """
        if self._gives_metres and not shot.sight.waits:
            yield from self._projected(shot, drops, out)
        else:
            yield from self._as_seen(shot, drops)

    def _as_seen(self, shot: Shot, drops: int) -> Iterator[Message]:
        """What the model says itself: nothing in it is metric."""
        assert shot.result is not None
        form, result, header = self.model.card.depth, shot.result, _header(shot, drops)
        if shot.sight.waits and self._gives_metres:
            yield shot.sight.obstacles.stale(header, _LEARNING)
        elif form != "none" and not shot.sight.waits:
            yield Relative(header, shot.sight.depth.wanted(result.depth), form)
        yield from _pictured(header, result)
        self._last = header, result, _NO_DEPTH

    def _projected(self, shot: Shot, drops: int, out: Array) -> Iterator[Message]:
        """The frame in metres."""
        assert shot.result is not None
        sight, cloud, result = shot.sight, self._settings.cloud, shot.result
        metres, ground = sight.depth.update(
            result.depth, result.labels, result.picture, shot.stamp_ns
        )
        camera = replace(sight.view.camera, mount=ground.mount)
        depth_m = limited(metres, camera, sight.rays, cloud) if self._limits_bind else metres
        points = organised_points(depth_m, sight.rays, result.picture, result.labels, out)
        points = strided(points, cloud.stride)
        if cloud.layout == "compact":
            points = voxel_thinned(compact(points), cloud.voxel_m)
        header = _above(_header(shot, drops), ground)
        yield Cloud(replace(header, intrinsics=sight.cloud_intrinsics), points)
        yield self._obstacles(header, metres, shot, ground)
        yield scale_message(header, ground, sight.view.camera.mount.height_m)
        yield Depth(header, depth_m)
        yield from _pictured(header, result)
        if "compact" in self._settings.publisher.topics:
            yield self._compacted(header, depth_m, shot)
        grid = sight.obstacles.grid(header) if self._wants_grid else None
        if grid is not None:
            yield grid
        self._last = header, result, depth_m

    def _video_header(self, width_px: int, height_px: int) -> Header:
        """Of the source's pictures; without their camera where the calibration is of others."""
        header = Header(self.name, model=self.model.card.name, digest=self.model.digest)
        try:
            source = self._camera_of(width_px, height_px)
        except CalibrationError:  # the camera's own thread, which shoots the frame, fails of it
            return header
        return replace(
            header,
            calibration=source.calibration,
            vehicle_from_camera=tuple(source.mount.vehicle_from_camera.ravel().tolist()),
            intrinsics=astuple(source.intrinsics),
        )

    def _compacted(self, header: Header, depth_m: Floats, shot: Shot) -> Compact:
        assert shot.result is not None
        settings = self._settings.compact
        compactor = Compactor(
            shot.sight.view.camera.distortion, settings.step_per_m, settings.jpeg_quality
        )
        return compactor.message(header, depth_m, shot.result.picture, shot.result.labels)

    def video(self, moment: Moment, packet: Packet) -> Video:
        """A packet of the source's, as it is; for the output's thread."""
        size_px = packet.size_px[:: -1 if packet.quarter_turns % 2 else 1]
        if self._of_video is None or self._of_video[0] != size_px:
            self._of_video = size_px, self._video_header(*size_px)
        header = replace(
            self._of_video[1],
            frame=moment.index,
            stamp_ns=moment.stamp_ns,
            clock=moment.clock,
            ledger=Ledger(captured_ns=moment.captured_ns),
        )
        matrix, colour_range = packet.colours
        return Video(
            header,
            np.frombuffer(packet.content, np.uint8),
            packet.coding,
            packet.key,
            packet.shown,
            packet.quarter_turns,
            matrix,
            colour_range,
        )

    def stale(self, reason: str) -> Obstacles | None:
        """What to say of obstacles while no frames come; None where nothing was said of any yet.

        It carries the stamps of the last frame that was published.
        """
        if self._sight is None or not self._gives_metres:
            return None
        header = self._last[0] if self._last else self._sight.header
        return self._sight.obstacles.stale(header, reason)

    def statistics(self) -> dict[str, float]:
        """Of the last frame, by name; empty before there was one."""
        if self._last is None:
            return {}
        _, result, depth_m = self._last
        figures = picture_statistics(result.picture) | depth_statistics(depth_m)
        return {n: round(figure, 5) for n, figure in figures.items() if math.isfinite(figure)}

    @property
    def waits_for(self) -> str:
        """What keeps it from publishing more than pictures; empty where nothing does."""
        background = self._background
        if not isinstance(background, MedianBackground) or self._learned is not None:
            return ""
        return f"{_LEARNING}: {background.learned_s:.0f} of {background.length_s:g} s"

    def _before_background(self, sight: Sight, fitted: NDArray[np.uint8], stamp_ns: int) -> Sight:
        """The sight, with its background once that has been learned."""
        if not sight.waits:
            return sight
        assert isinstance(self._background, MedianBackground)
        background = self._background.learn(fitted, stamp_ns)
        if background is None:
            return sight
        self._learned = replace(sight.view, background=background)
        self._sight = replace(sight, view=self._learned, waits=False)
        return self._sight

    @property
    def _wants_grid(self) -> bool:
        return "grid" in self._settings.publisher.topics

    def _obstacles(self, header: Header, metres: Floats, shot: Shot, ground: Ground) -> Obstacles:
        assert shot.result is not None
        conditions = shot.sight.health.update(shot.result.picture, shot.stamp_ns)
        lost = ("scale_lost",) if ground.state == "lost" else ()
        return shot.sight.obstacles.update(
            header,
            metres,
            shot.result.labels,
            mount=ground.mount,
            conditions=(*conditions, *lost),
            wanted=shot.sight.depth.wanted_share,
        )

    def _new_sight(self, width_px: int, height_px: int) -> Sight:
        source = self._camera_of(width_px, height_px)
        view, waits = self._new_view(source)
        rays = rays_of(view.camera)
        header = Header(
            camera=self.name,
            model=self.model.card.name,
            digest=self.model.digest,
            calibration=source.calibration,
            vehicle_from_camera=tuple(source.mount.vehicle_from_camera.ravel().tolist()),
            intrinsics=astuple(view.camera.intrinsics),
        )
        tables = ObstacleTables.of(view.camera, rays, self._settings.obstacles)
        zones = {name: Zone.of(name, zone, source) for name, zone in self._zones.items()}
        error = self.model.card.relative_error
        obstacles = ObstacleFilter(tables, zones, relative_error=error)
        thinned = view.camera.intrinsics.strided(self._settings.cloud.stride)
        health = PictureHealth(self._settings.health, live=self._live)
        depth = self._new_depth(view, rays)
        return Sight(view, rays, obstacles, depth, health, header, astuple(thinned), waits=waits)

    def _new_view(self, source: Camera) -> tuple[View, bool]:
        """How pictures go in, and whether their background is still to be learned."""
        view = self.model.view(source)
        if isinstance(self._background, FileBackground):
            return self._background.on_grid(self.model, view), False
        if self._background is None:
            return view, False
        if self._learned is not None and self._learned.inner == view.inner:
            return replace(view, background=self._learned.background), False
        self._learned = None
        self._background.reset()
        return view, True

    def _new_depth(self, view: View, rays: Floats) -> MetricDepth:
        k, cloud = view.source.intrinsics, self._settings.cloud
        if self._mask is not None:
            check_aspect(self._mask, k.width_px, k.height_px, f"mask {self._camera.mask}")
        ground = GroundFilter(
            view.camera,
            rays,
            self.model.card.depth,
            settings=self._settings.ground,
            scale=cloud.scale,
        )
        return MetricDepth(
            self.model.card,
            view.camera.intrinsics,
            ground,
            edge_m=cloud.edge_m,
            mask=mask_of_grid(self._mask, self._camera.region, view.inner, rays.shape[1:]),
            learner=BonnetLearner(rays) if self._camera.mask == LEARN else None,
        )

    def _camera_of(self, width_px: int, height_px: int) -> Camera:
        if self._calibrated is None:
            return self._assumed.camera(width_px, height_px)
        try:
            return self._calibrated.behind(width_px, height_px)
        except CalibrationError as error:
            raise CalibrationError(f"camera {self.name}: {error}") from error


def _pictured(header: Header, result: Result) -> Iterator[Message]:
    """What lies on the picture, and the picture, which ends the frame."""
    if result.labels is not None:
        yield Labels(header, result.labels)
    if result.mask is not None:
        yield Mask(header, result.mask)
    yield Image(header, result.picture)


def _above(header: Header, ground: Ground) -> Header:
    """The header of a camera over this ground."""
    placed = tuple(ground.mount.vehicle_from_camera.ravel().tolist())
    return replace(header, scale=ground.state, vehicle_from_camera=placed)


def _header(shot: Shot, drops: int) -> Header:
    """Of what is projected by now."""
    return replace(
        shot.sight.header,
        frame=shot.frame_index,
        stamp_ns=shot.stamp_ns,
        clock=shot.clock,
        ledger=replace(shot.ledger, projected_ns=utc_ns()),
        drops=drops,
    )
