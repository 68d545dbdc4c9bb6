"""Losses on what is seen: categories (N, C, H, W) of logits, masks (N, H, W) of logits.

Void pixels, and mask pixels whose truth is NaN, have no effect.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor

from cloudypoints.messages import Category

# People and poles are few pixels and matter most.
_CATEGORY_WEIGHTS = {Category.HUMAN: 3.0, Category.OBJECT: 2.0, Category.VEHICLE: 1.5}


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


def focal(logits: Tensor, labels: Tensor, sharpness: float = 2.0) -> Tensor:
    """−mean (1 − p)^γ log p of the right category's p: what is easy counts little.

    Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 4; γ is `sharpness`, and 0 makes
    it the plain cross-entropy. Shapes as in `categories`.
    """
    counted = labels != Category.VOID
    log_share = -F.cross_entropy(logits, labels.long(), reduction="none")
    missing = -torch.expm1(log_share)  # 1 − p, exact near the truth
    cost = -(missing.clamp(min=0) ** sharpness) * log_share
    return (cost * counted).sum() / counted.sum().clamp(min=1)


def dice(logits: Tensor, labels: Tensor) -> Tensor:
    """1 − mean over the categories that occur of 2 Σ p g / (Σ p + Σ g).

    Milletari et al. 2016, "V-Net", with the sum of p rather than of p² as in Sudre et al. 2017: a
    category counts as much as any other, however few its pixels. Shapes as in `categories`.
    """
    counted = (labels != Category.VOID)[:, None]
    shares = logits.softmax(dim=1) * counted
    truth = F.one_hot(labels.long(), logits.shape[1]).movedim(-1, 1) * counted
    both = (shares * truth).sum(dim=(0, 2, 3))
    sums = shares.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    occurs = truth.sum(dim=(0, 2, 3)) > 0
    costs = (1 - 2 * both / sums.clamp(min=1e-6)) * occurs
    return costs.sum() / occurs.sum().clamp(min=1)


def mask_entropy_and_dice(mask_logit: Tensor, truth: Tensor, share: float = 0.5) -> Tensor:
    """(1 − share) · binary cross-entropy + share · (1 − 2 Σ p g / (Σ p + Σ g)).

    Binary cross-entropy (Bishop 1995) steers every pixel, Dice (Milletari et al. 2016) keeps small
    foregrounds from drowning. `truth` (N, H, W) is 0, 1 or between, NaN unknown.
    """
    known = torch.isfinite(truth)
    wanted = truth.nan_to_num()
    entropy = F.binary_cross_entropy_with_logits(mask_logit, wanted, reduction="none")
    entropy = (entropy * known).sum() / known.sum().clamp(min=1)
    shares = mask_logit.sigmoid() * known
    sums = shares.sum() + (wanted * known).sum()
    overlap = 2 * (shares * wanted).sum() / sums.clamp(min=1e-6)
    return (1 - share) * entropy + share * (1 - overlap) * known.any()
