"""ReDWeb V1: 3 600 stereo pictures of the web with relative depth.

Layout (Xian et al., CVPR 2018):

    Imgs/NAME.jpg   8 bit RGB
    RDs/NAME.png    8 bit: 0 nearest, 255 farthest (the sky is set to it)

What is stored is a negated disparity of unknown scale and shift, as far as anybody knows
(isl-org/MiDaS#16); `Sample.relative_depth` is (255 − p) / 255: larger is nearer, the sky is 0.
There is no official split: a tenth of the pictures, chosen by their names, is `val`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cloudypoints.errors import SourceError
from cloudytools.data.files import (
    Entry,
    FileDataset,
    checked_root,
    complete,
    read_picture,
    read_pixels,
)
from cloudytools.data.sample import Sample

SPLITS = ("train", "val", "all")


def find(folder: Path, split: str) -> FileDataset:
    """One split, the same pictures on every machine."""
    root = checked_root(folder, "Imgs", "ReDWeb V1 (Imgs and RDs)")
    candidates = (e for e in _candidates(root) if split in ("all", split_of(e.name)))
    entries, missing = complete(candidates, ("picture", "relative depth"))
    return FileDataset("redweb", root, entries, missing, read)


def split_of(name: str) -> str:
    """`val` for one name in ten, else `train`; decided by the name alone."""
    return "val" if hashlib.sha256(name.encode()).digest()[0] < 26 else "train"


def read(entry: Entry) -> Sample:
    """One picture and its relative depth."""
    path = entry.paths["relative depth"]
    stored = read_pixels(path)
    if stored.ndim != 2 or stored.dtype != np.uint8:
        raise SourceError(f"{path}: {stored.shape} {stored.dtype}; expected one channel of uint8")
    nearness = (np.float32(255) - stored.astype(np.float32)) / np.float32(255)
    return Sample(entry.name, read_picture(entry.paths["picture"]), relative_depth=nearness)


def _candidates(root: Path) -> Iterator[Entry]:
    for picture in sorted((root / "Imgs").glob("*.jpg")):
        depth = root / "RDs" / f"{picture.stem}.png"
        yield Entry(picture.stem, {"picture": picture, "relative depth": depth})
