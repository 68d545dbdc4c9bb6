"""From frame to frame: what is seen now, kept steady, with rates, zones and an honest state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.corridor import Corridor
from cloudypoints.geometry import Floats, Mount
from cloudypoints.messages import CONDITIONS, Grid, Header, Obstacles
from cloudypoints.projector.grid import grid_of
from cloudypoints.projector.obstacles.closing import Closing, ClosingFilter
from cloudypoints.projector.obstacles.evidence import (
    Evidence,
    Members,
    Nearest,
    cells_of,
    clear_of,
    nearest_of,
)
from cloudypoints.projector.obstacles.nearby import seen_from_m
from cloudypoints.projector.obstacles.part import foot_is_hidden, top_m
from cloudypoints.projector.obstacles.scene import Lookout, Pixels, Places, Scene
from cloudypoints.projector.obstacles.steady import Steady
from cloudypoints.projector.obstacles.tables import ObstacleTables
from cloudypoints.projector.obstacles.thing import nearest_thing
from cloudypoints.projector.zones import Zone, ZoneWatch

_MIN_KNOWN = 0.2  # the part of pixels that must have depth for the summary to be ok
_NO_NEWS = ("silent", "frozen")  # nothing is known any more: stale
_BLIND = ("covered", "dazzled")  # what is not seen may be there: nothing is called free
_NO_GRID = (*_NO_NEWS, *_BLIND, "scale_lost")  # a grid, which has no state, calls nothing free

WORDS: Mapping[str, str] = {
    "silent": "no frame",
    "frozen": "the picture does not change",
    "covered": "the lens is covered",
    "dazzled": "the lens is dazzled",
    "scale_lost": "the ground was lost, and with it what distances rest on",
    "little_depth": "depth is known for little of the picture",
    "no_ground": "no ground in view",
}


class ObstacleFilter:
    """Follows what one camera sees. The same frames give the same summaries; `reset` forgets."""

    def __init__(
        self,
        tables: ObstacleTables,
        zones: Mapping[str, Zone] | None = None,
        *,
        relative_error: float = 0.0,
    ) -> None:
        """`relative_error` is that of the depth."""
        self.tables = tables
        self._relative_error = relative_error
        settings = tables.settings
        self._corridor = Corridor(
            settings.curvature_1pm,
            settings.corridor_width_m,
            settings.bumper_x_m,
            settings.axle_x_m,
        )
        self._zones = dict(zones or {})
        self._lookout = Lookout(tables)
        self._steady = Steady(tables)
        self._nearest_closing, self._corridor_closing = ClosingFilter(), ClosingFilter()
        self._watch = ZoneWatch(self._zones)
        self._scene: Scene | None = None
        self._free = False  # whether the last frame's ground may be called free

    def reset(self) -> None:
        """As after a seek: the next frame is the first."""
        self._break_off()
        self._watch.reset()

    def update(
        self,
        header: Header,
        depth_m: Floats,
        labels: NDArray[np.uint8] | None,
        *,
        mount: Mount | None = None,
        conditions: Sequence[str] = (),
        wanted: float = 1.0,
    ) -> Obstacles:
        """The summary after this frame, on the whole grid: `depth_m` and `labels` (H, W).

        `mount` is how the camera sits above the ground that was fitted, `conditions` are those
        that others have found, `wanted` is the share of the grid that no mask or region leaves out.
        """
        scene = self._lookout.look(depth_m, labels, mount or self.tables.camera.mount, wanted)
        self._scene, self._free = scene, not {*conditions} & {*_NO_GRID}
        if {*conditions} & {*_NO_NEWS}:
            self._break_off()
            return self.stale(header, reason_of(conditions), conditions=conditions)
        blind = bool({*conditions} & {*_BLIND})
        seen = self._seen(scene, header.stamp_ns, blind=blind)
        conditions = sorted({*conditions, *seen.conditions}, key=CONDITIONS.index)
        message = self._message(header, seen, _state_of(conditions))
        return _without_free(message) if blind else message

    def stale(
        self, header: Header, reason: str, *, conditions: Sequence[str] = ("silent",)
    ) -> Obstacles:
        """The summary while there is nothing new: NaN all over, and every zone is unknown."""
        mount = self._scene.mount if self._scene else self.tables.camera.mount
        zones = self._watch.unseen(mount, header.stamp_ns)
        return unknown(header, self.tables, reason, conditions=conditions, zones=zones)

    def grid(self, header: Header) -> Grid | None:
        """The last frame from above; None before there was one."""
        return None if self._scene is None else grid_of(self._scene, header, free=self._free)

    def _break_off(self) -> None:
        """Forget what the next frame cannot follow; what zones hold and have counted stays."""
        self._steady.reset()
        self._nearest_closing.reset()
        self._corridor_closing.reset()

    def _seen(self, scene: Scene, stamp_ns: int, *, blind: bool) -> _Seen:
        """What stands where, kept steady, and the ground between; of a `blind` lens no zone."""
        standing, ground, tables = scene.standing, scene.ground, self.tables
        zones = [zone.at(scene.mount) for zone in self._zones.values()]
        members = [self._in_corridor(standing)]
        for zone in zones:
            pixel = zone.members(standing)
            members.append(Members(pixel, standing.range_m[pixel]))
        evidence = Evidence.of(standing.cell, standing.range_m, members, tables)
        enough = self._steady.enough(evidence, stamp_ns)
        near, clear_m = nearest_of(evidence, enough, standing.label), self._clear(scene)
        near = self._steady.held(near, stamp_ns)
        pixel = evidence.pixel.take(near.entry)
        looked_at = tuple(not blind and zone.seen_in(ground) for zone in zones)
        return _Seen(scene, near, pixel, clear_m, looked_at, members[0])

    def _in_corridor(self, pixels: Pixels | Places) -> Members:
        inside, ahead_m = self._corridor.ahead(pixels.forward_m, pixels.left_m)
        pixel = np.flatnonzero(inside)
        return Members(pixel, ahead_m[pixel])

    def _clear(self, scene: Scene) -> Floats:
        """(S + 1,) how far ground was seen in the sectors and in the corridor."""
        tables = scene.tables
        way = cells_of([self._in_corridor(scene.ground)], tables)
        seen_from = seen_from_m(tables, scene.mount, self._corridor)
        return clear_of([scene.ground.cell, *way], seen_from, tables)

    def _message(self, header: Header, seen: _Seen, state: dict[str, Any]) -> Obstacles:
        scene, tables, near, stamp_ns = seen.scene, self.tables, seen.near, header.stamp_ns
        count = tables.sectors
        range_m = seen.range_m
        thing = nearest_thing(scene, near, seen.pixel, range_m)
        corridor_m = self._corridor_m(seen)
        nearest_rate = _followed(self._nearest_closing, thing.range_m, thing.seen, stamp_ns)
        corridor_rate = _followed(
            self._corridor_closing,
            corridor_m,
            bool(near.support[count]),
            stamp_ns,
            part_m=seen.part_ahead(corridor_m),
        )
        zones = self._watch.update(near.distance_m[count + 1 :], seen.zones, scene.mount, stamp_ns)
        return Obstacles(
            header=header,
            bearing_rad=tables.bearings_rad,
            range_m=range_m,
            clear_m=np.minimum(seen.clear_m[:count], near.distance_m[:count]),
            lower_m=range_m * np.float32(max(0.0, 1 - self._relative_error)),
            upper_m=range_m * np.float32(1 + self._relative_error),
            support=near.support[:count],
            category=near.category[:count],
            nearest_m=thing.range_m,
            nearest_bearing_rad=thing.bearing_rad,
            nearest_category=thing.category,
            nearest_width_m=thing.width_m,
            nearest_height_m=thing.height_m,
            nearest_rate_mps=nearest_rate.rate_mps,
            nearest_ttc_s=nearest_rate.ttc_s,
            nearest_ttc_sigma_s=nearest_rate.ttc_sigma_s,
            corridor_m=corridor_m,
            corridor_ground_m=float(seen.clear_m[count]),
            corridor_rate_mps=corridor_rate.rate_mps,
            corridor_ttc_s=corridor_rate.ttc_s,
            corridor_ttc_sigma_s=corridor_rate.ttc_sigma_s,
            **_corridor_fields(tables),
            **zones,
            **state,
        )

    def _corridor_m(self, seen: _Seen) -> float:
        """Free way ahead: inf where enough ground was seen and nothing on it, else NaN."""
        distance_m = float(seen.near.distance_m[self.tables.sectors])
        ground_m = float(seen.clear_m[self.tables.sectors])
        free = ground_m >= self.tables.settings.corridor_ground_m
        return distance_m if math.isfinite(distance_m) or free else math.nan


def summarise(
    header: Header,
    depth_m: Floats,
    labels: NDArray[np.uint8] | None,
    tables: ObstacleTables,
    *,
    relative_error: float = 0.0,
) -> Obstacles:
    """Obstacles of one frame alone: `depth_m` and `labels` (H, W), `relative_error` of depth."""
    return ObstacleFilter(tables, relative_error=relative_error).update(header, depth_m, labels)


def unknown(
    header: Header,
    tables: ObstacleTables,
    reason: str,
    *,
    conditions: Sequence[str] = ("silent",),
    zones: Mapping[str, Any] | None = None,
) -> Obstacles:
    """The summary of a camera that has nothing new to say: stale, and NaN all over.

    `zones` are the message's maps of zones.
    """
    nothing = np.full(tables.sectors, np.nan, np.float32)
    return Obstacles(
        header=header,
        bearing_rad=tables.bearings_rad,
        range_m=nothing,
        clear_m=nothing,
        lower_m=nothing,
        upper_m=nothing,
        support=np.zeros(len(nothing), np.uint32),
        category=np.zeros(len(nothing), np.uint8),
        state="stale",
        reason=reason,
        conditions=tuple(conditions),
        **_corridor_fields(tables),
        **(zones or {}),
    )


def reason_of(conditions: Sequence[str]) -> str:
    """The same in words."""
    return "; ".join(WORDS[condition] for condition in conditions)


def _followed(
    closing: ClosingFilter,
    distance_m: float,
    seen: bool,
    stamp_ns: int,
    *,
    part_m: float = math.nan,
) -> Closing:
    """How a distance changes; one that is held, as nothing of it is seen, tells nothing new."""
    if math.isfinite(distance_m) and not seen:
        return closing.coast(stamp_ns)
    return closing.update(distance_m, stamp_ns, part_m)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One frame's groups: sectors, then the corridor, then the zones."""

    scene: Scene
    near: Nearest
    pixel: NDArray[np.intp]  # the standing pixel of each of its entries
    clear_m: Floats  # (S + 1,) of sectors and corridor
    zones: tuple[bool, ...]  # which were looked at
    way: Members  # the standing pixels in the corridor

    def part_ahead(self, corridor_m: float) -> float:
        """How far along the corridor the part is that tells the rate; NaN: the nearest point."""
        if not foot_is_hidden(corridor_m, float(self.clear_m[-1])):
            return math.nan
        return top_m(self.way.distance_m, self.scene.rises_m(self.way.pixel), corridor_m)

    @property
    def range_m(self) -> Floats:
        """(S,) looked at and nothing seen is inf; not looked at is NaN, never free."""
        sectors = self.scene.tables.sectors
        nearest_m = self.near.distance_m[:sectors]
        blind = np.isinf(nearest_m) & np.isnan(self.clear_m[:sectors])
        return np.where(blind, np.float32(np.nan), nearest_m)

    @property
    def conditions(self) -> list[str]:
        """What this frame alone tells of itself."""
        little = ["little_depth"] if self.scene.known < _MIN_KNOWN else []
        sectors = self.scene.tables.sectors
        return little + (["no_ground"] if np.isnan(self.clear_m[:sectors]).all() else [])


def _corridor_fields(tables: ObstacleTables) -> dict[str, Any]:
    settings = tables.settings
    return {
        "corridor_width_m": settings.corridor_width_m,
        "bumper_x_m": settings.bumper_x_m,
        "corridor_curvature_1pm": settings.curvature_1pm,
        "corridor_axle_x_m": settings.axle_x_m,
    }


def _state_of(conditions: Sequence[str]) -> dict[str, Any]:
    return {
        "state": "degraded" if conditions else "ok",
        "reason": reason_of(conditions),
        "conditions": tuple(conditions),
    }


def _without_free(message: Obstacles) -> Obstacles:
    """The same where nothing is called free: every inf is unknown."""

    def finite(distance_m: float) -> float:
        return distance_m if math.isfinite(distance_m) else math.nan

    def known(ranges_m: Floats) -> Floats:
        return np.where(np.isinf(ranges_m), np.float32(np.nan), ranges_m)

    return replace(
        message,
        range_m=known(message.range_m),
        lower_m=known(message.lower_m),
        upper_m=known(message.upper_m),
        nearest_m=finite(message.nearest_m),
        corridor_m=finite(message.corridor_m),
        nearest_ttc_s=finite(message.nearest_ttc_s),
        corridor_ttc_s=finite(message.corridor_ttc_s),
    )
