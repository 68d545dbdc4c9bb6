"""KITTI's calibration text: `calib_cam_to_cam.txt` of the raw drives, `calib.txt` of odometry.

    calib_cam_to_cam.txt               camera 2, the left colour one, its rectified pictures
    calib_cam_to_cam.txt#P_rect_03     those of camera 3
    calib_cam_to_cam.txt#K_02          its unrectified ones, with their distortion
    calib.txt#P2,1241x376              odometry names no size: it stands behind the entry

What follows `#` is the entry's own name in the file.
"""

from __future__ import annotations

import re

from cloudypoints.calibration.numbers import lens, numbers, pinhole, size
from cloudypoints.calibration.yaml import as_numbers
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount
from cloudypoints.lens import Distortion

_USUAL = ("P_rect_02", "P2")
_ENTRY = re.compile(r"(P_rect_\d\d|K_\d\d|P\d)")


def parse_kitti(text: str, entry: str, mount: Mount) -> Camera:
    """The camera of an entry ("" for the left colour one). Raises CalibrationError."""
    entries = _entries(text)
    known = [key for key in entries if _ENTRY.fullmatch(key)]
    if not known:
        raise CalibrationError("not KITTI's calibration text: no P_rect_02, K_02 or P2")
    name, _, stated_size = entry.partition(",")
    name = name or next((key for key in _USUAL if key in known), known[0])
    if name not in known:
        raise CalibrationError(f"no entry {name}; known are {', '.join(known)}")
    width_px, height_px = _size(entries, name, stated_size)
    values = _values(entries, name)
    if name.startswith("P") and len(values) != 12:
        raise CalibrationError(f"{name} has {len(values)} numbers: a projection has 12")
    matrix = values if name.startswith("K") else (*values[:3], *values[4:7], *values[8:11])
    distortion = Distortion()
    if name.startswith("K"):
        distortion = lens(f"D_{name[2:]}", _values(entries, f"D_{name[2:]}"))
    intrinsics = pinhole(name, width_px, height_px, matrix)
    return Camera(intrinsics, distortion, mount, calibration="file")


def _entries(text: str) -> dict[str, list[str]]:
    """Each line's words by its key."""
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): words.split() for key, _, words in lines}


def _values(entries: dict[str, list[str]], key: str) -> tuple[float, ...]:
    if key not in entries:
        raise CalibrationError(f"no line {key}: …, which the camera needs; the file is not whole")
    return numbers(key, as_numbers(entries[key]))


def _size(entries: dict[str, list[str]], name: str, stated_size: str) -> tuple[int, int]:
    """Width and height in pixels: stated behind the entry, or in the file."""
    if stated_size:
        stated = re.fullmatch(r"(\d+)[x×](\d+)", stated_size)
        if stated is None:
            raise CalibrationError(f"size {stated_size!r}: must be like 1241x376")
        return size("width", float(stated[1])), size("height", float(stated[2]))
    key = name.replace("P_rect", "S_rect").replace("K", "S")
    if len(entries.get(key, ())) != 2:
        raise CalibrationError(
            f"no size of the pictures in it: name it behind the entry, #{name},1241x376"
        )
    width_px, height_px = _values(entries, key)
    return size(key, width_px), size(key, height_px)
