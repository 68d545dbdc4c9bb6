"""Our TOML: what a person can read, with angles in degrees."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from typing import Any

from cloudypoints.calibration.numbers import number, numbers, size
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.lens import Distortion

_INTRINSICS = ("width_px", "height_px", "fx_px", "fy_px", "cx_px", "cy_px")
_MOUNT_M = ("height_m", "x_m", "y_m")
_MOUNT_DEG = ("roll_deg", "pitch_deg", "yaw_deg")
_KNOWN = {
    "intrinsics": _INTRINSICS,
    "distortion": ("model", "coefficients"),
    "mount": _MOUNT_M + _MOUNT_DEG,
}


def parse_camera(text: str, mount: Mount) -> Camera:
    """The camera of a TOML text; `mount` holds for what it leaves out. Raises CalibrationError."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"not TOML: {error}") from error
    return _camera_from(document, mount)


def dump_camera(camera: Camera) -> str:
    """The TOML text of a camera, which `load_camera` reads back."""
    mount = camera.mount
    lines = [
        dump_lens(camera),
        "[mount]",
        *(f"{key} = {getattr(mount, key)!r}" for key in _MOUNT_M),
    ]
    for key in _MOUNT_DEG:
        lines.append(f"{key} = {round(math.degrees(getattr(mount, _radians(key))), 12)!r}")
    return "\n".join(lines) + "\n"


def dump_lens(camera: Camera) -> str:
    """The same without the mount: what a calibration with a board can know."""
    k = camera.intrinsics
    lines = ["[intrinsics]", *(f"{key} = {getattr(k, key)!r}" for key in _INTRINSICS)]
    lines += ["", "[distortion]", f'model = "{camera.distortion.model}"']
    lines += [f"coefficients = {list(camera.distortion.coefficients)}"]
    return "\n".join(lines) + "\n"


def _camera_from(document: dict[str, Any], mount: Mount) -> Camera:
    for section, content in document.items():
        _refuse_unknown(section, content)
    intrinsics = document.get("intrinsics")
    if intrinsics is None:
        raise CalibrationError("no [intrinsics]; it holds " + ", ".join(_INTRINSICS))
    missing = [key for key in _INTRINSICS if key not in intrinsics]
    if missing:
        raise CalibrationError(f"[intrinsics] lacks {', '.join(missing)}")
    width_px, height_px = (size(f"intrinsics.{key}", intrinsics[key]) for key in _INTRINSICS[:2])
    k = (number(f"intrinsics.{key}", intrinsics[key]) for key in _INTRINSICS[2:])
    return Camera(
        Intrinsics(width_px, height_px, *k),
        _distortion_from(document.get("distortion", {})),
        _mount_from(document.get("mount", {}), mount),
        calibration="file",
    )


def _distortion_from(section: dict[str, Any]) -> Distortion:
    coefficients = numbers("distortion.coefficients", section.get("coefficients", []))
    return Distortion(str(section.get("model", "none")), coefficients)


def _mount_from(section: dict[str, Any], mount: Mount) -> Mount:
    stated = {key: number(f"mount.{key}", section[key]) for key in _MOUNT_M if key in section}
    for key in _MOUNT_DEG:
        if key in section:
            stated[_radians(key)] = math.radians(number(f"mount.{key}", section[key]))
    return replace(mount, **stated)


def _refuse_unknown(section: str, content: Any) -> None:
    if section not in _KNOWN:
        raise CalibrationError(f"unknown [{section}]; known are {', '.join(_KNOWN)}")
    if not isinstance(content, dict):
        raise CalibrationError(f"{section} must be a table: [{section}] and its keys below it")
    unknown = [key for key in content if key not in _KNOWN[section]]
    if unknown:
        raise CalibrationError(
            f"[{section}]: unknown {', '.join(unknown)}; known are {', '.join(_KNOWN[section])}"
        )


def _radians(key: str) -> str:
    return key.replace("_deg", "_rad")
