"""What training makes small: losses on depth and categories, each a plain function of tensors.

Depth losses work on the logarithm of metres. NaN in the truth marks pixels without one; they have
no effect, not even on the gradient. A picture without a single known pixel costs 0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor

from cloudypoints.messages import Category
from cloudytools.experiment import Loss
from cloudytools.models import Prediction

SKY_BEYOND_M = 80.0
# People and poles are few pixels and matter most.
_CATEGORY_WEIGHTS = {Category.HUMAN: 3.0, Category.OBJECT: 2.0, Category.VEHICLE: 1.5}


def log_l1(log_depth: Tensor, true_log_depth: Tensor, weight: Tensor) -> Tensor:
    """Σ w |log z − log z*| / Σ w over known pixels: the relative error, to first order.

    Carvalho et al. 2018, "On regression losses for deep depth estimation"; log space after Eigen et
    al. 2014. All three are (N, H, W); `weight` ≥ 0.
    """
    error, known = _error(log_depth, true_log_depth)
    weight = weight * known
    return (weight * error.abs()).sum() / weight.sum().clamp(min=1)


def gradient_matching(log_depth: Tensor, true_log_depth: Tensor, scales: int = 4) -> Tensor:
    """Σ_k mean(|∂x R_k| + |∂y R_k|) with R = log z − log z*, R_k every 2^k-th pixel of it.

    Li and Snavely 2018, "MegaDepth", eq. 4: edges sharp and surfaces smooth where those of the
    truth are, whatever the scale. (N, H, W) each; only pairs of known neighbours count.
    """
    error, known = _error(log_depth, true_log_depth)
    total = error.new_zeros(())
    for scale in range(scales):
        step = 2**scale
        total = total + _mean_step(error[:, ::step, ::step], known[:, ::step, ::step])
    return total


def sky_far(log_depth: Tensor, labels: Tensor) -> Tensor:
    """Mean of max(0, log 80 − log z) over sky pixels: the sky is far, how far nobody knows.

    A hinge, as for one-sided constraints in Cortes and Vapnik 1995. Both are (N, H, W).
    """
    sky = labels == Category.SKY
    missing = F.relu(math.log(SKY_BEYOND_M) - log_depth) * sky
    return missing.sum() / sky.sum().clamp(min=1)


def categories(logits: Tensor, labels: Tensor) -> Tensor:
    """−Σ w_c log softmax(logits)_c / Σ w_c: cross-entropy, Bishop 1995, the rare weigh more.

    `logits` (N, 8, H, W), `labels` (N, H, W) Category ids; void has no effect.
    """
    weights = logits.new_ones(len(Category))
    for category, weight in _CATEGORY_WEIGHTS.items():
        weights[category] = weight
    per_pixel = F.cross_entropy(
        logits, labels.long(), weights, ignore_index=Category.VOID, reduction="none"
    )
    counted = weights[labels.long()] * (labels != Category.VOID)
    return per_pixel.sum() / counted.sum().clamp(min=1)


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


def _error(log_depth: Tensor, true_log_depth: Tensor) -> tuple[Tensor, Tensor]:
    """The difference, 0 where the truth is unknown, and where it is known."""
    known = torch.isfinite(true_log_depth)
    return torch.where(known, log_depth - true_log_depth.nan_to_num(), 0.0), known


def _mean_step(error: Tensor, known: Tensor) -> Tensor:
    total, pairs = error.new_zeros(()), error.new_zeros(())
    for axis in (1, 2):
        both = known.narrow(axis, 1, known.shape[axis] - 1) & known.narrow(
            axis, 0, known.shape[axis] - 1
        )
        total = total + (error.diff(dim=axis).abs() * both).sum()
        pairs = pairs + both.sum()
    return 2 * total / pairs.clamp(min=1)
