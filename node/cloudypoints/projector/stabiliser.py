"""Flicker of a network's scale, seen and taken out: one factor a frame, never a resampled depth.

A network that looks at one picture at a time makes all of a scene a few per cent nearer or farther
from frame to frame. The height of the camera above the ground that it sees says by how much: it is
the same from frame to frame, and unlike the distances around it does not change as the camera
moves. What is slower than the time constant passes, so that nothing drifts from what the network
says in the long run. Without ground there is no correction: an approach that fills the view is
never taken for flicker.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_WINDOW_S = 1.0  # that flicker is measured over
_THUMBNAIL_PX = (16, 10)
_ENOUGH_PX = 80  # rows and columns of a picture that its thumbnail is made of
_CUT = 0.4  # two frames of one scene correlate by more


class ScaleStabiliser:
    """Follows the scale of one camera's depth; the same frames give the same factors."""

    def __init__(self, smooth_s: float) -> None:
        """`smooth_s`: changes quicker than that are taken out; 0 takes none out."""
        self._smooth_s = smooth_s
        self._thumbnail: NDArray[np.float32] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the frames before: another scene."""
        self.log_factor = 0.0  # what the frame's depth is to be multiplied by
        self._last = math.nan  # log height in the frame before
        self._variance = math.nan

    @property
    def flicker(self) -> float:
        """Change of the scale from frame to frame, relative, one sigma; NaN: not measured."""
        return math.sqrt(self._variance)

    def update(
        self, log_height: float, passed_s: float, picture: NDArray[np.uint8] | None = None
    ) -> None:
        """Take in a frame: the log height found in it, NaN where none was; its picture, RGB."""
        if picture is not None and self._is_cut(picture):
            self.reset()
        change = log_height - self._last
        self._last = log_height
        kept = _kept(passed_s, self._smooth_s)
        if math.isnan(change):
            self.log_factor *= kept
            return
        self.log_factor = kept * (self.log_factor - change)
        if math.isnan(self._variance):
            self._variance = change**2
        self._variance += (1 - _kept(passed_s, _WINDOW_S)) * (change**2 - self._variance)

    def _is_cut(self, picture: NDArray[np.uint8]) -> bool:
        """Whether this picture has nothing to do with the one before."""
        step = max(1, min(picture.shape[0] // _ENOUGH_PX, picture.shape[1] // _ENOUGH_PX))
        fewer = np.ascontiguousarray(picture[::step, ::step])
        small = cv2.resize(fewer, _THUMBNAIL_PX, interpolation=cv2.INTER_AREA)
        thumbnail = np.asarray(small, np.float32).reshape(-1)
        thumbnail -= thumbnail.mean()
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None:
            return False
        size = math.sqrt(float(thumbnail @ thumbnail) * float(before @ before))
        return size > 0 and float(thumbnail @ before) < _CUT * size


def _kept(passed_s: float, constant_s: float) -> float:
    """The part of a correction that is still there after this time."""
    return math.exp(-passed_s / constant_s) if constant_s else 0.0
