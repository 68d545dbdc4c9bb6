"""What a measurement gives: figures, each the median of its rounds, held against a target."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal, TypeVar

Ours = TypeVar("Ours")
Peer = TypeVar("Peer")


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to measure, and on what."""

    rounds: int
    folder: Path  # for what is generated on the way
    video: str = ""  # "": the embedded drive, or a generated one where there is none
    model: str = ""  # of the slow-model budget; "": one made for it
    memory_s: float = 20.0  # how long memory is watched
    plot: Path | None = None  # where that is drawn over time
    quick: bool = False  # only show that it works: the figures mean little

    def pick(self, thorough: float, quick: float) -> float:
        """One of two amounts, of seconds or of repetitions."""
        return quick if self.quick else thorough


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be."""

    relation: Literal["≥", "≤"]
    value: float
    unit: str = "×"

    def met_by(self, figure: float) -> bool:
        """Whether it is; NaN never is."""
        return figure >= self.value if self.relation == "≥" else figure <= self.value

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a budget."""

    name: str
    target: Target
    rounds: tuple[float, ...]  # one value of each round, in the target's unit
    beside: Mapping[str, float] = field(default_factory=dict)  # what it is made of, or to know
    conclusive: bool = True  # False: measured for too short a time to judge

    @property
    def median(self) -> float:
        """Of the rounds: what is judged."""
        return median(self.rounds)

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or `open` where the measurement was too short to tell."""
        if not self.conclusive:
            return "open"
        return "met" if self.target.met_by(self.median) else "missed"


def interleaved(
    rounds: int, ours: Callable[[], Ours], peer: Callable[[], Peer]
) -> list[tuple[Ours, Peer]]:
    """Both in turn, so that what slows the machine down slows them down alike."""
    return [(ours(), peer()) for _ in range(rounds)]


def alternated_ms(
    ours: Callable[[], object], peer: Callable[[], object], times: int
) -> tuple[float, float]:
    """The median time of each, called in turn as many times."""
    pairs = interleaved(times, lambda: _duration_ms(ours), lambda: _duration_ms(peer))
    our_ms, peer_ms = zip(*pairs, strict=True)
    return median(our_ms), median(peer_ms)


def median_ms(work: Callable[[], object], times: int) -> float:
    """The median time of as many calls."""
    return median(_duration_ms(work) for _ in range(times))


def _duration_ms(work: Callable[[], object]) -> float:
    """Of the second of two calls: the first brings back what the other side drove out of caches."""
    work()
    start_s = time.perf_counter()
    work()
    return (time.perf_counter() - start_s) * 1e3


def medians(**columns: list[float]) -> dict[str, float]:
    """The median of each named list."""
    return {name: median(values) for name, values in columns.items()}
