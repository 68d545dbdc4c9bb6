"""The small messages that say what a frame means: obstacles, the ground, and how all is going."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from cloudypoints.errors import WireError
from cloudypoints.messages.header import (
    CATEGORY_NAMES,
    Array,
    Category,
    Header,
    check,
    maps_since,
    since,
)

NAN = float("nan")

# How far an obstacle summary can be trusted: `degraded` is to be doubted, `stale` not to be used.
STATES = ("ok", "degraded", "stale")

# Why it is not `ok`, for programs: no new frame; the same picture again and again; a lens that is
# covered, or blinded by light; metres or ground that were lost; depth known for too little of the
# picture; no ground seen.
CONDITIONS = ("silent", "frozen", "covered", "dazzled", "scale_lost", "little_depth", "no_ground")

# What a zone is: nobody knows, empty, or something came in, stays in, has just left.
ZONE_EVENTS = ("unknown", "empty", "enter", "stay", "leave")

# How far the metres can be trusted: not measured, not yet, yes, no longer.
SCALES = ("assumed", "converging", "good", "lost")


@dataclass(frozen=True, slots=True, eq=False)
class Obstacles:
    """What stands in the way, as sectors like a laser scan's, and the nearest of it.

    Ranges are horizontal metres from the point on the ground below the camera, bearings radians in
    the vehicle's axes, > 0 to the left. Unknown is NaN and never means free; inf means that ground
    was looked at and nothing was seen on it.
    """

    header: Header
    bearing_rad: Array  # (S,) float32, the sectors' middles, rising
    range_m: Array  # (S,) float32 to the nearest obstacle; inf none seen, NaN not looked at
    clear_m: Array  # (S,) float32 up to which ground was seen; NaN unknown
    lower_m: Array  # (S,) float32 lower bound of range_m
    upper_m: Array  # (S,) float32 upper bound
    support: Array  # (S,) uint32 pixels behind it
    category: Array  # (S,) uint8 Category of it
    state: str = "ok"  # of STATES
    reason: str = ""  # why the state is not ok
    nearest_m: float = float("nan")
    nearest_bearing_rad: float = float("nan")
    nearest_category: int = 0
    corridor_m: float = float("nan")  # free way ahead of the bumper, in the vehicle's width
    corridor_width_m: float = float("nan")
    bumper_x_m: float = float("nan")  # the bumper, forward of the vehicle's origin
    conditions: tuple[str, ...] = since(1, ())  # of CONDITIONS: why the state is not ok
    nearest_width_m: float = since(1, NAN)  # what is seen of it
    nearest_height_m: float = since(1, NAN)  # its top above the ground
    nearest_rate_mps: float = since(1, NAN)  # of its range; < 0: it comes nearer
    nearest_ttc_s: float = since(1, NAN)  # until range 0; inf: it does not come nearer
    nearest_ttc_sigma_s: float = since(1, NAN)  # one standard deviation
    corridor_ground_m: float = since(1, NAN)  # ahead of the bumper, ground seen without a gap
    corridor_rate_mps: float = since(1, NAN)
    corridor_ttc_s: float = since(1, NAN)  # until the bumper is there
    corridor_ttc_sigma_s: float = since(1, NAN)
    corridor_curvature_1pm: float = since(1, 0.0)  # of its middle; > 0 to the left
    corridor_axle_x_m: float = since(1, 0.0)  # where its arc is tangent to the vehicle's x
    zone_event: Mapping[str, str] = maps_since(1)  # of ZONE_EVENTS, by the zone's name
    zone_distance_m: Mapping[str, float] = maps_since(1)  # range of the nearest thing in it
    zone_since_s: Mapping[str, float] = maps_since(1)  # how long it has been so
    zone_entries: Mapping[str, int] = maps_since(1)  # how often something came in
    zone_outline_m: Mapping[str, tuple[float, ...]] = maps_since(1)  # x, y, x, y, … vehicle

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {
        "bearing_rad": ("<f4", (1,)),
        "range_m": ("<f4", (1,)),
        "clear_m": ("<f4", (1,)),
        "lower_m": ("<f4", (1,)),
        "upper_m": ("<f4", (1,)),
        "support": ("<u4", (1,)),
        "category": ("|u1", (1,)),
    }

    def __post_init__(self) -> None:
        check(self)
        lengths = {len(getattr(self, name)) for name in self.buffers}
        if len(lengths) != 1:
            raise WireError(
                f"obstacles: sector arrays of lengths {sorted(lengths)}; all must agree"
            )
        if self.state not in STATES:
            raise WireError(f"obstacles: state {self.state!r:.40}; known are {', '.join(STATES)}")
        highest = max(self.nearest_category, int(self.category.max(initial=0)))
        if not 0 <= self.nearest_category <= highest < len(Category):
            raise WireError(f"obstacles: a category beyond {', '.join(CATEGORY_NAMES)}")
        unknown = sorted({*self.zone_event.values()} - {*ZONE_EVENTS})
        if unknown:
            raise WireError(
                f"obstacles: zone {unknown[0]!r:.40}; known are {', '.join(ZONE_EVENTS)}"
            )
        beside = (self.zone_distance_m, self.zone_since_s, self.zone_entries, self.zone_outline_m)
        if any(set(zone) != set(self.zone_event) for zone in beside):
            raise WireError("obstacles: zones that are not the same in every map of zones")


@dataclass(frozen=True, slots=True)
class Scale:
    """The ground below the camera as it was fitted, and what made metres of the model's depth.

    Pitch and roll are those of the camera above the fitted ground, as in `vehicle_from_camera`.
    What was not measured has a sigma of NaN.
    """

    header: Header
    pitch_rad: float = float("nan")  # > 0 looks down
    pitch_sigma_rad: float = float("nan")
    roll_rad: float = float("nan")  # > 0 lowers the right side
    roll_sigma_rad: float = float("nan")
    height_m: float = float("nan")  # of the camera above the ground, in the metres published
    height_sigma_m: float = float("nan")
    mount_height_m: float = float("nan")  # what the calibration says of it
    scale: float = float("nan")  # metres = scale × depth, or scale / (inverse depth - shift)
    scale_sigma: float = float("nan")  # NaN where the ground did not give it
    shift: float = 0.0
    flat_m: float = float("nan")  # the ground seen lies in this plane up to here; NaN: not seen
    flicker: float = float("nan")  # of the model's scale from frame to frame: 0.01 is 1 %, one σ
    state: str = "assumed"  # of SCALES
    reason: str = ""  # why it is not good

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {}

    def __post_init__(self) -> None:
        if self.state not in SCALES:
            raise WireError(f"scale: state {self.state!r:.40}; known are {', '.join(SCALES)}")


@dataclass(frozen=True, slots=True)
class Status:
    """How one camera and the node behind it are doing, about once a second, whatever happens."""

    header: Header
    source: str = ""  # without credentials
    capture: str = ""  # opening, streaming, reconnecting, ended, failed
    reason: str = ""  # the last error, if any
    frames: int = 0  # read since the start
    dropped: int = 0  # lost inside the node since the start
    rate_hz: float = 0.0  # of published clouds
    age_s: float = float("nan")  # of the newest cloud when it left the node
    latency_ms: Mapping[str, float] = field(default_factory=dict)  # by stage, median
    faults: Mapping[str, int] = field(default_factory=dict)  # of the source, by kind
    provider: str = ""
    version: str = ""
    memory_mb: float = 0.0  # resident set of the node
    insecure: bool = False  # bound beyond loopback, without keys
    # Of the last picture and depth, by name (input_statistics): to see a drift.
    statistics: Mapping[str, float] = maps_since(1)

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {}


@dataclass(frozen=True, slots=True)
class Setup:
    """What one camera's messages were made with, so that they can be made again; beside status."""

    header: Header
    document: str = ""  # JSON: settings, camera, model, provider, processor, libraries

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {}
