"""Small ONNX models whose output is known exactly: what the real ones are replaced by in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cloudypoints.inference.card import METADATA_KEY, ModelCard
from cloudypoints.messages import CATEGORY_NAMES

WIDTH, HEIGHT = 64, 48


def card_of(**changes: Any) -> ModelCard:
    """The card of `ground_model`, with some things said otherwise."""
    picture = {"width_px": WIDTH, "height_px": HEIGHT, "layout": "nhwc", "dtype": "uint8"}
    card = {
        "name": "ground",
        "depth": "metric",
        "unit": "m",
        "valid_range": (0.1, 100.0),
        "picture": picture | changes.pop("picture", {}),
        "geometry_input": "geometry",
        "labels_output": "labels",
        "labels": CATEGORY_NAMES,
        "relative_error": 0.1,
    }
    return ModelCard(**(card | changes))


def ground_model(card: ModelCard | None = None, *, delay: int = 0, batch: Any = "n") -> bytes:
    """Depth of the flat ground, out of the geometry input; the label is the red byte.

    So a picture can paint the categories that come out. `delay` adds that many needless
    convolutions, for tests that want a slow model.
    """
    card = card or card_of()
    width, height = card.picture.width_px, card.picture.height_px
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, height, width, 3]),
        helper.make_tensor_value_info("geometry", TensorProto.FLOAT, [batch, 3, height, width]),
    ]
    outputs = [
        helper.make_tensor_value_info("depth", TensorProto.FLOAT, [batch, height, width]),
        helper.make_tensor_value_info("labels", TensorProto.UINT8, [batch, height, width]),
    ]
    constants = {"two": np.int64(2), "zero": np.int64(0), "one": np.float32(1)}
    constants["tiny"] = np.float32(1e-6)
    nodes = [
        helper.make_node("Gather", ["geometry", "two"], ["ground"], axis=1),
        helper.make_node("Max", ["ground", "tiny"], ["positive"]),
        *_delays(delay, constants),
        helper.make_node("Div", ["one", "delayed"], ["depth"]),
        helper.make_node("Gather", ["image", "zero"], ["labels"], axis=3),
    ]
    initialisers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "ground", inputs, outputs, initialisers)
    return _with_card(graph, card)


def colour_model(*, width: int = 640, height: int = 480) -> bytes:
    """Depth = red byte / 4 metres, any picture, no labels, no geometry: depth painted by hand."""
    picture = {"width_px": width, "height_px": height, "layout": "nchw", "dtype": "float32"}
    card = ModelCard(
        name="colour", depth="metric", unit="m", valid_range=(0.1, 100), picture=picture
    )
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, height, width])]
    outputs = [helper.make_tensor_value_info("depth", TensorProto.FLOAT, ["n", height, width])]
    constants = {"zero": np.int64(0), "scale": np.float32(255 / 4)}
    nodes = [
        helper.make_node("Gather", ["image", "zero"], ["red"], axis=1),
        helper.make_node("Mul", ["red", "scale"], ["depth"]),
    ]
    initialisers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    return _with_card(helper.make_graph(nodes, "colour", inputs, outputs, initialisers), card)


def byte_model(**changes: Any) -> bytes:
    """Whatever the card names, made of bytes of the picture, so that pictures paint it by hand.

    Depth (in the card's unit) is the red byte, labels are the green one, and the mask is the
    distance of the red byte from that of the background.
    """
    card = card_of(**({"geometry_input": "", "labels_output": "", "labels": ()} | changes))
    height, width = card.picture.height_px, card.picture.width_px
    shape = ["n", height, width]
    names = [name for name in (card.picture.name, card.background_input) if name]
    inputs = [helper.make_tensor_value_info(n, TensorProto.UINT8, [*shape, 3]) for n in names]
    types = {"depth": TensorProto.FLOAT, "labels": TensorProto.UINT8, "mask": TensorProto.UINT8}
    outputs = [
        helper.make_tensor_value_info(name, types[what], shape)
        for what, name in card.outputs.items()
    ]
    made = {
        "depth": [_node("Cast", ["red"], "depth", to=TensorProto.FLOAT)],
        "labels": [_node("Gather", ["image", "one"], "labels", axis=3)],
        "mask": [
            _node("Gather", ["background", "zero"], "red_before", axis=3),
            _node("Max", ["red", "red_before"], "high"),
            _node("Min", ["red", "red_before"], "low"),
            _node("Sub", ["high", "low"], "mask"),
        ],
    }
    nodes = [_node("Gather", ["image", "zero"], "red", axis=3)]
    nodes += [node for what in card.outputs for node in made[what]]
    constants = {"zero": np.int64(0), "one": np.int64(1)}
    initialisers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    return _with_card(helper.make_graph(nodes, "bytes", inputs, outputs, initialisers), card)


# The families that a node runs besides the one with depth and labels, as changes of a card.
RELATIVE = {"name": "relative", "depth": "affine_inverse", "unit": "1", "valid_range": (0, 1e6)}
SEGMENTATION = {
    "name": "segmentation",
    "depth": "none",
    "unit": "",
    "depth_output": "",
    "labels_output": "labels",
    "labels": CATEGORY_NAMES,
}
TWO_INPUT = {"name": "two-input", "background_input": "background", "mask_output": "mask"}


def stripped(model: bytes) -> bytes:
    """The same file without its card."""
    proto = onnx.load_from_string(model)
    del proto.metadata_props[:]
    return proto.SerializeToString()


def saved(folder: Path, model: bytes, name: str = "model.onnx") -> str:
    """The path of the model, written to a file."""
    path = folder / name
    path.write_bytes(model)
    return str(path)


def _node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs, [output], **attributes)


def _delays(count: int, constants: dict[str, Any]) -> list[Any]:
    """Identity convolutions over the ground map, `count` of them, 32 channels wide."""
    if not count:
        return [helper.make_node("Identity", ["positive"], ["delayed"])]
    constants["axis"] = np.array([1], np.int64)
    constants["widen"] = np.ones((32, 1, 1, 1), np.float32)
    constants["narrow"] = np.full((1, 32, 1, 1), 1 / 32, np.float32)
    identity = np.zeros((32, 32, 3, 3), np.float32)
    identity[np.arange(32), np.arange(32), 1, 1] = 1
    constants["identity"] = identity
    nodes = [
        helper.make_node("Unsqueeze", ["positive", "axis"], ["flat"]),
        helper.make_node("Conv", ["flat", "widen"], ["c0"]),
    ]
    pads = [1, 1, 1, 1]
    nodes += [
        helper.make_node("Conv", [f"c{i}", "identity"], [f"c{i + 1}"], pads=pads)
        for i in range(count)
    ]
    return [
        *nodes,
        helper.make_node("Conv", [f"c{count}", "narrow"], ["narrowed"]),
        helper.make_node("Squeeze", ["narrowed", "axis"], ["delayed"]),
    ]


def _with_card(graph: Any, card: ModelCard) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    helper.set_model_props(model, {METADATA_KEY: card.dumps()})
    return model.SerializeToString()
