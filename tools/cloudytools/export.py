"""Weights into a file that the node runs: `python -m cloudytools.export RUN --out FILE`.

The file carries its model card, and onnxruntime's answer is compared with torch's on the same input
before anything is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from cloudypoints.errors import CloudyPointsError, ModelError
from cloudypoints.inference.card import METADATA_KEY, ModelCard, PictureInput
from cloudypoints.messages import CATEGORY_NAMES
from cloudytools.checkpoint import Checkpoint
from cloudytools.experiment import Stage
from cloudytools.models import ShippedStreet, StreetNet

MAX_BYTES = 10_000_000
MAX_DEPTH_DIFFERENCE = 1e-3  # relative, anywhere in the picture
MAX_LABEL_DIFFERENCE = 1e-3  # share of pixels: two scores may be equal but for rounding
_OPSET = 18


def export(network: StreetNet, card: ModelCard, out: Path) -> ModelCard:
    """Write `network` with `card` to `out`; the card as written, with the measured difference.

    Raises ModelError when the file would be too large or onnxruntime disagrees with torch.
    """
    shipped = ShippedStreet(network, card.valid_range).eval()
    inputs = _noise(card.picture.height_px, card.picture.width_px)
    program = _onnx_of(shipped, inputs, card)
    scores = card.scores | differences(program.SerializeToString(), shipped, inputs)
    final = card.model_copy(update={"scores": scores})
    program.metadata_props.add(key=METADATA_KEY, value=final.dumps())
    content = program.SerializeToString()
    if len(content) > MAX_BYTES:
        raise ModelError(
            f"{out}: {len(content):,} bytes; the embedded model may have {MAX_BYTES:,}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    return final


def differences(
    content: bytes, shipped: ShippedStreet, inputs: tuple[Tensor, Tensor]
) -> dict[str, float]:
    """How far onnxruntime is from torch. Raises ModelError beyond the bounds."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    image, geometry = (tensor.numpy() for tensor in inputs)
    depth_m, labels = session.run(["depth", "labels"], {"image": image, "geometry": geometry})
    with torch.no_grad():
        wanted_m, wanted_labels = (tensor.numpy() for tensor in shipped(*inputs))
    depth_difference = float(np.max(np.abs(depth_m - wanted_m) / wanted_m))
    label_difference = float(np.mean(labels != wanted_labels))
    if not (depth_difference <= MAX_DEPTH_DIFFERENCE and label_difference <= MAX_LABEL_DIFFERENCE):
        raise ModelError(
            f"onnxruntime and torch disagree: depth by {depth_difference:.2g} (bound "
            f"{MAX_DEPTH_DIFFERENCE}), labels at {label_difference:.2%} of the pixels"
        )
    return {
        "onnx_depth_difference": depth_difference,
        "onnx_label_difference": label_difference,
    }


def street_card(size: Stage, valid_range_m: tuple[float, float]) -> ModelCard:
    """The card of a street network for pictures of this size, before anything was measured."""
    return ModelCard(
        name="street",
        depth="metric",
        unit="m",
        valid_range=valid_range_m,
        picture=PictureInput(
            width_px=size.width_px, height_px=size.height_px, layout="nhwc", dtype="uint8"
        ),
        geometry_input="geometry",
        labels_output="labels",
        labels=CATEGORY_NAMES,
        licence="MIT",
        trained_on="nothing: untrained weights",
    )


def main(source: Path, out: Path, evaluation: Path | None = None) -> ModelCard:
    """Export a run's or checkpoint's averaged weights, with its own and an evaluation's scores."""
    checkpoint = Checkpoint.load(source)
    size = checkpoint.record.experiment.stages[-1]
    card = street_card(size, checkpoint.record.experiment.valid_range_m)
    scores = dict(checkpoint.record.scores)
    relative_error = scores.get("validation_abs_rel", 0.0)
    if evaluation is not None:
        measured = json.loads(evaluation.read_text(encoding="utf-8"))["model"]
        scores |= {f"lidar_{name}": value for name, value in measured.items()}
        relative_error = measured["abs_rel"]
    card = card.model_copy(
        update={
            "scores": scores,
            "relative_error": relative_error,
            "trained_on": f"{checkpoint.record.pictures} pictures of cloudytools.scenes "
            f"(fingerprint {checkpoint.record.data_fingerprint}), nothing else",
        }
    )
    return export(checkpoint.network(), card, out)


def _onnx_of(
    shipped: ShippedStreet, inputs: tuple[Tensor, Tensor], card: ModelCard
) -> onnx.ModelProto:
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        shipped,
        inputs,
        input_names=[card.picture.name, card.geometry_input],
        output_names=[card.depth_output, card.labels_output],
        opset_version=_OPSET,
        dynamo=True,
        dynamic_shapes={"image": {0: batch}, "geometry": {0: batch}},
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _noise(height_px: int, width_px: int) -> tuple[Tensor, Tensor]:
    """Two pictures and geometries of noise: every weight takes part."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, height_px, width_px, 3), generator=generator)
    geometry = torch.rand((2, 3, height_px, width_px), generator=generator)
    return image.to(torch.uint8), geometry


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cloudytools.export", description=__doc__)
    parser.add_argument("source", type=Path, help="a run's folder, or one of its checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--evaluation", type=Path, help="JSON of `cloudytools.evaluate lidar`: goes into the card"
    )
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    try:
        written = main(arguments.source, arguments.out, arguments.evaluation)
    except CloudyPointsError as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes, {written.scores}")
