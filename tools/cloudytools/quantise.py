"""Smaller numbers in the same file: fp16 and statically quantised int8 beside fp32, all measured.

fp16 keeps inputs and outputs as they are (onnxruntime's converter). int8 is onnxruntime's static
quantisation in QDQ form: weights by channel, activations by the ranges seen on training pictures
that go through the node's own preparation; only convolutions and matrix products are quantised,
and not the last of them, which give what the network says: depth in 256 steps would be terraces.
Each variant carries the card of its fp32 file with its own measured difference. On a processor
without fp16 arithmetic an fp16 file is smaller and not faster.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from cloudypoints.errors import ModelError
from cloudypoints.inference import Model, ModelCard
from cloudytools import data
from cloudytools.data import Dataset, Sample
from cloudytools.data.reference import spread
from cloudytools.evaluate.dataset import MAIN, main_figure
from cloudytools.evaluate.dataset_command import evaluated
from cloudytools.evaluate.views import view_of
from cloudytools.experiment import Data
from cloudytools.export import write

CALIBRATION = 64  # training pictures
MEASURED = 200  # validation pictures at most
_ROUNDS = 15  # of timing, the variants in turn
_QUANTISED = ["Conv", "MatMul", "Gemm"]


def variants(fp32: Path, wanted: Data) -> dict[str, dict[str, Any]]:
    """Write FILE.fp16.onnx and FILE.int8.onnx and measure all three; figures by variant.

    Calibrated on the training data, measured on the validation data. Raises ConfigError without
    the data, ModelError where a variant cannot be made or does not run.
    """
    training, validation = (
        data.open(wanted.kind, folder, split, only=wanted.only)
        for folder, split in zip((wanted.train, wanted.validation), wanted.splits, strict=True)
    )
    model = Model.open(str(fp32), provider="cpu")
    paths = {"fp32": fp32} | {kind: fp32.with_suffix(f".{kind}.onnx") for kind in ("fp16", "int8")}
    halved(fp32, model.card, paths["fp16"])
    quantised(fp32, model, paths["int8"], training)
    return measured(paths, validation)


def halved(fp32: Path, card: ModelCard, out: Path) -> None:
    """Write the same graph with fp16 weights and arithmetic."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    program = _named(onnx.load(str(fp32)))
    # bytes become float32 and only then fp16: the converter does not see through a cast
    casts = [node.name for node in program.graph.node if node.op_type == "Cast"]
    halves = convert_float_to_float16(program, keep_io_types=True, node_block_list=casts)
    _drop_twins(halves)
    write(halves, card, out)


def _named(program: onnx.ModelProto) -> onnx.ModelProto:
    """The same, each node with a name: what is to stay as it is, is named."""
    for number, node in enumerate(program.graph.node):
        node.name = node.name or f"node_{number}"
    return program


def _drop_twins(program: onnx.ModelProto) -> None:
    """A weight that two nodes take as fp32 is cast twice to one name; onnxruntime wants it once."""
    seen: set[str] = set()
    kept = []
    for node in program.graph.node:
        if node.output[0] not in seen:
            kept.append(node)
        seen.update(node.output)
    del program.graph.node[:]
    program.graph.node.extend(kept)


def quantised(fp32: Path, model: Model, out: Path, training: Dataset) -> None:
    """Write the same graph with int8 convolutions, calibrated on training pictures."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, made = out.with_suffix(".prepared"), out.with_suffix(".made")
    try:
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        program = _named(onnx.load(str(prepared)))
        quantize_static(
            program,
            str(made),
            _Calibration(model, training),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            nodes_to_exclude=_last(program),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # 7 bits: without VNNI, a processor adds two products in 16 bits, which 8 bits overflow
            reduce_range=True,
        )
        write(onnx.load(str(made)), model.card, out)
    finally:
        for path in (prepared, made):
            path.unlink(missing_ok=True)


def _last(program: onnx.ModelProto) -> list[str]:
    """The names of those that could be quantised and that no other of them follows."""
    followed: set[str] = set()  # tensors on the way to one that comes later
    last = []
    for node in reversed(program.graph.node):  # in topological order, as ONNX wants them
        could_be = node.op_type in _QUANTISED
        if could_be and followed.isdisjoint(node.output):
            last.append(node.name)
        if could_be or not followed.isdisjoint(node.output):
            followed.update(node.input)
    return last


class _Calibration:
    """Training pictures as the node would feed them, one after another: onnxruntime's reader."""

    def __init__(self, model: Model, training: Dataset) -> None:
        self._feeds = (
            feeds_of(model, training[index]) for index in spread(len(training), CALIBRATION)
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next picture's inputs, None after the last."""
        return next(self._feeds, None)


def feeds_of(model: Model, sample: Sample) -> dict[str, NDArray[Any]]:
    """What goes into the session for one sample, by input name."""
    view = view_of(model, sample)
    return model.feeds([model.fit(sample.picture, view)], [view])


def measured(paths: Mapping[str, Path], validation: Dataset) -> dict[str, dict[str, Any]]:
    """Accuracy, size, speed and distance from fp32 of each file; written into the cards, too."""
    models = {kind: Model.open(str(path), provider="cpu") for kind, path in paths.items()}
    rounds_ms = _rounds_ms(models, validation[0])
    differences = _differences(models, validation)
    found: dict[str, dict[str, Any]] = {}
    for kind, path in paths.items():
        report, _ = evaluated([models[kind]], validation, MEASURED)
        figures = report["models"][0]["figures"]
        found[kind] = {
            "bytes": path.stat().st_size,
            "ms": statistics.median(rounds_ms[kind]),
            "times_as_fast": _ratio(rounds_ms["fp32"], rounds_ms[kind]),
            **differences[kind],
            "figures": figures,
        }
        if kind != "fp32":
            _keep_scores(path, models[kind].card, found[kind])
    return found


def _keep_scores(path: Path, card: ModelCard, found: Mapping[str, Any]) -> None:
    """Into the variant's own card: what its change of numbers costs."""
    scores = {f"fp32_{n}": v for n, v in found.items() if n.endswith("_difference")}
    main = main_figure(found["figures"])
    scores[f"variant_{main}"] = found["figures"][main]
    write(onnx.load(str(path)), card.model_copy(update={"scores": card.scores | scores}), path)


def _rounds_ms(models: Mapping[str, Model], sample: Sample) -> dict[str, list[float]]:
    """Time of one bare run, milliseconds, many times; the variants take turns under one load."""
    feeds = {kind: feeds_of(model, sample) for kind, model in models.items()}
    took: dict[str, list[float]] = {kind: [] for kind in models}
    for _ in range(_ROUNDS):
        for kind, model in models.items():
            begun = time.perf_counter()
            model.session.run(None, feeds[kind])
            took[kind].append(1e3 * (time.perf_counter() - begun))
    return took


def _ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """How many times as long the first took: the median over rounds, which saw one load each."""
    return statistics.median(one / other for one, other in zip(times, others, strict=True))


def _differences(models: Mapping[str, Model], validation: Dataset) -> dict[str, dict[str, float]]:
    """From fp32, over some validation pictures: depth relative, labels and mask as shares."""
    samples = [validation[index] for index in spread(len(validation), 8)]
    wanted = [_answers(models["fp32"], sample) for sample in samples]
    found: dict[str, dict[str, float]] = {}
    for kind, model in models.items():
        apart = [
            _apart(said, truth)
            for said, truth in zip((_answers(model, s) for s in samples), wanted, strict=True)
        ]
        found[kind] = {name: float(np.mean([one[name] for one in apart])) for name in apart[0]}
    return found


def _answers(model: Model, sample: Sample) -> dict[str, NDArray[Any]]:
    outputs = model.session.run(list(model.card.outputs.values()), feeds_of(model, sample))
    return dict(zip(model.card.outputs, outputs, strict=True))


def _apart(said: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, float]:
    apart = {}
    for what, wanted in truth.items():
        if not np.isfinite(said[what]).all():
            raise ModelError(f"{what}: a variant gives numbers that are none: too small a type")
        error = np.abs(said[what].astype(np.float64) - wanted)
        scale: Any = np.maximum(np.abs(wanted), 1e-3 * np.abs(wanted).max() + 1e-12)
        value = {"depth": np.mean(error / scale), "labels": np.mean(error > 0)}
        apart[f"{what}_difference"] = float(value.get(what, np.mean(error) / 255))
    return apart


def show(found: Mapping[str, Mapping[str, Any]]) -> None:
    """The figures as a table: what each variant costs and gains."""
    mains = [name for name in MAIN if name in found["fp32"]["figures"]]
    differences = [name for name in found["fp32"] if name.endswith("_difference")]
    table = Table(box=box.SIMPLE, title="on the validation data; differences are from fp32")
    for title in ("", "bytes", "ms", "times as fast", *differences, *mains):
        table.add_column(title, justify="right")
    for kind, figures in found.items():
        table.add_row(
            kind,
            f"{figures['bytes']:,}",
            f"{figures['ms']:.2f}",
            f"{figures['times_as_fast']:.2f}",
            *_shown([figures[name] for name in differences]),
            *_shown([figures["figures"][name] for name in mains]),
        )
    console = Console()
    console.width = max(console.width, 120)  # a pipe is taken for 80 columns
    console.print(table)


def _shown(values: Sequence[float]) -> list[str]:
    return [f"{value:.4g}" for value in values]
