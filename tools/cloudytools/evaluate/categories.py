"""Categories on real pictures, against a reference network or a mask drawn by somebody else.

The reference speaks in the 19 train ids of Cityscapes (0 road to 18 bicycle), which are grouped
into categories as the official table does. It measures, and never labels training data. What the
model calls void counts as wrong; pixels that the reference leaves open do not count.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cloudypoints.capture import open_source
from cloudypoints.errors import ConfigError, MissingExtra, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.inference import Model
from cloudypoints.messages import CATEGORY_NAMES, Category
from cloudytools import metrics, pictures
from cloudytools.data.cityscapes import LABELS
from cloudytools.evaluate.views import camera_for, frames_of

_TRAIN_IDS = [category for _, category, counted in LABELS.values() if counted]
_LEFT_OPEN = 255
_UNKNOWN_ID = 254  # stands for what is no train id
_SHOWN_PX = (480, 288)
_EPILOG = """\
examples:
  python -m cloudytools.evaluate categories drive.mp4 people.mp4 --reference deeplab.tflite
  python -m cloudytools.evaluate categories street.png --mask street_mask.png
  python -m cloudytools.evaluate categories drive.mp4 --reference deeplab.tflite --pictures seen

The reference takes one uint8 RGB picture of its own size and gives train ids of Cityscapes.
Needs ai-edge-litert (pip install ai-edge-litert); a mask is a picture of one channel of train ids.
"""

Labels = NDArray[np.uint8]
Label = Callable[[NDArray[np.uint8]], Labels]  # categories of a picture


@dataclass(slots=True)
class Agreement:
    """What a model says against what the reference says, over pictures."""

    confusion: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((len(Category), len(Category)), np.int64)
    )
    pictures: int = 0

    def add(self, said: Labels, reference: Labels) -> None:
        """Both (H, W) of categories; a reference of 255 is left open."""
        counted = reference != _LEFT_OPEN
        self.confusion += metrics.confusion(said, reference, len(Category), counted)
        self.pictures += 1

    def add_all(self, other: Agreement) -> None:
        """Those of other pictures too."""
        self.confusion += other.confusion
        self.pictures += other.pictures

    @property
    def mean_iou(self) -> float:
        """Over the categories that the reference knows and saw, without void."""
        seen = self.confusion.sum(axis=1) > 0
        return float(np.mean(metrics.iou(self.confusion)[seen])) if seen.any() else float("nan")

    @property
    def figures(self) -> dict[str, Any]:
        """As JSON takes them; a category that the reference never saw is absent."""
        ious = metrics.iou(self.confusion)
        seen = self.confusion.sum(axis=1) > 0
        return {
            "pictures": self.pictures,
            "mean_iou": self.mean_iou,
            "accuracy": float(np.trace(self.confusion) / max(1, self.confusion.sum())),
            "iou": {
                name: float(ious[index]) for index, name in enumerate(CATEGORY_NAMES) if seen[index]
            },
        }


class ReferenceNetwork:
    """A TensorFlow Lite network: picture (H, W, 3) in, train ids (h, w) of its own size out."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError, MissingExtra."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as error:
            raise MissingExtra("a reference network", "dev") from error
        if not path.is_file():
            raise SourceError(f"{path}: no such file")
        try:
            self._interpreter = Interpreter(str(path), num_threads=2)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise SourceError(f"{path}: no TensorFlow Lite network: {error}") from error
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()

    def train_ids(self, picture: NDArray[np.uint8]) -> Labels:
        """What it sees."""
        _, height, width, _ = self._input["shape"]
        fitted = cv2.resize(picture, (int(width), int(height)), interpolation=cv2.INTER_AREA)
        self._interpreter.set_tensor(self._input["index"], fitted[None])
        self._interpreter.invoke()
        ids = self._interpreter.get_tensor(self._output["index"])
        return np.asarray(ids.reshape(height, width), np.uint8)

    def categories(self, picture: NDArray[np.uint8]) -> Labels:
        """The same as categories."""
        return categories_of(self.train_ids(picture))


def categories_of(train_ids: NDArray[np.uint8]) -> Labels:
    """Train ids (H, W) as categories; 255 stays what it is. Raises SourceError for others."""
    table = np.full(256, _UNKNOWN_ID, np.uint8)
    table[: len(_TRAIN_IDS)] = _TRAIN_IDS
    table[_LEFT_OPEN] = _LEFT_OPEN
    categories: Labels = table[train_ids]
    if (categories == _UNKNOWN_ID).any():
        raise SourceError("not train ids of Cityscapes: they are 0 to 18, and 255 for left open")
    return categories


def on_grid(labels: Labels, shape: tuple[int, ...]) -> Labels:
    """The nearest label for each pixel of a grid (H, W)."""
    rows = (np.arange(shape[0]) * 2 + 1) * labels.shape[0] // (2 * shape[0])
    columns = (np.arange(shape[1]) * 2 + 1) * labels.shape[1] // (2 * shape[1])
    return np.ascontiguousarray(labels[np.ix_(rows, columns)])


def seen_by(model: Model, picture: NDArray[np.uint8], camera: Camera | None) -> Labels:
    """The model's categories of the whole picture, on the picture's part of its grid."""
    view = model.view(camera_for(camera, picture.shape))
    labels = model.infer([picture], [view])[0].labels
    assert labels is not None  # looked at in run
    left, top, wide, high = view.inner
    return labels[top : top + high, left : left + wide]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "categories",
        help="categories on real pictures against a reference network or a mask",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="+", help="videos, folders of pictures, or a picture")
    parser.add_argument("--model", default="embedded", help="an ONNX file with labels (embedded)")
    reference = parser.add_mutually_exclusive_group(required=True)
    reference.add_argument("--reference", type=Path, metavar="TFLITE", help="a network")
    reference.add_argument("--mask", type=Path, help="train ids of the one picture")
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="a picture each (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="picture, model, reference")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Compare and show; the exit code."""
    model = Model.open(chosen.model)
    if "labels" not in model.card.outputs:
        raise ConfigError(f"{chosen.model}: gives no labels")
    label = _labeller(chosen)
    found = {source: _measured(chosen, model, source, label) for source in chosen.source}
    if chosen.json is not None:
        content = {source: agreement.figures for source, agreement in found.items()}
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console = Console()
    console.width = max(console.width, 120)  # a pipe is taken for 80 columns
    console.print(_table(model.card.name, found))
    return 0


def _labeller(chosen: argparse.Namespace) -> Label:
    """Categories of a picture, by the reference."""
    if chosen.reference is not None:
        return ReferenceNetwork(chosen.reference).categories
    mask = mask_categories(chosen.mask)
    return lambda picture: mask


def mask_categories(path: Path) -> Labels:
    """Of a picture of train ids. Raises SourceError."""
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2:
        raise SourceError(f"{path}: not a picture of one channel")
    return categories_of(np.asarray(mask, np.uint8))


def compared(
    model: Model, source: str, label: Label, every_s: float
) -> Iterator[tuple[NDArray[np.uint8], Labels, Labels]]:
    """Pictures of a source, what the model says of each and what the reference says there."""
    opened = open_source(source)
    for frame in track(frames_of(opened, every_s), Path(source).name, transient=True):
        said = seen_by(model, frame.picture, opened.camera)
        yield frame.picture, said, on_grid(label(frame.picture), said.shape)


def _measured(chosen: argparse.Namespace, model: Model, source: str, label: Label) -> Agreement:
    agreement = Agreement()
    for picture, said, reference in compared(model, source, label, chosen.every):
        agreement.add(said, reference)
        if chosen.pictures is not None:
            name = f"{Path(source).stem}_{agreement.pictures:04d}.jpg"
            pictures.save(sheet(picture, said, reference), chosen.pictures / name)
    return agreement


def sheet(picture: NDArray[np.uint8], said: Labels, reference: Labels) -> pictures.Picture:
    """The picture, the model's categories and the reference's, side by side."""
    open_as_void = np.where(reference == _LEFT_OPEN, Category.VOID, reference).astype(np.uint8)
    shown = [picture, *map(pictures.labels_coloured, (said, open_as_void))]
    row = [
        np.asarray(cv2.resize(one, _SHOWN_PX, interpolation=cv2.INTER_NEAREST), np.uint8)
        for one in shown
    ]
    return pictures.side_by_side([row])


def _table(name: str, found: dict[str, Agreement]) -> Table:
    total = Agreement()
    for agreement in found.values():
        total.add_all(agreement)
    table = Table(title=f"{name}: IoU by category against the reference", box=box.SIMPLE)
    headings: Sequence[str] = ["", "pictures", "mean", *CATEGORY_NAMES[1:]]
    for heading in headings:
        table.add_column(heading, justify="right")
    for source, agreement in {**found, "together": total}.items():
        figures = agreement.figures
        ious = figures["iou"]
        cells = [f"{ious[one]:.2f}" if one in ious else "" for one in CATEGORY_NAMES[1:]]
        mean = f"{figures['mean_iou']:.3f}"
        table.add_row(Path(source).name, str(agreement.pictures), mean, *cells)
    return table
