"""KITTI's raw drives: pictures, the time of each, and the calibration of their day.

    2011_09_26/calib_cam_to_cam.txt
    2011_09_26/2011_09_26_drive_0001_sync/image_02/timestamps.txt
    2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png

A drive's folder is the source; `?camera=image_03` takes another camera than the left colour one.
Geiger et al., Vision meets Robotics: The KITTI Dataset, IJRR 2013.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cloudypoints.calibration import load_camera
from cloudypoints.capture.folder import FolderFeed, pictures_in
from cloudypoints.capture.names import one_of
from cloudypoints.errors import CalibrationError, SourceError
from cloudypoints.geometry import Camera, Mount
from cloudypoints.timing import NS_PER_S

_CAMERAS = ("image_02", "image_03", "image_00", "image_01")
_MOUNT = Mount(height_m=1.65)  # of all four, above the road (figure 3 of the paper)


def kitti_feed(folder: Path, camera: str, faults: Counter[str]) -> FolderFeed:
    """The pictures of one camera, `camera` "" for the left colour one. Raises SourceError."""
    choices = [name for name in _CAMERAS if (folder / name / "data").is_dir()]
    name = one_of(str(folder), "camera", choices, camera or choices[0])
    times_ns = _times_ns(folder / name / "timestamps.txt")
    paths = pictures_in(folder / name / "data")
    try:
        stamps_ns = [times_ns[int(path.stem)] for path in paths]
    except (ValueError, IndexError) as error:
        raise SourceError(
            f"{folder / name}: {len(times_ns)} times, but pictures up to {paths[-1].name}: the "
            f"name of a picture is the line of its time"
        ) from error
    return FolderFeed(
        paths, stamps_ns, faults, clock="recorded", camera=_camera(folder.resolve(), name)
    )


def _camera(folder: Path, name: str) -> Camera | None:
    """That of the rectified pictures, or of those as they came; None without a calibration."""
    path = folder.parent / "calib_cam_to_cam.txt"
    if not path.is_file():
        return None
    entry = ("K_" if folder.name.endswith("_extract") else "P_rect_") + name[-2:]
    try:
        camera = load_camera(path.with_name(f"{path.name}#{entry}"), _MOUNT)
    except CalibrationError as error:
        raise SourceError(str(error)) from error
    return replace(camera, calibration="source")


def _times_ns(path: Path) -> list[int]:
    """Each line is a time: 2011-09-26 13:02:25.964389445, taken as UTC."""
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: the times of the pictures cannot be read: {error}") from error
    return [_time_ns(line.strip(), f"{path}:{at}") for at, line in enumerate(lines, 1) if line]


def _time_ns(text: str, where: str) -> int:
    seconds, _, fraction = text.partition(".")
    try:
        moment = datetime.strptime(seconds, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        return int(moment.timestamp()) * NS_PER_S + int(fraction.ljust(9, "0")[:9])
    except ValueError as error:
        raise SourceError(
            f"{where}: {text!r:.60} is no time like 2011-09-26 13:02:25.964389445"
        ) from error
