"""Ordinal distances between the regions of one picture, learned as a plain regression."""

from __future__ import annotations

import torch
from torch import Tensor

from cloudypoints.messages import Category


def ordinal_nearness(depth: Tensor, regions: Tensor) -> Tensor:
    """For each pixel the place of its region in the order from far (0) to near (1), NaN for none.

    Regions are ordered by the median of their known depth and stand evenly apart, whatever their
    distances: the middle one of three is 0.5. A single region is 1; void and regions without known
    depth have none. Both (N, H, W); `regions` are Category ids.
    """
    return torch.stack([_places(*one) for one in zip(depth, regions, strict=True)])


def ordinal_regression(nearness: Tensor, depth: Tensor, regions: Tensor) -> Tensor:
    """The mean of (d − d°)² over pixels whose region has a place d° in the order.

    The simplest of the ordinal losses, after the regression baseline of Diaz and Marathe 2019,
    "Soft Labels for Ordinal Regression". All three are (N, H, W).
    """
    places = ordinal_nearness(depth, regions)
    known = torch.isfinite(places)
    error = torch.where(known, nearness - places.nan_to_num(), 0.0)
    return error.square().sum() / known.sum().clamp(min=1)


def _places(depth: Tensor, regions: Tensor) -> Tensor:
    """Of one picture, (H, W)."""
    known = torch.isfinite(depth)
    present = sorted(set(regions[known].tolist()) - {Category.VOID.value})
    medians = {region: float(depth[known & (regions == region)].median()) for region in present}
    places = torch.full_like(depth, torch.nan)
    for place, region in enumerate(sorted(present, key=lambda r: -medians[r])):
        places[regions == region] = place / (len(present) - 1) if len(present) > 1 else 1.0
    return places
