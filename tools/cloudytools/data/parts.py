"""Samples with a background and a mask, in archives of several parts.

    FOLDER/part_00000.zip      samples 0 to N-1; every part can be read without the others
        index.json             names, in order, and which background each sample has
        backgrounds/ID.jpg     each once a part
        pictures/NAME.jpg      JPEG of quality 95
        masks/NAME.png         8 bit, 0 or 255
        depths/NAME.png        16 bit inverse depth as in shards: 1 cm at 20 m; where there is depth

A part is written under another name and renamed, so that what has its name is whole; parts that
are there already are kept, so that writing goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import SourceError
from cloudytools.data import fingerprint
from cloudytools.data.sample import Dataset, Picture, Sample
from cloudytools.scenes.shards import decoded_depth, encoded_depth

PATTERN = "part_*.zip"
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one sample lies."""

    part: Path
    name: str
    background: str
    has_depth: bool


@dataclass(frozen=True)
class Parts:
    """A `Dataset` of the samples in a folder's parts."""

    folder: Path
    places: Sequence[_Place]
    missing: Mapping[str, str]  # parts that cannot be read, and why
    kind: str = "composed"

    @classmethod
    def load(cls, folder: Path) -> Parts:
        """All parts of a folder, in the order of their names."""
        places: list[_Place] = []
        missing: dict[str, str] = {}
        for path in sorted(folder.glob(PATTERN)):
            try:
                places += _indexed(path)
            except SourceError as error:
                missing[path.stem] = str(error)
        return cls(folder, places, missing)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        place = self.places[index]
        picture = _read(place.part, f"pictures/{place.name}.jpg", cv2.IMREAD_COLOR)
        background = _read(place.part, f"backgrounds/{place.background}.jpg", cv2.IMREAD_COLOR)
        mask = _read(place.part, f"masks/{place.name}.png", cv2.IMREAD_UNCHANGED)
        depth_m = None
        if place.has_depth:
            stored = _read(place.part, f"depths/{place.name}.png", cv2.IMREAD_UNCHANGED)
            depth_m = decoded_depth(stored)
        return Sample(
            place.name, _rgb(picture), depth_m, mask=mask > 127, background=_rgb(background)
        )

    def name_of(self, index: int) -> str:
        """The sample's name."""
        return self.places[index].name

    @cached_property
    def fingerprint(self) -> str:
        """Of all parts."""
        return fingerprint.of_files(self.folder, self.folder.glob(PATTERN))


def write(
    dataset: Dataset, folder: Path, per_part: int, samples: range | None = None
) -> Iterator[int]:
    """Write samples (all if not said) into parts, giving the number done after each sample."""
    chosen = range(len(dataset)) if samples is None else samples
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    for number, first in enumerate(range(0, len(chosen), per_part)):
        path = folder / f"part_{number:05d}.zip"
        inside = chosen[first : first + per_part]
        if path.exists():
            done += len(inside)
            yield done
            continue
        for _ in _write_part(dataset, path, inside):
            done += 1
            yield done


def _write_part(dataset: Dataset, path: Path, samples: range) -> Iterator[None]:
    part = path.with_name(f".{path.name}.part")
    index: list[dict[str, Any]] = []
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:  # JPEG and PNG are packed
        for number in samples:
            index.append(_add(archive, dataset[number], {e["background"] for e in index}))
            yield
        archive.writestr("index.json", json.dumps({"samples": index}))
    part.replace(path)


def _add(archive: zipfile.ZipFile, sample: Sample, there: set[str]) -> dict[str, Any]:
    """One sample's pictures; what the index says of it. Raises SourceError without background."""
    if sample.background is None or sample.mask is None:
        raise SourceError(f"{sample.name}: only samples with background and mask go into parts")
    background = hashlib.sha256(sample.background.tobytes()).hexdigest()[:12]
    if background not in there:
        archive.writestr(f"backgrounds/{background}.jpg", _jpeg(sample.background))
    archive.writestr(f"pictures/{sample.name}.jpg", _jpeg(sample.picture))
    archive.writestr(f"masks/{sample.name}.png", _packed(sample.mask * np.uint8(255), ".png", []))
    if sample.depth_m is not None:
        stored = encoded_depth(sample.depth_m)
        archive.writestr(f"depths/{sample.name}.png", _packed(stored, ".png", []))
    return {
        "name": sample.name,
        "background": background,
        "has_depth": sample.depth_m is not None,
    }


def _indexed(path: Path) -> list[_Place]:
    """What a part holds. Raises SourceError."""
    try:
        index = json.loads(_archive(path, os.getpid()).read("index.json"))
        return [_Place(path, **entry) for entry in index["samples"]]
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path}: no part of samples: {error}") from error


def _read(path: Path, member: str, flag: int) -> NDArray[Any]:
    """A picture in a part. Raises SourceError."""
    try:
        content = np.frombuffer(_archive(path, os.getpid()).read(member), np.uint8)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise SourceError(f"{path}: {member}: {error}") from error
    pixels = cv2.imdecode(content, flag) if content.size else None
    if pixels is None:
        raise SourceError(f"{path}: {member} is no picture")
    return np.asarray(pixels)


@lru_cache(maxsize=64)
def _archive(path: Path, _process: int) -> zipfile.ZipFile:
    """An open part; each process opens its own, as forked ones would share the file position."""
    return zipfile.ZipFile(path)


def _jpeg(picture: Picture) -> bytes:
    return _packed(picture[..., ::-1], ".jpg", _JPEG)


def _packed(pixels: NDArray[Any], kind: str, settings: list[int]) -> bytes:
    _, packed = cv2.imencode(kind, np.ascontiguousarray(pixels), settings)
    return bytes(packed.tobytes())


def _rgb(pixels: NDArray[Any]) -> Picture:
    return np.ascontiguousarray(pixels[..., ::-1], np.uint8)
