"""One small message of each kind, always the same, and the files that hold their bytes.

    python tests/wire_examples.py v1.2

writes `tests/golden/v1.2/<kind>.bin`. It never overwrites: what is published once stays as it is.
In a file each part of the multipart message stands behind its length, u32 little-endian.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cloudypoints.messages import (
    POINT,
    Category,
    Cloud,
    Compact,
    Depth,
    Grid,
    Header,
    Image,
    Labels,
    Ledger,
    Mask,
    Message,
    Obstacles,
    Relative,
    Scale,
    Setup,
    Status,
    Video,
    values_of,
)
from cloudypoints.wire import encode

GOLDEN = Path(__file__).parent / "golden"
NEWEST = "v1.1"
NAN, INF = float("nan"), float("inf")

# Captured at 2023-11-14 22:13:20 UTC; 34 ms later it was published.
HEADER = Header(
    camera="front",
    session=1_699_999_000_000_000_000,
    seq=7,
    frame=42,
    stamp_ns=1_680_000_000,
    clock="media",
    ledger=Ledger(
        captured_ns=1_700_000_000_000_000_000,
        received_ns=1_700_000_000_004_000_000,
        inference_start_ns=1_700_000_000_005_000_000,
        inference_end_ns=1_700_000_000_030_000_000,
        projected_ns=1_700_000_000_033_000_000,
        published_ns=1_700_000_000_034_000_000,
    ),
    drops=1,
    model="street",
    digest="00ff",
    calibration="file",
    scale="assumed",
    # 1.5 m above the ground, looking straight ahead: forward is z, left is -x, up is -y.
    vehicle_from_camera=(0.0, 0.0, 1.0, 0.0)
    + (-1.0, 0.0, 0.0, 0.0)
    + (0.0, -1.0, 0.0, 1.5)
    + (0.0, 0.0, 0.0, 1.0),
    intrinsics=(3.0, 2.0, 2.5, 2.5, 1.0, 0.5),
)


def cloud(header: Header = HEADER) -> Cloud:
    """Organised, 2 rows of 3: the upper row and one pixel of the lower unknown."""
    points = np.zeros((2, 3), POINT)
    points["x"], points["y"], points["z"] = NAN, NAN, NAN
    points[1, 0] = (-2.0, 1.0, 5.0, 128, 64, 32, Category.FLAT)
    points[1, 2] = (1.5, 0.75, 3.75, 255, 0, 0, Category.VEHICLE)
    return Cloud(header, points)


def obstacles(header: Header = HEADER) -> Obstacles:
    """Three sectors: not looked at, free as far as ground was seen, a vehicle."""
    return Obstacles(
        header,
        bearing_rad=np.array([-0.25, 0.0, 0.25], np.float32),
        range_m=np.array([NAN, INF, 6.5], np.float32),
        clear_m=np.array([NAN, 20.0, 6.5], np.float32),
        lower_m=np.array([NAN, INF, 6.0], np.float32),
        upper_m=np.array([NAN, INF, 7.0], np.float32),
        support=np.array([0, 0, 40], np.uint32),
        category=np.array([0, 0, Category.VEHICLE], np.uint8),
        state="degraded",
        reason="little ground in sight",
        nearest_m=6.5,
        nearest_bearing_rad=0.25,
        nearest_category=Category.VEHICLE.value,
        corridor_m=INF,
        corridor_width_m=2.0,
        bumper_x_m=0.5,
        conditions=("dazzled", "no_ground"),
        nearest_width_m=1.75,
        nearest_height_m=1.5,
        nearest_rate_mps=-3.25,
        nearest_ttc_s=2.0,
        nearest_ttc_sigma_s=0.125,
        corridor_ground_m=19.5,
        corridor_rate_mps=NAN,
        corridor_ttc_s=INF,
        corridor_ttc_sigma_s=NAN,
        corridor_curvature_1pm=0.0625,
        corridor_axle_x_m=-1.5,
        zone_event={"gate": "stay", "yard": "unknown"},
        zone_distance_m={"gate": 6.5, "yard": NAN},
        zone_since_s={"gate": 1.25, "yard": 0.0},
        zone_entries={"gate": 3, "yard": 0},
        zone_outline_m={"gate": (4.0, -2.0, 8.0, -2.0, 8.0, 2.0), "yard": ()},
    )


def scale(header: Header = HEADER) -> Scale:
    """Inverse depth in metres by the ground's scale, on the way to being sure of it."""
    return Scale(
        header,
        pitch_rad=0.03125,
        pitch_sigma_rad=0.0025,
        roll_rad=-0.0078125,
        roll_sigma_rad=0.0025,
        height_m=1.5,
        height_sigma_m=0.0075,
        mount_height_m=1.5,
        scale=12.5,
        scale_sigma=0.0625,
        shift=0.0,
        flat_m=24.0,
        flicker=NAN,
        state="converging",
        reason="3 of 5 frames",
    )


def status(header: Header = HEADER) -> Status:
    """A camera that is coming back."""
    return Status(
        header,
        source="rtsp://camera/street",
        capture="reconnecting",
        reason="no packet for 5 s",
        frames=1000,
        dropped=3,
        rate_hz=24.5,
        age_s=NAN,
        latency_ms={"inference": 25.0, "total": 33.0},
        faults={"corrupt": 2},
        provider="cpu",
        version="0.1.0",
        memory_mb=310.5,
        insecure=False,
        statistics={"brightness": 104.5, "depth_known": 0.75},
    )


def setup(header: Header = HEADER) -> Setup:
    """As a node says it, shortened."""
    return Setup(header, '{"format": 1, "provider": "cpu"}')


def depth(header: Header = HEADER) -> Depth:
    """2×3, the upper row unknown but for one pixel."""
    return Depth(header, np.array([[NAN, NAN, 80.5], [5.0, 4.25, 3.75]], np.float32))


def labels(header: Header = HEADER) -> Labels:
    """2×3: sky above, road and a vehicle below."""
    return Labels(header, np.array([[5, 5, 5], [1, 1, 7]], np.uint8))


def relative(header: Header = HEADER) -> Relative:
    """2×3: the sky unknown, a near thing below on the right."""
    return Relative(header, np.array([[NAN, NAN, 0.5], [2.0, 2.5, 4.0]], np.float32), "inverse")


def mask(header: Header = HEADER) -> Mask:
    """2×3: something stands on the right."""
    return Mask(header, np.array([[0, 0, 64], [0, 3, 255]], np.uint8))


def image(header: Header = HEADER) -> Image:
    """2×3 of RGB."""
    return Image(header, np.arange(18, dtype=np.uint8).reshape(2, 3, 3))


def compact(header: Header = HEADER) -> Compact:
    """2×3: what zstd and JPEG made is bytes to the wire."""
    return Compact(
        header,
        codes=np.arange(7, dtype=np.uint8),
        colours=np.array([0xFF, 0xD8, 0xFF, 0xD9], np.uint8),
        labels=np.zeros(0, np.uint8),
        width_px=3,
        height_px=2,
        step_per_m=0.00005,
        distortion="plumb_bob",
        coefficients=(-0.25, 0.125, 0.0, 0.0),
    )


def grid(header: Header = HEADER) -> Grid:
    """Two cells deep, three wide: an obstacle behind the right one, the left one unknown."""
    cells = np.array([[0, 0, -1], [100, 0, -1]], np.int8)
    return Grid(header, cells, cell_m=0.5, x_m=4.0, y_m=-0.75)


def video(header: Header = HEADER) -> Video:
    """A key picture, as short as none is: delimiter and the first bytes of its parameter set."""
    packet = np.array([0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x67, 0x42], np.uint8)
    return Video(
        header,
        packet,
        coding="h264",
        key=True,
        shown=True,
        quarter_turns=1,
        colour_matrix=6,
        colour_range=1,
    )


EXAMPLES = {
    "obstacles": obstacles,
    "scale": scale,
    "status": status,
    "setup": setup,
    "cloud": cloud,
    "depth": depth,
    "relative": relative,
    "labels": labels,
    "mask": mask,
    "image": image,
    "compact": compact,
    "grid": grid,
    "video": video,
}


def content(message: Message) -> str:
    """All that it holds, as text: equal for equal messages, NaN included."""
    arrays = {name: getattr(message, name) for name in message.buffers}
    shapes = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    held = {name: array.tobytes().hex() for name, array in arrays.items()}
    return repr((asdict(message.header), values_of(message), shapes, held))


def framed(parts: Sequence[Any]) -> bytes:
    """The parts one behind the other, each behind its length."""
    return b"".join(struct.pack("<I", len(part)) + part for part in map(raw, parts))


def raw(part: Any) -> bytes:
    """The bytes of a part."""
    return memoryview(part).tobytes()


def unframed(stored: bytes) -> list[bytes]:
    """The parts of a stored message."""
    parts, at = [], 0
    while at < len(stored):
        (length,) = struct.unpack_from("<I", stored, at)
        parts.append(stored[at + 4 : at + 4 + length])
        at += 4 + length
    return parts


def golden(kind: str, version: str = NEWEST) -> list[bytes]:
    """The stored parts of a kind."""
    return unframed((GOLDEN / version / f"{kind}.bin").read_bytes())


def write_golden(folder: Path) -> None:
    """Store every example; raises FileExistsError rather than change one."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, example in EXAMPLES.items():
        with (folder / f"{kind}.bin").open("xb") as file:
            file.write(framed(encode(example())))


if __name__ == "__main__":
    write_golden(GOLDEN / sys.argv[1])
