"""Relative depth: which of two points is nearer, from a ResNet and multi-scale feature fusion.

Xian et al. 2018, "Monocular Relative Depth Perception with Web Stereo Data Supervision" (ReDWeb):
the encoder's four scales are brought to one width and fused from coarse to fine, each time through
residual convolution blocks; an adaptive output head writes one number a pixel, larger when nearer.
Picture sides are multiples of 32.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name torch's own documentation gives it
from torch import Tensor, nn

from cloudytools.models.encoders import features_of
from cloudytools.models.layers import Picture, doubled

_SCALES = (4, 8, 16, 32)


class RelativeNet(nn.Module):
    """Pictures in, nearness (affine inverse depth) out."""

    def __init__(self, encoder: str = "resnet50", width: int = 256, *, pretrained: bool) -> None:
        super().__init__()
        self.picture = Picture()
        self.encoder = features_of(encoder, pretrained=pretrained)
        found = self.encoder.feature_info
        self._taken = [found.reduction().index(scale) for scale in _SCALES]
        channels = [found.channels()[level] for level in self._taken]
        self.narrow = nn.ModuleList(
            nn.Conv2d(count, width, 3, padding=1, bias=False) for count in channels
        )
        self.deepest = _ResidualConvolution(width)
        self.fuse = nn.ModuleList(Fusion(width) for _ in _SCALES[:-1])
        self.head = nn.Sequential(
            nn.Conv2d(width, width // 2, 3, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, 1, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Pictures as `Picture` takes them in, (N, H, W) ≥ 0 out: larger is nearer, no unit."""
        features = self.encoder(self.picture(picture))
        taken = [narrow(features[i]) for i, narrow in zip(self._taken, self.narrow, strict=True)]
        fused = doubled(self.deepest(taken[3]))
        for level in (2, 1, 0):
            fused = self.fuse[level](fused, taken[level])
        return F.softplus(self.head(fused)[:, 0])


class Fusion(nn.Module):
    """The finer features refined and added, mixed, twice the size: one step of the way up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.refined = _ResidualConvolution(width)
        self.mixed = _ResidualConvolution(width)

    def forward(self, coarse: Tensor, features: Tensor) -> Tensor:
        """(N, C, 2 H, 2 W) from twice (N, C, H, W)."""
        return doubled(self.mixed(coarse + self.refined(features)))


class _ResidualConvolution(nn.Module):
    """ReLU, convolution, batch norm, ReLU, convolution and the shortcut (the paper's fig. 3c)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.change(x)
        return x + change
