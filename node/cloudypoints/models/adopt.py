"""Adoption: a copy of somebody's ONNX file that says what its numbers mean.

The weights stay as they are. Where a network ends in the scores of classes (logits), the likeliest
class of each pixel is appended, at the picture's size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloudypoints.errors import MissingExtra, ModelError
from cloudypoints.formats import write_whole
from cloudypoints.inference.card import METADATA_KEY, ModelCard
from cloudypoints.models.presets import Preset, Size

_LABELS = "labels"  # what the appended output is called
_LEAST_OPSET = 13
_ONNX_FAULTS = (ValueError, OSError, KeyError)


def adopt(source: Path, out: Path, preset: Preset, size_px: Size | None = None) -> ModelCard:
    """Write a copy of `source` with the preset's card to `out`; the card.

    `size_px` (width, height) is the grid to run at, for files that leave it open; their own or the
    preset's without it. Raises ModelError where the file cannot be what the preset says.
    """
    onnx = _onnx()
    proto = _loaded(onnx, source)
    inputs = _open_inputs(proto)
    picture = _one_of(inputs, preset.picture_input, "input", str(source))
    size_px = _size(inputs[picture], preset, size_px, str(source))
    outputs = {output.name: output for output in proto.graph.output}
    depth = ""
    if preset.depth_output:
        depth = _one_of(outputs, preset.depth_output, "output", str(source))
    if preset.logits_output:
        logits = _one_of(outputs, preset.logits_output, "output", str(source))
        _append_labels(onnx, proto, logits, preset.logits_step_px)
    card = preset.card(size_px, picture, depth)
    _write(onnx, proto, card, out)
    return card


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("adopting models", "zoo") from error
    return onnx


def _loaded(onnx: Any, source: Path) -> Any:
    """The file with its weights, those beside it included."""
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load(source)
    except (DecodeError, onnx.checker.ValidationError, *_ONNX_FAULTS) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{source}: cannot be read as ONNX: {reason[0]:.200}") from error
    if not proto.graph.output:
        raise ModelError(f"{source}: cannot be read as ONNX: it has no outputs")
    return proto


def _open_inputs(proto: Any) -> dict[str, Any]:
    """What must be fed: old files list their weights among the inputs."""
    weights = {weight.name for weight in proto.graph.initializer}
    return {value.name: value for value in proto.graph.input if value.name not in weights}


def _one_of(there: dict[str, Any], wanted: str, what: str, where: str) -> str:
    """The name that the preset says, or the only one there is."""
    if wanted in there:
        return wanted
    if len(there) == 1:
        return next(iter(there))
    raise ModelError(f"{where}: no {what} {wanted!r}; it has {', '.join(sorted(there))}")


def _size(picture: Any, preset: Preset, asked_px: Size | None, where: str) -> Size:
    """The grid's width and height: the file's where it fixes them, else as asked."""
    dimensions = [d.dim_value for d in picture.type.tensor_type.shape.dim]
    if len(dimensions) != 4 or dimensions[1] not in (0, 3):
        raise ModelError(
            f"{where}: input {picture.name!r} has the shape {dimensions}; "
            f"expected (N, 3, height, width)"
        )
    fixed_px = (dimensions[3], dimensions[2])
    asked_px = asked_px or preset.size_px
    size_px = (fixed_px[0] or asked_px[0], fixed_px[1] or asked_px[1])
    if asked_px not in (size_px, preset.size_px):
        raise ModelError(f"{where}: takes {_told(size_px)} alone, not {_told(asked_px)}")
    if not all(fixed_px) and any(length % preset.step_px for length in size_px):
        raise ModelError(
            f"{where}: {_told(size_px)}: {preset.name} takes widths and heights in steps of "
            f"{preset.step_px} px"
        )
    return size_px


def _told(size_px: Size) -> str:
    return f"{size_px[0]}×{size_px[1]} px"


def _append_labels(onnx: Any, proto: Any, logits: str, step_px: int) -> None:
    """The likeliest class of each pixel, uint8 (N, H, W), as the file's one output."""
    helper, tensor = onnx.helper, onnx.TensorProto
    domains = {opset.domain: opset.version for opset in proto.opset_import}
    version = domains.get("", domains.get("ai.onnx", 0))
    if version < _LEAST_OPSET:
        raise ModelError(f"opset {version}; labels can be appended from {_LEAST_OPSET} on")
    scales = helper.make_tensor("zoo_scales", tensor.FLOAT, [4], [1, 1, step_px, step_px])
    proto.graph.initializer.append(scales)
    proto.graph.node.extend(
        [
            helper.make_node("Resize", [logits, "", "zoo_scales"], ["zoo_logits"], mode="linear"),
            helper.make_node("ArgMax", ["zoo_logits"], ["zoo_class"], axis=1, keepdims=0),
            helper.make_node("Cast", ["zoo_class"], [_LABELS], to=tensor.UINT8),
        ]
    )
    del proto.graph.output[:]
    labels = helper.make_tensor_value_info(_LABELS, tensor.UINT8, ["n", "height", "width"])
    proto.graph.output.append(labels)


def _write(onnx: Any, proto: Any, card: ModelCard, out: Path) -> None:
    kept = [(p.key, p.value) for p in proto.metadata_props if p.key != METADATA_KEY]
    onnx.helper.set_model_props(proto, dict(kept) | {METADATA_KEY: card.dumps()})
    try:
        content: bytes = proto.SerializeToString()
    except ValueError as error:
        raise ModelError(f"{out}: over 2 GB, which one ONNX file cannot hold") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, content)
