"""What every message has in common: the version, categories, the point, and the header."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import WireError

PROTOCOL = (1, 1)  # major: what a reader must know; minor: what it may ignore

# A cloud's record, 16 bytes: metres in the camera's optical frame, colour, category.
POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    + [("r", "u1"), ("g", "u1"), ("b", "u1"), ("label", "u1")]
)


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


def check(message: Any) -> None:
    """Raises WireError unless each buffer has the dtype and dimensions that its type states."""
    kind = type(message).__name__.lower()
    for name, (dtype, dimensions) in message.buffers.items():
        array = getattr(message, name)
        expected = POINT if dtype == "POINT" else np.dtype(dtype)
        if not isinstance(array, np.ndarray):
            raise WireError(f"{kind}.{name}: {type(array).__name__}, not an array")
        if array.dtype != expected or array.ndim not in dimensions:
            raise WireError(
                f"{kind}.{name}: {array.dtype} of shape {array.shape}; "
                f"expected {expected} with {' or '.join(map(str, dimensions))} dimensions"
            )
        if name == "picture" and array.shape[2] != 3:
            raise WireError(f"image.picture: shape {array.shape}; expected (H, W, 3)")
