"""From a file to a camera, whoever wrote it."""

from __future__ import annotations

import logging
import textwrap
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from cloudypoints.calibration.kitti import parse_kitti
from cloudypoints.calibration.opencv import is_opencv, parse_opencv
from cloudypoints.calibration.ros import parse_camera_info
from cloudypoints.calibration.toml import parse_camera
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Mount, rays_of

log = logging.getLogger(__name__)

_MAX_BYTES = 1 << 20
_LONGEST_LINE = 600  # of what is said of a file: a matrix fits
_KINDS = ".toml (ours), .yaml or .yml (ROS, OpenCV), .txt (KITTI)"
_MOST_BLIND = 0.1  # of the picture; a lens is rarely fitted to its very corners, but to its middle
_MOST_BLIND_FISHEYE = 0.9  # its circle in a wide picture
_FOCAL_LENGTHS = (1e-3, 1e4)  # times the longer side: 180° of a fisheye are 0.3, 1° is 57
_FARTHEST_CENTRE = 10.0  # times the longer side: a window cut far off the axis of its lens
_MOST_BENT = 1e6
_PROBE_PX = 160  # the lens is tried on a picture with sides of up to this


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
        raise CalibrationError(f"{file}: {_one_line(str(error))}") from error


def checked_lens(camera: Camera) -> Camera:
    """The same camera. Raises CalibrationError for a lens that cannot be, or folds much over.

    A fisheye may be blind around its circle, that is how it is built; a pinhole's polynomial there
    is not to be believed, and up to a tenth of the picture is left without rays, with a warning.
    """
    _check_orders(camera)
    k = camera.intrinsics
    part = _PROBE_PX / max(k.width_px, k.height_px)
    probe = camera.resized(max(1, round(part * k.width_px)), max(1, round(part * k.height_px)))
    blind = float(np.isnan(rays_of(probe)[0]).mean())
    model = camera.distortion.model
    if blind > _MOST_BLIND_FISHEYE:
        raise CalibrationError(
            f"the {model} distortion {camera.distortion.coefficients} and focal length "
            f"{k.fx_px:g} px leave {blind:.0%} of the picture without a ray: one of them is wrong"
        )
    if blind > _MOST_BLIND and model != "fisheye":
        raise CalibrationError(
            f"the {model} distortion {camera.distortion.coefficients} folds the picture over in "
            f"{blind:.0%} of it: wrong coefficients or order (k1 k2 p1 p2 k3 …), or a lens for "
            f'model = "fisheye"'
        )
    if blind:
        log.warning("the lens model has no ray for %.2g %% of the picture", 100 * blind)
    return camera


def _check_orders(camera: Camera) -> None:
    """Raises CalibrationError for numbers that no lens has, whatever the file says they are."""
    k, longer_px = camera.intrinsics, max(camera.intrinsics.width_px, camera.intrinsics.height_px)
    low_px, high_px = (factor * longer_px for factor in _FOCAL_LENGTHS)
    if not (low_px <= min(k.fx_px, k.fy_px) and max(k.fx_px, k.fy_px) <= high_px):
        raise CalibrationError(
            f"focal lengths fx {k.fx_px:g}, fy {k.fy_px:g} px for a picture of {k.width_px}×"
            f"{k.height_px} px: must be between {low_px:g} and {high_px:g}"
        )
    if max(abs(k.cx_px), abs(k.cy_px)) > _FARTHEST_CENTRE * longer_px:
        raise CalibrationError(
            f"principal point ({k.cx_px:g}, {k.cy_px:g}) px: must be in or near the picture of "
            f"{k.width_px}×{k.height_px} px"
        )
    if any(abs(coefficient) > _MOST_BENT for coefficient in camera.distortion.coefficients):
        raise CalibrationError(
            f"distortion coefficients {camera.distortion.coefficients}: those of a lens are "
            f"mostly below 1, and never above {_MOST_BENT:g}"
        )


def _parsed(name: str, text: str, entry: str, mount: Mount) -> Camera:
    suffix = Path(name).suffix.lower()
    if suffix == ".txt":
        return parse_kitti(text, entry, mount)
    if entry:
        raise CalibrationError(f"#{entry} names an entry; only KITTI's .txt has several")
    if suffix == ".toml":
        return parse_camera(text, mount)
    if suffix in (".yaml", ".yml"):
        return (parse_opencv if is_opencv(text) else parse_camera_info)(text, mount)
    raise CalibrationError(f"calibrations end in {_KINDS}")


def _split(path: Path | Traversable) -> tuple[Path | Traversable, str]:
    """The file, and what follows # unless that belongs to its name."""
    name, mark, entry = path.name.partition("#")
    if not mark or not isinstance(path, Path) or path.exists():
        return path, ""
    return path.with_name(name), entry


def _one_line(says: str) -> str:
    """The same without what a terminal would break or obey, and not endless."""
    printable = "".join(letter if letter.isprintable() else " " for letter in says)
    return textwrap.shorten(printable, _LONGEST_LINE, placeholder=" …")


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
