"""Weights into a file that the node runs: `python -m cloudytools.export RUN --out FILE`.

The file carries its model card, and onnxruntime's answer is compared with torch's on the same input
before anything is written. Pictures go in as bytes and are normalised inside the graph, or
(`--preprocessing node`) as normalised numbers, which the node then prepares as the card says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cloudypoints.errors import ModelError
from cloudypoints.inference.card import METADATA_KEY, ModelCard
from cloudytools.checkpoint import Checkpoint, Record
from cloudytools.tasks import Task

MAX_DEPTH_DIFFERENCE = 1e-3  # relative, anywhere in the picture
MAX_LABEL_DIFFERENCE = 1e-3  # share of pixels: two scores may be equal but for rounding
MAX_MASK_DIFFERENCE = 2  # of 255
Preprocessing = Literal["graph", "node"]
OPSET = 18


def export(
    task: Task, card: ModelCard, out: Path, *, preprocessing: Preprocessing = "graph"
) -> ModelCard:
    """Write a family's network with `card` to `out`; the card as written, with the differences.

    Raises ModelError when onnxruntime disagrees with torch or the file cannot be written.
    """
    shipped = task.shipped().eval()
    if preprocessing == "node":
        card = _numbers_in(card, task.network.picture)
    inputs = _noise(card)
    program = _onnx_of(shipped, inputs, card)
    scores = card.scores | differences(program.SerializeToString(), shipped, card, inputs)
    final = card.model_copy(update={"scores": scores})
    write(program, final, out)
    return final


def write(program: onnx.ModelProto, card: ModelCard, out: Path) -> None:
    """A graph and its card as one file. Raises ModelError where it cannot be written."""
    del program.metadata_props[:]
    program.metadata_props.add(key=METADATA_KEY, value=card.dumps())
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(program.SerializeToString())
    except OSError as error:
        raise ModelError(f"{out}: cannot be written: {error.strerror}") from error


def differences(
    content: bytes, shipped: nn.Module, card: ModelCard, inputs: tuple[Tensor, ...]
) -> dict[str, float]:
    """How far onnxruntime is from torch. Raises ModelError beyond the bounds."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    feeds = dict(zip(_inputs(card), (tensor.numpy() for tensor in inputs), strict=True))
    found = session.run(list(card.outputs.values()), feeds)
    with torch.no_grad():
        wanted = [tensor.numpy() for tensor in shipped(*inputs)]
    pairs = zip(card.outputs, found, wanted, strict=True)
    scores = {f"onnx_{what}_difference": _difference(what, *pair) for what, *pair in pairs}
    for what, bound in _BOUNDS.items():
        difference = scores.get(f"onnx_{what}_difference", 0.0)
        if not difference <= bound:
            raise ModelError(
                f"onnxruntime and torch disagree: {what} by {difference:.2g} (bound {bound:g})"
            )
    return scores


_BOUNDS = {
    "depth": MAX_DEPTH_DIFFERENCE,
    "labels": MAX_LABEL_DIFFERENCE,
    "mask": MAX_MASK_DIFFERENCE,
}


def _difference(what: str, found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Depth: largest relative one; labels: share of pixels; mask: largest, of 255."""
    if what == "labels":
        return float(np.mean(found != wanted))
    apart = np.abs(found.astype(np.float64) - wanted)
    if what == "mask":
        return float(apart.max())
    floor = 1e-3 * np.abs(wanted).max()  # relative depth may be nought
    return float(np.max(apart / np.maximum(np.abs(wanted), floor)))


def card_of(task: Task, record: Record, evaluation: Path | None = None) -> ModelCard:
    """The card of a trained network, with the scores of its run and of an evaluation."""
    experiment = record.experiment
    scores = dict(record.scores)
    relative_error = scores.get("validation_abs_rel", 0.0)
    if evaluation is not None:
        measured = json.loads(evaluation.read_text(encoding="utf-8"))["model"]
        scores |= {f"lidar_{name}": value for name, value in measured.items()}
        relative_error = measured["abs_rel"]
    sees_no_camera = experiment.task.family in ("depth", "two_input")
    return task.card(experiment.stages[-1]).model_copy(
        update={
            "scores": scores,
            "relative_error": relative_error,
            "assumed_focal_px": record.focal_px if sees_no_camera else 0.0,
            "trained_on": _trained_on(record),
            "seen": experiment.real,
        }
    )


def main(
    source: Path,
    out: Path,
    evaluation: Path | None = None,
    *,
    preprocessing: Preprocessing = "graph",
) -> ModelCard:
    """Export a run's or checkpoint's averaged weights, with its own and an evaluation's scores."""
    checkpoint = Checkpoint.load(source)
    task = checkpoint.task()
    card = card_of(task, checkpoint.record, evaluation)
    return export(task, card, out, preprocessing=preprocessing)


def _trained_on(record: Record) -> str:
    kind = record.experiment.data.kind
    named = "cloudytools.scenes" if kind == "streets" else kind
    begun = getattr(record.experiment.task, "pretrained", False)
    encoder = "and its encoder on ImageNet" if begun else "nothing else"
    data = record.experiment.data
    share = f"{data.unlabelled_share:.0%} of them real and unlabelled" if data.unlabelled else ""
    about = ", ".join(filter(None, (f"fingerprint {record.data_fingerprint}", share)))
    adapt, real = record.experiment.adapt, ", ".join(record.experiment.real)
    moved = f"; statistics {adapt.share:.0%} of the way to those of {real}" if adapt else ""
    return f"{record.pictures} pictures of {named} ({about}), {encoder}{moved}"


def _numbers_in(card: ModelCard, picture: Any) -> ModelCard:
    """The same card for pictures that come normalised, channels first."""
    changes = {"layout": "nchw", "dtype": "float32", "mean": picture.mean, "std": picture.std}
    return card.model_copy(update={"picture": card.picture.model_copy(update=changes)})


def _inputs(card: ModelCard) -> list[str]:
    """Names of what goes in, in the order that the networks take it."""
    return [n for n in (card.picture.name, card.geometry_input, card.background_input) if n]


def _onnx_of(shipped: nn.Module, inputs: tuple[Tensor, ...], card: ModelCard) -> onnx.ModelProto:
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        shipped,
        inputs,
        input_names=_inputs(card),
        output_names=list(card.outputs.values()),
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=tuple({0: batch} for _ in inputs),
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _noise(card: ModelCard) -> tuple[Tensor, ...]:
    """Two of everything that goes in, noise: every weight takes part."""
    generator = torch.Generator().manual_seed(0)
    height_px, width_px = card.picture.height_px, card.picture.width_px

    def picture() -> Tensor:
        if card.picture.dtype == "float32":
            return torch.randn((2, 3, height_px, width_px), generator=generator)
        shape = (2, height_px, width_px, 3)
        return torch.randint(0, 256, shape, generator=generator).to(torch.uint8)

    inputs = [picture()]
    if card.geometry_input:
        inputs.append(torch.rand((2, 3, height_px, width_px), generator=generator))
    if card.background_input:
        inputs.append(picture())
    return tuple(inputs)
