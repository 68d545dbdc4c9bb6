"""The networks that the workshop trains, and the shape in which each one ships.

All take pictures as `Picture` does: uint8 RGB (N, H, W, 3) as a camera gives them, or normalised
float32 (N, 3, H, W). Height and width are multiples of 32.
"""

from cloudytools.models.layers import Picture
from cloudytools.models.relative import RelativeNet
from cloudytools.models.segmentation import SegmentationNet, segmentation_net
from cloudytools.models.shipped import (
    ShippedDepth,
    ShippedRelative,
    ShippedSegmentation,
    ShippedStreet,
    ShippedTwoInput,
)
from cloudytools.models.street import Prediction, StreetNet
from cloudytools.models.two_input import Foreground, TwoInputNet
from cloudytools.models.unet import UNet

__all__ = [
    "Foreground",
    "Picture",
    "Prediction",
    "RelativeNet",
    "SegmentationNet",
    "ShippedDepth",
    "ShippedRelative",
    "ShippedSegmentation",
    "ShippedStreet",
    "ShippedTwoInput",
    "StreetNet",
    "TwoInputNet",
    "UNet",
    "segmentation_net",
]
