"""LAS 1.4 and LAZ, the surveyor's formats, through laspy (extra `files`).

Point format 7 (ASPRS LAS 1.4 R15): millimetres, 16-bit colours, GPS time, the classification that
the standard knows, and our category in an extra dimension `category`.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cloudypoints.errors import MissingExtra
from cloudypoints.messages import Array, Category, Cloud
from cloudypoints.timing import NS_PER_S

_STEP_M = 0.001
_GPS_EPOCH_S = 315_964_800  # 1980-01-06 in Unix time
_ADJUSTED_S = 1_000_000_000  # "adjusted standard GPS time" is counted from here
_LEAP_S = 18  # of GPS time ahead of UTC, since 2017

# What ASPRS has a number for; the others take the user's range, from 64 on.
_CLASSIFICATION = np.array([64 + category for category in Category], np.uint8)
for _category, _number in (
    (Category.VOID, 1),  # unclassified
    (Category.FLAT, 11),  # road surface
    (Category.CONSTRUCTION, 6),  # building
    (Category.NATURE, 5),  # high vegetation
):
    _CLASSIFICATION[_category] = _number


def las(cloud: Cloud, points: Array, frame: str) -> bytes:
    """Uncompressed; the known points only. `frame` stands in the system identifier."""
    return _encoded(cloud, points, frame, compressed=False)


def laz(cloud: Cloud, points: Array, frame: str) -> bytes:
    """The same, compressed without loss."""
    return _encoded(cloud, points, frame, compressed=True)


def _encoded(cloud: Cloud, points: Array, frame: str, *, compressed: bool) -> bytes:
    laspy = _laspy()
    known = points[np.isfinite(points["z"])]
    header = laspy.LasHeader(version="1.4", point_format=7)
    header.scales = np.full(3, _STEP_M)
    header.system_identifier = f"CloudyPoints {frame} frame"[:32]
    header.generating_software = "CloudyPoints"
    header.global_encoding.gps_time_type = laspy.header.GpsTimeType.STANDARD
    header.add_extra_dim(laspy.ExtraBytesParams("category", "u1", "Cityscapes category id"))
    file = laspy.LasData(header)
    file.x, file.y, file.z = (known[name].astype(np.float64) for name in "xyz")
    file.red, file.green, file.blue = (known[name].astype(np.uint16) * 257 for name in "rgb")
    file.classification = _CLASSIFICATION[np.minimum(known["label"], len(Category) - 1)]
    file["category"] = known["label"]
    file.gps_time = np.full(known.size, _gps_time_s(cloud))
    content = io.BytesIO()
    file.write(content, do_compress=compressed)
    return content.getvalue()


def _gps_time_s(cloud: Cloud) -> float:
    """Adjusted standard GPS time of the capture."""
    utc_s = cloud.header.ledger.captured_ns / NS_PER_S
    return utc_s - _GPS_EPOCH_S + _LEAP_S - _ADJUSTED_S


def _laspy() -> Any:
    try:
        import laspy
    except ImportError as missing:
        raise MissingExtra("LAS and LAZ files", "files") from missing
    return laspy
