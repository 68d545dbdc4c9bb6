"""What stands before a known background: a picture and the background in, mask and depth out.

One encoder sees both pictures and their difference; two U-Net outputs share it. The siamese idea is
that of change detection, Daudt et al. 2018, "Fully Convolutional Siamese Networks" (early fusion).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cloudytools.models.layers import Picture
from cloudytools.models.unet import UNet


class Foreground(NamedTuple):
    """What a two-input network says of each pixel, at the picture's resolution."""

    mask_logit: Tensor  # (N, H, W): above 0 it is foreground
    log_depth: Tensor  # (N, H, W), natural logarithm of metres


class TwoInputNet(nn.Module):
    """A U-Net over nine channels: picture, background, and how far they are apart."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.picture = Picture()
        self.unet = UNet(2, widths, inputs=9)
        with torch.no_grad():
            assert self.unet.head.bias is not None
            self.unet.head.bias[1] = math.log(3)  # an untrained network says three metres

    def forward(self, picture: Tensor, background: Tensor) -> Foreground:
        """Both as `Picture` takes them, of one size."""
        seen, empty = self.picture(picture), self.picture(background)
        outputs = self.unet.decoded(torch.cat([seen, empty, (seen - empty).abs()], dim=1))
        return Foreground(outputs[:, 0], outputs[:, 1])
