"""Cameras to and from TOML: what a person can read, with angles in degrees."""

from __future__ import annotations

import math
import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Distortion, Intrinsics, Mount

_INTRINSICS = ("width_px", "height_px", "fx_px", "fy_px", "cx_px", "cy_px")
_MOUNT_M = ("height_m", "x_m", "y_m")
_MOUNT_DEG = ("roll_deg", "pitch_deg", "yaw_deg")
_KNOWN = {
    "intrinsics": _INTRINSICS,
    "distortion": ("model", "coefficients"),
    "mount": _MOUNT_M + _MOUNT_DEG,
}


def load_camera(path: Path | Traversable) -> Camera:
    """The camera that a TOML file describes. Raises CalibrationError: file, key, remedy."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: not TOML: {error}") from error
    try:
        return _camera_from(document)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error


def dump_camera(camera: Camera) -> str:
    """The TOML text of a camera, which `load_camera` reads back."""
    k, mount = camera.intrinsics, camera.mount
    lines = ["[intrinsics]", *(f"{key} = {getattr(k, key)!r}" for key in _INTRINSICS)]
    lines += ["", "[distortion]", f'model = "{camera.distortion.model}"']
    lines += [f"coefficients = {list(camera.distortion.coefficients)}", "", "[mount]"]
    lines += [f"{key} = {getattr(mount, key)!r}" for key in _MOUNT_M]
    for key in _MOUNT_DEG:
        lines.append(f"{key} = {round(math.degrees(getattr(mount, _radians(key))), 12)!r}")
    return "\n".join(lines) + "\n"


def _camera_from(document: dict[str, Any]) -> Camera:
    for section, content in document.items():
        _refuse_unknown(section, content)
    intrinsics = document.get("intrinsics")
    if intrinsics is None:
        raise CalibrationError("no [intrinsics]; it holds " + ", ".join(_INTRINSICS))
    missing = [key for key in _INTRINSICS if key not in intrinsics]
    if missing:
        raise CalibrationError(f"[intrinsics] lacks {', '.join(missing)}")
    k = {key: _number("intrinsics", key, intrinsics[key]) for key in _INTRINSICS}
    width_px, height_px = (int(k.pop(key)) for key in ("width_px", "height_px"))
    return Camera(
        Intrinsics(width_px, height_px, **k),
        _distortion_from(document.get("distortion", {})),
        _mount_from(document.get("mount", {})),
        calibration="file",
    )


def _distortion_from(section: dict[str, Any]) -> Distortion:
    coefficients = section.get("coefficients", [])
    if not isinstance(coefficients, list):
        raise CalibrationError("distortion.coefficients must be a list of numbers")
    numbers = tuple(_number("distortion", "coefficients", c) for c in coefficients)
    return Distortion(str(section.get("model", "none")), numbers)


def _mount_from(section: dict[str, Any]) -> Mount:
    mount = {key: _number("mount", key, section[key]) for key in _MOUNT_M if key in section}
    for key in _MOUNT_DEG:
        if key in section:
            mount[_radians(key)] = math.radians(_number("mount", key, section[key]))
    return Mount(**mount)


def _refuse_unknown(section: str, content: Any) -> None:
    if section not in _KNOWN or not isinstance(content, dict):
        raise CalibrationError(f"unknown [{section}]; known are {', '.join(_KNOWN)}")
    unknown = [key for key in content if key not in _KNOWN[section]]
    if unknown:
        raise CalibrationError(
            f"[{section}]: unknown {', '.join(unknown)}; known are {', '.join(_KNOWN[section])}"
        )


def _number(section: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CalibrationError(f"{section}.{key} = {value!r}: must be a number")
    return float(value)


def _radians(key: str) -> str:
    return key.replace("_deg", "_rad")
