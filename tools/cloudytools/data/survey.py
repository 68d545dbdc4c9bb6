"""Looking through a dataset: what is in it, what is missing, what is broken."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CloudyPointsError
from cloudypoints.messages import Category
from cloudytools.data.reference import Tally, statistics_of
from cloudytools.data.sample import Dataset, Sample

NEAREST_M, FARTHEST_M = 0.1, 1000.0  # the ends of the depth histogram
BINS = 48
EDGES_M = np.geomspace(NEAREST_M, FARTHEST_M, BINS + 1)
Counts = NDArray[np.int64]


def _zeros(count: int) -> Counts:
    return np.zeros(count, np.int64)


@dataclass(slots=True)
class Survey:
    """Figures that grow with every sample that is read; broken samples are listed, not fatal."""

    read: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    without_depth: list[str] = field(default_factory=list)  # not one known pixel
    sizes: Counter[str] = field(default_factory=Counter)
    focal_shares: list[float] = field(default_factory=list)  # focal length over width
    labels: Counts = field(default_factory=lambda: _zeros(len(Category)))  # pixels of each
    scored: Counts = field(default_factory=lambda: _zeros(len(Category)))  # those that count
    depth: Counts = field(default_factory=lambda: _zeros(BINS))  # pixels between EDGES_M
    depth_known: int = 0
    depth_unknown: int = 0
    nearest_m: float = math.inf
    farthest_m: float = -math.inf
    relative: Counts = field(default_factory=lambda: _zeros(BINS))  # pixels, 0 far to 1 near
    mask_shares: list[float] = field(default_factory=list)
    shown: list[Sample] = field(default_factory=list)
    statistics: Tally = field(default_factory=Tally)

    def look_through(
        self, dataset: Dataset, indices: Sequence[int], show: Sequence[int]
    ) -> Iterator[int]:
        """Read these samples, keep those that are to be shown; gives the number done."""
        to_show = frozenset(show)
        for done, index in enumerate(indices, 1):
            try:
                sample = dataset[index]
            except CloudyPointsError as error:
                self.broken[dataset.name_of(index)] = str(error)
            else:
                self.add(sample)
                if index in to_show:
                    self.shown.append(sample)
            yield done

    def add(self, sample: Sample) -> None:
        """Count one sample in."""
        self.read += 1
        self.sizes[f"{sample.shape[1]}×{sample.shape[0]}"] += 1
        if sample.camera is not None:
            k = sample.camera.intrinsics
            self.focal_shares.append(k.fx_px / k.width_px)
        self.statistics.add(statistics_of(sample))
        self._add_labels(sample)
        self._add_depth(sample)
        if sample.relative_depth is not None:
            known = sample.relative_depth[np.isfinite(sample.relative_depth)]
            self.relative += np.histogram(known, BINS, (0, 1))[0]
        if sample.mask is not None:
            self.mask_shares.append(float(sample.mask.mean()))

    def _add_labels(self, sample: Sample) -> None:
        if sample.labels is None:
            return
        self.labels += np.bincount(sample.labels.ravel(), minlength=len(Category))
        counted = sample.labels != Category.VOID if sample.scored is None else sample.scored
        self.scored += np.bincount(sample.labels[counted], minlength=len(Category))

    def _add_depth(self, sample: Sample) -> None:
        if sample.depth_m is None:
            return
        known_m = sample.depth_m[np.isfinite(sample.depth_m)]
        self.depth_known += known_m.size
        self.depth_unknown += sample.depth_m.size - known_m.size
        if not known_m.size:
            self.without_depth.append(sample.name)
            return
        self.nearest_m = min(self.nearest_m, float(known_m.min()))
        self.farthest_m = max(self.farthest_m, float(known_m.max()))
        inside = np.clip(known_m, NEAREST_M, FARTHEST_M)
        self.depth += np.histogram(inside, EDGES_M)[0]

    def depth_quantile_m(self, share: float) -> float:
        """The depth that this share of the known pixels is nearer than, to a bin's width."""
        if not self.depth_known:
            return math.nan
        below = np.concatenate([[0], np.cumsum(self.depth)]) / self.depth.sum()
        return float(np.exp(np.interp(share, below, np.log(EDGES_M))))
