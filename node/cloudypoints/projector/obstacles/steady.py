"""Hysteresis: what was there is believed sooner and let go later than what is new.

New weak evidence counts when the next frame has it too; strong evidence counts at once. Once
reported, half of the pixels keep an obstacle. When they are gone it is held for a moment at its
last distance, with a support of 0, unless it may have moved on: something stands as far away in a
sector that it can have come to, or the picture's edge is as near.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from cloudypoints.geometry import Floats
from cloudypoints.projector.obstacles.evidence import Bools, Evidence, Nearest
from cloudypoints.projector.obstacles.tables import ObstacleTables

_STRONG = 3.0  # times the pixels needed are believed at once
_WEAK = 0.5  # times them keep what was reported
_REACH = 0.1  # of its range: how far a thing may be from where it was
_REACH_BINS = 4  # the same in bins, which are at most 1 / 32 of their range
_KERNELS = [np.ones((2 * groups + 1, 2 * _REACH_BINS + 1), np.uint8) for groups in (0, 1)]
_GAP_S = 1.0  # a longer step between frames is another scene
_ASIDE_MPS = 15.0  # things move no faster across the view, as the camera's own way makes them


class Steady:
    """The memory of one camera's groups from frame to frame."""

    def __init__(self, tables: ObstacleTables) -> None:
        self._tables = tables
        self._hold_s = tables.settings.hold_s
        self._needed, strong, weak = (
            np.ceil(part * tables.needed).astype(np.int64) for part in (1, _STRONG, _WEAK)
        )
        self._strong, self._weak = strong, np.maximum(weak, 2)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is believed as it is."""
        self._stamp_ns: int | None = None
        self._evident: Bools = np.zeros((0, 0), np.bool_)  # (G, B) of the last frame
        self._told: Bools = np.zeros((0, 0), np.bool_)  # (G, B) where one may begin in this frame
        self._distance_m: Floats = np.zeros(0, np.float32)  # (G,) last reported
        self._category = np.zeros(0, np.uint8)
        self._seen_ns = np.zeros(0, np.int64)  # (G,) when each was last seen

    def enough(self, evidence: Evidence, stamp_ns: int) -> Bools:
        """(G, B) where an obstacle may begin in this frame."""
        passed_s = (stamp_ns - (self._stamp_ns or 0)) / 1e9
        if self._stamp_ns is not None and not 0 <= passed_s <= _GAP_S:
            self.reset()
        pairs = evidence.shared
        evident = pairs >= self._needed
        if self._stamp_ns is None:
            enough = evident
        else:
            there = self._near(self._one_hot())
            faint = ~(there & evident).any(axis=1, keepdims=True)
            kept = there & faint & (pairs >= self._weak)
            again = evident & self._around(self._evident)
            enough = kept | again | (pairs >= self._strong)
        self._evident, self._told = evident, enough
        return enough

    def held(self, near: Nearest, stamp_ns: int) -> Nearest:
        """The same with what has just vanished, still where it was."""
        if self._stamp_ns is None:
            self._seen_ns = np.full(len(near.distance_m), stamp_ns)
            shown = near
        else:
            shown = self._with_vanished(near, stamp_ns)
        self._stamp_ns = stamp_ns
        self._distance_m, self._category = shown.distance_m, shown.category
        return shown

    def _with_vanished(self, near: Nearest, stamp_ns: int) -> Nearest:
        seen = np.isfinite(near.distance_m)
        young = (stamp_ns - self._seen_ns) / 1e9 <= self._hold_s
        gone = near.distance_m > self._distance_m * (1 + 2 * _REACH)
        hold = gone & young
        if hold.any():
            hold &= ~self._moved(hold, (stamp_ns - (self._stamp_ns or 0)) / 1e9)
        self._seen_ns = np.where(seen & ~hold, stamp_ns, self._seen_ns)
        if not hold.any():
            return near
        kept = ~hold.take(near.group)
        return replace(
            near,
            distance_m=np.where(hold, self._distance_m, near.distance_m),
            support=np.where(hold, 0, near.support).astype(np.uint32),
            category=np.where(hold, self._category, near.category).astype(np.uint8),
            entry=near.entry[kept],
            group=near.group[kept],
        )

    def _moved(self, gone: Bools, passed_s: float) -> Bools:
        """(G,) which sectors' things that are gone may have moved: aside, or out of the picture."""
        tables, moved = self._tables, np.zeros(len(self._distance_m), np.bool_)
        bearings_rad = tables.bearings_rad
        for sector in np.flatnonzero(gone[: tables.sectors]):
            distance_m = float(self._distance_m[sector])
            way_m = _ASIDE_MPS * passed_s
            aside_rad = way_m / distance_m + math.radians(tables.settings.sector_deg)
            off_rad = np.abs(bearings_rad - bearings_rad[sector])
            beside = (off_rad <= aside_rad) & (off_rad > 0)
            least, most = tables.bins_of(
                np.array([distance_m - way_m, distance_m + way_m], np.float32)
            )
            bins = slice(max(0, least - _REACH_BINS), most + _REACH_BINS + 1)
            ends = off_rad[[0, -1]] < aside_rad
            moved[sector] = ends.any() or self._told[: len(beside)][beside, bins].any()
        return moved

    def _one_hot(self) -> Bools:
        """(G, B) the bin of what each group has last reported."""
        seen = np.flatnonzero(np.isfinite(self._distance_m))
        hot = np.zeros(self._evident.shape, np.bool_)
        hot[seen, self._tables.bins_of(self._distance_m[seen])] = True
        return hot

    def _near(self, marked: Bools) -> Bools:
        """The same, and the bins within reach: a thing may have come nearer or gone."""
        return _spread(marked, 0)

    def _around(self, marked: Bools) -> Bools:
        """The same, and the bins within reach of the sectors beside."""
        sectors = self._tables.sectors
        return np.concatenate([_spread(marked[:sectors], 1), _spread(marked[sectors:], 0)])


def _spread(marked: Bools, groups: int) -> Bools:
    """What is marked (G, B), by so many groups and by the bins within reach."""
    spread = cv2.dilate(marked.view(np.uint8), _KERNELS[groups])
    return np.asarray(spread, np.uint8).view(np.bool_)
