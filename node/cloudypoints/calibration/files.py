"""From a file to a camera, whoever wrote it."""

from __future__ import annotations

import logging
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from cloudypoints.calibration.kitti import parse_kitti
from cloudypoints.calibration.opencv import parse_opencv
from cloudypoints.calibration.ros import parse_camera_info
from cloudypoints.calibration.toml import parse_camera
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount, rays_of

log = logging.getLogger(__name__)

_MAX_BYTES = 1 << 20
_KINDS = ".toml (ours), .yaml or .yml (ROS, OpenCV), .txt (KITTI)"
_MOST_BLIND = 0.1  # of the picture; a lens is rarely fitted to its very corners, but to its middle
_PROBE_PX = 160  # the lens is tried on a picture of this width


def load_camera(path: Path | Traversable, mount: Mount | None = None) -> Camera:
    """The camera that a file describes; `mount` is believed where the file does not say it.

    `FILE#ENTRY` names one of several cameras in KITTI's text. Raises CalibrationError: file, key,
    remedy.
    """
    file, entry = _split(path)
    text = _text(file)
    try:
        return checked_lens(_parsed(file.name, text, entry, mount or Mount()))
    except CalibrationError as error:
        raise CalibrationError(f"{file}: {error}") from error


def checked_lens(camera: Camera) -> Camera:
    """The same camera. Raises CalibrationError where its distortion folds much of the picture.

    A fisheye may be blind in the corners, that is how it is built; a pinhole's polynomial there is
    not to be believed, and up to a tenth of the picture is left without rays, with a warning.
    """
    height_px = max(1, round(_PROBE_PX * camera.intrinsics.height_px / camera.intrinsics.width_px))
    blind = float(np.isnan(rays_of(camera.resized(_PROBE_PX, height_px))[0]).mean())
    model = camera.distortion.model
    if blind > _MOST_BLIND and model != "fisheye":
        raise CalibrationError(
            f"the {model} distortion {camera.distortion.coefficients} folds the picture over in "
            f"{blind:.0%} of it: wrong coefficients or order (k1 k2 p1 p2 k3 …), or a lens for "
            f'model = "fisheye"'
        )
    if blind:
        log.warning("the lens model has no ray for %.2g %% of the picture", 100 * blind)
    return camera


def _parsed(name: str, text: str, entry: str, mount: Mount) -> Camera:
    suffix = Path(name).suffix.lower()
    if suffix == ".txt":
        return parse_kitti(text, entry, mount)
    if entry:
        raise CalibrationError(f"#{entry} names an entry; only KITTI's .txt has several")
    if suffix == ".toml":
        return parse_camera(text, mount)
    if suffix in (".yaml", ".yml"):
        opencvs = text.startswith("%YAML:1.0") or "!!opencv-matrix" in text
        return (parse_opencv if opencvs else parse_camera_info)(text, mount)
    raise CalibrationError(f"calibrations end in {_KINDS}")


def _split(path: Path | Traversable) -> tuple[Path | Traversable, str]:
    """The file, and what follows # unless that belongs to its name."""
    name, mark, entry = path.name.partition("#")
    if not mark or not isinstance(path, Path) or path.exists():
        return path, ""
    return path.with_name(name), entry


def _text(file: Path | Traversable) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CalibrationError(f"{file}: cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise CalibrationError(f"{file}: larger than any calibration ({_MAX_BYTES} bytes)")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{file}: not text: {error}") from error
