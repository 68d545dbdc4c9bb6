"""Pictures that nobody labelled, among a dataset's own: they show a network what cameras see.

No loss is taken of them. But batch normalisation takes its statistics over the whole batch, so that
a network which learns from rendered pictures learns to work with the statistics of real ones (Li et
al., Adaptive Batch Normalization, 2018; here while it learns, so that its weights fit them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from cloudypoints.capture import CaptureSettings, Frame, frames, open_source
from cloudypoints.config import AssumedCamera
from cloudypoints.errors import ConfigError
from cloudytools.data import fingerprint
from cloudytools.data.reference import spread
from cloudytools.data.sample import Dataset, Sample

_MOST = 200  # pictures of each source, evenly spread
_WIDTH_PX = 640  # of what is kept of them: wider ones are made smaller


class WithUnlabelled:
    """A dataset's samples and, after them, so many others that these have a share of all.

    The others have a camera, NaN for depth and void labels.
    """

    def __init__(self, dataset: Dataset, sources: Sequence[str], share: float) -> None:
        """`sources` as the node opens them: videos, folders. Raises SourceError, ConfigError."""
        self._dataset = dataset
        self._others = [sample for source in sources for sample in samples_of(source)]
        self._repeated = round(len(dataset) * share / (1 - share))
        names = (sample.name for sample in self._others)
        self._fingerprint = fingerprint.of_text(dataset.fingerprint, str(share), *names)

    @property
    def kind(self) -> str:
        """Of the dataset."""
        return self._dataset.kind

    @property
    def missing(self) -> Mapping[str, str]:
        """Of the dataset."""
        return self._dataset.missing

    @property
    def fingerprint(self) -> str:
        """Of the dataset, and of what the others are called."""
        return self._fingerprint

    def __len__(self) -> int:
        return len(self._dataset) + self._repeated

    def __getitem__(self, index: int) -> Sample:
        own = len(self._dataset)
        return self._dataset[index] if index < own else self._other(index - own)

    def name_of(self, index: int) -> str:
        """Its name."""
        own = len(self._dataset)
        return self._dataset.name_of(index) if index < own else self._other(index - own).name

    def _other(self, index: int) -> Sample:
        return self._others[index % len(self._others)]


def samples_of(source: str) -> list[Sample]:
    """At most 200 pictures of a recording, evenly spread. Raises SourceError, ConfigError."""
    wanted = set(spread(sum(1 for _ in _frames(source)), _MOST))
    samples = [_sample(source, frame) for frame in _frames(source) if frame.index in wanted]
    if not samples:
        raise ConfigError(f"{source}: no picture to learn from")
    return samples


def _frames(source: str) -> Iterator[Frame]:
    with closing(open_source(source, CaptureSettings(pace=0, mode="recorded"))) as opened:
        yield from frames(opened)


def _sample(source: str, frame: Frame) -> Sample:
    """A frame by the camera that is assumed where nobody says another."""
    height_px, width_px = frame.picture.shape[:2]
    smaller = min(1.0, _WIDTH_PX / width_px)
    size_px = round(smaller * width_px), round(smaller * height_px)
    picture = cv2.resize(frame.picture, size_px, interpolation=cv2.INTER_AREA)
    return Sample(
        f"{Path(source).name}#{frame.index}",
        np.asarray(picture, np.uint8),
        depth_m=np.full(picture.shape[:2], np.nan, np.float32),
        labels=np.zeros(picture.shape[:2], np.uint8),
        camera=AssumedCamera().camera(*size_px),
    )
