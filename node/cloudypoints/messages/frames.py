"""The messages that hold a frame: a value or point for each pixel, or for each cell of ground."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import WireError
from cloudypoints.messages.header import POINT, Array, Header, check

NAN = float("nan")

# What depth without metres is: 1 / depth up to a factor; the same with a shift that nobody knows
# either; the disparity of a camera pair.
FORMS = ("inverse", "affine_inverse", "disparity")
CODINGS = ("h264", "h265", "jpeg")  # of a source's own packets
_MOST_BYTES = 256 << 20  # of a cloud: what the wire takes in one buffer


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Points of one frame: organised (H, W), unknown ones NaN, or compact (N,), known ones only."""

    header: Header
    points: Array  # POINT

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"points": ("POINT", (1, 2))}

    def __post_init__(self) -> None:
        check(self)

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
        check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The category of each pixel."""

    header: Header
    labels: Array  # (H, W) uint8

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"labels": ("|u1", (2,))}

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Relative:
    """Which pixels are nearer, where nobody knows how near: depth without metres.

    It is no `Depth`, so that nobody ever takes its numbers for metres.
    """

    header: Header
    nearness: Array  # (H, W) float32, larger is nearer, NaN where unknown
    form: str  # of FORMS: what is needed to make metres of it

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"nearness": ("<f4", (2,))}

    def __post_init__(self) -> None:
        check(self)
        if self.form not in FORMS:
            raise WireError(f"relative: form {self.form!r:.40}; known are {', '.join(FORMS)}")


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """What stands before the known background."""

    header: Header
    mask: Array  # (H, W) uint8: 255 × how surely it is foreground

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"mask": ("|u1", (2,))}

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """The very picture that was inferred, at the model's grid."""

    header: Header
    picture: Array  # (H, W, 3) uint8 RGB

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"picture": ("|u1", (3,))}

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """One picture as its source coded it, nothing coded anew: of video or of single JPEGs.

    Packets are decoded in their order. Those before a shown one may say the same frame: their
    pictures were broken or not wanted, but what follows is made of them.
    """

    header: Header  # intrinsics are those of the source's picture, once it is upright
    packet: Array  # (N,) uint8: an access unit in Annex B without B-frames, or a JPEG file
    coding: str  # of CODINGS
    key: bool  # a decoder can begin with it: parameter sets are in it
    shown: bool = True
    quarter_turns: int = 0  # counter-clockwise, then the decoded picture is upright
    colour_matrix: int = 2  # where the packets themselves do not say it, as in ITU-T H.273; 2: ...
    colour_range: int = 0  # ... unknown. 1: 16 to 235, 2: 0 to 255, 0: unknown

    buffers: ClassVar[Mapping[str, tuple[str, tuple[int, ...]]]] = {"packet": ("|u1", (1,))}

    def __post_init__(self) -> None:
        check(self)
        if self.coding not in CODINGS:
            raise WireError(f"video: coding {self.coding!r:.40}; known are {', '.join(CODINGS)}")


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
        check(self)


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
        check(self)
        pixels = self.width_px * self.height_px
        if min(self.width_px, self.height_px) < 1 or pixels * POINT.itemsize > _MOST_BYTES:
            raise WireError(f"compact: a grid of {self.width_px}×{self.height_px}")
        if not 0 < self.step_per_m < math.inf:
            raise WireError(f"compact: steps of {self.step_per_m} 1/m; must be above 0")
