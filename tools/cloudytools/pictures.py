"""Depth and categories as colours, for people who look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.messages import CATEGORY_COLOURS

Picture = NDArray[np.uint8]  # (H, W, 3) RGB


def depth_coloured(depth_m: NDArray[Any], near_m: float = 2.0, far_m: float = 80.0) -> Picture:
    """Near red, far blue, on a logarithmic scale; black where unknown."""
    known = np.isfinite(depth_m)
    clipped = np.clip(np.where(known, depth_m, far_m), near_m, far_m)
    share = np.log(clipped / near_m) / np.log(far_m / near_m)
    levels = np.asarray(255 * (1 - share), np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    coloured[~known] = 0
    return np.asarray(coloured, np.uint8)


def nearness_coloured(nearness: NDArray[Any]) -> Picture:
    """Near red, far blue, between the 2nd and the 98th percentile; black where unknown."""
    known = np.isfinite(nearness)
    if not known.any():
        return np.zeros((*nearness.shape, 3), np.uint8)
    low, high = np.percentile(nearness[known], (2, 98))
    share = (np.where(known, nearness, low) - low) / max(high - low, 1e-9)
    levels = np.asarray(255 * np.clip(share, 0, 1), np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    coloured[~known] = 0
    return np.asarray(coloured, np.uint8)


def share_grey(share: NDArray[Any]) -> Picture:
    """0 black, 1 white, unknown dark red."""
    known = np.isfinite(share)
    grey = np.asarray(255 * np.clip(np.where(known, share, 0), 0, 1), np.uint8)
    shown: Picture = np.where(known[..., None], grey[..., None], np.array([90, 0, 0], np.uint8))
    return shown


def labels_coloured(labels: NDArray[np.uint8]) -> Picture:
    """Each category in its Cityscapes colour."""
    return CATEGORY_COLOURS[labels]


def side_by_side(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Pictures of equal size in rows."""
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def save(picture: Picture, path: Path) -> None:
    """Write an RGB picture in the format that its name says; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
