"""nuScenes and what is laid out like it: JSON tables beside folders of pictures.

    FOLDER/v1.0-mini/{sample_data,sample,scene,calibrated_sensor,sensor}.json
    FOLDER/samples/CAM_FRONT/*.jpg, FOLDER/sweeps/CAM_FRONT/*.jpg

`FOLDER?camera=CAM_FRONT&scene=scene-0061`. Caesar et al., nuScenes, CVPR 2020.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from cloudypoints.capture.folder import FolderFeed
from cloudypoints.capture.json_camera import mount_of, rotation_of
from cloudypoints.capture.names import one_of
from cloudypoints.errors import CalibrationError, SourceError
from cloudypoints.geometry import Camera, Intrinsics

_TABLES = ("sample_data", "sample", "scene", "calibrated_sensor", "sensor")
_USUAL = "CAM_FRONT"
_NS_PER_US = 1000

Record = dict[str, Any]


def nuscenes_feed(folder: Path, camera: str, scene: str, faults: Counter[str]) -> FolderFeed:
    """The pictures of one camera in one scene, the sweeps too. Raises SourceError."""
    version = next(path.parent for path in sorted(folder.glob("*/sample_data.json")))
    tables = {name: _table(version / f"{name}.json") for name in _TABLES}
    try:
        shots, sensor = _shots(str(folder), tables, camera, scene)
        paths = [folder / shot["filename"] for shot in shots]
        times_ns = [int(shot["timestamp"]) * _NS_PER_US for shot in shots]
        size_px = int(shots[0]["width"]), int(shots[0]["height"])
        own = _camera(sensor, size_px)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SourceError(f"{version}: tables that do not fit each other: {error!r}") from error
    except CalibrationError as error:
        raise SourceError(f"{version}/calibrated_sensor.json: {error}") from error
    return FolderFeed(paths, times_ns, faults, clock="recorded", camera=own)


def _shots(
    folder: str, tables: dict[str, list[Record]], camera: str, scene: str
) -> tuple[list[Record], Record]:
    """The records of the pictures in their order, and that of the sensor that took them."""
    channels = {r["token"]: r["channel"] for r in tables["sensor"] if r["modality"] == "camera"}
    sensors = {r["token"]: r for r in tables["calibrated_sensor"] if r["sensor_token"] in channels}
    choices = sorted({channels[record["sensor_token"]] for record in sensors.values()})
    usual = _USUAL if _USUAL in choices else ""
    channel = one_of(folder, "camera", choices, camera or usual)
    scenes = {r["token"]: r["name"] for r in tables["scene"]}
    name = one_of(folder, "scene", sorted(scenes.values()), scene)
    samples = {r["token"] for r in tables["sample"] if scenes[r["scene_token"]] == name}
    shots = [
        record
        for record in tables["sample_data"]
        if record["sample_token"] in samples
        and (sensor := sensors.get(record["calibrated_sensor_token"])) is not None
        and channels[sensor["sensor_token"]] == channel
    ]
    if not shots:
        raise SourceError(f"{folder}: no pictures of {channel} in {name}")
    shots.sort(key=lambda record: int(record["timestamp"]))
    return shots, sensors[shots[0]["calibrated_sensor_token"]]


def _camera(sensor: Record, size_px: tuple[int, int]) -> Camera:
    """Its frame is the vehicle's: the middle of the rear axle, on the ground."""
    k = np.array(sensor["camera_intrinsic"], np.float64).reshape(3, 3)
    vehicle_from_camera = np.eye(4)
    vehicle_from_camera[:3, :3] = rotation_of(sensor["rotation"])
    vehicle_from_camera[:3, 3] = sensor["translation"]
    intrinsics = Intrinsics(*size_px, k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    return Camera(intrinsics, mount=mount_of(vehicle_from_camera), calibration="source")


def _table(path: Path) -> list[Record]:
    try:
        records = json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON: {error}") from error
    if not isinstance(records, list):
        raise SourceError(f"{path}: a table is a list of records")
    return records
