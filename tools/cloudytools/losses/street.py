"""The loss of the street network: depth, its edges, the sky and the categories together."""

from __future__ import annotations

import math

import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor

from cloudypoints.messages import Category
from cloudytools.experiment import Loss
from cloudytools.losses.categories import categories
from cloudytools.losses.depth import gradient_matching, log_l1
from cloudytools.models import Prediction

SKY_BEYOND_M = 80.0


def sky_far(log_depth: Tensor, labels: Tensor) -> Tensor:
    """Mean of max(0, log 80 − log z) over sky pixels: the sky is far, how far nobody knows.

    A hinge, as for one-sided constraints in Cortes and Vapnik 1995. Both are (N, H, W).
    """
    sky = labels == Category.SKY
    missing = F.relu(math.log(SKY_BEYOND_M) - log_depth) * sky
    return missing.sum() / sky.sum().clamp(min=1)


def street_loss(
    prediction: Prediction, true_log_depth: Tensor, labels: Tensor, parts: Loss
) -> Tensor:
    """All of them, weighed as the experiment says; what is not flat ground counts more in depth."""
    weight = 1 + (parts.obstacles - 1) * (labels != Category.FLAT)
    return (
        log_l1(prediction.log_depth, true_log_depth, weight)
        + parts.gradient * gradient_matching(prediction.log_depth, true_log_depth)
        + parts.sky * sky_far(prediction.log_depth, labels)
        + parts.labels * categories(prediction.logits, labels)
    )
