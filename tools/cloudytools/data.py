"""Training data: shards of rendered streets, loaded once, varied anew in every epoch.

Memory holds the shards (about 0.35 MB a picture of 320×192 px); worker processes share it by
forking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from cloudypoints.errors import ConfigError
from cloudytools.augment import Example, plain, varied
from cloudytools.experiment import Augmentation, Stage
from cloudytools.scenes import Sample, load_shard


@dataclass(frozen=True, slots=True)
class Streets:
    """A folder of shards in memory."""

    samples: Sequence[Sample]  # depth in memory as float16, exact to 0.05 %
    fingerprint: str  # of names and contents: equal data, equal fingerprint

    @classmethod
    def load(cls, folder: Path) -> Streets:
        """All shards of a folder, in the order of their names. Raises ConfigError without any."""
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise ConfigError(
                f"{folder}: no shards (*.npz) in it; "
                f"make them with python -m cloudytools.scenes --count 1000 --out {folder}"
            )
        samples = [sample for path in paths for sample in _samples(path)]
        return cls(samples, _fingerprint(paths))


class TrainingSet(Dataset[Example]):
    """Varied pictures at one size; epoch and index alone decide how each one comes out."""

    def __init__(
        self, streets: Streets, size: Stage, how: Augmentation, seed: tuple[int, int]
    ) -> None:
        self._streets = streets
        self._size_px = (size.width_px, size.height_px)
        self._how = how
        self._seed = seed  # of the run and of the epoch

    def __len__(self) -> int:
        return len(self._streets.samples)

    def __getitem__(self, index: int) -> Example:
        random = np.random.default_rng((*self._seed, index))
        return varied(self._streets.samples[index], self._size_px, self._how, random)


class MeasuringSet(Dataset[Example]):
    """The pictures as they are, at one size."""

    def __init__(self, streets: Streets, size: Stage) -> None:
        self._streets = streets
        self._size = size

    def __len__(self) -> int:
        return len(self._streets.samples)

    def __getitem__(self, index: int) -> Example:
        return plain(self._streets.samples[index], self._size.width_px, self._size.height_px)


def training_loader(
    streets: Streets, stage: Stage, how: Augmentation, seed: tuple[int, int], workers: int
) -> DataLoader[Example]:
    """Shuffled batches of one epoch; equal arguments give equal batches."""
    order = np.random.default_rng(seed).permutation(len(streets.samples))
    return DataLoader(
        TrainingSet(streets, stage, how, seed),
        batch_size=stage.batch,
        sampler=order.tolist(),  # fixed, however often an iterator is made
        drop_last=True,
        num_workers=workers,
        worker_init_fn=_one_thread,
    )


def measuring_loader(streets: Streets, size: Stage, workers: int) -> DataLoader[Example]:
    """Every picture once, in order."""
    return DataLoader(
        MeasuringSet(streets, size),
        batch_size=size.batch,
        num_workers=workers,
        worker_init_fn=_one_thread,
    )


def _samples(path: Path) -> Iterator[Sample]:
    shard = load_shard(path)
    depth_m = shard["depth_m"].astype(np.float16)
    for image, depth, labels, camera in zip(
        shard["image"], depth_m, shard["labels"], shard["cameras"], strict=True
    ):
        yield Sample(image=image, depth_m=depth, labels=labels, camera=camera)


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)


def _fingerprint(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as shard:
            digest.update(path.name.encode() + hashlib.file_digest(shard, "sha256").digest())
    return digest.hexdigest()[:16]
