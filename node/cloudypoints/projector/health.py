"""Whether a picture can be believed: frozen, covered, dazzled.

All figures come from a thinned grey picture of the model's grid, in a fraction of a millisecond.
A lens counts as covered when the picture is nearly one tone without any detail, or black; as
dazzled when light has swallowed a large part of it. Both must last for a few frames. A live picture
is never quite the same twice: one that is has frozen, somewhere between the lens and here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.projector.settings import HealthSettings

_PIXELS = 30_000  # looked at, about
_BRIGHT = 248  # grey levels: full white
_SAME = 0.02  # mean change, in grey levels, that no live sensor stays below
_BLACK = 4.0  # brightness below which there is nothing to see
_PLAIN, _SOFT = 12.0, 1.6  # contrast and sharpness of a covered lens are both below
_SWALLOWED = 0.35  # of the picture in full white
_FRAMES = 5  # in a row before the lens is blamed, or no longer
_GAP_S = 1.0  # a longer step between frames tells nothing of change


@dataclass(frozen=True, slots=True)
class Health:
    """What one picture is like; grey levels 0 to 255."""

    brightness: float  # mean
    contrast: float  # standard deviation
    sharpness: float  # standard deviation of the Laplacian
    change: float  # mean absolute difference from the frame before; NaN without one
    bright: float  # share of pixels above 247


class PictureHealth:
    """Follows one camera's pictures. `live`: whether they come from a camera, not a recording."""

    def __init__(self, settings: HealthSettings, *, live: bool) -> None:
        self._frozen_after_s = settings.frozen_after_s if live else 0.0
        self.reset()

    def reset(self) -> None:
        """Forget the frames before, as after a seek."""
        self._last: NDArray[np.uint8] | None = None
        self._stamp_ns = 0
        self._moved_ns = 0  # when the picture last changed
        self._in_a_row = {"covered": 0, "dazzled": 0}
        self._blamed: set[str] = set()

    def update(self, picture: NDArray[np.uint8], stamp_ns: int) -> tuple[str, ...]:
        """The conditions after this picture (H, W, 3) RGB: of `frozen`, `covered`, `dazzled`."""
        grey = _grey(picture)
        if self._last is not None and (
            self._last.shape != grey.shape or not 0 <= stamp_ns - self._stamp_ns <= _GAP_S * 1e9
        ):
            self._last = None
        health = _health_of(grey, self._last)
        if self._last is None or health.change > _SAME:
            self._moved_ns = stamp_ns
        self._last, self._stamp_ns = grey, stamp_ns
        self._judge(health)
        frozen = 0 < self._frozen_after_s <= (stamp_ns - self._moved_ns) / 1e9
        return (*(["frozen"] if frozen else []), *sorted(self._blamed))

    def _judge(self, health: Health) -> None:
        plain = health.contrast < _PLAIN and health.sharpness < _SOFT
        now = {
            "dazzled": health.bright > _SWALLOWED,
            "covered": health.brightness < _BLACK or (plain and health.bright <= _SWALLOWED),
        }
        for condition, holds in now.items():
            changed = holds != (condition in self._blamed)
            self._in_a_row[condition] = self._in_a_row[condition] + 1 if changed else 0
            if self._in_a_row[condition] >= _FRAMES:
                self._blamed ^= {condition}
                self._in_a_row[condition] = 0


def _thinned(grid: NDArray[np.generic]) -> NDArray[np.generic]:
    step = max(1, round(math.sqrt(grid.shape[0] * grid.shape[1] / _PIXELS)))
    return grid[::step, ::step]


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(
        cv2.cvtColor(np.ascontiguousarray(_thinned(picture)), cv2.COLOR_RGB2GRAY), np.uint8
    )


def _health_of(grey: NDArray[np.uint8], last: NDArray[np.uint8] | None) -> Health:
    mean, deviation = cv2.meanStdDev(grey)
    _, detail = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    change = math.nan if last is None else cv2.norm(grey, last, cv2.NORM_L1) / grey.size
    return Health(
        brightness=float(mean[0, 0]),
        contrast=float(deviation[0, 0]),
        sharpness=float(detail[0, 0]),
        change=float(change),
        bright=np.count_nonzero(grey >= _BRIGHT) / grey.size,
    )
