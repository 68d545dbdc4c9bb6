"""What the networks are built of: convolutions, residual blocks, normalised colour."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor, nn

Colours = tuple[float, float, float]  # of the 0 to 1 scale, RGB

IMAGENET_MEAN: Colours = (0.485, 0.456, 0.406)
IMAGENET_STD: Colours = (0.229, 0.224, 0.225)


class Picture(nn.Module):
    """A picture as a camera gives it, as about unit numbers that a network takes.

    uint8 (N, H, W, 3) RGB is normalised here; float32 (N, 3, H, W) was normalised before. So one
    network can be exported with and without its preprocessing.
    """

    _offset: Tensor
    _scale: Tensor

    def __init__(self, mean: Colours = IMAGENET_MEAN, std: Colours = IMAGENET_STD) -> None:
        super().__init__()
        self.mean, self.std = mean, std
        self.register_buffer("_offset", 255 * torch.tensor(mean), persistent=False)
        self.register_buffer("_scale", 1 / (255 * torch.tensor(std)), persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) float32."""
        if picture.dtype != torch.uint8:
            return picture
        return ((picture.float() - self._offset) * self._scale).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """Two convolutions and an additive shortcut, He et al. 2016."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.relu(x + self.second(self.first(x)))


def convolution(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """A convolution, batch norm and ReLU; the size is divided by the stride."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def residuals(width: int, count: int) -> nn.Sequential:
    """That many residual blocks, one after another."""
    return nn.Sequential(*(Residual(width) for _ in range(count)))


def doubled(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
