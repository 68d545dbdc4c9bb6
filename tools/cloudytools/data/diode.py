"""DIODE: laser-scanned depth, indoors and outdoors, one camera.

Layout as the archives unpack (Vasiljevic et al. 2019), SPLIT is train or val:

    SPLIT/{indoors,outdoor}/scene_NNNNN/scan_NNNNN/NAME.png        8 bit RGB, 1024×768
    SPLIT/{indoors,outdoor}/scene_NNNNN/scan_NNNNN/NAME_depth.npy       float32 (H, W, 1), metres
    SPLIT/{indoors,outdoor}/scene_NNNNN/scan_NNNNN/NAME_depth_mask.npy  (H, W), 1 valid, 0 not

The mount of the camera is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cloudypoints.errors import SourceError
from cloudypoints.geometry import Camera, Intrinsics
from cloudytools.data.files import (
    Entry,
    FileDataset,
    checked_root,
    complete,
    only_below,
    read_array,
    read_picture,
)
from cloudytools.data.sample import Floats, Sample

SPLITS = ("train", "val")
PARTS = ("indoors", "outdoor")
# intrinsics.txt of the official devkit: fx, fy, cx, cy of its pictures; the centre of the top left
# pixel is (0.5, 0.5) there, as the principal point in the very middle says.
INTRINSICS = Intrinsics(1024, 768, 886.81, 927.06, 511.5, 383.5)


def find(folder: Path, split: str, only: str = "") -> FileDataset:
    """One split; `only` is indoors, outdoor or nothing."""
    root = checked_root(folder, split, f"DIODE with its split {split}")
    candidates = only_below(_candidates(root / split), only, folder)
    entries, missing = complete(candidates, ("picture", "depth", "depth mask"))
    return FileDataset("diode", root, entries, missing, read)


def read(entry: Entry) -> Sample:
    """One picture with its depth where the mask says that the laser saw something."""
    picture = read_picture(entry.paths["picture"])
    camera = Camera(INTRINSICS, calibration="file").resized(picture.shape[1], picture.shape[0])
    return Sample(entry.name, picture, _depth(entry), camera=camera)


def _depth(entry: Entry) -> Floats:
    """(H, W) metres. Raises SourceError where depth and mask are not of one size."""
    depth_m = read_array(entry.paths["depth"])
    mask = read_array(entry.paths["depth mask"])
    if depth_m.ndim == 3 and depth_m.shape[2] == 1:
        depth_m = depth_m[..., 0]
    if depth_m.shape != mask.shape or depth_m.ndim != 2:
        raise SourceError(
            f"{entry.paths['depth']}: depth {depth_m.shape} and mask {mask.shape} must both be "
            f"(H, W), depth perhaps (H, W, 1)"
        )
    valid = (mask > 0) & np.isfinite(depth_m) & (depth_m > 0)
    return np.where(valid, depth_m, np.nan).astype(np.float32)


def _candidates(folder: Path) -> Iterator[Entry]:
    for picture in sorted(folder.glob("*/scene_*/scan_*/*.png")):
        name = picture.relative_to(folder).with_suffix("").as_posix()
        paths = {
            "picture": picture,
            "depth": picture.with_name(f"{picture.stem}_depth.npy"),
            "depth mask": picture.with_name(f"{picture.stem}_depth_mask.npy"),
        }
        yield Entry(name, paths)
