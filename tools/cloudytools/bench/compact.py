"""The compact encoding beside what else makes clouds small: bytes, error and cost of one frame.

Streets are rendered with exact depth, so that edges are as sharp as a network's best. Beside each
figure stand, of the same frame: the raw cloud, thinned to 10 cm voxels, through zstd, and through
Draco (14 bits a coordinate) where DracoPy is installed; sizes in MB, times in ms, errors in m.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from importlib.util import find_spec

import numpy as np
import zstandard

from cloudypoints.compact import Compactor, rebuilt
from cloudypoints.geometry import Camera, rays_of
from cloudypoints.messages import POINT, Array, Compact, Header
from cloudypoints.projector import compact, organised_points, voxel_thinned
from cloudytools.bench.figures import Effort, Figure, Target, median_ms
from cloudytools.scenes import Sample, sample

_SIZES_PX = ((640, 480), (1280, 720), (1920, 1080))
_GIGABIT_BYTES_PER_S = 125e6
_RATE_HZ = 30.0
_VOXEL_M = 0.1
_DRACO_BITS = 14
_ERRORS_WITHIN_M = 80.0


def compact_sizes(effort: Effort) -> list[Figure]:
    """MB of a frame at three resolutions; all must fit 30 times a second through a gigabit link."""
    most_mb = _GIGABIT_BYTES_PER_S / _RATE_HZ / 1e6
    figures = []
    for size_px in _SIZES_PX[: 1 if effort.quick else None]:
        streets = [Street.rendered(seed, size_px) for seed in range(effort.rounds)]
        rounds = tuple(street.size_mb for street in streets)
        name = f"compact {size_px[0]}×{size_px[1]}"
        figures.append(Figure(name, Target("≤", most_mb, "MB"), rounds, streets[0].beside(effort)))
    return figures


@dataclass(frozen=True, slots=True)
class Street:
    """One rendered frame, its cloud, and what the encoding made of it."""

    truth: Sample
    points: Array  # (H, W) of POINT
    message: Compact

    @classmethod
    def rendered(cls, seed: int, size_px: tuple[int, int]) -> Street:
        """The same street for the same seed and size."""
        truth = sample(seed, *size_px)
        points = np.empty(truth.depth_m.shape, POINT)
        organised_points(truth.depth_m, rays_of(truth.camera), truth.image, truth.labels, points)
        return cls(truth, points, _message(truth))

    @property
    def size_mb(self) -> float:
        """Of the message's buffers; the header adds half a kilobyte."""
        message = self.message
        return (message.codes.nbytes + message.colours.nbytes + message.labels.nbytes) / 1e6

    def beside(self, effort: Effort) -> dict[str, float]:
        """Sizes, errors and times of this encoding and the others."""
        known = compact(self.points)
        coders: dict[str, Callable[[], int]] = {
            "zstd": lambda: len(zstandard.compress(known.tobytes(), 1)),
            "voxel": lambda: voxel_thinned(known, _VOXEL_M).nbytes,
        }
        if find_spec("DracoPy"):
            coders["draco"] = lambda: len(_draco(known))
        times = int(effort.pick(3, 1))
        sizes = {f"{name}_mb": code() / 1e6 for name, code in coders.items()}
        costs = {f"{name}_ms": median_ms(code, times) for name, code in coders.items()}
        ours = {
            "encode_ms": median_ms(lambda: _message(self.truth), times),
            "rebuild_ms": median_ms(lambda: rebuilt(self.message), times),
        }
        return {"raw_mb": self.points.nbytes / 1e6} | sizes | ours | costs | self.errors_m()

    def errors_m(self) -> dict[str, float]:
        """The largest of depth, within 10 m and 80 m."""
        depth_m = self.truth.depth_m
        error_m = np.abs(rebuilt(self.message).points["z"] - depth_m)
        return {
            f"error_to_{far_m:.0f}_m": float(error_m[depth_m < far_m].max(initial=0))
            for far_m in (10.0, _ERRORS_WITHIN_M)
        }


def _message(truth: Sample) -> Compact:
    camera: Camera = truth.camera
    header = Header("front", intrinsics=astuple(camera.intrinsics))
    return Compactor(camera.distortion).message(header, truth.depth_m, truth.image, truth.labels)


def _draco(known: Array) -> bytes:
    import DracoPy

    xyz = np.stack([known[name] for name in "xyz"], axis=1)
    rgb = np.stack([known[name] for name in "rgb"], axis=1)
    encoded: bytes = DracoPy.encode(xyz, colors=rgb, quantization_bits=_DRACO_BITS)
    return encoded
