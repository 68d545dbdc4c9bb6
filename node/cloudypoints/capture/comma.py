"""comma's segments: a minute of road in `fcamera.hevc` (raw, 20 Hz) or `qcamera.ts`.

A segment's folder is the source; `?camera=ecamera.hevc` takes another than the best front camera.
What lens took it the files do not say: the nominal one of comma's devices with pictures of this
size is assumed (openpilot, common/transformations/camera.py), and every message says `assumed`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cloudypoints.capture.names import one_of
from cloudypoints.capture.place import file_place
from cloudypoints.capture.video import VideoFeed
from cloudypoints.geometry import Camera, Intrinsics, Mount

_CAMERAS = ("fcamera.hevc", "qcamera.ts", "ecamera.hevc", "dcamera.hevc")
_RATE_HZ = 20
_HEIGHT_M = 1.22  # of the device behind the windscreen, openpilot's own assumption

# Focal length in pixels by the size of the pictures, of the front camera and of the wide one.
_FOCAL_PX = {
    "fcamera.hevc": {(1164, 874): 910.0, (1928, 1208): 2648.0, (1344, 760): 1522.0 * 3 / 4},
    "qcamera.ts": {(526, 330): 2648.0 * 526 / 1928},
    "ecamera.hevc": {(1928, 1208): 567.0, (1344, 760): 567.0 / 4 * 3},
}


def comma_feed(folder: Path, camera: str, faults: Counter[str]) -> VideoFeed:
    """The video of one camera, `camera` "" for the best front one. Raises SourceError."""
    choices = [name for name in _CAMERAS if (folder / name).is_file()]
    name = one_of(str(folder), "camera", choices, camera or choices[0])
    place = file_place(str(folder / name), _RATE_HZ if name.endswith(".hevc") else 0)
    feed = VideoFeed(place, faults)
    feed.camera = _nominal(name, feed.size_px)
    return feed


def _nominal(name: str, size_px: tuple[int, int]) -> Camera | None:
    focal_px = _FOCAL_PX.get(name, {}).get(size_px)
    if focal_px is None:
        return None
    width_px, height_px = size_px
    intrinsics = Intrinsics(width_px, height_px, focal_px, focal_px, width_px / 2, height_px / 2)
    return Camera(intrinsics, mount=Mount(height_m=_HEIGHT_M), calibration="assumed")
