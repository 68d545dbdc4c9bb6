"""Cityscapes: street pictures of 50 cities with fine labels, disparity and each city's camera.

Layout as the archives unpack (Cordts et al., CVPR 2016), for train, val and test:

    leftImg8bit/SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png   8 bit RGB, 2048×1024
    gtFine/SPLIT/CITY/CITY_SEQUENCE_FRAME_gtFine_labelIds.png    8 bit, one id a pixel
    disparity/SPLIT/CITY/CITY_SEQUENCE_FRAME_disparity.png       16 bit: 0 invalid, else (p − 1)/256
    camera/SPLIT/CITY/CITY_SEQUENCE_FRAME_camera.json            baseline, fx fy u0 v0, mount

Labels are grouped into the 8 categories as the official table does. The official server leaves
out void and the rarer ids that the table marks as ignored (parking and rail track, which are flat;
guard rail, bridge, tunnel; pole group; caravan, trailer): `Sample.scored` is true on what counts.
The test split's labels are empty by design: all void.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError, SourceError
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.messages import Category
from cloudytools.data.files import (
    Entry,
    FileDataset,
    checked_root,
    complete,
    only_below,
    read_picture,
    read_pixels,
)
from cloudytools.data.sample import Booleans, Floats, Sample

SPLITS = ("train", "val", "test")

# id: (name, category, counted by the official server), from the official table
LABELS: dict[int, tuple[str, Category, bool]] = {
    0: ("unlabeled", Category.VOID, False),
    1: ("ego vehicle", Category.VOID, False),
    2: ("rectification border", Category.VOID, False),
    3: ("out of roi", Category.VOID, False),
    4: ("static", Category.VOID, False),
    5: ("dynamic", Category.VOID, False),
    6: ("ground", Category.VOID, False),
    7: ("road", Category.FLAT, True),
    8: ("sidewalk", Category.FLAT, True),
    9: ("parking", Category.FLAT, False),
    10: ("rail track", Category.FLAT, False),
    11: ("building", Category.CONSTRUCTION, True),
    12: ("wall", Category.CONSTRUCTION, True),
    13: ("fence", Category.CONSTRUCTION, True),
    14: ("guard rail", Category.CONSTRUCTION, False),
    15: ("bridge", Category.CONSTRUCTION, False),
    16: ("tunnel", Category.CONSTRUCTION, False),
    17: ("pole", Category.OBJECT, True),
    18: ("polegroup", Category.OBJECT, False),
    19: ("traffic light", Category.OBJECT, True),
    20: ("traffic sign", Category.OBJECT, True),
    21: ("vegetation", Category.NATURE, True),
    22: ("terrain", Category.NATURE, True),
    23: ("sky", Category.SKY, True),
    24: ("person", Category.HUMAN, True),
    25: ("rider", Category.HUMAN, True),
    26: ("car", Category.VEHICLE, True),
    27: ("truck", Category.VEHICLE, True),
    28: ("bus", Category.VEHICLE, True),
    29: ("caravan", Category.VEHICLE, False),
    30: ("trailer", Category.VEHICLE, False),
    31: ("train", Category.VEHICLE, True),
    32: ("motorcycle", Category.VEHICLE, True),
    33: ("bicycle", Category.VEHICLE, True),
}


def find(folder: Path, split: str, only: str = "") -> FileDataset:
    """One split, or one city of it. Labels and depth are optional: a sample has what is there."""
    root = checked_root(folder, f"leftImg8bit/{split}", f"Cityscapes with its split {split}")
    candidates = only_below(_candidates(root, split), only, folder)
    entries, missing = complete(candidates, ("picture", *_unpacked(root, split)))
    return FileDataset("cityscapes", root, entries, missing, read)


def read(entry: Entry) -> Sample:
    """One picture with labels, depth and camera as far as their files are there."""
    paths = entry.paths
    picture = read_picture(paths["picture"])
    camera, baseline_m = None, 0.0
    if "camera" in paths:
        camera, baseline_m = read_camera(paths["camera"], picture.shape[1], picture.shape[0])
    depth_m = None
    if camera is not None and "disparity" in paths:
        disparity_px = disparity_of(_single_channel(paths["disparity"], np.dtype(np.uint16)))
        depth_m = depth_from_disparity(disparity_px, camera.intrinsics.fx_px, baseline_m)
    ids = _single_channel(paths["labels"], np.dtype(np.uint8)) if "labels" in paths else None
    return Sample(
        entry.name,
        picture,
        depth_m,
        labels=None if ids is None else CATEGORY_OF_ID[ids],
        scored=None if ids is None else COUNTED_ID[ids],
        camera=camera,
        mount_known=camera is not None,
    )


def disparity_of(stored: NDArray[np.uint16]) -> Floats:
    """Pixels of disparity from the stored 16 bits: 0 is invalid, NaN; else (p − 1) / 256."""
    disparity_px = (stored.astype(np.float32) - 1) / 256
    return np.where(stored > 0, disparity_px, np.float32(np.nan))


def depth_from_disparity(disparity_px: Floats, fx_px: float, baseline_m: float) -> Floats:
    """Metres: fx · baseline / disparity; NaN for none and for a disparity of zero, which is far."""
    known = disparity_px > 0
    depth_m = np.full(disparity_px.shape, np.nan, np.float32)
    depth_m[known] = np.float32(fx_px * baseline_m) / disparity_px[known]
    return depth_m


def read_camera(path: Path, width_px: int, height_px: int) -> tuple[Camera, float]:
    """A camera JSON for a picture of this size, and the stereo baseline, metres.

    Its vehicle frame is ours (x forward, y left, z up; pitch > 0 looks down). Raises SourceError.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        k, mount = content["intrinsic"], content["extrinsic"]
        intrinsics = Intrinsics(width_px, height_px, k["fx"], k["fy"], k["u0"], k["v0"])
        angles = (mount["roll"], mount["pitch"], mount["yaw"])
        where = Mount(mount["z"], *angles, mount["x"], mount["y"])
        return Camera(intrinsics, mount=where, calibration="file"), float(mount["baseline"])
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise SourceError(f"{path}: no Cityscapes camera: {error}") from error
    except KeyError as error:
        raise SourceError(f"{path}: no Cityscapes camera: it lacks {error}") from error
    except CalibrationError as error:
        raise SourceError(f"{path}: {error}") from error


def _candidates(root: Path, split: str) -> Iterator[Entry]:
    """Every picture and where its other files would be."""
    suffix = "_leftImg8bit.png"
    for picture in sorted((root / "leftImg8bit" / split).glob(f"*/*{suffix}")):
        city, stem = picture.parent.name, picture.name.removesuffix(suffix)
        paths = {
            "picture": picture,
            "labels": root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png",
            "disparity": root / "disparity" / split / city / f"{stem}_disparity.png",
            "camera": root / "camera" / split / city / f"{stem}_camera.json",
        }
        yield Entry(f"{city}/{stem}", paths)


def _unpacked(root: Path, split: str) -> list[str]:
    """What this copy has of this split at all: each picture must have it then."""
    folders = {"labels": "gtFine", "disparity": "disparity", "camera": "camera"}
    return [what for what, folder in folders.items() if (root / folder / split).is_dir()]


def _single_channel(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    pixels = read_pixels(path)
    if pixels.ndim != 2 or pixels.dtype != dtype:
        raise SourceError(f"{path}: {pixels.shape} {pixels.dtype}; expected one channel of {dtype}")
    return pixels


def _table(column: int, dtype: type) -> NDArray[Any]:
    """A column of LABELS as a look-up over all 256 ids; unknown ids are void and not counted."""
    table: NDArray[Any] = np.zeros(256, dtype)
    for number, row in LABELS.items():
        table[number] = row[column]
    return table


CATEGORY_OF_ID: NDArray[np.uint8] = _table(1, np.uint8)  # (256,) messages.Category
COUNTED_ID: Booleans = _table(2, np.bool_)  # (256,)
