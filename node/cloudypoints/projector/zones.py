"""Zones: areas of the ground that are watched, given in metres or drawn in the picture.

Corners in metres lie in the vehicle's frame. Corners drawn in the picture are where their pixels
see the ground, as it was fitted: for cameras that stay where they are. What enters a zone is told
once, then that it stays, and once that it has left: when the zone was seen to be empty. While
nobody sees into it, it is unknown, and what was in it may still be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError, ConfigError
from cloudypoints.geometry import Camera, Floats, Mount
from cloudypoints.lens import undistorted
from cloudypoints.messages import CATEGORY_NAMES
from cloudypoints.projector.settings import ZoneSettings

_FARTHEST_M = 1000.0  # of a corner that was drawn near the horizon
_EDGE_PARTS = 8  # of an edge drawn in the picture: straight there, bent on the ground by the lens
_NOTHING = ("empty", "leave")  # events of a zone that was seen to hold nothing
_EVERY = 16  # of the ground's pixels one is asked whether a zone was looked at


@dataclass(frozen=True, slots=True)
class Zone:
    """An area on the ground."""

    name: str
    settings: ZoneSettings
    corners_m: NDArray[np.float64]  # (N, 2) forward and left in the vehicle's frame
    rays: NDArray[np.float64] | None = None  # (3, N) through the corners, where it was drawn

    @classmethod
    def of(cls, name: str, settings: ZoneSettings, camera: Camera) -> Zone:
        """Of a camera's whole picture. Raises ConfigError for a corner that sees no ground.

        So it does for one outside the picture, and for a picture of another aspect.
        """
        if settings.vehicle_m:
            return cls(name, settings, np.array(settings.vehicle_m, np.float64))
        rays = _rays_through(_outline_px(settings), _drawn_on(name, settings, camera))
        heights = camera.mount.vehicle_from_camera[2, :3] @ rays
        if not (heights < -camera.mount.height_m / _FARTHEST_M).all():
            corner = settings.picture_px[int(np.argmax(heights[::_EDGE_PARTS]))]
            raise ConfigError(
                f"zone {name}: corner {corner} px looks above the ground; draw it below the "
                f"horizon, or correct the camera's height_m and pitch_deg"
            )
        return cls(name, settings, _on_ground(rays, camera.mount), rays)

    def at(self, mount: Mount) -> Zone:
        """The same with the ground where this mount sees it."""
        return self if self.rays is None else replace(self, corners_m=_on_ground(self.rays, mount))

    def members(self, pixels: _Labelled) -> NDArray[np.intp]:
        """Which of these pixels (M,) are in it, and of a category that counts."""
        inside = np.flatnonzero(self._in_box(pixels.forward_m, pixels.left_m))
        inside = inside[self.holds(pixels.forward_m[inside], pixels.left_m[inside])]
        label = pixels.label[inside]
        if not self.settings.categories or not label.any():  # no labels: anything counts
            return inside
        counted = [CATEGORY_NAMES.index(name) for name in self.settings.categories]
        return inside[np.isin(label, counted)]

    def seen_in(self, ground: _Placed) -> bool:
        """Whether any of these pixels of the ground lies in it."""
        forward_m, left_m = ground.forward_m[::_EVERY], ground.left_m[::_EVERY]
        return bool(self.holds(forward_m, left_m).any())

    def holds(self, forward_m: Floats, left_m: Floats) -> NDArray[np.bool_]:
        """Which points (M,) lie in it: a line from it crosses the edges an odd number of times."""
        inside = np.zeros(len(forward_m), np.bool_)
        for (x0, y0), (x1, y1) in zip(self.corners_m, np.roll(self.corners_m, -1, 0), strict=True):
            if y0 == y1:
                continue
            crosses = (left_m < y0) != (left_m < y1)
            inside ^= crosses & (forward_m < x0 + (left_m - y0) * ((x1 - x0) / (y1 - y0)))
        return inside

    def _in_box(self, forward_m: Floats, left_m: Floats) -> NDArray[np.bool_]:
        low, high = self.corners_m.min(axis=0), self.corners_m.max(axis=0)
        ahead = (forward_m >= low[0]) & (forward_m <= high[0])
        inside: NDArray[np.bool_] = ahead & (left_m >= low[1]) & (left_m <= high[1])
        return inside


class _Placed(Protocol):
    """Pixels (M,) with a place in the vehicle's frame."""

    @property
    def forward_m(self) -> Floats:
        """Metres."""

    @property
    def left_m(self) -> Floats:
        """Metres."""


class _Labelled(_Placed, Protocol):
    """The same with a label."""

    @property
    def label(self) -> NDArray[np.uint8]:
        """Categories; void without labels."""


@dataclass(slots=True)
class _Memory:
    """What one zone was."""

    occupied: bool = False
    since_ns: int | None = None  # when it became so; None before the first frame
    empty_ns: int | None = None  # since when it has been seen empty; None: it was not
    entries: int = 0

    def lasts_s(self, stamp_ns: int) -> float:
        """How long it has been so."""
        return 0.0 if self.since_ns is None else (stamp_ns - self.since_ns) / 1e9

    def filled(self, stamp_ns: int) -> str:
        """Something is in it: whether it has come, or stays."""
        if self.occupied:
            return "stay"
        self.occupied, self.since_ns = True, stamp_ns
        self.entries += 1
        return "enter"


class ZoneWatch:
    """What goes on in the zones of one camera."""

    def __init__(self, zones: Mapping[str, Zone]) -> None:
        self._zones = zones
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._memories = {name: _Memory() for name in self._zones}

    def update(
        self, distance_m: Floats, looked_at: Sequence[bool], mount: Mount, stamp_ns: int
    ) -> dict[str, Any]:
        """The message's maps, of the nearest in each zone (Z,) and whether it was looked at."""
        nearest_m = dict(zip(self._zones, distance_m.tolist(), strict=True))
        events = {
            name: self._event(name, math.isfinite(nearest_m[name]), seen, stamp_ns)
            for name, seen in zip(self._zones, looked_at, strict=True)
        }
        for name, event in events.items():
            if math.isinf(nearest_m[name]) and event not in _NOTHING:
                nearest_m[name] = math.nan
        return self._maps(events, nearest_m, mount, stamp_ns)

    def unseen(self, mount: Mount, stamp_ns: int) -> dict[str, Any]:
        """The maps while nothing is seen: every zone is unknown, and nothing is forgotten."""
        unknown_m = dict.fromkeys(self._zones, math.nan)
        return self._maps(dict.fromkeys(self._zones, "unknown"), unknown_m, mount, stamp_ns)

    def _maps(
        self, events: dict[str, str], nearest_m: dict[str, float], mount: Mount, stamp_ns: int
    ) -> dict[str, Any]:
        return {
            "zone_event": events,
            "zone_distance_m": nearest_m,
            "zone_since_s": {n: memory.lasts_s(stamp_ns) for n, memory in self._memories.items()},
            "zone_entries": {n: memory.entries for n, memory in self._memories.items()},
            "zone_outline_m": {
                n: tuple(np.round(z.at(mount).corners_m, 3).ravel().tolist())
                for n, z in self._zones.items()
            },
        }

    def _event(self, name: str, something: bool, looked_at: bool, stamp_ns: int) -> str:
        memory = self._memories[name]
        if memory.since_ns is None:
            memory.since_ns = stamp_ns
        if something or not looked_at:
            memory.empty_ns = None
            return memory.filled(stamp_ns) if something else "unknown"
        if memory.empty_ns is None:
            memory.empty_ns = stamp_ns
        if not memory.occupied:
            return "empty"
        if (stamp_ns - memory.empty_ns) / 1e9 < self._zones[name].settings.leave_after_s:
            return "stay"
        memory.occupied, memory.since_ns = False, stamp_ns
        return "leave"


def _outline_px(settings: ZoneSettings) -> NDArray[np.float64]:
    """The corners drawn in the picture, and points along its edges, (N, 2)."""
    corners = np.array(settings.picture_px, np.float64)
    following = np.roll(corners, -1, axis=0)
    part = np.arange(_EDGE_PARTS)[:, None] / _EDGE_PARTS
    return np.concatenate(
        [start + part * (end - start) for start, end in zip(corners, following, strict=True)]
    )


def _drawn_on(name: str, settings: ZoneSettings, camera: Camera) -> Camera:
    """The camera at the size of the picture in which the zone was drawn. Raises ConfigError."""
    k = camera.intrinsics
    own = (k.width_px, k.height_px)
    width_px, height_px = settings.picture_size_px if any(settings.picture_size_px) else own
    try:
        drawn_on = camera.behind(width_px, height_px)
    except CalibrationError as error:
        raise ConfigError(
            f"zone {name}: drawn in a picture of {width_px}×{height_px} px, but those of the "
            f"camera are {k.width_px}×{k.height_px}: another aspect; draw it in one of them"
        ) from error
    for u, v in settings.picture_px:
        if not (-0.5 <= u <= width_px and -0.5 <= v <= height_px):
            raise ConfigError(
                f"zone {name}: corner ({u:g}, {v:g}) px is outside the picture of {width_px}×"
                f"{height_px} px; picture_size_px says in which size it was drawn"
            )
    return drawn_on


def _rays_through(outline_px: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """(3, N) x / z, y / z and 1 of pixels (N, 2) of the camera's picture."""
    k = camera.intrinsics
    u, v = outline_px.T
    pinhole = np.stack([(u - k.cx_px) / k.fx_px, (v - k.cy_px) / k.fy_px])
    rays = undistorted(pinhole[:, None], camera.distortion)[:, 0]
    return np.concatenate([rays, np.ones_like(rays[:1])])


def _on_ground(rays: NDArray[np.float64], mount: Mount) -> NDArray[np.float64]:
    """Where rays (3, N) meet the ground, (N, 2) of the vehicle frame, not beyond 1000 m."""
    forward, left, up = mount.vehicle_from_camera[:3, :3] @ rays
    depth_m = mount.height_m / np.maximum(-up, mount.height_m / _FARTHEST_M)
    return np.stack([mount.x_m + depth_m * forward, mount.y_m + depth_m * left], axis=1)
