"""The networks as the node runs them: metres in their range, categories, masks as bytes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cloudytools.models.relative import RelativeNet
from cloudytools.models.segmentation import SegmentationNet
from cloudytools.models.street import StreetNet
from cloudytools.models.two_input import TwoInputNet
from cloudytools.models.unet import UNet

Range = tuple[float, float]  # metres


class ShippedStreet(nn.Module):
    """A `StreetNet`: metres in the valid range, the likeliest category."""

    def __init__(self, network: StreetNet, valid_range_m: Range) -> None:
        super().__init__()
        self.network = network
        self.valid_range_m = valid_range_m

    def forward(self, image: Tensor, geometry: Tensor) -> tuple[Tensor, Tensor]:
        """Depth (N, H, W) float32 in metres, labels (N, H, W) uint8."""
        log_depth, logits = self.network(image, geometry)
        return _metres(log_depth, self.valid_range_m), _likeliest(logits)


class ShippedDepth(nn.Module):
    """A `UNet` of one output, the logarithm of metres."""

    def __init__(self, network: UNet, valid_range_m: Range) -> None:
        super().__init__()
        self.network = network
        self.valid_range_m = valid_range_m

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Depth (N, H, W) float32 in metres."""
        return (_metres(self.network(image)[:, 0], self.valid_range_m),)


class ShippedRelative(nn.Module):
    """A `RelativeNet`: affine inverse depth, as it comes."""

    def __init__(self, network: RelativeNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Nearness (N, H, W) float32, without a unit, never negative."""
        return (self.network(image),)


class ShippedSegmentation(nn.Module):
    """A `SegmentationNet`: the likeliest category."""

    def __init__(self, network: SegmentationNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Labels (N, H, W) uint8."""
        return (_likeliest(self.network(image)),)


class ShippedTwoInput(nn.Module):
    """A `TwoInputNet`: metres in the valid range, and how sure each pixel is foreground."""

    def __init__(self, network: TwoInputNet, valid_range_m: Range) -> None:
        super().__init__()
        self.network = network
        self.valid_range_m = valid_range_m

    def forward(self, image: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
        """Depth (N, H, W) float32 in metres; mask (N, H, W) uint8, 255 × the foreground's share."""
        mask_logit, log_depth = self.network(image, background)
        mask = (255 * mask_logit.sigmoid()).round().to(torch.uint8)
        return _metres(log_depth, self.valid_range_m), mask


def _metres(log_depth: Tensor, valid_range_m: Range) -> Tensor:
    return log_depth.exp().clamp(*valid_range_m)


def _likeliest(logits: Tensor) -> Tensor:
    return logits.argmax(dim=1).to(torch.uint8)
