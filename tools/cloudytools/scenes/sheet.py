"""Contact sheets: pictures beside their depth and labels, for looking at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.messages import CATEGORY_COLOURS
from cloudytools.scenes.sample import Sample

FAR_M = 150.0


def contact_sheet(samples: Sequence[Sample], columns: int = 3) -> NDArray[np.uint8]:
    """A picture (H, W, 3) RGB of samples, each as image | depth | labels."""
    strips = [
        np.concatenate([s.image, depth_picture(s.depth_m), CATEGORY_COLOURS[s.labels]], axis=1)
        for s in samples
    ]
    blank = np.zeros_like(strips[0])
    strips += [blank] * (-len(strips) % columns)
    rows = [np.concatenate(strips[i : i + columns], axis=1) for i in range(0, len(strips), columns)]
    return np.concatenate(rows)


def depth_picture(depth_m: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth (H, W) in colours (H, W, 3) RGB, near red, far blue, none black, by its logarithm from
    1 m.
    """
    near = 1 - np.log(np.clip(np.nan_to_num(depth_m, nan=FAR_M), 1, FAR_M)) / np.log(FAR_M)
    colours = np.asarray(
        cv2.applyColorMap((255 * near).astype(np.uint8), cv2.COLORMAP_TURBO), np.uint8
    )
    picture = np.ascontiguousarray(colours[..., ::-1])
    picture[np.isnan(depth_m)] = 0
    return picture
