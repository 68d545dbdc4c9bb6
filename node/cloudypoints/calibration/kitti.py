"""KITTI's calibration text: `calib_cam_to_cam.txt` of the raw drives, `calib.txt` of odometry.

    calib_cam_to_cam.txt               camera 2, the left colour one, its rectified pictures
    calib_cam_to_cam.txt#P_rect_03     those of camera 3
    calib_cam_to_cam.txt#K_02          its unrectified ones, with their distortion
    calib.txt#P2,1241x376              odometry names no size: it stands behind the entry

What follows `#` is the entry's own name in the file.
"""

from __future__ import annotations

import re

from cloudypoints.calibration.numbers import lens, pinhole
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
    values = entries[name]
    if name.startswith("P") and len(values) != 12:
        raise CalibrationError(f"{name} has {len(values)} numbers: a projection has 12")
    matrix = values if name.startswith("K") else (*values[:3], *values[4:7], *values[8:11])
    distortion = Distortion()
    if name.startswith("K"):
        distortion = lens(f"D_{name[2:]}", entries.get(f"D_{name[2:]}", ()))
    intrinsics = pinhole(name, width_px, height_px, matrix)
    return Camera(intrinsics, distortion, mount, calibration="file")


def _entries(text: str) -> dict[str, tuple[float, ...]]:
    """Each line's numbers by its key; lines of words (the date) are left out."""
    entries = {}
    for line in text.splitlines():
        key, _, values = line.partition(":")
        try:
            entries[key.strip()] = tuple(float(value) for value in values.split())
        except ValueError:
            continue
    return entries


def _size(entries: dict[str, tuple[float, ...]], name: str, stated_size: str) -> tuple[int, int]:
    """Width and height in pixels: stated behind the entry, or in the file."""
    if stated_size:
        stated = re.fullmatch(r"(\d+)[x×](\d+)", stated_size)
        if stated is None:
            raise CalibrationError(f"size {stated_size!r}: must be like 1241x376")
        return int(stated[1]), int(stated[2])
    key = name.replace("P_rect", "S_rect").replace("K", "S")
    if len(entries.get(key, ())) != 2:
        raise CalibrationError(
            f"no size of the pictures in it: name it behind the entry, #{name},1241x376"
        )
    width_px, height_px = entries[key]
    return int(width_px), int(height_px)
