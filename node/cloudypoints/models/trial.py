"""A model tried on one picture: how long it takes, what it gives, and how that looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudypoints.capture import Frame
from cloudypoints.config import settings_from
from cloudypoints.inference import Model
from cloudypoints.messages import KIND_OF, Depth, Labels, Mask, Message, Relative
from cloudypoints.picture import Instant
from cloudypoints.pipeline.perception import Perception
from cloudypoints.timing import NS_PER_S

_NAME = "trial"
_DRAWN = ("cloud", "image", "depth", "labels", "obstacles", "relative", "mask")
_SHARES = (2, 50, 98)  # percentiles of what is known


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    instant: Instant  # to be drawn with picture.overview
    inference_s: float
    facts: tuple[str, ...]  # what it gave, a line each


def try_once(model: Model, frame: Frame, *, hfov_deg: float = 60.0, background: str = "") -> Trial:
    """Run a model on a picture of a camera with this field of view; twice, as the first allocates.

    `background`: a picture's file, for models that take one. Raises ModelError, ConfigError.
    """
    camera = {"assumed": {"horizontal_fov_deg": hfov_deg}, "background": background}
    settings = settings_from({"camera": {_NAME: camera}}, _NAME)
    perception = Perception(_NAME, settings, model, camera=None)
    perception.see(frame)
    messages = perception.see(frame)
    ledger = messages[0].header.ledger
    pieces: dict[str, Any] = {KIND_OF[type(message)]: message for message in messages}
    return Trial(
        Instant(**{kind: pieces[kind] for kind in _DRAWN if kind in pieces}),
        (ledger.inference_end_ns - ledger.inference_start_ns) / NS_PER_S,
        tuple(_facts(messages)),
    )


def _facts(messages: Sequence[Message]) -> list[str]:
    facts = []
    for message in messages:
        match message:
            case Depth():
                facts.append(f"depth, metres: {_spread(message.depth_m)}")
            case Relative():
                facts.append(f"nearness ({message.form}, no metres): {_spread(message.nearness)}")
            case Labels():
                kinds = len(np.unique(message.labels))
                facts.append(f"labels: {kinds} categories in the picture")
            case Mask():
                facts.append(f"mask: {message.mask.mean() / 255:.1%} stands before the background")
    return facts


def _spread(values: Any) -> str:
    known = values[np.isfinite(values)]
    low, middle, high = np.percentile(known, _SHARES) if known.size else (math.nan,) * 3
    share = known.size / max(values.size, 1)
    return f"{low:.3g} … {middle:.3g} … {high:.3g} (2, 50, 98 %), known in {share:.0%}"
