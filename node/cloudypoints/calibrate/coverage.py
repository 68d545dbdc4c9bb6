"""What pictures of a board have shown so far, and where to hold it next.

A view is where the board is (x, y), how large and how slanted it looks, each from 0 to 1. Together
the views should cover wide ranges of all four; a view that is like an earlier one teaches nothing.
The measures are those of ROS's camera_calibration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.calibrate.boards import Corners

MEASURES = ("x", "y", "size", "slant")
WANTED = np.array([0.7, 0.7, 0.4, 0.5])  # of each measure's range
ENOUGH_VIEWS = 20
CELLS = (8, 6)  # the picture, cut into cells that should each have seen a corner

_NOVEL = 0.2  # sum of differences to the nearest earlier view


@dataclass(slots=True)
class Coverage:
    """The views so far of pictures of one size."""

    size_px: tuple[int, int]
    views: list[NDArray[np.float64]] = field(default_factory=list)  # (4,) each: MEASURES
    cells: NDArray[np.int32] = field(
        default_factory=lambda: np.zeros((CELLS[1], CELLS[0]), np.int32)
    )  # corners seen in each

    def is_new(self, corners_px: Corners) -> bool:
        """Whether a picture with these corners would teach anything."""
        view = self._view(corners_px)
        return all(np.abs(view - earlier).sum() > _NOVEL for earlier in self.views)

    def add(self, corners_px: Corners) -> None:
        """Count a picture in."""
        self.views.append(self._view(corners_px))
        share = corners_px / np.array(self.size_px) * CELLS
        column, row = np.clip(share.astype(np.intp), 0, np.array(CELLS) - 1).T
        np.add.at(self.cells, (row, column), 1)

    @property
    def progress(self) -> dict[str, float]:
        """From 0 to 1 for each measure."""
        if not self.views:
            return dict.fromkeys(MEASURES, 0.0)
        views = np.stack(self.views)
        lowest = views.min(axis=0)
        lowest[2:] = 0  # small and straight views come by themselves
        share = np.minimum(1, (views.max(axis=0) - lowest) / WANTED)
        return dict(zip(MEASURES, share.tolist(), strict=True))

    @property
    def complete(self) -> bool:
        """Whether more pictures are hardly worth the time."""
        return len(self.views) >= ENOUGH_VIEWS and min(self.progress.values()) >= 1

    @property
    def advice(self) -> str:
        """What to do next, in a few words."""
        if not self.views:
            return "hold the board before the camera"
        progress = self.progress
        least = min(progress, key=lambda name: progress[name])
        if progress[least] >= 1:
            left = ENOUGH_VIEWS - len(self.views)
            return f"{left} more, each different" if left > 0 else "enough"
        mean = np.mean(self.views, axis=0)
        return {
            "x": f"move it to the {'left' if mean[0] > 0.5 else 'right'}",
            "y": f"move it to the {'top' if mean[1] > 0.5 else 'bottom'}",
            "size": "bring it closer, until it fills the picture",
            "slant": "turn it aside, by 30 to 45 degrees",
        }[least]

    def _view(self, corners_px: Corners) -> NDArray[np.float64]:
        """Its measures (4,), from the smallest rectangle-like hull of its corners."""
        width_px, height_px = self.size_px
        (x, y), _, _ = cv2.minAreaRect(corners_px)
        area = float(cv2.contourArea(cv2.convexHull(corners_px)))
        size = min(1.0, float(np.sqrt(area / (width_px * height_px))))
        return np.array([x / width_px, y / height_px, size, slant_of(corners_px)])


def slant_of(corners_px: Corners) -> float:
    """How far the outline is from a rectangle: 0 straight on, 1 where a corner is at 45°."""
    hull = np.asarray(cv2.convexHull(corners_px), np.float32)
    quadrilateral = _quadrilateral(hull)
    before = np.roll(quadrilateral, 1, axis=0) - quadrilateral
    after = np.roll(quadrilateral, -1, axis=0) - quadrilateral
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosine = (before * after).sum(axis=1) / np.maximum(lengths, 1e-9)
    from_right = np.abs(np.pi / 2 - np.arccos(np.clip(cosine, -1, 1)))
    return float(min(1.0, from_right.max() / (np.pi / 4)))


def _quadrilateral(hull: NDArray[np.float32]) -> NDArray[np.float64]:
    """The four corners (4, 2) of a hull that is nearly one."""
    length = cv2.arcLength(hull, True)
    for share in np.linspace(0.01, 0.2, 20):
        outline = cv2.approxPolyDP(hull, share * length, True).reshape(-1, 2)
        if len(outline) == 4:
            return outline.astype(np.float64)
    return cv2.boxPoints(cv2.minAreaRect(hull)).astype(np.float64)
