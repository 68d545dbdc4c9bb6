"""ONNX models made for measuring: the node's work around them is real, theirs is as long as asked.

Depth is that of the flat ground, from the geometry input, and the label is the red byte, so that
everything behind inference has as much to do as with a trained model.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import MissingExtra
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.inference import Model
from cloudypoints.inference.card import METADATA_KEY, ModelCard
from cloudypoints.messages import CATEGORY_NAMES

_CHANNELS = 32
_TRIAL = 4  # convolutions whose time the number is worked out from
_OPSET, _IR = 17, 8

Arrays = dict[str, NDArray[Any]]


def write_trivial(path: Path, width_px: int, height_px: int) -> None:
    """A model without work."""
    path.write_bytes(_network(width_px, height_px, 0))


def write_slow(path: Path, width_px: int, height_px: int, *, slow_ms: float) -> None:
    """A model that takes about this long for one picture here."""
    path.write_bytes(_network(width_px, height_px, _TRIAL))
    per_convolution_ms = run_ms(path) / _TRIAL
    count = max(_TRIAL, round(slow_ms / per_convolution_ms))
    path.write_bytes(_network(width_px, height_px, count))


def prepared(model: Model) -> Arrays:
    """What the model's session takes for one grey picture."""
    grid = model.card.picture
    grey = np.full((grid.height_px, grid.width_px, 3), 128, np.uint8)
    view = model.view(Camera(Intrinsics.from_fov(grid.width_px, grid.height_px, 1.0)))
    return model.feeds([grey], [view])


def run_ms(path: Path) -> float:
    """The median time of a few runs."""
    model = Model.open(str(path))
    feeds = prepared(model)
    times_ms = []
    for _ in range(5):
        start_s = time.perf_counter()
        model.session.run(None, feeds)
        times_ms.append((time.perf_counter() - start_s) * 1e3)
    return median(times_ms)


def _network(width_px: int, height_px: int, convolutions: int) -> bytes:
    """Depth = 1 / ground through as many identity convolutions of 32 channels."""
    helper, numpy_helper, tensor = _onnx()
    size, constants = (height_px, width_px), _constants(convolutions)
    nodes = [helper.make_node(*node[:3], **node[3]) for node in _nodes(convolutions)]
    graph = helper.make_graph(
        nodes,
        "bench",
        [
            helper.make_tensor_value_info("image", tensor.UINT8, ["n", *size, 3]),
            helper.make_tensor_value_info("geometry", tensor.FLOAT, ["n", 3, *size]),
        ],
        [
            helper.make_tensor_value_info("depth", tensor.FLOAT, ["n", *size]),
            helper.make_tensor_value_info("labels", tensor.UINT8, ["n", *size]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
    )
    helper.set_model_props(model, {METADATA_KEY: _card(width_px, height_px).dumps()})
    content: bytes = model.SerializeToString()
    return content


def _nodes(convolutions: int) -> list[tuple[str, list[str], list[str], dict[str, Any]]]:
    """Operator, inputs, outputs and attributes of each."""
    pads = {"pads": [1, 1, 1, 1]}
    chain: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("Conv", [f"c{i}", "identity"], [f"c{i + 1}"], pads) for i in range(convolutions)
    ]
    return [
        ("Gather", ["geometry", "ground"], ["inverse"], {"axis": 1}),  # (N, 1, H, W)
        ("Max", ["inverse", "tiny"], ["positive"], {}),
        ("Conv", ["positive", "widen"], ["c0"], {}),
        *chain,
        ("Conv", [f"c{convolutions}", "narrow"], ["narrowed"], {}),
        ("Squeeze", ["narrowed", "channel"], ["kept"], {}),
        ("Div", ["one", "kept"], ["depth"], {}),
        ("Gather", ["image", "red"], ["labels"], {"axis": 3}),
    ]


def _constants(convolutions: int) -> Arrays:
    """Weights by name; without a chain a single channel is carried through."""
    channels = _CHANNELS if convolutions else 1
    constants: Arrays = {
        "ground": np.array([2], np.int64),
        "channel": np.array([1], np.int64),
        "red": np.array(0, np.int64),
        "one": np.array(1, np.float32),
        "tiny": np.array(1e-6, np.float32),
        "widen": np.ones((channels, 1, 1, 1), np.float32),
        "narrow": np.full((1, channels, 1, 1), 1 / channels, np.float32),
    }
    if convolutions:
        identity = np.zeros((channels, channels, 3, 3), np.float32)
        identity[np.arange(channels), np.arange(channels), 1, 1] = 1
        constants["identity"] = identity
    return constants


def _card(width_px: int, height_px: int) -> ModelCard:
    return ModelCard.model_validate(
        {
            "name": "bench",
            "depth": "metric",
            "unit": "m",
            "picture": {
                "width_px": width_px,
                "height_px": height_px,
                "layout": "nhwc",
                "dtype": "uint8",
            },
            "geometry_input": "geometry",
            "labels_output": "labels",
            "labels": CATEGORY_NAMES,
            "relative_error": 0.1,
        }
    )


def _onnx() -> tuple[Any, Any, Any]:
    """Its helper, its numpy helper and its tensor types. Raises MissingExtra."""
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingExtra("making models to measure with", "train") from error
    return helper, numpy_helper, TensorProto
