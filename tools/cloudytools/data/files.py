"""Datasets that are files beside one another: found by their names, read one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import ConfigError, SourceError
from cloudytools.data import fingerprint
from cloudytools.data.sample import Picture, Sample

_NEAR = 2  # levels of folders that are searched for a dataset that is not where it was said to be


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample's files, by what they hold."""

    name: str
    paths: Mapping[str, Path]


@dataclass(frozen=True)
class FileDataset:
    """A `Dataset` of entries and the function that reads one."""

    kind: str
    folder: Path
    entries: Sequence[Entry]
    missing: Mapping[str, str]
    read: Callable[[Entry], Sample]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample:
        return self.read(self.entries[index])

    def name_of(self, index: int) -> str:
        """The sample's name."""
        return self.entries[index].name

    @cached_property
    def fingerprint(self) -> str:
        """Of all its files."""
        return fingerprint.of_files(
            self.folder, (path for entry in self.entries for path in entry.paths.values())
        )


def complete(
    candidates: Iterable[Entry], needed: Sequence[str]
) -> tuple[list[Entry], dict[str, str]]:
    """The entries whose needed files are there, without optional ones that are not; the others."""
    entries, missing = [], {}
    for entry in candidates:
        there = {what: path for what, path in entry.paths.items() if path.is_file()}
        absent = [what for what in needed if what not in there]
        if absent:
            names = ", ".join(f"{what} ({entry.paths[what].name})" for what in absent)
            missing[entry.name] = f"no {names}"
        else:
            entries.append(Entry(entry.name, there))
    return entries, missing


def checked_root(folder: Path, marker: str, what: str) -> Path:
    """The folder itself if it holds the marker. Raises ConfigError that says where it was found."""
    if (folder / marker).exists():
        return folder
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; it should hold {what}")
    found = _found_near(folder, marker)
    if found is None:
        raise ConfigError(f"{folder}: no {marker} in it, so it is not {what}")
    raise ConfigError(f"{folder}: no {marker} in it, but in {found}: name that folder instead")


def _found_near(folder: Path, marker: str) -> Path | None:
    """Where the marker is: one or two levels deeper, or further up."""
    below = ("*/" * depth + marker for depth in range(1, _NEAR + 1))
    deeper = (path for pattern in below for path in sorted(folder.glob(pattern)))
    above = [parent / marker for parent in list(folder.resolve().parents)[:_NEAR]]
    places = [*deeper, *(path for path in above if path.exists())]
    depth = len(Path(marker).parts)
    return places[0].parents[depth - 1] if places else None


def only_below(entries: Iterable[Entry], part: str, folder: Path) -> list[Entry]:
    """Those whose name begins with this folder; all of them for an empty part."""
    if not part:
        return list(entries)
    entries = list(entries)
    chosen = [entry for entry in entries if entry.name.split("/")[0] == part]
    if not chosen:
        known = sorted({entry.name.split("/")[0] for entry in entries})
        raise ConfigError(f"{folder}: nothing of {part!r} in it; there is {', '.join(known)}")
    return chosen


def read_picture(path: Path) -> Picture:
    """RGB (H, W, 3). Raises SourceError."""
    return np.ascontiguousarray(read_pixels(path, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def read_pixels(path: Path, flag: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    """A picture file with the depth and channels it has, BGR. Raises SourceError."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    pixels = cv2.imdecode(content, flag) if content.size else None
    if pixels is None:
        raise SourceError(f"{path}: {content.size} bytes that are no picture")
    return np.asarray(pixels)


def read_array(path: Path) -> NDArray[Any]:
    """An .npy file without pickles. Raises SourceError."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path}: no array: {error}") from error
