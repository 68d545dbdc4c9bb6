"""What training data is like on average, to compare with what a model meets later.

A reference is a small JSON file beside a run: for each of the input statistics its mean and its
standard deviation over the pictures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from cloudypoints.errors import ConfigError
from cloudypoints.input_statistics import depth_statistics, picture_statistics
from cloudytools.data.sample import Dataset, Sample


@dataclass(frozen=True, slots=True)
class Reference:
    """Mean and standard deviation of each input statistic over so many pictures."""

    NAME: ClassVar[str] = "statistics.json"  # of the file in a run's folder

    pictures: int
    mean: Mapping[str, float]
    deviation: Mapping[str, float]
    fingerprint: str = ""  # of the data that it was taken of

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote. Raises ConfigError."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**content)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}: no reference of input statistics: {error}") from error


@dataclass(slots=True)
class Tally:
    """Sums from which mean and deviation come; NaN are left out."""

    count: dict[str, int] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)
    pictures: int = 0

    def add(self, figures: Mapping[str, float]) -> None:
        """Count the figures of one picture in."""
        self.pictures += 1
        for name, value in figures.items():
            if math.isfinite(value):
                self.count[name] = self.count.get(name, 0) + 1
                self.total[name] = self.total.get(name, 0.0) + value
                self.squares[name] = self.squares.get(name, 0.0) + value * value

    def reference(self, fingerprint: str = "") -> Reference:
        """What has been counted so far."""
        mean = {name: total / self.count[name] for name, total in self.total.items()}
        deviation = {
            name: math.sqrt(max(self.squares[name] / self.count[name] - mean[name] ** 2, 0.0))
            for name in mean
        }
        return Reference(self.pictures, mean, deviation, fingerprint)


def statistics_of(sample: Sample) -> dict[str, float]:
    """What the node would publish of this input, with the true depth for the inferred one."""
    figures = picture_statistics(sample.picture)
    if sample.depth_m is not None:
        figures |= depth_statistics(sample.depth_m)
    return figures


def reference_of(dataset: Dataset, most: int = 200) -> Reference:
    """The reference of a dataset from at most so many of its samples, evenly spread."""
    tally = Tally()
    for index in spread(len(dataset), most):
        tally.add(statistics_of(dataset[index]))
    return tally.reference(dataset.fingerprint)


def spread(count: int, wanted: int) -> list[int]:
    """At most so many indices below count, evenly spread, the first and the last among them."""
    if wanted >= count:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, wanted)})
