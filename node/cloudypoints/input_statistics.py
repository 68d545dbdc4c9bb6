"""What pictures and depth are like, in a dozen cheap figures, so that a drift of them is seen.

The node publishes them in `Status.statistics`; the workshop stores those of the training data with
each run and compares (`python -m cloudytools.evaluate drift`). About 0.3 ms a picture.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX = 160  # pictures are shrunk to it first: sharpness depends on the size
EDGES_M = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_BINS_M = tuple(pairwise((0.0, *EDGES_M, float("inf"))))
DEPTH_NAMES = tuple(f"depth_from_{near:g}_m" for near, _ in _BINS_M)
PICTURE_NAMES = ("brightness", "contrast", "sharpness")
UNKNOWN = "depth_unknown"


def picture_statistics(image: NDArray[np.uint8]) -> dict[str, float]:
    """Of a picture (H, W, 3) RGB: mean and standard deviation of its grey levels, 0 to 1, and the
    mean size of their Laplacian, which blur, fog and a dirty lens make small.
    """
    height_px = max(1, round(image.shape[0] * WIDTH_PX / image.shape[1]))
    small = cv2.resize(image, (WIDTH_PX, height_px), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    sharpness = np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean()
    figures = (grey.mean(), grey.std(), sharpness)
    return {name: float(figure) for name, figure in zip(PICTURE_NAMES, figures, strict=True)}


def depth_statistics(depth_m: NDArray[Any]) -> dict[str, float]:
    """Of depth (H, W), metres: the share of known pixels in each octave of distance, which add up
    to 1, and the share of unknown ones. All are NaN but the last where nothing is known.
    """
    known_m = depth_m[np.isfinite(depth_m)]
    counts = np.bincount(np.digitize(known_m, EDGES_M), minlength=len(DEPTH_NAMES))
    with np.errstate(invalid="ignore"):
        shares = (counts / np.float64(known_m.size)).tolist()
    unknown = 1 - known_m.size / max(depth_m.size, 1)
    return dict(zip(DEPTH_NAMES, shares, strict=True)) | {UNKNOWN: unknown}
