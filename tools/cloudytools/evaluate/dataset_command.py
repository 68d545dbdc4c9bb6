"""`python -m cloudytools.evaluate dataset`: one model or two on a dataset, as table and page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cloudypoints.errors import ConfigError, SourceError
from cloudypoints.inference import Model
from cloudypoints.messages import CATEGORY_NAMES
from cloudytools import data
from cloudytools.data import Dataset
from cloudytools.data.reference import spread
from cloudytools.evaluate import dataset, page

_SHOWN = 4  # worst ones, and as many best ones
_EPILOG = """\
examples:
  python -m cloudytools.evaluate dataset streets cache/tiny/streets --report report.html
  python -m cloudytools.evaluate dataset cityscapes cityscapes --model new.onnx --model old.onnx
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "dataset",
        help="a model on a dataset: table, worst and best pictures, HTML report",
        description=dataset.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=sorted(data.KINDS))
    parser.add_argument("folder", type=Path, help="in the dataset's official layout")
    parser.add_argument("--split", default="val", help="of the dataset (val)")
    parser.add_argument("--only", default="", help="a part of it: indoors, a city")
    parser.add_argument(
        "--model",
        action="append",
        help="an ONNX file (the embedded model); given twice: side by side",
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="samples at most (all)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write one HTML file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Measure and show; the exit code: 2 where nothing could be measured."""
    for path in (chosen.report, chosen.json):
        if path is not None:  # rather now than after all has been measured
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    opened = data.open(chosen.kind, chosen.folder, chosen.split, only=chosen.only)
    named = chosen.model or ["embedded"]
    report, shown = evaluated([Model.open(name) for name in named], opened, chosen.limit)
    for model, name in zip(report["models"], named, strict=True):
        model["file"] = name  # as it was asked for
    report |= {"folder": chosen.folder.name, "split": chosen.split}
    if chosen.report is not None:
        chosen.report.write_text(page.page(report, shown), encoding="utf-8")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    console = Console()
    console.width = max(console.width, 100)  # a pipe is taken for 80 columns
    console.print(_table(report))
    return 0 if report["samples"] else 2


def evaluated(
    models: Sequence[Model], opened: Dataset, limit: int = 0
) -> tuple[dict[str, Any], list[list[dataset.Measured]]]:
    """The report, and each model's worst and best samples. Raises SourceError without a sample."""
    indices = spread(len(opened), limit or len(opened))
    skipped: dict[str, str] = dict(opened.missing)
    summaries, shown = [], []
    for model in models:
        tally, extremes = _tallied(model, opened, indices, skipped)
        if not tally.figures:
            raise SourceError(f"none of {len(indices)} samples could be read: {skipped}"[:300])
        summary = tally.summary()
        main = dataset.main_figure(summary["figures"])
        if not main:
            raise ConfigError(f"{model.where}: says nothing of which {opened.kind} has the truth")
        summaries.append(
            summary
            | {"name": model.card.name, "digest": model.digest, "file": model.where, "main": main}
            | {"iou_names": list(CATEGORY_NAMES)}
        )
        shown.append(extremes)
    report = {
        "kind": opened.kind,
        "fingerprint": opened.fingerprint,
        "samples": len(indices) - sum(opened.name_of(i) in skipped for i in indices),
        "models": summaries,
        "skipped": skipped,
    }
    return report, shown


def _tallied(
    model: Model, opened: Dataset, indices: Sequence[int], skipped: dict[str, str]
) -> tuple[dataset.Tally, list[dataset.Measured]]:
    """Sums over all samples; the worst and the best ones, worst first: no more are kept."""
    tally = dataset.Tally()
    ranked: list[dataset.Measured] = []
    samples = dataset.measured_samples(model, opened, indices, skipped)
    console = Console(stderr=True)
    bar = track(
        samples,
        model.where,
        total=len(indices),
        transient=True,
        console=console,
        disable=not console.is_terminal,
    )
    for measured in bar:
        tally.add(measured, metric=model.card.depth == "metric")
        main = dataset.main_figure(measured.figures)
        if main:
            ranked.append(measured)
            ranked.sort(key=lambda one: one.figures.get(main, 0.0), reverse=dataset.MAIN[main])
            del ranked[_SHOWN:-_SHOWN]
    return tally, ranked


def _table(report: Mapping[str, Any]) -> Table:
    title = (
        f"{report['folder']}, {report['split']} of {report['kind']}, {report['samples']} samples"
    )
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("")
    table.add_column("unit")
    for model in report["models"]:
        table.add_column(model["file"], justify="right")
    for name, (unit, _) in page.UNITS.items():
        values = [model["figures"].get(name) for model in report["models"]]
        if any(value is not None for value in values):
            table.add_row(name, unit, *("" if v is None else f"{v:.4g}" for v in values))
    for key in ("abs_rel_by_range", "abs_rel_by_category", "iou_by_category"):
        table.add_section()
        for name in dict.fromkeys(n for model in report["models"] for n in model[key]):
            values = [model[key].get(name) for model in report["models"]]
            shown = ("" if v is None else f"{v:.4g}" for v in values)
            table.add_row(f"{key.split('_by_')[0]}, {name}", "", *shown)
    return table
