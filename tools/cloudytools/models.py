"""The networks that the workshop trains, and the shape in which each one ships.

A network takes pictures as a camera gives them, uint8 RGB (N, H, W, 3), and the geometry of each
pixel, float32 (N, 3, H, W): ray x / z, ray y / z and 1 / depth of the flat ground (1/m). Height and
width are multiples of 32.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor, nn

from cloudypoints.messages import Category

STRIDE_PX = 32  # the coarsest grid; picture sides must be multiples of it
_BYTE_MEAN, _BYTE_STD = 115.0, 64.0


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
        self.stem = nn.Sequential(
            _convolution(6, widths[0] // 2, stride=2),
            _convolution(widths[0] // 2, widths[0], stride=2),
        )
        self.encoder = nn.ModuleList(
            [_residuals(widths[0], blocks[0])]
            + [
                nn.Sequential(
                    _convolution(widths[level - 1], widths[level], stride=2),
                    _residuals(widths[level], blocks[level]),
                )
                for level in (1, 2, 3)
            ]
        )
        self.lateral = nn.ModuleList(
            _convolution(widths[level + 1], widths[level], size=1) for level in range(3)
        )
        self.decoder = nn.ModuleList(_convolution(width, width) for width in widths[:3])
        outputs = 4 * (1 + len(Category))
        last = nn.Conv2d(widths[0], outputs, 1)
        self.head = nn.Sequential(_convolution(widths[0], widths[0]), last, nn.PixelShuffle(2))
        with torch.no_grad():
            assert last.bias is not None
            last.bias[:4] = math.log(10)  # an untrained network says ten metres

    def forward(self, picture: Tensor, geometry: Tensor) -> Prediction:
        """Pictures (N, H, W, 3) uint8 and geometry (N, 3, H, W) in, `Prediction` at (H, W) out."""
        features = [self.stem(_normalised(picture, geometry))]
        for level in self.encoder:
            features.append(level(features[-1]))
        coarse = features[-1]
        for step in (2, 1, 0):
            up = F.interpolate(self.lateral[step](coarse), scale_factor=2.0, mode="nearest")
            coarse = self.decoder[step](up + features[step + 1])
        full = F.interpolate(
            self.head(coarse), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return Prediction(full[:, 0], full[:, 1:])


class ShippedStreet(nn.Module):
    """A `StreetNet` as the node runs it: metres in the valid range, the likeliest category."""

    def __init__(self, network: StreetNet, valid_range_m: tuple[float, float]) -> None:
        super().__init__()
        self.network = network
        self.valid_range_m = valid_range_m

    def forward(self, image: Tensor, geometry: Tensor) -> tuple[Tensor, Tensor]:
        """Depth (N, H, W) float32 in metres, labels (N, H, W) uint8."""
        log_depth, logits = self.network(image, geometry)
        depth_m = log_depth.exp().clamp(*self.valid_range_m)
        return depth_m, logits.argmax(dim=1).to(torch.uint8)


class _Residual(nn.Module):
    """Two convolutions and an additive shortcut, He et al. 2016."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


def _convolution(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _residuals(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(count)))


def _normalised(picture: Tensor, geometry: Tensor) -> Tensor:
    """Six channels of about unit size, (N, 6, H, W); the ground scaled much as log depth."""
    colour = (picture.permute(0, 3, 1, 2).float() - _BYTE_MEAN) / _BYTE_STD
    ground = torch.log1p(100 * geometry[:, 2:]) / 4  # 0 at the horizon, 0.6 at 10 m, 1 at 2 m
    return torch.cat([colour, geometry[:, :2], ground], dim=1)
