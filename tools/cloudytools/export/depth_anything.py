"""The real architecture of Depth Anything V2 small as an ONNX file, its weights random.

    python -m cloudytools.export.depth_anything anything.onnx --size 392x252
    cloudypoints models adopt anything.onnx depth-anything-v2-small-hf

For what does not depend on the weights: whether the node runs such a network, and how fast.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from cloudytools.export import OPSET

PATCH_PX = 14
_WIDTH, _HEADS, _LAYERS = 384, 6, 12  # of ViT-S
_LOUDER = 100.0
_STAGES = (3, 6, 9, 12)  # layers that the head takes


class _Depth(nn.Module):
    """The map alone, (N, H, W)."""

    def __init__(self, network: DepthAnythingForDepthEstimation) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: Tensor) -> Tensor:
        depth: Tensor = self.network(pixel_values).predicted_depth
        return depth


def network(seed: int = 0) -> nn.Module:
    """24.8 million random weights, the same for the same seed."""
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "hidden_size": _WIDTH,
        "num_attention_heads": _HEADS,
        "num_hidden_layers": _LAYERS,
        "image_size": 518,
        "patch_size": PATCH_PX,
        "out_indices": list(_STAGES),
        "apply_layernorm": True,
        "reshape_hidden_states": False,
    }
    backbone = Dinov2Config(**shape)
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=_WIDTH,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
    )
    model = DepthAnythingForDepthEstimation(config)
    # The map ends in a ReLU, which would leave little of what random weights say.
    last: Any = model.head.conv3
    with torch.no_grad():
        last.weight *= _LOUDER
        last.bias += 1
    return _Depth(model).eval()


def export(out: Path, width_px: int, height_px: int, seed: int = 0) -> None:
    """Write it for pictures of this size, any number at once. Raises ValueError for odd sizes."""
    if width_px % PATCH_PX or height_px % PATCH_PX:
        raise ValueError(f"{width_px}×{height_px}: must be multiples of {PATCH_PX}")
    picture = torch.zeros(2, 3, height_px, width_px)
    program = torch.onnx.export(
        network(seed),
        (picture,),
        input_names=["pixel_values"],
        output_names=["predicted_depth"],
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
        verbose=False,
    )
    assert program is not None
    out.write_bytes(program.model_proto.SerializeToString())


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.export.depth_anything",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="518x518", metavar="WxH", help="(default: %(default)s)")
    chosen = parser.parse_args(arguments)
    size = re.fullmatch(r"(\d+)x(\d+)", chosen.size)
    if size is None:
        parser.error(f"--size {chosen.size}: expected WIDTHxHEIGHT")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        export(chosen.out, int(size[1]), int(size[2]))
    except ValueError as error:
        parser.error(str(error))
    print(f"{chosen.out}: {chosen.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
