"""Clouds as files that other programs open: PLY, PCD, NPZ, LAS, LAZ, KITTI's .bin, ROS's .cdr.

A file appears whole or not at all. PLY, LAS, LAZ and .bin hold the known points only; PCD, NPZ and
.cdr keep an organised cloud's rows and columns, unknown points as NaN. All but LAS and LAZ need
numpy alone.
"""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cloudypoints.confidence import confidence_of
from cloudypoints.errors import ConfigError
from cloudypoints.formats.las import las, laz
from cloudypoints.formats.ros import cdr, kitti, pcl_records, point_cloud2
from cloudypoints.messages import CATEGORY_NAMES, Array, Cloud
from cloudypoints.normals import normals_of

__all__ = ["FORMATS", "FRAMES", "check_suffix", "point_cloud2", "save_cloud", "write_whole"]

FRAMES = ("vehicle", "camera")

_PLY_TYPES = {"x": "float", "y": "float", "z": "float"} | dict.fromkeys(
    ("red", "green", "blue", "label"), "uchar"
)


def save_cloud(
    path: str | Path, cloud: Cloud, *, frame: str = "vehicle", normals: bool = False
) -> None:
    """Write one cloud in the format that the suffix names, in metres; PLY also with normals.

    `frame`: `vehicle` (x forward, y left, z up: upright in every viewer) or `camera` (optical).
    Raises ConfigError for an unknown suffix or frame, for normals of a compact cloud or in another
    format, and where the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, normals=normals)
    points = _points_in(frame, cloud)
    if normals:
        content = ply(cloud, points, frame, normals=_normals_in(frame, cloud))
    else:
        content = FORMATS[path.suffix.lower()](cloud, points, frame)
    write_whole(path, content)


def check_suffix(path: Path, *, normals: bool = False) -> None:
    """Raises ConfigError unless the suffix names a format that `save_cloud` writes."""
    if normals and path.suffix.lower() != ".ply":
        raise ConfigError(f"{path}: normals are written to .ply only")
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"{path}: unknown format {path.suffix or 'without a suffix'}; "
            f"known are {', '.join(FORMATS)}"
        )


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` by `content` at once: nobody ever reads half a file. Raises ConfigError."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def ply(cloud: Cloud, points: Array, frame: str, *, normals: Array | None = None) -> bytes:
    """Binary little-endian PLY: our record is a vertex as it stands; `normals` (H, W, 3) follow."""
    here = np.isfinite(points["z"])
    known = points[here]
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {line}" for line in _facts(cloud, frame)]
    lines += [f"element vertex {known.size}"]
    lines += [f"property {kind} {name}" for name, kind in _PLY_TYPES.items()]
    if normals is not None:
        lines += [f"property float {name}" for name in ("nx", "ny", "nz")]
        facing = np.nan_to_num(normals[here]).astype("<f4")  # (0, 0, 0) is unknown
        known = np.hstack([known.view(np.uint8).reshape(-1, 16), facing.view(np.uint8)])
    body: bytes = known.tobytes()
    return "\n".join([*lines, "end_header", ""]).encode("ascii") + body


def pcd(cloud: Cloud, points: Array, frame: str) -> bytes:
    """PCD 0.7, binary; WIDTH × HEIGHT is the cloud's grid, or N × 1."""
    rows, columns = points.shape if points.ndim == 2 else (1, points.size)
    lines = ["# .PCD v0.7 - Point Cloud Data file format"]
    lines += [f"# {line}" for line in _facts(cloud, frame)]
    lines += ["VERSION 0.7", "FIELDS x y z rgb label", "SIZE 4 4 4 4 4", "TYPE F F F F U"]
    lines += ["COUNT 1 1 1 1 1", f"WIDTH {columns}", f"HEIGHT {rows}", "VIEWPOINT 0 0 0 1 0 0 0"]
    lines += [f"POINTS {points.size}", "DATA binary", ""]
    body: bytes = pcl_records(points).tobytes()
    return "\n".join(lines).encode("ascii") + body


def npz(cloud: Cloud, points: Array, frame: str) -> bytes:
    """Compressed NPZ, read with `numpy.load`: `points`, `frame`, `vehicle_from_camera`, `header`.

    `header` is a JSON object of everything that the message said of itself. An organised cloud has
    its `confidence` (H, W) beside it, see `confidence_of`.
    """
    buffer = io.BytesIO()
    organised = cloud.points.ndim == 2
    beside: dict[str, Any] = {"confidence": confidence_of(cloud.points)} if organised else {}
    np.savez_compressed(
        buffer,
        points=points,
        frame=np.array(frame),
        vehicle_from_camera=np.array(cloud.header.vehicle_from_camera, np.float64).reshape(-1, 4),
        header=np.array(json.dumps(asdict(cloud.header))),
        **beside,
    )
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Cloud, Array, str], bytes]] = {
    ".ply": ply,
    ".pcd": pcd,
    ".npz": npz,
    ".las": las,
    ".laz": laz,
    ".bin": kitti,
    ".cdr": cdr,
}


def _points_in(frame: str, cloud: Cloud) -> Array:
    """The cloud's records, of its own shape, their places written in `frame`."""
    if frame not in FRAMES:
        raise ConfigError(f"frame {frame!r}; known are {', '.join(FRAMES)}")
    if frame == "camera":
        return np.ascontiguousarray(cloud.points)
    if len(cloud.header.vehicle_from_camera) != 16:
        raise ConfigError(
            f"cloud of camera {cloud.header.camera!r} carries no vehicle_from_camera; "
            f"save it with frame 'camera'"
        )
    moved = cloud.points.copy()
    rotation, offset_m = np.split(cloud.header.vehicle_from_camera_matrix[:3], [3], axis=1)
    xyz_m = np.stack([cloud.points[name] for name in "xyz"], axis=-1) @ rotation.T + offset_m[:, 0]
    for axis, name in enumerate("xyz"):
        moved[name] = xyz_m[..., axis]
    return moved


def _normals_in(frame: str, cloud: Cloud) -> Array:
    """The cloud's normals (H, W, 3), written in `frame`."""
    normals = normals_of(cloud.points)
    if frame == "camera":
        return normals
    return np.asarray(normals @ cloud.header.vehicle_from_camera_matrix[:3, :3].T, np.float32)


def _facts(cloud: Cloud, frame: str) -> list[str]:
    """What a header's comments say, printable ASCII and a line each."""
    header = cloud.header
    axes = {"vehicle": "x forward, y left, z up", "camera": "x right, y down, z forward"}[frame]
    labels = ", ".join(f"{number} {name}" for number, name in enumerate(CATEGORY_NAMES))
    lines = [
        "CloudyPoints",
        f"camera {header.camera}",
        f"frame {frame}: {axes}; metres",
        f"stamp_ns {header.stamp_ns} clock {header.clock} seq {header.seq}",
        f"model {header.model} calibration {header.calibration} scale {header.scale}",
        f"labels {labels}",
    ]
    return ["".join(c if c.isprintable() and c.isascii() else "?" for c in line) for line in lines]
