"""A frame on its way through the node: what it needs on it, and what has become of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats
from cloudypoints.inference import Model, Result, View
from cloudypoints.messages import Header, Ledger
from cloudypoints.projector import MetricDepth, ObstacleFilter, PictureHealth

if TYPE_CHECKING:
    from cloudypoints.pipeline.rig import Rig


@dataclass(frozen=True, slots=True)
class Sight:
    """What one size of picture of one camera needs; made when it first comes."""

    view: View
    rays: Floats  # (2, H, W) of the grid
    obstacles: ObstacleFilter  # likewise of the frames so far
    depth: MetricDepth  # of the frames so far; for the output's thread alone
    health: PictureHealth  # likewise
    header: Header  # what every message of this sight says alike
    cloud_intrinsics: tuple[float, ...]  # of the cloud's grid, which a stride thins
    since: int = 0  # number of its first frame
    waits: bool = False  # for a background: nothing is inferred yet


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame on its way through the node, with what has become of it so far."""

    rig: Rig
    sight: Sight
    frame_index: int
    stamp_ns: int
    clock: str
    fitted: NDArray[np.uint8]  # (H, W, 3) RGB on the model's grid
    ledger: Ledger
    result: Result | None = None

    def inferred(self, result: Result, start_ns: int, end_ns: int) -> Shot:
        """The same shot with what the model saw, and when."""
        ledger = replace(self.ledger, inference_start_ns=start_ns, inference_end_ns=end_ns)
        return replace(self, result=result, ledger=ledger)


def seen(model: Model, shots: Sequence[Shot]) -> list[Result]:
    """What the model sees in each; nothing where the background is still to be learned."""
    ready = [shot for shot in shots if not shot.sight.waits]
    fitted, views = [shot.fitted for shot in ready], [shot.sight.view for shot in ready]
    results = iter(model.infer_fitted(fitted, views) if ready else ())
    return [_nothing(shot.fitted) if shot.sight.waits else next(results) for shot in shots]


def _nothing(fitted: NDArray[np.uint8]) -> Result:
    return Result(np.full(fitted.shape[:2], np.nan, np.float32), None, fitted)
