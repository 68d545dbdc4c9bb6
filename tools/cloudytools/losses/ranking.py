"""Learning an order: which of two points is nearer, for pairs that are drawn anew in each step.

A truth of (N, H, W) is nearness or any rising function of it; NaN marks pixels without one. Pairs
are drawn from a generator handed in, so that a resumed run draws the same ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Generator, Tensor

_REACH_PX = 30.0  # farthest from an edge that a point of its pairs lies, at 448 px of width
_PAPER_WIDTH_PX = 448


class Pairs(NamedTuple):
    """Pairs of pixels of each picture, as indices into its flattened grid."""

    first: Tensor  # (N, K) int64
    second: Tensor  # (N, K) int64


def ranking(nearness: Tensor, truth: Tensor, pairs: Pairs, tolerance: float = 0.02) -> Tensor:
    """The mean of log(1 + exp(−ℓ (d_i − d_j))), or (d_i − d_j)² where the truth sees both as equal.

    Chen et al. 2016, "Single-Image Depth Perception in the Wild", as in Xian et al. 2018, eqs. 1
    and 2: ℓ is 1 where d*_i / d*_j > 1 + tolerance, −1 where its inverse is, else 0. With
    `tolerance` 0 the truth's order alone counts, whatever its scale.
    """
    i, j = (_at(nearness, index) for index in pairs)
    true_i, true_j = (_at(truth, index) for index in pairs)
    known = torch.isfinite(true_i) & torch.isfinite(true_j)
    order = torch.sign(true_i - true_j) * (_ratio(true_i, true_j) > 1 + tolerance)
    order = torch.where(known, order, 0.0)
    cost = torch.where(order == 0, (i - j).square(), F.softplus(-order * (i - j)))
    return (cost * known).sum() / known.sum().clamp(min=1)


def random_pairs(truth: Tensor, count: int, generator: Generator) -> Pairs:
    """`count` pairs of known pixels a picture, each as likely: Xian et al. 2018's online sampling.

    A picture without a known pixel gets pairs that have no truth, and so no effect.
    """
    known = torch.isfinite(truth).flatten(1).float()
    known = torch.where(known.sum(dim=1, keepdim=True) > 0, known, 1.0).cpu()
    drawn = torch.multinomial(known, 2 * count, replacement=True, generator=generator)
    drawn = drawn.to(truth.device)
    return Pairs(drawn[:, :count], drawn[:, count:])


def guided_pairs(picture: Tensor, count: int, generator: Generator) -> Pairs:
    """About `count` pairs a picture across its edges, where depth is most often wrong.

    Xian et al. 2020, "Structure-Guided Ranking Loss for Single Image Depth Prediction", alg. 1: an
    edge pixel is drawn by the strength of the Sobel gradient above a tenth of its maximum; four
    points a, b | c, d lie along the gradient on either side of it; the pairs are (a, b), (b, c) and
    (c, d). `picture` (N, 3, H, W).
    """
    height_px, width_px = picture.shape[-2:]
    slope_x, slope_y = _slopes(picture.mean(dim=1))
    strength = torch.hypot(slope_x, slope_y)
    anchors = _edge_pixels(strength, max(count // 3, 1), generator)  # (N, K)
    norm = _at(strength, anchors).clamp(min=1e-6)
    along_x, along_y = _at(slope_x, anchors) / norm, _at(slope_y, anchors) / norm
    offsets_px = _offsets(anchors.shape, width_px, generator).to(picture.device)  # (4, N, K)
    x = (anchors % width_px + offsets_px * along_x).round().clamp(0, width_px - 1)
    y = (anchors // width_px + offsets_px * along_y).round().clamp(0, height_px - 1)
    points = (y * width_px + x).long()
    return Pairs(torch.cat(tuple(points[:3]), dim=1), torch.cat(tuple(points[1:]), dim=1))


def joined(*drawn: Pairs) -> Pairs:
    """All pairs of several drawings."""
    first, second = zip(*drawn, strict=True)
    return Pairs(torch.cat(first, dim=1), torch.cat(second, dim=1))


def _at(values: Tensor, index: Tensor) -> Tensor:
    return values.flatten(1).gather(1, index)


def _ratio(one: Tensor, other: Tensor) -> Tensor:
    """The larger over the smaller; endless where the smaller is 0 and the larger is not."""
    larger, smaller = torch.maximum(one, other), torch.minimum(one, other)
    return torch.where(larger == smaller, 1.0, larger / smaller.clamp(min=1e-12))


def _slopes(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's gradient along x and y, (N, H, W)."""
    kernel = grey.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    padded = F.pad(grey[:, None], (1, 1, 1, 1), mode="replicate")
    slope_x, slope_y = F.conv2d(padded, torch.stack([kernel, kernel.T])[:, None]).unbind(dim=1)
    return slope_x, slope_y


def _edge_pixels(strength: Tensor, count: int, generator: Generator) -> Tensor:
    flat = strength.flatten(1)
    edges = torch.where(flat > 0.1 * flat.amax(dim=1, keepdim=True), flat, 0.0)
    edges = torch.where(edges.sum(dim=1, keepdim=True) > 0, edges, 1.0).cpu()
    drawn = torch.multinomial(edges, count, replacement=True, generator=generator)
    return drawn.to(strength.device)


def _offsets(shape: torch.Size, width_px: int, generator: Generator) -> Tensor:
    """Where a, b, c and d lie along the gradient: a < b < 0 < c < d, px, (4, N, K)."""
    reach_px = max(_REACH_PX * width_px / _PAPER_WIDTH_PX, 4.0)
    drawn = 1 + (reach_px - 1) * torch.rand((4, *shape), generator=generator)
    left, right = drawn[:2].sort(dim=0).values, drawn[2:].sort(dim=0).values
    return torch.stack([-left[1], -left[0], right[0], right[1]])
