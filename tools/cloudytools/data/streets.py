"""Rendered streets: shards in memory, about 0.35 MB a picture of 320×192 px.

A folder of shards (`python -m cloudytools.scenes --count 1000 --out FOLDER`) is one split; where it
holds folders train and val instead, these are the splits. Worker processes share the memory by
forking.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloudypoints.errors import ConfigError, SourceError
from cloudytools.data import fingerprint
from cloudytools.data.sample import Sample
from cloudytools.scenes import load_shard

SPLITS = ("train", "val", "all")


@dataclass(frozen=True, slots=True)
class Streets:
    """A `Dataset` of shards; its samples' cameras and mounts are exact."""

    samples: Sequence[Sample]
    fingerprint: str
    kind: str = "streets"
    missing: Mapping[str, str] = field(default_factory=dict)  # shards that cannot be read, and why

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def name_of(self, index: int) -> str:
        """Shard and number in it."""
        return self.samples[index].name

    @classmethod
    def load(cls, folder: Path) -> Streets:
        """All shards of a folder, in the order of their names. Raises ConfigError without any."""
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise ConfigError(
                f"{folder}: no shards (*.npz) in it{_found_deeper(folder)}; "
                f"make them with python -m cloudytools.scenes --count 1000 --out {folder}"
            )
        samples: list[Sample] = []
        missing: dict[str, str] = {}
        for path in paths:
            try:
                samples += _samples(path)
            except SourceError as error:
                missing[path.stem] = str(error)
        return cls(samples, fingerprint.of_files(folder, paths), missing=missing)


def find(folder: Path, split: str) -> Streets:
    """The shards of a split: of the folder of that name, or of the folder itself."""
    inner = folder / split
    return Streets.load(inner if inner.is_dir() else folder)


def _found_deeper(folder: Path) -> str:
    found = sorted({path.parent for path in folder.glob("*/*.npz")})
    return f", but in {', '.join(map(str, found))}: name one of them instead" if found else ""


def _samples(path: Path) -> Iterator[Sample]:
    try:
        shard = load_shard(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: no shard of rendered streets: {error}") from error
    for number, camera in enumerate(shard["cameras"]):
        yield Sample(
            f"{path.stem}/{number:03d}",
            shard["image"][number],
            shard["depth_m"][number],
            labels=shard["labels"][number],
            camera=camera,
            mount_known=True,
        )
