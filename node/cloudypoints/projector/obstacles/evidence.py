"""What speaks for an obstacle: how many standing pixels each group has in each range bin.

Groups are the sectors, the corridor and the zones; a pixel may belong to several. An obstacle
begins at the first bin that, with the next, has as many pixels as its size asks for; its distance
is that of the nearest of them but for a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats
from cloudypoints.messages import Category
from cloudypoints.projector.obstacles.tables import Cells, Indices, ObstacleTables

Bools = NDArray[np.bool_]

_STRAY = 0.1  # of the pixels needed may lie before the edge


@dataclass(frozen=True, slots=True)
class Members:
    """Pixels of a group, and how far each of them is as that group counts it."""

    pixel: NDArray[np.intp]  # (K,) into the scene's pixels of that kind
    distance_m: Floats  # (K,)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Standing pixels by group and range bin; K entries, as a pixel may be in several groups."""

    tables: ObstacleTables
    groups: int
    cell: Indices  # (K,) group × bins + bin
    distance_m: Floats  # (K,)
    pixel: NDArray[np.intp]  # (K,) into the scene's standing pixels
    pairs: NDArray[np.int64]  # (G, B) pixels in this bin and the next

    @classmethod
    def of(
        cls, cell: Indices, range_m: Floats, others: list[Members], tables: ObstacleTables
    ) -> Evidence:
        """Of the cell and range of every standing pixel, and of the members of other groups."""
        groups = tables.sectors + len(others)
        cells = [cell, *cells_of(others, tables)]
        pixel = [np.arange(len(cell)), *(one.pixel for one in others)]
        distance_m = [range_m, *(one.distance_m for one in others)]
        whole = np.concatenate(cells)
        counts = np.bincount(whole, minlength=groups * tables.bins).reshape(groups, tables.bins)
        pairs = counts.copy()
        pairs[:, :-1] += counts[:, 1:]
        return cls(tables, groups, whole, np.concatenate(distance_m), np.concatenate(pixel), pairs)

    @property
    def shared(self) -> NDArray[np.int64]:
        """(G, B) pairs, a sector's with those of the neighbour that has more of the same."""
        shared = self.pairs.copy()
        own = self.pairs[: self.tables.sectors]
        beside = np.zeros_like(own)
        beside[1:] = own[:-1]
        beside[:-1] = np.maximum(beside[:-1], own[1:])
        shared[: self.tables.sectors] += np.where(own > 0, beside, 0)
        return shared


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest obstacle of each group."""

    distance_m: Floats  # (G,) inf where none
    support: NDArray[np.uint32]  # (G,) pixels
    category: NDArray[np.uint8]  # (G,)
    entry: NDArray[np.intp]  # (N,) into the evidence: the pixels of them all
    group: Indices  # (N,) of each of those


def nearest_of(evidence: Evidence, enough: Bools, label: NDArray[np.uint8]) -> Nearest:
    """Where `enough` (G, B) first holds; `label` of the scene's standing pixels."""
    tables, groups = evidence.tables, evidence.groups
    first = np.where(enough.any(axis=1), enough.argmax(axis=1), tables.bins)
    chosen = np.zeros((groups, tables.bins + 2), np.bool_)  # the first bin and the next
    chosen[np.arange(groups), first] = chosen[np.arange(groups), first + 1] = True
    entry = np.flatnonzero(chosen[:, : tables.bins].ravel().take(evidence.cell))
    group = evidence.cell.take(entry) // tables.bins
    support = np.bincount(group, minlength=groups)
    found = support > 0
    stray = _STRAY * tables.needed[np.minimum(first, tables.bins - 1)]
    rank = np.minimum(stray, support - 1).astype(np.intp)
    start = np.cumsum(support) - support
    distance_m = np.full(groups, np.inf, np.float32)
    sorted_m = _sorted_by_group(group, evidence.distance_m.take(entry))
    distance_m[found] = sorted_m[(start + rank)[found]]
    labels = label.take(evidence.pixel.take(entry))
    return Nearest(
        distance_m, support.astype(np.uint32), _majority(group, labels, groups), entry, group
    )


def cells_of(others: list[Members], tables: ObstacleTables) -> list[Indices]:
    """The cell of each member of the groups behind the sectors."""
    return [
        tables.bins_of(one.distance_m).astype(np.intp) + (tables.sectors + number) * tables.bins
        for number, one in enumerate(others)
    ]


def clear_of(
    cells: Sequence[Cells | Indices], seen_from_m: Floats, tables: ObstacleTables
) -> Floats:
    """(G,) how far ground was seen without a gap wider than the picture's rows; NaN: nowhere.

    `cells` are those of the ground's pixels; from `seen_from_m` (G,) at the latest it must be seen.
    """
    groups = len(seen_from_m)
    size = groups * tables.bins
    seen = np.zeros(size, np.bool_)
    for cell in cells:
        seen |= np.bincount(cell, minlength=size) > 0
    whole = np.flatnonzero(seen)
    begins = np.searchsorted(whole, np.arange(groups + 1) * tables.bins)  # each group's first
    gap = whole[1:] - whole[:-1]
    broken = np.flatnonzero(gap > tables.widest_gap.take(whole[1:] % tables.bins)) + 1
    broken = np.append(broken, len(whole))
    # The first break behind its begin ends it, or the next group's begin.
    after = np.searchsorted(broken, begins[:-1], side="right")
    ends = np.minimum(begins[1:], broken.take(after, mode="clip"))
    known = ends > begins[:-1]
    known[known] = tables.bin_m[whole[begins[:-1][known]] % tables.bins] <= seen_from_m[known]
    clear_m = np.full(groups, np.nan, np.float32)
    clear_m[known] = tables.bin_m[whole[ends[known] - 1] % tables.bins]
    return clear_m


def _majority(group: Indices, label: NDArray[np.uint8], groups: int) -> NDArray[np.uint8]:
    """The commonest label of each group's pixels, (G,); void where there are none."""
    kinds = len(Category)
    counts = np.bincount(group * kinds + label, minlength=groups * kinds).reshape(groups, kinds)
    return np.asarray(counts.argmax(axis=1), np.uint8)


def _sorted_by_group(group: Indices, distance_m: Floats) -> Floats:
    """The distances, group after group, rising in each."""
    # One sort of whole numbers: distances > 0 rise as their bits do, and the group stands above.
    key = (group.astype(np.uint64) << np.uint64(32)) | distance_m.view(np.uint32)
    key.sort()
    return key.astype(np.uint32).view(np.float32)
