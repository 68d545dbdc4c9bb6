"""Drives as other people write them, with their writers: every picture carries its number."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.RawImage_pb2 import RawImage
from mcap.writer import Writer as McapWriter
from mcap_protobuf.writer import Writer as ProtobufWriter
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from film import numbered

START_NS = 1_700_000_000_123_456_789
FRAME_NS = 50_000_000
SIZE_PX = (320, 240)
K = [300.0, 0.0, 159.5, 0.0, 300.0, 119.5, 0.0, 0.0, 1.0]
P = [280.0, 0.0, 158.0, 0.0, 0.0, 280.0, 118.0, 0.0, 0.0, 0.0, 1.0, 0.0]
D = [-0.1, 0.01, 0.0, 0.0, 0.0]
FRAMES = 40

Coder = Callable[[int], bytes]


def stamp_ns(number: int) -> int:
    return START_NS + number * FRAME_NS


def png(number: int) -> bytes:
    bgr = cv2.cvtColor(numbered(number, SIZE_PX), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr)[1].tobytes()


def jpeg(number: int) -> bytes:
    bgr = cv2.cvtColor(numbered(number, SIZE_PX), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr)[1].tobytes()


def packets(codec: str, count: int = FRAMES, gop: int = 10) -> list[bytes]:
    """One packet a picture, as Foxglove's CompressedVideo wants it: Annex B, no B frames."""
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height = SIZE_PX
    context.pix_fmt, context.framerate, context.time_base = "yuv420p", Fraction(20), Fraction(1, 20)
    context.gop_size = gop
    x265 = {"x265-params": f"log-level=none:keyint={gop}:min-keyint={gop}:bframes=0"}
    options = {"preset": "ultrafast", "tune": "zerolatency"}
    context.options = options | (x265 if codec == "libx265" else {"bf": "0"})
    coded: list[bytes] = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(numbered(number, SIZE_PX), format="rgb24")
        frame.pts = number
        coded += [bytes(packet) for packet in context.encode(frame)]
    return coded + [bytes(packet) for packet in context.encode()]


def foxglove_mcap(path: Path, *topics: str, count: int = FRAMES, kind: str = "png") -> Path:
    """Foxglove's protobuf messages; of each topic pictures, and a calibration beside it."""
    with path.open("wb") as file, ProtobufWriter(file, chunk_size=20_000) as writer:
        for number, content in enumerate(_contents(kind, count)):
            log_ns = stamp_ns(number) + 3_000_000
            for topic in topics or ("/camera/front/image",):
                message = _foxglove(kind, content)
                message.timestamp.FromNanoseconds(stamp_ns(number))
                writer.write_message(topic, message, log_time=log_ns)
                info = CameraCalibration(
                    width=SIZE_PX[0], height=SIZE_PX[1], distortion_model="plumb_bob", K=K, D=D, P=P
                )
                namespace = topic.rpartition("/")[0]
                writer.write_message(f"{namespace}/camera_info", info, log_time=log_ns)
    return path


def json_mcap(path: Path, count: int = FRAMES) -> Path:
    """Foxglove's messages as JSON."""
    with path.open("wb") as file:
        writer = McapWriter(file)
        writer.start()
        schema = writer.register_schema("foxglove.CompressedImage", "jsonschema", b"{}")
        channel = writer.register_channel("/camera", "json", schema)
        for number in range(count):
            seconds, nanoseconds = divmod(stamp_ns(number), 10**9)
            content = {
                "timestamp": {"sec": seconds, "nsec": nanoseconds},
                "frame_id": "camera",
                "format": "png",
                "data": base64.b64encode(png(number)).decode(),
            }
            log_ns = stamp_ns(number)
            writer.add_message(channel, log_ns, json.dumps(content).encode(), log_ns)
        writer.finish()
    return path


def ros1_bag(path: Path, count: int = FRAMES, *, raw: bool = False) -> Path:
    with Writer1(path) as writer:
        _write_ros(writer, Stores.ROS1_NOETIC, count, raw=raw)
    return path


def ros2_bag(path: Path, count: int = FRAMES, *, storage: str = "SQLITE3") -> Path:
    with Writer2(path, version=9, storage_plugin=StoragePlugin[storage]) as writer:
        _write_ros(writer, Stores.ROS2_HUMBLE, count, raw=False)
    return path


def _write_ros(writer: Any, store_name: Stores, count: int, *, raw: bool) -> None:
    store = get_typestore(store_name)
    one = store_name is Stores.ROS1_NOETIC
    serialise = store.serialize_ros1 if one else store.serialize_cdr
    kind = "Image" if raw else "CompressedImage"
    pictures = writer.add_connection(
        "/camera/image_raw/compressed", f"sensor_msgs/msg/{kind}", typestore=store
    )
    infos = writer.add_connection(
        "/camera/camera_info", "sensor_msgs/msg/CameraInfo", typestore=store
    )
    for number in range(count):
        header = _header(store, number, one=one)
        log_ns = stamp_ns(number) + 2_000_000
        for connection, message in (
            (pictures, _picture(store, header, number, raw=raw)),
            (infos, _info(store, header, one=one)),
        ):
            writer.write(connection, log_ns, serialise(message, connection.msgtype))


def _header(store: Any, number: int, *, one: bool) -> Any:
    seconds, nanoseconds = divmod(stamp_ns(number), 10**9)
    stamp = store.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    make = store.types["std_msgs/msg/Header"]
    counted = {"seq": number} if one else {}
    return make(stamp=stamp, frame_id="camera", **counted)


def _picture(store: Any, header: Any, number: int, *, raw: bool) -> Any:
    if not raw:
        make = store.types["sensor_msgs/msg/CompressedImage"]
        content = np.frombuffer(jpeg(number), np.uint8)
        return make(header=header, format="rgb8; jpeg compressed bgr8", data=content)
    make = store.types["sensor_msgs/msg/Image"]
    bgr = numbered(number, SIZE_PX)[..., ::-1]
    return make(
        header=header,
        height=SIZE_PX[1],
        width=SIZE_PX[0],
        encoding="bgr8",
        is_bigendian=0,
        step=SIZE_PX[0] * 3,
        data=np.ascontiguousarray(bgr).ravel(),
    )


def _info(store: Any, header: Any, *, one: bool) -> Any:
    region = store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    arrays = {"d": D, "k": K, "r": np.eye(3).ravel(), "p": P}
    return store.types["sensor_msgs/msg/CameraInfo"](
        header=header,
        width=SIZE_PX[0],
        height=SIZE_PX[1],
        distortion_model="plumb_bob",
        binning_x=0,
        binning_y=0,
        roi=region,
        **{
            name.upper() if one else name: np.array(values, np.float64)
            for name, values in arrays.items()
        },
    )


def _contents(kind: str, count: int) -> Iterator[bytes]:
    if kind in ("libx264", "libx265"):
        return iter(packets(kind, count))
    coder: Coder = {"png": png, "jpeg": jpeg, "raw": lambda n: numbered(n, SIZE_PX).tobytes()}[kind]
    return map(coder, range(count))


def _foxglove(kind: str, content: bytes) -> Any:
    if kind == "raw":
        size = {"width": SIZE_PX[0], "height": SIZE_PX[1], "step": SIZE_PX[0] * 3}
        return RawImage(encoding="rgb8", data=content, **size)
    formats = {"libx264": "h264", "libx265": "h265"}
    if kind in formats:
        return CompressedVideo(data=content, format=formats[kind])
    return CompressedImage(data=content, format=kind)


# --- folders


def kitti_drive(folder: Path, count: int = 12) -> Path:
    """A raw drive with the calibration of its day, as the dataset's archives unpack."""
    drive = folder / "2011_09_26" / "2011_09_26_drive_0001_sync"
    for camera in ("image_02", "image_03"):
        (drive / camera / "data").mkdir(parents=True)
        lines = [
            f"2011-09-26 13:02:{25 + number // 10:02d}.{number % 10}64389445"
            for number in range(count)
        ]
        (drive / camera / "timestamps.txt").write_text("\n".join(lines) + "\n")
        for number in range(count):
            (drive / camera / "data" / f"{number:010d}.png").write_bytes(png(number))
    (drive.parent / "calib_cam_to_cam.txt").write_text(
        "calib_time: 09-Jan-2012 13:57:47\ncorner_dist: 9.95e-02\n"
        "S_02: 3.92e+02 2.12e+02\nK_02: 9.5e+02 0 6.9e+02 0 9.5e+02 2.4e+02 0 0 1\n"
        "D_02: -3.79e-01 2.1e-01 1.2e-03 2.2e-03 -7.8e-02\n"
        "S_rect_02: 3.200000e+02 2.400000e+02\n"
        "P_rect_02: 2.5e+02 0 1.6e+02 4.4e+01 0 2.5e+02 1.2e+02 2.1e-01 0 0 1 2.7e-03\n"
    )  # fmt: skip
    return drive


def nuscenes_root(folder: Path, count: int = 10) -> Path:
    """Tables and pictures of two cameras in two scenes, as the mini set is laid out."""
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in ("sample_data", "sample")}
    cameras = ("CAM_FRONT", "CAM_BACK")
    tables["scene"] = [{"token": s, "name": s} for s in ("scene-0061", "scene-0103")]
    tables["sensor"] = [{"token": f"s{c}", "channel": c, "modality": "camera"} for c in cameras]
    tables["sensor"].append({"token": "sL", "channel": "LIDAR_TOP", "modality": "lidar"})
    # The front camera of a real nuScenes vehicle: it looks ahead from 1.51 m.
    tables["calibrated_sensor"] = [
        {
            "token": f"c{camera}",
            "sensor_token": f"s{camera}",
            "translation": [1.70079, 0.01595, 1.51096],
            "rotation": [0.4998015, -0.5030316, 0.4997798, -0.4973708],
            "camera_intrinsic": [[253.2, 0.0, 163.2], [0.0, 253.2, 98.3], [0.0, 0.0, 1.0]],
        }
        for camera in cameras
    ]
    for scene in ("scene-0061", "scene-0103"):
        tables["sample"].append({"token": f"p{scene}", "scene_token": scene})
        for camera in cameras:
            for number in reversed(range(count)):
                place = "samples" if number % 5 == 0 else "sweeps"
                name = f"{place}/{camera}/{scene}_{number:03d}.jpg"
                (folder / place / camera).mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(jpeg(number))
                tables["sample_data"].append(
                    {
                        "token": f"d{name}",
                        "sample_token": f"p{scene}",
                        "calibrated_sensor_token": f"c{camera}",
                        "timestamp": 1_532_402_927_612_460 + number * 83_333,
                        "filename": name,
                        "width": SIZE_PX[0],
                        "height": SIZE_PX[1],
                    }
                )
    (folder / "v1.0-mini").mkdir()
    for name, records in tables.items():
        (folder / "v1.0-mini" / f"{name}.json").write_text(json.dumps(records))
    return folder


def comma_segment(folder: Path, count: int = FRAMES) -> Path:
    """A raw HEVC stream without any stamps, as the devices write it."""
    folder.mkdir()
    (folder / "fcamera.hevc").write_bytes(b"".join(packets("libx265", count)))
    return folder
