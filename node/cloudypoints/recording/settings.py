"""What to record, how much of it, and into which files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloudypoints.errors import ConfigError
from cloudypoints.messages import TOPICS
from cloudypoints.wire import check_camera_name

MB = 1_000_000
_MOST_S = 1e9  # thirty years; what is added to a time must have an end


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """Raises ConfigError for what cannot be meant."""

    path: Path  # of the first file; more are called NAME_001.mcap and so on
    topics: tuple[str, ...] = ()  # `kind` or `kind/camera`; none: everything that is published
    rates_hz: Mapping[str, float] = field(
        default_factory=dict
    )  # by topic: at most so many a second
    split_mb: float = 0.0  # begin another file; 0: never
    split_s: float = 0.0
    fsync: bool = False  # every chunk is on the disk before the next begins
    chunk_s: float = 1.0  # a chunk is written at least so often: what a killed recorder loses
    chunk_mb: float = 16.0  # or when it has grown so large, before it is compressed
    depth_step: float = 0.0  # relative; 0: depth stays as it is
    jpeg: int = 0  # quality of pictures, 1 to 100; 0: they stay as they are
    view_points: int = 5_000  # of a cloud's view, where the cloud itself is rebuilt from depth
    ring_s: float = 0.0  # keep so much in memory, and write it when something happens; 0: write all
    ring_mb: float = 256.0
    after_s: float = 10.0  # go on for so long after the event

    def __post_init__(self) -> None:
        for topic in (*self.topics, *self.rates_hz):
            kind, slash, camera = topic.partition("/")
            if kind not in TOPICS:
                raise ConfigError(f"topic {topic!r}: kinds are {', '.join(TOPICS)}")
            if slash:
                check_camera_name(camera)
        _check_range("depth_step", self.depth_step, 0, 0.1)
        _check_range("jpeg", self.jpeg, 0, 100)
        _check_range("view_points", self.view_points, 0, math.inf)
        for name in ("split_mb", "split_s"):
            _check_range(name, getattr(self, name), 0, math.inf)
        for name in ("ring_s", "after_s"):
            _check_range(name, getattr(self, name), 0, _MOST_S)
        for name in ("chunk_s", "chunk_mb", "ring_mb"):
            _check_range(name, getattr(self, name), 0.001, math.inf)
        for topic, rate_hz in self.rates_hz.items():
            _check_range(f"rate of {topic}", rate_hz, 0.001, math.inf)

    def takes(self, kind: str, camera: str) -> bool:
        """Whether a topic is to be recorded."""
        return not self.topics or kind in self.topics or f"{kind}/{camera}" in self.topics

    def rate_hz(self, kind: str, camera: str) -> float:
        """At most so many of a topic a second, what is said of one camera first; 0: all."""
        return self.rates_hz.get(f"{kind}/{camera}", self.rates_hz.get(kind, 0.0))


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"record: {name} is {value}; expected {low:g} to {high:g}")
