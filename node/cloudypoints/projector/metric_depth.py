"""What a camera's depth goes through before use: masked, in metres, without flying pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats, Intrinsics
from cloudypoints.inference.card import ModelCard
from cloudypoints.masks import Mask, only
from cloudypoints.projector.ground import Ground, GroundFilter
from cloudypoints.projector.quality import without_flying
from cloudypoints.projector.quality_mask import BonnetLearner
from cloudypoints.projector.scale import metres_from

_BELOW = 0.6  # of the camera's height: a surface that passes this close to the lens is no ground


class MetricDepth:
    """The depth of one camera, frame by frame; owned by one thread."""

    def __init__(
        self,
        card: ModelCard,
        intrinsics: Intrinsics,
        ground: GroundFilter,
        *,
        edge_m: float = 0.0,
        mask: Mask | None = None,
        learner: BonnetLearner | None = None,
    ) -> None:
        """`intrinsics`, `mask` (H, W) and `learner` of the grid; `edge_m` as in CloudSettings."""
        self._card = card
        self._intrinsics = intrinsics
        self._ground = ground
        self._edge_m = edge_m
        self._mask = mask
        self._learner = learner

    def update(
        self,
        depth: Floats,
        labels: NDArray[np.uint8] | None,
        picture: NDArray[np.uint8],
        stamp_ns: int,
    ) -> tuple[Floats, Ground]:
        """Metres (H, W), NaN where unknown or not wanted, and the ground, after this frame.

        `depth` (H, W) in the model's unit, `labels` (H, W), `picture` (H, W, 3).
        """
        depth = self.wanted(depth)
        ground = self._ground.update(depth, labels, stamp_ns, picture)
        metres = metres_from(depth, self._card, ground)
        if self._learner is not None:
            self._learn(self._learner, picture, metres, ground)
        if self._edge_m:
            nearest_m = min(self._edge_m, _BELOW * ground.height_m)
            metres = without_flying(metres, self._intrinsics, nearest_m)
        return metres, ground

    def wanted(self, depth: Floats) -> Floats:
        """The depth less what masks leave out."""
        if self._mask is not None:
            depth = only(self._mask, depth)
        if self._learner is not None and self._learner.mask is not None:
            depth = only(self._learner.mask, depth)
        return depth

    @property
    def wanted_share(self) -> float:
        """Of the grid's pixels, those that masks leave in."""
        learned = self._learner.mask if self._learner is not None else None
        masks = [mask for mask in (self._mask, learned) if mask is not None]
        if not masks:
            return 1.0
        return cv2.countNonZero(cv2.bitwise_and(masks[0], masks[-1])) / masks[0].size

    def _learn(
        self, learner: BonnetLearner, picture: NDArray[np.uint8], metres: Floats, ground: Ground
    ) -> None:
        if self._ground.began_anew:
            learner.reset()
        if ground.state == "good":
            learner.update(picture, metres, ground.plane)
