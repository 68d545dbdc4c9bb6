"""The U-Net with residual downscale blocks, from which the project's depth models grew.

Ronneberger et al. 2015, "U-Net"; the shortcuts after He et al. 2016. Picture sides are multiples of
2 to the number of downscale blocks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cloudytools.models.layers import Picture, doubled

_SLOPE = 0.2  # of the leaky ReLU below 0


class UNet(nn.Module):
    """Pictures in, `outputs` numbers for each pixel out."""

    def __init__(self, outputs: int, widths: Sequence[int], inputs: int = 3) -> None:
        """`widths`: channels of each downscale block and, last, of the bottleneck."""
        super().__init__()
        *scales, deepest = widths
        self.picture = Picture()
        self.down = nn.ModuleList(
            Downscale(before, width) for before, width in itertools.pairwise([inputs, *scales])
        )
        self.bottleneck = nn.Sequential(_block(scales[-1], deepest), _block(deepest, deepest))
        self.up = nn.ModuleList(
            Upscale(before, width)
            for before, width in itertools.pairwise([deepest, *reversed(scales)])
        )
        self.head = nn.Conv2d(scales[0], outputs, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Pictures as `Picture` takes them in, (N, outputs, H, W) out."""
        return self.decoded(self.picture(picture))

    def decoded(self, x: Tensor) -> Tensor:
        """The same for what is normalised already, (N, inputs, H, W)."""
        skips = []
        for down in self.down:
            skip, x = down(x)
            skips.append(skip)
        x = self.bottleneck(x)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
        mapped: Tensor = self.head(x)
        return mapped


class Downscale(nn.Module):
    """Two convolutions with an additive shortcut, then the largest of each 2×2 pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _block(inputs, outputs)
        self.second = _block(outputs, outputs)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the upscale block of this size takes (N, C, H, W), and half the size of it."""
        first = self.first(x)
        kept = first + self.second(first)
        return kept, self.pool(kept)


class Upscale(nn.Module):
    """Twice the size, the downscale block's features beside it, two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_block(inputs + outputs, outputs), _block(outputs, outputs))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, C, H, W) from (N, 2 C, H / 2, W / 2) and a skip of (N, C, H, W)."""
        mixed: Tensor = self.blocks(torch.cat([doubled(x), skip], dim=1))
        return mixed


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )
