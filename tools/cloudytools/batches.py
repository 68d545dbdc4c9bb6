"""Batches of any dataset for any network: pictures varied by seed and epoch, gaps filled with NaN.

Order and variation hang on seed, epoch and index alone, so that a resumed run sees what an unbroken
one would have seen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from cloudypoints.errors import ConfigError
from cloudytools import augment
from cloudytools.data import Dataset, Sample
from cloudytools.data.reference import spread
from cloudytools.experiment import Augmentation, Data, Stage


class Batch(NamedTuple):
    """What networks learn from; a dataset's gaps are NaN, void or black.

    Arrays of one picture as a dataset gives them, tensors with a first axis N as a loader does.
    """

    name: Any  # str; a sequence of them
    image: Any  # (H, W, 3) uint8 RGB
    background: Any  # (H, W, 3) uint8 RGB; black where there is none
    geometry: Any  # (3, H, W): rays and ground; (0,) where the network takes none
    depth_m: Any  # (H, W) float32, NaN unknown
    nearness: Any  # (H, W) float32: larger is nearer, no unit; NaN unknown
    labels: Any  # (H, W) uint8, Category
    mask: Any  # (H, W) float32: 1 foreground, 0 not, NaN unknown


class Varied(TorchDataset[Batch]):
    """Training pictures at one size; seed, epoch and index decide how each one comes out."""

    def __init__(
        self,
        dataset: Dataset,
        size: Stage,
        how: Augmentation,
        seed: tuple[int, int],
        *,
        geometry: bool,
    ) -> None:
        self._dataset = dataset
        self._size_px = (size.width_px, size.height_px)
        self._how = how
        self._seed = seed  # of the run and of the epoch
        self._geometry = geometry

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Batch:
        random = np.random.default_rng((*self._seed, index))
        sample = self._dataset[index]
        if not self._geometry:
            return _item(augment.varied_sample(sample, self._size_px, self._how, random))
        _check_camera(sample)
        return _street_item(sample.name, augment.varied(sample, self._size_px, self._how, random))


class Plain(TorchDataset[Batch]):
    """The pictures as they are, at one size."""

    def __init__(self, dataset: Dataset, size: Stage, *, geometry: bool) -> None:
        self._dataset = dataset
        self._size_px = (size.width_px, size.height_px)
        self._geometry = geometry

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Batch:
        sample = self._dataset[index]
        if not self._geometry:
            return _item(augment.stretched(sample, self._size_px))
        _check_camera(sample)
        return _street_item(sample.name, augment.plain(sample, *self._size_px))


def training_loader(
    varied: Varied, stage: Stage, data: Data, seed: tuple[int, int]
) -> DataLoader[Batch]:
    """Shuffled batches of one epoch; equal arguments give equal batches."""
    order = np.random.default_rng(seed).permutation(len(varied))
    return DataLoader(
        varied,
        batch_size=stage.batch,
        sampler=order[: data.pictures or None].tolist(),  # fixed, however often it is iterated
        drop_last=True,
        num_workers=data.workers,
        worker_init_fn=_one_thread,
    )


def measuring_loader(plain: Plain, stage: Stage, data: Data) -> DataLoader[Batch]:
    """Every validation picture once, in order; or as many as are asked for, evenly spread."""
    return DataLoader(
        plain,
        batch_size=stage.batch,
        sampler=spread(len(plain), data.validation_pictures or len(plain)),
        num_workers=data.workers,
        worker_init_fn=_one_thread,
    )


def _item(sample: Sample) -> Batch:
    unknown = np.full(sample.shape, np.nan, np.float32)
    depth_m = unknown if sample.depth_m is None else sample.depth_m
    nearness = 1 / depth_m if sample.relative_depth is None else sample.relative_depth
    return Batch(
        name=sample.name,
        image=sample.picture,
        background=np.zeros_like(sample.picture)
        if sample.background is None
        else sample.background,
        geometry=np.zeros(0, np.float32),
        depth_m=depth_m,
        nearness=nearness,
        labels=np.zeros(sample.shape, np.uint8) if sample.labels is None else sample.labels,
        mask=unknown if sample.mask is None else sample.mask.astype(np.float32),
    )


def _street_item(name: str, example: augment.Example) -> Batch:
    unknown: NDArray[np.float32] = np.full(example.depth_m.shape, np.nan, np.float32)
    return Batch(
        name=name,
        image=example.image,
        background=np.zeros_like(example.image),
        geometry=example.geometry,
        depth_m=example.depth_m,
        nearness=1 / example.depth_m,
        labels=example.labels,
        mask=unknown,
    )


def _check_camera(sample: Sample) -> None:
    missing = [n for n in ("camera", "depth_m", "labels") if getattr(sample, n) is None]
    if missing:
        raise ConfigError(
            f"{sample.name}: a street network learns from camera, depth and labels; "
            f"this sample has no {', '.join(missing)}"
        )


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
