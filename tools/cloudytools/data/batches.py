"""Batches of rendered streets for the street network: the one module here that needs torch."""

from __future__ import annotations

import cv2
import numpy as np
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from cloudytools.augment import Example, plain, varied
from cloudytools.data.streets import Streets
from cloudytools.experiment import Augmentation, Stage


class TrainingSet(TorchDataset[Example]):
    """Varied pictures at one size; epoch and index alone decide how each one comes out."""

    def __init__(
        self, streets: Streets, size: Stage, how: Augmentation, seed: tuple[int, int]
    ) -> None:
        self._streets = streets
        self._size_px = (size.width_px, size.height_px)
        self._how = how
        self._seed = seed  # of the run and of the epoch

    def __len__(self) -> int:
        return len(self._streets)

    def __getitem__(self, index: int) -> Example:
        random = np.random.default_rng((*self._seed, index))
        return varied(self._streets[index], self._size_px, self._how, random)


class MeasuringSet(TorchDataset[Example]):
    """The pictures as they are, at one size."""

    def __init__(self, streets: Streets, size: Stage) -> None:
        self._streets = streets
        self._size = size

    def __len__(self) -> int:
        return len(self._streets)

    def __getitem__(self, index: int) -> Example:
        return plain(self._streets[index], self._size.width_px, self._size.height_px)


def training_loader(
    streets: Streets, stage: Stage, how: Augmentation, seed: tuple[int, int], workers: int
) -> DataLoader[Example]:
    """Shuffled batches of one epoch; equal arguments give equal batches."""
    order = np.random.default_rng(seed).permutation(len(streets))
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


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
