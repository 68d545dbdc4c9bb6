"""A cloud for thin links: quantised inverse depth, JPEG colours, and the camera to rebuild it.

A plane's inverse depth is linear over the picture, so that what is left of quantised inverse depth
after predicting each code from its left, upper and upper left neighbours is close to zero on roads
and walls, and zstd makes it small. A code of 0 is unknown; a code of n says 1 / z = n × step, which
is within 0.51 steps of what it was (0.5, and the rounding of 32-bit numbers): for n above 26, z is
within z² × step × 0.52. Beyond 2 / step it is unknown. Needs the extra `compact`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import MissingExtra, WireError
from cloudypoints.geometry import Camera, Distortion, Floats, Intrinsics, rays_of
from cloudypoints.messages import POINT, Array, Cloud, Compact, Header

Codes = NDArray[np.uint16]
Bytes = NDArray[np.uint8]

HIGHEST_CODE = 0xFFFF
NEAREST_M = 0.1  # steps do not grow for less: one stray pixel would coarsen the whole cloud
_LEVEL = 1  # of zstd: higher ones gain a few per cent for a multiple of the time


def check_installed() -> None:
    """Raises MissingExtra unless the packages are there."""
    _zstd()
    _cv2()


@dataclass(frozen=True, slots=True)
class Compactor:
    """How the frames of a camera are made small."""

    distortion: Distortion  # of the picture on the model's grid
    step_per_m: float = 5e-5  # inverse depth, 1/m
    quality: int = 85  # JPEG's, 1 to 100

    def message(
        self, header: Header, depth_m: Floats, picture: Bytes, labels: Bytes | None
    ) -> Compact:
        """Of one frame: `depth_m` (H, W), `picture` (H, W, 3) RGB, `labels` (H, W).

        The step grows where a depth is too near for 16 bits, and not below `NEAREST_M`: the message
        says what it became.
        """
        codes, step_per_m = quantised(depth_m, self.step_per_m)
        height, width = depth_m.shape
        return Compact(
            header=header,
            codes=_packed(split(residuals(codes))),
            colours=_jpeg(picture, self.quality),
            labels=np.zeros(0, np.uint8) if labels is None else _packed(labels),
            width_px=width,
            height_px=height,
            step_per_m=step_per_m,
            distortion=self.distortion.model,
            coefficients=tuple(self.distortion.coefficients),
        )


def rebuilt(message: Compact) -> Cloud:
    """The organised cloud (H, W). Raises WireError where the bytes are not what they say."""
    shape = message.height_px, message.width_px
    depth_m = dequantised(
        restored(joined(_unpacked(message.codes, (2, *shape)))), message.step_per_m
    )
    rays = _rays(message.header.intrinsics, message.distortion, message.coefficients)
    if rays.shape[1:] != shape:
        raise WireError(
            f"compact: intrinsics of {rays.shape[:0:-1]} px, but a grid of {shape[::-1]}"
        )
    labels = _unpacked(message.labels, shape) if message.labels.size else np.zeros(shape, np.uint8)
    colours = _cv2().merge([_picture(message.colours, shape), labels]).view(np.float32)[..., 0]
    points = _cv2().merge([rays[0] * depth_m, rays[1] * depth_m, depth_m, colours])
    return Cloud(message.header, points.view(POINT)[..., 0])


def quantised(depth_m: Floats, step_per_m: float) -> tuple[Codes, float]:
    """(H, W) of codes, and the step in 1/m that they count: the wanted one, or the least that fits.

    Unknown depth, and what lies beyond 2 / step, is 0; what no code can say, for it is nearer than
    `NEAREST_M`, has the highest one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        per_m = np.reciprocal(depth_m)
        per_m[~((per_m > 0) & (per_m < np.inf))] = 0
        highest_per_m = min(float(per_m.max(initial=0)), 1 / NEAREST_M)
        step = max(step_per_m, highest_per_m / HIGHEST_CODE)
        per_m *= np.float32(1 / step)
    per_m += np.float32(0.5)
    return np.minimum(per_m, HIGHEST_CODE).astype(np.uint16), step


def dequantised(codes: Codes, step_per_m: float) -> Floats:
    """Depth (H, W) in metres of the codes, NaN where unknown."""
    with np.errstate(divide="ignore"):
        depth_m: Floats = np.float32(1) / (codes * np.float32(step_per_m))
    depth_m[codes == 0] = np.nan
    return depth_m


def residuals(codes: Codes) -> Codes:
    """What the plane through the left, upper and upper left neighbours leaves, zigzag: 0, -1, 1…

    Modulo 2¹⁶, so that nothing is lost. Neighbours outside the picture are 0.
    """
    along = codes.copy()
    along[:, 1:] -= codes[:, :-1]
    left = along.copy()
    left[1:] -= along[:-1]
    signed = left.view(np.int16)
    zigzag: Codes = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
    return zigzag


def restored(zigzag: Codes) -> Codes:
    """The codes of which `residuals` made these."""
    signed = (zigzag >> 1) ^ (-(zigzag & 1).view(np.int16)).view(np.uint16)
    codes: Codes = np.cumsum(signed, axis=0, dtype=np.uint16).cumsum(axis=1, dtype=np.uint16)
    return codes


def split(values: Codes) -> Bytes:
    """(2, H, W): all low bytes, then all high ones, most of which are alike."""
    halves = np.empty((2, *values.shape), np.uint8)
    halves[0] = values
    halves[1] = values >> 8
    return halves


def joined(halves: Bytes) -> Codes:
    """(H, W) of the two halves."""
    values: Codes = halves[1].astype(np.uint16)
    values <<= 8
    values |= halves[0]
    return values


def _packed(content: Bytes) -> Bytes:
    packed = _zstd().ZstdCompressor(level=_LEVEL).compress(np.ascontiguousarray(content))
    return np.frombuffer(packed, np.uint8)


def _unpacked(packed: Array, shape: tuple[int, ...]) -> Bytes:
    """Raises WireError unless these bytes hold exactly an array of this shape."""
    zstd, size = _zstd(), int(np.prod(shape))
    try:
        if zstd.frame_content_size(packed) != size:
            raise WireError(f"compact: not {size} bytes, which a grid of {shape} holds")
        content = zstd.ZstdDecompressor().decompress(packed)
    except zstd.ZstdError as error:
        raise WireError(f"compact: broken: {error}") from error
    return np.frombuffer(content, np.uint8).reshape(shape)


def _jpeg(picture: Bytes, quality: int) -> Bytes:
    cv2 = _cv2()
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(content, np.uint8).reshape(-1)


def _picture(content: Array, shape: tuple[int, int]) -> Bytes:
    """(H, W, 3) RGB. The size is read before the picture is decoded. Raises WireError."""
    if jpeg_size(content.tobytes()) != shape:
        raise WireError(f"compact: the colours are no JPEG picture of {shape[1]}×{shape[0]}")
    cv2 = _cv2()
    picture = cv2.imdecode(np.asarray(content), cv2.IMREAD_COLOR_RGB)
    if picture is None or picture.shape[:2] != shape:
        raise WireError("compact: the colours cannot be decoded")
    return np.asarray(picture, np.uint8)


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Rows and columns in the frame header (ITU-T T.81, B.2.2); (0, 0) where there is none."""
    at = 2
    while content[:2] == b"\xff\xd8" and at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(content[at + 5 : at + 7]), int.from_bytes(
                content[at + 7 : at + 9]
            )
        at += 2 + max(length, 2)
    return 0, 0


@lru_cache(maxsize=16)
def _rays(
    intrinsics: tuple[float, ...], distortion: str, coefficients: tuple[float, ...]
) -> Floats:
    """(2, H, W), made once for each camera. Raises WireError without intrinsics."""
    if not intrinsics:
        raise WireError("compact: the header has no intrinsics")
    width, height, *rest = intrinsics
    k = Intrinsics(int(width), int(height), *rest)
    return rays_of(Camera(k, Distortion(distortion, tuple(coefficients))))


def _zstd() -> Any:
    try:
        import zstandard
    except ImportError as missing:
        raise MissingExtra("the compact encoding", "compact") from missing
    return zstandard


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as missing:
        raise MissingExtra("the compact encoding", "compact") from missing
    return cv2
