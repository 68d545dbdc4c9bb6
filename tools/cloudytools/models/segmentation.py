"""Categories of each pixel, from the plain U-Net to networks that others designed.

`unet` is ours. `deeplabv3plus` (Chen et al. 2018) and `segformer` (Xie et al. 2021) come from
segmentation-models-pytorch, with any of its encoders.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cloudypoints.errors import ConfigError, MissingExtra
from cloudypoints.messages import Category
from cloudytools.experiment import Architecture
from cloudytools.models.encoders import fetched
from cloudytools.models.layers import Picture
from cloudytools.models.unet import UNet


class SegmentationNet(nn.Module):
    """Pictures in, one score for each Category and pixel out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.picture = Picture()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        """Pictures as `Picture` takes them in, logits (N, 8, H, W) out."""
        logits: Tensor = self.network(self.picture(picture))
        return logits


def segmentation_net(
    architecture: Architecture, widths: tuple[int, ...], encoder: str, *, pretrained: bool
) -> SegmentationNet:
    """The network of that name: `widths` are the U-Net's, `encoder` is the others'.

    Raises ConfigError for an unknown encoder, ModelError where weights cannot be fetched.
    """
    if architecture == "unet":
        return SegmentationNet(UNet(len(Category), widths))
    return SegmentationNet(_of_others(architecture, encoder, "imagenet" if pretrained else None))


def _of_others(architecture: str, encoder: str, weights: str | None) -> nn.Module:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise MissingExtra(f"the architecture {architecture}", "train") from error
    kind: Any = {"deeplabv3plus": smp.DeepLabV3Plus, "segformer": smp.Segformer}[architecture]
    if encoder not in smp.encoders.encoders and not encoder.startswith("tu-"):
        raise ConfigError(
            f"encoder {encoder!r}: segmentation-models-pytorch knows none of this name; it knows "
            f"resnet18, mobilenet_v2, mit_b0, ... and timm's as tu-NAME"
        )
    network: nn.Module = fetched(
        f"{architecture} with {encoder}",
        lambda: kind(encoder_name=encoder, encoder_weights=weights, classes=len(Category)),
    )
    return network
