"""What other people's tools show of a message: the same content as Foxglove's types.

Pure functions. A view's name is the last part of its channel, `/CAMERA/NAME`. The `data` of the
views in BULK is the message's one buffer, byte for byte. Frames: the camera's own name is its
optical frame, `vehicle` has x forward, y left, z up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cloudypoints.messages import (
    CATEGORY_COLOURS,
    KIND_OF,
    POINT,
    Cloud,
    Depth,
    Header,
    Image,
    Labels,
    Mask,
    Message,
    Obstacles,
    Relative,
    Video,
)
from cloudypoints.recording.schemas import Schema, foxglove, has_typed_schema, typed, typed_schema
from cloudypoints.timing import NS_PER_S

# The views that hold a kind's buffer, whole.
BULK: Mapping[str, str] = {
    "cloud": "points",
    "depth": "depth",
    "relative": "relative",
    "labels": "labels",
    "mask": "mask",
    "image": "image",
    "video": "video",
}
_FLOAT32, _UINT8 = 7, 1  # foxglove.PackedElementField.NumericType
# Our names of a point's fields, and those by which viewers know colours.
_FIELD_NAMES = {"r": "red", "g": "green", "b": "blue"}
# Written out: readers take a pose without one of the two for a broken one.
_ORIGIN = {"position": {"x": 0.0}, "orientation": {"w": 1.0}}
_OBSTACLE_HEIGHT_M = 1.0  # of the boxes that stand for them
_LEAST_WIDTH_M = 0.2


@dataclass(frozen=True, slots=True)
class View:
    """One message for a viewer, not yet in a file."""

    name: str
    schema: Schema
    content: bytes


def depth_view(message: Depth) -> View:
    """RawImage 32FC1: metres, NaN unknown."""
    return _raw_image("depth", message.header, message.depth_m, "32FC1")


def labels_view(message: Labels) -> View:
    """RawImage 8UC1: category numbers."""
    return _raw_image("labels", message.header, message.labels, "8UC1")


def relative_view(message: Relative) -> View:
    """RawImage 32FC1: nearness, in no unit; NaN unknown."""
    return _raw_image("relative", message.header, message.nearness, "32FC1")


def mask_view(message: Mask) -> View:
    """RawImage mono8: 255 × how surely a pixel is foreground."""
    return _raw_image("mask", message.header, message.mask, "mono8")


def image_view(message: Image) -> View:
    """RawImage rgb8."""
    return _raw_image("image", message.header, message.picture, "rgb8")


def cloud_view(message: Cloud) -> View:
    """PointCloud of all points, unknown ones with their NaN."""
    return _points("points", message.header, message.points)


def video_view(message: Video) -> View:
    """CompressedVideo of one packet; CompressedImage of a JPEG."""
    name = "CompressedImage" if message.coding == "jpeg" else "CompressedVideo"
    return _stamped(name, "video", message.header, data=message.packet, format=message.coding)


def exact_view(message: Message) -> View | None:
    """The view of a kind that is always stored as it came; None for the others."""
    match message:
        case Cloud():
            return cloud_view(message)
        case Labels():
            return labels_view(message)
        case Relative():
            return relative_view(message)
        case Mask():
            return mask_view(message)
        case Video():
            return video_view(message)
    return None


def thinned_cloud_view(message: Cloud, most_points: int) -> View:
    """PointCloud of at most about so many known points: every n-th row and column of a grid."""
    points = message.points
    step = max(1, math.ceil((points.size / most_points) ** (1 / points.ndim)))
    kept = points[(slice(step // 2, None, step),) * points.ndim].reshape(-1)
    return _points("points", message.header, kept[np.isfinite(kept["z"])])


def jpeg_view(header: Header, jpeg: bytes) -> View:
    """CompressedImage of a picture."""
    return _stamped("CompressedImage", "image", header, data=jpeg, format="jpeg")


def small_views(message: Message) -> Iterator[View]:
    """Of a message without bulk: its fields by name, and what it looks like."""
    kind = KIND_OF[type(message)]
    if has_typed_schema(kind):
        yield View(kind, typed_schema(kind), typed(message))
    if isinstance(message, Obstacles):
        yield _laser_scan(message)
        yield _scene(message)
        yield _obstacle_points(message)


def camera_views(header: Header) -> Iterator[View]:
    """What a viewer must know to place the rest: calibration of the grid, and the transform."""
    if header.intrinsics:
        width_px, height_px, fx_px, fy_px, cx_px, cy_px = header.intrinsics
        k = [fx_px, 0, cx_px, 0, fy_px, cy_px, 0, 0, 1]
        yield _stamped(
            "CameraCalibration",
            "calibration",
            header,
            width=int(width_px),
            height=int(height_px),
            K=k,
            R=np.eye(3).ravel().tolist(),
            P=[fx_px, 0, cx_px, 0, 0, fy_px, cy_px, 0, 0, 0, 1, 0],
        )
    if header.vehicle_from_camera:
        yield _transform(header)


def stamp_utc_ns(header: Header) -> int:
    """When it was captured, UTC: by the stamp where that is UTC, else by the ledger."""
    ledger = header.ledger
    captured_ns = ledger.captured_ns or ledger.published_ns
    return captured_ns if header.clock == "media" else header.stamp_ns or captured_ns


def _stamped(name: str, view: str, header: Header, data: Any = b"", **values: Any) -> View:
    """A Foxglove message with the time and the camera's frame; `data` is any C-contiguous bytes."""
    schema = foxglove(name)
    made = schema.make(frame_id=header.camera, **values)
    _stamp(made.timestamp, header)
    return View(view, schema, _with_data(made, data))


def _with_data(made: Any, data: Any) -> bytes:
    """The message and its field `data`, which is copied once where the library takes three.

    https://protobuf.dev/programming-guides/encoding: tag and length as varints, then the bytes.
    """
    serialised: bytes = made.SerializeToString()
    length = memoryview(data).nbytes
    if not length:
        return serialised
    tag = made.DESCRIPTOR.fields_by_name["data"].number << 3 | 2
    return b"".join((serialised, _varint(tag), _varint(length), data))


def _varint(number: int) -> bytes:
    digits = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])


def _stamp(timestamp: Any, header: Header) -> None:
    timestamp.seconds, timestamp.nanos = divmod(stamp_utc_ns(header), NS_PER_S)


def _raw_image(view: str, header: Header, pixels: Any, encoding: str) -> View:
    return _stamped(
        "RawImage",
        view,
        header,
        width=pixels.shape[1],
        height=pixels.shape[0],
        step=pixels.shape[1] * pixels.itemsize * (pixels.shape[2] if pixels.ndim == 3 else 1),
        encoding=encoding,
        data=np.ascontiguousarray(pixels),
    )


def _points(view: str, header: Header, points: Any) -> View:
    return _stamped(
        "PointCloud",
        view,
        header,
        pose=_ORIGIN,
        point_stride=POINT.itemsize,
        fields=_point_fields(),
        data=np.ascontiguousarray(points),
    )


def _point_fields() -> list[dict[str, Any]]:
    """The point record in Foxglove's words."""
    described = []
    for name, (dtype, offset, *_title) in (POINT.fields or {}).items():
        known_as = _FIELD_NAMES.get(name, name)
        kind = _FLOAT32 if dtype.kind == "f" else _UINT8
        described.append({"name": known_as, "offset": offset, "type": kind})
    return described


def _transform(header: Header) -> View:
    schema = foxglove("FrameTransform")
    matrix = header.vehicle_from_camera_matrix
    made = schema.make(parent_frame_id="vehicle", child_frame_id=header.camera)
    _stamp(made.timestamp, header)
    made.translation.x, made.translation.y, made.translation.z = matrix[:3, 3]
    w, x, y, z = quaternion_of(matrix[:3, :3])
    made.rotation.w, made.rotation.x, made.rotation.y, made.rotation.z = w, x, y, z
    return View("tf", schema, made.SerializeToString())


def quaternion_of(rotation: Any) -> tuple[float, float, float, float]:
    """(w, x, y, z) of a rotation matrix (3, 3): the eigenvector that Bar-Itzhack (2000) gives."""
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = np.asarray(rotation, np.float64).T.tolist()
    symmetric = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    values, vectors = np.linalg.eigh(symmetric / 3)  # reads the lower triangle
    x, y, z, w = vectors[:, int(np.argmax(values))].tolist()
    sign = -1.0 if w < 0 else 1.0
    return sign * w, sign * x, sign * y, sign * z


def _laser_scan(message: Obstacles) -> View:
    """Ranges around the point on the ground below the camera, by rising bearing."""
    schema = foxglove("LaserScan")
    bearing_rad = message.bearing_rad
    made = schema.make(
        frame_id="vehicle",
        start_angle=float(bearing_rad[0]) if len(bearing_rad) else 0.0,
        end_angle=float(bearing_rad[-1]) if len(bearing_rad) else 0.0,
        ranges=message.range_m.tolist(),
        intensities=message.category.tolist(),
    )
    _stamp(made.timestamp, message.header)
    _place_below_camera(made.pose, message.header)
    return View("scan", schema, made.SerializeToString())


def _place_below_camera(pose: Any, header: Header) -> None:
    pose.orientation.w = 1.0
    if header.vehicle_from_camera:
        pose.position.x = header.vehicle_from_camera[3]
        pose.position.y = header.vehicle_from_camera[7]


def _obstacle_points(message: Obstacles) -> View:
    """A point in its category's colour for each sector with an obstacle."""
    seen = np.isfinite(message.range_m)
    range_m, bearing_rad = message.range_m[seen], message.bearing_rad[seen]
    points = np.zeros(len(range_m), POINT)
    points["x"], points["y"] = range_m * np.cos(bearing_rad), range_m * np.sin(bearing_rad)
    if message.header.vehicle_from_camera:
        points["x"] += message.header.vehicle_from_camera[3]
        points["y"] += message.header.vehicle_from_camera[7]
    points["z"] = _OBSTACLE_HEIGHT_M / 2
    points["r"], points["g"], points["b"] = CATEGORY_COLOURS[message.category[seen]].T
    points["label"] = message.category[seen]
    in_vehicle = replace(message.header, camera="vehicle")  # the frame in which they stand
    return _points("obstacle_points", in_vehicle, points)


def _scene(message: Obstacles) -> View:
    """A box in its category's colour for each sector with an obstacle; the state as words."""
    schema = foxglove("SceneUpdate")
    made = schema.make()
    entity = made.entities.add(frame_id="vehicle", id=f"{message.header.camera}/obstacles")
    _stamp(entity.timestamp, message.header)
    entity.lifetime.seconds = 1
    sector_rad = _sector_rad(message)
    for index in np.flatnonzero(np.isfinite(message.range_m)):
        _add_box(entity, message, int(index), sector_rad)
    text = entity.texts.add(
        billboard=True, font_size=14.0, scale_invariant=True, text=_words(message)
    )
    _place_below_camera(text.pose, message.header)
    text.pose.position.z = 2.0
    text.color.r, text.color.g, text.color.b, text.color.a = _state_colour(message.state)
    return View("scene", schema, made.SerializeToString())


def _add_box(entity: Any, message: Obstacles, index: int, sector_rad: float) -> None:
    range_m, bearing_rad = float(message.range_m[index]), float(message.bearing_rad[index])
    box = entity.cubes.add()
    _place_below_camera(box.pose, message.header)
    box.pose.position.x += range_m * math.cos(bearing_rad)
    box.pose.position.y += range_m * math.sin(bearing_rad)
    box.pose.position.z = _OBSTACLE_HEIGHT_M / 2
    box.pose.orientation.w = math.cos(bearing_rad / 2)
    box.pose.orientation.z = math.sin(bearing_rad / 2)
    box.size.x, box.size.z = _LEAST_WIDTH_M, _OBSTACLE_HEIGHT_M
    box.size.y = max(_LEAST_WIDTH_M, range_m * sector_rad)
    r, g, b = CATEGORY_COLOURS[message.category[index]] / 255
    box.color.r, box.color.g, box.color.b, box.color.a = r, g, b, 0.8


def _sector_rad(message: Obstacles) -> float:
    bearing_rad = message.bearing_rad
    return float(bearing_rad[1] - bearing_rad[0]) if len(bearing_rad) > 1 else 0.0


def _words(message: Obstacles) -> str:
    known = math.isfinite(message.nearest_m)
    nearest = f"nearest {message.nearest_m:.1f} m" if known else "nothing near"
    if math.isnan(message.nearest_m):
        nearest = "unknown"
    return nearest if message.state == "ok" else f"{message.state}: {message.reason}\n{nearest}"


def _state_colour(state: str) -> tuple[float, float, float, float]:
    return (0.2, 0.9, 0.3, 1.0) if state == "ok" else (1.0, 0.3, 0.2, 1.0)
