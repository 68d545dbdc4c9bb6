"""What travels: the categories, the table of topics, and one frozen dataclass per message.

Shapes and dtypes are checked once, when a message is made. Arrays are not to be written to
afterwards. What `buffers` names travels as raw bytes, every other field as a value of the header.
Messages with arrays are equal only to themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import WireError

NAN = float("nan")

PROTOCOL = (1, 1)  # major: what a reader must know; minor: what it may ignore

# A cloud's record, 16 bytes: metres in the camera's optical frame, colour, category.
POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    + [("r", "u1"), ("g", "u1"), ("b", "u1"), ("label", "u1")]
)


_MOST_BYTES = 256 << 20  # of a cloud: what the wire takes in one buffer


class Category(IntEnum):
    """The 8 Cityscapes categories by their category id; void also means unknown."""

    VOID = 0
    FLAT = 1
    CONSTRUCTION = 2
    OBJECT = 3
    NATURE = 4
    SKY = 5
    HUMAN = 6
    VEHICLE = 7


CATEGORY_NAMES = tuple(category.name.lower() for category in Category)
CATEGORY_COLOURS: NDArray[np.uint8] = np.array(  # Cityscapes' own, RGB
    [(0, 0, 0), (128, 64, 128), (70, 70, 70), (153, 153, 153)]
    + [(107, 142, 35), (70, 130, 180), (220, 20, 60), (0, 0, 142)],
    np.uint8,
)

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


def since(minor: int, default: Any) -> Any:
    """A field that came with this minor version: a message older than that has the default."""
    return field(default=default, metadata={"since": minor})


def maps_since(minor: int) -> Any:
    """The same for a map, which an older message has empty."""
    return field(default_factory=dict, metadata={"since": minor})


@dataclass(frozen=True, slots=True)
class Ledger:
    """When each stage touched a frame, UTC nanoseconds; 0 where it has not yet."""

    captured_ns: int = 0  # the shutter, or when playback handed the frame out
    received_ns: int = 0  # decoded, in the node's memory
    inference_start_ns: int = 0
    inference_end_ns: int = 0
    projected_ns: int = 0
    published_ns: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What every message says besides its content."""

    camera: str
    session: int = 0  # another one after the node restarted, when `seq` begins anew
    seq: int = 0  # rises by one per message of a topic; the publisher sets both
    frame: int = 0  # the source's own frame number
    stamp_ns: int = 0  # capture stamp on `clock`
    clock: str = "host"  # host: UTC of arrival; media: from the start of a recording
    ledger: Ledger = field(default_factory=Ledger)
    drops: int = 0  # frames that the node itself lost since the last message of this camera
    model: str = ""
    digest: str = ""  # SHA-256 of the model file, hex
    calibration: str = "assumed"  # assumed, file or source
    scale: str = "assumed"  # assumed, converging, good, lost
    vehicle_from_camera: tuple[float, ...] = ()  # 4×4, row by row
    # width_px, height_px, fx_px, fy_px, cx_px, cy_px of the model's output grid
    intrinsics: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("session", "seq", "drops"):
            if getattr(self, name) < 0:
                raise WireError(
                    f"header: {name} is {getattr(self, name)}; it only counts up from 0"
                )
        for name, length in (("vehicle_from_camera", 16), ("intrinsics", 6)):
            numbers = getattr(self, name)
            if len(numbers) not in (0, length) or not all(map(math.isfinite, numbers)):
                raise WireError(
                    f"header: {name} is {numbers!r:.80}; expected {length} finite numbers or none"
                )

    @property
    def vehicle_from_camera_matrix(self) -> NDArray[np.float64]:
        """(4, 4). Raises WireError where the message does not say it."""
        if not self.vehicle_from_camera:
            raise WireError(f"{self.camera}: the header has no vehicle_from_camera")
        return np.array(self.vehicle_from_camera, np.float64).reshape(4, 4)


Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Points of one frame: organised (H, W), unknown ones NaN, or compact (N,), known ones only."""

    header: Header
    points: Array  # POINT

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"points": ("POINT", (1, 2))}

    def __post_init__(self) -> None:
        _check(self)

    @property
    def known(self) -> Array:
        """The points that have a place, compact (N,)."""
        flat: Array = self.points.reshape(-1)
        known: Array = flat[np.isfinite(flat["z"])]
        return known

    def xyz_m(self, frame: str = "camera") -> NDArray[np.float32]:
        """(N, 3) metres of the known points, in the `camera` or the `vehicle` frame."""
        known = self.known
        xyz = np.stack([known["x"], known["y"], known["z"]], axis=1)
        if frame == "camera":
            return xyz
        if frame != "vehicle":
            raise ValueError(f"frame {frame!r}: known are camera, vehicle")
        matrix = self.header.vehicle_from_camera_matrix.astype(np.float32)
        moved: NDArray[np.float32] = xyz @ matrix[:3, :3].T + matrix[:3, 3]
        return moved

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(N, 3) colours of the known points."""
        known = self.known
        return np.stack([known["r"], known["g"], known["b"]], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """How far each pixel is along the optical axis (z, not range)."""

    header: Header
    depth_m: Array  # (H, W) float32, NaN where unknown

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"depth_m": ("<f4", (2,))}

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The category of each pixel."""

    header: Header
    labels: Array  # (H, W) uint8

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"labels": ("|u1", (2,))}

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """The very picture that was inferred, at the model's grid."""

    header: Header
    picture: Array  # (H, W, 3) uint8 RGB

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"picture": ("|u1", (3,))}

    def __post_init__(self) -> None:
        _check(self)


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
        _check(self)
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
        zones = (self.zone_event, self.zone_distance_m, self.zone_since_s)
        zones = (*zones, self.zone_entries, self.zone_outline_m)
        if any(set(zone) != set(self.zone_event) for zone in zones):
            raise WireError("obstacles: zones that are not the same in every map of zones")


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where things stand and where ground was seen, from above: one frame's, nothing lingers.

    Cell [i, j] begins at (x_m + i · cell_m, y_m + j · cell_m) of the vehicle's frame.
    """

    header: Header
    cells: Array  # (X, Y) int8: -1 unknown, 0 ground seen, 100 an obstacle
    cell_m: float = 0.0
    x_m: float = 0.0
    y_m: float = 0.0

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"cells": ("|i1", (2,))}

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Compact:
    """A frame for thin links, from which `cloudypoints.compact.rebuilt` makes its organised cloud.

    Codes count steps of inverse depth, so that z is within z² × step_per_m / 2 of what it was;
    colours are a JPEG picture, categories are exact.
    """

    header: Header
    codes: Array  # uint8: zstd of two planes (2, H, W), low and high bytes of the codes' residuals
    colours: Array  # uint8: JPEG
    labels: Array  # uint8: zstd of (H, W) Category ids; empty where the model has none
    width_px: int
    height_px: int
    step_per_m: float  # inverse depth of one step, 1/m; > 0
    distortion: str = "none"  # of the picture that the grid lies on, as calibration files name it
    coefficients: tuple[float, ...] = ()  # of it, in OpenCV's order

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {
        "codes": ("|u1", (1,)),
        "colours": ("|u1", (1,)),
        "labels": ("|u1", (1,)),
    }

    def __post_init__(self) -> None:
        _check(self)
        pixels = self.width_px * self.height_px
        if min(self.width_px, self.height_px) < 1 or pixels * POINT.itemsize > _MOST_BYTES:
            raise WireError(f"compact: a grid of {self.width_px}×{self.height_px}")
        if not 0 < self.step_per_m < math.inf:
            raise WireError(f"compact: steps of {self.step_per_m} 1/m; must be above 0")


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


Message = Cloud | Compact | Depth | Grid | Labels | Image | Obstacles | Scale | Setup | Status


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table of topics."""

    kind: str
    type: type[Message]
    lane: str  # fast: small and urgent; bulk: megabytes
    rate_hz: float  # expected; 0: that of the camera
    on_request: bool = False  # published only where the settings name it


TOPICS = {
    topic.kind: topic
    for topic in (
        Topic("obstacles", Obstacles, "fast", 0.0),
        Topic("scale", Scale, "fast", 0.0),
        Topic("status", Status, "fast", 1.0),
        Topic("setup", Setup, "fast", 1.0),
        Topic("cloud", Cloud, "bulk", 0.0),
        Topic("compact", Compact, "bulk", 0.0, on_request=True),
        Topic("depth", Depth, "bulk", 0.0),
        Topic("labels", Labels, "bulk", 0.0),
        Topic("image", Image, "bulk", 0.0),
        Topic("grid", Grid, "bulk", 0.0, on_request=True),
    )
}
USUAL_TOPICS = tuple(kind for kind, topic in TOPICS.items() if not topic.on_request)
KIND_OF: Mapping[type[Message], str] = {topic.type: topic.kind for topic in TOPICS.values()}


def _check(message: Message) -> None:
    """Every buffer has the dtype and the number of dimensions that its type states."""
    for name, (dtype, dimensions) in message.buffers.items():
        array = getattr(message, name)
        expected = POINT if dtype == "POINT" else np.dtype(dtype)
        if not isinstance(array, np.ndarray):
            raise WireError(
                f"{KIND_OF[type(message)]}.{name}: {type(array).__name__}, not an array"
            )
        if array.dtype != expected or array.ndim not in dimensions:
            raise WireError(
                f"{KIND_OF[type(message)]}.{name}: {array.dtype} of shape {array.shape}; "
                f"expected {expected} with {' or '.join(map(str, dimensions))} dimensions"
            )
        if name == "picture" and array.shape[2] != 3:
            raise WireError(f"image.picture: shape {array.shape}; expected (H, W, 3)")


def values_of(message: Message) -> dict[str, Any]:
    """The fields that are neither the header nor a buffer."""
    return {
        f.name: getattr(message, f.name)
        for f in fields(message)
        if f.name != "header" and f.name not in message.buffers
    }
