"""Which part of a thing tells how fast it comes nearer.

Where ground is seen up to its foot, its nearest point does. Over a crest a thing comes into view
from the top down, and its nearest point moves along it while it comes nearer, from the window to
the bumper: its top has been in view from the beginning, and does not.
"""

from __future__ import annotations

import math

import numpy as np

from cloudypoints.geometry import Floats

_FOOT = 0.8  # of its distance: ground seen no farther than this does not show its foot
_BEFORE = 0.95  # of the nearest distance: what is nearer are strays that do not count
_DEEP_M = 2.0  # behind its nearest point: what is as near belongs to it
_TOP_M, _STRAYS = 0.35, 3  # how much of it is its top, and pixels that may stick out of it


def foot_is_hidden(distance_m: float, ground_m: float) -> bool:
    """Of a thing at this distance, where ground is seen so far; not where none is seen at all."""
    return math.isfinite(distance_m) and ground_m < _FOOT * distance_m


def top_m(distance_m: Floats, height_m: Floats, nearest_m: float) -> float:
    """How far the top of the nearest thing is, by the distances and heights of pixels (N,)."""
    mine = (distance_m > _BEFORE * nearest_m) & (distance_m < nearest_m + _DEEP_M)
    distance_m, height_m = distance_m[mine], height_m[mine]
    if not len(height_m):
        return math.nan
    rank = max(0, len(height_m) - 1 - _STRAYS)
    top = height_m > np.partition(height_m, rank)[rank] - np.float32(_TOP_M)
    return float(np.median(distance_m[top]))
