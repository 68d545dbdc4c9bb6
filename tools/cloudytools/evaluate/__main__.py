"""The command line of the evaluation; one subcommand for each kind of measurement."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from cloudypoints.errors import CloudyPointsError
from cloudypoints.inference import Model
from cloudytools import pictures
from cloudytools.evaluate import (
    categories,
    dataset_command,
    drift_command,
    flicker,
    lidar,
    obstacle_command,
    street,
)

_COLUMNS = {
    "abs_rel": "AbsRel",
    "rmse_m": "RMSE m",
    "delta": "δ<1.25",
    "obstacles_abs_rel": "obstacles",
    "unknown": "unknown",
    "scaled_abs_rel": "AbsRel",
    "scaled_rmse_m": "RMSE m",
    "scaled_delta": "δ<1.25",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; the exit code: 2 where nothing could be measured."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except CloudyPointsError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:  # of a report that cannot be written
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
    return 2


def _lidar(chosen: argparse.Namespace) -> int:
    lidar.frames_of(chosen.folder)  # before a model is opened for nothing
    model = Model.open(chosen.model)
    skipped: dict[str, str] = {}
    measured = list(lidar.measured_frames(model, chosen.folder, skipped))
    lidar.tell_skipped(skipped)
    if chosen.pictures is not None:
        for one in measured:
            pictures.save(lidar.overlay(one), chosen.pictures / f"{one.frame.name}.jpg")
    report = lidar.report(model, chosen.folder, measured, skipped)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    console = Console()
    console.width = max(console.width, 100)  # a pipe is taken for 80 columns
    console.print(_table(report, len(measured)))
    return 0 if measured else 2


def _table(report: Mapping[str, Any], frames: int) -> Table:
    title = f"{report['folder']}, {frames} frames, 1 to 80 m; the last three columns median-scaled"
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("")
    for title in _COLUMNS.values():
        table.add_column(title, justify="right")
    for name, figures in report["frames"].items():
        _add(table, name, figures)
    table.add_section()
    _add(table, f"{report['model_name']} (mean)", report["model"])
    _add(table, "flat ground (mean)", report["flat_ground"])
    for name, figures in report["quoted"].items():
        _add(table, f"{name} (quoted)", figures)
    return table


def _add(table: Table, name: str, figures: Mapping[str, float]) -> None:
    table.add_row(name, *(f"{figures[key]:.3f}" if key in figures else "" for key in _COLUMNS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cloudytools.evaluate", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    command = commands.add_parser(
        "lidar", help="depth against LiDAR points", description=lidar.__doc__
    )
    command.add_argument("folder", type=Path, help="a folder of frames")
    command.add_argument(
        "--model", default="embedded", help="an ONNX file; the embedded model if not given"
    )
    command.add_argument("--json", type=Path, help="write every figure here")
    command.add_argument(
        "--pictures", type=Path, help="write picture, depth and errors of each frame here"
    )
    command.set_defaults(run=_lidar)
    dataset_command.add(commands)
    drift_command.add(commands)
    obstacle_command.add(commands)
    categories.add(commands)
    flicker.add(commands)
    street.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
