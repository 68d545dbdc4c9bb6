"""Clouds for ROS and KITTI tools, without ROS: sensor_msgs/PointCloud2, and the Velodyne's .bin."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from cloudypoints.messages import Array, Cloud
from cloudypoints.timing import NS_PER_S

# PCL's PointXYZRGBL: colour packed in the bits of a float, the label 32 bits wide.
PCL_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("label", "<u4")])
_FLOAT32, _UINT32 = 7, 6  # of sensor_msgs/PointField

# Luminance of ITU-R BT.601, which stands in for the reflectance that a camera does not measure.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def pcl_records(points: Array) -> Array:
    """(N,) of PCL_POINT, row by row, unknown points as NaN."""
    records = np.empty(points.size, PCL_POINT)
    for name in ("x", "y", "z", "label"):
        records[name] = points[name].reshape(-1)
    r, g, b = (points[name].reshape(-1).astype(np.uint32) for name in "rgb")
    records["rgb"] = r << 16 | g << 8 | b
    return records


def point_cloud2(cloud: Cloud, points: Array, frame: str) -> dict[str, Any]:
    """The fields of a sensor_msgs/PointCloud2, named as there; the grid is kept.

    Stamped with the capture's UTC; `frame_id` is `CAMERA` in the optical frame, else `base_link`
    (REP 105). `fields` holds (name, offset, datatype, count) of each.
    """
    height, width = points.shape if points.ndim == 2 else (1, points.size)
    seconds, nanoseconds = divmod(cloud.header.ledger.captured_ns, NS_PER_S)
    kind_of = dict.fromkeys("xyz", _FLOAT32) | {"rgb": _FLOAT32, "label": _UINT32}
    fields = [
        (name, 4 * place, kind_of[name], 1) for place, name in enumerate(PCL_POINT.names or ())
    ]
    return {
        "stamp": (int(seconds), int(nanoseconds)),
        "frame_id": cloud.header.camera if frame == "camera" else "base_link",
        "height": height,
        "width": width,
        "fields": fields,
        "is_bigendian": False,
        "point_step": PCL_POINT.itemsize,
        "row_step": PCL_POINT.itemsize * width,
        "data": pcl_records(points).tobytes(),
        "is_dense": bool(np.isfinite(points["z"]).all()),
    }


def cdr(cloud: Cloud, points: Array, frame: str) -> bytes:
    """A serialised sensor_msgs/msg/PointCloud2, as `rclpy.serialization` and rosbags read it.

    XCDR1, little-endian (OMG DDS-XTypes 1.3, clause 7.4.1): values lie at multiples of their size,
    counted from behind the four bytes of encapsulation.
    """
    message = point_cloud2(cloud, points, frame)
    body = bytearray()
    _put(body, "<iI", *message["stamp"])
    _put_text(body, message["frame_id"])
    _put(body, "<II", message["height"], message["width"])
    _put(body, "<I", len(message["fields"]))
    for name, offset, datatype, count in message["fields"]:
        _put_text(body, name)
        _put(body, "<I", offset)
        _put(body, "<B", datatype)
        _put(body, "<I", count)
    _put(body, "<?", message["is_bigendian"])
    _put(body, "<II", message["point_step"], message["row_step"])
    _put(body, "<I", len(message["data"]))
    body += message["data"]
    _put(body, "<?", message["is_dense"])
    return b"\x00\x01\x00\x00" + bytes(body)


def kitti(_cloud: Cloud, points: Array, _frame: str) -> bytes:
    """KITTI's Velodyne file: x, y, z, reflectance as float32 (N, 4) of the known points.

    Reflectance is the picture's luminance, 0 to 1. In the vehicle frame the axes are KITTI's.
    """
    known = points[np.isfinite(points["z"])]
    rgb = np.stack([known[name] for name in "rgb"], axis=-1).astype(np.float32)
    columns = [known["x"], known["y"], known["z"], rgb @ _LUMINANCE / np.float32(255)]
    content: bytes = np.stack(columns, axis=-1).astype("<f4").tobytes()
    return content


def _put(body: bytearray, layout: str, *values: Any) -> None:
    """Values of one size each, at the next multiple of it."""
    size = struct.calcsize("<" + layout[1])
    body += bytes(-len(body) % size)
    body += struct.pack(layout, *values)


def _put_text(body: bytearray, text: str) -> None:
    content = text.encode() + b"\0"
    _put(body, "<I", len(content))
    body += content
