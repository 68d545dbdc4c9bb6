"""Depth against LiDAR: a folder of frames, each with its picture, its camera and the points it saw.

A frame is a folder that holds `image.jpg` (or .png), `camera.json` (K, distortion,
T_vehicle_camera_optical and camera_height_above_ground_m) and `lidar_camera_frame.npy`, float32 (N,
3) metres in the camera's optical frame. Depth is sampled at the pixels of the points with 1 m ≤ z ≤
80 m; figures are means over the frames.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError, SourceError
from cloudypoints.geometry import (
    Camera,
    Distortion,
    Intrinsics,
    Mount,
    ground_inverse_depth,
    project,
    rays_of,
    transformed,
)
from cloudypoints.inference import Model
from cloudytools import metrics, pictures

NEAR_M, FAR_M = 1.0, 80.0
FLAT_FAR_M = 30.0  # what flat ground says above the horizon, and the most it says below
OBSTACLE_HEIGHT_M = (0.3, 2.5)  # above the ground
# From the protocol's page, measured by others on the same nine frames; not computed here.
QUOTED = {"METER-XXS": {"abs_rel": 0.51, "delta": 0.38, "scaled_abs_rel": 0.32}}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and what the LiDAR saw in it."""

    name: str
    picture: NDArray[np.uint8]  # (H, W, 3) RGB
    camera: Camera
    points_camera: Floats  # (N, 3) metres, 1 ≤ z ≤ 80, all inside the picture


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's depth at the LiDAR's pixels of one frame, and what flat ground says there."""

    frame: Frame
    depth_m: Floats  # (N,); where the model says "unknown" (sky): 80 m
    flat_m: Floats  # (N,)
    unknown: float  # share of points where the model said "unknown"
    grid_m: NDArray[np.float32]  # (h, w) the model's depth, NaN where unknown

    @property
    def figures(self) -> dict[str, float]:
        """Of the model."""
        return _figures(self.depth_m, self.frame) | {"unknown": self.unknown}

    @property
    def flat_figures(self) -> dict[str, float]:
        """Of flat ground."""
        return _figures(self.flat_m, self.frame)


def frames_of(folder: Path) -> list[Path]:
    """The frames of a folder, sorted. Raises SourceError where there are none."""
    found = sorted(path.parent for path in folder.glob("*/camera.json"))
    if not found:
        deeper = sorted({path.parent.parent for path in folder.glob("*/*/camera.json")})
        hint = f"; there are some in {deeper[0]}" if deeper else ""
        raise SourceError(f"{folder}: no frames (folders with a camera.json) in it{hint}")
    return found


def read_frame(path: Path) -> Frame:
    """The frame of a folder. Raises SourceError with the file at fault."""
    camera = _camera(path / "camera.json")
    picture = _picture(path, camera)
    points = _points(path / "lidar_camera_frame.npy")
    pixels = project(points, camera)
    k = camera.intrinsics
    with np.errstate(invalid="ignore"):
        inside = ((pixels >= -0.5) & (pixels < (k.width_px - 0.5, k.height_px - 0.5))).all(axis=1)
    counted = inside & (points[:, 2] >= NEAR_M) & (points[:, 2] <= FAR_M)
    if not counted.any():
        raise SourceError(
            f"{path}: none of its {len(points)} points lies 1 to 80 m before the picture"
        )
    return Frame(path.name, picture, camera, points[counted])


def measure(model: Model, frame: Frame) -> Measured:
    """Infer with the frame's own intrinsics and mount, and sample at its points."""
    view = model.view(frame.camera)
    grid_m = model.infer([frame.picture], [view])[0].depth
    depth_m = _at(frame.points_camera, view.camera, grid_m)
    unknown = np.isnan(depth_m)
    return Measured(
        frame, np.where(unknown, FAR_M, depth_m), _flat(frame), float(unknown.mean()), grid_m
    )


def mean_figures(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's mean over the frames that have it; NaN where none has."""
    names = figures[0] if figures else {}
    return {name: _mean_known([one[name] for one in figures]) for name in names}


def overlay(measured: Measured) -> pictures.Picture:
    """Picture, depth, error at each point: red too near, blue too far, full at a factor of 2."""
    height_px, width_px = measured.grid_m.shape
    scale = 3
    size = (width_px * scale, height_px * scale)
    shown = np.asarray(
        cv2.resize(measured.frame.picture, size, interpolation=cv2.INTER_AREA), np.uint8
    )
    depth = cv2.resize(
        pictures.depth_coloured(measured.grid_m), size, interpolation=cv2.INTER_NEAREST
    )
    errors = np.asarray(shown // 2 + 40, np.uint8)
    camera = measured.frame.camera.resized(*size)
    ratio = np.log2(measured.depth_m / measured.frame.points_camera[:, 2]).clip(-1, 1)
    for (u, v), error in zip(project(measured.frame.points_camera, camera), ratio, strict=True):
        colour = (255 * (1 - max(error, 0)), 255 * (1 - abs(error)), 255 * (1 + min(error, 0)))
        cv2.circle(errors, (round(u), round(v)), 2, colour, -1)
    return pictures.side_by_side([[shown, np.asarray(depth, np.uint8), errors]])


def report(
    model: Model, folder: Path, measured: Sequence[Measured], skipped: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that was measured, as JSON takes it; a figure that nothing gave is absent."""
    return {
        "folder": folder.name,
        "model_name": model.card.name,
        "model_digest": model.digest,
        "model": _known(mean_figures([one.figures for one in measured])),
        "flat_ground": _known(mean_figures([one.flat_figures for one in measured])),
        "quoted": QUOTED,
        "frames": {one.frame.name: _known(one.figures) for one in measured},
        "skipped": dict(skipped),
    }


def readable_frames(folder: Path, skipped: dict[str, str]) -> Iterator[Frame]:
    """Each frame of a folder; what cannot be read goes into `skipped` with its fault."""
    for path in frames_of(folder):
        try:
            yield read_frame(path)
        except SourceError as error:
            skipped[path.name] = str(error)


def measured_frames(model: Model, folder: Path, skipped: dict[str, str]) -> Iterator[Measured]:
    """Each frame of a folder, measured; what cannot be read goes into `skipped` with its fault."""
    return (measure(model, frame) for frame in readable_frames(folder, skipped))


def tell_skipped(skipped: Mapping[str, str]) -> None:
    """Name on the error stream what could not be read, and why."""
    for name, fault in skipped.items():
        print(f"skipped {name}: {fault}", file=sys.stderr)


def _figures(depth_m: Floats, frame: Frame) -> dict[str, float]:
    true_m = frame.points_camera[:, 2]
    scaled_m = metrics.median_scaled(depth_m, true_m)
    height_m = transformed(frame.camera.mount.vehicle_from_camera, frame.points_camera)[:, 2]
    low_m, high_m = OBSTACLE_HEIGHT_M
    obstacle = (height_m >= low_m) & (height_m <= high_m)
    return {
        "abs_rel": metrics.abs_rel(depth_m, true_m),
        "rmse_m": metrics.rmse(depth_m, true_m),
        "delta": metrics.delta(depth_m, true_m),
        "scaled_abs_rel": metrics.abs_rel(scaled_m, true_m),
        "scaled_rmse_m": metrics.rmse(scaled_m, true_m),
        "scaled_delta": metrics.delta(scaled_m, true_m),
        "obstacles_abs_rel": metrics.abs_rel(depth_m[obstacle], true_m[obstacle]),
    }


def _flat(frame: Frame) -> Floats:
    """What flat ground says at each point: 30 m above the horizon, and nothing farther below it."""
    inverse = ground_inverse_depth(frame.camera, rays_of(frame.camera))
    flat_m: Floats = 1 / np.maximum(_at(frame.points_camera, frame.camera, inverse), 1 / FLAT_FAR_M)
    return flat_m


def _at(points_camera: Floats, camera: Camera, grid: NDArray[np.float32]) -> Floats:
    """The grid's value at the pixel that each point falls on."""
    pixels = np.rint(project(points_camera, camera)).astype(int)
    u, v = np.clip(pixels, 0, (grid.shape[1] - 1, grid.shape[0] - 1)).T
    return np.asarray(grid[v, u], np.float64)


def _known(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _mean_known(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _camera(path: Path) -> Camera:
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        k = np.asarray(stated["K"], np.float64).reshape(3, 3)
        vehicle_from_camera = np.asarray(stated["T_vehicle_camera_optical"], np.float64)
        coefficients = tuple(float(c) for c in stated.get("distortion", []))
        return Camera(
            Intrinsics(stated["width"], stated["height"], k[0, 0], k[1, 1], k[0, 2], k[1, 2]),
            Distortion("plumb_bob" if coefficients else "none", coefficients),
            _mount(vehicle_from_camera.reshape(4, 4), stated["camera_height_above_ground_m"]),
            calibration="file",
        )
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise SourceError(f"{path}: no {error.args[0]!r} in it") from error
    except (ValueError, TypeError, CalibrationError) as error:
        raise SourceError(f"{path}: {error}") from error


def _mount(vehicle_from_camera: Floats, height_m: float) -> Mount:
    """The mount with this rotation; the origin goes to the ground below the camera."""
    forward, left, up = vehicle_from_camera[:3, [2, 0, 1]] * (
        1,
        -1,
        -1,
    )  # rows of yaw · pitch · roll
    return Mount(
        height_m=float(height_m),
        roll_rad=math.atan2(up[1], up[2]),
        pitch_rad=math.asin(-up[0]),
        yaw_rad=math.atan2(left[0], forward[0]),
    )


def _picture(folder: Path, camera: Camera) -> NDArray[np.uint8]:
    path = next((p for p in (folder / "image.jpg", folder / "image.png") if p.is_file()), None)
    if path is None:
        raise SourceError(f"{folder}: no image.jpg or image.png")
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SourceError(f"{path}: not a picture that can be read")
    height, width = picture.shape[:2]
    k = camera.intrinsics
    if (width, height) != (k.width_px, k.height_px):
        raise SourceError(
            f"{path}: {width}×{height} px, but its camera.json says {k.width_px}×{k.height_px}"
        )
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _points(path: Path) -> Floats:
    try:
        points = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not an array that can be read: {error}") from error
    if points.ndim != 2 or points.shape[1] != 3:
        raise SourceError(f"{path}: shape {points.shape}; it must be (N, 3)")
    return np.asarray(points, np.float64)
