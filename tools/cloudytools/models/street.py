"""The embedded model's network: metric depth and categories of streets, small enough for a CPU.

It takes pictures and the geometry of each pixel, float32 (N, 3, H, W): ray x / z, ray y / z and
1 / depth of the flat ground (1/m).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor, nn

from cloudypoints.messages import Category
from cloudytools.models.layers import Picture, convolution, doubled, residuals

_BYTE_MEAN, _BYTE_STD = 115 / 255, 64 / 255


class Prediction(NamedTuple):
    """What a street network says of each pixel, at the picture's resolution."""

    log_depth: Tensor  # (N, H, W), natural logarithm of metres
    logits: Tensor  # (N, 8, H, W), one score for each Category


class StreetNet(nn.Module):
    """Metric depth and categories from one encoder and one decoder.

    Metres come from two cues that the geometry carries: the rays say how many pixels a metre spans
    at each depth, the ground channel says how far the road is where things stand on it. Residual
    blocks of plain 3×3 convolutions at 1/4 to 1/32 of the resolution, additive skips on the way
    back up to 1/4, and a head that writes a 2×2 patch of 1/2 resolution for each pixel there.
    """

    def __init__(
        self, widths: tuple[int, int, int, int], blocks: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        self.picture = Picture((_BYTE_MEAN,) * 3, (_BYTE_STD,) * 3)
        self.stem = nn.Sequential(
            convolution(6, widths[0] // 2, stride=2),
            convolution(widths[0] // 2, widths[0], stride=2),
        )
        self.encoder = nn.ModuleList(
            [residuals(widths[0], blocks[0])]
            + [
                nn.Sequential(
                    convolution(widths[level - 1], widths[level], stride=2),
                    residuals(widths[level], blocks[level]),
                )
                for level in (1, 2, 3)
            ]
        )
        self.lateral = nn.ModuleList(
            convolution(widths[level + 1], widths[level], size=1) for level in range(3)
        )
        self.decoder = nn.ModuleList(convolution(width, width) for width in widths[:3])
        outputs = 4 * (1 + len(Category))
        last = nn.Conv2d(widths[0], outputs, 1)
        self.head = nn.Sequential(convolution(widths[0], widths[0]), last, nn.PixelShuffle(2))
        with torch.no_grad():
            assert last.bias is not None
            last.bias[:4] = math.log(10)  # an untrained network says ten metres

    @property
    def last(self) -> nn.Module:
        """The layer that writes log depth and scores: four values of each for a pixel of 1/4."""
        return self.head[1]

    def forward(self, picture: Tensor, geometry: Tensor) -> Prediction:
        """Pictures as `Picture` takes them and geometry in, `Prediction` at (H, W) out."""
        ground = torch.log1p(100 * geometry[:, 2:]) / 4  # 0 at the horizon, 0.6 at 10 m, 1 at 2 m
        inputs = torch.cat([self.picture(picture), geometry[:, :2], ground], dim=1)
        features = [self.stem(inputs)]
        for level in self.encoder:
            features.append(level(features[-1]))
        coarse = features[-1]
        for step in (2, 1, 0):
            up = F.interpolate(self.lateral[step](coarse), scale_factor=2.0, mode="nearest")
            coarse = self.decoder[step](up + features[step + 1])
        full = doubled(self.head(coarse))
        return Prediction(full[:, 0], full[:, 1:])
